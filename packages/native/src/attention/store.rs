//! Sums of the tiles become rows of a result.

use super::geometry::f32_rows;
use crate::block;
use crate::buffer::View;
use crate::gemm::Kernel;
use crate::isa::Isa;
use crate::multiversion;

/// Stores `rows` rows of f32, `lanes` apart, as rows of `to` from element `at` on. Each is multiplied by its factor; if
/// there is a single factor, it is for all.
///
/// # Safety
/// The rows of `to` are the caller's to write, and it is f32 or bf16.
#[inline(always)]
unsafe fn store_rows_body(
    (to, at, stride): (View, usize, usize),
    from: *const f32,
    lanes: usize,
    (rows, dim): (usize, usize),
    factors: &[f32],
) {
    for i in 0..rows {
        let factor = factors[i.min(factors.len() - 1)];
        for (d, n) in block::blocks(0, dim) {
            let mut values = block::ZERO;
            // SAFETY: the caller's promise.
            unsafe {
                let from = std::slice::from_raw_parts(from.add(i * lanes + d), n);
                values.iter_mut().zip(from).for_each(|(value, x)| *value = x * factor);
                block::store(to, at + i * stride + d, &values[..n]);
            }
        }
    }
}

multiversion! {
    pub unsafe fn store_rows(to: (View, usize, usize), from: *const f32, lanes: usize, size: (usize, usize), factors: &[f32]) =
        store_rows_body
}

/// Stores the first `count` columns of sums (dim rows of nr columns) as rows; see `store_rows_body`.
///
/// # Safety
/// As there; `scratch` has room for nr rows of nr words, 64-byte aligned.
pub unsafe fn store_columns(
    isa: Isa,
    (to, at, stride): (View, usize, usize),
    sums: *const f32,
    (count, dim): (usize, usize),
    factors: &[f32],
    scratch: *mut f32,
) {
    let transposer = Kernel::new(isa, false);
    let nr = transposer.nr();
    for d in (0..dim).step_by(nr) {
        let width = (dim - d).min(nr);
        // SAFETY: the caller's promise.
        unsafe {
            transposer.pack_b(scratch as *mut u32, f32_rows(sums, nr), d, width, 0, count);
            store_rows(isa, (to, at + d, stride), scratch, nr, (count, width), factors);
        }
    }
}

/// Adds up several runs of `count` sums in the first, in order.
///
/// # Safety
/// All are the caller's.
pub unsafe fn sum_into_first(mut from: impl Iterator<Item = *mut f32>, count: usize) -> *const f32 {
    let first = from.next().expect("at least one");
    for more in from {
        // SAFETY: the caller's promise.
        let (sums, more) =
            unsafe { (std::slice::from_raw_parts_mut(first, count), std::slice::from_raw_parts(more, count)) };
        sums.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
    }
    first
}
