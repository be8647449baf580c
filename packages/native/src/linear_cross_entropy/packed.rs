//! The factors that are packed for all tasks.

use super::STEP;
use crate::gemm::{Kernel, Matrix, Shared};

/// A band of rows of W (or of hidden) packed twice: as B of products with these rows, and, `STEP` rows at a time, as B of
/// products that sum over them.
#[derive(Clone, Copy)]
pub struct Packed {
    pub kernel: Kernel,
    pub cols: usize,
    pub rows: Shared<u32>,
    /// Null where no sum over the rows is wanted.
    pub sums: Shared<u32>,
}

impl Packed {
    /// Words of the two parts for a band of `len` rows.
    pub fn words(kernel: Kernel, len: usize, cols: usize, sums: bool) -> [usize; 2] {
        [kernel.b_words(len, cols), if sums { len.div_ceil(STEP) * kernel.b_words(cols, STEP) } else { 0 }]
    }

    /// Rows `at ..` of the band's `len`, as many as make a panel; `from` is the band in memory.
    ///
    /// # Safety
    /// The rows exist, their panel and their part of the sums' panels are this caller's to write, and `at` is a multiple of
    /// a panel's rows.
    pub unsafe fn pack(self, from: Matrix, at: usize, len: usize, sums: bool) {
        let (kernel, cols, nr) = (self.kernel, self.cols, self.kernel.nr());
        let rows = (len - at).min(nr);
        // SAFETY: the caller's promise. A panel's rows are whole words and lie in one step.
        unsafe {
            kernel.pack_b(self.rows(at), from, at, rows, 0, cols);
            if !sums {
                return;
            }
            let (step, inside) = (at / STEP, kernel.words(at % STEP));
            let words = kernel.words((len - step * STEP).min(STEP));
            for col in (0..cols).step_by(nr) {
                let to = self.sums(step).add((col / nr * words + inside) * nr);
                kernel.pack_b(to, Matrix { across: true, ..from }, col, (cols - col).min(nr), at, rows);
            }
        }
    }

    /// The panels of the rows from `at`, a multiple of a panel's rows, on.
    pub fn rows(self, at: usize) -> *mut u32 {
        self.rows.get().wrapping_add(at * self.kernel.words(self.cols))
    }

    /// The panels of step `step` whose products sum over its rows.
    pub fn sums(self, step: usize) -> *mut u32 {
        self.sums.get().wrapping_add(step * self.kernel.b_words(self.cols, STEP))
    }
}
