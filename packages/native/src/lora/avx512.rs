//! The tiles with the bfloat16 dot product. Two bf16 make a word; see `Staged` for the layouts.

use core::arch::x86_64::*;

use super::{COLS, RANKS};
use crate::buffer::{DType, View};

/// Words of a row of a tile, and of W for dots.
const WORDS: usize = COLS / 2;

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: a bf16 vector and an integer one are both 64 bytes.
    unsafe {
        _mm512_dpbf16_ps(
            sum,
            core::mem::transmute::<__m512i, __m512bh>(a),
            core::mem::transmute::<__m512i, __m512bh>(b),
        )
    }
}

/// # Safety
/// There are 16 words at `from`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn vector(from: *const u32) -> __m512i {
    // SAFETY: the caller's promise of 16 words.
    unsafe { _mm512_loadu_si512(from as *const __m512i) }
}

/// Rows that are read ahead: the columns of one tile of successive rows are too far apart for the hardware to foresee.
const AHEAD: usize = 6;

/// See `stage_row` in mod.rs; x is f32 or bf16.
///
/// # Safety
/// x holds `n` elements from `at` on and `to` is a row of a tile; the CPU has AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub unsafe fn stage_row(x: View, at: usize, n: usize, mask: &[u32; COLS / 32], to: *mut u32, cols: usize) {
    let size = x.dtype().size();
    for (i, kept) in mask.iter().enumerate().take(n.div_ceil(32)) {
        let live = kept & (((1u64 << (n - 32 * i).min(32)) - 1) as u32);
        // SAFETY: lanes past the row are masked off, and those of dropped elements are not needed.
        unsafe {
            for byte in (0..32 * size).step_by(64) {
                let ahead = x.ptr().wrapping_add((at + 32 * i + AHEAD * cols) * size + byte);
                _mm_prefetch::<_MM_HINT_T0>(ahead as *const i8);
            }
            let words = if x.dtype() == DType::Bf16 {
                _mm512_maskz_loadu_epi16(live, (x.ptr() as *const i16).wrapping_add(at + 32 * i))
            } else {
                let from = (x.ptr() as *const f32).wrapping_add(at + 32 * i);
                let low = _mm512_maskz_loadu_ps(live as u16, from);
                let high = _mm512_maskz_loadu_ps((live >> 16) as u16, from.wrapping_add(16));
                core::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
            };
            _mm512_storeu_si512(to.add(16 * i) as *mut __m512i, words);
        }
    }
}

/// Sixteen sums over lanes, in order.
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce(a: [__m512; 16]) -> __m512 {
    let two = |i: usize| _mm512_add_ps(_mm512_unpacklo_ps(a[i], a[i + 1]), _mm512_unpackhi_ps(a[i], a[i + 1]));
    let four = |i: usize| {
        let (x, y) = (_mm512_castps_pd(two(i)), _mm512_castps_pd(two(i + 2)));
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)))
    };
    let halves =
        |x: __m512, y: __m512| _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(x, y), _mm512_shuffle_f32x4::<0xdd>(x, y));
    halves(halves(four(0), four(4)), halves(four(8), four(12)))
}

/// See `dots_of` in mod.rs.
///
/// # Safety
/// The tile has an even number of `rows`, its columns are zero up to a multiple of 32; the CPU has AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub unsafe fn dots(tile: *const u32, rows: usize, width: usize, w: *const u32, out: *mut f32) {
    for row in (0..rows).step_by(2) {
        let mut sums = [_mm512_setzero_ps(); 2 * RANKS];
        for at in (0..width / 2).step_by(16) {
            // SAFETY: two rows of the tile and RANKS rows of W.
            unsafe {
                let x = [vector(tile.add(row * WORDS + at)), vector(tile.add((row + 1) * WORDS + at))];
                for rank in 0..RANKS {
                    let w = vector(w.add(rank * WORDS + at));
                    sums[rank] = dot(sums[rank], x[0], w);
                    sums[RANKS + rank] = dot(sums[RANKS + rank], x[1], w);
                }
            }
        }
        // SAFETY: two rows of RANKS results.
        unsafe { _mm512_storeu_ps(out.add(row * RANKS), reduce(sums)) };
    }
}

/// See `sums_of` in mod.rs.
///
/// # Safety
/// As for `dots`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub unsafe fn sums(tile: *const u32, rows: usize, width: usize, v: *const u32, out: *mut f32, stride: usize) {
    // Pairing two rows leaves quarters of 4 columns in two vectors; these put them in order.
    let first = _mm512_set_epi32(23, 22, 21, 20, 7, 6, 5, 4, 19, 18, 17, 16, 3, 2, 1, 0);
    let second = _mm512_set_epi32(31, 30, 29, 28, 15, 14, 13, 12, 27, 26, 25, 24, 11, 10, 9, 8);
    for at in (0..width / 2).step_by(16) {
        let mut low = [_mm512_setzero_ps(); RANKS];
        let mut high = [_mm512_setzero_ps(); RANKS];
        for pair in 0..rows / 2 {
            // SAFETY: two rows of the tile, and RANKS words of V.
            unsafe {
                let x = [vector(tile.add(2 * pair * WORDS + at)), vector(tile.add((2 * pair + 1) * WORDS + at))];
                let (x_low, x_high) = (_mm512_unpacklo_epi16(x[0], x[1]), _mm512_unpackhi_epi16(x[0], x[1]));
                for rank in 0..RANKS {
                    let v = _mm512_set1_epi32(v.add(pair * RANKS + rank).read() as i32);
                    low[rank] = dot(low[rank], x_low, v);
                    high[rank] = dot(high[rank], x_high, v);
                }
            }
        }
        for rank in 0..RANKS {
            for (i, order) in [first, second].into_iter().enumerate() {
                let sum = _mm512_permutex2var_ps(low[rank], order, high[rank]);
                // SAFETY: 32 columns of this rank's sums.
                unsafe {
                    let to = out.add(rank * stride + 2 * at + 16 * i);
                    _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), sum));
                }
            }
        }
    }
}
