//! The narrow half of an adapter, dropout(x) A^T, and its gradients, with the mask drawn where it is needed and never
//! stored: a function of (seed, step, micro-step, site, row, column), by Philox 4x32-10.

use crate::block::{blocks, load, store, Sum, ZERO};
use crate::buffer::DType;
use crate::elementwise::{area, exactly, float};
use crate::isa::Isa;
use crate::kernels::{Context, LoraDown, LoraDownBackward};

/// Columns whose mask is drawn at once: sixteen groups of four words.
const GROUP: usize = 64;

/// Rows of a task of the forward pass.
const ROWS: usize = 32;

/// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
#[inline(always)]
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
        }
        let a = counter[0] as u64 * 0xd251_1f53;
        let b = counter[2] as u64 * 0xcd9e_8d57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
    }
    counter
}

/// What is constant over one call.
#[derive(Clone, Copy)]
struct Draw {
    key: [u32; 2],
    site: u32,
    step: u32,
    /// A word below this is dropped; 2^32 drops all, 0 draws nothing.
    threshold: u64,
    /// 1 / (1 - p).
    scale: f32,
}

impl Draw {
    fn new(p: f64, seed: usize, step: usize, micro_step: usize, site: usize) -> Result<Draw, String> {
        if !(0.0..1.0).contains(&p) {
            return Err(format!("p must be from 0 to less than 1, is {p}"));
        }
        Ok(Draw {
            key: [seed as u64 as u32, (seed as u64 >> 32) as u32],
            site: (site as u64).wrapping_add(65_536 * micro_step as u64) as u32,
            step: step as u64 as u32,
            threshold: (p * 4_294_967_296.0).ceil() as u64,
            scale: (1.0 / (1.0 - p)) as f32,
        })
    }
}

/// Which of the 64 columns from `column` (a multiple of 64) on are kept, as bits.
trait Mask {
    /// # Safety
    /// The CPU must have the implementation's instructions.
    unsafe fn kept(draw: &Draw, row: usize, column: usize) -> u64;
}

struct Plain;

impl Mask for Plain {
    #[inline(always)]
    unsafe fn kept(draw: &Draw, row: usize, column: usize) -> u64 {
        let mut bits = 0;
        for group in 0..GROUP / 4 {
            let counter = [(column / 4 + group) as u32, row as u32, draw.site, draw.step];
            for (i, word) in philox(counter, draw.key).into_iter().enumerate() {
                bits |= u64::from(word as u64 >= draw.threshold) << (4 * group + i);
            }
        }
        bits
    }
}

#[cfg(target_arch = "x86_64")]
struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Mask for Avx512 {
    /// Philox on sixteen counters at once.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
    unsafe fn kept(draw: &Draw, row: usize, column: usize) -> u64 {
        use core::arch::x86_64::*;
        /// High and low words of the products of sixteen lanes with one factor.
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn multiply(x: __m512i, factor: __m512i) -> (__m512i, __m512i) {
            let even = _mm512_mul_epu32(x, factor);
            let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(x), factor);
            let high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd);
            let low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd));
            (high, low)
        }
        let splat = |x: u32| _mm512_set1_epi32(x as i32);
        let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let mut c0 = _mm512_add_epi32(splat((column / 4) as u32), lanes);
        let (mut c1, mut c2, mut c3) = (splat(row as u32), splat(draw.site), splat(draw.step));
        let [mut k0, mut k1] = draw.key;
        for _ in 0..10 {
            let (high_a, low_a) = multiply(c0, splat(0xd251_1f53));
            let (high_b, low_b) = multiply(c2, splat(0xcd9e_8d57));
            c0 = _mm512_ternarylogic_epi32::<0x96>(high_b, c1, splat(k0));
            c2 = _mm512_ternarylogic_epi32::<0x96>(high_a, c3, splat(k1));
            (c1, c3) = (low_b, low_a);
            (k0, k1) = (k0.wrapping_add(0x9e37_79b9), k1.wrapping_add(0xbb67_ae85));
        }
        // p < 1, so the threshold is at most 2^32 - 1 but for rounding, where no word may be kept.
        let Ok(threshold) = u32::try_from(draw.threshold) else { return 0 };
        let kept = |word: __m512i, lane: u64| {
            _pdep_u64(_mm512_cmpge_epu32_mask(word, splat(threshold)) as u64, 0x1111_1111_1111_1111 << lane)
        };
        kept(c0, 0) | kept(c1, 1) | kept(c2, 2) | kept(c3, 3)
    }
}

/// Multiplies by 1 / (1 - p) where the bit is set and by 0 where not.
#[inline(always)]
fn apply(values: &mut [f32], mut bits: u64, scale: f32) {
    for value in values {
        *value = if bits & 1 == 1 { *value * scale } else { 0.0 };
        bits >>= 1;
    }
}

#[inline(always)]
unsafe fn down_rows<M: Mask>(k: &LoraDown, draw: &Draw, from: usize, to: usize) {
    let mut v = ZERO;
    let mut a = ZERO;
    // Thirty-two ranks at a time; more than that draws the mask again.
    let mut sums = [Sum::ZERO; 32];
    for row in from..to {
        for (first, ranks) in (0..k.rank).step_by(32).map(|first| (first, (k.rank - first).min(32))) {
            sums[..ranks].fill(Sum::ZERO);
            for (at, n) in blocks(0, k.cols) {
                let v = &mut v[..n];
                // SAFETY: the caller's promise.
                unsafe { load(k.x, row * k.cols + at, v) };
                if draw.threshold > 0 {
                    for (group, values) in v.chunks_mut(GROUP).enumerate() {
                        // SAFETY: the caller's promise.
                        apply(values, unsafe { M::kept(draw, row, at + group * GROUP) }, draw.scale);
                    }
                }
                for (rank, sum) in sums[..ranks].iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe { load(k.a, (first + rank) * k.cols + at, &mut a[..n]) };
                    sum.add2(v, &a[..n], |x, a| x * a);
                }
            }
            for (rank, sum) in sums[..ranks].iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { store(k.out, row * k.rank + first + rank, &[sum.total() * k.scale as f32]) };
            }
        }
    }
}

/// Columns `at..at + n` (at most `GROUP`) of both gradients, rows in order.
#[inline(always)]
unsafe fn back_columns<M: Mask>(k: &LoraDownBackward, draw: &Draw, at: usize, n: usize, gradient: &mut [f32]) {
    let mut a = [0f32; GROUP];
    for row in 0..k.rows {
        let mut v = [0f32; GROUP];
        let mut du = [0f32; 1];
        // SAFETY: the caller's promise.
        unsafe { load(k.x, row * k.cols + at, &mut v[..n]) };
        let mut bits = !0;
        if draw.threshold > 0 {
            // SAFETY: the caller's promise.
            bits = unsafe { M::kept(draw, row, at) };
            apply(&mut v, bits, draw.scale);
        }
        let mut through = [0f32; GROUP];
        for rank in 0..k.rank {
            // SAFETY: the caller's promise.
            unsafe { load(k.du, row * k.rank + rank, &mut du) };
            for (sum, v) in gradient[rank * GROUP..(rank + 1) * GROUP].iter_mut().zip(&v) {
                *sum += du[0] * v;
            }
            if k.dx.is_some() {
                // SAFETY: the caller's promise.
                unsafe { load(k.a, rank * k.cols + at, &mut a[..n]) };
                for (sum, a) in through.iter_mut().zip(&a) {
                    *sum += du[0] * a;
                }
            }
        }
        if let Some(dx) = k.dx {
            apply(&mut through, bits, draw.scale);
            let mut sum = [0f32; GROUP];
            // SAFETY: the caller's promise.
            unsafe { load(dx, row * k.cols + at, &mut sum[..n]) };
            for (sum, part) in sum.iter_mut().zip(&through) {
                *sum += part;
            }
            // SAFETY: the caller's promise.
            unsafe { store(dx, row * k.cols + at, &sum[..n]) };
        }
    }
    if let Some(da) = k.da {
        for rank in 0..k.rank {
            // SAFETY: the caller's promise.
            unsafe { load(da, rank * k.cols + at, &mut a[..n]) };
            for (sum, part) in a.iter_mut().zip(&gradient[rank * GROUP..(rank + 1) * GROUP]) {
                *sum += part;
            }
            // SAFETY: the caller's promise.
            unsafe { store(da, rank * k.cols + at, &a[..n]) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
unsafe fn down_rows_avx512(k: &LoraDown, draw: &Draw, from: usize, to: usize) {
    // SAFETY: the caller's promise.
    unsafe { down_rows::<Avx512>(k, draw, from, to) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
unsafe fn back_columns_avx512(k: &LoraDownBackward, draw: &Draw, at: usize, n: usize, gradient: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe { back_columns::<Avx512>(k, draw, at, n, gradient) }
}

pub fn lora_down(cx: &Context, k: &LoraDown) -> Result<(), String> {
    exactly(&k.out, "out", DType::F32, area(k.rows, k.rank)?)?;
    float(&k.x, "x", area(k.rows, k.cols)?)?;
    float(&k.a, "a", area(k.rank, k.cols)?)?;
    let draw = Draw::new(k.p, k.seed, k.step, k.micro_step, k.site)?;
    cx.pool.parallel(k.rows.div_ceil(ROWS), &|task, _| {
        let (from, to) = (task * ROWS, (task * ROWS + ROWS).min(k.rows));
        #[cfg(target_arch = "x86_64")]
        if cx.isa >= Isa::Avx512 {
            // SAFETY: the views hold what is used; tasks write disjoint rows; an `Isa` is one that this CPU has.
            return unsafe { down_rows_avx512(k, &draw, from, to) };
        }
        // SAFETY: as above.
        unsafe { down_rows::<Plain>(k, &draw, from, to) }
    });
    Ok(())
}

pub fn lora_down_backward(cx: &Context, k: &LoraDownBackward) -> Result<(), String> {
    for (view, name, count) in [(k.da, "dA", area(k.rank, k.cols)?), (k.dx, "dx", area(k.rows, k.cols)?)] {
        if let Some(view) = view {
            exactly(&view, name, DType::F32, count)?;
        }
    }
    float(&k.du, "du", area(k.rows, k.rank)?)?;
    float(&k.x, "x", area(k.rows, k.cols)?)?;
    float(&k.a, "a", area(k.rank, k.cols)?)?;
    let draw = Draw::new(k.p, k.seed, k.step, k.micro_step, k.site)?;
    cx.pool.parallel(k.cols.div_ceil(GROUP), &|task, worker| {
        let at = task * GROUP;
        let n = (k.cols - at).min(GROUP);
        // SAFETY: each worker runs one task at a time, and this is its only use of scratch; f32 needs 4-byte alignment.
        let gradient = unsafe {
            let bytes = cx.pool.scratch(worker, k.rank * GROUP * 4);
            std::slice::from_raw_parts_mut(bytes.as_mut_ptr() as *mut f32, k.rank * GROUP)
        };
        gradient.fill(0.0);
        #[cfg(target_arch = "x86_64")]
        if cx.isa >= Isa::Avx512 {
            // SAFETY: the views hold what is used; tasks write disjoint columns; an `Isa` is one that this CPU has.
            return unsafe { back_columns_avx512(k, &draw, at, n, gradient) };
        }
        // SAFETY: as above.
        unsafe { back_columns::<Plain>(k, &draw, at, n, gradient) }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn sixteen_counters_at_once_give_the_words_of_one_at_a_time() {
        let draw = Draw::new(0.3, 5_000_000_019, 7, 2, 33).unwrap();
        for (row, column) in [(0, 0), (70, 448), (123_456, 64_000)] {
            // SAFETY: needs no instructions.
            let plain = unsafe { Plain::kept(&draw, row, column) };
            let words = (0..GROUP)
                .map(|i| philox([((column + i) / 4) as u32, row as u32, draw.site, draw.step], draw.key)[i % 4]);
            let expected = words
                .enumerate()
                .fold(0, |bits, (i, word)| bits | u64::from(word as f64 >= 0.3 * 4_294_967_296.0) << i);
            assert_eq!(plain, expected);
            #[cfg(target_arch = "x86_64")]
            if Isa::best() >= Isa::Avx512 {
                // SAFETY: the CPU has the instructions.
                assert_eq!(unsafe { Avx512::kept(&draw, row, column) }, plain);
            }
        }
    }
}
