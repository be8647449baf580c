//! Rotary position embedding: the table of angles and the rotation.

use crate::arguments::{Rope, RopeTable};
use crate::block::{blocks, load, store, ZERO};
use crate::buffer::DType;
use crate::context::Context;
use crate::elementwise::{area, exactly, float, row_chunks};
#[cfg(target_arch = "x86_64")]
use crate::isa::Isa;
use crate::multiversion;

pub fn rope_table(cx: &Context, k: &RopeTable) -> Result<(), String> {
    let width = area(2, k.half)?;
    exactly(&k.out, "out", DType::F32, area(k.rows, width)?)?;
    exactly(&k.positions, "positions", DType::I32, k.rows)?;
    exactly(&k.inv_freq, "invFreq", DType::F32, k.half)?;
    let (out, factor) = (k.out, k.factor as f32);
    // A cosine costs much more than a copy, hence the smaller groups.
    row_chunks(cx, k.rows, width * 16, |from, to| {
        for row in from..to {
            // SAFETY: the views hold rows and half elements.
            let position = unsafe { (k.positions.ptr() as *const i32).add(row).read_unaligned() } as f32;
            for j in 0..k.half {
                let mut frequency = [0.0];
                // SAFETY: as above; tasks write disjoint rows.
                unsafe {
                    load(k.inv_freq, j, &mut frequency);
                    let angle = (position * frequency[0]) as f64;
                    store(out, row * width + j, &[angle.cos() as f32 * factor]);
                    store(out, row * width + k.half + j, &[angle.sin() as f32 * factor]);
                }
            }
        }
    });
    Ok(())
}

/// # Safety
/// The views hold rows `from .. to`; those of `out` are the caller's.
#[inline(always)]
unsafe fn rope_body(k: &Rope, from: usize, to: usize) {
    let sign = if k.inverse { -1.0 } else { 1.0 };
    let (mut a, mut b, mut c, mut s) = (ZERO, ZERO, ZERO, ZERO);
    for row in from..to {
        for head in 0..k.heads {
            let base = (row * k.heads + head) * k.dim;
            let angles = row * 2 * k.half;
            for (at, n) in blocks(0, k.half) {
                // SAFETY: the caller's promise. Both halves are loaded before either is stored, so out may be x.
                unsafe {
                    let (a, b, c, s) = (&mut a[..n], &mut b[..n], &mut c[..n], &mut s[..n]);
                    load(k.x, base + at, a);
                    load(k.x, base + k.half + at, b);
                    load(k.table, angles + at, c);
                    load(k.table, angles + k.half + at, s);
                    for (((a, b), c), s) in a.iter_mut().zip(b.iter_mut()).zip(&*c).zip(&*s) {
                        let s = s * sign;
                        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
                    }
                    store(k.out, base + at, a);
                    store(k.out, base + k.half + at, b);
                }
            }
            for (at, n) in blocks(2 * k.half, k.dim) {
                // SAFETY: the caller's promise.
                unsafe {
                    load(k.x, base + at, &mut a[..n]);
                    store(k.out, base + at, &a[..n]);
                }
            }
        }
    }
}
multiversion! { unsafe fn rope_rows(k: &Rope, from: usize, to: usize) = rope_body }

/// The same sixteen elements at a time.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use crate::arguments::Rope;
    use crate::vector::{lanes, load, store};
    use core::arch::x86_64::*;

    /// # Safety
    /// The views hold rows `from .. to`; the CPU has AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub unsafe fn rows(k: &Rope, from: usize, to: usize) {
        let sign = _mm512_set1_ps(if k.inverse { -1.0 } else { 1.0 });
        for row in from..to {
            let (first, end) = (row * k.heads * k.dim, (row + 1) * k.heads * k.dim);
            // SAFETY: the caller's promise. Both halves are loaded before either is stored, so out may be x.
            unsafe {
                for at in (0..k.half).step_by(16) {
                    let mask = lanes(k.half - at);
                    let c = load(k.table, row * 2 * k.half + at, mask);
                    let s = _mm512_mul_ps(load(k.table, row * 2 * k.half + k.half + at, mask), sign);
                    for head in (first + at..end).step_by(k.dim) {
                        let (a, b) = (load(k.x, head, mask), load(k.x, head + k.half, mask));
                        store(k.out, head, mask, _mm512_sub_ps(_mm512_mul_ps(a, c), _mm512_mul_ps(b, s)));
                        store(k.out, head + k.half, mask, _mm512_add_ps(_mm512_mul_ps(b, c), _mm512_mul_ps(a, s)));
                    }
                }
                for head in (first..end).step_by(k.dim) {
                    for at in (2 * k.half..k.dim).step_by(16) {
                        let mask = lanes(k.dim - at);
                        store(k.out, head + at, mask, load(k.x, head + at, mask));
                    }
                }
            }
        }
    }
}

pub fn rope(cx: &Context, k: &Rope) -> Result<(), String> {
    let width = area(k.heads, k.dim)?;
    let count = area(k.rows, width)?;
    if area(2, k.half)? > k.dim {
        return Err(format!("half {} is more than half of dim {}", k.half, k.dim));
    }
    float(&k.out, "out", count)?;
    float(&k.x, "x", count)?;
    exactly(&k.table, "table", DType::F32, area(k.rows, 2 * k.half)?)?;
    row_chunks(cx, k.rows, width, |from, to| {
        // SAFETY: the views hold what is read and written; tasks write disjoint rows; an `Isa` is one that this CPU has.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if cx.isa >= Isa::Avx512 {
                return avx512::rows(k, from, to);
            }
            rope_rows(cx.isa, k, from, to)
        }
    });
    Ok(())
}
