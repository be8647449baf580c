//! Panels with AVX2: 6 rows by 16 columns, 12 of the 16 registers are sums. All words are f32.

use core::arch::x86_64::*;

use crate::buffer::{Bf16, DType, Elem, F16};

use super::kernel::{Factors, Matrix, Tile};
use super::portable;

pub const MR: usize = 6;
pub const NR: usize = 16;
const LANES: usize = 8;

/// Rounds to bf16 (nearest even, NaN stays NaN), kept as f32.
#[inline]
#[target_feature(enable = "avx2")]
fn round_bf16(x: __m256) -> __m256 {
    let bits = _mm256_castps_si256(x);
    let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
    let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000));
    let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(x, x);
    let bits = _mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan);
    _mm256_and_ps(bits, _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000u32 as i32)))
}

/// Lanes below `n`, as `_mm256_maskload_ps` and `_mm256_maskstore_ps` take them.
#[inline]
#[target_feature(enable = "avx2")]
fn below(n: usize) -> __m256i {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n.min(LANES) as i32), lanes)
}

/// Loads of elements as f32.
trait Source: Elem {
    /// The first `n` elements at `p`, at most eight, others 0.
    ///
    /// # Safety
    /// The elements are readable, and the CPU has AVX2 and F16C.
    unsafe fn load(p: *const Self, n: usize) -> __m256;
}

impl Source for f32 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(p: *const f32, n: usize) -> __m256 {
        // SAFETY: the caller's promise; masked lanes are not touched.
        unsafe {
            if n >= LANES {
                _mm256_loadu_ps(p)
            } else {
                _mm256_maskload_ps(p, below(n))
            }
        }
    }
}

/// The first `n` halves at `p`, at most eight, others 0. There are no masked loads of them.
///
/// # Safety
/// They are readable, and the CPU has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn halves(p: *const u16, n: usize) -> __m128i {
    // SAFETY: the caller's promise; a row of a panel of A, which is the usual short one, is read in two pieces.
    unsafe {
        if n >= LANES {
            _mm_loadu_si128(p as *const __m128i)
        } else if n == MR {
            _mm_insert_epi32::<2>(_mm_loadl_epi64(p as *const __m128i), (p.add(4) as *const i32).read_unaligned())
        } else {
            let mut part = [0u16; LANES];
            core::ptr::copy_nonoverlapping(p as *const u8, part.as_mut_ptr() as *mut u8, 2 * n);
            _mm_loadu_si128(part.as_ptr() as *const __m128i)
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn widen(bf16: __m128i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(bf16)))
}

impl Source for Bf16 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(p: *const Bf16, n: usize) -> __m256 {
        // SAFETY: the caller's promise.
        widen(unsafe { halves(p as *const u16, n) })
    }
}

impl Source for F16 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(p: *const F16, n: usize) -> __m256 {
        // SAFETY: the caller's promise.
        _mm256_cvtph_ps(unsafe { halves(p as *const u16, n) })
    }
}

/// Transposes 8 rows of 8 words.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(r: [__m256; 8]) -> [__m256; 8] {
    let mut t = r;
    for i in 0..4 {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    let mut q = t;
    for i in 0..2 {
        let [a, b, c, d] = [t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3]];
        q[4 * i] = _mm256_shuffle_ps::<0x44>(a, c);
        q[4 * i + 1] = _mm256_shuffle_ps::<0xee>(a, c);
        q[4 * i + 2] = _mm256_shuffle_ps::<0x44>(b, d);
        q[4 * i + 3] = _mm256_shuffle_ps::<0xee>(b, d);
    }
    for i in 0..4 {
        t[i] = _mm256_permute2f128_ps::<0x20>(q[i], q[i + 4]);
        t[i + 4] = _mm256_permute2f128_ps::<0x31>(q[i], q[i + 4]);
    }
    t
}

/// Packs one panel of width W (MR or NR).
///
/// # Safety
/// See `Kernel::pack_a` and `Kernel::pack_b`; the CPU has AVX2 and F16C.
#[allow(clippy::too_many_arguments)]
#[target_feature(enable = "avx2,fma,f16c,bmi2")]
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
    // SAFETY: the caller's promise.
    unsafe {
        match (factors == Factors::F32, from.dtype) {
            (true, DType::F32) => panel::<f32, W, false>(to, from, row, rows, k, len, scale),
            (true, DType::Bf16) => panel::<Bf16, W, false>(to, from, row, rows, k, len, scale),
            (true, DType::F16) => panel::<F16, W, false>(to, from, row, rows, k, len, scale),
            (false, DType::F32) => panel::<f32, W, true>(to, from, row, rows, k, len, scale),
            (false, DType::Bf16) if scale == 1.0 => panel::<Bf16, W, false>(to, from, row, rows, k, len, scale),
            (false, DType::Bf16) => panel::<Bf16, W, true>(to, from, row, rows, k, len, scale),
            (false, DType::F16) => panel::<F16, W, true>(to, from, row, rows, k, len, scale),
            (_, other) => panic!("a float is needed here, not {}", other.name()),
        }
    }
}

/// Rows of a factor that is read across to fetch ahead: too far apart for the hardware to foresee.
const ROWS_AHEAD: usize = 32;

/// # Safety
/// As `pack`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,bmi2")]
unsafe fn panel<E: Source, const W: usize, const ROUND: bool>(
    to: *mut u32,
    from: Matrix,
    row: usize,
    rows: usize,
    k: usize,
    len: usize,
    scale: f32,
) {
    let base = from.ptr as *const E;
    // SAFETY: every address is of an element in rows `row .. row + rows` and columns `k .. k + len`, or is not read. For
    // W = 6 a store of 8 words reaches two words into the next group of W, which is written later; the last is masked.
    unsafe {
        let scale = _mm256_set1_ps(scale);
        let word = |x: __m256| {
            let x = _mm256_mul_ps(x, scale);
            if ROUND {
                round_bf16(x)
            } else {
                x
            }
        };
        let put = |p: usize, c: usize, x: __m256| {
            let to = to.add(p * W + c) as *mut f32;
            if W - c >= LANES || p + 1 < len {
                _mm256_storeu_ps(to, x);
            } else {
                _mm256_maskstore_ps(to, below(W - c), x);
            }
        };
        if from.across {
            for p in 0..len {
                let first = base.add((k + p) * from.ld + row);
                _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(ROWS_AHEAD * from.ld) as *const i8);
                for c in (0..W).step_by(LANES) {
                    let live = rows.saturating_sub(c);
                    put(p, c, word(E::load(first.wrapping_add(c), live)));
                }
            }
        } else {
            for c in (0..W).step_by(LANES) {
                let live = rows.saturating_sub(c).min(LANES);
                for p in (0..len).step_by(LANES) {
                    let mut r = [_mm256_setzero_ps(); LANES];
                    for (i, r) in r.iter_mut().enumerate().take(live) {
                        let at = base.add((row + c + i) * from.ld + k + p);
                        // The next rows are too many short streams for the hardware to foresee.
                        _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(LANES * from.ld) as *const i8);
                        *r = word(E::load(at, len - p));
                    }
                    let r = transpose(r);
                    for (i, r) in r.iter().enumerate().take(len - p) {
                        put(p + i, c, *r);
                    }
                }
            }
        }
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
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_products<const M: usize, const V: usize>(
    sums: &mut [[__m256; V]; M],
    words: usize,
    mut a: *const f32,
    mut b: *const f32,
) {
    // SAFETY: the caller's promise; fetching ahead never faults.
    unsafe {
        for _ in 0..words {
            let mut vb = [_mm256_setzero_ps(); V];
            for (v, vb) in vb.iter_mut().enumerate() {
                *vb = _mm256_load_ps(b.add(LANES * v));
            }
            _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(AHEAD) as *const i8);
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = _mm256_broadcast_ss(&*a.add(i));
                for (sum, vb) in sums.iter_mut().zip(vb) {
                    *sum = _mm256_fmadd_ps(x, vb, *sum);
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
/// As `Kernel::multiply`; the CPU has AVX2 and FMA.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,bmi2")]
unsafe fn tile<const M: usize, const V: usize>(words: usize, a: *const f32, b: *const f32, cols: usize, out: Tile) {
    // SAFETY: the panels hold `words` words each; whole vectors of columns are stored, or `cols` one by one; fetching ahead
    // never faults.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); V]; M];
        let early = words.saturating_sub(LAST);
        add_products(&mut sums, early, a, b);
        let fetch = |base: *const u8, row_bytes: usize| {
            for i in 0..M {
                _mm_prefetch::<_MM_HINT_T0>(base.wrapping_add(i * row_bytes) as *const i8);
            }
        };
        fetch(out.ptr, out.ld * if out.bf16 { 2 } else { 4 });
        if !out.partial.is_null() {
            fetch(out.partial as *const u8, out.partial_ld * 4);
        }
        add_products(&mut sums, words - early, a.add(early * MR), b.add(early * NR));
        if cols < V * LANES {
            let mut rows = [[0f32; NR]; M];
            for (row, sums) in rows.iter_mut().zip(sums) {
                for (v, sum) in sums.into_iter().enumerate() {
                    _mm256_storeu_ps(row.as_mut_ptr().add(LANES * v), sum);
                }
            }
            return portable::store_sums(&rows, cols, out);
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                if !out.partial.is_null() {
                    *sum = _mm256_add_ps(*sum, _mm256_loadu_ps(out.partial.add(i * out.partial_ld + LANES * v)));
                }
                if !out.bias.is_null() {
                    *sum = _mm256_add_ps(*sum, _mm256_loadu_ps(out.bias.add(LANES * v)));
                }
                let at = i * out.ld + LANES * v;
                if out.bf16 {
                    let p = (out.ptr as *mut Bf16).add(at);
                    if out.accumulate {
                        *sum = _mm256_add_ps(*sum, Bf16::load(p, LANES));
                    }
                    let words = _mm256_srli_epi32::<16>(_mm256_castps_si256(round_bf16(*sum)));
                    let pairs = _mm256_permute4x64_epi64::<0x08>(_mm256_packus_epi32(words, words));
                    _mm_storeu_si128(p as *mut __m128i, _mm256_castsi256_si128(pairs));
                } else {
                    let p = (out.ptr as *mut f32).add(at);
                    if out.accumulate {
                        *sum = _mm256_add_ps(*sum, _mm256_loadu_ps(p));
                    }
                    _mm256_storeu_ps(p, *sum);
                }
            }
        }
    }
}

/// # Safety
/// As `Kernel::multiply`; the CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma,f16c,bmi2")]
pub unsafe fn multiply(rows: usize, cols: usize, words: usize, a: *const u32, b: *const u32, out: Tile) {
    let (a, b) = (a as *const f32, b as *const f32);
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match (rows, cols > LANES) {
                $(
                    ($n, true) => tile::<$n, 2>(words, a, b, cols, out),
                    // Half a panel costs half.
                    ($n, false) => tile::<$n, 1>(words, a, b, cols, out),
                )*
                _ => unreachable!("a panel has at most 6 rows"),
            }
        };
    }
    // SAFETY: the caller's promise.
    unsafe { by_rows!(1 2 3 4 5 6) }
}

/// Rows of A multiplied at once; the first cache has the rows of B when the next ones come.
const DOT_A_ROWS: usize = 4;
/// Elements along k multiplied at once with all rows: those of A stay in the first cache.
const DOT_K: usize = 1024;

/// Adds the products of M rows of A, of every sixteen elements first the even ones, and R rows of B, `apart` rows apart:
/// streams so far from each other that the hardware foresees them all. Each product is one chain of sums, whatever M and R
/// are. Matrices come with their row strides.
///
/// # Safety
/// All rows hold `k` elements, those of A zeros up to a multiple of sixteen; the CPU has the instructions.
#[target_feature(enable = "avx2,fma")]
unsafe fn dots<const M: usize, const R: usize>(
    (sums, stride): (*mut f32, usize),
    (a, lda): (*const f32, usize),
    (b, ldb): (*const Bf16, usize),
    apart: usize,
    k: usize,
) {
    let high = _mm256_set1_epi32(0xffff_0000u32 as i32);
    let mut acc = [[_mm256_setzero_ps(); R]; M];
    // SAFETY: the caller's promise; prefetching reads nothing.
    unsafe {
        for p in (0..k).step_by(2 * LANES) {
            let (mut even, mut odd) = ([_mm256_setzero_ps(); R], [_mm256_setzero_ps(); R]);
            for j in 0..R {
                let row = b.add(j * apart * ldb + p);
                let pairs = if p + 2 * LANES <= k {
                    _mm256_loadu_si256(row as *const __m256i)
                } else {
                    let mut part = [Bf16(0); 2 * LANES];
                    core::ptr::copy_nonoverlapping(row, part.as_mut_ptr(), k - p);
                    _mm256_loadu_si256(part.as_ptr() as *const __m256i)
                };
                // The same elements of the stream's next row; the hardware foresees that only where it reads whole rows.
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(ldb) as *const i8);
                // A bf16 is the upper half of an f32.
                even[j] = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs));
                odd[j] = _mm256_castsi256_ps(_mm256_and_si256(pairs, high));
            }
            for (i, acc) in acc.iter_mut().enumerate() {
                let a = a.add(i * lda + p);
                let (a_even, a_odd) = (_mm256_loadu_ps(a), _mm256_loadu_ps(a.add(LANES)));
                for j in 0..R {
                    acc[j] = _mm256_fmadd_ps(a_even, even[j], acc[j]);
                    acc[j] = _mm256_fmadd_ps(a_odd, odd[j], acc[j]);
                }
            }
        }
        for (i, acc) in acc.into_iter().enumerate() {
            for (j, acc) in acc.into_iter().enumerate() {
                *sums.add(i * stride + j * apart) += total(acc);
            }
        }
    }
}

/// The sum of all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn total(x: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// See `dot_products` in avx512/dots.rs; the rows of A are as `dots` has them.
///
/// # Safety
/// As there, and for `dots`.
pub unsafe fn dot_products_bf16(
    (sums, stride): (*mut f32, usize),
    (a, lda, m): (*const f32, usize, usize),
    b: Matrix,
    cols: usize,
    k: usize,
) {
    // As many rows of B at once as leave registers for the sums, then those that are left one by one.
    let streams = if m > 2 { 2 } else { 4 };
    let apart = cols / streams;
    let groups = cols - apart * (streams - 1);
    let chunks = k.div_ceil(DOT_K);
    for step in 0..groups * chunks {
        // Rows end to end where all of A stays in the cache anyway.
        let (group, chunk) = if m > 2 { (step % groups, step / groups) } else { (step / chunks, step % chunks) };
        let (row, rows) = if group < apart { (group, streams) } else { (group + apart * (streams - 1), 1) };
        let from = chunk * DOT_K;
        let len = (k - from).min(DOT_K);
        for first in (0..m).step_by(DOT_A_ROWS) {
            // SAFETY: the caller's promise.
            unsafe {
                let a = (a.add(first * lda + from), lda);
                let b = ((b.ptr as *const Bf16).add(row * b.ld + from), b.ld);
                let sums = (sums.add(first * stride + row), stride);
                match ((m - first).min(DOT_A_ROWS), rows) {
                    (1, 4) => dots::<1, 4>(sums, a, b, apart, len),
                    (1, 2) => dots::<1, 2>(sums, a, b, apart, len),
                    (1, _) => dots::<1, 1>(sums, a, b, apart, len),
                    (2, 4) => dots::<2, 4>(sums, a, b, apart, len),
                    (2, 2) => dots::<2, 2>(sums, a, b, apart, len),
                    (2, _) => dots::<2, 1>(sums, a, b, apart, len),
                    (3, 2) => dots::<3, 2>(sums, a, b, apart, len),
                    (3, _) => dots::<3, 1>(sums, a, b, apart, len),
                    (_, 2) => dots::<DOT_A_ROWS, 2>(sums, a, b, apart, len),
                    _ => dots::<DOT_A_ROWS, 1>(sums, a, b, apart, len),
                }
            }
        }
    }
}
