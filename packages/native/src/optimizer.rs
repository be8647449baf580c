//! clipGradNorm and adamW.

use crate::arguments::{AdamW, ClipGradNorm};
use crate::block::{blocks, load, store, ZERO};
use crate::buffer::DType;
use crate::context::Context;
use crate::elementwise::{chunks, exactly};
use crate::multiversion;
use crate::reduce::total;

pub fn clip_grad_norm(cx: &Context, k: &ClipGradNorm) -> Result<(), String> {
    exactly(&k.out, "out", DType::F32, 2)?;
    exactly(&k.grads, "grads", DType::F32, k.count)?;
    let norm = total(cx, k.grads, k.count, true).sqrt() as f32;
    let factor = if k.max_norm == 0.0 { 1.0 } else { k.max_norm as f32 / (norm + 1e-6) };
    // Not f32::min, which would hide a NaN.
    let factor = if factor > 1.0 { 1.0 } else { factor };
    // SAFETY: out holds two f32.
    unsafe { store(k.out, 0, &[norm, factor]) };
    Ok(())
}

/// The step's scalars, computed in f64 and rounded once.
#[derive(Clone, Copy)]
struct Rates {
    grad_scale: f32,
    keep: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    root: f32,
    eps: f32,
    step_size: f32,
}

/// # Safety
/// The views are f32 and hold elements `from .. to`, which are the caller's.
#[inline(always)]
unsafe fn adam_w_body(k: &AdamW, rates: Rates, from: usize, to: usize) {
    let (mut p, mut g, mut m, mut v) = (ZERO, ZERO, ZERO, ZERO);
    for (at, n) in blocks(from, to) {
        // SAFETY: the caller's promise.
        unsafe {
            let (p, g, m, v) = (&mut p[..n], &mut g[..n], &mut m[..n], &mut v[..n]);
            load(k.params, at, p);
            load(k.grads, at, g);
            load(k.exp_avg, at, m);
            load(k.exp_avg_sq, at, v);
            for (((p, g), m), v) in p.iter_mut().zip(&*g).zip(m.iter_mut()).zip(v.iter_mut()) {
                let g = rates.grad_scale * *g;
                *m += rates.one_minus_beta1 * (g - *m);
                *v = rates.beta2 * *v + rates.one_minus_beta2 * g * g;
                let denominator = v.sqrt() / rates.root + rates.eps;
                *p = *p * rates.keep - rates.step_size * *m / denominator;
            }
            store(k.params, at, p);
            store(k.exp_avg, at, m);
            store(k.exp_avg_sq, at, v);
        }
    }
}
multiversion! { unsafe fn adam_w_range(k: &AdamW, rates: Rates, from: usize, to: usize) = adam_w_body }

pub fn adam_w(cx: &Context, k: &AdamW) -> Result<(), String> {
    for (view, name) in
        [(&k.params, "params"), (&k.grads, "grads"), (&k.exp_avg, "expAvg"), (&k.exp_avg_sq, "expAvgSq")]
    {
        exactly(view, name, DType::F32, k.count)?;
    }
    let mut grad_scale = [1.0];
    if let Some(view) = &k.grad_scale {
        exactly(view, "gradScale", DType::F32, 1)?;
        // SAFETY: it holds one f32.
        unsafe { load(*view, 0, &mut grad_scale) };
    }
    let rates = Rates {
        grad_scale: grad_scale[0],
        keep: (1.0 - k.lr * k.weight_decay) as f32,
        one_minus_beta1: (1.0 - k.beta1) as f32,
        beta2: k.beta2 as f32,
        one_minus_beta2: (1.0 - k.beta2) as f32,
        root: (1.0 - k.beta2.powf(k.step)).sqrt() as f32,
        eps: k.eps as f32,
        step_size: (k.lr / (1.0 - k.beta1.powf(k.step))) as f32,
    };
    // SAFETY: every view holds count f32; tasks write disjoint ranges.
    chunks(cx, k.count, |from, to| unsafe { adam_w_range(cx.isa, k, rates, from, to) });
    Ok(())
}
