//! Activation functions, alone or gating a second input.

use crate::arguments::{Activation, ActivationBackward};
use crate::block::{blocks, load, store, ZERO};
use crate::context::Context;
use crate::elementwise::{chunks, chunks_of, float};
use crate::isa::Isa;
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

/// # Safety
/// The views are of float dtypes and hold elements `from .. to`; those of `out` are the caller's.
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

/// # Safety
/// As for `forward_body`, with `dx` and `d_up` as outputs.
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

/// Silu and the tanh form of GELU are both x times a sigmoid: of x, or of 2 u with u = sqrt(2 / pi) (x + 0.044715 x^3).
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{CUBIC, SQRT_2_OVER_PI};
    use crate::arguments::{Activation, ActivationBackward};
    use crate::vector::exp;
    use crate::vector::{lanes, load, store};
    use core::arch::x86_64::*;

    /// The sigmoid and, for the gradient, x times the slope of its argument.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
    fn sigmoid<const GELU: bool>(x: __m512) -> (__m512, __m512) {
        let splat = |x: f32| _mm512_set1_ps(x);
        let (minus, slope) = if GELU {
            let square = _mm512_mul_ps(x, x);
            let half = _mm512_fmadd_ps(square, splat(CUBIC), splat(1.0));
            let slope = _mm512_fmadd_ps(square, splat(3.0 * CUBIC), splat(1.0));
            let factor = _mm512_mul_ps(x, splat(2.0 * SQRT_2_OVER_PI));
            (_mm512_mul_ps(half, _mm512_sub_ps(_mm512_setzero_ps(), factor)), _mm512_mul_ps(slope, factor))
        } else {
            (_mm512_sub_ps(_mm512_setzero_ps(), x), x)
        };
        let one = splat(1.0);
        (_mm512_div_ps(one, _mm512_add_ps(one, exp(minus))), slope)
    }

    /// # Safety
    /// The views hold elements `from .. to`; the CPU has AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
    pub unsafe fn forward<const GELU: bool>(k: &Activation, from: usize, to: usize) {
        for at in (from..to).step_by(16) {
            let mask = lanes(to - at);
            // SAFETY: the caller's promise.
            unsafe {
                let x = load(k.x, at, mask);
                let mut y = _mm512_mul_ps(x, sigmoid::<GELU>(x).0);
                if let Some(up) = k.up {
                    y = _mm512_mul_ps(y, load(up, at, mask));
                }
                store(k.out, at, mask, y);
            }
        }
    }

    /// # Safety
    /// As for `forward`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
    pub unsafe fn backward<const GELU: bool>(k: &ActivationBackward, from: usize, to: usize) {
        let one = _mm512_set1_ps(1.0);
        for at in (from..to).step_by(16) {
            let mask = lanes(to - at);
            // SAFETY: the caller's promise. Everything is loaded before anything is stored, so outputs may be inputs.
            unsafe {
                let (x, mut g) = (load(k.x, at, mask), load(k.d_out, at, mask));
                let (s, slope) = sigmoid::<GELU>(x);
                if let Some(up) = k.up {
                    let up = load(up, at, mask);
                    if let Some(d_up) = k.d_up {
                        store(d_up, at, mask, _mm512_mul_ps(g, _mm512_mul_ps(x, s)));
                    }
                    g = _mm512_mul_ps(g, up);
                }
                let total = _mm512_mul_ps(s, _mm512_fmadd_ps(slope, _mm512_sub_ps(one, s), one));
                store(k.dx, at, mask, _mm512_mul_ps(g, total));
            }
        }
    }
}

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
    // A few tokens' rows too are cut, as in generation.
    chunks_of(2048, cx, k.count, |from, to| {
        // SAFETY: every view holds count elements; tasks write disjoint ranges; an `Isa` is one that this CPU has.
        unsafe {
            match k.kind {
                #[cfg(target_arch = "x86_64")]
                0 if cx.isa >= Isa::Avx512 => avx512::forward::<false>(k, from, to),
                #[cfg(target_arch = "x86_64")]
                1 if cx.isa >= Isa::Avx512 => avx512::forward::<true>(k, from, to),
                _ => range(cx.isa, k, from, to),
            }
        }
    });
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
    chunks(cx, k.count, |from, to| {
        // SAFETY: every view holds count elements; tasks write disjoint ranges; an `Isa` is one that this CPU has.
        unsafe {
            match k.kind {
                #[cfg(target_arch = "x86_64")]
                0 if cx.isa >= Isa::Avx512 => avx512::backward::<false>(k, from, to),
                #[cfg(target_arch = "x86_64")]
                1 if cx.isa >= Isa::Avx512 => avx512::backward::<true>(k, from, to),
                _ => range(cx.isa, k, from, to),
            }
        }
    });
    Ok(())
}
