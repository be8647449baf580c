//! sum, sumRows, argMax, and the sums in f64 behind gradient clipping.

use crate::arguments::{ArgMax, Sum, SumRows};
use crate::block::{blocks, load, store, BLOCK, CHUNK, ZERO};
use crate::buffer::{DType, View};
use crate::context::Context;
use crate::elementwise::{area, exactly, float};
use crate::gemm::Shared;
use crate::multiversion;

/// Elements whose partial sum is one slot.
const SLOT: usize = 65_536;

/// # Safety
/// The view is of a float dtype and holds the elements.
#[inline(always)]
unsafe fn sum_body(x: View, squared: bool, from: usize, to: usize) -> f64 {
    let mut lanes = [0f64; 16];
    let mut v = ZERO;
    for (at, n) in blocks(from, to) {
        let v = &mut v[..n];
        // SAFETY: the caller's promise.
        unsafe { load(x, at, v) };
        // The square of an f32 is exact in f64. A short tail goes to the first lanes.
        for lane in v.chunks(16) {
            for (sum, x) in lanes.iter_mut().zip(lane) {
                let x = *x as f64;
                *sum += if squared { x * x } else { x };
            }
        }
    }
    lanes.iter().sum()
}
multiversion! { unsafe fn sum_range(x: View, squared: bool, from: usize, to: usize) -> f64 = sum_body }

/// Sum of the first `count` elements, or of their squares: a partial sum per 65,536 elements, added in order.
pub fn total(cx: &Context, x: View, count: usize, squared: bool) -> f64 {
    let slots = count.div_ceil(SLOT);
    // SAFETY: no region runs, and this is the kernel's only shared scratch.
    let scratch = unsafe { cx.pool.shared_scratch(slots * 8) }.as_mut_ptr() as usize;
    cx.pool.parallel(slots, &|slot, _| {
        // SAFETY: x holds count elements; the scratch holds a slot for each task, 8-byte aligned.
        unsafe {
            let sum = sum_range(cx.isa, x, squared, slot * SLOT, (slot * SLOT + SLOT).min(count));
            *(scratch as *mut f64).add(slot) = sum;
        }
    });
    // SAFETY: the tasks above wrote every slot (unless aborted, when the result is not used).
    (0..slots).map(|slot| unsafe { *(scratch as *const f64).add(slot) }).sum()
}

pub fn sum(cx: &Context, k: &Sum) -> Result<(), String> {
    exactly(&k.out, "out", DType::F32, 1)?;
    float(&k.x, "x", k.count)?;
    let sum = total(cx, k.x, k.count, false) * k.factor;
    // SAFETY: out holds one f32.
    unsafe { store(k.out, 0, &[sum as f32]) };
    Ok(())
}

/// The first of the largest of elements `from .. to` that is above minus infinity, else that with index `from`.
///
/// # Safety
/// As for `sum_body`.
#[inline(always)]
unsafe fn largest_body(x: View, from: usize, to: usize) -> (f32, usize) {
    let mut best = (f32::NEG_INFINITY, from);
    let mut v = ZERO;
    for (at, n) in blocks(from, to) {
        let v = &mut v[..n];
        // SAFETY: the caller's promise.
        unsafe { load(x, at, v) };
        let most = v.iter().fold(f32::NEG_INFINITY, |most, x| if *x > most { *x } else { most });
        if most > best.0 {
            best = (most, at + v.iter().position(|x| *x == most).unwrap_or(0));
        }
    }
    best
}
multiversion! { unsafe fn largest(x: View, from: usize, to: usize) -> (f32, usize) = largest_body }

pub fn arg_max(cx: &Context, k: &ArgMax) -> Result<(), String> {
    let &ArgMax { out, x, rows, cols } = k;
    exactly(&out, "out", DType::I32, rows)?;
    float(&x, "x", area(rows, cols)?)?;
    if cols == 0 {
        return Err("cols must be at least 1, is 0".to_string());
    }
    let parts = cols.div_ceil(CHUNK);
    // SAFETY: no region runs, and this is the kernel's only shared scratch.
    let slots = unsafe { cx.pool.shared_scratch(rows * parts * size_of::<(f32, usize)>()) };
    let slots = Shared::new(slots.as_mut_ptr() as *mut (f32, usize));
    cx.pool.parallel(rows * parts, &|task, _| {
        let (row, from) = (task / parts * cols, task % parts * CHUNK);
        // SAFETY: x holds the row; the scratch, 64-byte aligned, holds a slot for each task.
        unsafe {
            let best = largest(cx.isa, x, row + from, row + (from + CHUNK).min(cols));
            slots.get().add(task).write(best);
        }
    });
    for row in 0..rows {
        let mut first = [0.0];
        // SAFETY: the tasks above wrote every slot (unless aborted, when the result is not used); out holds the row.
        unsafe {
            // A NaN in front is never exceeded.
            load(x, row * cols, &mut first);
            let mut best = (first[0], row * cols);
            for part in 0..parts {
                let next = slots.get().add(row * parts + part).read();
                best = if next.0 > best.0 { next } else { best };
            }
            (out.ptr() as *mut i32).add(row).write_unaligned((best.1 - row * cols) as i32);
        }
    }
    Ok(())
}

/// What `add_columns` adds up.
pub trait Addends {
    /// Sets `into` to the addends of row `row` at columns `at..`.
    ///
    /// # Safety
    /// Row and columns must lie in the views that the addends are computed from. Implementations are `#[inline(always)]`.
    unsafe fn load(&self, row: usize, at: usize, into: &mut [f32]);
}

/// Adds the addends of all rows to columns `at..at + n` of `out` (f32): in order within groups of 64 rows, whose sums are
/// then added in order.
///
/// # Safety
/// `out` must hold the columns, which nothing else may use meanwhile; the rows and columns must be right for `addends`.
#[inline(always)]
pub unsafe fn add_columns(out: View, rows: usize, at: usize, n: usize, addends: &impl Addends) {
    let (mut total, mut group, mut v) = (ZERO, ZERO, ZERO);
    let (total, group, v) = (&mut total[..n], &mut group[..n], &mut v[..n]);
    // SAFETY: the caller's promise.
    unsafe { load(out, at, total) };
    let mut row = 0;
    while row < rows {
        let end = (row + 64).min(rows);
        group.fill(0.0);
        for r in row..end {
            // SAFETY: the caller's promise.
            unsafe { addends.load(r, at, v) };
            for (sum, v) in group.iter_mut().zip(&*v) {
                *sum += v;
            }
        }
        for (sum, v) in total.iter_mut().zip(&*group) {
            *sum += v;
        }
        row = end;
    }
    // SAFETY: the caller's promise.
    unsafe { store(out, at, total) };
}

/// Runs `task(at, n)` for each block of columns.
pub fn column_blocks(cx: &Context, cols: usize, task: impl Fn(usize, usize) + Sync) {
    cx.pool.parallel(cols.div_ceil(BLOCK), &|index, _| task(index * BLOCK, (cols - index * BLOCK).min(BLOCK)));
}

/// The rows of a matrix (rows, cols) themselves.
pub struct Rows(pub View, pub usize);

impl Addends for Rows {
    #[inline(always)]
    unsafe fn load(&self, row: usize, at: usize, into: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe { load(self.0, row * self.1 + at, into) }
    }
}

/// # Safety
/// The views hold columns `at .. at + n`, and those of `out` are the caller's.
#[inline(always)]
unsafe fn sum_rows_body(k: &SumRows, at: usize, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { add_columns(k.out, k.rows, at, n, &Rows(k.x, k.cols)) }
}
multiversion! { unsafe fn sum_rows_block(k: &SumRows, at: usize, n: usize) = sum_rows_body }

pub fn sum_rows(cx: &Context, k: &SumRows) -> Result<(), String> {
    exactly(&k.out, "out", DType::F32, k.cols)?;
    float(&k.x, "x", area(k.rows, k.cols)?)?;
    // SAFETY: the views hold what is read and written; tasks write disjoint columns.
    column_blocks(cx, k.cols, |at, n| unsafe { sum_rows_block(cx.isa, k, at, n) });
    Ok(())
}
