//! The product of a panel of A with one of B.

use core::arch::x86_64::*;

use super::{low16, round_bf16, Source, MR, NR};
use crate::buffer::Bf16;
use crate::gemm::kernel::Tile;

/// A product of words and a sum.
pub trait Dot {
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512;
    /// 32 bf16, `low` first.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn to_bf16(low: __m512, high: __m512) -> __m512i;
}

struct F32Dot;
impl Dot for F32Dot {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum)
    }
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn to_bf16(low: __m512, high: __m512) -> __m512i {
        let half = |x| _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(round_bf16(x)), 16));
        _mm512_inserti64x4(_mm512_castsi256_si512(half(low)), half(high), 1)
    }
}

pub struct Bf16Dot;
impl Dot for Bf16Dot {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        // SAFETY: a bf16 vector and an integer one are both 64 bytes.
        unsafe {
            _mm512_dpbf16_ps(
                sum,
                core::mem::transmute::<__m512i, __m512bh>(a),
                core::mem::transmute::<__m512i, __m512bh>(b),
            )
        }
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn to_bf16(low: __m512, high: __m512) -> __m512i {
        // SAFETY: a bf16 vector and an integer one are both 64 bytes.
        unsafe { core::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
    }
}

/// B words to fetch ahead: a panel comes from the second or third cache level.
const AHEAD: usize = 16 * NR;
/// Words before the end of a tile at which the memory that it goes to is fetched.
const LAST: usize = 48;

/// Adds the products of `words` words of M rows and V vectors of columns.
///
/// # Safety
/// The panels hold as many words.
#[inline(always)]
unsafe fn add_products<D: Dot, const M: usize, const V: usize>(
    sums: &mut [[__m512; V]; M],
    words: usize,
    mut a: *const u32,
    mut b: *const u32,
) {
    // SAFETY: the caller's promise; fetching ahead never faults.
    unsafe {
        for _ in 0..words {
            let mut vb = [_mm512_setzero_si512(); V];
            for (v, vb) in vb.iter_mut().enumerate() {
                *vb = _mm512_load_si512(b.add(16 * v) as *const __m512i);
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(AHEAD + 16 * v) as *const i8);
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = _mm512_set1_epi32(a.add(i).read() as i32);
                for (sum, vb) in sums.iter_mut().zip(vb) {
                    *sum = D::dot(*sum, x, vb);
                }
            }
            a = a.add(MR);
            b = b.add(NR);
        }
    }
}

/// M rows by V vectors of columns.
///
/// # Safety
/// As `Kernel::multiply`.
#[inline(always)]
unsafe fn tile<D: Dot, const M: usize, const V: usize>(
    words: usize,
    a: *const u32,
    b: *const u32,
    cols: usize,
    out: Tile,
) {
    // SAFETY: the panels hold `words` words each; the columns stored are masked; fetching ahead never faults.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); V]; M];
        let early = words.saturating_sub(LAST);
        add_products::<D, M, V>(&mut sums, early, a, b);
        let fetch = |base: *const u8, row_bytes: usize| {
            for i in 0..M {
                let row = base.wrapping_add(i * row_bytes) as *const i8;
                _mm_prefetch::<_MM_HINT_T0>(row);
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(64));
            }
        };
        fetch(out.ptr, out.ld * if out.bf16 { 2 } else { 4 });
        if !out.partial.is_null() {
            fetch(out.partial as *const u8, out.partial_ld * 4);
        }
        add_products::<D, M, V>(&mut sums, words - early, a.add(early * MR), b.add(early * NR));
        let masks: [__mmask16; 2] = [low16(cols), low16(cols.saturating_sub(16))];
        if !out.partial.is_null() {
            for (i, sums) in sums.iter_mut().enumerate() {
                for v in 0..V {
                    let p = out.partial.wrapping_add(i * out.partial_ld + 16 * v);
                    sums[v] = _mm512_add_ps(sums[v], _mm512_maskz_loadu_ps(masks[v], p));
                }
            }
        }
        if !out.bias.is_null() {
            for v in 0..V {
                let bias = _mm512_maskz_loadu_ps(masks[v], out.bias.wrapping_add(16 * v));
                for sums in sums.iter_mut() {
                    sums[v] = _mm512_add_ps(sums[v], bias);
                }
            }
        }
        if out.bf16 {
            let mask = masks[0] as u32 | (masks[1] as u32) << 16;
            for (i, sums) in sums.iter_mut().enumerate() {
                let p = (out.ptr as *mut Bf16).add(i * out.ld);
                if out.accumulate {
                    for v in 0..V {
                        sums[v] = _mm512_add_ps(sums[v], Bf16::load(p.wrapping_add(16 * v), masks[v]));
                    }
                }
                _mm512_mask_storeu_epi16(p as *mut i16, mask, D::to_bf16(sums[0], sums[V - 1]));
            }
        } else {
            for (i, sums) in sums.iter_mut().enumerate() {
                let p = (out.ptr as *mut f32).add(i * out.ld);
                for v in 0..V {
                    let p = p.wrapping_add(16 * v);
                    if out.accumulate {
                        sums[v] = _mm512_add_ps(sums[v], _mm512_maskz_loadu_ps(masks[v], p));
                    }
                    _mm512_mask_storeu_ps(p, masks[v], sums[v]);
                }
            }
        }
    }
}

macro_rules! by_shape {
    ($D:ty, $rows:expr, $cols:expr, $words:expr, $a:expr, $b:expr, $out:expr) => {
        by_shape!(@ $D, $rows, $cols, $words, $a, $b, $out, 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    (@ $D:ty, $rows:expr, $cols:expr, $words:expr, $a:expr, $b:expr, $out:expr, $($n:literal)*) => {
        match ($rows, $cols > 16) {
            $(
                ($n, true) => tile::<$D, $n, 2>($words, $a, $b, $cols, $out),
                // Half a panel, as for LoRA's narrow products, costs half.
                ($n, false) => tile::<$D, $n, 1>($words, $a, $b, $cols, $out),
            )*
            _ => unreachable!("a panel has at most 14 rows"),
        }
    };
}

/// # Safety
/// As `Kernel::multiply`; the CPU has AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn multiply_f32(rows: usize, cols: usize, words: usize, a: *const u32, b: *const u32, out: Tile) {
    // SAFETY: the caller's promise.
    unsafe { by_shape!(F32Dot, rows, cols, words, a, b, out) }
}

/// # Safety
/// As `Kernel::multiply`; the CPU has AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub unsafe fn multiply_bf16(rows: usize, cols: usize, words: usize, a: *const u32, b: *const u32, out: Tile) {
    // SAFETY: the caller's promise.
    unsafe { by_shape!(Bf16Dot, rows, cols, words, a, b, out) }
}

/// One row of `add_masked` in packed.rs.
///
/// # Safety
/// As there; the CPU has AVX-512.
#[inline]
#[target_feature(enable = "avx512f")]
pub unsafe fn add_masked(to: *mut f32, base: *const f32, from: *const f32, word: u32, scale: f32) {
    for v in 0..NR / 16 {
        // SAFETY: NR columns of each.
        unsafe {
            let base = if base.is_null() { _mm512_setzero_ps() } else { _mm512_loadu_ps(base.add(16 * v)) };
            let mask = (word >> (16 * v)) as u16;
            let sum = _mm512_mask3_fmadd_ps(_mm512_loadu_ps(from.add(16 * v)), _mm512_set1_ps(scale), base, mask);
            _mm512_storeu_ps(to.add(16 * v), sum);
        }
    }
}
