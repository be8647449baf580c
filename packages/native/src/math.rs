//! Transcendental functions that autovectorise when inlined into a loop: no branches, no calls, no tables. They use plain
//! products and sums (never fused), so that every instruction set gives the same bits.

/// e^x within 1.5 ulp. Infinity, zero, subnormal results and NaN as in libm.
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves the nearest integer in the low bits.
                                     // Past these the result is 0 or infinity anyway. Written so that NaN passes.
    let x = if x < -104.5 { -104.5 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4; // ln 2 in two parts, the first exact in nine bits
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    // 2^n in two factors, so that subnormal and infinite results come out of one rounding.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let power = |e: i32| f32::from_bits((e.wrapping_add(127) as u32) << 23);
    p * power(half) * power(n.wrapping_sub(half))
}

/// tanh within 2 ulp.
#[inline(always)]
pub fn tanh_f32(x: f32) -> f32 {
    let a = x.abs();
    let z = x * x;
    let mut p = -5.704_988_7e-3;
    p = p * z + 2.063_909e-2;
    p = p * z + -5.373_971_6e-2;
    p = p * z + 1.333_144_2e-1;
    p = p * z + -3.333_328_3e-1;
    let small = a + a * (z * p);
    let large = 1.0 - 2.0 / (exp_f32(a + a) + 1.0);
    if a < 0.625 { small } else { large }.copysign(x)
}

/// The error function within 2 ulp (polynomials after N. Juffa).
#[inline(always)]
pub fn erf_f32(x: f32) -> f32 {
    let t = x.abs();
    let s = x * x;
    let mut r = -1.728_534_7e-5 * t + 3.831_971_3e-4;
    let u = -3.883_964_4e-3 * t + 2.425_462_2e-2;
    r = r * s + u;
    r = r * t + -1.067_778_8e-1;
    r = r * t + -6.348_467e-1;
    r = r * t + -1.287_175_1e-1;
    r = r * t - t;
    let large = (1.0 - exp_f32(r)).copysign(x);
    let mut q = -5.967_617e-4;
    q = q * s + 4.991_194_2e-3;
    q = q * s + -2.676_813_5e-2;
    q = q * s + 1.128_199_25e-1;
    q = q * s + -3.761_253_4e-1;
    q = q * s + 1.283_791_7e-1;
    let small = q * x + x;
    if t > 0.927_734_4 {
        large
    } else {
        small
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place of the exact value, subnormals included.
    fn ulps(got: f32, exact: f64) -> f64 {
        let near = exact as f32;
        if got == near {
            return 0.0;
        }
        let exponent = (exact.abs().log2().floor() as i32).max(-126);
        (got as f64 - exact).abs() / 2f64.powi(exponent - 23)
    }

    fn worst(from: f32, to: f32, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let steps = 400_000;
        (0..=steps)
            .map(|i| from + (to - from) * (i as f32 / steps as f32))
            .map(|x| ulps(f(x), exact(x as f64)))
            .fold(0.0, f64::max)
    }

    /// erf by its Taylor series, enough below 3.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn exp_is_accurate_from_subnormal_to_overflow() {
        assert!(worst(-87.0, 88.7, exp_f32, f64::exp) < 1.5, "{}", worst(-87.0, 88.7, exp_f32, f64::exp));
        assert!(worst(-103.9, -87.0, exp_f32, f64::exp) < 1.5);
        assert!(worst(-0.01, 0.01, exp_f32, f64::exp) < 1.5);
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!(exp_f32(88.8), f32::INFINITY);
        assert_eq!(exp_f32(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp_f32(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_f32(-1e30), 0.0);
        assert_eq!(exp_f32(1e30), f32::INFINITY);
        assert!(exp_f32(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_accurate_and_saturates() {
        let e = worst(-10.0, 10.0, tanh_f32, f64::tanh);
        assert!(e < 2.0, "{e}");
        assert!(worst(-1e-3, 1e-3, tanh_f32, f64::tanh) < 2.0);
        assert_eq!(tanh_f32(f32::INFINITY), 1.0);
        assert_eq!(tanh_f32(-1e30), -1.0);
        assert_eq!(tanh_f32(-0.0).to_bits(), (-0.0f32).to_bits());
        assert!(tanh_f32(f32::NAN).is_nan());
    }

    #[test]
    fn erf_is_accurate_and_saturates() {
        let e = worst(-3.0, 3.0, erf_f32, erf);
        assert!(e < 2.0, "{e}");
        assert_eq!(erf_f32(5.0), 1.0);
        assert_eq!(erf_f32(f32::NEG_INFINITY), -1.0);
        assert!(erf_f32(f32::NAN).is_nan());
    }
}
