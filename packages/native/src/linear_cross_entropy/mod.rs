//! Cross entropy of softmax(hidden . weight^T) without the logits: attention over the vocabulary.
//!
//! The outer loop is over bands of the vocabulary. Each is packed once, while the one before it is multiplied. Tasks take
//! pieces of the rows that have a label, and bring them past the band. For each row they keep the largest logit so far, the
//! sum of exponentials, and (in dHidden itself) the sum of weight rows, each times its exponential. A row's result depends
//! on the shape alone, not on threads or on the other rows. Workspace beside dHidden: four packed bands of at most 4 MiB
//! (more where rows are very wide), at most 12 MiB of packed hidden, some hundred KiB per thread, and six words per row.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod forward;
mod packed;
mod rows;
#[cfg(test)]
mod tests;
mod weight_backward;

pub use forward::forward;
pub use weight_backward::weight_backward;

use crate::arguments::{LinearCrossEntropy, LinearCrossEntropyWeightBackward};
use crate::buffer::{DType, View};
use crate::gemm::{Kernel, Matrix, FLOATS, RESULTS};

/// The label of rows that are left out.
const SKIPPED: i32 = -100;

/// Columns of one tile of logits.
const STEP: usize = 512;
/// Elements from one row of a tile to the next: not a power of two, so that rows do not meet in the same cache lines.
pub const ROW: usize = STEP + 16;
/// Most words of a packed band (4 MiB), where a larger one is not forced by very wide rows.
const BAND_WORDS: usize = 1 << 20;
/// Most rows of the vocabulary packed at a time.
const VOCAB_ROWS: usize = 2 * STEP;
/// Most tokens packed at a time for dWeight, which is read and written once for each such band.
const TOKENS: usize = 4 * STEP;
/// Most A panels, and most words of them (256 KiB), of one task.
const PANELS: usize = 4;
const A_WORDS: usize = 64 << 10;
/// Words of hidden that are packed once and kept for every band (12 MiB); a longer one is packed again for each.
const KEPT_WORDS: usize = 3 << 20;

fn check_rows(name: &str, view: View, rows: usize, cols: usize, dtypes: &[DType]) -> Result<(), String> {
    let name = format!("{name} ({rows}, {cols})");
    view.is_one_of(&name, dtypes)?;
    view.holds_rows(&name, rows, cols, cols)
}

fn check_vector(name: &str, view: View, rows: usize, dtype: DType) -> Result<(), String> {
    let name = format!("{name} ({rows})");
    view.is_one_of(&name, &[dtype])?;
    view.holds(&name, rows)
}

impl LinearCrossEntropy {
    pub fn check(&self) -> Result<(), String> {
        let LinearCrossEntropy { rows, cols, vocab, .. } = *self;
        check_vector("nll", self.nll, rows, DType::F32)?;
        check_vector("lse", self.lse, rows, DType::F32)?;
        if let Some(correct) = self.correct {
            check_vector("correct", correct, rows, DType::F32)?;
        }
        if let Some(d_hidden) = self.d_hidden {
            check_rows("dHidden", d_hidden, rows, cols, &[DType::F32])?;
        }
        check_rows("hidden", self.hidden, rows, cols, &RESULTS)?;
        check_rows("weight", self.weight, vocab, cols, &FLOATS)?;
        check_vector("labels", self.labels, rows, DType::I32)
    }
}

impl LinearCrossEntropyWeightBackward {
    pub fn check(&self) -> Result<(), String> {
        let LinearCrossEntropyWeightBackward { rows, cols, vocab, .. } = *self;
        check_rows("dWeight", self.d_weight, vocab, cols, &[DType::F32])?;
        check_rows("hidden", self.hidden, rows, cols, &RESULTS)?;
        check_rows("weight", self.weight, vocab, cols, &FLOATS)?;
        check_vector("labels", self.labels, rows, DType::I32)?;
        check_vector("lse", self.lse, rows, DType::F32)?;
        check_vector("upstream", self.upstream, rows, DType::F32)
    }
}

/// The rows that carry a label, and their labels.
fn labelled(labels: View, rows: usize, vocab: usize) -> Result<(Vec<u32>, Vec<i32>), String> {
    let mut live = (Vec::new(), Vec::new());
    for row in 0..rows {
        // SAFETY: `check` found this many labels.
        let label = unsafe { (labels.ptr() as *const i32).add(row).read_unaligned() };
        if label == SKIPPED {
            continue;
        }
        if label < 0 || label as usize >= vocab {
            return Err(format!("labels[{row}] is {label}, outside the vocabulary of {vocab} (and not {SKIPPED})"));
        }
        live.0.push(row as u32);
        live.1.push(label);
    }
    Ok(live)
}

fn matrix(view: View, cols: usize) -> Matrix {
    Matrix { ptr: view.ptr(), dtype: view.dtype(), ld: cols, across: false }
}

/// `m` from its element (row, 0) on.
fn from_row(m: Matrix, row: usize) -> Matrix {
    let step = row * if m.across { 1 } else { m.ld };
    Matrix { ptr: m.ptr.wrapping_add(step * m.dtype.size()), ..m }
}

/// Copies the given rows of `from` next to each other at `to`.
///
/// # Safety
/// The rows exist, and there is room.
unsafe fn gather(from: Matrix, rows: &[u32], to: *mut u8) -> Matrix {
    let bytes = from.ld * from.dtype.size();
    for (i, row) in rows.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from.ptr.add(*row as usize * bytes), to.add(i * bytes), bytes) }
    }
    Matrix { ptr: to, ..from }
}

/// Into how many tasks A panels are cut: of a size within the limits, and as many for each thread.
fn tasks_of(kernel: Kernel, panels: usize, cols: usize, threads: usize) -> usize {
    let most = (A_WORDS / (kernel.words(cols).max(1) * kernel.mr())).clamp(1, PANELS);
    panels.div_ceil(most).next_multiple_of(threads).max(4 * threads).min(panels)
}

/// Rows of a band: whole steps of at most `most` rows that pack into BAND_WORDS, but at least one step.
fn band_rows(words: usize, most: usize) -> usize {
    (BAND_WORDS / words.max(1)).clamp(STEP, most) / STEP * STEP
}
