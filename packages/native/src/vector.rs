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
