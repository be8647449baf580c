//! Sixteen elements at a time with AVX-512: conversions on the way in and out, and functions with fused products.

use core::arch::x86_64::*;

use crate::buffer::{DType, View};

/// The lowest `n` lanes, at most sixteen.
#[inline(always)]
pub fn lanes(n: usize) -> __mmask16 {
    ((1u32 << n.min(16)) - 1) as u16
}

/// Elements `at ..`, 0 where masked.
///
/// # Safety
/// The view is of a float dtype and holds the elements within the mask; the CPU has AVX-512.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn load(view: View, at: usize, mask: __mmask16) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        if view.dtype() == DType::F32 {
            return _mm512_maskz_loadu_ps(mask, (view.ptr() as *const f32).wrapping_add(at));
        }
        let half = _mm256_maskz_loadu_epi16(mask, (view.ptr() as *const i16).wrapping_add(at));
        if view.dtype() == DType::Bf16 {
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
        } else {
            _mm512_cvtph_ps(half)
        }
    }
}

/// Rounds to the nearest bf16, to even at a tie; a NaN stays one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub fn to_bf16(x: __m512) -> __m256i {
    let bits = _mm512_castps_si512(x);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x);
    let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x40_0000));
    _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(_mm512_mask_mov_epi32(rounded, nan, quiet)))
}

/// Stores the elements within the mask.
///
/// # Safety
/// As for `load`; nothing else uses them meanwhile.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn store(view: View, at: usize, mask: __mmask16, x: __m512) {
    // SAFETY: the caller's promise.
    unsafe {
        if view.dtype() == DType::F32 {
            return _mm512_mask_storeu_ps((view.ptr() as *mut f32).wrapping_add(at), mask, x);
        }
        let half =
            if view.dtype() == DType::Bf16 { to_bf16(x) } else { _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x) };
        _mm256_mask_storeu_epi16((view.ptr() as *mut i16).wrapping_add(at), mask, half);
    }
}

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
