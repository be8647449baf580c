//! The tiles of attention with AVX-512: from scores to packed factors in one pass over registers. For scores without a
//! soft cap; the general loops in softmax.rs and gradient.rs do the rest.

use core::arch::x86_64::*;

use super::gradient::GradientTile;
use super::scores::Scores;
use super::softmax::SoftmaxTile;
use crate::gemm::{round_bf16, transpose, Factors};

const LANES: usize = 16;
/// Columns of a tile, those of a B panel.
const NR: usize = 32;
/// Vectors of a row.
const VECTORS: usize = NR / LANES;
/// Rows of an A panel.
const MR: usize = 14;

/// Whether the functions below serve these scores.
pub fn serves(scores: Scores) -> bool {
    scores.soft_cap <= 0.0
}

/// 2^x within 1 ulp, lanes outside `mask` 0; 0 below -150, NaN for NaN.
#[inline]
#[target_feature(enable = "avx512f")]
fn exp2(mask: __mmask16, x: __m512) -> __m512 {
    let splat = |x: f32| _mm512_set1_ps(x);
    // The second operand is what the comparison with a NaN gives. Without a bound, -infinity minus itself would be NaN.
    let x = _mm512_max_ps(splat(-150.0), x);
    let n = _mm512_roundscale_ps::<0>(x);
    let r = _mm512_sub_ps(x, n);
    // The best polynomial of this degree with an exact 2^0, by Remez.
    let mut p = splat(1.559_467_8e-4);
    for c in [1.340_664_3e-3, 9.617_693e-3, 5.550_310_4e-2, 2.402_265_2e-1, 6.931_472_4e-1, 1.0] {
        p = _mm512_fmadd_ps(p, r, splat(c));
    }
    _mm512_maskz_scalef_ps(mask, p, n)
}

/// 0, 1, … 15 after `first`, as floats.
#[inline]
#[target_feature(enable = "avx512f")]
fn count_from(first: f32) -> __m512 {
    let lanes = _mm512_set_ps(15., 14., 13., 12., 11., 10., 9., 8., 7., 6., 5., 4., 3., 2., 1., 0.);
    _mm512_add_ps(lanes, _mm512_set1_ps(first))
}

/// For each vector of a row, its lanes that lie in `from..to`.
#[inline(always)]
fn lanes_of((from, to): (usize, usize)) -> [__mmask16; VECTORS] {
    let below = |at: usize| ((1u64 << at) - 1) as u32;
    let bits = below(to) & !below(from);
    [bits as u16, (bits >> LANES) as u16]
}

/// Two bf16 of each lane, `low` in the lower half of its word.
///
/// # Safety
/// The CPU has AVX-512 BF16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pairs(low: __m512, high: __m512) -> __m512i {
    #[rustfmt::skip]
    let order = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0,
    );
    _mm512_permutexvar_epi16(order, neighbours(low, high))
}

/// 32 bf16, `low` first.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn neighbours(low: __m512, high: __m512) -> __m512i {
    // SAFETY: a bf16 vector and an integer one are both 64 bytes.
    unsafe { core::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}

/// How the f32 of a tile become words of panels.
trait Words {
    const PER_WORD: usize;

    /// Vector `v` of rows `row` (even) and `row + 1` of a tile as words of a B panel.
    ///
    /// # Safety
    /// The panel holds these rows, and the CPU has the instructions.
    unsafe fn put(panel: *mut u32, row: usize, v: usize, x: [__m512; 2]);

    /// A row of a tile as words of an A panel, one or two vectors of them.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn along(x: [__m512; VECTORS]) -> [__m512i; VECTORS];
}

struct F32Words<const ROUND: bool>;

impl<const ROUND: bool> F32Words<ROUND> {
    /// # Safety
    /// The CPU has the instructions.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn word(x: __m512) -> __m512i {
        // SAFETY: the CPU has the instructions.
        _mm512_castps_si512(if ROUND { round_bf16(x) } else { x })
    }
}

impl<const ROUND: bool> Words for F32Words<ROUND> {
    const PER_WORD: usize = 1;

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn put(panel: *mut u32, row: usize, v: usize, x: [__m512; 2]) {
        for (i, x) in x.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { _mm512_store_si512(panel.add((row + i) * NR + v * LANES) as *mut __m512i, Self::word(x)) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn along(x: [__m512; VECTORS]) -> [__m512i; VECTORS] {
        // SAFETY: the caller's promise.
        x.map(|x| unsafe { Self::word(x) })
    }
}

struct Bf16Words;

impl Words for Bf16Words {
    const PER_WORD: usize = 2;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn put(panel: *mut u32, row: usize, v: usize, x: [__m512; 2]) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_store_si512(panel.add(row / 2 * NR + v * LANES) as *mut __m512i, pairs(x[0], x[1])) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn along(x: [__m512; VECTORS]) -> [__m512i; VECTORS] {
        [neighbours(x[0], x[1]), _mm512_setzero_si512()]
    }
}

/// Defines `$name`, which runs `$body` for the kind of words and with or without slopes.
macro_rules! by_words {
    ($(#[$meta:meta])* $name:ident, $Tile:ty, $body:ident) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// As there; the CPU has AVX-512, and what multiplies these factors, and the scores are ones that are served here.
        pub unsafe fn $name(factors: Factors, tile: $Tile) {
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
            unsafe fn words<const ROUND: bool, const SLOPE: bool>(tile: $Tile) {
                // SAFETY: the caller's promise.
                unsafe { $body::<F32Words<ROUND>, SLOPE>(tile) }
            }
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma,avx512bf16")]
            unsafe fn pairs<const SLOPE: bool>(tile: $Tile) {
                // SAFETY: the caller's promise.
                unsafe { $body::<Bf16Words, SLOPE>(tile) }
            }
            // SAFETY: the caller's promise.
            unsafe {
                match (factors, tile.scores.slope != 0.0) {
                    (Factors::F32, false) => words::<false, false>(tile),
                    (Factors::F32, true) => words::<false, true>(tile),
                    (Factors::RoundedF32, false) => words::<true, false>(tile),
                    (Factors::RoundedF32, true) => words::<true, true>(tile),
                    (Factors::Bf16Pairs, false) => pairs::<false>(tile),
                    (Factors::Bf16Pairs, true) => pairs::<true>(tile),
                }
            }
        }
    };
}

by_words! {
    /// See `softmax_body` in softmax.rs; the maxima are in powers of 2, and the words take the place of the scores.
    softmax, SoftmaxTile, softmax_words
}

by_words! {
    /// See `gradient_body` in gradient.rs.
    gradient, GradientTile, gradient_words
}

/// How far (in powers of 2) scores may rise above the maximum that they are relative to before the sums so far are
/// rescaled: far from what f32 and bf16 hold, and rescaling becomes rare.
const SLACK: f32 = 8.0;

/// # Safety
/// See `softmax`.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // an index runs over several arrays at once
unsafe fn softmax_words<W: Words, const SLOPE: bool>(tile: SoftmaxTile) {
    let SoftmaxTile { s, keys: (from, to), q, k, scores, max, sum, acc, dim } = tile;
    // SAFETY: keys `from .. to` are rows of the tile, and one more after an odd one; the sums have NR columns.
    unsafe {
        let scale = _mm512_set1_ps(scores.scale * core::f32::consts::LOG2_E);
        let slope = _mm512_set1_ps(scores.slope * core::f32::consts::LOG2_E);
        // Keys that every query sees; `from` and so each pair of rows begins at an even one.
        let all_from = if scores.window > 0 { (q + NR).saturating_sub(scores.window + k) } else { 0 };
        let all_to = (q + 1).saturating_sub(k);
        let mask = |i: usize| {
            if (all_from..all_to).contains(&i) {
                [0xffff; VECTORS]
            } else if i < to {
                lanes_of(scores.queries(k + i, q, NR))
            } else {
                [0; VECTORS]
            }
        };
        // A macro, because a closure is compiled for the baseline before it is inlined here.
        macro_rules! score {
            ($i:expr, $v:expr, $less:expr) => {{
                let x = _mm512_fmsub_ps(_mm512_load_ps(s.add($i * NR + $v * LANES)), scale, $less);
                if SLOPE {
                    // Key minus query, exact: positions are below 2^24.
                    let query = count_from((q + $v * LANES) as f32);
                    _mm512_fmadd_ps(slope, _mm512_sub_ps(_mm512_set1_ps((k + $i) as f32), query), x)
                } else {
                    x
                }
            }};
        }
        let mut highest = [_mm512_set1_ps(f32::NEG_INFINITY); VECTORS];
        for i in from..to {
            let mask = mask(i);
            for v in 0..VECTORS {
                let x = score!(i, v, _mm512_setzero_ps());
                // A NaN is passed over; the sum keeps it.
                highest[v] = _mm512_mask_max_ps(highest[v], mask[v], x, highest[v]);
            }
        }
        let mut base = [_mm512_setzero_ps(); VECTORS];
        for (v, base) in base.iter_mut().enumerate() {
            let (max, sum) = (max.add(v * LANES), sum.add(v * LANES));
            let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
            let old = _mm512_loadu_ps(max);
            let raise = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(highest[v], _mm512_add_ps(old, _mm512_set1_ps(SLACK)));
            let new = _mm512_mask_mov_ps(old, raise, highest[v]);
            // Scores of -infinity only are relative to 0, so that their exponentials are 0.
            *base = _mm512_mask_mov_ps(new, _mm512_cmpeq_ps_mask(new, lowest), _mm512_setzero_ps());
            if raise == 0 {
                continue;
            }
            let rescale = exp2(0xffff, _mm512_sub_ps(old, *base));
            _mm512_storeu_ps(max, new);
            _mm512_storeu_ps(sum, _mm512_mul_ps(_mm512_loadu_ps(sum), rescale));
            for d in 0..dim {
                let acc = acc.add(d * NR + v * LANES);
                _mm512_store_ps(acc, _mm512_mul_ps(_mm512_load_ps(acc), rescale));
            }
        }
        let mut added = [_mm512_setzero_ps(); VECTORS];
        for i in (from..to).step_by(2) {
            let masks = [mask(i), mask(i + 1)];
            for v in 0..VECTORS {
                let p = [exp2(masks[0][v], score!(i, v, base[v])), exp2(masks[1][v], score!(i + 1, v, base[v]))];
                added[v] = _mm512_add_ps(added[v], _mm512_add_ps(p[0], p[1]));
                W::put(s as *mut u32, i, v, p);
            }
        }
        for (v, added) in added.into_iter().enumerate() {
            let sum = sum.add(v * LANES);
            _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), added));
        }
    }
}

/// # Safety
/// See `gradient`.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // an index runs over several arrays at once
unsafe fn gradient_words<W: Words, const SLOPE: bool>(tile: GradientTile) {
    let GradientTile { s, dp, p, ds, ds_across, queries, q, k, scores, lse, delta } = tile;
    // SAFETY: the tiles hold MR rows, the panels as many words, and there are as many sums.
    unsafe {
        let scale = _mm512_set1_ps(scores.scale * core::f32::consts::LOG2_E);
        let slope = _mm512_set1_ps(scores.slope * core::f32::consts::LOG2_E);
        let all = k + NR <= q + 1 && queries == MR && (scores.window == 0 || q + MR <= k + scores.window);
        let mut rows = [[_mm512_setzero_si512(); VECTORS]; 16];
        for i in (0..MR).step_by(2) {
            let mut pair = [[[_mm512_setzero_ps(); VECTORS]; 2]; 2];
            for j in 0..2 {
                let row = i + j;
                let mask = if all {
                    [0xffff; VECTORS]
                } else if row < queries {
                    lanes_of(scores.keys(q + row, k, NR))
                } else {
                    [0; VECTORS]
                };
                let less = _mm512_set1_ps(*lse.add(row) * core::f32::consts::LOG2_E);
                let delta = _mm512_set1_ps(*delta.add(row));
                for v in 0..VECTORS {
                    let at = row * NR + v * LANES;
                    let mut x = _mm512_fmsub_ps(_mm512_load_ps(s.add(at)), scale, less);
                    if SLOPE {
                        // Key minus query, exact: positions are below 2^24.
                        let query = _mm512_set1_ps((q + row) as f32);
                        x = _mm512_fmadd_ps(slope, _mm512_sub_ps(count_from((k + v * LANES) as f32), query), x);
                    }
                    let x = exp2(mask[v], x);
                    pair[0][j][v] = x;
                    pair[1][j][v] = _mm512_maskz_mul_ps(mask[v], x, _mm512_sub_ps(_mm512_load_ps(dp.add(at)), delta));
                }
                rows[row] = W::along(pair[1][j]);
            }
            for v in 0..VECTORS {
                W::put(p, i, v, [pair[0][0][v], pair[0][1][v]]);
                W::put(ds, i, v, [pair[1][0][v], pair[1][1][v]]);
            }
        }
        for v in 0..VECTORS / W::PER_WORD {
            let mut words = rows.map(|row| row[v]);
            transpose(&mut words);
            for (i, words) in words.iter().enumerate() {
                // The two words past a group of MR are its successor's, which is written next; past the last is no room.
                let group = v * LANES + i;
                let to = ds_across.add(group * MR) as *mut i32;
                if group + 1 < NR / W::PER_WORD {
                    _mm512_storeu_si512(to as *mut __m512i, *words);
                } else {
                    _mm512_mask_storeu_epi32(to, (1 << MR) - 1, *words);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn powers_of_two_are_within_an_ulp() {
        if Isa::best() < Isa::Avx512 {
            return;
        }
        #[target_feature(enable = "avx512f")]
        fn of(x: f32) -> f32 {
            _mm512_cvtss_f32(exp2(0xffff, _mm512_set1_ps(x)))
        }
        // SAFETY: this CPU has the instructions.
        let of = |x: f32| unsafe { of(x) };
        for i in 0..=400_000 {
            let x = -126.0 + 130.0 * (i as f32 / 400_000.0);
            let exact = (x as f64).exp2();
            let error = (of(x) as f64 / exact - 1.0).abs();
            assert!(error < 1.2e-7, "2^{x} is off by {error:e}");
        }
        for (x, want) in [(0.0, 1.0), (-149.0, f32::from_bits(1)), (-151.0, 0.0), (f32::NEG_INFINITY, 0.0)] {
            assert_eq!(of(x), want);
        }
        assert!(of(f32::NAN).is_nan());
    }
}
