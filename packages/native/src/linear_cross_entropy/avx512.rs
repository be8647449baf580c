//! The rows of cross entropy's tiles with AVX-512, in two passes over the first cache level. For logits without a soft cap;
//! the general loops in rows.rs do the rest.

use core::arch::x86_64::*;

use super::rows::{Columns, Running};
use super::ROW;
use crate::vector::exp;

const LANES: usize = 16;

/// A mask of the lanes from `at` on that lie below `end`.
#[inline(always)]
fn below(at: usize, end: usize) -> __mmask16 {
    ((1u32 << end.saturating_sub(at).min(LANES)) - 1) as u16
}

/// Stores 32 factors at element `at` of a row, as bf16 if `PAIRS`.
///
/// # Safety
/// The row has as many elements from there; the CPU has AVX-512, and for `PAIRS` its bf16 part.
#[inline(always)]
unsafe fn put<const PAIRS: bool>(row: *mut f32, at: usize, low: __m512, high: __m512) {
    // SAFETY: the caller's promise; a bf16 vector and an integer one are both 64 bytes.
    unsafe {
        if PAIRS {
            let pairs = core::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512((row as *mut u16).add(at) as *mut __m512i, pairs);
        } else {
            _mm512_storeu_ps(row.add(at), low);
            _mm512_storeu_ps(row.add(at + LANES), high);
        }
    }
}

/// See `softmax_rows_body`; the factors are stored as bf16 at the beginning of each row if `PAIRS`.
///
/// # Safety
/// As there; the CPU has AVX-512, and for `PAIRS` its bf16 part.
#[inline(always)]
unsafe fn softmax_rows<const PAIRS: bool>(
    s: *mut f32,
    (rows, cols): (usize, usize),
    vocab: usize,
    state: Running,
    rescale: *mut f32,
) {
    // SAFETY: row i of the task's own tile, which has room for a multiple of 32 elements, and of its sums.
    unsafe {
        let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
        for i in 0..rows {
            let row = s.add(i * ROW);
            let (max, sum) = (&mut *state.max.add(i), &mut *state.sum.add(i));
            let load = |at: usize| _mm512_mask_loadu_ps(lowest, below(at, cols), row.add(at));
            let label = state.labels.add(i).read() as usize;
            if (vocab..vocab + cols).contains(&label) {
                *state.target.add(i) = *row.add(label - vocab);
            }
            // A NaN is passed over here; the sum keeps it.
            let mut highest = [lowest; 4];
            for from in (0..cols).step_by(4 * LANES) {
                for (v, highest) in highest.iter_mut().enumerate() {
                    *highest = _mm512_max_ps(load(from + v * LANES), *highest);
                }
            }
            let [a, b, c, d] = highest;
            let highest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(a, b), _mm512_max_ps(c, d)));
            let mut factor = 1.0;
            if highest > *max {
                let all = _mm512_set1_ps(highest);
                let mut equal = (0..cols).step_by(LANES).map(|at| (at, _mm512_cmpeq_ps_mask(load(at), all)));
                let first =
                    equal.find(|(_, lanes)| *lanes != 0).map_or(0, |(at, lanes)| at + lanes.trailing_zeros() as usize);
                *state.best.add(i) = (vocab + first) as u32;
                factor = _mm512_cvtss_f32(exp(_mm512_set1_ps(*max - highest)));
                *max = highest;
            }
            *rescale.add(i) = factor;
            // Where all logits so far are -infinity their factors are 0; a NaN stays.
            let max = _mm512_set1_ps(if *max == f32::NEG_INFINITY { 0.0 } else { *max });
            let mut added = [_mm512_setzero_ps(); 2];
            for at in (0..cols).step_by(2 * LANES) {
                let low = exp(_mm512_sub_ps(load(at), max));
                let high = exp(_mm512_sub_ps(load(at + LANES), max));
                added = [_mm512_add_ps(added[0], low), _mm512_add_ps(added[1], high)];
                put::<PAIRS>(row, at, low, high);
            }
            *sum = *sum * factor + _mm512_reduce_add_ps(_mm512_add_ps(added[0], added[1]));
        }
    }
}

/// See `gradient_rows_body`; the factors are stored as bf16 at the beginning of each row if `PAIRS`.
///
/// # Safety
/// As there; the CPU has AVX-512, and for `PAIRS` its bf16 part.
#[inline(always)]
unsafe fn gradient_rows<const PAIRS: bool>(s: *mut f32, (rows, cols): (usize, usize), vocab: usize, of: Columns) {
    // SAFETY: row i of the task's own tile, which has room for a multiple of 32 elements; one element per token, of which
    // those past the last are not read.
    unsafe {
        for i in 0..rows {
            let row = s.add(i * ROW);
            let index = _mm512_set1_epi32((vocab + i) as i32);
            let factor = |at: usize| {
                let mask = below(at, cols);
                let lse = _mm512_maskz_loadu_ps(mask, of.lse.wrapping_add(at));
                let upstream = _mm512_maskz_loadu_ps(mask, of.upstream.wrapping_add(at));
                let labels = _mm512_maskz_loadu_epi32(mask, of.labels.wrapping_add(at));
                let p = exp(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, row.add(at)), lse));
                let hit = _mm512_cmpeq_epi32_mask(labels, index);
                _mm512_mul_ps(upstream, _mm512_mask_sub_ps(p, hit, p, _mm512_set1_ps(1.0)))
            };
            for at in (0..cols).step_by(2 * LANES) {
                let (low, high) = (factor(at), factor(at + LANES));
                put::<PAIRS>(row, at, low, high);
            }
        }
    }
}

macro_rules! versions {
    ($name:ident, $f32:ident, $pairs:ident, ($($arg:ident: $type:ty),*)) => {
        /// # Safety
        /// As for the body; the CPU has AVX-512.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
        pub unsafe fn $f32($($arg: $type),*) {
            // SAFETY: the caller's promise.
            unsafe { $name::<false>($($arg),*) }
        }

        /// # Safety
        /// As for the body; the CPU has AVX-512 BF16.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma,avx512bf16")]
        pub unsafe fn $pairs($($arg: $type),*) {
            // SAFETY: the caller's promise.
            unsafe { $name::<true>($($arg),*) }
        }
    };
}

versions!(softmax_rows, softmax_rows_f32, softmax_rows_bf16, (s: *mut f32, size: (usize, usize), vocab: usize, state: Running, rescale: *mut f32));
versions!(gradient_rows, gradient_rows_f32, gradient_rows_bf16, (s: *mut f32, size: (usize, usize), vocab: usize, of: Columns));
