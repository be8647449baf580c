//! Decoding: keys and values of each sequence lie together in a cache, and a query looks at those up to its own place.

use crate::arguments::{AttentionCached, CacheRows};
use crate::block::{load, store, Sum};
use crate::buffer::{DType, View};
use crate::context::Context;
use crate::elementwise::{area, exactly, float, reach, row_chunks};
use crate::gemm::RESULTS;
use crate::math::{exp_f32, tanh_f32};
use crate::multiversion;

/// Keys whose scores are made before their values are added.
const TILE: usize = 64;
/// Values that are added at once: the sums are loaded and stored once for them.
const TOGETHER: usize = 4;

/// A sequence's number and a token's place in it, of every row.
#[derive(Clone, Copy)]
struct Places {
    slots: View,
    positions: View,
}

impl Places {
    /// An error unless every row's place is in a cache of `slot_count` sequences of `capacity` tokens.
    fn check(slots: View, positions: View, rows: usize, slot_count: usize, capacity: usize) -> Result<Places, String> {
        exactly(&slots, "slots", DType::I32, rows)?;
        exactly(&positions, "positions", DType::I32, rows)?;
        let places = Places { slots, positions };
        for row in 0..rows {
            // SAFETY: checked just above.
            let (slot, position) = unsafe { places.at(row) };
            if slot >= slot_count || position >= capacity {
                return Err(format!(
                    "row {row} is token {position} of sequence {slot}, outside a cache of {slot_count} sequences of {capacity}"
                ));
            }
        }
        Ok(places)
    }

    /// # Safety
    /// The views hold the row. A negative number comes out too large for any cache.
    #[inline(always)]
    unsafe fn at(self, row: usize) -> (usize, usize) {
        // SAFETY: the caller's promise.
        let read = |view: View| unsafe { (view.ptr() as *const i32).add(row).read_unaligned() } as u32 as usize;
        (read(self.slots), read(self.positions))
    }
}

/// Elements of a cache (slots, heads, capacity, dim).
fn cache_size(slots: usize, heads: usize, capacity: usize, dim: usize) -> Result<usize, String> {
    area(area(slots, heads)?, area(capacity, dim)?)
}

pub fn cache_rows(cx: &Context, k: &CacheRows) -> Result<(), String> {
    let &CacheRows { cache, x, rows, heads, dim, capacity, .. } = k;
    cache.is_one_of("cache", &RESULTS)?;
    cache.holds("cache", cache_size(k.slot_count, heads, capacity, dim)?)?;
    x.is_one_of("x", &RESULTS)?;
    x.holds_rows("x", rows, reach(heads, dim, k.x_head)?, k.x_stride)?;
    let places = Places::check(k.slots, k.positions, rows, k.slot_count, capacity)?;
    row_chunks(cx, rows, heads * dim, |from, to| {
        let mut values = vec![0.0; dim];
        for row in from..to {
            // SAFETY: the views hold the rows and places; no two rows have the same place in one call.
            unsafe {
                let (slot, position) = places.at(row);
                for head in 0..heads {
                    load(x, row * k.x_stride + head * k.x_head, &mut values);
                    store(cache, ((slot * heads + head) * capacity + position) * dim, &values);
                }
            }
        }
    });
    Ok(())
}

/// Adds to the sums some values, each times its p, one after the other.
#[inline(always)]
fn add_values(sums: &mut [f32], p: &[f32], values: &[f32]) {
    let dim = sums.len();
    if values.len() < TOGETHER * dim {
        for (p, value) in p.iter().zip(values.chunks_exact(dim)) {
            sums.iter_mut().zip(value).for_each(|(sum, x)| *sum += p * x);
        }
        return;
    }
    let (first, second) = values.split_at(2 * dim);
    let ((a, b), (c, d)) = (first.split_at(dim), second.split_at(dim));
    let (b, c, d) = (&b[..dim], &c[..dim], &d[..dim]);
    for i in 0..dim {
        sums[i] = sums[i] + p[0] * a[i] + p[1] * b[i] + p[2] * c[i] + p[3] * d[i];
    }
}

/// The query heads of one row that share a key head, with an online softmax.
///
/// # Safety
/// The views hold what the row's place asks for; `scratch` has `scratch_size` elements; the outputs are this caller's.
#[inline(always)]
unsafe fn attend_body(
    k: &AttentionCached,
    row: usize,
    kv_head: usize,
    (slot, position): (usize, usize),
    scratch: &mut [f32],
) {
    let &AttentionCached { dim, capacity, kv_heads, .. } = k;
    let group = k.heads / kv_heads;
    let (scale, cap) = (k.scale, k.soft_cap);
    let (queries, rest) = scratch.split_at_mut(group * dim);
    let (sums, rest) = rest.split_at_mut(group * dim);
    let (scores, rest) = rest.split_at_mut(group * TILE);
    let (largest, rest) = rest.split_at_mut(group);
    let (totals, rest) = rest.split_at_mut(group);
    let some = &mut rest[..TOGETHER * dim];
    sums.fill(0.0);
    largest.fill(f32::NEG_INFINITY);
    totals.fill(0.0);
    for (i, query) in queries.chunks_exact_mut(dim).enumerate() {
        // SAFETY: the caller's promise.
        unsafe { load(k.q, row * k.q_stride + (kv_head * group + i) * k.q_head, query) };
    }
    let base = (slot * kv_heads + kv_head) * capacity;
    let first = if k.window > 0 { (position + 1).saturating_sub(k.window) } else { 0 };
    let mut from = first;
    while from <= position {
        let count = (position + 1 - from).min(TILE);
        for j in (0..count).step_by(TOGETHER) {
            let some = &mut some[..(count - j).min(TOGETHER) * dim];
            // SAFETY: the caller's promise; the keys of a head lie side by side.
            unsafe { load(k.keys, (base + from + j) * dim, some) };
            for (i, query) in queries.chunks_exact(dim).enumerate() {
                for (score, key) in scores[i * TILE + j..].iter_mut().zip(some.chunks_exact(dim)) {
                    let mut sum = Sum::ZERO;
                    sum.add2(query, key, |a, b| a * b);
                    *score = sum.total() * scale;
                }
            }
        }
        for i in 0..group {
            let scores = &mut scores[i * TILE..i * TILE + count];
            if cap > 0.0 {
                for s in scores.iter_mut() {
                    *s = cap * tanh_f32(*s / cap);
                }
            }
            if let Some(slopes) = k.slopes {
                let mut slope = [0.0];
                // SAFETY: the caller's promise.
                unsafe { load(slopes, kv_head * group + i, &mut slope) };
                for (j, s) in scores.iter_mut().enumerate() {
                    *s -= slope[0] * (position - from - j) as f32;
                }
            }
            let mut most = largest[i];
            for s in scores.iter() {
                most = if *s > most { *s } else { most };
            }
            let keep = exp_f32(largest[i] - most);
            largest[i] = most;
            let mut total = Sum::ZERO;
            for s in scores.iter_mut() {
                *s = exp_f32(*s - most);
            }
            total.add(scores, |p| p);
            totals[i] = totals[i] * keep + total.total();
            for s in &mut sums[i * dim..(i + 1) * dim] {
                *s *= keep;
            }
        }
        for j in (0..count).step_by(TOGETHER) {
            let some = &mut some[..(count - j).min(TOGETHER) * dim];
            // SAFETY: the caller's promise.
            unsafe { load(k.values, (base + from + j) * dim, some) };
            for (i, sums) in sums.chunks_exact_mut(dim).enumerate() {
                add_values(sums, &scores[i * TILE + j..], some);
            }
        }
        from += count;
    }
    for (i, sums) in sums.chunks_exact_mut(dim).enumerate() {
        let inverse = 1.0 / totals[i];
        for s in sums.iter_mut() {
            *s *= inverse;
        }
        // SAFETY: the caller's promise.
        unsafe { store(k.out, (row * k.heads + kv_head * group + i) * dim, sums) };
    }
}
multiversion! {
    unsafe fn attend(k: &AttentionCached, row: usize, kv_head: usize, place: (usize, usize), scratch: &mut [f32]) = attend_body
}

pub fn attention_cached(cx: &Context, k: &AttentionCached) -> Result<(), String> {
    let &AttentionCached { rows, heads, kv_heads, dim, capacity, .. } = k;
    if kv_heads == 0 || heads % kv_heads != 0 {
        return Err(format!("{heads} query heads cannot share {kv_heads} key heads evenly"));
    }
    k.out.is_one_of("out", &RESULTS)?;
    k.out.holds("out", area(rows, area(heads, dim)?)?)?;
    k.q.is_one_of("q", &RESULTS)?;
    k.q.holds_rows("q", rows, reach(heads, dim, k.q_head)?, k.q_stride)?;
    let size = cache_size(k.slot_count, kv_heads, capacity, dim)?;
    for (view, name) in [(k.keys, "keys"), (k.values, "values")] {
        view.is_one_of(name, &RESULTS)?;
        view.holds(name, size)?;
    }
    if let Some(slopes) = k.slopes {
        float(&slopes, "slopes", heads)?;
    }
    let places = Places::check(k.slots, k.positions, rows, k.slot_count, capacity)?;
    let group = heads / kv_heads;
    let scratch_size = group.saturating_mul(2 * dim + TILE + 2).saturating_add(TOGETHER * dim);
    cx.pool.parallel(rows * kv_heads, &|task, worker| {
        let (row, kv_head) = (task / kv_heads, task % kv_heads);
        // SAFETY: the worker's own scratch, aligned to 64 bytes; the views were checked; tasks write disjoint heads; an
        // `Isa` is one that this CPU has.
        unsafe {
            let bytes = cx.pool.scratch(worker, scratch_size.saturating_mul(4));
            let scratch = std::slice::from_raw_parts_mut(bytes.as_mut_ptr() as *mut f32, scratch_size);
            attend(cx.isa, k, row, kv_head, places.at(row), scratch);
        }
    });
    Ok(())
}
