//! Folds of rows whose order is the same on every instruction set.

use crate::math::exp_f32;

const LANES: usize = 16;

/// Folds 16 lanes in halves: short chains, and always in the same order.
#[inline(always)]
fn fold_lanes(lanes: [f32; LANES], fold: impl Fn(f32, f32) -> f32) -> f32 {
    // Else LLVM gives the loop that filled the lanes the shape of this tree, which makes it scalar.
    let lanes = std::hint::black_box(lanes);
    let eight: [f32; 8] = std::array::from_fn(|i| fold(lanes[i], lanes[i + 8]));
    let four: [f32; 4] = std::array::from_fn(|i| fold(eight[i], eight[i + 4]));
    fold(fold(four[0], four[2]), fold(four[1], four[3]))
}

/// Folds a row lane by lane, so that it vectorises, then the lanes.
#[inline(always)]
fn fold_row(x: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = fold(*lane, *x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, *x);
    }
    fold_lanes(lanes, fold)
}

/// The largest element. NaN is passed over (the sum keeps it).
#[inline(always)]
pub fn max_of(x: &[f32]) -> f32 {
    fold_row(x, f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Replaces each x by e^(x - max) and returns their sum. Two plain loops: in one, LLVM vectorises by pairs.
#[inline(always)]
pub fn exp_sum(x: &mut [f32], max: f32) -> f32 {
    x.iter_mut().for_each(|x| *x = exp_f32(*x - max));
    fold_row(x, 0.0, |a, b| a + b)
}
