//! The rows of attention's tiles with AVX-512: scores, mask, exponentials and sums in one pass over registers. For scores
//! without a soft cap; the general loops in attention.rs do the rest.

use core::arch::x86_64::*;

use crate::attention::{softmax_rows_body, Scores, Softmax, STEP};

const LANES: usize = 16;
/// Vectors of a row.
const VECTORS: usize = STEP / LANES;

/// e^x within 2 ulp; 0 below -104.5, infinity above 89, NaN for NaN.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
pub fn exp(x: __m512) -> __m512 {
    let splat = |x: f32| _mm512_set1_ps(x);
    // The second operand is what the comparison with a NaN gives.
    let x = _mm512_min_ps(splat(89.0), _mm512_max_ps(splat(-104.5), x));
    let n = _mm512_roundscale_ps::<0>(_mm512_mul_ps(x, splat(std::f32::consts::LOG2_E)));
    let r = _mm512_fnmadd_ps(n, splat(0.693_359_4), x);
    let r = _mm512_fnmadd_ps(n, splat(-2.121_944_4e-4), r);
    let mut p = splat(1.987_569_1e-4);
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5, 1.0, 1.0] {
        p = _mm512_fmadd_ps(p, r, splat(c));
    }
    _mm512_scalef_ps(p, n)
}

/// 0, 1, … 15 after `first`, as floats.
#[inline]
#[target_feature(enable = "avx512f")]
fn count_from(first: f32, step: f32) -> __m512 {
    let lanes = _mm512_set_ps(15., 14., 13., 12., 11., 10., 9., 8., 7., 6., 5., 4., 3., 2., 1., 0.);
    _mm512_fmadd_ps(lanes, _mm512_set1_ps(step), _mm512_set1_ps(first))
}

/// Lanes of vector `i` of a row that lie in `from..to`.
#[inline(always)]
fn seen(i: usize, from: usize, to: usize) -> __mmask16 {
    let below = |at: usize| ((1u32 << at.saturating_sub(i * LANES).min(LANES)) - 1) as u16;
    below(to) & !below(from)
}

/// See `softmax_rows_body` in attention.rs.
///
/// # Safety
/// As there; the CPU must have AVX-512 and there must be no soft cap.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
pub unsafe fn softmax_rows(
    s: *mut f32,
    (rows, keys): (usize, usize),
    (q, k): (usize, usize),
    scores: Scores,
    state: Softmax,
    first: bool,
) {
    let (scale, slope) = (_mm512_set1_ps(scores.scale), _mm512_set1_ps(scores.slope));
    let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
    for i in 0..rows {
        let (from, to) = scores.keys(q + i, k, keys);
        let used = to.div_ceil(LANES);
        let distance = k as f32 - (q + i) as f32;
        // SAFETY: row i of the task's own scores and sums, STEP and `lanes` elements long.
        unsafe {
            let row = s.add(i * STEP);
            let (max, sum) = (&mut *state.max.add(i), &mut *state.sum.add(i));
            if first {
                (*max, *sum) = (f32::NEG_INFINITY, 0.0);
            }
            let mut x = [lowest; VECTORS];
            let mut highest = lowest;
            for (v, x) in x.iter_mut().enumerate().take(used) {
                let bias = _mm512_mul_ps(slope, count_from(distance + (v * LANES) as f32, 1.0));
                let score = _mm512_fmadd_ps(_mm512_loadu_ps(row.add(v * LANES)), scale, bias);
                *x = _mm512_mask_mov_ps(lowest, seen(v, from, to), score);
                highest = _mm512_max_ps(*x, highest); // a NaN is passed over; the sum keeps it
            }
            let highest = _mm512_reduce_max_ps(highest);
            let raised = if highest > *max { highest } else { *max };
            if raised == f32::NEG_INFINITY {
                softmax_rows_body(row, (1, keys), (q + i, k), scores, state.at(i), false);
                continue;
            }
            let mut added = _mm512_setzero_ps();
            for (v, x) in x.iter().enumerate() {
                let p = if v < used { exp(_mm512_sub_ps(*x, _mm512_set1_ps(raised))) } else { _mm512_setzero_ps() };
                let p = _mm512_maskz_mov_ps(seen(v, from, to), p);
                added = _mm512_add_ps(added, p);
                _mm512_storeu_ps(row.add(v * LANES), p);
            }
            let added = _mm512_reduce_add_ps(added);
            if *max == raised {
                *sum += added;
                continue;
            }
            let rescale = _mm512_cvtss_f32(exp(_mm512_set1_ps(*max - raised)));
            if !first {
                for at in (0..state.lanes).step_by(LANES) {
                    let acc = state.acc.add(i * state.lanes + at);
                    _mm512_storeu_ps(acc, _mm512_mul_ps(_mm512_loadu_ps(acc), _mm512_set1_ps(rescale)));
                }
            }
            *sum = *sum * rescale + added;
            *max = raised;
        }
    }
}

/// See `gradient_rows_body` in attention.rs.
///
/// # Safety
/// As there; the CPU must have AVX-512 and there must be no soft cap.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
pub unsafe fn gradient_rows(
    s: *mut f32,
    dp: *mut f32,
    (rows, cols): (usize, usize),
    (row, col): (usize, usize),
    scores: Scores,
    (lse, delta): (*const f32, *const f32),
    by_keys: bool,
) {
    let (scale, slope) = (_mm512_set1_ps(scores.scale), _mm512_set1_ps(scores.slope));
    for i in 0..rows {
        let (from, to) = if by_keys { scores.queries(row + i, col, cols) } else { scores.keys(row + i, col, cols) };
        // Key minus query: it falls along a row of queries and rises along one of keys.
        let (distance, step) =
            if by_keys { ((row + i) as f32 - col as f32, -1.0) } else { (col as f32 - (row + i) as f32, 1.0) };
        for v in 0..VECTORS {
            let mask = seen(v, from, to);
            // SAFETY: row i of the task's own tiles; by keys one lse and delta per column, of which only those that are
            // seen are read, else one per row.
            unsafe {
                let (s, dp) = (s.add(i * STEP + v * LANES), dp.add(i * STEP + v * LANES));
                if mask == 0 {
                    _mm512_storeu_ps(s, _mm512_setzero_ps());
                    _mm512_storeu_ps(dp, _mm512_setzero_ps());
                    continue;
                }
                let (lse, delta) = if by_keys {
                    (_mm512_maskz_loadu_ps(mask, lse.add(v * LANES)), _mm512_maskz_loadu_ps(mask, delta.add(v * LANES)))
                } else {
                    (_mm512_set1_ps(*lse.add(i)), _mm512_set1_ps(*delta.add(i)))
                };
                let bias = _mm512_fmsub_ps(slope, count_from(distance + step * (v * LANES) as f32, step), lse);
                let p = exp(_mm512_fmadd_ps(_mm512_loadu_ps(s), scale, bias));
                let ds = _mm512_mul_ps(_mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(dp), delta), scale), p);
                _mm512_storeu_ps(s, _mm512_maskz_mov_ps(mask, p));
                _mm512_storeu_ps(dp, _mm512_maskz_mov_ps(mask, ds));
            }
        }
    }
}
