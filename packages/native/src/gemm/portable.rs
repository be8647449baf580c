//! Panels in plain Rust: correct on every target, and what the other instruction sets are tested against.

use crate::buffer::{load, Bf16, Elem};
use crate::with_elem;

use super::kernel::{Factors, Matrix, Tile};

/// Four rows by eight columns fill eight 128-bit registers, half of what every 64-bit target has.
pub const MR: usize = 4;
pub const NR: usize = 8;

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
                *sum += a * b;
            }
        }
    }
    for (row, sums) in sums.iter().enumerate().take(rows) {
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
