//! Causal attention inside segments, tile by tile with an online softmax; of the scores only their log-sum-exp is kept.
//!
//! Tiles are as wide as a B panel and so laid out that what they become is a factor as it stands. In the forward pass a
//! tile has a query in each column, so that the softmax is the same for every lane, and its exponentials are the panel
//! that values are multiplied with: the output is summed in columns too. In the backward pass a tile has a key in each
//! column, and probabilities and gradients are panels for dv and dk (in columns); only for dq they are transposed.
//!
//! Work is cut by shape, and every result is summed in an order that the shape gives.

use crate::arguments::{Attention, AttentionBackward, Geometry};
#[cfg(target_arch = "x86_64")]
use crate::attention_avx512;
use crate::block;
use crate::buffer::{load, store, DType, View};
use crate::elementwise::volume;
use crate::gemm::{Kernel, Matrix, Pieces, Shared, Tile, RESULTS};
use crate::isa::Isa;
use crate::math::{exp_f32, tanh_f32};
use crate::multiversion;
use crate::pool::Pool;

/// A panels of keys (in the backward pass of queries) per inner step.
const PANELS: usize = 9;
/// Most columns of a B panel.
const COLUMNS: usize = 32;
/// Elements of one factor of a task's block of queries (in the backward pass of keys): with the other factors and the sums
/// they fit the second-level cache.
const BLOCK: usize = 32 << 10;

/// Rows of a block: B panels, of which `BLOCK` elements hold that many.
fn block_rows(kernel: Kernel, dim: usize) -> usize {
    (BLOCK / dim.max(1)).next_multiple_of(kernel.nr())
}

impl Attention {
    pub fn check(&self) -> Result<(), String> {
        self.geometry.check(self.out, self.lse)
    }
}

impl Geometry {
    /// Of the inputs, and of the results `out` and `lse` of the forward pass.
    fn check(&self, out: View, lse: View) -> Result<(), String> {
        let &Geometry { rows, heads, kv_heads, dim, .. } = self;
        if heads == 0 || kv_heads == 0 || heads % kv_heads != 0 {
            return Err(format!("{heads} query heads cannot share {kv_heads} key heads evenly"));
        }
        let named = |name: &str| format!("{name} ({rows}, {heads}, {dim})");
        out.is_one_of("out", &RESULTS)?;
        out.holds(&named("out"), volume(&[rows, heads, dim])?)?;
        lse.is_one_of("lse", &[DType::F32])?;
        lse.holds(&format!("lse ({heads}, {rows})"), volume(&[heads, rows])?)?;
        self.check_heads("q", self.q, heads, self.q_stride, self.q_head)?;
        self.check_heads("k", self.k, kv_heads, self.k_stride, self.k_head)?;
        self.check_heads("v", self.v, kv_heads, self.v_stride, self.v_head)?;
        if let Some(slopes) = self.slopes {
            slopes.is_one_of("slopes", &[DType::F32])?;
            slopes.holds(&format!("slopes ({heads})"), heads)?;
        }
        self.segments.is_one_of("segments", &[DType::I32])?;
        let count = self.segment_count.saturating_add(1);
        self.segments.holds(&format!("segments ({} + 1)", self.segment_count), count)
    }

    fn check_heads(&self, name: &str, view: View, heads: usize, stride: usize, head: usize) -> Result<(), String> {
        let name = format!("{name} ({}, {heads}, {})", self.rows, self.dim);
        view.is_one_of(&name, &RESULTS)?;
        let width = (heads - 1).checked_mul(head).and_then(|last| last.checked_add(self.dim));
        view.holds_rows(&name, self.rows, width.ok_or_else(|| format!("{name} is too large"))?, stride)
    }

    /// (first token, length) of each segment.
    fn segments(&self) -> Result<Vec<(usize, usize)>, String> {
        // SAFETY: `check` found segment_count + 1 elements.
        let at = |i: usize| unsafe { (self.segments.ptr() as *const i32).add(i).read_unaligned() };
        let offsets: Vec<i32> = (0..=self.segment_count).map(at).collect();
        let ordered = offsets.windows(2).all(|w| w[0] <= w[1]);
        if !ordered || offsets[0] != 0 || offsets[self.segment_count] as usize != self.rows {
            return Err(format!("segments must rise from 0 to {} rows, are {offsets:?}", self.rows));
        }
        Ok(offsets.windows(2).map(|w| (w[0] as usize, (w[1] - w[0]) as usize)).collect())
    }

    /// Blocks of at most `size` rows of every segment, those with the most `work(length, start)` first.
    fn blocks(&self, size: usize, work: impl Fn(usize, usize) -> usize) -> Result<Vec<Block>, String> {
        let mut blocks = Vec::new();
        for (first, len) in self.segments()? {
            blocks.extend((0..len).step_by(size).map(|start| Block {
                first,
                len,
                start,
                rows: (len - start).min(size),
            }));
        }
        blocks.sort_by_key(|b| std::cmp::Reverse(work(b.len, b.start)));
        Ok(blocks)
    }

    fn kv_head(&self, head: usize) -> usize {
        head * self.kv_heads / self.heads
    }

    fn slope(&self, head: usize) -> f32 {
        // SAFETY: `check` found one slope per head.
        self.slopes.map_or(0.0, |s| unsafe { load(s.typed::<f32>(), head) })
    }

    fn query(&self, token: usize, head: usize) -> Matrix {
        rows_of(self.q, token * self.q_stride + head * self.q_head, self.q_stride)
    }

    fn key(&self, token: usize, kv_head: usize) -> Matrix {
        rows_of(self.k, token * self.k_stride + kv_head * self.k_head, self.k_stride)
    }

    fn value(&self, token: usize, kv_head: usize) -> Matrix {
        rows_of(self.v, token * self.v_stride + kv_head * self.v_head, self.v_stride)
    }

    /// Where the gradient of keys (or of values, where `which` is 1) of tokens from one on goes: first element, row stride.
    fn kv_rows(&self, which: usize, to: View, token: usize, kv_head: usize) -> (View, usize, usize) {
        let (stride, head) = [(self.k_stride, self.k_head), (self.v_stride, self.v_head)][which];
        (to, token * stride + kv_head * head, stride)
    }

    fn scores(&self, head: usize) -> Scores {
        Scores { scale: self.scale, soft_cap: self.soft_cap, slope: self.slope(head), window: self.window }
    }

    /// Row stride of f32 accumulators.
    fn lanes(&self) -> usize {
        self.dim.next_multiple_of(16)
    }
}

/// Rows `start .. start + rows` of the segment of `len` tokens that begins at token `first`.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    len: usize,
    start: usize,
    rows: usize,
}

/// Token rows as a factor whose sum runs over the head's elements.
fn rows_of(view: View, offset: usize, stride: usize) -> Matrix {
    let ptr = view.ptr().wrapping_add(offset * view.dtype().size());
    Matrix { ptr, dtype: view.dtype(), ld: stride, across: false }
}

/// The same rows as a factor whose sum runs over the tokens.
fn along_tokens(matrix: Matrix) -> Matrix {
    Matrix { across: true, ..matrix }
}

fn f32_rows(ptr: *const f32, ld: usize) -> Matrix {
    Matrix { ptr: ptr as *const u8, dtype: DType::F32, ld, across: false }
}

/// What turns a product into a score.
#[derive(Clone, Copy)]
pub struct Scores {
    pub scale: f32,
    pub soft_cap: f32,
    pub slope: f32,
    pub window: usize,
}

impl Scores {
    /// A query sees the keys that it is less than this far behind of.
    #[inline(always)]
    fn reach(&self) -> u32 {
        let farthest = i32::MAX as usize;
        (if self.window == 0 { farthest } else { self.window.min(farthest) }) as u32
    }

    /// The score of a product.
    #[inline(always)]
    fn of<const CAP: bool>(&self, product: f32, behind: i32) -> f32 {
        let Scores { scale, soft_cap, slope, .. } = *self;
        let capped = if CAP { soft_cap * tanh_f32(product * scale / soft_cap) } else { product * scale };
        capped - slope * behind as f32
    }

    /// The derivative of the cap.
    #[inline(always)]
    fn slope_of_cap<const CAP: bool>(&self, product: f32) -> f32 {
        if !CAP {
            return 1.0;
        }
        let t = tanh_f32(product * self.scale / self.soft_cap);
        1.0 - t * t
    }

    /// Keys that query `q` sees, cut to `count` keys from `first` on and counted from there.
    #[inline(always)]
    pub fn keys(&self, q: usize, first: usize, count: usize) -> (usize, usize) {
        let from = if self.window > 0 { (q + 1).saturating_sub(self.window) } else { 0 };
        let (from, to) = (from.saturating_sub(first).min(count), (q + 1).saturating_sub(first).min(count));
        (from.min(to), to)
    }

    /// Queries that see key `k`, cut to `count` queries from `first` on and counted from there.
    #[inline(always)]
    pub fn queries(&self, k: usize, first: usize, count: usize) -> (usize, usize) {
        let to = if self.window > 0 { (k + self.window).saturating_sub(first).min(count) } else { count };
        (k.saturating_sub(first).min(to), to)
    }
}

const LANES: usize = 16;

/// Folds 16 lanes in halves: short chains, and always in the same order.
#[inline(always)]
fn fold_lanes(lanes: [f32; LANES], fold: impl Fn(f32, f32) -> f32) -> f32 {
    // Else LLVM gives the loop that filled the lanes the shape of this tree, which makes it scalar.
    let lanes = std::hint::black_box(lanes);
    let eight: [f32; 8] = std::array::from_fn(|i| fold(lanes[i], lanes[i + 8]));
    let four: [f32; 4] = std::array::from_fn(|i| fold(eight[i], eight[i + 4]));
    fold(fold(four[0], four[2]), fold(four[1], four[3]))
}

/// Folds a row lane by lane, so that it vectorises, then the lanes.
#[inline(always)]
fn fold_row(x: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = fold(*lane, *x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, *x);
    }
    fold_lanes(lanes, fold)
}

/// The largest element. NaN is passed over (the sum keeps it).
#[inline(always)]
pub fn max_of(x: &[f32]) -> f32 {
    fold_row(x, f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Replaces each x by e^(x - max) and returns their sum. Two plain loops: in one, LLVM vectorises by pairs.
#[inline(always)]
pub fn exp_sum(x: &mut [f32], max: f32) -> f32 {
    x.iter_mut().for_each(|x| *x = exp_f32(*x - max));
    fold_row(x, 0.0, |a, b| a + b)
}

/// Products of keys (the rows) and queries (the columns, as many as a B panel has) on their way to exponentials.
#[derive(Clone, Copy)]
pub struct SoftmaxTile {
    pub s: *mut f32,
    /// The rows that some query sees.
    pub keys: (usize, usize),
    /// Positions of column 0 and row 0.
    pub q: usize,
    pub k: usize,
    pub scores: Scores,
    /// What the online softmax carries from tile to tile: for each column the maximum that its exponentials are relative
    /// to, their sum, and (in `acc`, `dim` rows) the sum of values weighted with them.
    pub max: *mut f32,
    pub sum: *mut f32,
    pub acc: *mut f32,
    pub dim: usize,
}

/// Runs `$body` for the tile's number of columns, that of a B panel, and with or without a soft cap: loops whose length is
/// known vectorise.
macro_rules! by_columns {
    ($body:ident, $tile:expr, $columns:expr) => {
        match ($columns, $tile.scores.soft_cap > 0.0) {
            (8, false) => $body::<8, false>($tile),
            (8, true) => $body::<8, true>($tile),
            (16, false) => $body::<16, false>($tile),
            (16, true) => $body::<16, true>($tile),
            (32, false) => $body::<32, false>($tile),
            (32, true) => $body::<32, true>($tile),
            _ => unreachable!("no B panel is as wide"),
        }
    };
}

/// Turns products into exponentials relative to each column's running maximum, which is raised as need be, and rescales
/// the sums so far. Unseen keys become 0.
///
/// # Safety
/// The tile has as many columns as a B panel, and all of it and of the sums is the caller's.
#[inline(always)]
unsafe fn softmax_body(tile: SoftmaxTile, columns: usize) {
    // SAFETY: the caller's promise.
    unsafe { by_columns!(softmax_columns, tile, columns) }
}

/// # Safety
/// As `softmax_body`.
#[inline(always)]
unsafe fn softmax_columns<const N: usize, const CAP: bool>(tile: SoftmaxTile) {
    let SoftmaxTile { s, keys: (from, to), q, k, scores, max, sum, acc, dim } = tile;
    let reach = scores.reach();
    // SAFETY: the caller's promise.
    let (rows, max, sum, acc) = unsafe {
        (
            std::slice::from_raw_parts_mut(s.add(from * N) as *mut [f32; N], to - from),
            &mut *(max as *mut [f32; N]),
            &mut *(sum as *mut [f32; N]),
            std::slice::from_raw_parts_mut(acc as *mut [f32; N], dim),
        )
    };
    let mut raised = *max;
    for (row, key) in rows.iter_mut().zip(k + from..) {
        let behind = q as i32 - key as i32;
        for query in 0..N {
            let behind = behind + query as i32;
            let score = scores.of::<CAP>(row[query], behind);
            let score = if (behind as u32) < reach { score } else { f32::NEG_INFINITY };
            row[query] = score;
            raised[query] = if score > raised[query] { score } else { raised[query] };
            // a NaN is passed over; the sum keeps it
        }
    }
    let mut base = raised;
    // Scores of -infinity only are relative to 0, so that their exponentials are 0.
    base.iter_mut().for_each(|x| *x = if *x == f32::NEG_INFINITY { 0.0 } else { *x });
    let mut rescale = [0.0; N];
    for column in 0..N {
        rescale[column] = exp_f32(max[column] - base[column]);
        sum[column] *= rescale[column];
    }
    *max = raised;
    if rescale.iter().any(|x| *x != 1.0) {
        for acc in acc {
            for column in 0..N {
                acc[column] *= rescale[column];
            }
        }
    }
    for row in rows {
        for column in 0..N {
            row[column] = exp_f32(row[column] - base[column]);
            sum[column] += row[column];
        }
    }
}

multiversion! {
    unsafe fn softmax_plain(tile: SoftmaxTile, columns: usize) = softmax_body
}

/// Whether tiles go through registers only, which gives maxima as powers of 2.
fn vectors(isa: Isa, scores: Scores) -> bool {
    #[cfg(target_arch = "x86_64")]
    return isa >= Isa::Avx512 && attention_avx512::serves(scores);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (isa, scores);
        false
    }
}

/// `softmax_body`; then packs the exponentials as a B panel, keys along k, from row 0 of the tile on. The panel is `spare`
/// or takes the place of the scores.
///
/// # Safety
/// As for `softmax_body`; the first key is the first of an A panel, there is room for a row past the last, and `spare` has
/// the tile's size and alignment.
unsafe fn softmax(kernel: Kernel, tile: SoftmaxTile, spare: *mut u32) -> *const u32 {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if vectors(kernel.isa(), tile.scores) {
            attention_avx512::softmax(kernel.factors(), tile);
            return tile.s as *const u32;
        }
        let (nr, (from, to)) = (kernel.nr(), tile.keys);
        softmax_plain(kernel.isa(), tile, nr);
        kernel.pack_b(spare.add(kernel.words(from) * nr), along_tokens(f32_rows(tile.s, nr)), 0, nr, from, to - from);
        spare
    }
}

/// Stores `rows` rows of f32, `lanes` apart, as rows of `to` from element `at` on, each times its factor of `factors`; a
/// single factor is for all.
///
/// # Safety
/// The rows of `to` are the caller's to write, and it is f32 or bf16.
#[inline(always)]
unsafe fn store_rows_body(
    (to, at, stride): (View, usize, usize),
    from: *const f32,
    lanes: usize,
    (rows, dim): (usize, usize),
    factors: &[f32],
) {
    for i in 0..rows {
        let factor = factors[i.min(factors.len() - 1)];
        for (d, n) in block::blocks(0, dim) {
            let mut values = block::ZERO;
            // SAFETY: the caller's promise.
            unsafe {
                let from = std::slice::from_raw_parts(from.add(i * lanes + d), n);
                values.iter_mut().zip(from).for_each(|(value, x)| *value = x * factor);
                block::store(to, at + i * stride + d, &values[..n]);
            }
        }
    }
}

multiversion! {
    unsafe fn store_rows(to: (View, usize, usize), from: *const f32, lanes: usize, size: (usize, usize), factors: &[f32]) =
        store_rows_body
}

/// Stores the first `count` columns of sums (dim rows of nr columns) as rows; see `store_rows_body`.
///
/// # Safety
/// As there; `scratch` has room for nr rows of nr words, 64-byte aligned.
unsafe fn store_columns(
    isa: Isa,
    (to, at, stride): (View, usize, usize),
    sums: *const f32,
    (count, dim): (usize, usize),
    factors: &[f32],
    scratch: *mut f32,
) {
    let transposer = Kernel::new(isa, false);
    let nr = transposer.nr();
    for d in (0..dim).step_by(nr) {
        let width = (dim - d).min(nr);
        // SAFETY: the caller's promise.
        unsafe {
            transposer.pack_b(scratch as *mut u32, f32_rows(sums, nr), d, width, 0, count);
            store_rows(isa, (to, at + d, stride), scratch, nr, (count, width), factors);
        }
    }
}

pub fn forward(pool: &Pool, isa: Isa, args: &Attention) -> Result<(), String> {
    args.check()?;
    let g = &args.geometry;
    let &Geometry { rows: total, heads, dim, .. } = g;
    let kernel = Kernel::new(isa, g.compute);
    let (mr, nr) = (kernel.mr(), kernel.nr());
    let most = block_rows(kernel, dim);
    let step = PANELS * mr;
    let blocks = g.blocks(most, |_, start| start)?;
    let sizes = [
        kernel.b_words(most, dim),
        kernel.a_words(step, dim),
        kernel.a_words(dim, step),
        step * nr,
        step * nr,
        nr * nr,
        most * dim,
        most,
        most,
    ];
    let bytes = Pieces::bytes(&sizes);
    pool.parallel(blocks.len() * heads, &|task, worker| {
        let (block, head) = (blocks[task / heads], task % heads);
        let kv_head = g.kv_head(head);
        let scores = g.scores(head);
        let Block { first, start, rows, .. } = block;
        // SAFETY: this task's scratch, cut into pieces of the sizes that the panels and tiles below need; `check` and
        // `segments` vouch for the inputs, and the rows and head of the outputs are this task's alone.
        unsafe {
            let mut pieces = Pieces::new(pool.scratch(worker, bytes));
            let [b_q, a_k, a_v, spare] = [0, 1, 2, 3].map(|i| pieces.take::<u32>(sizes[i]));
            let [s, turned, acc, max, sum] = [4, 5, 6, 7, 8].map(|i| pieces.take::<f32>(sizes[i]));
            kernel.pack_b_panels(b_q, g.query(first + start, head), 0, rows, 0, dim);
            std::slice::from_raw_parts_mut(max, most).fill(f32::NEG_INFINITY);
            std::slice::from_raw_parts_mut(sum, most).fill(0.0);
            std::slice::from_raw_parts_mut(acc, most * dim).fill(0.0);
            let dim_words = kernel.words(dim);
            let end = start + rows;
            for k in (scores.keys(start, 0, end).0..end).step_by(step) {
                let keys = (end - k).min(step);
                kernel.pack_a_panels(a_k, g.key(first + k, kv_head), 0, keys, 0, dim);
                kernel.pack_a_panels(a_v, along_tokens(g.value(first + k, kv_head)), 0, dim, 0, keys);
                for column in (0..rows).step_by(nr) {
                    let (q, queries) = (start + column, (rows - column).min(nr));
                    let (from, to) = (scores.keys(q, k, keys).0, scores.keys(q + queries - 1, k, keys).1);
                    if from >= to {
                        continue;
                    }
                    let from = from / mr * mr;
                    let a = a_k.add(from * dim_words);
                    let tile = Tile::new(s.add(from * nr), nr);
                    kernel.multiply_panels(to - from, queries, dim_words, a, b_q.add(column * dim_words), tile);
                    let (max, sum, acc) = (max.add(column), sum.add(column), acc.add(column * dim));
                    let tile = SoftmaxTile { s, keys: (from, to), q, k, scores, max, sum, acc, dim };
                    let p = softmax(kernel, tile, spare);
                    let (skip, words) = (kernel.words(from), kernel.words(to - from));
                    for d in (0..dim).step_by(mr) {
                        let a = a_v.add(d * kernel.words(keys) + skip * mr);
                        let tile = Tile::adding(acc.add(d * nr), nr);
                        kernel.multiply((dim - d).min(mr), queries, words, a, p.add(skip * nr), tile);
                    }
                }
            }
            let unit = if vectors(isa, scores) { std::f32::consts::LN_2 } else { 1.0 };
            for column in (0..rows).step_by(nr) {
                let (token, queries) = (first + start + column, (rows - column).min(nr));
                let mut factors = [0.0; COLUMNS];
                for (i, factor) in factors.iter_mut().enumerate().take(queries) {
                    let (max, sum) = (max.add(column + i).read(), sum.add(column + i).read());
                    store(args.lse.typed::<f32>(), head * total + token + i, max * unit + sum.ln());
                    *factor = 1.0 / sum;
                }
                let to = (args.out, (token * heads + head) * dim, heads * dim);
                store_columns(isa, to, acc.add(column * dim), (queries, dim), &factors, turned);
            }
        }
    });
    Ok(())
}

/// Products s = q . k and dp = d_out . v of queries (the rows of one A panel, of which `queries` are there) and keys (the
/// columns) on their way to probabilities and gradients.
#[derive(Clone, Copy)]
pub struct GradientTile {
    pub s: *mut f32,
    pub dp: *mut f32,
    /// B panels, queries along k, of the probabilities and of the gradients of the products s (but for their scale).
    pub p: *mut u32,
    pub ds: *mut u32,
    /// An A panel of the same gradients, keys along k.
    pub ds_across: *mut u32,
    pub queries: usize,
    /// Positions of row 0 and column 0.
    pub q: usize,
    pub k: usize,
    pub scores: Scores,
    /// Of each row: the log-sum-exp of its scores, and the sum of its probabilities' gradients weighted with them.
    pub lse: *const f32,
    pub delta: *const f32,
}

/// Turns products s into probabilities and dp into gradients of the products (but for their scale).
///
/// # Safety
/// The tiles have as many columns as a B panel and are the caller's.
#[inline(always)]
unsafe fn gradient_body(tile: GradientTile, columns: usize) {
    // SAFETY: the caller's promise.
    unsafe { by_columns!(gradient_columns, tile, columns) }
}

/// # Safety
/// As `gradient_body`.
#[inline(always)]
unsafe fn gradient_columns<const N: usize, const CAP: bool>(tile: GradientTile) {
    let GradientTile { s, dp, queries, q, k, scores, lse, delta, .. } = tile;
    let reach = scores.reach();
    for i in 0..queries {
        // SAFETY: the caller's promise.
        let (p, ds, lse, delta) = unsafe {
            (
                &mut *(s.add(i * N) as *mut [f32; N]),
                &mut *(dp.add(i * N) as *mut [f32; N]),
                lse.add(i).read(),
                delta.add(i).read(),
            )
        };
        let behind = (q + i) as i32 - k as i32;
        for column in 0..N {
            let behind = behind - column as i32;
            let seen = (behind as u32) < reach;
            let score = scores.of::<CAP>(p[column], behind);
            let gradient = (ds[column] - delta) * scores.slope_of_cap::<CAP>(p[column]);
            let probability = exp_f32(score - lse);
            p[column] = if seen { probability } else { 0.0 };
            ds[column] = if seen { probability * gradient } else { 0.0 };
        }
    }
}

multiversion! {
    unsafe fn gradient_plain(tile: GradientTile, columns: usize) = gradient_body
}

/// `gradient_body`; then packs its results.
///
/// # Safety
/// As for `gradient_body`; the panels are the caller's, 64-byte aligned but for the one across.
unsafe fn gradient(kernel: Kernel, tile: GradientTile) {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if vectors(kernel.isa(), tile.scores) {
            return attention_avx512::gradient(kernel.factors(), tile);
        }
        let nr = kernel.nr();
        gradient_plain(kernel.isa(), tile, nr);
        let [p, ds] = [tile.s, tile.dp].map(|x| f32_rows(x, nr));
        kernel.pack_b(tile.p, along_tokens(p), 0, nr, 0, tile.queries);
        kernel.pack_b(tile.ds, along_tokens(ds), 0, nr, 0, tile.queries);
        kernel.pack_a(tile.ds_across, ds, 0, tile.queries, 0, nr, 1.0);
    }
}

impl AttentionBackward {
    pub fn check(&self) -> Result<(), String> {
        let g = &self.geometry;
        g.check(self.out, self.lse)?;
        self.d_out.is_one_of("dOut", &RESULTS)?;
        self.d_out.holds(&format!("dOut ({}, {}, {})", g.rows, g.heads, g.dim), volume(&[g.rows, g.heads, g.dim])?)?;
        g.check_heads("dq", self.dq, g.heads, g.q_stride, g.q_head)?;
        g.check_heads("dk", self.dk, g.kv_heads, g.k_stride, g.k_head)?;
        g.check_heads("dv", self.dv, g.kv_heads, g.v_stride, g.v_head)
    }

    fn d_out(&self, token: usize, head: usize) -> Matrix {
        let Geometry { heads, dim, .. } = self.geometry;
        rows_of(self.d_out, (token * heads + head) * dim, heads * dim)
    }
}

/// For each of `rows` rows of both views, `stride` apart from element `at` on, the sum of the products of their elements.
///
/// # Safety
/// The views hold them and are f32 or bf16, and the sums are the caller's to write.
#[inline(always)]
unsafe fn dots_body(sums: *mut f32, a: View, b: View, at: usize, stride: usize, (rows, dim): (usize, usize)) {
    for i in 0..rows {
        let mut sum = block::Sum::ZERO;
        for (d, n) in block::blocks(at + i * stride, at + i * stride + dim) {
            let (mut x, mut y) = (block::ZERO, block::ZERO);
            // SAFETY: the caller's promise.
            unsafe {
                block::load(a, d, &mut x[..n]);
                block::load(b, d, &mut y[..n]);
            }
            sum.add2(&x[..n], &y[..n], |x, y| x * y);
        }
        // SAFETY: the caller's promise.
        unsafe { sums.add(i).write(sum.total()) };
    }
}

multiversion! {
    unsafe fn dots(sums: *mut f32, a: View, b: View, at: usize, stride: usize, size: (usize, usize)) = dots_body
}

/// Adds up several runs of `count` sums in the first, in order.
///
/// # Safety
/// All are the caller's.
unsafe fn sum_into_first(mut from: impl Iterator<Item = *mut f32>, count: usize) -> *const f32 {
    let first = from.next().expect("at least one");
    for more in from {
        // SAFETY: the caller's promise.
        let (sums, more) =
            unsafe { (std::slice::from_raw_parts_mut(first, count), std::slice::from_raw_parts(more, count)) };
        sums.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
    }
    first
}

/// Most words of f32 gradients of shared keys and values that are held at once (64 MiB), where that keeps threads busy.
const SHARED_WORDS: usize = 16 << 20;
/// Fewer tasks than this do not keep the threads of a machine busy.
const FEW_TASKS: usize = 8;

/// How the backward pass is cut into tasks, by shape and not by the number of threads, so that results do not depend on it.
struct Cut {
    /// (first token, length) of each segment that has any.
    segments: Vec<(usize, usize)>,
    longest: usize,
    /// The query heads that share keys are shared out among this many tasks; dk and dv are then sums over these, and over
    /// the heads of each.
    turns: usize,
    /// Blocks of keys are shared out among this many tasks; dq is then a sum over these.
    parts: usize,
    /// Keys of a block.
    keys: usize,
}

impl Cut {
    fn new(kernel: Kernel, f: &Geometry) -> Result<Cut, String> {
        let Geometry { heads, kv_heads, dim, .. } = *f;
        let mut segments = f.segments()?;
        segments.retain(|(_, len)| *len > 0);
        let longest = segments.iter().map(|(_, len)| *len).max().unwrap_or(0);
        let tasks = (segments.len() * kv_heads).max(1);
        let mut cut = Cut { segments, longest, turns: 1, parts: 1, keys: 0 };
        let fit = SHARED_WORDS / cut.shared_words(kernel, f).max(1);
        cut.turns = fit.max(FEW_TASKS.div_ceil(tasks)).min(heads.div_ceil(kv_heads));
        let wanted = FEW_TASKS.div_ceil(tasks * cut.turns);
        // Two blocks a task, since the first ones are seen by more queries.
        let most = if wanted > 1 { longest.div_ceil(2 * wanted) } else { longest };
        cut.keys = block_rows(kernel, dim).min(most.next_multiple_of(kernel.nr())).max(kernel.nr());
        cut.parts = wanted.min(longest.div_ceil(cut.keys)).max(1);
        Ok(cut)
    }

    /// Columns of the keys of all segments, each one's in whole B panels.
    fn columns(&self, kernel: Kernel, f: &Geometry) -> usize {
        f.rows + self.segments.len() * kernel.nr()
    }

    /// Words of dk and dv, in columns, of every turn of every head of keys; none where no head shares its keys.
    fn shared_words(&self, kernel: Kernel, f: &Geometry) -> usize {
        if f.heads == f.kv_heads {
            return 0;
        }
        2 * f.kv_heads * self.turns * self.columns(kernel, f) * f.dim
    }
}

/// One task after the other makes the scores of the query heads and blocks of keys that are its share once: dk and dv are
/// complete with a block of keys (which the heads that share keys add up), dq with the last one.
pub fn backward(pool: &Pool, isa: Isa, args: &AttentionBackward) -> Result<(), String> {
    args.check()?;
    let f = &args.geometry;
    let Geometry { rows: total, heads, kv_heads, dim, window, scale, .. } = *f;
    let kernel = Kernel::new(isa, f.compute);
    let (mr, nr, lanes) = (kernel.mr(), kernel.nr(), f.lanes());
    let cut = &Cut::new(kernel, f)?;
    let Cut { ref segments, longest, turns, parts, keys: most } = *cut;
    let dkv_words = cut.shared_words(kernel, f);
    let columns = cut.columns(kernel, f);
    let dq_words = if parts > 1 { parts * heads * total * lanes } else { 0 };
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&[dkv_words, dq_words])) });
    let [shared_dkv, shared_dq] = [dkv_words, dq_words].map(|words| Shared::new(pieces.take::<f32>(words)));
    // Where the columns of keys `start ..` of a segment are: `which` is 0 for dk and 1 for dv.
    let dkv_at = |which: usize, kv_head: usize, turn: usize, segment: usize, start: usize| {
        let column = segments[segment].0 + segment * nr + start;
        (((which * kv_heads + kv_head) * turns + turn) * columns + column) * dim
    };
    let dq_at = |part: usize, head: usize, token: usize| ((part * heads + head) * total + token) * lanes;
    let members = |kv_head: usize| (0..heads).filter(move |head| f.kv_head(*head) == kv_head);

    let step = PANELS * mr;
    let (a_step, a_dim) = (kernel.a_words(step, dim), kernel.a_words(dim, step));
    let sizes = [
        kernel.b_words(most, dim),
        kernel.b_words(most, dim),
        kernel.b_words(dim, most),
        a_step,
        a_step,
        a_dim,
        a_dim,
        kernel.b_words(nr, step),
        kernel.b_words(nr, step),
        kernel.a_words(step, most),
        mr * nr,
        mr * nr,
        nr * nr,
        most * dim,
        most * dim,
        longest * lanes,
        longest + mr,
        longest + mr,
    ];
    let bytes = Pieces::bytes(&sizes);
    pool.parallel(segments.len() * kv_heads * turns * parts, &|task, worker| {
        let (task, part) = (task / parts, task % parts);
        let (task, turn) = (task / turns, task % turns);
        let (segment, kv_head) = (task / kv_heads, task % kv_heads);
        let (first, len) = segments[segment];
        // SAFETY: this task's scratch, cut into pieces of the sizes that the panels and tiles below need; `check` and
        // `segments` vouch for the inputs, and what is written of the outputs or of the shared sums is this task's alone.
        unsafe {
            let mut pieces = Pieces::new(pool.scratch(worker, bytes));
            let [b_k, b_v, b_k_dim, a_q, a_o, a_q_dim, a_o_dim, p, ds, ds_across] =
                std::array::from_fn(|i| pieces.take::<u32>(sizes[i]));
            let [s, dp, turned, dk, dv, dq, lse, delta] = std::array::from_fn(|i| pieces.take::<f32>(sizes[10 + i]));
            let dim_words = kernel.words(dim);
            for (round, head) in members(kv_head).skip(turn).step_by(turns).enumerate() {
                let scores = f.scores(head);
                for i in 0..len {
                    lse.add(i).write(load(args.lse.typed::<f32>(), head * total + first + i));
                }
                dots(isa, delta, args.d_out, args.out, (first * heads + head) * dim, heads * dim, (len, dim));
                std::slice::from_raw_parts_mut(dq, len * lanes).fill(0.0);
                for start in (part * most..len).step_by(parts * most) {
                    let rows = (len - start).min(most);
                    let end = if window > 0 { len.min(start + rows - 1 + window) } else { len };
                    let key = f.key(first + start, kv_head);
                    kernel.pack_b_panels(b_k, key, 0, rows, 0, dim);
                    kernel.pack_b_panels(b_v, f.value(first + start, kv_head), 0, rows, 0, dim);
                    kernel.pack_b_panels(b_k_dim, along_tokens(key), 0, dim, 0, rows);
                    for sums in [dk, dv] {
                        std::slice::from_raw_parts_mut(sums, rows.next_multiple_of(nr) * dim).fill(0.0);
                    }
                    // Words of an A panel of gradients across.
                    let across = kernel.words(rows.next_multiple_of(nr)) * mr;
                    for q in (start..end).step_by(step) {
                        let queries = (end - q).min(step);
                        let (query, d_out) = (f.query(first + q, head), args.d_out(first + q, head));
                        kernel.pack_a_panels(a_q, query, 0, queries, 0, dim);
                        kernel.pack_a_panels(a_o, d_out, 0, queries, 0, dim);
                        kernel.pack_a_panels(a_q_dim, along_tokens(query), 0, dim, 0, queries);
                        kernel.pack_a_panels(a_o_dim, along_tokens(d_out), 0, dim, 0, queries);
                        for column in (0..rows).step_by(nr) {
                            let (k, keys) = (start + column, (rows - column).min(nr));
                            let from = scores.queries(k, q, queries).0 / mr * mr;
                            let to = scores.queries(k + keys - 1, q, queries).1;
                            if from >= to {
                                continue;
                            }
                            for row in (from..to).step_by(mr) {
                                let m = (to - row).min(mr);
                                for (a, b, tile) in [(a_q, b_k, s), (a_o, b_v, dp)] {
                                    let (a, b) = (a.add(row * dim_words), b.add(column * dim_words));
                                    kernel.multiply(m, keys, dim_words, a, b, Tile::new(tile, nr));
                                }
                                let at = kernel.words(row) * nr;
                                let tile = GradientTile {
                                    s,
                                    dp,
                                    p: p.add(at),
                                    ds: ds.add(at),
                                    ds_across: ds_across.add(row / mr * across + kernel.words(column) * mr),
                                    queries: m,
                                    q: q + row,
                                    k,
                                    scores,
                                    lse: lse.add(q + row),
                                    delta: delta.add(q + row),
                                };
                                gradient(kernel, tile);
                            }
                            let (skip, words) = (kernel.words(from), kernel.words(to - from));
                            for (a, b, sums) in [(a_o_dim, p, dv), (a_q_dim, ds, dk)] {
                                for d in (0..dim).step_by(mr) {
                                    let a = a.add(d * kernel.words(queries) + skip * mr);
                                    let tile = Tile::adding(sums.add(column * dim + d * nr), nr);
                                    kernel.multiply((dim - d).min(mr), keys, words, a, b.add(skip * nr), tile);
                                }
                            }
                        }
                        for row in (0..queries).step_by(mr) {
                            let m = (queries - row).min(mr);
                            let from = scores.keys(q + row, start, rows).0;
                            let to = scores.keys(q + row + m - 1, start, rows).1;
                            if from >= to {
                                continue;
                            }
                            let from = from / nr * nr;
                            let (skip, words) = (kernel.words(from), kernel.words(to - from));
                            let a = ds_across.add(row / mr * across + skip * mr);
                            for d in (0..dim).step_by(nr) {
                                let b = b_k_dim.add(d * kernel.words(rows) + skip * nr);
                                let tile = Tile::adding(dq.add((q + row) * lanes + d), lanes);
                                kernel.multiply(m, (dim - d).min(nr), words, a, b, tile);
                            }
                        }
                    }
                    for (which, to, sums, factor) in [(0, args.dk, dk, scale), (1, args.dv, dv, 1.0)] {
                        if dkv_words > 0 {
                            let size = rows.next_multiple_of(nr) * dim;
                            let to = shared_dkv.get().add(dkv_at(which, kv_head, turn, segment, start));
                            let (to, sums) =
                                (std::slice::from_raw_parts_mut(to, size), std::slice::from_raw_parts(sums, size));
                            if round == 0 {
                                to.copy_from_slice(sums);
                            } else {
                                to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
                            }
                            continue;
                        }
                        for column in (0..rows).step_by(nr) {
                            let to = f.kv_rows(which, to, first + start + column, kv_head);
                            let size = ((rows - column).min(nr), dim);
                            store_columns(isa, to, sums.add(column * dim), size, &[factor], turned);
                        }
                    }
                }
                if parts > 1 {
                    let to = shared_dq.get().add(dq_at(part, head, first));
                    std::ptr::copy_nonoverlapping(dq, to, len * lanes);
                } else {
                    let to = (args.dq, first * f.q_stride + head * f.q_head, f.q_stride);
                    store_rows(isa, to, dq, lanes, (len, dim), &[scale]);
                }
            }
        }
    });
    if parts > 1 {
        pool.parallel(total.div_ceil(32) * heads, &|task, _| {
            let (token, head) = (task / heads * 32, task % heads);
            let rows = (total - token).min(32);
            let to = (args.dq, token * f.q_stride + head * f.q_head, f.q_stride);
            let from = (0..parts).map(|part| shared_dq.get().wrapping_add(dq_at(part, head, token)));
            // SAFETY: the region before wrote the parts; these rows of all of them and of dq are this task's.
            unsafe { store_rows(isa, to, sum_into_first(from, rows * lanes), lanes, (rows, dim), &[scale]) };
        });
    }
    if dkv_words > 0 {
        pool.parallel(segments.len() * kv_heads * 2, &|task, worker| {
            let (segment, kv_head, which) = (task / 2 / kv_heads, task / 2 % kv_heads, task % 2);
            let (first, len) = segments[segment];
            let (to, factor) = [(args.dk, scale), (args.dv, 1.0)][which];
            for start in (0..len).step_by(nr) {
                let turns = turns.min(members(kv_head).count());
                let from =
                    (0..turns).map(|turn| shared_dkv.get().wrapping_add(dkv_at(which, kv_head, turn, segment, start)));
                let to = f.kv_rows(which, to, first + start, kv_head);
                // SAFETY: the region before wrote the sums; these columns of all of them and rows are this task's.
                unsafe {
                    let mut pieces = Pieces::new(pool.scratch(worker, bytes));
                    let turned = pieces.take::<f32>(nr * nr);
                    let sum = sum_into_first(from, nr * dim);
                    store_columns(isa, to, sum, ((len - start).min(nr), dim), &[factor], turned);
                }
            }
        });
    }
    Ok(())
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::testing::{error, Random, Tensor};

    #[derive(Clone)]
    struct Case {
        lengths: Vec<usize>,
        heads: usize,
        kv_heads: usize,
        dim: usize,
        window: usize,
        soft_cap: f32,
        slopes: bool,
        /// q, k and v in one tensor, head by head, as Bloom packs them.
        packed: bool,
        dtype: DType,
        compute: bool,
    }

    const CASE: Case = Case {
        lengths: Vec::new(),
        heads: 2,
        kv_heads: 2,
        dim: 8,
        window: 0,
        soft_cap: 0.0,
        slopes: false,
        packed: false,
        dtype: DType::F32,
        compute: false,
    };

    /// Dense results of one head layout: out, lse, dq, dk, dv.
    struct Exact {
        out: Vec<f64>,
        lse: Vec<f64>,
        dq: Vec<f64>,
        dk: Vec<f64>,
        dv: Vec<f64>,
    }

    /// Attention and its gradient as the formulas say, in f64, on dense (rows, heads, dim) inputs.
    fn exact(case: &Case, q: &[f32], k: &[f32], v: &[f32], slopes: &[f32], d_out: &[f32], scale: f32) -> Exact {
        let Case { heads, kv_heads, dim, window, .. } = *case;
        let (cap, scale) = (case.soft_cap as f64, scale as f64);
        let rows: usize = case.lengths.iter().sum();
        let size = |heads: usize| vec![0f64; rows * heads * dim];
        let (mut out, mut dq, mut dk, mut dv) = (size(heads), size(heads), size(kv_heads), size(kv_heads));
        let mut lse = vec![0f64; heads * rows];
        let mut first = 0;
        for len in &case.lengths {
            for h in 0..heads {
                let g = h * kv_heads / heads;
                for i in 0..*len {
                    let from = if window > 0 { (i + 1).saturating_sub(window) } else { 0 };
                    let qi = ((first + i) * heads + h) * dim;
                    let kj = |j: usize| ((first + j) * kv_heads + g) * dim;
                    let dot =
                        |a: &[f32], b: &[f32]| std::iter::zip(a, b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>();
                    let raw: Vec<f64> =
                        (from..=i).map(|j| dot(&q[qi..qi + dim], &k[kj(j)..kj(j) + dim]) * scale).collect();
                    let score = |j: usize| {
                        let s = raw[j - from];
                        let s = if cap > 0.0 { cap * (s / cap).tanh() } else { s };
                        s + slopes.get(h).map_or(0.0, |m| *m as f64 * (j as f64 - i as f64))
                    };
                    let sum: f64 = (from..=i).map(|j| score(j).exp()).sum();
                    lse[h * rows + first + i] = sum.ln();
                    let p: Vec<f64> = (from..=i).map(|j| score(j).exp() / sum).collect();
                    for j in from..=i {
                        for e in 0..dim {
                            out[qi + e] += p[j - from] * v[kj(j) + e] as f64;
                        }
                    }
                    let delta: f64 = (0..dim).map(|e| d_out[qi + e] as f64 * out[qi + e]).sum();
                    for j in from..=i {
                        let dp = dot(&d_out[qi..qi + dim], &v[kj(j)..kj(j) + dim]);
                        let slope = if cap > 0.0 { 1.0 - (raw[j - from] / cap).tanh().powi(2) } else { 1.0 };
                        let ds = p[j - from] * (dp - delta) * slope * scale;
                        for e in 0..dim {
                            dv[kj(j) + e] += p[j - from] * d_out[qi + e] as f64;
                            dq[qi + e] += ds * k[kj(j) + e] as f64;
                            dk[kj(j) + e] += ds * q[qi + e] as f64;
                        }
                    }
                }
            }
            first += len;
        }
        Exact { out, lse, dq, dk, dv }
    }

    /// Where a head's rows lie in a tensor: offset, row stride, head stride.
    type Layout = (usize, usize, usize);

    fn dense(values: &[f32], rows: usize, heads: usize, dim: usize, (offset, stride, head): Layout) -> Vec<f32> {
        let at = |i: usize| offset + (i / dim / heads) * stride + (i / dim % heads) * head + i % dim;
        (0..rows * heads * dim).map(|i| values[at(i)]).collect()
    }

    impl Case {
        fn run(&self, seed: u64) {
            let mut random = Random(seed);
            let Case { heads, kv_heads, dim, dtype, compute, .. } = *self;
            let rows: usize = self.lengths.iter().sum();
            let scale = 1.3 / (dim as f32).sqrt();
            let (qo, ko, vo): (Layout, Layout, Layout) = if self.packed {
                let row = heads * 3 * dim;
                ((0, row, 3 * dim), (dim, row, 3 * dim), (2 * dim, row, 3 * dim))
            } else {
                ((0, heads * dim, dim), (0, kv_heads * dim, dim), (0, kv_heads * dim, dim))
            };
            let tensor = |random: &mut Random, heads: usize| {
                let n = if self.packed { rows * heads * 3 * dim } else { rows * heads * dim };
                let values: Vec<f32> = (0..n).map(|_| random.value() * 1.5).collect();
                Tensor::of(&values, dtype, seed.is_multiple_of(2))
            };
            let q = tensor(&mut random, heads);
            let k = if self.packed { None } else { Some(tensor(&mut random, kv_heads)) };
            let v = if self.packed { None } else { Some(tensor(&mut random, kv_heads)) };
            let (k, v) = (k.as_ref().unwrap_or(&q), v.as_ref().unwrap_or(&q));
            let d_out = Tensor::random(&mut random, rows * heads * dim, dtype, true);
            let slopes: Vec<f32> =
                (0..if self.slopes { heads } else { 0 }).map(|h| 0.5f32.powi(h as i32 + 1)).collect();
            let mut offsets = vec![0i32];
            self.lengths.iter().for_each(|n| offsets.push(offsets.last().unwrap() + *n as i32));
            let (slope_tensor, segments) = (Tensor::of(&slopes, DType::F32, true), Tensor::ints(&offsets));

            let of = |t: &Tensor, heads, layout| dense(&t.values(), rows, heads, dim, layout);
            let (dense_q, dense_k, dense_v) = (of(&q, heads, qo), of(k, kv_heads, ko), of(v, kv_heads, vo));
            let want = exact(self, &dense_q, &dense_k, &dense_v, &slopes, &d_out.values(), scale);

            let tolerance = if compute || dtype == DType::Bf16 { 0.02 } else { 3e-6 };
            for isa in Isa::available() {
                let mut bits: Option<Vec<u32>> = None;
                for threads in [1, 2, 3] {
                    let pool = Pool::new(threads).unwrap();
                    let out = Tensor::new(rows * heads * dim, dtype, true);
                    let lse = Tensor::new(heads * rows, DType::F32, true);
                    let grad = |t: &Tensor| Tensor::of(&vec![7.0; t.values().len()], dtype, true);
                    let (dq, dk, dv) = (grad(&q), grad(k), grad(v));
                    let skip = |t: &Tensor, layout: Layout| t.view().skip(layout.0);
                    let geometry = Geometry {
                        q: skip(&q, qo),
                        k: skip(k, ko),
                        v: skip(v, vo),
                        segments: segments.view(),
                        slopes: self.slopes.then(|| slope_tensor.view()),
                        segment_count: self.lengths.len(),
                        rows,
                        heads,
                        kv_heads,
                        dim,
                        q_stride: qo.1,
                        q_head: qo.2,
                        k_stride: ko.1,
                        k_head: ko.2,
                        v_stride: vo.1,
                        v_head: vo.2,
                        scale,
                        soft_cap: self.soft_cap,
                        window: self.window,
                        compute,
                    };
                    let args = Attention { out: out.view(), lse: lse.view(), geometry: geometry.clone() };
                    forward(&pool, isa, &args).unwrap();
                    let (dk, dv) = if self.packed { (&dq, &dq) } else { (&dk, &dv) };
                    let backward_args = AttentionBackward {
                        dq: skip(&dq, qo),
                        dk: skip(dk, ko),
                        dv: skip(dv, vo),
                        d_out: d_out.view(),
                        out: out.view(),
                        lse: lse.view(),
                        geometry,
                    };
                    backward(&pool, isa, &backward_args).unwrap();
                    for (name, got, want) in [
                        ("out", out.values(), &want.out),
                        ("lse", lse.values(), &want.lse),
                        ("dq", of(&dq, heads, qo), &want.dq),
                        ("dk", of(dk, kv_heads, ko), &want.dk),
                        ("dv", of(dv, kv_heads, vo), &want.dv),
                    ] {
                        let e = error(&got, want);
                        assert!(e < tolerance, "{isa:?} {name}: error {e}, case {seed}");
                    }
                    for t in [&out, &lse, &dq, dk, dv] {
                        t.check_guard();
                    }
                    let all: Vec<u32> = [&out, &lse, &dq, dk, dv].iter().flat_map(|t| t.bits()).collect();
                    assert!(bits.as_ref().is_none_or(|b| *b == all), "{isa:?}: {threads} threads give other bits");
                    bits.get_or_insert(all);
                }
            }
        }
    }

    #[test]
    fn causal_attention_and_its_gradient_agree_with_f64_for_every_head_size() {
        for (seed, dim) in [1, 2, 3, 7, 16, 33, 64, 80, 129, 256].into_iter().enumerate() {
            Case { lengths: vec![1, 37, 5], dim, ..CASE }.run(seed as u64);
        }
    }

    #[test]
    fn several_blocks_of_queries_and_keys_agree_with_f64() {
        for (seed, lengths) in [vec![112], vec![113], vec![300], vec![129, 1, 250]].into_iter().enumerate() {
            Case { lengths, ..CASE }.run(seed as u64);
        }
    }

    #[test]
    fn windows_slopes_caps_and_grouped_heads_agree_with_f64() {
        let case = Case { lengths: vec![40, 1, 290], dim: 5, ..CASE };
        for (seed, window) in [1, 2, 17, 128, 200, 1000].into_iter().enumerate() {
            Case { window, heads: 3, kv_heads: 1, ..case.clone() }.run(seed as u64);
        }
        Case { slopes: true, packed: true, ..case.clone() }.run(11);
        Case { soft_cap: 1.5, heads: 4, kv_heads: 2, ..case.clone() }.run(12);
        Case { soft_cap: 2.0, slopes: true, window: 33, heads: 6, kv_heads: 3, ..case.clone() }.run(13);
        Case { dtype: DType::Bf16, compute: true, slopes: true, packed: true, ..case.clone() }.run(14);
        Case { dtype: DType::Bf16, compute: true, soft_cap: 3.0, window: 100, heads: 6, kv_heads: 2, ..case.clone() }
            .run(15);
        Case { dtype: DType::Bf16, compute: false, ..case.clone() }.run(16);
        Case { dtype: DType::F32, compute: true, dim: 64, ..case }.run(17);
    }

    #[test]
    fn no_rows_and_empty_segments_are_left_alone() {
        Case { lengths: vec![], ..CASE }.run(1);
        Case { lengths: vec![0, 3, 0], ..CASE }.run(2);
    }
}
