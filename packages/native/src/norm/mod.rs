//! rmsNorm and layerNorm, forward and backward. Statistics are f32, taken over sixteen running sums. An rms norm is a layer
//! norm that does not subtract the mean (it is not `CENTRED`); its weight has an offset, a layer norm's a bias beside it.

use crate::arguments::{LayerNorm, LayerNormBackward, RmsNorm, RmsNormBackward};
use crate::block::{blocks, load, store, Sum, ZERO};
use crate::buffer::{DType, View};
use crate::context::Context;
use crate::elementwise::{area, exactly, float, row_chunks};
#[cfg(target_arch = "x86_64")]
use crate::isa::Isa;
use crate::multiversion;
use crate::reduce::{add_columns, column_blocks, Addends, Rows};

#[cfg(target_arch = "x86_64")]
mod avx512;

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

/// Either kind of norm.
struct Norm {
    out: View,
    mean: Option<View>,
    rstd: View,
    x: View,
    weight: View,
    bias: Option<View>,
    rows: usize,
    cols: usize,
    eps: f32,
    offset: f32,
}

impl Norm {
    fn check(&self) -> Result<(), String> {
        let count = area(self.rows, self.cols)?;
        float(&self.out, "out", count)?;
        if let Some(mean) = self.mean {
            exactly(&mean, "mean", DType::F32, self.rows)?;
        }
        exactly(&self.rstd, "rstd", DType::F32, self.rows)?;
        float(&self.x, "x", count)?;
        float(&self.weight, "weight", self.cols)?;
        self.bias.map_or(Ok(()), |bias| float(&bias, "bias", self.cols))
    }
}

/// The gradient of either kind of norm.
struct NormBackward {
    dx: Option<View>,
    base: Option<View>,
    d_weight: Option<View>,
    d_bias: Option<View>,
    d_out: View,
    x: View,
    weight: View,
    mean: Option<View>,
    rstd: View,
    rows: usize,
    cols: usize,
    offset: f32,
}

impl NormBackward {
    fn check(&self) -> Result<(), String> {
        let count = area(self.rows, self.cols)?;
        float(&self.d_out, "dOut", count)?;
        float(&self.x, "x", count)?;
        float(&self.weight, "weight", self.cols)?;
        if let Some(mean) = self.mean {
            exactly(&mean, "mean", DType::F32, self.rows)?;
        }
        exactly(&self.rstd, "rstd", DType::F32, self.rows)?;
        for (view, name) in [(self.d_weight, "dWeight"), (self.d_bias, "dBias")] {
            if let Some(view) = view {
                exactly(&view, name, DType::F32, self.cols)?;
            }
        }
        for (view, name) in [(self.dx, "dx"), (self.base, "base")] {
            if let Some(view) = view {
                float(&view, name, count)?;
            }
        }
        Ok(())
    }

    /// The mean (0 where it is not subtracted) and the inverse deviation of a row.
    ///
    /// # Safety
    /// The row is there.
    #[inline(always)]
    unsafe fn statistics(&self, row: usize) -> (f32, f32) {
        // SAFETY: the caller's promise.
        unsafe { (self.mean.map_or(0.0, |mean| scalar(mean, row)), scalar(self.rstd, row)) }
    }
}

#[inline(always)]
fn centre<const CENTRED: bool>(x: f32, mean: f32) -> f32 {
    if CENTRED {
        x - mean
    } else {
        x
    }
}

/// The weight as it is multiplied with.
#[inline(always)]
fn offset_by<const CENTRED: bool>(weight: f32, offset: f32) -> f32 {
    if CENTRED {
        weight
    } else {
        weight + offset
    }
}

/// # Safety
/// The views hold rows `from .. to`; those of the outputs are the caller's.
#[inline(always)]
unsafe fn norm_body<const CENTRED: bool>(k: &Norm, from: usize, to: usize) {
    let offset = k.offset;
    let (mut x, mut w, mut b) = (ZERO, ZERO, ZERO);
    for row in from..to {
        let base = row * k.cols;
        let mut sum = Sum::ZERO;
        for (at, n) in blocks(0, if CENTRED { k.cols } else { 0 }) {
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
                squares.add(&x[..n], |x| centre::<CENTRED>(x, mean) * centre::<CENTRED>(x, mean));
            }
        }
        let rstd = 1.0 / (squares.total() / k.cols as f32 + k.eps).sqrt();
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(view) = k.mean {
                store(view, row, &[mean]);
            }
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
                    let y = centre::<CENTRED>(*x, mean) * rstd * offset_by::<CENTRED>(*w, offset);
                    *x = if CENTRED { y + b } else { y };
                }
                store(k.out, base + at, x);
            }
        }
    }
}
multiversion! { unsafe fn rms_norm_rows(k: &Norm, from: usize, to: usize) = norm_body::<false> }
multiversion! { unsafe fn layer_norm_rows(k: &Norm, from: usize, to: usize) = norm_body::<true> }

fn norm<const CENTRED: bool>(cx: &Context, k: &Norm) -> Result<(), String> {
    k.check()?;
    row_chunks(cx, k.rows, k.cols, |from, to| {
        // SAFETY: the views hold what is read and written; tasks write disjoint rows; an `Isa` is one that this CPU has.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if cx.isa >= Isa::Avx512 {
                return avx512::norm::<CENTRED>(k, from, to);
            }
            if CENTRED {
                layer_norm_rows(cx.isa, k, from, to)
            } else {
                rms_norm_rows(cx.isa, k, from, to)
            }
        }
    });
    Ok(())
}

pub fn rms_norm(cx: &Context, k: &RmsNorm) -> Result<(), String> {
    let &RmsNorm { out, rstd, x, weight, rows, cols, .. } = k;
    let (eps, offset) = (k.eps as f32, k.offset as f32);
    norm::<false>(cx, &Norm { out, mean: None, rstd, x, weight, bias: None, rows, cols, eps, offset })
}

pub fn layer_norm(cx: &Context, k: &LayerNorm) -> Result<(), String> {
    let &LayerNorm { out, mean, rstd, x, weight, bias, rows, cols, .. } = k;
    let (mean, eps, offset) = (Some(mean), k.eps as f32, 0.0);
    norm::<true>(cx, &Norm { out, mean, rstd, x, weight, bias, rows, cols, eps, offset })
}

/// # Safety
/// The views hold rows `from .. to`; those of `dx` are the caller's.
#[inline(always)]
unsafe fn norm_dx_body<const CENTRED: bool>(k: &NormBackward, dx: View, from: usize, to: usize) {
    let offset = k.offset;
    let (mut x, mut w, mut g, mut b) = (ZERO, ZERO, ZERO, ZERO);
    for row in from..to {
        let base = row * k.cols;
        // SAFETY: the caller's promise.
        let (mean, rstd) = unsafe { k.statistics(row) };
        let (mut sum, mut dot) = (Sum::ZERO, Sum::ZERO);
        for (at, n) in blocks(0, k.cols) {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, w, g) = (&mut x[..n], &mut w[..n], &mut g[..n]);
                load(k.x, base + at, x);
                load(k.weight, at, w);
                load(k.d_out, base + at, g);
                for (w, g) in w.iter_mut().zip(&*g) {
                    *w = offset_by::<CENTRED>(*w, offset) * g;
                }
                if CENTRED {
                    sum.add(w, |g| g);
                }
                dot.add2(w, x, |g, x| g * (centre::<CENTRED>(x, mean) * rstd));
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
                    let g = centre::<CENTRED>(offset_by::<CENTRED>(*w, offset) * g, g_mean);
                    *x = rstd * (g - centre::<CENTRED>(*x, mean) * rstd * dot_mean);
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
multiversion! { unsafe fn rms_norm_dx_rows(k: &NormBackward, dx: View, from: usize, to: usize) = norm_dx_body::<false> }
multiversion! { unsafe fn layer_norm_dx_rows(k: &NormBackward, dx: View, from: usize, to: usize) = norm_dx_body::<true> }

/// What is added up to the weight's gradient.
struct WeightGradient<'a, const CENTRED: bool>(&'a NormBackward);

impl<const CENTRED: bool> Addends for WeightGradient<'_, CENTRED> {
    #[inline(always)]
    unsafe fn load(&self, row: usize, at: usize, into: &mut [f32]) {
        let mut x = ZERO;
        let x = &mut x[..into.len()];
        // SAFETY: the caller's promise.
        let (mean, rstd) = unsafe {
            load(self.0.x, row * self.0.cols + at, x);
            load(self.0.d_out, row * self.0.cols + at, into);
            self.0.statistics(row)
        };
        for (d, x) in into.iter_mut().zip(&*x) {
            *d *= centre::<CENTRED>(*x, mean) * rstd;
        }
    }
}

/// # Safety
/// The views hold the rows; columns `at .. at + n` of `d_weight` are the caller's.
#[inline(always)]
unsafe fn norm_dw_body<const CENTRED: bool>(k: &NormBackward, d_weight: View, at: usize, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { add_columns(d_weight, k.rows, at, n, &WeightGradient::<CENTRED>(k)) }
}
multiversion! { unsafe fn rms_norm_dw_block(k: &NormBackward, d_weight: View, at: usize, n: usize) = norm_dw_body::<false> }
multiversion! { unsafe fn layer_norm_dw_block(k: &NormBackward, d_weight: View, at: usize, n: usize) = norm_dw_body::<true> }

/// # Safety
/// As for `norm_dw_body`, with `d_bias`.
#[inline(always)]
unsafe fn norm_db_body(k: &NormBackward, d_bias: View, at: usize, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { add_columns(d_bias, k.rows, at, n, &Rows(k.d_out, k.cols)) }
}
multiversion! { unsafe fn norm_db_block(k: &NormBackward, d_bias: View, at: usize, n: usize) = norm_db_body }

fn norm_backward<const CENTRED: bool>(cx: &Context, k: &NormBackward) -> Result<(), String> {
    k.check()?;
    // The parameters' gradients first: dx may be dOut.
    if let Some(d_weight) = k.d_weight {
        let block = if CENTRED { layer_norm_dw_block } else { rms_norm_dw_block };
        // SAFETY: the views hold what is read and written; tasks write disjoint columns.
        column_blocks(cx, k.cols, |at, n| unsafe { block(cx.isa, k, d_weight, at, n) });
    }
    if let Some(d_bias) = k.d_bias {
        // SAFETY: as above.
        column_blocks(cx, k.cols, |at, n| unsafe { norm_db_block(cx.isa, k, d_bias, at, n) });
    }
    let Some(dx) = k.dx else { return Ok(()) };
    row_chunks(cx, k.rows, k.cols, |from, to| {
        // SAFETY: the views hold what is read and written; tasks write disjoint rows; an `Isa` is one that this CPU has.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if cx.isa >= Isa::Avx512 {
                return avx512::norm_dx::<CENTRED>(k, dx, from, to);
            }
            if CENTRED {
                layer_norm_dx_rows(cx.isa, k, dx, from, to)
            } else {
                rms_norm_dx_rows(cx.isa, k, dx, from, to)
            }
        }
    });
    Ok(())
}

pub fn rms_norm_backward(cx: &Context, k: &RmsNormBackward) -> Result<(), String> {
    let &RmsNormBackward { dx, base, d_weight, d_out, x, weight, rstd, rows, cols, offset } = k;
    let (mean, d_bias, offset) = (None, None, offset as f32);
    let k = NormBackward { dx, base, d_weight, d_bias, d_out, x, weight, mean, rstd, rows, cols, offset };
    norm_backward::<false>(cx, &k)
}

pub fn layer_norm_backward(cx: &Context, k: &LayerNormBackward) -> Result<(), String> {
    let &LayerNormBackward { dx, base, d_weight, d_bias, d_out, x, weight, mean, rstd, rows, cols } = k;
    let (mean, offset) = (Some(mean), 0.0);
    let k = NormBackward { dx, base, d_weight, d_bias, d_out, x, weight, mean, rstd, rows, cols, offset };
    norm_backward::<true>(cx, &k)
}
