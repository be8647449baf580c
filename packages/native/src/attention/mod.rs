//! Causal attention inside segments, tile by tile with an online softmax; of the scores only their log-sum-exp is kept.
//!
//! Tiles are as wide as a B panel and so laid out that what they become is a factor as it stands. In the forward pass a
//! tile has a query in each column, so that the softmax is the same for every lane, and its exponentials are the panel
//! that values are multiplied with: the output is summed in columns too. In the backward pass a tile has a key in each
//! column, and probabilities and gradients are panels for dv and dk (in columns); only for dq they are transposed.
//!
//! Work is cut by shape, and every result is summed in an order that the shape gives.

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

/// A panels of keys (in the backward pass of queries) per inner step.
const PANELS: usize = 9;
/// Most columns of a B panel.
const COLUMNS: usize = 32;
/// Elements of one factor of a task's band of queries (in the backward pass of keys): with the other factors and the sums
/// they fit the second-level cache.
const BAND: usize = 32 << 10;

/// Rows of a band: whole B panels that together hold about `BAND` elements.
fn band_rows(kernel: Kernel, dim: usize) -> usize {
    (BAND / dim.max(1)).next_multiple_of(kernel.nr())
}
