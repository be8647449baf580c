//! The rows of a tile of logits: from products to the factors of the gradients.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::ROW;
use crate::buffer::DType;
use crate::fold::{exp_sum, max_of};
use crate::gemm::{Kernel, Matrix};
#[cfg(target_arch = "x86_64")]
use crate::isa::Isa;
use crate::math::{exp_f32, tanh_f32};
use crate::multiversion;

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

// SAFETY: addresses; tasks keep to rows of their own.
unsafe impl Send for Running {}
// SAFETY: as above.
unsafe impl Sync for Running {}

impl Running {
    pub fn at(self, row: usize) -> Running {
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
///
/// # Safety
/// The rows of the tile, of `state` and of `rescale` are the caller's.
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
pub unsafe fn softmax_rows(
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

/// # Safety
/// The row has `cols` elements and is the caller's.
#[inline(always)]
unsafe fn scale_row_body(row: *mut f32, cols: usize, factor: f32) {
    for j in 0..cols {
        // SAFETY: the caller's row.
        unsafe { row.add(j).write_unaligned(row.add(j).read_unaligned() * factor) }
    }
}

multiversion! {
    pub unsafe fn scale_row(row: *mut f32, cols: usize, factor: f32) = scale_row_body
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
///
/// # Safety
/// The rows of the tile are the caller's; `of` has an element for each column.
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
pub unsafe fn gradient_rows(
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
