//! rmsNorm and layerNorm, forward and backward. Statistics are f32, taken over sixteen running sums.

use crate::arguments::{LayerNorm, LayerNormBackward, RmsNorm, RmsNormBackward};
use crate::block::{blocks, load, store, Sum, ZERO};
use crate::buffer::{DType, View};
use crate::context::Context;
use crate::elementwise::{area, exactly, float, row_chunks};
#[cfg(target_arch = "x86_64")]
use crate::isa::Isa;
use crate::multiversion;
use crate::reduce::{add_columns, column_blocks, Addends, Rows};

/// The f32 at `index`.
///
/// # Safety
/// The view must hold it and be f32.
#[inline(always)]
unsafe fn scalar(view: View, index: usize) -> f32 {
    let mut value = [0.0];
    // SAFETY: the caller's promise.
    unsafe { load(view, index, &mut value) };
    value[0]
}

/// Rows with AVX-512, a row of which stays in the first cache from pass to pass; the same bits as the loops below.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::scalar;
    use crate::arguments::{LayerNorm, LayerNormBackward, RmsNorm, RmsNormBackward};
    use crate::block::{store as store_scalars, Sum};
    use crate::buffer::View;
    use crate::vector::{lanes, load, store};
    use core::arch::x86_64::*;

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn total(sum: __m512) -> f32 {
        let mut lanes = [0.0; 16];
        // SAFETY: sixteen floats.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
        Sum::of(lanes).total()
    }

    /// # Safety
    /// The views hold rows `from .. to`; the CPU has AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub unsafe fn rms_norm(k: &RmsNorm, from: usize, to: usize) {
        let offset = _mm512_set1_ps(k.offset as f32);
        for row in from..to {
            let base = row * k.cols;
            // SAFETY: the caller's promise.
            unsafe {
                let mut squares = _mm512_setzero_ps();
                for at in (0..k.cols).step_by(16) {
                    let x = load(k.x, base + at, lanes(k.cols - at));
                    squares = _mm512_add_ps(squares, _mm512_mul_ps(x, x));
                }
                let rstd = 1.0 / (total(squares) / k.cols as f32 + k.eps as f32).sqrt();
                store_scalars(k.rstd, row, &[rstd]);
                let rstd = _mm512_set1_ps(rstd);
                for at in (0..k.cols).step_by(16) {
                    let mask = lanes(k.cols - at);
                    let normal = _mm512_mul_ps(load(k.x, base + at, mask), rstd);
                    let weight = _mm512_add_ps(load(k.weight, at, mask), offset);
                    store(k.out, base + at, mask, _mm512_mul_ps(normal, weight));
                }
            }
        }
    }

    /// # Safety
    /// As for `rms_norm`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub unsafe fn rms_norm_dx(k: &RmsNormBackward, dx: View, from: usize, to: usize) {
        let offset = _mm512_set1_ps(k.offset as f32);
        for row in from..to {
            let base = row * k.cols;
            // SAFETY: the caller's promise.
            unsafe {
                let rstd = _mm512_set1_ps(scalar(k.rstd, row));
                let mut dot = _mm512_setzero_ps();
                for at in (0..k.cols).step_by(16) {
                    let mask = lanes(k.cols - at);
                    let weight = _mm512_add_ps(load(k.weight, at, mask), offset);
                    let g = _mm512_mul_ps(weight, load(k.d_out, base + at, mask));
                    let normal = _mm512_mul_ps(load(k.x, base + at, mask), rstd);
                    dot = _mm512_add_ps(dot, _mm512_mul_ps(g, normal));
                }
                let mean = _mm512_set1_ps(total(dot) / k.cols as f32);
                for at in (0..k.cols).step_by(16) {
                    let mask = lanes(k.cols - at);
                    let weight = _mm512_add_ps(load(k.weight, at, mask), offset);
                    let g = _mm512_mul_ps(weight, load(k.d_out, base + at, mask));
                    let normal = _mm512_mul_ps(load(k.x, base + at, mask), rstd);
                    let mut d = _mm512_mul_ps(rstd, _mm512_sub_ps(g, _mm512_mul_ps(normal, mean)));
                    if let Some(view) = k.base {
                        d = _mm512_add_ps(d, load(view, base + at, mask));
                    }
                    store(dx, base + at, mask, d);
                }
            }
        }
    }

    /// # Safety
    /// As for `rms_norm`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub unsafe fn layer_norm(k: &LayerNorm, from: usize, to: usize) {
        for row in from..to {
            let base = row * k.cols;
            // SAFETY: the caller's promise.
            unsafe {
                let mut sum = _mm512_setzero_ps();
                for at in (0..k.cols).step_by(16) {
                    sum = _mm512_add_ps(sum, load(k.x, base + at, lanes(k.cols - at)));
                }
                let mean = total(sum) / k.cols as f32;
                let means = _mm512_set1_ps(mean);
                let mut squares = _mm512_setzero_ps();
                for at in (0..k.cols).step_by(16) {
                    let mask = lanes(k.cols - at);
                    let x = _mm512_maskz_sub_ps(mask, load(k.x, base + at, mask), means);
                    squares = _mm512_add_ps(squares, _mm512_mul_ps(x, x));
                }
                let rstd = 1.0 / (total(squares) / k.cols as f32 + k.eps as f32).sqrt();
                store_scalars(k.mean, row, &[mean]);
                store_scalars(k.rstd, row, &[rstd]);
                let rstds = _mm512_set1_ps(rstd);
                for at in (0..k.cols).step_by(16) {
                    let mask = lanes(k.cols - at);
                    let normal = _mm512_mul_ps(_mm512_sub_ps(load(k.x, base + at, mask), means), rstds);
                    let scaled = _mm512_mul_ps(normal, load(k.weight, at, mask));
                    let bias = k.bias.map_or(_mm512_setzero_ps(), |bias| load(bias, at, mask));
                    store(k.out, base + at, mask, _mm512_add_ps(scaled, bias));
                }
            }
        }
    }

    /// # Safety
    /// As for `rms_norm`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub unsafe fn layer_norm_dx(k: &LayerNormBackward, dx: View, from: usize, to: usize) {
        for row in from..to {
            let base = row * k.cols;
            // SAFETY: the caller's promise.
            unsafe {
                let mean = _mm512_set1_ps(scalar(k.mean, row));
                let rstd = _mm512_set1_ps(scalar(k.rstd, row));
                let (mut sum, mut dot) = (_mm512_setzero_ps(), _mm512_setzero_ps());
                for at in (0..k.cols).step_by(16) {
                    let mask = lanes(k.cols - at);
                    let g = _mm512_mul_ps(load(k.weight, at, mask), load(k.d_out, base + at, mask));
                    let normal = _mm512_mul_ps(_mm512_sub_ps(load(k.x, base + at, mask), mean), rstd);
                    sum = _mm512_add_ps(sum, g);
                    dot = _mm512_add_ps(dot, _mm512_mul_ps(g, normal));
                }
                let g_mean = _mm512_set1_ps(total(sum) / k.cols as f32);
                let dot_mean = _mm512_set1_ps(total(dot) / k.cols as f32);
                for at in (0..k.cols).step_by(16) {
                    let mask = lanes(k.cols - at);
                    let g = _mm512_mul_ps(load(k.weight, at, mask), load(k.d_out, base + at, mask));
                    let normal = _mm512_mul_ps(_mm512_sub_ps(load(k.x, base + at, mask), mean), rstd);
                    let part = _mm512_sub_ps(_mm512_sub_ps(g, g_mean), _mm512_mul_ps(normal, dot_mean));
                    let mut d = _mm512_mul_ps(rstd, part);
                    if let Some(view) = k.base {
                        d = _mm512_add_ps(d, load(view, base + at, mask));
                    }
                    store(dx, base + at, mask, d);
                }
            }
        }
    }
}

/// Runs `$fast` where the instruction set has AVX-512, else `$plain`.
macro_rules! on_rows {
    ($cx:expr, $k:expr, ($($arg:expr),*), $fast:ident, $plain:ident) => {
        row_chunks($cx, $k.rows, $k.cols, |from, to| {
            // SAFETY: the views hold what is read and written; tasks write disjoint rows; an `Isa` is one that this CPU has.
            unsafe {
                #[cfg(target_arch = "x86_64")]
                if $cx.isa >= Isa::Avx512 {
                    return avx512::$fast($($arg,)* from, to);
                }
                $plain($cx.isa, $($arg,)* from, to)
            }
        })
    };
}

#[inline(always)]
unsafe fn rms_norm_body(k: &RmsNorm, from: usize, to: usize) {
    let (offset, eps) = (k.offset as f32, k.eps as f32);
    let (mut x, mut w) = (ZERO, ZERO);
    for row in from..to {
        let base = row * k.cols;
        let mut squares = Sum::ZERO;
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                load(k.x, base + at, &mut x[..n]);
                squares.add(&x[..n], |x| x * x);
            }
        }
        let rstd = 1.0 / (squares.total() / k.cols as f32 + eps).sqrt();
        // SAFETY: the caller's promise.
        unsafe { store(k.rstd, row, &[rstd]) };
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, w) = (&mut x[..n], &mut w[..n]);
                load(k.x, base + at, x);
                load(k.weight, at, w);
                for (x, w) in x.iter_mut().zip(&*w) {
                    *x = *x * rstd * (w + offset);
                }
                store(k.out, base + at, x);
            }
        }
    }
}
multiversion! { unsafe fn rms_norm_rows(k: &RmsNorm, from: usize, to: usize) = rms_norm_body }

pub fn rms_norm(cx: &Context, k: &RmsNorm) -> Result<(), String> {
    let count = area(k.rows, k.cols)?;
    float(&k.out, "out", count)?;
    exactly(&k.rstd, "rstd", DType::F32, k.rows)?;
    float(&k.x, "x", count)?;
    float(&k.weight, "weight", k.cols)?;
    on_rows!(cx, k, (k), rms_norm, rms_norm_rows);
    Ok(())
}

#[inline(always)]
unsafe fn rms_norm_dx_body(k: &RmsNormBackward, dx: View, from: usize, to: usize) {
    let offset = k.offset as f32;
    let (mut x, mut w, mut g, mut b) = (ZERO, ZERO, ZERO, ZERO);
    for row in from..to {
        let base = row * k.cols;
        // SAFETY: the caller's promise.
        let rstd = unsafe { scalar(k.rstd, row) };
        let mut dot = Sum::ZERO;
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, w, g) = (&mut x[..n], &mut w[..n], &mut g[..n]);
                load(k.x, base + at, x);
                load(k.weight, at, w);
                load(k.d_out, base + at, g);
                for (w, g) in w.iter_mut().zip(&*g) {
                    *w = (*w + offset) * g;
                }
                dot.add2(w, x, |g, x| g * (x * rstd));
            }
        }
        let mean = dot.total() / k.cols as f32;
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, w, g) = (&mut x[..n], &mut w[..n], &mut g[..n]);
                load(k.x, base + at, x);
                load(k.weight, at, w);
                load(k.d_out, base + at, g);
                for ((x, w), g) in x.iter_mut().zip(&*w).zip(&*g) {
                    *x = rstd * ((w + offset) * g - *x * rstd * mean);
                }
                if let Some(view) = k.base {
                    load(view, base + at, &mut b[..n]);
                    x.iter_mut().zip(&b).for_each(|(x, b)| *x += b);
                }
                store(dx, base + at, x);
            }
        }
    }
}
multiversion! { unsafe fn rms_norm_dx_rows(k: &RmsNormBackward, dx: View, from: usize, to: usize) = rms_norm_dx_body }

impl Addends for RmsNormBackward {
    #[inline(always)]
    unsafe fn load(&self, row: usize, at: usize, into: &mut [f32]) {
        let mut x = ZERO;
        let x = &mut x[..into.len()];
        // SAFETY: the caller's promise.
        let rstd = unsafe {
            load(self.x, row * self.cols + at, x);
            load(self.d_out, row * self.cols + at, into);
            scalar(self.rstd, row)
        };
        for (d, x) in into.iter_mut().zip(&*x) {
            *d *= x * rstd;
        }
    }
}

#[inline(always)]
unsafe fn rms_norm_dw_body(k: &RmsNormBackward, d_weight: View, at: usize, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { add_columns(d_weight, k.rows, at, n, k) }
}
multiversion! { unsafe fn rms_norm_dw_block(k: &RmsNormBackward, d_weight: View, at: usize, n: usize) = rms_norm_dw_body }

pub fn rms_norm_backward(cx: &Context, k: &RmsNormBackward) -> Result<(), String> {
    let count = area(k.rows, k.cols)?;
    float(&k.d_out, "dOut", count)?;
    float(&k.x, "x", count)?;
    float(&k.weight, "weight", k.cols)?;
    exactly(&k.rstd, "rstd", DType::F32, k.rows)?;
    if let Some(d_weight) = k.d_weight {
        exactly(&d_weight, "dWeight", DType::F32, k.cols)?;
    }
    if let Some(dx) = k.dx {
        float(&dx, "dx", count)?;
    }
    if let Some(base) = k.base {
        float(&base, "base", count)?;
    }
    // The weight's gradient first: dx may be dOut.
    if let Some(d_weight) = k.d_weight {
        // SAFETY: the views hold what is read and written; tasks write disjoint columns.
        column_blocks(cx, k.cols, |at, n| unsafe { rms_norm_dw_block(cx.isa, k, d_weight, at, n) });
    }
    if let Some(dx) = k.dx {
        on_rows!(cx, k, (k, dx), rms_norm_dx, rms_norm_dx_rows);
    }
    Ok(())
}

#[inline(always)]
unsafe fn layer_norm_body(k: &LayerNorm, from: usize, to: usize) {
    let (mut x, mut w, mut b) = (ZERO, ZERO, ZERO);
    for row in from..to {
        let base = row * k.cols;
        let mut sum = Sum::ZERO;
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                load(k.x, base + at, &mut x[..n]);
                sum.add(&x[..n], |x| x);
            }
        }
        let mean = sum.total() / k.cols as f32;
        let mut squares = Sum::ZERO;
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                load(k.x, base + at, &mut x[..n]);
                squares.add(&x[..n], |x| (x - mean) * (x - mean));
            }
        }
        let rstd = 1.0 / (squares.total() / k.cols as f32 + k.eps as f32).sqrt();
        // SAFETY: the caller's promise.
        unsafe {
            store(k.mean, row, &[mean]);
            store(k.rstd, row, &[rstd]);
        }
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, w, b) = (&mut x[..n], &mut w[..n], &mut b[..n]);
                load(k.x, base + at, x);
                load(k.weight, at, w);
                if let Some(bias) = k.bias {
                    load(bias, at, b);
                }
                for ((x, w), b) in x.iter_mut().zip(&*w).zip(&*b) {
                    *x = (*x - mean) * rstd * w + b;
                }
                store(k.out, base + at, x);
            }
        }
    }
}
multiversion! { unsafe fn layer_norm_rows(k: &LayerNorm, from: usize, to: usize) = layer_norm_body }

pub fn layer_norm(cx: &Context, k: &LayerNorm) -> Result<(), String> {
    let count = area(k.rows, k.cols)?;
    float(&k.out, "out", count)?;
    exactly(&k.mean, "mean", DType::F32, k.rows)?;
    exactly(&k.rstd, "rstd", DType::F32, k.rows)?;
    float(&k.x, "x", count)?;
    float(&k.weight, "weight", k.cols)?;
    if let Some(bias) = k.bias {
        float(&bias, "bias", k.cols)?;
    }
    on_rows!(cx, k, (k), layer_norm, layer_norm_rows);
    Ok(())
}

#[inline(always)]
unsafe fn layer_norm_dx_body(k: &LayerNormBackward, dx: View, from: usize, to: usize) {
    let (mut x, mut w, mut g, mut b) = (ZERO, ZERO, ZERO, ZERO);
    for row in from..to {
        let base = row * k.cols;
        // SAFETY: the caller's promise.
        let (mean, rstd) = unsafe { (scalar(k.mean, row), scalar(k.rstd, row)) };
        let (mut sum, mut dot) = (Sum::ZERO, Sum::ZERO);
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, w, g) = (&mut x[..n], &mut w[..n], &mut g[..n]);
                load(k.x, base + at, x);
                load(k.weight, at, w);
                load(k.d_out, base + at, g);
                for (w, g) in w.iter_mut().zip(&*g) {
                    *w *= g;
                }
                sum.add(w, |g| g);
                dot.add2(w, x, |g, x| g * ((x - mean) * rstd));
            }
        }
        let (g_mean, dot_mean) = (sum.total() / k.cols as f32, dot.total() / k.cols as f32);
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, w, g) = (&mut x[..n], &mut w[..n], &mut g[..n]);
                load(k.x, base + at, x);
                load(k.weight, at, w);
                load(k.d_out, base + at, g);
                for ((x, w), g) in x.iter_mut().zip(&*w).zip(&*g) {
                    *x = rstd * (w * g - g_mean - (*x - mean) * rstd * dot_mean);
                }
                if let Some(view) = k.base {
                    load(view, base + at, &mut b[..n]);
                    x.iter_mut().zip(&b).for_each(|(x, b)| *x += b);
                }
                store(dx, base + at, x);
            }
        }
    }
}
multiversion! { unsafe fn layer_norm_dx_rows(k: &LayerNormBackward, dx: View, from: usize, to: usize) = layer_norm_dx_body }

impl Addends for LayerNormBackward {
    #[inline(always)]
    unsafe fn load(&self, row: usize, at: usize, into: &mut [f32]) {
        let mut x = ZERO;
        let x = &mut x[..into.len()];
        // SAFETY: the caller's promise.
        let (mean, rstd) = unsafe {
            load(self.x, row * self.cols + at, x);
            load(self.d_out, row * self.cols + at, into);
            (scalar(self.mean, row), scalar(self.rstd, row))
        };
        for (d, x) in into.iter_mut().zip(&*x) {
            *d *= (x - mean) * rstd;
        }
    }
}

#[inline(always)]
unsafe fn layer_norm_dw_body(k: &LayerNormBackward, d_weight: View, at: usize, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { add_columns(d_weight, k.rows, at, n, k) }
}
multiversion! { unsafe fn layer_norm_dw_block(k: &LayerNormBackward, d_weight: View, at: usize, n: usize) = layer_norm_dw_body }

#[inline(always)]
unsafe fn layer_norm_db_body(k: &LayerNormBackward, d_bias: View, at: usize, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { add_columns(d_bias, k.rows, at, n, &Rows(k.d_out, k.cols)) }
}
multiversion! { unsafe fn layer_norm_db_block(k: &LayerNormBackward, d_bias: View, at: usize, n: usize) = layer_norm_db_body }

pub fn layer_norm_backward(cx: &Context, k: &LayerNormBackward) -> Result<(), String> {
    let count = area(k.rows, k.cols)?;
    float(&k.d_out, "dOut", count)?;
    float(&k.x, "x", count)?;
    float(&k.weight, "weight", k.cols)?;
    exactly(&k.mean, "mean", DType::F32, k.rows)?;
    exactly(&k.rstd, "rstd", DType::F32, k.rows)?;
    if let Some(d_weight) = k.d_weight {
        exactly(&d_weight, "dWeight", DType::F32, k.cols)?;
    }
    if let Some(d_bias) = k.d_bias {
        exactly(&d_bias, "dBias", DType::F32, k.cols)?;
    }
    if let Some(dx) = k.dx {
        float(&dx, "dx", count)?;
    }
    if let Some(base) = k.base {
        float(&base, "base", count)?;
    }
    // The parameters' gradients first: dx may be dOut.
    if let Some(d_weight) = k.d_weight {
        // SAFETY: the views hold what is read and written; tasks write disjoint columns.
        column_blocks(cx, k.cols, |at, n| unsafe { layer_norm_dw_block(cx.isa, k, d_weight, at, n) });
    }
    if let Some(d_bias) = k.d_bias {
        // SAFETY: as above.
        column_blocks(cx, k.cols, |at, n| unsafe { layer_norm_db_block(cx.isa, k, d_bias, at, n) });
    }
    if let Some(dx) = k.dx {
        on_rows!(cx, k, (k, dx), layer_norm_dx, layer_norm_dx_rows);
    }
    Ok(())
}
