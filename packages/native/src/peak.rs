//! The rate at which the arithmetic units can multiply and add, without memory: what benchmarks compare kernels with.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::isa::Isa;

/// Rounds of multiply-adds on independent accumulators; returns the floating-point operations done.
fn rounds(isa: Isa, bf16: bool, count: usize) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        if isa == Isa::Avx512Bf16 && bf16 {
            // SAFETY: this CPU has the instruction set.
            return unsafe { x86::dots(count) };
        }
        if isa >= Isa::Avx512 {
            // SAFETY: as above.
            return unsafe { x86::fused_512(count) };
        }
        if isa == Isa::Avx2 {
            // SAFETY: as above.
            return unsafe { x86::fused_256(count) };
        }
    }
    let _ = (isa, bf16);
    let (mut lanes, a, b) = ([1.0f32; 32], black_box(1.000_000_1), black_box(1e-9));
    for _ in 0..count {
        for x in lanes.iter_mut() {
            *x = if cfg!(target_arch = "aarch64") { x.mul_add(a, b) } else { *x * a + b };
        }
    }
    black_box(lanes);
    (count * lanes.len() * 2) as u64
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Accumulators: enough to hide the latency of both units.
    const N: usize = 24;

    #[target_feature(enable = "avx2,fma")]
    pub fn fused_256(count: usize) -> u64 {
        let (a, b) = (_mm256_set1_ps(1.000_000_1), _mm256_set1_ps(1e-9));
        let mut sums = [a; N / 2];
        for _ in 0..count {
            for sum in sums.iter_mut() {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (count * N / 2 * 8 * 2) as u64
    }

    #[target_feature(enable = "avx512f")]
    pub fn fused_512(count: usize) -> u64 {
        let (a, b) = (_mm512_set1_ps(1.000_000_1), _mm512_set1_ps(1e-9));
        let mut sums = [a; N];
        for _ in 0..count {
            for sum in sums.iter_mut() {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (count * N * 16 * 2) as u64
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn dots(count: usize) -> u64 {
        let bits = |word| {
            // SAFETY: both types are 512 plain bits.
            unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi16(word)) }
        };
        let (a, b) = (bits(0x3f80), bits(0x3080)); // 1 and 2^-30
        let mut sums = [_mm512_set1_ps(1.0); N];
        for _ in 0..count {
            for sum in sums.iter_mut() {
                *sum = _mm512_dpbf16_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (count * N * 16 * 4) as u64
    }
}

/// GFLOP/s of an instruction set over `threads` threads running for about `milliseconds`.
pub fn peak_gflops(isa: Isa, bf16: bool, threads: usize, milliseconds: u64) -> f64 {
    let total = AtomicU64::new(0);
    let start = Instant::now();
    let limit = Duration::from_millis(milliseconds.max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                // Once at least: on a busy machine the time may be over before the thread begins.
                loop {
                    total.fetch_add(rounds(isa, bf16, 20_000), Ordering::Relaxed);
                    if start.elapsed() >= limit {
                        break;
                    }
                }
            });
        }
    });
    total.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loop_counts_what_it_does() {
        for isa in Isa::available() {
            assert_eq!(rounds(isa, false, 20), 2 * rounds(isa, false, 10));
            assert!(rounds(isa, true, 10) >= rounds(isa, false, 10));
        }
        assert!(peak_gflops(Isa::best(), false, 2, 5) > 0.0);
    }
}
