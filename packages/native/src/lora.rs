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
fn kept(draw: &Draw, row: usize, column: usize) -> u64 {
    let mut bits = 0;
    for group in 0..GROUP / 4 {
        let counter = [(column / 4 + group) as u32, row as u32, draw.site, draw.step];
        for (i, word) in philox(counter, draw.key).into_iter().enumerate() {
            bits |= u64::from(word as u64 >= draw.threshold) << (4 * group + i);
        }
    }
    bits
}

/// Multiplies by 1 / (1 - p) where the bit is set and by 0 where not.
#[inline(always)]
fn apply(values: &mut [f32], mut bits: u64, scale: f32) {
    for value in values {
        *value = if bits & 1 == 1 { *value * scale } else { 0.0 };
        bits >>= 1;
    }
}

unsafe fn down_rows(k: &LoraDown, draw: &Draw, from: usize, to: usize) {
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
                        apply(values, kept(draw, row, at + group * GROUP), draw.scale);
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

/// Columns `at..at + n` (at most `GROUP`), rows in order: adds to dx, and to `gradient` what dA gets. `a` and `gradient`
/// are (rank, 64), padded with zeros.
unsafe fn back_columns(k: &LoraDownBackward, draw: &Draw, at: usize, n: usize, a: &[f32], gradient: &mut [f32]) {
    for row in 0..k.rows {
        let mut v = [0f32; GROUP];
        // SAFETY: the caller's promise.
        unsafe { load(k.x, row * k.cols + at, &mut v[..n]) };
        let bits = if draw.threshold > 0 { kept(draw, row, at) } else { !0 };
        apply(&mut v, bits, draw.scale);
        let mut through = [0f32; GROUP];
        for rank in 0..k.rank {
            let mut du = [0f32; 1];
            // SAFETY: the caller's promise.
            unsafe { load(k.du, row * k.rank + rank, &mut du) };
            let group = rank * GROUP..(rank + 1) * GROUP;
            for (sum, v) in gradient[group.clone()].iter_mut().zip(&v) {
                *sum += du[0] * v;
            }
            for (sum, a) in through.iter_mut().zip(&a[group]) {
                *sum += du[0] * a;
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
}

/// The same with everything in registers: two rows and up to eight ranks at a time, for an input of f32 or bf16.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Draw, LoraDown, LoraDownBackward, GROUP};
    use crate::block::store;
    use crate::buffer::DType;
    use core::arch::x86_64::*;

    /// Ranks whose sums are held at once.
    const RANKS: usize = 8;

    /// `super::kept` with Philox on sixteen counters at once.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
    pub fn kept(draw: &Draw, row: usize, column: usize) -> u64 {
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

    /// Sixteen elements from `at` on; those beyond the mask are 0 and not read.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load16<const BF16: bool>(base: *const u8, at: usize, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise for the elements within the mask.
        unsafe {
            if BF16 {
                let half = _mm256_maskz_loadu_epi16(mask, (base as *const i16).wrapping_add(at));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
            } else {
                _mm512_maskz_loadu_ps(mask, (base as *const f32).wrapping_add(at))
            }
        }
    }

    /// Masks of the four parts of `n` columns.
    #[inline(always)]
    fn parts(n: usize) -> [__mmask16; 4] {
        std::array::from_fn(|i| ((1u32 << n.saturating_sub(16 * i).min(16)) - 1) as u16)
    }

    /// dropout(x) of up to 64 columns, and its mask.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
    unsafe fn masked<const BF16: bool>(
        x: *const u8,
        at: usize,
        live: [__mmask16; 4],
        draw: &Draw,
        row: usize,
        column: usize,
    ) -> ([__m512; 4], u64) {
        // SAFETY: the caller's promise.
        unsafe {
            let scale = _mm512_set1_ps(draw.scale);
            let bits = if draw.threshold > 0 { kept(draw, row, column) } else { !0 };
            let mut v = [_mm512_setzero_ps(); 4];
            for (i, v) in v.iter_mut().enumerate() {
                let kept = (bits >> (16 * i)) as u16;
                *v = _mm512_maskz_mul_ps(kept, load16::<BF16>(x, at + 16 * i, live[i]), scale);
            }
            (v, bits)
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
    unsafe fn down<const BF16: bool, const R: usize, const P: usize>(
        k: &LoraDown,
        draw: &Draw,
        row: usize,
        first: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); P]; R];
            for column in (0..k.cols).step_by(GROUP) {
                let live = parts(k.cols - column);
                let mut v = [[_mm512_setzero_ps(); 4]; P];
                for (p, v) in v.iter_mut().enumerate() {
                    *v = masked::<BF16>(k.x.ptr(), (row + p) * k.cols + column, live, draw, row + p, column).0;
                }
                for (rank, sums) in sums.iter_mut().enumerate() {
                    for (i, live) in live.into_iter().enumerate() {
                        let a = load16::<false>(k.a.ptr(), (first + rank) * k.cols + column + 16 * i, live);
                        for (v, sum) in v.iter().zip(sums.iter_mut()) {
                            *sum = _mm512_fmadd_ps(v[i], a, *sum);
                        }
                    }
                }
            }
            for (rank, sums) in sums.iter().enumerate() {
                for (p, sum) in sums.iter().enumerate() {
                    let value = _mm512_reduce_add_ps(*sum) * k.scale as f32;
                    store(k.out, (row + p) * k.rank + first + rank, &[value]);
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
    unsafe fn down_rows<const BF16: bool>(k: &LoraDown, draw: &Draw, from: usize, to: usize) {
        macro_rules! ranks {
            ($rows:literal, $row:ident, $first:ident: $($n:literal)*) => {
                match (k.rank - $first).min(RANKS) {
                    // SAFETY: the caller's promise.
                    $($n => unsafe { down::<BF16, $n, $rows>(k, draw, $row, $first) },)*
                    _ => unreachable!(),
                }
            };
        }
        for first in (0..k.rank).step_by(RANKS) {
            let mut row = from;
            while row + 2 <= to {
                ranks!(2, row, first: 1 2 3 4 5 6 7 8);
                row += 2;
            }
            if row < to {
                ranks!(1, row, first: 1 2 3 4 5 6 7 8);
            }
        }
    }

    /// # Safety
    /// The views must hold what the kernel reads and writes; the CPU must have AVX-512; x is f32 or bf16 and a is f32.
    pub unsafe fn forward(k: &LoraDown, draw: &Draw, from: usize, to: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match k.x.dtype() {
                DType::Bf16 => down_rows::<true>(k, draw, from, to),
                _ => down_rows::<false>(k, draw, from, to),
            }
        }
    }

    /// `P` rows of one group of columns. `a` and `gradient` are (rank, 64) f32, padded with zeros.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
    unsafe fn back<const BF16: bool, const P: usize>(
        k: &LoraDownBackward,
        draw: &Draw,
        row: usize,
        column: usize,
        a: &[f32],
        gradient: &mut [f32],
    ) {
        // SAFETY: the caller's promise; `a` and `gradient` have 64 elements a rank.
        unsafe {
            let live = parts(k.cols - column);
            let mut v = [[_mm512_setzero_ps(); 4]; P];
            let mut bits = [0u64; P];
            for p in 0..P {
                let at = (row + p) * k.cols + column;
                // A group's columns of successive rows are far apart, which the hardware does not foresee.
                _mm_prefetch::<_MM_HINT_T0>(
                    k.x.ptr().wrapping_add((at + 16 * k.cols) * k.x.dtype().size()) as *const i8
                );
                (v[p], bits[p]) = masked::<BF16>(k.x.ptr(), at, live, draw, row + p, column);
            }
            let mut through = [[_mm512_setzero_ps(); 4]; P];
            let du = k.du.ptr() as *const f32;
            let (a, gradient) = (a.as_ptr(), gradient.as_mut_ptr());
            for rank in 0..k.rank {
                let mut factor = [_mm512_setzero_ps(); P];
                for (p, factor) in factor.iter_mut().enumerate() {
                    *factor = _mm512_set1_ps(du.add((row + p) * k.rank + rank).read_unaligned());
                }
                for i in 0..4 {
                    let place = gradient.add(rank * GROUP + 16 * i);
                    let mut sum = _mm512_loadu_ps(place);
                    let a = _mm512_loadu_ps(a.add(rank * GROUP + 16 * i));
                    for p in 0..P {
                        sum = _mm512_fmadd_ps(factor[p], v[p][i], sum);
                        through[p][i] = _mm512_fmadd_ps(factor[p], a, through[p][i]);
                    }
                    _mm512_storeu_ps(place, sum);
                }
            }
            let Some(dx) = k.dx else { return };
            let scale = _mm512_set1_ps(draw.scale);
            for p in 0..P {
                for (i, live) in live.into_iter().enumerate() {
                    let place = (dx.ptr() as *mut f32).wrapping_add((row + p) * k.cols + column + 16 * i);
                    let part = _mm512_maskz_mul_ps((bits[p] >> (16 * i)) as u16, through[p][i], scale);
                    let sum = _mm512_add_ps(_mm512_maskz_loadu_ps(live, place), part);
                    _mm512_mask_storeu_ps(place, live, sum);
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")]
    unsafe fn back_columns<const BF16: bool>(
        k: &LoraDownBackward,
        draw: &Draw,
        column: usize,
        a: &[f32],
        gradient: &mut [f32],
    ) {
        let mut row = 0;
        while row + 2 <= k.rows {
            // SAFETY: the caller's promise.
            unsafe { back::<BF16, 2>(k, draw, row, column, a, gradient) };
            row += 2;
        }
        if row < k.rows {
            // SAFETY: the caller's promise.
            unsafe { back::<BF16, 1>(k, draw, row, column, a, gradient) };
        }
    }

    /// # Safety
    /// As for `forward`; du is f32 too, and `a` and `gradient` have 64 elements a rank.
    pub unsafe fn backward(k: &LoraDownBackward, draw: &Draw, column: usize, a: &[f32], gradient: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match k.x.dtype() {
                DType::Bf16 => back_columns::<true>(k, draw, column, a, gradient),
                _ => back_columns::<false>(k, draw, column, a, gradient),
            }
        }
    }
}

pub fn lora_down(cx: &Context, k: &LoraDown) -> Result<(), String> {
    exactly(&k.out, "out", DType::F32, area(k.rows, k.rank)?)?;
    float(&k.x, "x", area(k.rows, k.cols)?)?;
    float(&k.a, "a", area(k.rank, k.cols)?)?;
    let draw = Draw::new(k.p, k.seed, k.step, k.micro_step, k.site)?;
    let fast = cx.isa >= Isa::Avx512 && k.x.dtype() != DType::F16 && k.a.dtype() == DType::F32;
    cx.pool.parallel(k.rows.div_ceil(ROWS), &|task, _| {
        let (from, to) = (task * ROWS, (task * ROWS + ROWS).min(k.rows));
        #[cfg(target_arch = "x86_64")]
        if fast {
            // SAFETY: the views hold what is used; tasks write disjoint rows; an `Isa` is one that this CPU has.
            return unsafe { avx512::forward(k, &draw, from, to) };
        }
        // SAFETY: the views hold what is used; tasks write disjoint rows.
        unsafe { down_rows(k, &draw, from, to) }
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
    let fast =
        cx.isa >= Isa::Avx512 && k.x.dtype() != DType::F16 && k.a.dtype() == DType::F32 && k.du.dtype() == DType::F32;
    cx.pool.parallel(k.cols.div_ceil(GROUP), &|task, worker| {
        let at = task * GROUP;
        let n = (k.cols - at).min(GROUP);
        let group = k.rank * GROUP;
        // SAFETY: each worker runs one task at a time, and this is its only use of scratch; f32 needs 4-byte alignment.
        let (a, gradient) = unsafe {
            let bytes = cx.pool.scratch(worker, 2 * group * 4);
            std::slice::from_raw_parts_mut(bytes.as_mut_ptr() as *mut f32, 2 * group).split_at_mut(group)
        };
        a.fill(0.0);
        gradient.fill(0.0);
        for (rank, a) in a.chunks_mut(GROUP).enumerate() {
            // SAFETY: a holds rank rows of cols elements.
            unsafe { load(k.a, rank * k.cols + at, &mut a[..n]) };
        }
        // SAFETY: the views hold what is used; tasks write disjoint columns; an `Isa` is one that this CPU has.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if fast {
                avx512::backward(k, &draw, at, a, gradient);
            }
            if !fast {
                back_columns(k, &draw, at, n, a, gradient);
            }
        }
        let Some(da) = k.da else { return };
        for (rank, part) in gradient.chunks(GROUP).enumerate() {
            let mut sum = [0f32; GROUP];
            // SAFETY: dA holds rank rows of cols elements; tasks use disjoint columns.
            unsafe { load(da, rank * k.cols + at, &mut sum[..n]) };
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += part;
            }
            // SAFETY: as above.
            unsafe { store(da, rank * k.cols + at, &sum[..n]) };
        }
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
            let plain = kept(&draw, row, column);
            let words = (0..GROUP)
                .map(|i| philox([((column + i) / 4) as u32, row as u32, draw.site, draw.step], draw.key)[i % 4]);
            let expected = words
                .enumerate()
                .fold(0, |bits, (i, word)| bits | u64::from(word as f64 >= 0.3 * 4_294_967_296.0) << i);
            assert_eq!(plain, expected);
            #[cfg(target_arch = "x86_64")]
            if Isa::best() >= Isa::Avx512 {
                // SAFETY: the CPU has the instructions.
                assert_eq!(unsafe { avx512::kept(&draw, row, column) }, plain);
            }
        }
    }
}
