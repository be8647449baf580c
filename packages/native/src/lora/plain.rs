//! The tiles in f32, on every instruction set.

use super::{RowMask, COLS, RANKS};
use crate::block::{blocks, load, Sum, BLOCK};
use crate::buffer::{Bf16, Elem, View};
use crate::multiversion;

/// # Safety
/// As for `stage_row`.
#[inline(always)]
unsafe fn stage_row_body(x: View, at: usize, n: usize, mask: &RowMask, to: *mut u32, round: bool) {
    for (from, count) in blocks(0, n.next_multiple_of(32)) {
        let mut v = [0f32; BLOCK];
        // SAFETY: the caller's promise.
        unsafe { load(x, at + from, &mut v[..count.min(n.saturating_sub(from))]) };
        for (column, v) in (from..).step_by(32).zip(v[..count].chunks_exact(32)) {
            let kept = mask[column / 32];
            for (i, v) in v.iter().enumerate() {
                let v = if round { Bf16::from_f32(*v).to_f32() } else { *v };
                // SAFETY: the caller's row.
                unsafe { to.add(column + i).write(if kept >> i & 1 == 1 { v.to_bits() } else { 0 }) };
            }
        }
    }
}
multiversion! { pub unsafe fn stage_row(x: View, at: usize, n: usize, mask: &RowMask, to: *mut u32, round: bool) = stage_row_body }

/// Lanes of a dot's running sums.
const LANES: usize = 16;

#[inline(always)]
fn add_products(sums: &mut [f32; LANES], x: &[f32; LANES], w: &[f32; LANES]) {
    for lane in 0..LANES {
        sums[lane] += x[lane] * w[lane];
    }
}

/// Four dots at once, whose chains of sums overlap.
///
/// # Safety
/// As for `dots_of`.
#[inline(always)]
unsafe fn dots_body(tile: *const f32, rows: usize, width: usize, w: *const f32, out: *mut f32) {
    for row in 0..rows {
        for rank in (0..RANKS).step_by(4) {
            let [mut a, mut b, mut c, mut d] = [[0f32; LANES]; 4];
            for col in (0..width).step_by(LANES) {
                // SAFETY: a row of the tile, and of W for every rank, in whole vectors.
                unsafe {
                    let x = &*(tile.add(row * COLS + col) as *const [f32; LANES]);
                    let w = |i: usize| &*(w.add((rank + i) * COLS + col) as *const [f32; LANES]);
                    add_products(&mut a, x, w(0));
                    add_products(&mut b, x, w(1));
                    add_products(&mut c, x, w(2));
                    add_products(&mut d, x, w(3));
                }
            }
            for (i, sums) in [a, b, c, d].into_iter().enumerate() {
                // Else LLVM gives the loop that filled the lanes the shape of the tree that adds them up.
                let sum = Sum::of(std::hint::black_box(sums)).total();
                // SAFETY: this row's RANKS results.
                unsafe { out.add(row * RANKS + rank + i).write(sum) };
            }
        }
    }
}
multiversion! { pub unsafe fn dots(tile: *const f32, rows: usize, width: usize, w: *const f32, out: *mut f32) = dots_body }

/// # Safety
/// As for `sums_of`.
#[inline(always)]
unsafe fn sums_body(tile: *const f32, rows: usize, width: usize, v: *const f32, sums: *mut f32, stride: usize) {
    for row in (0..rows).step_by(4) {
        for rank in 0..RANKS {
            // SAFETY: four rows of the tile and of V, one row of the sums.
            unsafe {
                let x = [0, 1, 2, 3].map(|i| std::slice::from_raw_parts(tile.add((row + i) * COLS), width));
                let v = [0, 1, 2, 3].map(|i| v.add((row + i) * RANKS + rank).read());
                let sums = std::slice::from_raw_parts_mut(sums.add(rank * stride), width);
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum += (v[0] * x[0][c] + v[1] * x[1][c]) + (v[2] * x[2][c] + v[3] * x[3][c]);
                }
            }
        }
    }
}
multiversion! { pub unsafe fn sums(tile: *const f32, rows: usize, width: usize, v: *const f32, sums: *mut f32, stride: usize) = sums_body }
