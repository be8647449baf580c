//! Cross entropy of softmax(hidden . weight^T) without the logits: attention over the vocabulary.
//!
//! Blocks of the vocabulary come first, packed once each; inside, tasks take pieces of the rows that carry a label and
//! keep a running maximum, sum and (in dHidden itself) sum of exponentials times weight rows. A row's result depends on
//! the shape alone, not on threads or on the other rows. Workspace beside dHidden: two packed blocks of at most 16 MiB,
//! some hundred KiB per thread, and six words per row.

use crate::attention::{exp_sum, max_of};
use crate::buffer::{load, store, DType, View};
use crate::gemm::{Kernel, Matrix, Pieces, Shared, Tile, FLOATS, RESULTS};
use crate::isa::Isa;
use crate::math::{exp_f32, tanh_f32};
use crate::multiversion;
use crate::pool::Pool;
use crate::with_elem;

/// See `linearCrossEntropy` in the kernel table of @medgpt/core.
#[derive(Clone, Copy)]
pub struct LinearCrossEntropy {
    pub nll: View,
    pub lse: View,
    pub correct: Option<View>,
    pub d_hidden: Option<View>,
    pub hidden: View,
    pub weight: View,
    pub labels: View,
    pub rows: usize,
    pub cols: usize,
    pub vocab: usize,
    pub soft_cap: f32,
    /// Factors are rounded to bf16.
    pub compute: bool,
}

/// See `linearCrossEntropyWeightBackward` in the kernel table of @medgpt/core.
#[derive(Clone, Copy)]
pub struct LinearCrossEntropyWeightBackward {
    pub d_weight: View,
    pub hidden: View,
    pub weight: View,
    pub labels: View,
    pub lse: View,
    pub upstream: View,
    pub rows: usize,
    pub cols: usize,
    pub vocab: usize,
    pub soft_cap: f32,
    /// Factors are rounded to bf16.
    pub compute: bool,
}

/// The label of rows that are left out.
const SKIPPED: i32 = -100;

/// Most words of a packed block (8 MiB), where a smaller one is not forced by very wide rows.
const BLOCK_WORDS: usize = 2 << 20;
/// Most rows of the vocabulary packed at a time.
const BLOCK_ROWS: usize = 4096;
/// Columns of one tile of logits.
const STEP: usize = 512;
/// Most A panels, and most words of them (256 KiB), of one task.
const PANELS: usize = 8;
const A_WORDS: usize = 64 << 10;

fn check_rows(name: &str, view: View, rows: usize, cols: usize, dtypes: &[DType]) -> Result<(), String> {
    let name = format!("{name} ({rows}, {cols})");
    view.is_one_of(&name, dtypes)?;
    view.holds_rows(&name, rows, cols, cols)
}

fn check_vector(name: &str, view: View, rows: usize, dtype: DType) -> Result<(), String> {
    let name = format!("{name} ({rows})");
    view.is_one_of(&name, &[dtype])?;
    view.holds(&name, rows)
}

impl LinearCrossEntropy {
    pub fn check(&self) -> Result<(), String> {
        let LinearCrossEntropy { rows, cols, vocab, .. } = *self;
        check_vector("nll", self.nll, rows, DType::F32)?;
        check_vector("lse", self.lse, rows, DType::F32)?;
        if let Some(correct) = self.correct {
            check_vector("correct", correct, rows, DType::F32)?;
        }
        if let Some(d_hidden) = self.d_hidden {
            check_rows("dHidden", d_hidden, rows, cols, &[DType::F32])?;
        }
        check_rows("hidden", self.hidden, rows, cols, &RESULTS)?;
        check_rows("weight", self.weight, vocab, cols, &FLOATS)?;
        check_vector("labels", self.labels, rows, DType::I32)
    }
}

impl LinearCrossEntropyWeightBackward {
    pub fn check(&self) -> Result<(), String> {
        let LinearCrossEntropyWeightBackward { rows, cols, vocab, .. } = *self;
        check_rows("dWeight", self.d_weight, vocab, cols, &[DType::F32])?;
        check_rows("hidden", self.hidden, rows, cols, &RESULTS)?;
        check_rows("weight", self.weight, vocab, cols, &FLOATS)?;
        check_vector("labels", self.labels, rows, DType::I32)?;
        check_vector("lse", self.lse, rows, DType::F32)?;
        check_vector("upstream", self.upstream, rows, DType::F32)
    }
}

/// The rows that carry a label, and their labels.
fn labelled(labels: View, rows: usize, vocab: usize) -> Result<(Vec<u32>, Vec<i32>), String> {
    let mut live = (Vec::new(), Vec::new());
    for row in 0..rows {
        // SAFETY: `check` found this many labels.
        let label = unsafe { (labels.ptr() as *const i32).add(row).read_unaligned() };
        if label == SKIPPED {
            continue;
        }
        if label < 0 || label as usize >= vocab {
            return Err(format!("labels[{row}] is {label}, outside the vocabulary of {vocab} (and not {SKIPPED})"));
        }
        live.0.push(row as u32);
        live.1.push(label);
    }
    Ok(live)
}

fn matrix(view: View, cols: usize) -> Matrix {
    Matrix { ptr: view.ptr(), dtype: view.dtype(), ld: cols, across: false }
}

/// `m` from its element (row, 0) on.
fn from_row(m: Matrix, row: usize) -> Matrix {
    let step = row * if m.across { 1 } else { m.ld };
    Matrix { ptr: m.ptr.wrapping_add(step * m.dtype.size()), ..m }
}

/// Copies the given rows of `from` next to each other at `to`.
///
/// # Safety
/// The rows exist, and there is room.
unsafe fn gather(from: Matrix, rows: &[u32], to: *mut u8) -> Matrix {
    let bytes = from.ld * from.dtype.size();
    for (i, row) in rows.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from.ptr.add(*row as usize * bytes), to.add(i * bytes), bytes) }
    }
    Matrix { ptr: to, ..from }
}

/// A panels of one task: within the limits, and few enough that every thread gets some.
fn panels_of(kernel: Kernel, rows: usize, cols: usize, threads: usize) -> usize {
    let fits = (A_WORDS / (kernel.words(cols).max(1) * kernel.mr())).clamp(1, PANELS);
    fits.min(rows.div_ceil(kernel.mr()).div_ceil(2 * threads)).max(1)
}

/// Sizes of blocks: a multiple of `step` of at most `most` that packs into BLOCK_WORDS, but at least `least` and `step`.
fn block_rows(words: usize, step: usize, least: usize, most: usize) -> usize {
    (BLOCK_WORDS / words.max(1)).clamp(least, most).max(step) / step * step
}

/// What a row carries from one tile of logits to the next.
#[derive(Clone, Copy)]
struct Running {
    max: *mut f32,
    sum: *mut f32,
    /// The logit of the label.
    target: *mut f32,
    /// The first index of the largest logit.
    best: *mut u32,
    labels: *const i32,
}

impl Running {
    fn at(self, row: usize) -> Running {
        let Running { max, sum, target, best, labels } = self;
        Running {
            max: max.wrapping_add(row),
            sum: sum.wrapping_add(row),
            target: target.wrapping_add(row),
            best: best.wrapping_add(row),
            labels: labels.wrapping_add(row),
        }
    }
}

#[inline(always)]
fn soft_capped(x: f32, cap: f32) -> f32 {
    cap * tanh_f32(x / cap)
}

/// Turns a tile of products (rows `STEP` apart) into the factors of dHidden, relative to each row's running maximum.
/// `rescale[i]` is what row i's sums so far must be multiplied by.
#[inline(always)]
unsafe fn softmax_rows_body(
    s: *mut f32,
    (rows, cols): (usize, usize),
    vocab: usize,
    soft_cap: f32,
    state: Running,
    rescale: *mut f32,
    factors: bool,
) {
    for i in 0..rows {
        // SAFETY: row i of the task's own tile and sums.
        let (row, max, sum, target, best, label, rescale) = unsafe {
            (
                std::slice::from_raw_parts_mut(s.add(i * STEP), cols),
                &mut *state.max.add(i),
                &mut *state.sum.add(i),
                &mut *state.target.add(i),
                &mut *state.best.add(i),
                state.labels.add(i).read() as usize,
                &mut *rescale.add(i),
            )
        };
        if soft_cap > 0.0 {
            row.iter_mut().for_each(|x| *x = soft_capped(*x, soft_cap));
        }
        if (vocab..vocab + cols).contains(&label) {
            *target = row[label - vocab];
        }
        let highest = max_of(row);
        *rescale = 1.0;
        if highest > *max {
            *best = (vocab + row.iter().position(|x| *x == highest).unwrap_or(0)) as u32;
            *rescale = exp_f32(*max - highest);
            *max = highest;
        }
        if *max == f32::NEG_INFINITY {
            // Only -infinity so far (a factor of 0), or NaN, which stays.
            row.iter_mut().for_each(|x| *x = if x.is_nan() { *x } else { 0.0 });
            *sum += row.iter().sum::<f32>();
            continue;
        }
        if soft_cap > 0.0 && factors {
            let mut added = 0.0;
            for x in row.iter_mut() {
                let (t, p) = (*x / soft_cap, exp_f32(*x - *max));
                added += p;
                *x = p * (1.0 - t * t);
            }
            *sum = *sum * *rescale + added;
        } else {
            *sum = *sum * *rescale + exp_sum(row, *max);
        }
    }
}

multiversion! {
    unsafe fn softmax_rows(s: *mut f32, size: (usize, usize), vocab: usize, soft_cap: f32, state: Running, rescale: *mut f32, factors: bool) = softmax_rows_body
}

#[inline(always)]
unsafe fn scale_row_body(row: *mut f32, cols: usize, factor: f32) {
    for j in 0..cols {
        // SAFETY: the caller's row.
        unsafe { row.add(j).write_unaligned(row.add(j).read_unaligned() * factor) }
    }
}

multiversion! {
    unsafe fn scale_row(row: *mut f32, cols: usize, factor: f32) = scale_row_body
}

pub fn forward(pool: &Pool, isa: Isa, args: &LinearCrossEntropy) -> Result<(), String> {
    args.check()?;
    let LinearCrossEntropy { rows, cols, vocab, soft_cap, .. } = *args;
    let (live, live_labels) = labelled(args.labels, rows, vocab)?;
    let count = live.len();
    let kernel = Kernel::new(isa, args.compute);
    let (mr, nr) = (kernel.mr(), kernel.nr());
    let (hidden, weight) = (matrix(args.hidden, cols), matrix(args.weight, cols));
    let acc = args.d_hidden.map(|d| Shared::new(d.typed::<f32>()));

    let words = kernel.words(cols);
    let block = block_rows(words, STEP, STEP, BLOCK_ROWS).min(vocab.next_multiple_of(STEP));
    let by_cols = kernel.b_words(cols, STEP);
    let packed_rows_words = kernel.b_words(block, cols);
    let packed_cols_words = if acc.is_some() { block / STEP * by_cols } else { 0 };
    let sizes = [packed_rows_words, packed_cols_words, count, count, count, count];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let [packed_rows, packed_cols] = [0, 1].map(|i| Shared::new(pieces.take::<u32>(sizes[i])));
    let [max, sum, target] = [2, 3, 4].map(|i| pieces.take::<f32>(sizes[i]));
    let best = pieces.take::<u32>(count);
    for i in 0..count {
        // SAFETY: the pieces have `count` elements.
        unsafe {
            max.add(i).write(f32::NEG_INFINITY);
            sum.add(i).write(0.0);
            target.add(i).write(f32::NAN);
            best.add(i).write(u32::MAX);
        }
    }
    let running = Running { max, sum, target, best, labels: live_labels.as_ptr() };
    let shared = Shared::new(&running as *const Running as *mut Running);

    let panels = panels_of(kernel, count, cols, pool.threads());
    let most = panels * mr;
    let contiguous = count == rows;
    let raw_words = if contiguous { 0 } else { (most * cols * hidden.dtype.size()).div_ceil(4) };
    let scratch = [kernel.a_words(most, cols), raw_words, most * STEP, kernel.a_words(mr, STEP), most];
    let bytes = Pieces::bytes(&scratch);
    let tasks = count.div_ceil(most);

    for start in (0..if tasks > 0 { vocab } else { 0 }).step_by(block) {
        let block_len = (vocab - start).min(block);
        let steps = block_len.div_ceil(STEP);
        let row_panels = block_len.div_ceil(nr);
        let col_panels = if acc.is_some() { cols.div_ceil(nr) } else { 0 };
        let here = from_row(weight, start);
        pool.parallel(row_panels + steps * col_panels, &|task, _| {
            // SAFETY: each panel is packed by one task, inside its piece, from rows of the weight that are there.
            unsafe {
                if task < row_panels {
                    let to = packed_rows.get().add(task * nr * words);
                    kernel.pack_b(to, here, task * nr, (block_len - task * nr).min(nr), 0, cols);
                } else {
                    let (step, panel) = ((task - row_panels) / col_panels, (task - row_panels) % col_panels);
                    let len = (block_len - step * STEP).min(STEP);
                    let to = packed_cols.get().add(step * by_cols + panel * nr * kernel.words(len));
                    let across = Matrix { across: true, ..here };
                    kernel.pack_b(to, across, panel * nr, (cols - panel * nr).min(nr), step * STEP, len);
                }
            }
        });
        pool.parallel(tasks, &|task, worker| {
            let from = task * most;
            let rows = (count - from).min(most);
            // SAFETY: this task's scratch, cut into pieces of the sizes used below; the panels are packed; the rows of the
            // running sums and of dHidden are this task's alone.
            unsafe {
                let mut pieces = Pieces::new(pool.scratch(worker, bytes));
                let (a, raw) = (pieces.take::<u32>(scratch[0]), pieces.take::<u32>(raw_words) as *mut u8);
                let (s, a_p, rescale) =
                    (pieces.take::<f32>(scratch[2]), pieces.take::<u32>(scratch[3]), pieces.take::<f32>(most));
                let piece =
                    if contiguous { from_row(hidden, from) } else { gather(hidden, &live[from..from + rows], raw) };
                kernel.pack_a_panels(a, piece, 0, rows, 0, cols);
                let state = (*shared.get()).at(from);
                for step in 0..steps {
                    let len = (block_len - step * STEP).min(STEP);
                    let b = packed_rows.get().add(step * STEP * words);
                    kernel.multiply_panels(rows, len, words, a, b, Tile::new(s, STEP));
                    let at = start + step * STEP;
                    softmax_rows(isa, s, (rows, len), at, soft_cap, state, rescale, acc.is_some());
                    let Some(acc) = acc else { continue };
                    let acc = acc.get().add(from * cols);
                    let tile = Tile { accumulate: at > 0, ..Tile::new(acc, cols) };
                    let b = packed_cols.get().add(step * by_cols);
                    for row in (0..rows).step_by(mr) {
                        let m = (rows - row).min(mr);
                        for i in (row..row + m).filter(|i| at > 0 && rescale.add(*i).read() != 1.0) {
                            scale_row(isa, acc.add(i * cols), cols, rescale.add(i).read());
                        }
                        let p = Matrix { ptr: s as *const u8, dtype: DType::F32, ld: STEP, across: false };
                        kernel.pack_a(a_p, p, row, m, 0, len, 1.0);
                        kernel.multiply_panels(m, cols, kernel.words(len), a_p, b, tile.at(row, 0));
                    }
                }
            }
        });
    }
    if pool.aborted() {
        return Ok(());
    }

    // SAFETY: no region runs; `check` found the elements of the outputs.
    unsafe {
        for row in 0..rows {
            store(args.nll.typed::<f32>(), row, 0.0);
            store(args.lse.typed::<f32>(), row, 0.0);
            if let Some(correct) = args.correct {
                store(correct.typed::<f32>(), row, 0.0);
            }
        }
        for (i, (row, label)) in std::iter::zip(&live, &live_labels).enumerate() {
            let lse = max.add(i).read() + sum.add(i).read().ln();
            store(args.lse.typed::<f32>(), *row as usize, lse);
            store(args.nll.typed::<f32>(), *row as usize, lse - target.add(i).read());
            if let Some(correct) = args.correct {
                let hit = best.add(i).read() == *label as u32;
                store(correct.typed::<f32>(), *row as usize, if hit { 1.0 } else { 0.0 });
            }
        }
    }
    let Some(acc) = acc else { return Ok(()) };
    if !contiguous {
        spread(acc.get(), &live, rows, cols);
    }
    pool.parallel(count, &|i, _| {
        let (row, label) = (live[i] as usize, live_labels[i] as usize);
        // SAFETY: the row is this task's; the label is in the vocabulary.
        unsafe {
            let state = (*shared.get()).at(i);
            let slope = if soft_cap > 0.0 { 1.0 - (state.target.read() / soft_cap).powi(2) } else { 1.0 };
            let inverse = 1.0 / state.sum.read();
            let out = acc.get().add(row * cols);
            with_elem!(weight.dtype, E => {
                let weight = args.weight.typed::<E>().add(label * cols);
                for j in 0..cols {
                    store(out, j, load(out, j) * inverse - load(weight, j) * slope);
                }
            });
        }
    });
    Ok(())
}

/// Moves row i of `acc` to row `live[i]` and clears the others. Rows only move down the matrix, so the last goes first.
fn spread(acc: *mut f32, live: &[u32], rows: usize, cols: usize) {
    let mut next = rows;
    for (i, row) in live.iter().enumerate().rev() {
        let row = *row as usize;
        // SAFETY: both rows are in dHidden; rows between this one and the next are not the source of any later move, since
        // those lie at or before i <= row.
        unsafe {
            std::ptr::copy(acc.add(i * cols) as *const u8, acc.add(row * cols) as *mut u8, cols * 4);
            std::ptr::write_bytes(acc.add((row + 1) * cols) as *mut u8, 0, (next - row - 1) * cols * 4);
        }
        next = row;
    }
    // SAFETY: rows before the first live one.
    unsafe { std::ptr::write_bytes(acc as *mut u8, 0, next * cols * 4) }
}

/// Per labelled row, next to each other: what the gradient of its logits needs.
#[derive(Clone, Copy)]
struct Columns {
    lse: *const f32,
    upstream: *const f32,
    labels: *const i32,
}

/// Turns products of `rows` vocabulary rows from `vocab` on with `cols` tokens into upstream * (softmax - onehot) and, with
/// a cap, times its slope.
#[inline(always)]
unsafe fn gradient_rows_body(s: *mut f32, (rows, cols): (usize, usize), vocab: usize, soft_cap: f32, of: Columns) {
    // SAFETY: one element per token, and row i of the task's own tile.
    unsafe {
        let lse = std::slice::from_raw_parts(of.lse, cols);
        let upstream = std::slice::from_raw_parts(of.upstream, cols);
        let labels = std::slice::from_raw_parts(of.labels, cols);
        for i in 0..rows {
            let row = std::slice::from_raw_parts_mut(s.add(i * STEP), cols);
            let index = (vocab + i) as i32;
            if soft_cap > 0.0 {
                for j in 0..cols {
                    let t = tanh_f32(row[j] / soft_cap);
                    let hit = if labels[j] == index { 1.0 } else { 0.0 };
                    row[j] = upstream[j] * (exp_f32(soft_cap * t - lse[j]) - hit) * (1.0 - t * t);
                }
            } else {
                for j in 0..cols {
                    let hit = if labels[j] == index { 1.0 } else { 0.0 };
                    row[j] = upstream[j] * (exp_f32(row[j] - lse[j]) - hit);
                }
            }
        }
    }
}

multiversion! {
    unsafe fn gradient_rows(s: *mut f32, size: (usize, usize), vocab: usize, soft_cap: f32, of: Columns) = gradient_rows_body
}

pub fn weight_backward(pool: &Pool, isa: Isa, args: &LinearCrossEntropyWeightBackward) -> Result<(), String> {
    args.check()?;
    let LinearCrossEntropyWeightBackward { rows, cols, vocab, soft_cap, .. } = *args;
    let (live, labels) = labelled(args.labels, rows, vocab)?;
    let count = live.len();
    if count == 0 || cols == 0 {
        return Ok(());
    }
    let kernel = Kernel::new(isa, args.compute);
    let (mr, nr) = (kernel.mr(), kernel.nr());
    let (hidden, weight) = (matrix(args.hidden, cols), matrix(args.weight, cols));
    let words = kernel.words(cols);
    // Tokens of one pass over dWeight, which is read and written once for each.
    let chunk = block_rows(words, STEP, STEP, 4 * STEP).min(count.next_multiple_of(STEP));
    let by_cols = kernel.b_words(cols, STEP);
    let contiguous = count == rows;
    let raw_words = if contiguous { 0 } else { (chunk * cols * hidden.dtype.size()).div_ceil(4) };
    let sizes = [kernel.b_words(chunk, cols), chunk / STEP * by_cols, raw_words, count, count];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let [packed_rows, packed_cols] = [0, 1].map(|i| Shared::new(pieces.take::<u32>(sizes[i])));
    let raw = Shared::new(pieces.take::<u32>(raw_words));
    let [lse, upstream] = [3, 4].map(|i| Shared::new(pieces.take::<f32>(sizes[i])));
    for (i, row) in live.iter().enumerate() {
        // SAFETY: the pieces have `count` elements; `check` found `rows` elements.
        unsafe {
            lse.get().add(i).write(load(args.lse.typed::<f32>(), *row as usize));
            upstream.get().add(i).write(load(args.upstream.typed::<f32>(), *row as usize));
        }
    }
    let most = panels_of(kernel, vocab, cols, pool.threads()) * mr;
    let scratch = [kernel.a_words(most, cols), most * STEP, kernel.a_words(mr, STEP)];
    let bytes = Pieces::bytes(&scratch);

    for start in (0..count).step_by(chunk) {
        let tokens = (count - start).min(chunk);
        let steps = tokens.div_ceil(STEP);
        let here = if contiguous {
            from_row(hidden, start)
        } else {
            // SAFETY: the piece has room for a chunk of rows.
            unsafe { gather(hidden, &live[start..start + tokens], raw.get() as *mut u8) }
        };
        let (row_panels, col_panels) = (tokens.div_ceil(nr), cols.div_ceil(nr));
        pool.parallel(row_panels + steps * col_panels, &|task, _| {
            // SAFETY: each panel is packed by one task, inside its piece, from rows of hidden that are there.
            unsafe {
                if task < row_panels {
                    let to = packed_rows.get().add(task * nr * words);
                    kernel.pack_b(to, here, task * nr, (tokens - task * nr).min(nr), 0, cols);
                } else {
                    let (step, panel) = ((task - row_panels) / col_panels, (task - row_panels) % col_panels);
                    let len = (tokens - step * STEP).min(STEP);
                    let to = packed_cols.get().add(step * by_cols + panel * nr * kernel.words(len));
                    let across = Matrix { across: true, ..here };
                    kernel.pack_b(to, across, panel * nr, (cols - panel * nr).min(nr), step * STEP, len);
                }
            }
        });
        pool.parallel(vocab.div_ceil(most), &|task, worker| {
            let from = task * most;
            let rows = (vocab - from).min(most);
            // SAFETY: this task's scratch, cut into pieces of the sizes used below; the panels are packed; the rows of
            // dWeight are this task's alone.
            unsafe {
                let mut pieces = Pieces::new(pool.scratch(worker, bytes));
                let (a, s, a_g) =
                    (pieces.take::<u32>(scratch[0]), pieces.take::<f32>(scratch[1]), pieces.take::<u32>(scratch[2]));
                kernel.pack_a_panels(a, from_row(weight, from), 0, rows, 0, cols);
                let tile = Tile::adding(args.d_weight.typed::<f32>().add(from * cols), cols);
                for step in 0..steps {
                    let (at, len) = (start + step * STEP, (tokens - step * STEP).min(STEP));
                    let b = packed_rows.get().add(step * STEP * words);
                    kernel.multiply_panels(rows, len, words, a, b, Tile::new(s, STEP));
                    let of = Columns {
                        lse: lse.get().add(at),
                        upstream: upstream.get().add(at),
                        labels: labels[at..].as_ptr(),
                    };
                    gradient_rows(isa, s, (rows, len), from, soft_cap, of);
                    let b = packed_cols.get().add(step * by_cols);
                    for row in (0..rows).step_by(mr) {
                        let m = (rows - row).min(mr);
                        let g = Matrix { ptr: s as *const u8, dtype: DType::F32, ld: STEP, across: false };
                        kernel.pack_a(a_g, g, row, m, 0, len, 1.0);
                        kernel.multiply_panels(m, cols, kernel.words(len), a_g, b, tile.at(row, 0));
                    }
                }
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::testing::{error, isas, Random, Tensor};

    #[derive(Clone, Copy)]
    struct Case {
        rows: usize,
        cols: usize,
        vocab: usize,
        soft_cap: f32,
        dtype: DType,
        compute: bool,
        /// One row in so many is skipped; 0 skips none.
        skip: usize,
    }

    const CASE: Case = Case { rows: 5, cols: 7, vocab: 11, soft_cap: 0.0, dtype: DType::F32, compute: false, skip: 3 };

    struct Exact {
        nll: Vec<f64>,
        lse: Vec<f64>,
        correct: Vec<f64>,
        d_hidden: Vec<f64>,
        d_weight: Vec<f64>,
    }

    fn exact(case: &Case, hidden: &[f32], weight: &[f32], labels: &[i32], upstream: &[f32], d_weight: &[f32]) -> Exact {
        let Case { rows, cols, vocab, .. } = *case;
        let cap = case.soft_cap as f64;
        let (mut nll, mut lse, mut correct) = (vec![0f64; rows], vec![0f64; rows], vec![0f64; rows]);
        let mut d_hidden = vec![0f64; rows * cols];
        let mut d_weight: Vec<f64> = d_weight.iter().map(|x| *x as f64).collect();
        for r in (0..rows).filter(|r| labels[*r] >= 0) {
            let label = labels[r] as usize;
            let raw: Vec<f64> = (0..vocab)
                .map(|v| (0..cols).map(|c| hidden[r * cols + c] as f64 * weight[v * cols + c] as f64).sum())
                .collect();
            let z: Vec<f64> = raw.iter().map(|s| if cap > 0.0 { cap * (s / cap).tanh() } else { *s }).collect();
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            lse[r] = sum.ln();
            nll[r] = lse[r] - z[label];
            let best = (0..vocab).fold(0, |b, v| if z[v] > z[b] { v } else { b });
            correct[r] = if best == label { 1.0 } else { 0.0 };
            for v in 0..vocab {
                let slope = if cap > 0.0 { 1.0 - (z[v] / cap).powi(2) } else { 1.0 };
                let d = (z[v].exp() / sum - if v == label { 1.0 } else { 0.0 }) * slope;
                for c in 0..cols {
                    d_hidden[r * cols + c] += d * weight[v * cols + c] as f64;
                    d_weight[v * cols + c] += upstream[r] as f64 * d * hidden[r * cols + c] as f64;
                }
            }
        }
        Exact { nll, lse, correct, d_hidden, d_weight }
    }

    impl Case {
        fn run(self, seed: u64) {
            let mut random = Random(seed);
            let Case { rows, cols, vocab, soft_cap, dtype, compute, skip } = self;
            let hidden = Tensor::random(&mut random, rows * cols, dtype, true);
            let weight = Tensor::random(&mut random, vocab * cols, dtype, seed.is_multiple_of(2));
            let skipped = |r: usize| skip > 0 && (r + 1).is_multiple_of(skip);
            let labels: Vec<i32> =
                (0..rows).map(|r| if skipped(r) { SKIPPED } else { random.below(vocab) as i32 }).collect();
            let upstream = Tensor::random(&mut random, rows, DType::F32, true);
            let old: Vec<f32> = (0..vocab * cols).map(|_| random.value()).collect();
            let want = exact(&self, &hidden.values(), &weight.values(), &labels, &upstream.values(), &old);
            let labels = Tensor::ints(&labels);
            let tolerance = if compute { 0.02 } else { 5e-6 };
            for isa in isas() {
                let mut bits: Option<Vec<u32>> = None;
                for threads in [1, 2, 3] {
                    let pool = Pool::new(threads).unwrap();
                    let vector = || Tensor::of(&vec![9.0; rows], DType::F32, true);
                    let (nll, lse, correct) = (vector(), vector(), vector());
                    let d_hidden = Tensor::of(&vec![9.0; rows * cols], DType::F32, true);
                    let args = LinearCrossEntropy {
                        nll: nll.view(),
                        lse: lse.view(),
                        correct: Some(correct.view()),
                        d_hidden: Some(d_hidden.view()),
                        hidden: hidden.view(),
                        weight: weight.view(),
                        labels: labels.view(),
                        rows,
                        cols,
                        vocab,
                        soft_cap,
                        compute,
                    };
                    forward(&pool, isa, &args).unwrap();
                    let d_weight = Tensor::of(&old, DType::F32, true);
                    let backward_args = LinearCrossEntropyWeightBackward {
                        d_weight: d_weight.view(),
                        hidden: hidden.view(),
                        weight: weight.view(),
                        labels: labels.view(),
                        lse: lse.view(),
                        upstream: upstream.view(),
                        rows,
                        cols,
                        vocab,
                        soft_cap,
                        compute,
                    };
                    weight_backward(&pool, isa, &backward_args).unwrap();
                    let results = [
                        ("nll", &nll, &want.nll),
                        ("lse", &lse, &want.lse),
                        ("dHidden", &d_hidden, &want.d_hidden),
                        ("dWeight", &d_weight, &want.d_weight),
                    ];
                    for (name, got, want) in results {
                        let e = error(&got.values(), want);
                        assert!(e < tolerance, "{isa:?} {name}: error {e}, case {seed}");
                        got.check_guard();
                    }
                    let hits: Vec<f64> = correct.values().iter().map(|x| *x as f64).collect();
                    assert!(compute || hits == want.correct, "{isa:?} correct, case {seed}");
                    let all: Vec<u32> = results.iter().flat_map(|(_, t, _)| t.bits()).collect();
                    assert!(bits.as_ref().is_none_or(|b| *b == all), "{isa:?}: {threads} threads give other bits");
                    bits.get_or_insert(all);

                    // Without the optional results the others are the same.
                    let (nll_only, lse_only) = (vector(), vector());
                    let alone = LinearCrossEntropy {
                        nll: nll_only.view(),
                        lse: lse_only.view(),
                        correct: None,
                        d_hidden: None,
                        ..args
                    };
                    forward(&pool, isa, &alone).unwrap();
                    assert!(error(&nll_only.values(), &want.nll) < tolerance);
                    assert!(error(&lse_only.values(), &want.lse) < tolerance);
                }
            }
        }
    }

    #[test]
    fn losses_and_both_gradients_agree_with_f64_on_odd_shapes() {
        let mut seed = 0;
        for (rows, cols, vocab) in [(1, 1, 1), (5, 7, 11), (15, 33, 513), (31, 64, 1500), (130, 20, 4700), (600, 9, 70)]
        {
            for skip in [0, 1, 2, 3] {
                for soft_cap in [0.0, 2.0] {
                    seed += 1;
                    Case { rows, cols, vocab, skip, soft_cap, ..CASE }.run(seed);
                }
            }
        }
    }

    #[test]
    fn bf16_factors_stay_close_to_f64() {
        for (seed, (rows, cols, vocab)) in [(15, 33, 513), (40, 64, 1500)].into_iter().enumerate() {
            Case { rows, cols, vocab, dtype: DType::Bf16, compute: true, ..CASE }.run(seed as u64);
            Case { rows, cols, vocab, dtype: DType::Bf16, ..CASE }.run(seed as u64);
            Case { rows, cols, vocab, soft_cap: 3.0, compute: true, ..CASE }.run(seed as u64);
        }
    }

    /// nll, lse, correct and dHidden of one call.
    fn call(isa: Isa, hidden: &[f32], weight: &[f32], labels: &[i32], cols: usize) -> Result<[Vec<f32>; 4], String> {
        let (rows, vocab) = (labels.len(), weight.len() / cols);
        let tensor = |values: &[f32]| Tensor::of(values, DType::F32, true);
        let (hidden, weight, labels) = (tensor(hidden), tensor(weight), Tensor::ints(labels));
        let [nll, lse, correct] = [0; 3].map(|_| Tensor::new(rows, DType::F32, true));
        let d_hidden = Tensor::new(rows * cols, DType::F32, true);
        let args = LinearCrossEntropy {
            nll: nll.view(),
            lse: lse.view(),
            correct: Some(correct.view()),
            d_hidden: Some(d_hidden.view()),
            hidden: hidden.view(),
            weight: weight.view(),
            labels: labels.view(),
            rows,
            cols,
            vocab,
            soft_cap: 0.0,
            compute: false,
        };
        forward(&Pool::new(2)?, isa, &args)?;
        Ok([nll, lse, correct, d_hidden].map(|t| t.values()))
    }

    #[test]
    fn a_row_whose_logits_overflow_is_nan_and_the_others_are_not() {
        for isa in isas() {
            let hidden = [1.0, 0.0, f32::MAX, f32::MAX, f32::NAN, 0.0, 0.5, 0.5];
            let weight = [1.0, 1.0, 2.0, -0.5, 0.25, 3.0];
            let [nll, lse, _, d_hidden] = call(isa, &hidden, &weight, &[0, 1, 2, 1], 2).unwrap();
            for row in 0..4 {
                let nan = row == 1 || row == 2;
                assert_eq!([nll[row], lse[row], d_hidden[2 * row]].map(f32::is_nan), [nan; 3], "{isa:?} row {row}");
            }
        }
    }

    #[test]
    fn only_the_first_of_equal_largest_logits_counts_as_correct() {
        for isa in isas() {
            let weight: Vec<f32> = (0..1000).map(|v| if v == 3 || v == 700 || v == 701 { 2.0 } else { 1.0 }).collect();
            let [_, _, correct, _] = call(isa, &[1.0; 4], &weight, &[3, 700, 701, 0], 1).unwrap();
            assert_eq!(correct, [1.0, 0.0, 0.0, 0.0], "{isa:?}");
        }
    }

    #[test]
    fn a_label_outside_the_vocabulary_is_an_error_that_names_it() {
        for label in [3, -1, i32::MAX] {
            let error = call(Isa::Portable, &[1.0; 2], &[1.0; 3], &[0, label], 1).unwrap_err();
            assert!(error.contains(&format!("labels[1] is {label}")), "{error}");
        }
    }
}
