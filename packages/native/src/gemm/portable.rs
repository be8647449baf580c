//! Panels in plain Rust: correct on every target, and what the other instruction sets are tested against.

use crate::buffer::{load, Bf16, DType, Elem, F16};
use crate::{multiversion, with_elem};

use super::kernel::{Factors, Matrix, Tile};

/// Half of the target's 128-bit registers are sums: 16 of 32 on AArch64, else 8 of 16.
pub const MR: usize = if cfg!(target_arch = "aarch64") { 8 } else { 4 };
pub const NR: usize = 8;

/// sum + a * b, in one rounding where that is an instruction of the baseline (elsewhere it would be a call).
#[inline(always)]
fn add_product(sum: f32, a: f32, b: f32) -> f32 {
    if cfg!(target_arch = "aarch64") {
        a.mul_add(b, sum)
    } else {
        sum + a * b
    }
}

/// # Safety
/// See `Kernel::pack_a`.
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
    let (row_step, k_step) = if from.across { (1, from.ld) } else { (from.ld, 1) };
    with_elem!(from.dtype, E => {
        let source = from.ptr as *const E;
        for i in 0..len {
            for r in 0..W {
                // SAFETY: the caller's promise; (row + r, k + i) is in the matrix where it is read.
                unsafe {
                    let value = if r < rows {
                        let value = load(source, (row + r) * row_step + (k + i) * k_step) * scale;
                        if factors == Factors::F32 { value } else { Bf16::from_f32(value).to_f32() }
                    } else {
                        0.0
                    };
                    to.add(i * W + r).write(value.to_bits());
                }
            }
        }
    });
}

/// # Safety
/// See `Kernel::multiply`.
pub unsafe fn multiply(rows: usize, cols: usize, words: usize, a: *const u32, b: *const u32, tile: Tile) {
    let mut sums = [[0f32; NR]; MR];
    // SAFETY: the panels hold this many words; u32 and f32 have the same layout.
    let (a, b) = unsafe {
        (
            std::slice::from_raw_parts(a as *const [f32; MR], words),
            std::slice::from_raw_parts(b as *const [f32; NR], words),
        )
    };
    for (a, b) in a.iter().zip(b) {
        for (sums, a) in sums.iter_mut().zip(a) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = add_product(*sum, *a, *b);
            }
        }
    }
    // SAFETY: the caller's promise.
    unsafe { store_sums(&sums[..rows], cols, tile) }
}

/// Stores the first `cols` columns of a tile's sums.
///
/// # Safety
/// They are the caller's to write.
pub unsafe fn store_sums<const N: usize>(sums: &[[f32; N]], cols: usize, tile: Tile) {
    for (row, sums) in sums.iter().enumerate() {
        for (col, sum) in sums.iter().enumerate().take(cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let bias = if tile.bias.is_null() { 0.0 } else { tile.bias.add(col).read() };
                let partial =
                    if tile.partial.is_null() { 0.0 } else { tile.partial.add(row * tile.partial_ld + col).read() };
                let sum = sum + partial;
                let at = row * tile.ld + col;
                if tile.bf16 {
                    put(tile.ptr as *mut Bf16, at, sum + bias, tile.accumulate);
                } else {
                    put(tile.ptr as *mut f32, at, sum + bias, tile.accumulate);
                }
            }
        }
    }
}

/// # Safety
/// Element `at` is the caller's to write.
#[inline(always)]
unsafe fn put<E: Elem>(base: *mut E, at: usize, value: f32, accumulate: bool) {
    // SAFETY: the caller's promise.
    unsafe {
        let old = if accumulate { load(base as *const E, at) } else { 0.0 };
        base.add(at).write_unaligned(E::from_f32(if accumulate { old + value } else { value }));
    }
}

/// One row of `add_masked` in packed.rs.
///
/// # Safety
/// There are `nr` columns of each; those at `to` are the caller's.
#[inline(always)]
unsafe fn add_masked_body(to: *mut f32, base: *const f32, from: *const f32, word: u32, scale: f32, nr: usize) {
    for i in 0..nr {
        // SAFETY: nr columns of each.
        unsafe {
            let kept = if word >> i & 1 == 1 { from.add(i).read() * scale } else { 0.0 };
            to.add(i).write(if base.is_null() { kept } else { base.add(i).read() + kept });
        }
    }
}
multiversion! { pub unsafe fn add_masked(to: *mut f32, base: *const f32, from: *const f32, word: u32, scale: f32, nr: usize) = add_masked_body }

/// Running sums of one dot.
const LANES: usize = 8;

/// Dots of M rows of `a` with R rows of `b`, `apart` rows apart, all of `k` elements, added to `sums`.
///
/// # Safety
/// The rows are there; the sums are the caller's.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // an index runs over several arrays at once
unsafe fn dots<E: Elem, const M: usize, const R: usize, const ROUND: bool>(
    (sums, sums_stride): (*mut f32, usize),
    (a, a_stride): (*const f32, usize),
    (b, ldb): (*const E, usize),
    apart: usize,
    k: usize,
) {
    let value = |x: f32| if ROUND { Bf16::from_f32(x).to_f32() } else { x };
    let mut lanes = [[[0f32; LANES]; R]; M];
    let whole = k / LANES * LANES;
    // SAFETY: the caller's promise.
    unsafe {
        for p in (0..whole).step_by(LANES) {
            for j in 0..R {
                let mut y = [0f32; LANES];
                for (l, y) in y.iter_mut().enumerate() {
                    *y = value(load(b, j * apart * ldb + p + l));
                }
                for i in 0..M {
                    for l in 0..LANES {
                        lanes[i][j][l] += a.add(i * a_stride + p + l).read() * y[l];
                    }
                }
            }
        }
        for i in 0..M {
            for j in 0..R {
                let mut sum = lanes[i][j];
                for p in whole..k {
                    sum[p - whole] += a.add(i * a_stride + p).read() * value(load(b, j * apart * ldb + p));
                }
                let four = [sum[0] + sum[4], sum[1] + sum[5], sum[2] + sum[6], sum[3] + sum[7]];
                *sums.add(i * sums_stride + j * apart) += (four[0] + four[2]) + (four[1] + four[3]);
            }
        }
    }
}

/// See `dot_products` in avx512/dots.rs.
///
/// # Safety
/// As for `dots`; at most four rows of A.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn dot_product_rows_body(
    sums: *mut f32,
    sums_stride: usize,
    a: *const f32,
    a_stride: usize,
    m: usize,
    b: Matrix,
    cols: usize,
    k: usize,
    round: bool,
) {
    // As many rows of B at once as leave registers for the sums.
    macro_rules! run {
        ($E:ty, $ROUND:literal) => { run!(@ $E, $ROUND, 1 by 4, 2 by 4, 3 by 2, 4 by 2) };
        (@ $E:ty, $ROUND:literal, $($M:literal by $R:literal),*) => {
            match m {
                $($M => {
                    let apart = cols / $R;
                    // SAFETY: the caller's promise.
                    unsafe {
                        let b_row = |row: usize| ((b.ptr as *const $E).add(row * b.ld), b.ld);
                        for row in 0..apart {
                            let sums = (sums.add(row), sums_stride);
                            dots::<$E, $M, $R, $ROUND>(sums, (a, a_stride), b_row(row), apart, k);
                        }
                        for row in apart * $R..cols {
                            let sums = (sums.add(row), sums_stride);
                            dots::<$E, $M, 1, $ROUND>(sums, (a, a_stride), b_row(row), apart, k);
                        }
                    }
                })*
                _ => unreachable!("at most four rows"),
            }
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
multiversion! { pub unsafe fn dot_product_rows(sums: *mut f32, sums_stride: usize, a: *const f32, a_stride: usize, m: usize, b: Matrix, cols: usize, k: usize, round: bool) = dot_product_rows_body }
