//! Rows with AVX-512, a row of which stays in the first cache from pass to pass; the same bits as the loops in mod.rs.

use core::arch::x86_64::*;

use super::{Norm, NormBackward};
use crate::block::{store as store_scalars, Sum};
use crate::buffer::View;
use crate::vector::{lanes, load, store};

#[inline]
#[target_feature(enable = "avx512f")]
fn total(sum: __m512) -> f32 {
    let mut lanes = [0.0; 16];
    // SAFETY: sixteen floats.
    unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
    Sum::of(lanes).total()
}

#[inline]
#[target_feature(enable = "avx512f")]
fn centre<const CENTRED: bool>(x: __m512, mean: __m512) -> __m512 {
    if CENTRED {
        _mm512_sub_ps(x, mean)
    } else {
        x
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn offset_by<const CENTRED: bool>(weight: __m512, offset: __m512) -> __m512 {
    if CENTRED {
        weight
    } else {
        _mm512_add_ps(weight, offset)
    }
}

/// # Safety
/// The views hold rows `from .. to`; the CPU has AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn norm<const CENTRED: bool>(k: &Norm, from: usize, to: usize) {
    let offset = _mm512_set1_ps(k.offset);
    for row in from..to {
        let base = row * k.cols;
        // SAFETY: the caller's promise.
        unsafe {
            let mut sum = _mm512_setzero_ps();
            for at in (0..if CENTRED { k.cols } else { 0 }).step_by(16) {
                sum = _mm512_add_ps(sum, load(k.x, base + at, lanes(k.cols - at)));
            }
            let mean = total(sum) / k.cols as f32;
            let means = _mm512_set1_ps(mean);
            let mut squares = _mm512_setzero_ps();
            for at in (0..k.cols).step_by(16) {
                let mask = lanes(k.cols - at);
                let x = load(k.x, base + at, mask);
                let x = if CENTRED { _mm512_maskz_sub_ps(mask, x, means) } else { x };
                squares = _mm512_add_ps(squares, _mm512_mul_ps(x, x));
            }
            let rstd = 1.0 / (total(squares) / k.cols as f32 + k.eps).sqrt();
            if let Some(view) = k.mean {
                store_scalars(view, row, &[mean]);
            }
            store_scalars(k.rstd, row, &[rstd]);
            let rstds = _mm512_set1_ps(rstd);
            for at in (0..k.cols).step_by(16) {
                let mask = lanes(k.cols - at);
                let normal = _mm512_mul_ps(centre::<CENTRED>(load(k.x, base + at, mask), means), rstds);
                let mut y = _mm512_mul_ps(normal, offset_by::<CENTRED>(load(k.weight, at, mask), offset));
                if CENTRED {
                    y = _mm512_add_ps(y, k.bias.map_or(_mm512_setzero_ps(), |bias| load(bias, at, mask)));
                }
                store(k.out, base + at, mask, y);
            }
        }
    }
}

/// # Safety
/// As for `norm`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn norm_dx<const CENTRED: bool>(k: &NormBackward, dx: View, from: usize, to: usize) {
    let offset = _mm512_set1_ps(k.offset);
    for row in from..to {
        let base = row * k.cols;
        // SAFETY: the caller's promise.
        unsafe {
            let (mean, rstd) = k.statistics(row);
            let (mean, rstd) = (_mm512_set1_ps(mean), _mm512_set1_ps(rstd));
            let (mut sum, mut dot) = (_mm512_setzero_ps(), _mm512_setzero_ps());
            for at in (0..k.cols).step_by(16) {
                let mask = lanes(k.cols - at);
                let weight = offset_by::<CENTRED>(load(k.weight, at, mask), offset);
                let g = _mm512_mul_ps(weight, load(k.d_out, base + at, mask));
                let normal = _mm512_mul_ps(centre::<CENTRED>(load(k.x, base + at, mask), mean), rstd);
                if CENTRED {
                    sum = _mm512_add_ps(sum, g);
                }
                dot = _mm512_add_ps(dot, _mm512_mul_ps(g, normal));
            }
            let g_mean = _mm512_set1_ps(total(sum) / k.cols as f32);
            let dot_mean = _mm512_set1_ps(total(dot) / k.cols as f32);
            for at in (0..k.cols).step_by(16) {
                let mask = lanes(k.cols - at);
                let weight = offset_by::<CENTRED>(load(k.weight, at, mask), offset);
                let g = _mm512_mul_ps(weight, load(k.d_out, base + at, mask));
                let normal = _mm512_mul_ps(centre::<CENTRED>(load(k.x, base + at, mask), mean), rstd);
                let part = _mm512_sub_ps(centre::<CENTRED>(g, g_mean), _mm512_mul_ps(normal, dot_mean));
                let mut d = _mm512_mul_ps(rstd, part);
                if let Some(view) = k.base {
                    d = _mm512_add_ps(d, load(view, base + at, mask));
                }
                store(dx, base + at, mask, d);
            }
        }
    }
}
