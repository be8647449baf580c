//! Cross entropy of softmax(hidden . weight^T) without the logits: attention over the vocabulary.
//!
//! Blocks of the vocabulary come first, packed once each, the next while one is multiplied; inside, tasks take pieces of
//! the rows that carry a label and keep a running maximum, sum and (in dHidden itself) sum of exponentials times weight
//! rows. A row's result depends on the shape alone, not on threads or on the other rows. Workspace beside dHidden: four
//! packed blocks of at most 4 MiB (more where rows are very wide), at most 12 MiB of packed hidden, some hundred KiB per
//! thread, and six words per row.

use crate::arguments::{LinearCrossEntropy, LinearCrossEntropyWeightBackward};
use crate::buffer::{load, store, DType, View};
use crate::fold::{exp_sum, max_of};
use crate::gemm::{Kernel, Matrix, Pieces, Shared, Tile, FLOATS, RESULTS};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::linear_cross_entropy_avx512 as avx512;
use crate::math::{exp_f32, tanh_f32};
use crate::multiversion;
use crate::pool::Pool;
use crate::with_elem;

/// The label of rows that are left out.
const SKIPPED: i32 = -100;

/// Columns of one tile of logits.
const STEP: usize = 512;
/// Elements from one row of a tile to the next: not a power of two, so that rows do not meet in the same cache lines.
pub const ROW: usize = STEP + 16;
/// Most words of a packed block (4 MiB), where a larger one is not forced by very wide rows.
const BLOCK_WORDS: usize = 1 << 20;
/// Most rows of the vocabulary packed at a time.
const VOCAB_ROWS: usize = 2 * STEP;
/// Most tokens packed at a time for dWeight, which is read and written once for each such block.
const TOKENS: usize = 4 * STEP;
/// Most A panels, and most words of them (256 KiB), of one task.
const PANELS: usize = 4;
const A_WORDS: usize = 64 << 10;
/// Words of hidden that are packed once and kept for every block (12 MiB); a longer one is packed again for each.
const KEPT_WORDS: usize = 3 << 20;

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

/// The part of `parts` equal ones, in order, of `0 .. total`.
fn part(total: usize, parts: usize, index: usize) -> (usize, usize) {
    (total * index / parts, total * (index + 1) / parts)
}

/// Into how many tasks A panels are cut: of a size within the limits, and as many for each thread.
fn tasks_of(kernel: Kernel, panels: usize, cols: usize, threads: usize) -> usize {
    let most = (A_WORDS / (kernel.words(cols).max(1) * kernel.mr())).clamp(1, PANELS);
    panels.div_ceil(most).next_multiple_of(threads).max(4 * threads).min(panels)
}

/// Rows of a block: whole steps of at most `most` rows that pack into BLOCK_WORDS, but at least one step.
fn block_rows(words: usize, most: usize) -> usize {
    (BLOCK_WORDS / words.max(1)).clamp(STEP, most) / STEP * STEP
}

/// A block of rows of W (or of hidden) packed twice: as B of products with these rows, and, `STEP` rows at a time, as B of
/// products that sum over them.
#[derive(Clone, Copy)]
struct Packed {
    kernel: Kernel,
    cols: usize,
    rows: Shared<u32>,
    /// Null where no sum over the rows is wanted.
    sums: Shared<u32>,
}

impl Packed {
    /// Words of the two parts for a block of `len` rows.
    fn words(kernel: Kernel, len: usize, cols: usize, sums: bool) -> [usize; 2] {
        [kernel.b_words(len, cols), if sums { len.div_ceil(STEP) * kernel.b_words(cols, STEP) } else { 0 }]
    }

    /// Rows `at ..` of the block's `len`, as many as make a panel; `from` is the block in memory.
    ///
    /// # Safety
    /// The rows exist, their panel and their part of the sums' panels are this caller's to write, and `at` is a multiple of
    /// a panel's rows.
    unsafe fn pack(self, from: Matrix, at: usize, len: usize, sums: bool) {
        let (kernel, cols, nr) = (self.kernel, self.cols, self.kernel.nr());
        let rows = (len - at).min(nr);
        // SAFETY: the caller's promise. A panel's rows are whole words and lie in one step.
        unsafe {
            kernel.pack_b(self.rows(at), from, at, rows, 0, cols);
            if !sums {
                return;
            }
            let (step, inside) = (at / STEP, kernel.words(at % STEP));
            let words = kernel.words((len - step * STEP).min(STEP));
            for col in (0..cols).step_by(nr) {
                let to = self.sums(step).add((col / nr * words + inside) * nr);
                kernel.pack_b(to, Matrix { across: true, ..from }, col, (cols - col).min(nr), at, rows);
            }
        }
    }

    /// The panels of the rows from `at`, a multiple of a panel's rows, on.
    fn rows(self, at: usize) -> *mut u32 {
        self.rows.get().wrapping_add(at * self.kernel.words(self.cols))
    }

    /// The panels of step `step` whose products sum over its rows.
    fn sums(self, step: usize) -> *mut u32 {
        self.sums.get().wrapping_add(step * self.kernel.b_words(self.cols, STEP))
    }
}

/// What a row carries from one tile of logits to the next.
#[derive(Clone, Copy)]
pub struct Running {
    pub max: *mut f32,
    pub sum: *mut f32,
    /// The logit of the label.
    pub target: *mut f32,
    /// The first index of the largest logit.
    pub best: *mut u32,
    pub labels: *const i32,
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

/// Turns a tile of products (rows `ROW` apart) into the factors of dHidden, relative to each row's running maximum.
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
                std::slice::from_raw_parts_mut(s.add(i * ROW), cols),
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
    unsafe fn softmax_rows_general(s: *mut f32, size: (usize, usize), vocab: usize, soft_cap: f32, state: Running, rescale: *mut f32, factors: bool) = softmax_rows_body
}

/// The factors that a tile's rows became, as the A of a product.
fn factors_of(s: *mut f32, dtype: DType) -> Matrix {
    Matrix { ptr: s as *const u8, dtype, ld: ROW * 4 / dtype.size(), across: false }
}

/// The dtype that the AVX-512 loops store factors as.
#[cfg(target_arch = "x86_64")]
fn factor_dtype(kernel: Kernel) -> DType {
    if kernel.per_word() == 2 {
        DType::Bf16
    } else {
        DType::F32
    }
}

/// See `softmax_rows_body`. Returns the factors.
///
/// # Safety
/// As there.
#[allow(clippy::too_many_arguments)]
unsafe fn softmax_rows(
    kernel: Kernel,
    s: *mut f32,
    size: (usize, usize),
    vocab: usize,
    soft_cap: f32,
    state: Running,
    rescale: *mut f32,
    factors: bool,
) -> Matrix {
    // SAFETY: the caller's promise; a kernel is only made for a CPU that has its instruction set.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if kernel.isa() >= Isa::Avx512 && soft_cap <= 0.0 {
            let dtype = factor_dtype(kernel);
            match dtype {
                DType::Bf16 => avx512::softmax_rows_bf16(s, size, vocab, state, rescale),
                _ => avx512::softmax_rows_f32(s, size, vocab, state, rescale),
            }
            return factors_of(s, dtype);
        }
        softmax_rows_general(kernel.isa(), s, size, vocab, soft_cap, state, rescale, factors);
    }
    factors_of(s, DType::F32)
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
    let size = block_rows(words, VOCAB_ROWS);
    let blocks = vocab.div_ceil(size);
    let row_panels = count.div_ceil(mr);
    let tasks = tasks_of(kernel, row_panels, cols, pool.threads());
    let most = row_panels.div_ceil(tasks.max(1)) * mr;
    let kept_words = if kernel.a_words(count, cols) <= KEPT_WORDS { kernel.a_words(count, cols) } else { 0 };
    let [rows_words, sums_words] = Packed::words(kernel, size.min(vocab), cols, acc.is_some());
    let sizes = [rows_words, sums_words, rows_words, sums_words, kept_words, count, count, count, count];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let packed = [0, 1].map(|_| {
        let (rows, sums) = (Shared::new(pieces.take(rows_words)), Shared::new(pieces.take(sums_words)));
        Packed { kernel, cols, rows, sums }
    });
    let kept = Shared::new(pieces.take::<u32>(kept_words));
    let [max, sum, target] = [(); 3].map(|_| pieces.take::<f32>(count));
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

    let contiguous = count == rows;
    let raw_words = if contiguous { 0 } else { (most * cols * hidden.dtype.size()).div_ceil(4) };
    let a_words = if kept_words > 0 { 0 } else { kernel.a_words(most, cols) };
    let scratch = [a_words, raw_words, most * ROW, kernel.a_words(most, STEP), most];
    let bytes = Pieces::bytes(&scratch);

    let pack = |block: usize, task: usize| {
        let len = (vocab - block * size).min(size);
        // SAFETY: rows of the weight that are there; one task packs them, into a block that nobody reads yet.
        unsafe { packed[block % 2].pack(from_row(weight, block * size), task * nr, len, acc.is_some()) }
    };
    let multiply = |block: usize, task: usize, worker: usize| {
        let (start, packed) = (block * size, packed[block % 2]);
        let block_len = (vocab - start).min(size);
        let (from, to) = part(row_panels, tasks, task);
        let (from, rows) = (from * mr, (to * mr).min(count) - from * mr);
        // SAFETY: this task's scratch, cut into pieces of the sizes used below; the panels were packed in an earlier region;
        // the rows of kept hidden, of the running sums and of dHidden are this task's alone.
        unsafe {
            let mut pieces = Pieces::new(pool.scratch(worker, bytes));
            let (a, raw) = (pieces.take::<u32>(a_words), pieces.take::<u32>(raw_words) as *mut u8);
            let (s, a_p, rescale) =
                (pieces.take::<f32>(scratch[2]), pieces.take::<u32>(scratch[3]), pieces.take::<f32>(most));
            let a = if kept_words > 0 { kept.get().add(from * words) } else { a };
            if kept_words == 0 || block == 0 {
                let piece =
                    if contiguous { from_row(hidden, from) } else { gather(hidden, &live[from..from + rows], raw) };
                kernel.pack_a_panels(a, piece, 0, rows, 0, cols);
            }
            let state = (*shared.get()).at(from);
            for step in 0..block_len.div_ceil(STEP) {
                let len = (block_len - step * STEP).min(STEP);
                kernel.multiply_panels(rows, len, words, a, packed.rows(step * STEP), Tile::new(s, ROW));
                let at = start + step * STEP;
                let p = softmax_rows(kernel, s, (rows, len), at, soft_cap, state, rescale, acc.is_some());
                let Some(acc) = acc else { continue };
                let acc = acc.get().add(from * cols);
                let tile = Tile { accumulate: at > 0, ..Tile::new(acc, cols) };
                for i in (0..rows).filter(|i| at > 0 && rescale.add(*i).read() != 1.0) {
                    scale_row(isa, acc.add(i * cols), cols, rescale.add(i).read());
                }
                kernel.pack_a_panels(a_p, p, 0, rows, 0, len);
                kernel.multiply_panels(rows, cols, kernel.words(len), a_p, packed.sums(step), tile);
            }
        }
    };
    let panels_of = |block: usize| if block < blocks { (vocab - block * size).min(size).div_ceil(nr) } else { 0 };
    if tasks > 0 {
        pool.parallel(panels_of(0), &|task, _| pack(0, task));
        for block in 0..blocks {
            // Packing comes last: its short tasks even out the end of the region.
            pool.parallel(tasks + panels_of(block + 1), &|task, worker| {
                if task < tasks {
                    multiply(block, task, worker);
                } else {
                    pack(block + 1, task - tasks);
                }
            });
        }
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
pub struct Columns {
    pub lse: *const f32,
    pub upstream: *const f32,
    pub labels: *const i32,
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
            let row = std::slice::from_raw_parts_mut(s.add(i * ROW), cols);
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
    unsafe fn gradient_rows_general(s: *mut f32, size: (usize, usize), vocab: usize, soft_cap: f32, of: Columns) = gradient_rows_body
}

/// See `gradient_rows_body`. Returns the factors.
///
/// # Safety
/// As there.
unsafe fn gradient_rows(
    kernel: Kernel,
    s: *mut f32,
    size: (usize, usize),
    vocab: usize,
    soft_cap: f32,
    of: Columns,
) -> Matrix {
    // SAFETY: the caller's promise; a kernel is only made for a CPU that has its instruction set.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if kernel.isa() >= Isa::Avx512 && soft_cap <= 0.0 {
            let dtype = factor_dtype(kernel);
            match dtype {
                DType::Bf16 => avx512::gradient_rows_bf16(s, size, vocab, of),
                _ => avx512::gradient_rows_f32(s, size, vocab, of),
            }
            return factors_of(s, dtype);
        }
        gradient_rows_general(kernel.isa(), s, size, vocab, soft_cap, of);
    }
    factors_of(s, DType::F32)
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
    let size = block_rows(words, TOKENS).min(count);
    let contiguous = count == rows;
    let raw_words = if contiguous { 0 } else { (size * cols * hidden.dtype.size()).div_ceil(4) };
    let [rows_words, sums_words] = Packed::words(kernel, size, cols, true);
    let sizes = [rows_words, sums_words, raw_words, count, count];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let (packed_rows, packed_sums) = (Shared::new(pieces.take(rows_words)), Shared::new(pieces.take(sums_words)));
    let packed = Packed { kernel, cols, rows: packed_rows, sums: packed_sums };
    let raw = Shared::new(pieces.take::<u32>(raw_words));
    let [lse, upstream] = [(); 2].map(|_| Shared::new(pieces.take::<f32>(count)));
    for (i, row) in live.iter().enumerate() {
        // SAFETY: the pieces have `count` elements; `check` found `rows` elements.
        unsafe {
            lse.get().add(i).write(load(args.lse.typed::<f32>(), *row as usize));
            upstream.get().add(i).write(load(args.upstream.typed::<f32>(), *row as usize));
        }
    }
    let row_panels = vocab.div_ceil(mr);
    let tasks = tasks_of(kernel, row_panels, cols, pool.threads());
    let most = row_panels.div_ceil(tasks) * mr;
    let scratch = [kernel.a_words(most, cols), most * ROW, kernel.a_words(most, STEP)];
    let bytes = Pieces::bytes(&scratch);

    for start in (0..count).step_by(size) {
        let tokens = (count - start).min(size);
        let here = if contiguous {
            from_row(hidden, start)
        } else {
            // SAFETY: the piece has room for a block of rows.
            unsafe { gather(hidden, &live[start..start + tokens], raw.get() as *mut u8) }
        };
        // SAFETY: rows of hidden that are there, which one task packs.
        pool.parallel(tokens.div_ceil(nr), &|task, _| unsafe { packed.pack(here, task * nr, tokens, true) });
        pool.parallel(tasks, &|task, worker| {
            let (from, to) = part(row_panels, tasks, task);
            let (from, rows) = (from * mr, (to * mr).min(vocab) - from * mr);
            // SAFETY: this task's scratch, cut into pieces of the sizes used below; the panels are packed; the rows of
            // dWeight are this task's alone.
            unsafe {
                let mut pieces = Pieces::new(pool.scratch(worker, bytes));
                let (a, s, a_g) =
                    (pieces.take::<u32>(scratch[0]), pieces.take::<f32>(scratch[1]), pieces.take::<u32>(scratch[2]));
                kernel.pack_a_panels(a, from_row(weight, from), 0, rows, 0, cols);
                let tile = Tile::adding(args.d_weight.typed::<f32>().add(from * cols), cols);
                for step in 0..tokens.div_ceil(STEP) {
                    let (at, len) = (start + step * STEP, (tokens - step * STEP).min(STEP));
                    kernel.multiply_panels(rows, len, words, a, packed.rows(step * STEP), Tile::new(s, ROW));
                    let of = Columns {
                        lse: lse.get().add(at),
                        upstream: upstream.get().add(at),
                        labels: labels[at..].as_ptr(),
                    };
                    let g = gradient_rows(kernel, s, (rows, len), from, soft_cap, of);
                    kernel.pack_a_panels(a_g, g, 0, rows, 0, len);
                    kernel.multiply_panels(rows, cols, kernel.words(len), a_g, packed.sums(step), tile);
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
            for isa in Isa::available() {
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
        Case { rows: 130, cols: 18, vocab: 2600, dtype: DType::Bf16, compute: true, ..CASE }.run(2);
    }

    #[test]
    fn a_hidden_too_large_to_be_kept_packed_gives_the_same() {
        Case { rows: 50_000, cols: 100, vocab: 9, ..CASE }.run(0);
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
        for isa in Isa::available() {
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
        for isa in Isa::available() {
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
