//! embedding and embeddingBackward.

use crate::arguments::{Embedding, EmbeddingBackward};
use crate::block::{blocks, load, store, ZERO};
use crate::buffer::{DType, View};
use crate::context::Context;
use crate::elementwise::{area, exactly, float, row_chunks};
use crate::multiversion;
use crate::reduce::column_blocks;

/// The id of a row.
///
/// # Safety
/// The view must hold it and be i32.
#[inline(always)]
unsafe fn id(ids: View, row: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { (ids.ptr() as *const i32).add(row).read_unaligned() }
}

/// An error unless every id is a row of the table.
fn check_ids(ids: View, rows: usize, vocab: usize) -> Result<(), String> {
    exactly(&ids, "ids", DType::I32, rows)?;
    for row in 0..rows {
        // SAFETY: checked just above.
        let id = unsafe { id(ids, row) };
        if id < 0 || id as usize >= vocab {
            return Err(format!("id {id} at row {row} is outside the vocabulary of {vocab}"));
        }
    }
    Ok(())
}

/// # Safety
/// The views hold rows `from .. to` and the rows of their ids; those of `out` are the caller's.
#[inline(always)]
unsafe fn embedding_body(k: &Embedding, from: usize, to: usize) {
    let factor = k.factor as f32;
    let mut v = ZERO;
    for row in from..to {
        // SAFETY: the caller's promise.
        let source = unsafe { id(k.ids, row) } as usize * k.cols;
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let v = &mut v[..n];
                load(k.table, source + at, v);
                for v in v.iter_mut() {
                    *v *= factor;
                }
                store(k.out, row * k.cols + at, v);
            }
        }
    }
}
multiversion! { unsafe fn embedding_rows(k: &Embedding, from: usize, to: usize) = embedding_body }

pub fn embedding(cx: &Context, k: &Embedding) -> Result<(), String> {
    float(&k.out, "out", area(k.rows, k.cols)?)?;
    float(&k.table, "table", area(k.vocab, k.cols)?)?;
    check_ids(k.ids, k.rows, k.vocab)?;
    // SAFETY: the views hold what is read and written, ids included; tasks write disjoint rows.
    row_chunks(cx, k.rows, k.cols, |from, to| unsafe { embedding_rows(cx.isa, k, from, to) });
    Ok(())
}

/// # Safety
/// The views hold the rows and those of their ids; columns `at .. at + n` of `d_table` are the caller's.
#[inline(always)]
unsafe fn embedding_backward_body(k: &EmbeddingBackward, at: usize, n: usize) {
    let factor = k.factor as f32;
    let (mut g, mut d) = (ZERO, ZERO);
    let (g, d) = (&mut g[..n], &mut d[..n]);
    for row in 0..k.rows {
        // SAFETY: the caller's promise.
        unsafe {
            let id = id(k.ids, row);
            if f64::from(id) == k.padding {
                continue;
            }
            let target = id as usize * k.cols + at;
            load(k.d_out, row * k.cols + at, g);
            load(k.d_table, target, d);
            for (d, g) in d.iter_mut().zip(&*g) {
                *d += g * factor;
            }
            store(k.d_table, target, d);
        }
    }
}
multiversion! { unsafe fn embedding_backward_block(k: &EmbeddingBackward, at: usize, n: usize) = embedding_backward_body }

/// Each task takes a block of columns through all rows, so that rows sharing an id are added in order.
pub fn embedding_backward(cx: &Context, k: &EmbeddingBackward) -> Result<(), String> {
    exactly(&k.d_table, "dTable", DType::F32, area(k.vocab, k.cols)?)?;
    float(&k.d_out, "dOut", area(k.rows, k.cols)?)?;
    check_ids(k.ids, k.rows, k.vocab)?;
    // SAFETY: the views hold what is read and written, ids included; tasks write disjoint columns.
    column_blocks(cx, k.cols, |at, n| unsafe { embedding_backward_block(cx.isa, k, at, n) });
    Ok(())
}
