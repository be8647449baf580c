//! fill, copy, add, scale, scaleRows, softCap, and the way elementwise kernels are cut into tasks.

use crate::arguments::{Add, Copy, Fill, Scale, ScaleRows, SoftCap};
use crate::block::{blocks, load, store, CHUNK, ZERO};
use crate::buffer::{Bf16, DType, Elem, View};
use crate::context::Context;
use crate::math::tanh_f32;
use crate::multiversion;

pub const FLOATS: &[DType] = &[DType::F32, DType::Bf16, DType::F16];

/// Runs `task(from, to)` over fixed chunks of `0..count`.
pub fn chunks(cx: &Context, count: usize, task: impl Fn(usize, usize) + Sync) {
    chunks_of(CHUNK, cx, count, task);
}

/// As `chunks`, for tasks so dear that smaller chunks are worth waking other threads for.
pub fn chunks_of(size: usize, cx: &Context, count: usize, task: impl Fn(usize, usize) + Sync) {
    cx.pool.parallel(count.div_ceil(size), &|index, _| task(index * size, (index * size + size).min(count)));
}

/// Runs `task(from, to)` over fixed groups of rows of `cols` elements, about a chunk each.
pub fn row_chunks(cx: &Context, rows: usize, cols: usize, task: impl Fn(usize, usize) + Sync) {
    let group = (CHUNK / cols.max(1)).max(1);
    cx.pool.parallel(rows.div_ceil(group), &|index, _| task(index * group, (index * group + group).min(rows)));
}

/// `rows * cols`, or an error where that overflows.
pub fn area(rows: usize, cols: usize) -> Result<usize, String> {
    volume(&[rows, cols])
}

/// The product of all sizes, or an error where it overflows: what is checked must be what is read.
pub fn volume(sizes: &[usize]) -> Result<usize, String> {
    let product = sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    product.ok_or_else(|| {
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        format!("{} is too large", sizes.join(" x "))
    })
}

/// Elements that `heads` heads of `dim` elements, `stride` apart, reach over, or an error where that overflows.
pub fn reach(heads: usize, dim: usize, stride: usize) -> Result<usize, String> {
    let last = heads.saturating_sub(1).checked_mul(stride);
    let end = last.and_then(|last| last.checked_add(dim));
    end.ok_or_else(|| format!("{heads} heads of {dim} elements, {stride} apart, are too large"))
}

/// An error unless the view has `count` elements of a float dtype.
pub fn float(view: &View, name: &str, count: usize) -> Result<(), String> {
    view.is_one_of(name, FLOATS)?;
    view.holds(name, count)
}

/// An error unless the view has `count` elements of this dtype.
pub fn exactly(view: &View, name: &str, dtype: DType, count: usize) -> Result<(), String> {
    view.is_one_of(name, &[dtype])?;
    view.holds(name, count)
}

pub fn fill(cx: &Context, a: &Fill) -> Result<(), String> {
    a.out.is_one_of("out", &[DType::F32, DType::Bf16, DType::I32])?;
    a.out.holds("out", a.count)?;
    let bytes: [u8; 4] = match a.out.dtype() {
        DType::F32 => (a.value as f32).to_ne_bytes(),
        DType::Bf16 => {
            let [low, high] = Bf16::from_f32(a.value as f32).0.to_ne_bytes();
            [low, high, low, high]
        }
        _ => (a.value as i32).to_ne_bytes(),
    };
    chunks(cx, a.count, |from, to| {
        let out = a.out.skip(from).ptr();
        // SAFETY: `out` holds count elements; tasks write disjoint ranges.
        unsafe {
            if a.out.dtype() == DType::Bf16 {
                let value = u16::from_ne_bytes([bytes[0], bytes[1]]);
                for i in 0..to - from {
                    (out as *mut u16).add(i).write_unaligned(value);
                }
            } else {
                let value = u32::from_ne_bytes(bytes);
                for i in 0..to - from {
                    (out as *mut u32).add(i).write_unaligned(value);
                }
            }
        }
    });
    Ok(())
}

/// # Safety
/// The views are of float dtypes and hold elements `from .. to`; those of the output are the caller's.
#[inline(always)]
unsafe fn copy_body(out: View, x: View, from: usize, to: usize) {
    let mut v = ZERO;
    for (at, n) in blocks(from, to) {
        // SAFETY: the caller's promise.
        unsafe {
            load(x, at, &mut v[..n]);
            store(out, at, &v[..n]);
        }
    }
}
multiversion! { unsafe fn copy_range(out: View, x: View, from: usize, to: usize) = copy_body }

pub fn copy(cx: &Context, a: &Copy) -> Result<(), String> {
    float(&a.out, "out", a.count)?;
    float(&a.x, "x", a.count)?;
    let size = a.x.dtype().size();
    chunks(cx, a.count, |from, to| {
        // SAFETY: both views hold count elements; tasks write disjoint ranges.
        unsafe {
            if a.out.dtype() == a.x.dtype() {
                std::ptr::copy(a.x.ptr().add(from * size), a.out.ptr().add(from * size), (to - from) * size);
            } else {
                copy_range(cx.isa, a.out, a.x, from, to);
            }
        }
    });
    Ok(())
}

/// # Safety
/// As for `copy_body`.
#[inline(always)]
unsafe fn add_body(k: &Add, from: usize, to: usize) {
    let (alpha, beta) = (k.alpha as f32, k.beta as f32);
    let (mut a, mut b) = (ZERO, ZERO);
    for (at, n) in blocks(from, to) {
        // SAFETY: the caller's promise.
        unsafe {
            let (a, b) = (&mut a[..n], &mut b[..n]);
            load(k.a, at, a);
            load(k.b, at, b);
            for (a, b) in a.iter_mut().zip(&*b) {
                *a = alpha * *a + beta * *b;
            }
            store(k.out, at, a);
        }
    }
}
multiversion! { unsafe fn add_range(k: &Add, from: usize, to: usize) = add_body }

pub fn add(cx: &Context, k: &Add) -> Result<(), String> {
    float(&k.out, "out", k.count)?;
    float(&k.a, "a", k.count)?;
    float(&k.b, "b", k.count)?;
    // SAFETY: every view holds count elements; tasks write disjoint ranges.
    chunks(cx, k.count, |from, to| unsafe { add_range(cx.isa, k, from, to) });
    Ok(())
}

/// # Safety
/// As for `copy_body`; with a stride of 0, `x` holds one element.
#[inline(always)]
unsafe fn scale_body(k: &Scale, scalar: f32, from: usize, to: usize) {
    let factor = k.factor as f32;
    let mut v = ZERO;
    for (at, n) in blocks(from, to) {
        // SAFETY: the caller's promise.
        unsafe {
            let v = &mut v[..n];
            if k.x_stride == 0 {
                let mut one = [0.0];
                load(k.x, 0, &mut one);
                v.fill(one[0]);
            } else {
                load(k.x, at, v);
            }
            for v in v.iter_mut() {
                *v = *v * factor * scalar;
            }
            store(k.out, at, v);
        }
    }
}
multiversion! { unsafe fn scale_range(k: &Scale, scalar: f32, from: usize, to: usize) = scale_body }

pub fn scale(cx: &Context, k: &Scale) -> Result<(), String> {
    float(&k.out, "out", k.count)?;
    if k.x_stride > 1 {
        return Err(format!("xStride must be 0 or 1, is {}", k.x_stride));
    }
    float(&k.x, "x", if k.x_stride == 0 { k.count.min(1) } else { k.count })?;
    let mut scalar = [1.0];
    if let Some(view) = &k.scalar {
        float(view, "scalar", 1)?;
        // SAFETY: it holds one float.
        unsafe { load(*view, 0, &mut scalar) };
    }
    // SAFETY: the views hold what is read and written; tasks write disjoint ranges.
    chunks(cx, k.count, |from, to| unsafe { scale_range(cx.isa, k, scalar[0], from, to) });
    Ok(())
}

/// # Safety
/// As for `copy_body`, for rows.
#[inline(always)]
unsafe fn scale_rows_body(k: &ScaleRows, from: usize, to: usize) {
    let mut v = ZERO;
    for row in from..to {
        let mut factor = [0.0];
        // SAFETY: the caller's promise.
        unsafe { load(k.scale, row, &mut factor) };
        for (at, n) in blocks(row * k.cols, row * k.cols + k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let v = &mut v[..n];
                load(k.x, at, v);
                for v in v.iter_mut() {
                    *v *= factor[0];
                }
                store(k.out, at, v);
            }
        }
    }
}
multiversion! { unsafe fn scale_rows_range(k: &ScaleRows, from: usize, to: usize) = scale_rows_body }

pub fn scale_rows(cx: &Context, k: &ScaleRows) -> Result<(), String> {
    let count = area(k.rows, k.cols)?;
    float(&k.out, "out", count)?;
    float(&k.x, "x", count)?;
    exactly(&k.scale, "scale", DType::F32, k.rows)?;
    // SAFETY: the views hold what is read and written; tasks write disjoint rows.
    row_chunks(cx, k.rows, k.cols, |from, to| unsafe { scale_rows_range(cx.isa, k, from, to) });
    Ok(())
}

/// # Safety
/// As for `copy_body`.
#[inline(always)]
unsafe fn soft_cap_body(k: &SoftCap, from: usize, to: usize) {
    let mut v = ZERO;
    for (at, n) in blocks(from, to) {
        // SAFETY: the caller's promise.
        unsafe {
            let v = &mut v[..n];
            load(k.x, at, v);
            for v in v.iter_mut() {
                *v = k.cap * tanh_f32(*v / k.cap);
            }
            store(k.out, at, v);
        }
    }
}
multiversion! { unsafe fn soft_cap_range(k: &SoftCap, from: usize, to: usize) = soft_cap_body }

pub fn soft_cap(cx: &Context, k: &SoftCap) -> Result<(), String> {
    float(&k.out, "out", k.count)?;
    float(&k.x, "x", k.count)?;
    // SAFETY: both views hold count elements; tasks write disjoint ranges.
    chunks(cx, k.count, |from, to| unsafe { soft_cap_range(cx.isa, k, from, to) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_wraps_around_is_an_error() {
        assert_eq!(volume(&[2, 3, 4]), Ok(24));
        assert_eq!(volume(&[1 << 32, 1 << 32]), Err("4294967296 x 4294967296 is too large".to_string()));
        assert!(volume(&[1 << 31, 1 << 31, 4]).is_err());
        assert_eq!((reach(0, 5, 9), reach(3, 5, 9)), (Ok(5), Ok(23)));
        assert!(reach(2, 5, usize::MAX).is_err() && reach(3, 0, usize::MAX / 2 + 1).is_err());
    }
}
