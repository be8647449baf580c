//! Panels with AVX-512: 14 rows by 32 columns, 28 of the 32 registers are sums.

use core::arch::x86_64::*;

use crate::buffer::{Bf16, Elem, F16};

mod dots;
mod multiply;
mod pack;

pub use dots::{dot_products_bf16, dot_products_f32};
pub use multiply::{add_masked, multiply_bf16, multiply_f32};
pub use pack::pack;

pub const MR: usize = 14;
pub const NR: usize = 32;

/// A mask of the low `n` of 16 lanes; all for n >= 16.
#[inline(always)]
fn low16(n: usize) -> __mmask16 {
    if n >= 16 {
        0xffff
    } else {
        (1u16 << n) - 1
    }
}

/// Rounds to bf16 (nearest even, NaN stays NaN), kept as f32.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn round_bf16(x: __m512) -> __m512 {
    let bits = _mm512_castps_si512(x);
    let odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x40_0000));
    let nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    let bits = _mm512_mask_mov_epi32(rounded, nan, quiet);
    _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(0xffff_0000u32 as i32)))
}

/// Loads of elements as f32.
pub trait Source: Elem {
    /// The elements at `p` under `mask`, others 0.
    ///
    /// # Safety
    /// The elements are readable, and the CPU has AVX-512 F, BW and VL.
    unsafe fn load(p: *const Self, mask: __mmask16) -> __m512;
}

impl Source for f32 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(p: *const f32, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise; masked lanes are not touched.
        unsafe { _mm512_maskz_loadu_ps(mask, p) }
    }
}

impl Source for Bf16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(p: *const Bf16, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise; masked lanes are not touched.
        let half = unsafe { _mm256_maskz_loadu_epi16(mask, p as *const i16) };
        _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))
    }
}

impl Source for F16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(p: *const F16, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise; masked lanes are not touched.
        let half = unsafe { _mm256_maskz_loadu_epi16(mask, p as *const i16) };
        _mm512_cvtph_ps(half)
    }
}

/// Transposes 16 rows of 16 words.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn transpose(r: &mut [__m512i; 16]) {
    let mut t = [_mm512_setzero_si512(); 16];
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for i in 0..4 {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for i in 0..4 {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for i in 0..4 {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}
