//! A tile of the backward pass: from products to probabilities and their gradients.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::geometry::{along_tokens, f32_rows};
use super::scores::Scores;
use super::softmax::by_columns;
#[cfg(target_arch = "x86_64")]
use super::softmax::vectors;
use crate::block;
use crate::buffer::View;
use crate::gemm::Kernel;
use crate::math::exp_f32;
use crate::multiversion;

/// Products s = q . k and dp = d_out . v, which become probabilities and gradients. The rows are queries: one A panel, of
/// which the first `queries` are there. The columns are keys.
#[derive(Clone, Copy)]
pub struct GradientTile {
    pub s: *mut f32,
    pub dp: *mut f32,
    /// B panels, queries along k, of the probabilities and of the gradients of the products s (but for their scale).
    pub p: *mut u32,
    pub ds: *mut u32,
    /// An A panel of the same gradients, keys along k.
    pub ds_across: *mut u32,
    pub queries: usize,
    /// Positions of row 0 and column 0.
    pub q: usize,
    pub k: usize,
    pub scores: Scores,
    /// Of each row: the log-sum-exp of its scores, and the sum of its probabilities, each times its gradient.
    pub lse: *const f32,
    pub delta: *const f32,
}

/// Turns products s into probabilities and dp into gradients of the products (but for their scale).
///
/// # Safety
/// The tiles have as many columns as a B panel and are the caller's.
#[inline(always)]
unsafe fn gradient_body(tile: GradientTile, columns: usize) {
    // SAFETY: the caller's promise.
    unsafe { by_columns!(gradient_columns, tile, columns) }
}

/// # Safety
/// As `gradient_body`.
#[inline(always)]
unsafe fn gradient_columns<const N: usize, const CAP: bool>(tile: GradientTile) {
    let GradientTile { s, dp, queries, q, k, scores, lse, delta, .. } = tile;
    let reach = scores.reach();
    for i in 0..queries {
        // SAFETY: the caller's promise.
        let (p, ds, lse, delta) = unsafe {
            (
                &mut *(s.add(i * N) as *mut [f32; N]),
                &mut *(dp.add(i * N) as *mut [f32; N]),
                lse.add(i).read(),
                delta.add(i).read(),
            )
        };
        let behind = (q + i) as i32 - k as i32;
        for column in 0..N {
            let behind = behind - column as i32;
            let seen = (behind as u32) < reach;
            let score = scores.of::<CAP>(p[column], behind);
            let gradient = (ds[column] - delta) * scores.slope_of_cap::<CAP>(p[column]);
            let probability = exp_f32(score - lse);
            p[column] = if seen { probability } else { 0.0 };
            ds[column] = if seen { probability * gradient } else { 0.0 };
        }
    }
}

multiversion! {
    unsafe fn gradient_plain(tile: GradientTile, columns: usize) = gradient_body
}

/// `gradient_body`; then packs its results.
///
/// # Safety
/// As for `gradient_body`; the panels are the caller's, 64-byte aligned but for the one across.
pub unsafe fn gradient(kernel: Kernel, tile: GradientTile) {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if vectors(kernel.isa(), tile.scores) {
            return avx512::gradient(kernel.factors(), tile);
        }
        let nr = kernel.nr();
        gradient_plain(kernel.isa(), tile, nr);
        let [p, ds] = [tile.s, tile.dp].map(|x| f32_rows(x, nr));
        kernel.pack_b(tile.p, along_tokens(p), 0, nr, 0, tile.queries);
        kernel.pack_b(tile.ds, along_tokens(ds), 0, nr, 0, tile.queries);
        kernel.pack_a(tile.ds_across, ds, 0, tile.queries, 0, nr, 1.0);
    }
}

/// For each of `rows` rows of both views, `stride` apart from element `at` on, the sum of the products of their elements.
///
/// # Safety
/// The views hold them and are f32 or bf16, and the sums are the caller's to write.
#[inline(always)]
unsafe fn dots_body(sums: *mut f32, a: View, b: View, at: usize, stride: usize, (rows, dim): (usize, usize)) {
    for i in 0..rows {
        let mut sum = block::Sum::ZERO;
        for (d, n) in block::blocks(at + i * stride, at + i * stride + dim) {
            let (mut x, mut y) = (block::ZERO, block::ZERO);
            // SAFETY: the caller's promise.
            unsafe {
                block::load(a, d, &mut x[..n]);
                block::load(b, d, &mut y[..n]);
            }
            sum.add2(&x[..n], &y[..n], |x, y| x * y);
        }
        // SAFETY: the caller's promise.
        unsafe { sums.add(i).write(sum.total()) };
    }
}

multiversion! {
    pub unsafe fn dots(sums: *mut f32, a: View, b: View, at: usize, stride: usize, size: (usize, usize)) = dots_body
}
