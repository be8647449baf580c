//! A tile of the forward pass: from products to exponentials.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::geometry::{along_tokens, f32_rows};
use super::scores::Scores;
use crate::gemm::Kernel;
use crate::isa::Isa;
use crate::math::exp_f32;
use crate::multiversion;

/// Products of keys (the rows) and queries (the columns, as many as a B panel has) on their way to exponentials.
#[derive(Clone, Copy)]
pub struct SoftmaxTile {
    pub s: *mut f32,
    /// The rows that some query sees.
    pub keys: (usize, usize),
    /// Positions of column 0 and row 0.
    pub q: usize,
    pub k: usize,
    pub scores: Scores,
    /// What the online softmax carries from tile to tile. For each column: the maximum that its exponentials are relative
    /// to, the sum of these, and (`dim` rows of `acc`) the sum of the values, each times its exponential.
    pub max: *mut f32,
    pub sum: *mut f32,
    pub acc: *mut f32,
    pub dim: usize,
}

/// Runs `$body` for the columns that the tile has, and with or without a soft cap. Loops vectorise if their length is
/// known when they are compiled.
macro_rules! by_columns {
    ($body:ident, $tile:expr, $columns:expr) => {
        match ($columns, $tile.scores.soft_cap > 0.0) {
            (8, false) => $body::<8, false>($tile),
            (8, true) => $body::<8, true>($tile),
            (16, false) => $body::<16, false>($tile),
            (16, true) => $body::<16, true>($tile),
            (32, false) => $body::<32, false>($tile),
            (32, true) => $body::<32, true>($tile),
            _ => unreachable!("no B panel is as wide"),
        }
    };
}

pub(super) use by_columns;

/// Turns products into exponentials relative to each column's running maximum, which is raised as need be, and rescales
/// the sums so far. Unseen keys become 0.
///
/// # Safety
/// The tile has as many columns as a B panel, and all of it and of the sums is the caller's.
#[inline(always)]
unsafe fn softmax_body(tile: SoftmaxTile, columns: usize) {
    // SAFETY: the caller's promise.
    unsafe { by_columns!(softmax_columns, tile, columns) }
}

/// # Safety
/// As `softmax_body`.
#[inline(always)]
unsafe fn softmax_columns<const N: usize, const CAP: bool>(tile: SoftmaxTile) {
    let SoftmaxTile { s, keys: (from, to), q, k, scores, max, sum, acc, dim } = tile;
    let reach = scores.reach();
    // SAFETY: the caller's promise.
    let (rows, max, sum, acc) = unsafe {
        (
            std::slice::from_raw_parts_mut(s.add(from * N) as *mut [f32; N], to - from),
            &mut *(max as *mut [f32; N]),
            &mut *(sum as *mut [f32; N]),
            std::slice::from_raw_parts_mut(acc as *mut [f32; N], dim),
        )
    };
    let mut raised = *max;
    for (row, key) in rows.iter_mut().zip(k + from..) {
        let behind = q as i32 - key as i32;
        for query in 0..N {
            let behind = behind + query as i32;
            let score = scores.of::<CAP>(row[query], behind);
            let score = if (behind as u32) < reach { score } else { f32::NEG_INFINITY };
            row[query] = score;
            raised[query] = if score > raised[query] { score } else { raised[query] };
            // a NaN is passed over; the sum keeps it
        }
    }
    let mut base = raised;
    // Scores of -infinity only are relative to 0, so that their exponentials are 0.
    base.iter_mut().for_each(|x| *x = if *x == f32::NEG_INFINITY { 0.0 } else { *x });
    let mut rescale = [0.0; N];
    for column in 0..N {
        rescale[column] = exp_f32(max[column] - base[column]);
        sum[column] *= rescale[column];
    }
    *max = raised;
    if rescale.iter().any(|x| *x != 1.0) {
        for acc in acc {
            for column in 0..N {
                acc[column] *= rescale[column];
            }
        }
    }
    for row in rows {
        for column in 0..N {
            row[column] = exp_f32(row[column] - base[column]);
            sum[column] += row[column];
        }
    }
}

multiversion! {
    unsafe fn softmax_plain(tile: SoftmaxTile, columns: usize) = softmax_body
}

/// Whether tiles go through registers only, which gives maxima as powers of 2.
pub fn vectors(isa: Isa, scores: Scores) -> bool {
    #[cfg(target_arch = "x86_64")]
    return isa >= Isa::Avx512 && avx512::serves(scores);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (isa, scores);
        false
    }
}

/// `softmax_body`; then packs the exponentials as a B panel, keys along k, from row 0 of the tile on. Returns the panel,
/// which is `spare` or has taken the place of the scores.
///
/// # Safety
/// As for `softmax_body`. The first key must be the first of an A panel, the tile must have room for one more row, and
/// `spare` must have the tile's size and alignment.
pub unsafe fn softmax(kernel: Kernel, tile: SoftmaxTile, spare: *mut u32) -> *const u32 {
    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if vectors(kernel.isa(), tile.scores) {
            avx512::softmax(kernel.factors(), tile);
            return tile.s as *const u32;
        }
        let (nr, (from, to)) = (kernel.nr(), tile.keys);
        softmax_plain(kernel.isa(), tile, nr);
        kernel.pack_b(spare.add(kernel.words(from) * nr), along_tokens(f32_rows(tile.s, nr)), 0, nr, from, to - from);
        spare
    }
}
