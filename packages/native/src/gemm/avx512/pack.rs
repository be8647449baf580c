//! Packing of factors into panels.

use core::arch::x86_64::*;

use super::{low16, round_bf16, transpose, Source};
use crate::buffer::{Bf16, DType, F16};
use crate::gemm::kernel::{Factors, Matrix};

/// How 16 words are made of elements of type E.
trait Pack {
    /// Elements along k in one word.
    const PER_WORD: usize;
    type E: Source;

    /// Words of elements that follow each other along k; `left` elements are readable from `p`.
    ///
    /// # Safety
    /// As said, and the CPU has the instructions.
    unsafe fn along(p: *const Self::E, left: usize, scale: __m512) -> __m512i;

    /// Words of 16 neighbouring rows: their first elements at `first`, their second, if any, at `second` (else null).
    ///
    /// # Safety
    /// The elements under `mask` are readable, and the CPU has the instructions.
    unsafe fn across(first: *const Self::E, second: *const Self::E, mask: __mmask16, scale: __m512) -> __m512i;
}

struct PackF32<E, const ROUND: bool>(std::marker::PhantomData<E>);

impl<E: Source, const ROUND: bool> Pack for PackF32<E, ROUND> {
    const PER_WORD: usize = 1;
    type E = E;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn along(p: *const E, left: usize, scale: __m512) -> __m512i {
        // SAFETY: the caller's promise.
        let x = _mm512_mul_ps(unsafe { E::load(p, low16(left)) }, scale);
        _mm512_castps_si512(if ROUND { round_bf16(x) } else { x })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn across(first: *const E, _second: *const E, mask: __mmask16, scale: __m512) -> __m512i {
        // SAFETY: the caller's promise.
        let x = _mm512_mul_ps(unsafe { E::load(first, mask) }, scale);
        _mm512_castps_si512(if ROUND { round_bf16(x) } else { x })
    }
}

/// Pairs of bf16, rounded from E after scaling.
struct PackPairs<E>(std::marker::PhantomData<E>);

impl<E: Source> Pack for PackPairs<E> {
    const PER_WORD: usize = 2;
    type E = E;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn along(p: *const E, left: usize, scale: __m512) -> __m512i {
        // SAFETY: the caller's promise; the second address is only used for lanes that are there, and a bf16 vector and
        // an integer one are both 64 bytes.
        unsafe {
            let low = _mm512_mul_ps(E::load(p, low16(left)), scale);
            let high = _mm512_mul_ps(E::load(p.wrapping_add(16), low16(left.saturating_sub(16))), scale);
            core::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn across(first: *const E, second: *const E, mask: __mmask16, scale: __m512) -> __m512i {
        // SAFETY: the caller's promise; a bf16 vector and an integer one of the same size are interchangeable.
        unsafe {
            let low = _mm512_mul_ps(E::load(first, mask), scale);
            let high = if second.is_null() { _mm512_setzero_ps() } else { _mm512_mul_ps(E::load(second, mask), scale) };
            let low = core::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(low));
            let high = core::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(high));
            _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16))
        }
    }
}

/// Pairs of bf16 as they are.
struct PackRaw;

impl Pack for PackRaw {
    const PER_WORD: usize = 2;
    type E = Bf16;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn along(p: *const Bf16, left: usize, _scale: __m512) -> __m512i {
        let mask = if left >= 32 { u32::MAX } else { (1u32 << left) - 1 };
        // SAFETY: the caller's promise.
        unsafe { _mm512_maskz_loadu_epi16(mask, p as *const i16) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn across(first: *const Bf16, second: *const Bf16, mask: __mmask16, _scale: __m512) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe {
            let low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, first as *const i16));
            if second.is_null() {
                return low;
            }
            let high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, second as *const i16));
            _mm512_or_si512(low, _mm512_slli_epi32(high, 16))
        }
    }
}

/// Packs one panel of width W (MR or NR).
///
/// # Safety
/// See `Kernel::pack_a` and `Kernel::pack_b`.
#[allow(clippy::too_many_arguments)]
pub unsafe fn pack<const W: usize>(
    factors: Factors,
    to: *mut u32,
    from: Matrix,
    row: usize,
    rows: usize,
    k: usize,
    len: usize,
    scale: f32,
) {
    type F32<E> = PackF32<E, false>;
    type Rounded<E> = PackF32<E, true>;
    macro_rules! run {
        ($features:literal, $P:ty) => {{
            #[target_feature(enable = $features)]
            #[allow(clippy::too_many_arguments)]
            unsafe fn go<const W: usize>(
                to: *mut u32,
                m: Matrix,
                row: usize,
                rows: usize,
                k: usize,
                len: usize,
                s: f32,
            ) {
                // SAFETY: the caller's promise.
                unsafe { panel::<$P, W>(to, m, row, rows, k, len, s) }
            }
            // SAFETY: the caller's promise, that the CPU has the instructions included.
            unsafe { go::<W>(to, from, row, rows, k, len, scale) }
        }};
    }
    match (factors, from.dtype) {
        (Factors::F32, DType::F32) => run!("avx512f,avx512bw,avx512vl", F32<f32>),
        (Factors::F32, DType::Bf16) => run!("avx512f,avx512bw,avx512vl", F32<Bf16>),
        (Factors::F32, DType::F16) => run!("avx512f,avx512bw,avx512vl", F32<F16>),
        (Factors::RoundedF32, DType::F32) => run!("avx512f,avx512bw,avx512vl", Rounded<f32>),
        (Factors::RoundedF32, DType::Bf16) => run!("avx512f,avx512bw,avx512vl", Rounded<Bf16>),
        (Factors::RoundedF32, DType::F16) => run!("avx512f,avx512bw,avx512vl", Rounded<F16>),
        (Factors::Bf16Pairs, DType::F32) => run!("avx512f,avx512bw,avx512vl,avx512bf16", PackPairs<f32>),
        (Factors::Bf16Pairs, DType::Bf16) if scale == 1.0 => {
            run!("avx512f,avx512bw,avx512vl,avx512bf16", PackRaw)
        }
        (Factors::Bf16Pairs, DType::Bf16) => run!("avx512f,avx512bw,avx512vl,avx512bf16", PackPairs<Bf16>),
        (Factors::Bf16Pairs, DType::F16) => run!("avx512f,avx512bw,avx512vl,avx512bf16", PackPairs<F16>),
        (_, other) => panic!("a float is needed here, not {}", other.name()),
    }
}

/// Rows of a factor that is read across to fetch ahead: too far apart for the hardware to foresee.
const ROWS_AHEAD: usize = 64;

/// # Safety
/// As `pack`.
#[inline(always)]
unsafe fn panel<P: Pack, const W: usize>(
    to: *mut u32,
    from: Matrix,
    row: usize,
    rows: usize,
    k: usize,
    len: usize,
    scale: f32,
) {
    let base = from.ptr as *const P::E;
    let words = len.div_ceil(P::PER_WORD);
    // SAFETY: every address is of an element in rows `row .. row + rows` and columns `k .. k + len`, or is masked off. For
    // W = 14 a store of 16 words reaches two words into the next group of W, which is written later; the last is masked.
    unsafe {
        let scale = _mm512_set1_ps(scale);
        let put = |p: usize, c: usize, v: __m512i| {
            let to = to.add(p * W + c) as *mut i32;
            if W - c >= 16 || p + 1 < words {
                _mm512_storeu_si512(to as *mut __m512i, v);
            } else {
                _mm512_mask_storeu_epi32(to, low16(W - c), v);
            }
        };
        if from.across {
            for p in 0..words {
                let element = p * P::PER_WORD;
                let first = base.add((k + element) * from.ld + row);
                let pair = P::PER_WORD == 2 && element + 1 < len;
                let second = if pair { first.add(from.ld) } else { core::ptr::null() };
                for i in 0..P::PER_WORD {
                    _mm_prefetch::<_MM_HINT_T1>(first.wrapping_add((ROWS_AHEAD + i) * from.ld) as *const i8);
                }
                for c in (0..W).step_by(16) {
                    let mask = low16(rows.saturating_sub(c));
                    let second = if pair { second.wrapping_add(c) } else { second };
                    let v = P::across(first.wrapping_add(c), second, mask, scale);
                    put(p, c, v);
                }
            }
        } else {
            for c in (0..W).step_by(16) {
                let live = rows.saturating_sub(c).min(16);
                for p in (0..words).step_by(16) {
                    let mut r = [_mm512_setzero_si512(); 16];
                    let element = p * P::PER_WORD;
                    for (i, r) in r.iter_mut().enumerate().take(live) {
                        let at = base.add((row + c + i) * from.ld + k + element);
                        // The next 16 rows are too many short streams for the hardware to foresee (1 to 2 % of a product).
                        _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(16 * from.ld) as *const i8);
                        *r = P::along(at, len - element, scale);
                    }
                    transpose(&mut r);
                    for (i, r) in r.iter().enumerate().take(words - p) {
                        put(p + i, c, *r);
                    }
                }
            }
        }
    }
}
