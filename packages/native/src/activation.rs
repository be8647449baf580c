//! Activation functions, alone or gating a second input.

use crate::block::{blocks, load, store, ZERO};
use crate::elementwise::{chunks, float};
use crate::isa::Isa;
use crate::kernels::{Activation, ActivationBackward, Context};
use crate::math::{erf_f32, exp_f32, tanh_f32};
use crate::multiversion;

/// A function and its derivative, so that loops are compiled for each.
trait Function {
    fn value(x: f32) -> f32;
    fn slope(x: f32) -> f32;
}

struct Silu;
struct GeluTanh;
struct Gelu;
struct Relu;

impl Function for Silu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x / (1.0 + exp_f32(-x))
    }
    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let s = 1.0 / (1.0 + exp_f32(-x));
        s * (1.0 + x * (1.0 - s))
    }
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

impl Function for GeluTanh {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        let t = tanh_f32(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
        0.5 * x * (1.0 + t)
    }
    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let t = tanh_f32(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * (SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x))
    }
}

impl Function for Gelu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        0.5 * x * (1.0 + erf_f32(x * std::f32::consts::FRAC_1_SQRT_2))
    }
    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let cdf = 0.5 * (1.0 + erf_f32(x * std::f32::consts::FRAC_1_SQRT_2));
        let pdf = 0.398_942_3 * exp_f32(-0.5 * x * x);
        cdf + x * pdf
    }
}

impl Function for Relu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        if x < 0.0 {
            0.0
        } else {
            x
        }
    }
    #[inline(always)]
    fn slope(x: f32) -> f32 {
        if x <= 0.0 {
            0.0
        } else {
            1.0
        }
    }
}

#[inline(always)]
unsafe fn forward_body<F: Function>(k: &Activation, from: usize, to: usize) {
    let (mut x, mut u) = (ZERO, ZERO);
    for (at, n) in blocks(from, to) {
        // SAFETY: the caller's promise.
        unsafe {
            let (x, u) = (&mut x[..n], &mut u[..n]);
            load(k.x, at, x);
            for x in x.iter_mut() {
                *x = F::value(*x);
            }
            if let Some(up) = k.up {
                load(up, at, u);
                for (x, u) in x.iter_mut().zip(&*u) {
                    *x *= u;
                }
            }
            store(k.out, at, x);
        }
    }
}
multiversion! { unsafe fn forward_range<F: Function>(k: &Activation, from: usize, to: usize) = forward_body::<F> }

#[inline(always)]
unsafe fn backward_body<F: Function>(k: &ActivationBackward, from: usize, to: usize) {
    let (mut x, mut u, mut g, mut d) = (ZERO, ZERO, ZERO, ZERO);
    for (at, n) in blocks(from, to) {
        // SAFETY: the caller's promise. Everything is loaded before anything is stored, so outputs may be inputs.
        unsafe {
            let (x, u, g, d) = (&mut x[..n], &mut u[..n], &mut g[..n], &mut d[..n]);
            load(k.x, at, x);
            load(k.d_out, at, g);
            if let Some(up) = k.up {
                load(up, at, u);
                for ((d, g), x) in d.iter_mut().zip(&*g).zip(&*x) {
                    *d = g * F::value(*x);
                }
                for (g, u) in g.iter_mut().zip(&*u) {
                    *g *= u;
                }
            }
            for (g, x) in g.iter_mut().zip(&*x) {
                *g *= F::slope(*x);
            }
            store(k.dx, at, g);
            if let Some(d_up) = k.d_up {
                store(d_up, at, d);
            }
        }
    }
}
multiversion! { unsafe fn backward_range<F: Function>(k: &ActivationBackward, from: usize, to: usize) = backward_body::<F> }

type Range<K> = unsafe fn(Isa, &K, usize, usize);

fn unknown(kind: usize) -> String {
    format!("kind must be 0 to 3, is {kind}")
}

pub fn activation(cx: &Context, k: &Activation) -> Result<(), String> {
    float(&k.out, "out", k.count)?;
    float(&k.x, "x", k.count)?;
    if let Some(up) = k.up {
        float(&up, "up", k.count)?;
    }
    let range: Range<Activation> = match k.kind {
        0 => forward_range::<Silu>,
        1 => forward_range::<GeluTanh>,
        2 => forward_range::<Gelu>,
        3 => forward_range::<Relu>,
        kind => return Err(unknown(kind)),
    };
    // SAFETY: every view holds count elements; tasks write disjoint ranges.
    chunks(cx, k.count, |from, to| unsafe { range(cx.isa, k, from, to) });
    Ok(())
}

pub fn activation_backward(cx: &Context, k: &ActivationBackward) -> Result<(), String> {
    float(&k.dx, "dx", k.count)?;
    float(&k.d_out, "dOut", k.count)?;
    float(&k.x, "x", k.count)?;
    if k.d_up.is_some() && k.up.is_none() {
        return Err("dUp is given without up".to_string());
    }
    for (view, name) in [(k.up, "up"), (k.d_up, "dUp")] {
        if let Some(view) = view {
            float(&view, name, k.count)?;
        }
    }
    let range: Range<ActivationBackward> = match k.kind {
        0 => backward_range::<Silu>,
        1 => backward_range::<GeluTanh>,
        2 => backward_range::<Gelu>,
        3 => backward_range::<Relu>,
        kind => return Err(unknown(kind)),
    };
    // SAFETY: every view holds count elements; tasks write disjoint ranges.
    chunks(cx, k.count, |from, to| unsafe { range(cx.isa, k, from, to) });
    Ok(())
}
