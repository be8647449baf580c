//! Causal attention inside segments, tile by tile with an online softmax; of the scores only their log-sum-exp is kept.
//!
//! Work is cut by shape into (block of rows, head), and every result is summed by one task in a fixed order. The backward
//! pass makes the scores twice: once by blocks of keys for dk and dv (with keys as rows, so that both are plain products
//! of packed panels), once by blocks of queries for dq. That is 7 products where 5 would do, and no sum is shared.

#[cfg(target_arch = "x86_64")]
use crate::attention_avx512;
use crate::buffer::{load, store, DType, View};
use crate::gemm::{Kernel, Matrix, Pieces, Shared, Tile, RESULTS};
use crate::isa::Isa;
use crate::math::{exp_f32, tanh_f32};
use crate::multiversion;
use crate::pool::Pool;
use crate::with_elem;

/// See `attention` in the kernel table of @medgpt/core.
#[derive(Clone, Copy)]
pub struct Attention {
    pub out: View,
    pub lse: View,
    pub q: View,
    pub k: View,
    pub v: View,
    pub segments: View,
    pub slopes: Option<View>,
    pub segment_count: usize,
    pub rows: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub dim: usize,
    pub q_stride: usize,
    pub q_head: usize,
    pub k_stride: usize,
    pub k_head: usize,
    pub v_stride: usize,
    pub v_head: usize,
    pub scale: f32,
    pub soft_cap: f32,
    pub window: usize,
    /// Factors are rounded to bf16.
    pub compute: bool,
}

/// See `attentionBackward` in the kernel table of @medgpt/core.
#[derive(Clone, Copy)]
pub struct AttentionBackward {
    pub dq: View,
    pub dk: View,
    pub dv: View,
    pub d_out: View,
    pub out: View,
    pub lse: View,
    pub q: View,
    pub k: View,
    pub v: View,
    pub segments: View,
    pub slopes: Option<View>,
    pub segment_count: usize,
    pub rows: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub dim: usize,
    pub q_stride: usize,
    pub q_head: usize,
    pub k_stride: usize,
    pub k_head: usize,
    pub v_stride: usize,
    pub v_head: usize,
    pub scale: f32,
    pub soft_cap: f32,
    pub window: usize,
    /// Factors are rounded to bf16.
    pub compute: bool,
}

/// Keys (or, in the backward pass by keys, queries) per inner step: whole B panels of every instruction set.
pub const STEP: usize = 128;
/// A panels of one task.
const PANELS: usize = 16;

impl Attention {
    pub fn check(&self) -> Result<(), String> {
        let Attention { rows, heads, kv_heads, dim, .. } = *self;
        if heads == 0 || kv_heads == 0 || kv_heads > heads {
            return Err(format!("{heads} heads cannot share {kv_heads} key heads"));
        }
        let named = |name: &str| format!("{name} ({rows}, {heads}, {dim})");
        self.out.is_one_of("out", &RESULTS)?;
        self.out.holds(&named("out"), rows * heads * dim)?;
        self.lse.is_one_of("lse", &[DType::F32])?;
        self.lse.holds(&format!("lse ({heads}, {rows})"), heads * rows)?;
        self.check_heads("q", self.q, heads, self.q_stride, self.q_head)?;
        self.check_heads("k", self.k, kv_heads, self.k_stride, self.k_head)?;
        self.check_heads("v", self.v, kv_heads, self.v_stride, self.v_head)?;
        if let Some(slopes) = self.slopes {
            slopes.is_one_of("slopes", &[DType::F32])?;
            slopes.holds(&format!("slopes ({heads})"), heads)?;
        }
        self.segments.is_one_of("segments", &[DType::I32])?;
        self.segments.holds(&format!("segments ({} + 1)", self.segment_count), self.segment_count + 1)
    }

    fn check_heads(&self, name: &str, view: View, heads: usize, stride: usize, head: usize) -> Result<(), String> {
        let name = format!("{name} ({}, {heads}, {})", self.rows, self.dim);
        view.is_one_of(&name, &RESULTS)?;
        view.holds_rows(&name, self.rows, (heads - 1) * head + self.dim, stride)
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
    soft_cap: f32,
    pub slope: f32,
    window: usize,
}

impl Scores {
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

/// Sums of one task's rows that the online softmax carries from block to block.
#[derive(Clone, Copy)]
pub struct Softmax {
    pub max: *mut f32,
    pub sum: *mut f32,
    pub acc: *mut f32,
    /// Row stride of `acc`.
    pub lanes: usize,
}

impl Softmax {
    pub fn at(self, row: usize) -> Softmax {
        let Softmax { max, sum, acc, lanes } = self;
        let acc = acc.wrapping_add(row * lanes);
        Softmax { max: max.wrapping_add(row), sum: sum.wrapping_add(row), acc, lanes }
    }
}

const LANES: usize = 16;

/// The range widened to whole vectors, so that no row has a scalar rest. What is not seen is set right afterwards.
#[inline(always)]
fn whole_vectors(from: usize, to: usize) -> (usize, usize) {
    if from == to {
        return (from, to);
    }
    (from / LANES * LANES, to.next_multiple_of(LANES))
}

/// Most rows have nothing to fill, which should not cost a call.
#[inline(always)]
fn fill(x: &mut [f32], value: f32) {
    if !x.is_empty() {
        x.fill(value);
    }
}

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

/// Turns a row of products into scores. `distance` is key minus query of the first, `step` its change to the next; both are
/// exact, since positions are below 2^24.
#[inline(always)]
fn score(x: &mut [f32], scores: Scores, distance: f32, step: f32) {
    let Scores { scale, soft_cap, slope, .. } = scores;
    if soft_cap > 0.0 {
        x.iter_mut().for_each(|x| *x = soft_cap * tanh_f32(*x * scale / soft_cap));
    } else {
        x.iter_mut().for_each(|x| *x *= scale);
    }
    if slope != 0.0 {
        // The index as i32: vectors convert that faster than usize.
        x.iter_mut().zip(0i32..).for_each(|(x, j)| *x += slope * (distance + step * j as f32));
    }
}

/// Turns products of queries `q ..` with keys `k ..` into exponentials relative to each row's running maximum, which is
/// raised as need be, and rescales the sums so far. Unseen keys become 0.
///
/// # Safety
/// The scores have `rows` rows of STEP elements, the sums as many.
#[inline(always)]
pub unsafe fn softmax_rows_body(
    s: *mut f32,
    (rows, keys): (usize, usize),
    (q, k): (usize, usize),
    scores: Scores,
    state: Softmax,
    first: bool,
) {
    for i in 0..rows {
        // SAFETY: row i of the task's own scores and sums.
        let (row, max, sum, acc) = unsafe {
            (
                std::slice::from_raw_parts_mut(s.add(i * STEP), STEP),
                &mut *state.max.add(i),
                &mut *state.sum.add(i),
                std::slice::from_raw_parts_mut(state.acc.add(i * state.lanes), state.lanes),
            )
        };
        if first {
            (*max, *sum) = (f32::NEG_INFINITY, 0.0);
        }
        let (from, to) = scores.keys(q + i, k, keys);
        let (start, end) = whole_vectors(from, to);
        fill(&mut row[..start], 0.0);
        fill(&mut row[end..], 0.0);
        score(&mut row[start..end], scores, (k + start) as f32 - (q + i) as f32, 1.0);
        fill(&mut row[start..from], f32::NEG_INFINITY);
        fill(&mut row[to..end], f32::NEG_INFINITY);
        let highest = max_of(&row[start..end]);
        let raised = if highest > *max { highest } else { *max };
        if raised == f32::NEG_INFINITY {
            // Nothing seen yet, or only scores of -infinity (or NaN, which the sum must keep).
            let bad = row[from..to].iter().any(|x| x.is_nan());
            row[start..end].fill(0.0);
            row[from..to].fill(if bad { f32::NAN } else { 0.0 });
            *sum += if bad { f32::NAN } else { 0.0 };
            continue;
        }
        let added = exp_sum(&mut row[start..end], raised);
        if *max == raised {
            *sum += added;
            continue;
        }
        let rescale = exp_f32(*max - raised);
        if !first {
            acc.iter_mut().for_each(|x| *x *= rescale);
        }
        *sum = *sum * rescale + added;
        *max = raised;
    }
}

multiversion! {
    unsafe fn softmax_rows_plain(s: *mut f32, size: (usize, usize), at: (usize, usize), scores: Scores, state: Softmax, first: bool) =
        softmax_rows_body
}

/// # Safety
/// As for `softmax_rows_body`.
#[inline(always)]
unsafe fn softmax_rows(
    isa: Isa,
    s: *mut f32,
    size: (usize, usize),
    at: (usize, usize),
    scores: Scores,
    state: Softmax,
    first: bool,
) {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if isa >= Isa::Avx512 && scores.soft_cap <= 0.0 {
            return attention_avx512::softmax_rows(s, size, at, scores, state, first);
        }
        softmax_rows_plain(isa, s, size, at, scores, state, first)
    }
}

pub fn forward(pool: &Pool, isa: Isa, args: &Attention) -> Result<(), String> {
    args.check()?;
    let Attention { rows: total, heads, dim, .. } = *args;
    let kernel = Kernel::new(isa, args.compute);
    let (mr, nr) = (kernel.mr(), kernel.nr());
    let most = PANELS * mr;
    let blocks = args.blocks(most, |_, start| start)?;
    let lanes = args.lanes();
    let sizes = [
        kernel.a_words(most, dim),
        kernel.b_words(STEP, dim),
        kernel.b_words(dim, STEP),
        kernel.a_words(mr, STEP),
        mr * STEP,
        most * lanes,
        most,
        most,
    ];
    let bytes = Pieces::bytes(&sizes);
    let task = |task: usize, worker: usize| {
        let (block, head) = (blocks[task / heads], task % heads);
        let kv_head = args.kv_head(head);
        let scores = args.scores(head);
        let Block { first, start, rows, .. } = block;
        // SAFETY: this task's scratch, cut into pieces of the sizes that the panels and rows below need; `check` and
        // `segments` vouch for the inputs, and the rows and head of the outputs are this task's alone.
        unsafe {
            let mut pieces = Pieces::new(pool.scratch(worker, bytes));
            let [a_q, b_k, b_v, a_p] = [0, 1, 2, 3].map(|i| pieces.take::<u32>(sizes[i]));
            let [s, acc, max, sum] = [4, 5, 6, 7].map(|i| pieces.take::<f32>(sizes[i]));
            let state = Softmax { max, sum, acc, lanes };
            kernel.pack_a_panels(a_q, args.query(first + start, head), 0, rows, 0, dim);
            let dim_words = kernel.words(dim);
            let end = start + rows;
            let mut k = scores.keys(start, 0, end).0 / STEP * STEP;
            let mut is_first = true;
            while k < end {
                let keys = (end - k).min(STEP);
                kernel.pack_b_panels(b_k, args.key(first + k, kv_head), 0, keys, 0, dim);
                kernel.pack_b_panels(b_v, along_tokens(args.value(first + k, kv_head)), 0, dim, 0, keys);
                for row in (0..rows).step_by(mr) {
                    let m = (rows - row).min(mr);
                    // Keys past the panel's last query are seen by none of its rows.
                    let seen = (start + row + m).saturating_sub(k).min(keys);
                    if seen == 0 {
                        continue;
                    }
                    kernel.multiply_panels(m, seen, dim_words, a_q.add(row * dim_words), b_k, Tile::new(s, STEP));
                    softmax_rows(isa, s, (m, seen), (start + row, k), scores, state.at(row), is_first);
                    kernel.pack_a(a_p, f32_rows(s, STEP), 0, m, 0, seen, 1.0);
                    let tile = Tile { accumulate: !is_first, ..Tile::new(acc.add(row * lanes), lanes) };
                    for col in (0..dim).step_by(nr) {
                        let b = b_v.add(col * kernel.words(keys));
                        kernel.multiply(m, (dim - col).min(nr), kernel.words(seen), a_p, b, tile.at(0, col));
                    }
                }
                is_first = false;
                k += STEP;
            }
            for i in 0..rows {
                let (max, sum) = (max.add(i).read(), sum.add(i).read());
                let acc = std::slice::from_raw_parts(acc.add(i * lanes), dim);
                let token = first + start + i;
                store(args.lse.typed::<f32>(), head * total + token, max + sum.ln());
                with_elem!(args.out.dtype(), E => {
                    let out = args.out.typed::<E>().add((token * heads + head) * dim);
                    acc.iter().enumerate().for_each(|(j, x)| store(out, j, x / sum));
                });
            }
        }
    };
    pool.parallel(blocks.len() * heads, &task);
    Ok(())
}

/// Turns products s = q . k and dp = d_out . v of `rows` rows with `cols` columns into probabilities (in s) and gradients
/// of the products s (in dp). Rows are queries and columns keys, or with `by_keys` the other way round; `row` and `col` are
/// the positions of the first of each, `lse` and `delta` those of the first query.
///
/// # Safety
/// The tiles have `rows` rows of STEP elements; `lse` and `delta` have one element per query, and LANES more.
#[inline(always)]
unsafe fn gradient_rows_body(
    s: *mut f32,
    dp: *mut f32,
    (rows, cols): (usize, usize),
    (row, col): (usize, usize),
    scores: Scores,
    (lse, delta): (*const f32, *const f32),
    by_keys: bool,
) {
    let Scores { scale, soft_cap, .. } = scores;
    for i in 0..rows {
        let (from, to) = if by_keys { scores.queries(row + i, col, cols) } else { scores.keys(row + i, col, cols) };
        let (start, end) = whole_vectors(from, to);
        // SAFETY: row i of the task's own tiles.
        let (s, dp) = unsafe {
            (
                std::slice::from_raw_parts_mut(s.add(i * STEP), STEP),
                std::slice::from_raw_parts_mut(dp.add(i * STEP), STEP),
            )
        };
        let (p, ds) = (&mut s[start..end], &mut dp[start..end]);
        // SAFETY: one element per query, and LANES more. By queries one value holds for the whole row.
        let (lse, delta) = unsafe {
            let (at, n) = if by_keys { (start, end - start) } else { (i, 1) };
            (std::slice::from_raw_parts(lse.add(at), n), std::slice::from_raw_parts(delta.add(at), n))
        };
        // ds = p * (dp - delta) * scale, and with a cap times its slope, for which p must still be the product.
        if by_keys {
            ds.iter_mut().zip(delta).for_each(|(ds, delta)| *ds = (*ds - delta) * scale);
        } else {
            let delta = delta[0];
            ds.iter_mut().for_each(|ds| *ds = (*ds - delta) * scale);
        }
        if soft_cap > 0.0 {
            for (ds, p) in ds.iter_mut().zip(p.iter()) {
                let t = tanh_f32(*p * scale / soft_cap);
                *ds *= 1.0 - t * t;
            }
        }
        if by_keys {
            score(p, scores, (row + i) as f32 - (col + start) as f32, -1.0);
            p.iter_mut().zip(lse).for_each(|(p, lse)| *p = exp_f32(*p - lse));
        } else {
            score(p, scores, (col + start) as f32 - (row + i) as f32, 1.0);
            let lse = lse[0];
            p.iter_mut().for_each(|p| *p = exp_f32(*p - lse));
        }
        ds.iter_mut().zip(p.iter()).for_each(|(ds, p)| *ds *= p);
        for x in [s, dp] {
            fill(&mut x[..from], 0.0);
            fill(&mut x[to..], 0.0);
        }
    }
}

multiversion! {
    unsafe fn gradient_rows_plain(s: *mut f32, dp: *mut f32, size: (usize, usize), at: (usize, usize), scores: Scores, of: (*const f32, *const f32), by_keys: bool) =
        gradient_rows_body
}

/// # Safety
/// As for `gradient_rows_body`.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn gradient_rows(
    isa: Isa,
    s: *mut f32,
    dp: *mut f32,
    size: (usize, usize),
    at: (usize, usize),
    scores: Scores,
    of: (*const f32, *const f32),
    by_keys: bool,
) {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if isa >= Isa::Avx512 && scores.soft_cap <= 0.0 {
            return attention_avx512::gradient_rows(s, dp, size, at, scores, of, by_keys);
        }
        gradient_rows_plain(isa, s, dp, size, at, scores, of, by_keys)
    }
}

impl AttentionBackward {
    /// The forward call whose gradient this is.
    fn forward(&self) -> Attention {
        let AttentionBackward {
            out, lse, q, k, v, segments, slopes, segment_count, rows, heads, kv_heads, dim, ..
        } = *self;
        let AttentionBackward { q_stride, q_head, k_stride, k_head, v_stride, v_head, .. } = *self;
        let AttentionBackward { scale, soft_cap, window, compute, .. } = *self;
        #[rustfmt::skip]
        let forward = Attention {
            out, lse, q, k, v, segments, slopes, segment_count, rows, heads, kv_heads, dim,
            q_stride, q_head, k_stride, k_head, v_stride, v_head, scale, soft_cap, window, compute,
        };
        forward
    }

    pub fn check(&self) -> Result<(), String> {
        let f = &self.forward();
        f.check()?;
        self.d_out.is_one_of("dOut", &RESULTS)?;
        self.d_out.holds(&format!("dOut ({}, {}, {})", f.rows, f.heads, f.dim), f.rows * f.heads * f.dim)?;
        f.check_heads("dq", self.dq, f.heads, f.q_stride, f.q_head)?;
        f.check_heads("dk", self.dk, f.kv_heads, f.k_stride, f.k_head)?;
        f.check_heads("dv", self.dv, f.kv_heads, f.v_stride, f.v_head)
    }

    fn d_out(&self, token: usize, head: usize) -> Matrix {
        rows_of(self.d_out, (token * self.heads + head) * self.dim, self.heads * self.dim)
    }
}

/// Stores `rows` rows of accumulators, `lanes` apart, as rows of `to`.
///
/// # Safety
/// The rows of `to` are the caller's to write.
unsafe fn store_rows(to: View, offset: usize, stride: usize, acc: *const f32, lanes: usize, rows: usize, dim: usize) {
    with_elem!(to.dtype(), E => {
        for i in 0..rows {
            // SAFETY: the caller's promise.
            unsafe {
                let row = to.typed::<E>().add(offset + i * stride);
                std::slice::from_raw_parts(acc.add(i * lanes), dim).iter().enumerate().for_each(|(j, x)| store(row, j, *x));
            }
        }
    });
}

pub fn backward(pool: &Pool, isa: Isa, args: &AttentionBackward) -> Result<(), String> {
    args.check()?;
    let f = &args.forward();
    let Attention { rows: total, heads, kv_heads, dim, window, .. } = *f;
    let kernel = Kernel::new(isa, f.compute);
    let most = PANELS * kernel.mr();
    let seen_by = |len: usize, k: usize| if window > 0 { len.min(k + window) } else { len };
    let query_blocks = f.blocks(most, |_, start| start)?;
    let key_blocks = f.blocks(most, |len, start| seen_by(len, start) - start)?;
    // delta (heads, rows) = sum of d_out * out over the head; lse is copied beside it. Whole vectors are read of both.
    let piece = heads * total + LANES;
    let shared_words = if heads == kv_heads { 0 } else { 2 * heads * total * f.lanes() };
    // The shape decides, not the number of threads, so that results do not depend on it.
    let by_heads = f.segment_count * heads >= FEW_HEADS && shared_words <= SHARED_WORDS;
    let sizes = [piece, piece, if by_heads { shared_words } else { 0 }];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let [delta, lse, shared] = sizes.map(|words| Shared::new(pieces.take::<f32>(words)));
    pool.parallel(total.div_ceil(32), &|task, _| {
        for token in task * 32..total.min((task + 1) * 32) {
            for head in 0..heads {
                let at = (token * heads + head) * dim;
                // SAFETY: `check` found the elements; this token's results are this task's.
                unsafe {
                    let sum: f32 = with_elem!(args.d_out.dtype(), D => with_elem!(f.out.dtype(), E => {
                        let (d_out, out) = (args.d_out.typed::<D>().add(at), f.out.typed::<E>().add(at));
                        (0..dim).map(|j| load(d_out, j) * load(out, j)).sum()
                    }));
                    delta.get().add(head * total + token).write(sum);
                    lse.get().add(head * total + token).write(load(f.lse.typed::<f32>(), head * total + token));
                }
            }
        }
    });
    if !by_heads {
        by_keys(pool, kernel, args, &key_blocks, lse, delta);
        by_queries(pool, kernel, args, &query_blocks, lse, delta);
        return Ok(());
    }
    let segments: Vec<(usize, usize)> = f.segments()?.into_iter().filter(|(_, len)| *len > 0).collect();
    whole_heads(pool, kernel, args, &segments, lse, delta, shared);
    if heads == kv_heads {
        return Ok(());
    }
    // The gradients of shared keys: those of their query heads, added in order.
    let lanes = f.lanes();
    pool.parallel(total.div_ceil(32), &|task, _| {
        for token in task * 32..total.min((task + 1) * 32) {
            for kv_head in 0..kv_heads {
                for (which, to, stride, head) in
                    [(0, args.dk, f.k_stride, f.k_head), (1, args.dv, f.v_stride, f.v_head)]
                {
                    let mut members = (0..heads)
                        .filter(|head| f.kv_head(*head) == kv_head)
                        .map(|head| shared.get().wrapping_add(((which * heads + head) * total + token) * lanes));
                    let Some(sum) = members.next() else { continue };
                    // SAFETY: the parts were written by the region before; this token's results are this task's.
                    unsafe {
                        let sum = std::slice::from_raw_parts_mut(sum, dim);
                        for member in members {
                            let more = std::slice::from_raw_parts(member, dim);
                            sum.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
                        }
                        store_rows(to, token * stride + kv_head * head, stride, sum.as_ptr(), lanes, 1, dim);
                    }
                }
            }
        }
    });
    Ok(())
}

/// Most words of f32 gradients of keys and values, one set a query head, that are held at once (64 MiB).
const SHARED_WORDS: usize = 16 << 20;
/// Fewer heads than this over all segments do not keep the threads of a machine busy.
const FEW_HEADS: usize = 8;

/// dq, dk and dv of one head of one segment after the other, for which the scores are made once. The dk and dv of heads
/// that share theirs go to `shared`: (dk or dv, head, token, lanes) f32.
fn whole_heads(
    pool: &Pool,
    kernel: Kernel,
    args: &AttentionBackward,
    segments: &[(usize, usize)],
    lse: Shared<f32>,
    delta: Shared<f32>,
    shared: Shared<f32>,
) {
    let f = &args.forward();
    let Attention { rows: total, heads, kv_heads, dim, window, .. } = *f;
    let (mr, nr, isa) = (kernel.mr(), kernel.nr(), kernel.isa());
    let most = PANELS * mr;
    let lanes = f.lanes();
    let longest = segments.iter().map(|(_, len)| *len).max().unwrap_or(0);
    let (a_rows, b_rows, b_dim) = (kernel.a_words(most, dim), kernel.b_words(STEP, dim), kernel.b_words(dim, STEP));
    let sizes = [
        a_rows,
        a_rows,
        b_rows,
        b_rows,
        b_dim,
        b_dim,
        kernel.b_words(dim, most),
        kernel.a_words(mr, STEP.max(most)),
        mr * STEP,
        most * STEP,
        most * lanes,
        most * lanes,
        longest * lanes,
    ];
    let bytes = Pieces::bytes(&sizes);
    pool.parallel(segments.len() * heads, &|task, worker| {
        let ((first, len), head) = (segments[task / heads], task % heads);
        let kv_head = f.kv_head(head);
        let scores = f.scores(head);
        // SAFETY: this task's scratch, cut into pieces of the sizes that the panels and rows below need; `check` and
        // `segments` vouch for the inputs, and the rows and head of dq, and of dk and dv or their parts, are this task's.
        unsafe {
            let mut pieces = Pieces::new(pool.scratch(worker, bytes));
            let [a_k, a_v, b_q, b_o, b_q_dim, b_o_dim, b_k_dim, a_p] =
                [0, 1, 2, 3, 4, 5, 6, 7].map(|i| pieces.take::<u32>(sizes[i]));
            let [s, ds, dk, dv, dq] = [8, 9, 10, 11, 12].map(|i| pieces.take::<f32>(sizes[i]));
            std::slice::from_raw_parts_mut(dq, len * lanes).fill(0.0);
            let dim_words = kernel.words(dim);
            for start in (0..len).step_by(most) {
                let rows = (len - start).min(most);
                let end = if window > 0 { len.min(start + rows - 1 + window) } else { len };
                let key = f.key(first + start, kv_head);
                kernel.pack_a_panels(a_k, key, 0, rows, 0, dim);
                kernel.pack_a_panels(a_v, f.value(first + start, kv_head), 0, rows, 0, dim);
                kernel.pack_b_panels(b_k_dim, along_tokens(key), 0, dim, 0, rows);
                std::slice::from_raw_parts_mut(dk, rows * lanes).fill(0.0);
                std::slice::from_raw_parts_mut(dv, rows * lanes).fill(0.0);
                for q in (start..end).step_by(STEP) {
                    let queries = (end - q).min(STEP);
                    let (query, d_out) = (f.query(first + q, head), args.d_out(first + q, head));
                    kernel.pack_b_panels(b_q, query, 0, queries, 0, dim);
                    kernel.pack_b_panels(b_o, d_out, 0, queries, 0, dim);
                    kernel.pack_b_panels(b_q_dim, along_tokens(query), 0, dim, 0, queries);
                    kernel.pack_b_panels(b_o_dim, along_tokens(d_out), 0, dim, 0, queries);
                    let at = head * total + first + q;
                    let of = (lse.get().add(at).cast_const(), delta.get().add(at).cast_const());
                    for row in (0..rows).step_by(mr) {
                        let m = (rows - row).min(mr);
                        let ds = ds.add(row * STEP);
                        // Queries before the panel's first key, or too far behind its last, see none of its rows.
                        let from = scores.queries(start + row, q, queries).0;
                        let to = scores.queries(start + row + m - 1, q, queries).1;
                        if from >= to {
                            std::slice::from_raw_parts_mut(ds, m * STEP).fill(0.0);
                            continue;
                        }
                        let col = from / nr * nr;
                        for (a, b, c) in [(a_k, b_q, s), (a_v, b_o, ds)] {
                            let (a, b) = (a.add(row * dim_words), b.add(col * dim_words));
                            kernel.multiply_panels(m, to - col, dim_words, a, b, Tile::new(c.add(col), STEP));
                        }
                        gradient_rows(isa, s, ds, (m, to), (start + row, q), scores, of, true);
                        for (from, b, to_rows) in [(s, b_o_dim, dv), (ds, b_q_dim, dk)] {
                            let tile = Tile { accumulate: true, ..Tile::new(to_rows.add(row * lanes), lanes) };
                            kernel.pack_a(a_p, f32_rows(from, STEP), 0, m, 0, to, 1.0);
                            for col in (0..dim).step_by(nr) {
                                let b = b.add(col * kernel.words(queries));
                                kernel.multiply(m, (dim - col).min(nr), kernel.words(to), a_p, b, tile.at(0, col));
                            }
                        }
                    }
                    for row in (0..queries).step_by(mr) {
                        let m = (queries - row).min(mr);
                        // Keys past the panel's last query are seen by none of its rows.
                        let seen = (q + row + m - start).min(rows);
                        kernel.pack_a(a_p, along_tokens(f32_rows(ds, STEP)), row, m, 0, seen, 1.0);
                        let tile = Tile { accumulate: true, ..Tile::new(dq.add((q + row) * lanes), lanes) };
                        for col in (0..dim).step_by(nr) {
                            let b = b_k_dim.add(col * kernel.words(rows));
                            kernel.multiply(m, (dim - col).min(nr), kernel.words(seen), a_p, b, tile.at(0, col));
                        }
                    }
                }
                let token = first + start;
                if heads == kv_heads {
                    store_rows(args.dk, token * f.k_stride + head * f.k_head, f.k_stride, dk, lanes, rows, dim);
                    store_rows(args.dv, token * f.v_stride + head * f.v_head, f.v_stride, dv, lanes, rows, dim);
                } else {
                    for (which, part) in [(0, dk), (1, dv)] {
                        let to = shared.get().add(((which * heads + head) * total + token) * lanes);
                        std::ptr::copy_nonoverlapping(part, to, rows * lanes);
                    }
                }
            }
            store_rows(args.dq, first * f.q_stride + head * f.q_head, f.q_stride, dq, lanes, len, dim);
        }
    });
}

/// dk and dv: for a block of keys, the queries that see it, head after head of those that share the keys.
fn by_keys(
    pool: &Pool,
    kernel: Kernel,
    args: &AttentionBackward,
    blocks: &[Block],
    lse: Shared<f32>,
    delta: Shared<f32>,
) {
    let f = &args.forward();
    let Attention { rows: total, heads, kv_heads, dim, window, .. } = *f;
    let (mr, nr, isa) = (kernel.mr(), kernel.nr(), kernel.isa());
    let most = PANELS * mr;
    let lanes = f.lanes();
    let (a_rows, b_rows, b_dim) = (kernel.a_words(most, dim), kernel.b_words(STEP, dim), kernel.b_words(dim, STEP));
    let sizes = [
        a_rows,
        a_rows,
        b_rows,
        b_rows,
        b_dim,
        b_dim,
        kernel.a_words(mr, STEP),
        mr * STEP,
        mr * STEP,
        most * lanes,
        most * lanes,
    ];
    let bytes = Pieces::bytes(&sizes);
    pool.parallel(blocks.len() * kv_heads, &|task, worker| {
        let (Block { first, len, start, rows }, kv_head) = (blocks[task / kv_heads], task % kv_heads);
        let end = if window > 0 { len.min(start + rows - 1 + window) } else { len };
        // SAFETY: this task's scratch, cut into pieces of the sizes that the panels and rows below need; `check` and
        // `segments` vouch for the inputs, and the rows and head of dk and dv are this task's alone.
        unsafe {
            let mut pieces = Pieces::new(pool.scratch(worker, bytes));
            let [a_k, a_v, b_q, b_o, b_q_dim, b_o_dim, a_p] =
                [0, 1, 2, 3, 4, 5, 6].map(|i| pieces.take::<u32>(sizes[i]));
            let [s, dp, dk, dv] = [7, 8, 9, 10].map(|i| pieces.take::<f32>(sizes[i]));
            kernel.pack_a_panels(a_k, f.key(first + start, kv_head), 0, rows, 0, dim);
            kernel.pack_a_panels(a_v, f.value(first + start, kv_head), 0, rows, 0, dim);
            let dim_words = kernel.words(dim);
            let mut is_first = true;
            for head in (0..heads).filter(|h| f.kv_head(*h) == kv_head) {
                let scores = f.scores(head);
                for q in (start..end).step_by(STEP) {
                    let queries = (end - q).min(STEP);
                    let (query, d_out) = (f.query(first + q, head), args.d_out(first + q, head));
                    kernel.pack_b_panels(b_q, query, 0, queries, 0, dim);
                    kernel.pack_b_panels(b_o, d_out, 0, queries, 0, dim);
                    kernel.pack_b_panels(b_q_dim, along_tokens(query), 0, dim, 0, queries);
                    kernel.pack_b_panels(b_o_dim, along_tokens(d_out), 0, dim, 0, queries);
                    let at = head * total + first + q;
                    let of = (lse.get().add(at).cast_const(), delta.get().add(at).cast_const());
                    for row in (0..rows).step_by(mr) {
                        let m = (rows - row).min(mr);
                        let (to_k, to_v) = (dk.add(row * lanes), dv.add(row * lanes));
                        // Queries before the panel's first key, or too far behind its last, see none of its rows.
                        let from = scores.queries(start + row, q, queries).0;
                        let to = scores.queries(start + row + m - 1, q, queries).1;
                        if from >= to {
                            if is_first {
                                std::slice::from_raw_parts_mut(to_k, m * lanes).fill(0.0);
                                std::slice::from_raw_parts_mut(to_v, m * lanes).fill(0.0);
                            }
                            continue;
                        }
                        let col = from / nr * nr;
                        for (a, b, c) in [(a_k, b_q, s), (a_v, b_o, dp)] {
                            let (a, b) = (a.add(row * dim_words), b.add(col * dim_words));
                            kernel.multiply_panels(m, to - col, dim_words, a, b, Tile::new(c.add(col), STEP));
                        }
                        gradient_rows(isa, s, dp, (m, to), (start + row, q), scores, of, true);
                        for (from, b, to_rows) in [(s, b_o_dim, to_v), (dp, b_q_dim, to_k)] {
                            let tile = Tile { accumulate: !is_first, ..Tile::new(to_rows, lanes) };
                            kernel.pack_a(a_p, f32_rows(from, STEP), 0, m, 0, to, 1.0);
                            for col in (0..dim).step_by(nr) {
                                let b = b.add(col * kernel.words(queries));
                                kernel.multiply(m, (dim - col).min(nr), kernel.words(to), a_p, b, tile.at(0, col));
                            }
                        }
                    }
                    is_first = false;
                }
            }
            store_rows(args.dk, (first + start) * f.k_stride + kv_head * f.k_head, f.k_stride, dk, lanes, rows, dim);
            store_rows(args.dv, (first + start) * f.v_stride + kv_head * f.v_head, f.v_stride, dv, lanes, rows, dim);
        }
    });
}

/// dq: for a block of queries, the keys that they see.
fn by_queries(
    pool: &Pool,
    kernel: Kernel,
    args: &AttentionBackward,
    blocks: &[Block],
    lse: Shared<f32>,
    delta: Shared<f32>,
) {
    let f = &args.forward();
    let Attention { rows: total, heads, dim, .. } = *f;
    let (mr, nr, isa) = (kernel.mr(), kernel.nr(), kernel.isa());
    let most = PANELS * mr;
    let lanes = f.lanes();
    let (a_rows, b_rows, b_dim) = (kernel.a_words(most, dim), kernel.b_words(STEP, dim), kernel.b_words(dim, STEP));
    let sizes = [a_rows, a_rows, b_rows, b_rows, b_dim, kernel.a_words(mr, STEP), mr * STEP, mr * STEP, most * lanes];
    let bytes = Pieces::bytes(&sizes);
    pool.parallel(blocks.len() * heads, &|task, worker| {
        let (Block { first, start, rows, .. }, head) = (blocks[task / heads], task % heads);
        let kv_head = f.kv_head(head);
        let scores = f.scores(head);
        // SAFETY: this task's scratch, cut into pieces of the sizes that the panels and rows below need; `check` and
        // `segments` vouch for the inputs, and the rows and head of dq are this task's alone.
        unsafe {
            let mut pieces = Pieces::new(pool.scratch(worker, bytes));
            let [a_q, a_o, b_k, b_v, b_k_dim, a_ds] = [0, 1, 2, 3, 4, 5].map(|i| pieces.take::<u32>(sizes[i]));
            let [s, dp, dq] = [6, 7, 8].map(|i| pieces.take::<f32>(sizes[i]));
            kernel.pack_a_panels(a_q, f.query(first + start, head), 0, rows, 0, dim);
            kernel.pack_a_panels(a_o, args.d_out(first + start, head), 0, rows, 0, dim);
            let at = head * total + first + start;
            let (lse, delta) = (lse.get().add(at), delta.get().add(at));
            let dim_words = kernel.words(dim);
            let end = start + rows;
            let mut k = scores.keys(start, 0, end).0 / STEP * STEP;
            let mut is_first = true;
            while k < end {
                let keys = (end - k).min(STEP);
                let (key, value) = (f.key(first + k, kv_head), f.value(first + k, kv_head));
                kernel.pack_b_panels(b_k, key, 0, keys, 0, dim);
                kernel.pack_b_panels(b_v, value, 0, keys, 0, dim);
                kernel.pack_b_panels(b_k_dim, along_tokens(key), 0, dim, 0, keys);
                for row in (0..rows).step_by(mr) {
                    let m = (rows - row).min(mr);
                    let seen = (start + row + m).saturating_sub(k).min(keys);
                    if seen == 0 {
                        continue;
                    }
                    for (a, b, c) in [(a_q, b_k, s), (a_o, b_v, dp)] {
                        kernel.multiply_panels(m, seen, dim_words, a.add(row * dim_words), b, Tile::new(c, STEP));
                    }
                    let of = (lse.add(row).cast_const(), delta.add(row).cast_const());
                    gradient_rows(isa, s, dp, (m, seen), (start + row, k), scores, of, false);
                    kernel.pack_a(a_ds, f32_rows(dp, STEP), 0, m, 0, seen, 1.0);
                    let tile = Tile { accumulate: !is_first, ..Tile::new(dq.add(row * lanes), lanes) };
                    for col in (0..dim).step_by(nr) {
                        let b = b_k_dim.add(col * kernel.words(keys));
                        kernel.multiply(m, (dim - col).min(nr), kernel.words(seen), a_ds, b, tile.at(0, col));
                    }
                }
                is_first = false;
                k += STEP;
            }
            store_rows(args.dq, (first + start) * f.q_stride + head * f.q_head, f.q_stride, dq, lanes, rows, dim);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::testing::{error, isas, Random, Tensor};

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
            for isa in isas() {
                let mut bits: Option<Vec<u32>> = None;
                for threads in [1, 2, 3] {
                    let pool = Pool::new(threads).unwrap();
                    let out = Tensor::new(rows * heads * dim, dtype, true);
                    let lse = Tensor::new(heads * rows, DType::F32, true);
                    let grad = |t: &Tensor| Tensor::of(&vec![7.0; t.values().len()], dtype, true);
                    let (dq, dk, dv) = (grad(&q), grad(k), grad(v));
                    let skip = |t: &Tensor, layout: Layout| t.view().skip(layout.0);
                    let args = Attention {
                        out: out.view(),
                        lse: lse.view(),
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
                    forward(&pool, isa, &args).unwrap();
                    let (dk, dv) = if self.packed { (&dq, &dq) } else { (&dk, &dv) };
                    let Attention { out: o, lse: l, slopes, segment_count, soft_cap, window, .. } = args;
                    let backward_args = AttentionBackward {
                        dq: skip(&dq, qo),
                        dk: skip(dk, ko),
                        dv: skip(dv, vo),
                        d_out: d_out.view(),
                        out: o,
                        lse: l,
                        q: args.q,
                        k: args.k,
                        v: args.v,
                        segments: args.segments,
                        slopes,
                        segment_count,
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
                        soft_cap,
                        window,
                        compute,
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
        Case { soft_cap: 2.0, slopes: true, window: 33, heads: 7, kv_heads: 3, ..case.clone() }.run(13);
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
