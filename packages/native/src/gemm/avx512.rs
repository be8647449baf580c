//! Panels with AVX-512: 14 rows by 32 columns, 28 of the 32 registers are sums.

use core::arch::x86_64::*;

use crate::buffer::{Bf16, DType, Elem, F16};

use super::kernel::{Factors, Matrix, Tile};

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

/// A product of words and a sum.
trait Dot {
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

struct Bf16Dot;
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

/// One row of `add_masked` in mod.rs.
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

/// Rows of B multiplied at once, a quarter of the rows apart: streams so long, and so far from each other, that the
/// hardware foresees them all.
const DOT_ROWS: usize = 4;
/// Elements of a row of B from those multiplied to those that are fetched.
const DOT_AHEAD: usize = 512;
/// Rows of A multiplied at once; the caches have the rows of B when the next ones come.
const DOT_A_ROWS: usize = 4;

/// Dot products of a few rows of A and of B, which come with their row strides.
trait Rows {
    type A;
    type B;
    /// The products of M rows of A with `rows` <= DOT_ROWS rows of B. What is past them in the result means nothing.
    ///
    /// # Safety
    /// All rows hold `k` elements; the CPU has the instructions.
    unsafe fn dots<const M: usize>(
        a: (*const Self::A, usize),
        b: (*const Self::B, usize),
        rows: usize,
        k: usize,
    ) -> [[f32; DOT_ROWS]; M];
}

/// Elements widened to f32, and rounded to bf16 where asked.
struct Widened<E, const ROUND: bool>(core::marker::PhantomData<E>);

impl<E: Source, const ROUND: bool> Rows for Widened<E, ROUND> {
    type A = f32;
    type B = E;

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn dots<const M: usize>(
        (a, lda): (*const f32, usize),
        (b, ldb): (*const E, usize),
        rows: usize,
        k: usize,
    ) -> [[f32; DOT_ROWS]; M] {
        // SAFETY: the caller's promise; rows past the last are read as the last, lanes past k are masked.
        unsafe {
            let mut acc = [[_mm512_setzero_ps(); DOT_ROWS]; M];
            for p in (0..k).step_by(16) {
                let mask = low16(k - p);
                let mut vb = [_mm512_setzero_ps(); DOT_ROWS];
                for (j, vb) in vb.iter_mut().enumerate() {
                    let x = E::load(b.add(j.min(rows - 1) * ldb + p), mask);
                    *vb = if ROUND { round_bf16(x) } else { x };
                }
                for (i, acc) in acc.iter_mut().enumerate() {
                    let va = _mm512_maskz_loadu_ps(mask, a.add(i * lda + p));
                    for (sum, vb) in acc.iter_mut().zip(vb) {
                        *sum = _mm512_fmadd_ps(va, vb, *sum);
                    }
                }
            }
            acc.map(|acc| acc.map(|acc| _mm512_reduce_add_ps(acc)))
        }
    }
}

/// Both in bf16.
struct Pairs;

impl Rows for Pairs {
    type A = Bf16;
    type B = Bf16;

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn dots<const M: usize>(
        (a, lda): (*const Bf16, usize),
        (b, ldb): (*const Bf16, usize),
        rows: usize,
        k: usize,
    ) -> [[f32; DOT_ROWS]; M] {
        // SAFETY: the caller's promise; rows past the last are read as the last, lanes past k are masked.
        unsafe {
            let mut acc = [[_mm512_setzero_ps(); DOT_ROWS]; M];
            let whole = k / 32 * 32;
            for p in (0..k).step_by(32) {
                let mask = if p < whole { !0 } else { (1u32 << (k - p)) - 1 };
                let load = |x: *const Bf16| {
                    // A load without a mask is the cheaper one.
                    if p < whole {
                        _mm512_loadu_si512(x as *const __m512i)
                    } else {
                        _mm512_maskz_loadu_epi16(mask, x as *const i16)
                    }
                };
                let mut vb = [_mm512_setzero_si512(); DOT_ROWS];
                for (j, vb) in vb.iter_mut().enumerate() {
                    *vb = load(b.add(j.min(rows - 1) * ldb + p));
                    _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(j * ldb + p + DOT_AHEAD) as *const i8);
                }
                for (i, acc) in acc.iter_mut().enumerate() {
                    let va = load(a.add(i * lda + p));
                    for (sum, vb) in acc.iter_mut().zip(vb) {
                        *sum = Bf16Dot::dot(*sum, va, vb);
                    }
                }
            }
            acc.map(|acc| acc.map(|acc| _mm512_reduce_add_ps(acc)))
        }
    }
}

/// Multiplies the m rows of `a`, `lda` apart, with the first `cols` rows of `b`, `ldb` apart, read where they lie:
/// sums[i][r] += row i . row r. The sums come with their row stride.
///
/// # Safety
/// All rows hold `k` elements, the sums are this caller's to write, and the CPU has the instructions.
unsafe fn dot_products<R: Rows>(
    (sums, stride): (*mut f32, usize),
    (a, lda, m): (*const R::A, usize, usize),
    (b, ldb): (*const R::B, usize),
    cols: usize,
    k: usize,
) {
    let apart = cols.div_ceil(DOT_ROWS);
    for row in 0..apart {
        let rows = (cols - row).div_ceil(apart);
        for first in (0..m).step_by(DOT_A_ROWS) {
            // SAFETY: the caller's promise.
            unsafe {
                let (a, b) = ((a.add(first * lda), lda), (b.add(row * ldb), apart * ldb));
                let add = |parts: &[[f32; DOT_ROWS]]| {
                    for (i, parts) in parts.iter().enumerate() {
                        for (j, part) in parts.iter().enumerate().take(rows) {
                            *sums.add((first + i) * stride + row + j * apart) += part;
                        }
                    }
                };
                match m - first {
                    1 => add(&R::dots::<1>(a, b, rows, k)),
                    2 => add(&R::dots::<2>(a, b, rows, k)),
                    3 => add(&R::dots::<3>(a, b, rows, k)),
                    _ => add(&R::dots::<DOT_A_ROWS>(a, b, rows, k)),
                }
            }
        }
    }
}

/// `dot_products` of f32 rows of A, already rounded where `round` says so, with a matrix whose elements along k are neighbours.
///
/// # Safety
/// As there; the CPU has AVX-512.
pub unsafe fn dot_products_f32(
    sums: (*mut f32, usize),
    a: (*const f32, usize, usize),
    b: Matrix,
    cols: usize,
    k: usize,
    round: bool,
) {
    macro_rules! run {
        ($E:ty, $ROUND:literal) => {
            // SAFETY: the caller's promise.
            unsafe { dot_products::<Widened<$E, $ROUND>>(sums, a, (b.ptr as *const $E, b.ld), cols, k) }
        };
    }
    match (b.dtype, round) {
        (DType::F32, false) => run!(f32, false),
        (DType::F32, true) => run!(f32, true),
        (DType::Bf16, _) => run!(Bf16, false),
        (DType::F16, false) => run!(F16, false),
        (DType::F16, true) => run!(F16, true),
        (other, _) => panic!("a float is needed here, not {}", other.name()),
    }
}

/// `dot_products` of bf16 rows with a bf16 matrix.
///
/// # Safety
/// As there; the CPU has AVX-512 BF16.
pub unsafe fn dot_products_bf16(
    sums: (*mut f32, usize),
    a: (*const Bf16, usize, usize),
    b: Matrix,
    cols: usize,
    k: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { dot_products::<Pairs>(sums, a, (b.ptr as *const Bf16, b.ld), cols, k) }
}
