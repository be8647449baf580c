//! Causal attention inside segments, tile by tile with an online softmax; of the scores only their log-sum-exp is kept.
//!
//! A tile of scores is as wide as a B panel and has its layout, so that it can be multiplied as it is. In the forward pass
//! each column of a tile is a query: the softmax does the same in every lane, and the exponentials are the panel that the
//! values are multiplied with, which leaves the output in columns too. In the backward pass each column is a key:
//! probabilities and gradients are the panels for dv and dk, which are summed in columns. Only dq needs them transposed.
//!
//! The shape alone decides how work is cut and in which order a result is summed.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod backward;
pub mod cached;
mod forward;
mod geometry;
mod gradient;
mod scores;
mod softmax;
mod store;
#[cfg(test)]
mod tests;

pub use backward::backward;
pub use forward::forward;

use crate::gemm::Kernel;

/// A panels of keys in one step of a task; in the backward pass, of queries.
const PANELS: usize = 9;
/// Most columns of a B panel.
const COLUMNS: usize = 32;
/// Elements of a task's band of queries (in the backward pass, of keys). With the other factors and the sums, such a band
/// fits the second-level cache.
const BAND: usize = 32 << 10;

/// Rows of a band: whole B panels that together hold about `BAND` elements.
fn band_rows(kernel: Kernel, dim: usize) -> usize {
    (BAND / dim.max(1)).next_multiple_of(kernel.nr())
}
