//! The narrow products of an adapter. Each kernel goes once over a wide matrix X (rows, cols), a layer's input or the
//! gradient of its output, tile by tile: a tile is read, masked and converted once and then used for dots, X W^T (rows,
//! rank), and for sums, V^T X (rank, cols).
//!
//! The matrix is cut into parts by shape alone. Dots and sums of a part are kept apart and added in order at the end, so
//! results do not depend on the number of threads.

use crate::arguments::{LoraDown, LoraDownBackward, LoraUpBackward};
use crate::block::{load, store};
use crate::buffer::{Bf16, DType, Elem, View};
use crate::context::Context;
use crate::elementwise::{area, exactly, float};
use crate::gemm::{Pieces, Shared};
use crate::isa::Isa;
use crate::multiversion;
use crate::philox::{Draw, GROUP};
use crate::pool::part;

#[cfg(target_arch = "x86_64")]
mod avx512;
mod plain;

/// A tile of bf16 is 32 KiB.
pub const ROWS: usize = 32;
pub const COLS: usize = 512;
/// Ranks that are summed at once.
pub const RANKS: usize = 8;
/// Parts that a matrix is cut into, about.
const PARTS: usize = 32;

/// Masks of one row of a tile, 32 columns a word.
type RowMask = [u32; COLS / 32];

struct Pass {
    x: View,
    rows: usize,
    cols: usize,
    rank: usize,
    draw: Option<Draw>,
    /// Factors are rounded to bf16.
    compute: bool,
    /// The mask is stored here, 32 columns a word.
    mask: Option<View>,
    dots: Option<Dots>,
    sums: Option<Sums>,
}

/// out (rows, rank) = scale * X W^T. Element (rank j, column c) of W is at j * strides.0 + c * strides.1.
struct Dots {
    out: View,
    w: View,
    strides: (usize, usize),
    scale: f32,
}

/// out += scale * V^T X, with strides as in `Dots`; V is (rows, rank).
struct Sums {
    out: View,
    strides: (usize, usize),
    v: View,
    scale: f32,
}

/// How the tiles' elements are kept: single or in pairs.
#[derive(Clone, Copy)]
struct Words {
    isa: Isa,
    /// bf16, two to a word.
    pairs: bool,
    round: bool,
}

impl Words {
    fn per_word(self) -> usize {
        if self.pairs {
            2
        } else {
            1
        }
    }

    fn word(self, low: f32, high: f32) -> u32 {
        let bits = |x: f32| Bf16::from_f32(x).0 as u32;
        match (self.pairs, self.round) {
            (true, _) => bits(low) | bits(high) << 16,
            (false, true) => bits(low) << 16,
            (false, false) => low.to_bits(),
        }
    }
}

/// The factors that one task needs, as words. Every group of ranks has its own piece.
#[derive(Clone, Copy)]
struct Staged {
    /// W: (group, rank of the group, word along the columns).
    w: *mut u32,
    /// V: (group, word along the rows, rank of the group).
    v: *mut u32,
    /// Values before they become words: COLS of one rank, or all ranks of ROWS rows.
    values: *mut f32,
}

fn run(cx: &Context, pass: &Pass) {
    let Pass { rows, cols, rank, .. } = *pass;
    let words = Words {
        isa: cx.isa,
        pairs: pass.compute && cx.isa >= Isa::Avx512Bf16 && pass.x.dtype() != DType::F16,
        round: pass.compute,
    };
    let per = words.per_word();
    let groups = rank.div_ceil(RANKS);
    let ranks = groups * RANKS;
    let col_groups = cols.div_ceil(GROUP);
    let col_parts = col_groups.div_ceil(COLS / GROUP);
    let row_tiles = rows.div_ceil(ROWS);
    let row_parts = (PARTS / col_parts.max(1)).clamp(1, row_tiles.max(1));
    let (all_rows, all_cols) = (row_tiles * ROWS, col_parts * COLS);
    let columns = |index: usize| {
        let (from, to) = part(col_groups, col_parts, index);
        (from * GROUP, (to * GROUP).min(cols))
    };
    let if_some = |wanted: bool, words: usize| if wanted { words } else { 0 };
    let sizes = [
        if_some(pass.dots.is_some(), col_parts * all_rows * ranks),
        if_some(pass.sums.is_some(), row_parts * all_cols * ranks),
    ];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { cx.pool.shared_scratch(Pieces::bytes(&sizes)) });
    // (part of columns, group, row, rank of the group) and (part of rows, rank, column)
    let [dots, sums] = [0, 1].map(|i| Shared::new(pieces.take::<f32>(sizes[i])));

    cx.pool.parallel(row_parts * col_parts, &|task, worker| {
        let (row_part, col_part) = (task / col_parts, task % col_parts);
        let (from, to) = part(row_tiles, row_parts, row_part);
        let (first, end) = columns(col_part);
        let n = end - first;
        let width = n.next_multiple_of(32);
        let sizes = [ROWS * COLS / per, ROWS * COLS / 32, COLS * ranks / per, ROWS * ranks / per, COLS + ROWS * ranks];
        // SAFETY: this task's scratch and its parts of dots, sums and the update; the views hold what is read.
        unsafe {
            let mut pieces = Pieces::new(cx.pool.scratch(worker, Pieces::bytes(&sizes)));
            let tile = pieces.take::<u32>(sizes[0]);
            let masks = std::slice::from_raw_parts_mut(pieces.take::<u32>(sizes[1]) as *mut RowMask, ROWS);
            masks.fill([!0; COLS / 32]);
            let (w, v) = (pieces.take::<u32>(sizes[2]), pieces.take::<u32>(sizes[3]));
            let staged = Staged { w, v, values: pieces.take::<f32>(sizes[4]) };
            if let Some(dots) = &pass.dots {
                stage_w(words.isa, dots, rank, words, staged, ranks, (first, n));
            }
            let sums = sums.get().wrapping_add(row_part * all_cols * ranks + col_part * COLS);
            for rank in (0..ranks).filter(|_| pass.sums.is_some()) {
                std::slice::from_raw_parts_mut(sums.add(rank * all_cols), COLS).fill(0.0);
            }
            for row in (from * ROWS..to * ROWS).step_by(ROWS) {
                let live = (rows - row).min(ROWS);
                stage_tile(pass, words, (row, live), (first, n), masks, tile);
                // Rows are used in fours.
                let padded = live.next_multiple_of(4);
                std::slice::from_raw_parts_mut(tile.add(live * COLS / per), (padded - live) * COLS / per).fill(0);
                if let Some(sums) = &pass.sums {
                    stage_v(words.isa, sums.v, rank, words, staged, ranks, (row, live));
                }
                for group in 0..groups {
                    if pass.dots.is_some() {
                        let to = dots.get().add(((col_part * groups + group) * all_rows + row) * RANKS);
                        dots_of(words, tile, padded, width, w.add(group * RANKS * COLS / per), to);
                    }
                    if pass.sums.is_some() {
                        let v = v.add(group * ROWS * RANKS / per);
                        sums_of(words, tile, padded, width, v, sums.add(group * RANKS * all_cols), all_cols);
                    }
                }
            }
        }
    });
    let sum_tasks = if pass.sums.is_some() { col_parts } else { 0 };
    let dot_tasks = if pass.dots.is_some() { row_parts } else { 0 };
    cx.pool.parallel(sum_tasks + dot_tasks, &|task, _| {
        // SAFETY: the parts were written by the region before; each task has its own elements of the results.
        unsafe {
            if let (Some(to), true) = (&pass.sums, task < sum_tasks) {
                let part = |i: usize| sums.get().add(i * all_cols * ranks + task * COLS).cast_const();
                add_sums(cx.isa, &part, row_parts, all_cols, to, rank, columns(task));
            } else if let Some(to) = &pass.dots {
                let (from, end) = part(row_tiles, row_parts, task - sum_tasks);
                let part = |i: usize| dots.get().add(i * groups * all_rows * RANKS).cast_const();
                let rows = (from * ROWS, (end * ROWS).min(rows));
                add_dots(cx.isa, &part, col_parts, all_rows, to, rank, rows);
            }
        }
    });
}

/// Makes `live` rows of a tile from row `row` on, of `n` columns from `first` on: draws and stores the masks, where asked,
/// and writes the masked elements as words.
///
/// # Safety
/// The views hold the rows; the tile, and these rows of the stored mask, are the caller's.
unsafe fn stage_tile(
    pass: &Pass,
    words: Words,
    (row, live): (usize, usize),
    (first, n): (usize, usize),
    masks: &mut [RowMask],
    tile: *mut u32,
) {
    let cols = pass.cols;
    for (i, mask) in masks.iter_mut().enumerate().take(live) {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(draw) = &pass.draw {
                draw.kept(words.isa, row + i, first / GROUP, &mut mask[..n.div_ceil(GROUP) * (GROUP / 32)]);
            }
            if let Some(view) = pass.mask {
                let to = (view.ptr() as *mut u32).add((row + i) * cols.div_ceil(32) + first / 32);
                for (word, kept) in mask.iter().enumerate().take(n.div_ceil(32)) {
                    let live = ((1u64 << (n - 32 * word).min(32)) - 1) as u32;
                    to.add(word).write_unaligned(kept & live);
                }
            }
            let at = (row + i) * cols + first;
            stage_row(words, pass.x, at, n, cols, mask, tile.add(i * COLS / words.per_word()));
        }
    }
}

type Parts<'a> = &'a dyn Fn(usize) -> *const f32;

/// out += scale * the parts, in order, of columns `first .. end`; a part's ranks are `stride` apart.
///
/// # Safety
/// The parts have this many rows of COLS elements; these columns of the result are the caller's.
#[inline(always)]
unsafe fn add_sums_body(
    part: Parts,
    parts: usize,
    stride: usize,
    to: &Sums,
    rank: usize,
    (first, end): (usize, usize),
) {
    for rank in 0..rank {
        let mut sum = [0f32; COLS];
        for i in 0..parts {
            // SAFETY: a row of a part has COLS elements.
            let part = unsafe { std::slice::from_raw_parts(part(i).add(rank * stride), COLS) };
            sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
        for (col, sum) in (first..end).zip(&sum) {
            // SAFETY: an element of the result, which is f32.
            unsafe {
                let at = to.out.typed::<f32>().add(rank * to.strides.0 + col * to.strides.1);
                at.write_unaligned(at.read_unaligned() + sum * to.scale);
            }
        }
    }
}
multiversion! { unsafe fn add_sums(part: Parts, parts: usize, stride: usize, to: &Sums, rank: usize, cols: (usize, usize)) = add_sums_body }

/// out = scale * the sum of the parts, in order, of rows `from .. to`; a part has `all_rows` rows of every group of ranks.
///
/// # Safety
/// The parts have these rows; those of the result are the caller's.
#[inline(always)]
unsafe fn add_dots_body(part: Parts, parts: usize, all_rows: usize, to: &Dots, rank: usize, rows: (usize, usize)) {
    for row in rows.0..rows.1 {
        for first in (0..rank).step_by(RANKS) {
            let mut sum = [0f32; RANKS];
            for i in 0..parts {
                // SAFETY: a row of a group has RANKS elements.
                let part = unsafe { std::slice::from_raw_parts(part(i).add(first * all_rows + row * RANKS), RANKS) };
                sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
            sum.iter_mut().for_each(|sum| *sum *= to.scale);
            // SAFETY: a row of the result.
            unsafe { store(to.out, row * rank + first, &sum[..(rank - first).min(RANKS)]) };
        }
    }
}
multiversion! { unsafe fn add_dots(part: Parts, parts: usize, all_rows: usize, to: &Dots, rank: usize, rows: (usize, usize)) = add_dots_body }

/// Writes `n` columns of W, from `first` on, zeros beyond them and beyond its ranks.
///
/// # Safety
/// W has these columns; the scratch of `staged` is the caller's.
#[inline(always)]
unsafe fn stage_w_body(of: &Dots, rank: usize, words: Words, staged: Staged, ranks: usize, (first, n): (usize, usize)) {
    let per = words.per_word();
    // SAFETY: the scratch holds a row.
    let values = unsafe { std::slice::from_raw_parts_mut(staged.values, COLS) };
    for row in 0..ranks {
        values.fill(0.0);
        let at = row * of.strides.0 + first * of.strides.1;
        // SAFETY: elements of W, and this rank's words.
        unsafe {
            if row < rank && of.strides.1 == 1 {
                load(of.w, at, &mut values[..n]);
            } else if row < rank {
                for (col, value) in values[..n].chunks_mut(1).enumerate() {
                    load(of.w, at + col * of.strides.1, value);
                }
            }
            let to = std::slice::from_raw_parts_mut(staged.w.add(row * COLS / per), COLS / per);
            to.iter_mut().zip(values.chunks(per)).for_each(|(to, x)| *to = words.word(x[0], x[per - 1]));
        }
    }
}
multiversion! { unsafe fn stage_w(of: &Dots, rank: usize, words: Words, staged: Staged, ranks: usize, cols: (usize, usize)) = stage_w_body }

/// Writes `n` rows of V, from `first` on, zeros beyond them and beyond its ranks.
///
/// # Safety
/// V has these rows; the scratch of `staged` is the caller's.
#[inline(always)]
unsafe fn stage_v_body(v: View, rank: usize, words: Words, staged: Staged, ranks: usize, (first, n): (usize, usize)) {
    let per = words.per_word();
    // SAFETY: the scratch holds the ranks of ROWS rows.
    let values = unsafe { std::slice::from_raw_parts_mut(staged.values, ROWS * ranks) };
    values.fill(0.0);
    for (row, values) in values.chunks_mut(ranks).take(n).enumerate() {
        // SAFETY: a row of V.
        unsafe { load(v, (first + row) * rank, &mut values[..rank]) };
    }
    for group in 0..ranks / RANKS {
        let at = |row: usize| &values[row * ranks + group * RANKS..][..RANKS];
        for row in (0..ROWS).step_by(per) {
            let piece = (group * ROWS + row) / per * RANKS;
            // SAFETY: the words of these rows.
            let to = unsafe { std::slice::from_raw_parts_mut(staged.v.add(piece), RANKS) };
            let (low, high) = (at(row), at(row + per - 1));
            to.iter_mut().zip(low.iter().zip(high)).for_each(|(to, (low, high))| *to = words.word(*low, *high));
        }
    }
}
multiversion! { unsafe fn stage_v(v: View, rank: usize, words: Words, staged: Staged, ranks: usize, rows: (usize, usize)) = stage_v_body }

/// Writes `n` elements of a row of `cols`, masked and converted, and zeros up to the next multiple of 32.
///
/// # Safety
/// The view holds the elements; a row of the tile at `to` is the caller's.
#[inline(always)]
unsafe fn stage_row(words: Words, x: View, at: usize, n: usize, cols: usize, mask: &RowMask, to: *mut u32) {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if words.pairs {
            return avx512::stage_row(x, at, n, mask, to, cols);
        }
        let _ = cols;
        plain::stage_row(words.isa, x, at, n, mask, to, words.round)
    }
}

/// out (rows, RANKS) = tile times the staged W.
///
/// # Safety
/// Tile and W are staged, and the results are the caller's.
unsafe fn dots_of(words: Words, tile: *const u32, rows: usize, width: usize, w: *const u32, out: *mut f32) {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if words.pairs {
            return avx512::dots(tile, rows, width, w, out);
        }
        plain::dots(words.isa, tile as *const f32, rows, width, w as *const f32, out)
    }
}

/// sums (RANKS, width), `stride` apart, += staged V times the tile.
///
/// # Safety
/// Tile and V are staged, and the sums are the caller's.
unsafe fn sums_of(
    words: Words,
    tile: *const u32,
    rows: usize,
    width: usize,
    v: *const u32,
    sums: *mut f32,
    stride: usize,
) {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if words.pairs {
            return avx512::sums(tile, rows, width, v, sums, stride);
        }
        plain::sums(words.isa, tile as *const f32, rows, width, v as *const f32, sums, stride)
    }
}

fn draw(p: f64, seed: usize, step: usize, micro_step: usize, site: usize) -> Result<(Option<Draw>, f32), String> {
    let draw = Draw::new(p, seed, step, micro_step, site)?;
    Ok((draw.drops().then_some(draw), draw.scale()))
}

pub fn lora_down(cx: &Context, k: &LoraDown) -> Result<(), String> {
    let LoraDown { x, rows, cols, rank, compute, .. } = *k;
    exactly(&k.out, "out", DType::F32, area(rows, rank)?)?;
    float(&x, "x", area(rows, cols)?)?;
    float(&k.a, "a", area(rank, cols)?)?;
    let (draw, kept_scale) = draw(k.p, k.seed, k.step, k.micro_step, k.site)?;
    let dots = Dots { out: k.out, w: k.a, strides: (cols, 1), scale: k.scale * kept_scale };
    run(cx, &Pass { x, rows, cols, rank, draw, compute, mask: None, dots: Some(dots), sums: None });
    Ok(())
}

pub fn lora_down_backward(cx: &Context, k: &LoraDownBackward) -> Result<(), String> {
    let LoraDownBackward { x, rows, cols, rank, compute, mask, .. } = *k;
    if let Some(da) = k.da {
        exactly(&da, "dA", DType::F32, area(rank, cols)?)?;
    }
    if let Some(mask) = mask {
        exactly(&mask, "mask", DType::I32, area(rows, cols.div_ceil(32))?)?;
    }
    float(&k.du, "du", area(rows, rank)?)?;
    float(&x, "x", area(rows, cols)?)?;
    let (draw, scale) = draw(k.p, k.seed, k.step, k.micro_step, k.site)?;
    let sums = k.da.map(|out| Sums { out, strides: (cols, 1), v: k.du, scale });
    run(cx, &Pass { x, rows, cols, rank, draw, compute, mask, dots: None, sums });
    Ok(())
}

pub fn lora_up_backward(cx: &Context, k: &LoraUpBackward) -> Result<(), String> {
    let LoraUpBackward { rows, cols, rank, compute, .. } = *k;
    exactly(&k.du, "du", DType::F32, area(rows, rank)?)?;
    if let Some(db) = k.db {
        exactly(&db, "dB", DType::F32, area(cols, rank)?)?;
    }
    float(&k.dy, "dy", area(rows, cols)?)?;
    float(&k.u, "u", area(rows, rank)?)?;
    float(&k.b, "b", area(cols, rank)?)?;
    let dots = Dots { out: k.du, w: k.b, strides: (1, rank), scale: k.scale };
    let sums = k.db.map(|out| Sums { out, strides: (1, rank), v: k.u, scale: 1.0 });
    run(cx, &Pass { x: k.dy, rows, cols, rank, draw: None, compute, mask: None, dots: Some(dots), sums });
    Ok(())
}
