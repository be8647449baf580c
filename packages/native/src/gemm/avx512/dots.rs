//! Dot products of a few rows of A with rows of B, read where they lie.

use core::arch::x86_64::*;

use super::multiply::{Bf16Dot, Dot};
use super::{low16, round_bf16, Source};
use crate::buffer::{Bf16, DType, F16};
use crate::gemm::kernel::Matrix;

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
