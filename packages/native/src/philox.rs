//! Dropout masks: a function of (seed, step, micro-step, site, row, column), drawn where they are needed and never stored.

use crate::isa::Isa;
use crate::multiversion;

/// Columns whose mask is drawn at once: sixteen counters of four words of two halves.
pub const GROUP: usize = 128;

/// Counters of a group.
const LANES: usize = 16;

/// Which columns of a group are kept, 32 to a word.
pub type Kept = [u32; 4];

/// Philox 4x32-10. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
#[cfg(test)]
pub fn philox(mut counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        counter = philox_round(counter, round_key(key, round));
    }
    counter
}

const ROUNDS: u32 = 10;

#[inline(always)]
fn round_key(key: [u32; 2], round: u32) -> [u32; 2] {
    [key[0].wrapping_add(round.wrapping_mul(0x9e37_79b9)), key[1].wrapping_add(round.wrapping_mul(0xbb67_ae85))]
}

#[inline(always)]
fn philox_round(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let a = counter[0] as u64 * 0xd251_1f53;
    let b = counter[2] as u64 * 0xcd9e_8d57;
    [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32]
}

/// What is constant over one call.
#[derive(Clone, Copy)]
pub struct Draw {
    key: [u32; 2],
    site: u32,
    step: u32,
    /// A half below this is dropped.
    threshold: u16,
}

impl Draw {
    pub fn new(p: f64, seed: usize, step: usize, micro_step: usize, site: usize) -> Result<Draw, String> {
        if !(0.0..1.0).contains(&p) {
            return Err(format!("p must be from 0 to less than 1, is {p}"));
        }
        Ok(Draw {
            key: [seed as u64 as u32, (seed as u64 >> 32) as u32],
            site: (site as u64).wrapping_add(65_536 * micro_step as u64) as u32,
            step: step as u64 as u32,
            threshold: (p * 65_536.0).round().min(65_535.0) as u16,
        })
    }

    pub fn drops(&self) -> bool {
        self.threshold > 0
    }

    /// What a kept value is multiplied by: 1 / (1 - p), p in steps of 2^-16.
    pub fn scale(&self) -> f32 {
        (65_536.0 / (65_536.0 - self.threshold as f64)) as f32
    }

    #[inline(always)]
    fn counter(&self, row: usize, group: usize, lane: usize) -> [u32; 4] {
        [(16 * group + lane) as u32, row as u32, self.site, self.step]
    }

    /// The masks of columns `GROUP * group ..` of a row, for as many groups as `masks` has words of.
    #[inline(always)]
    pub fn kept(&self, isa: Isa, row: usize, group: usize, masks: &mut [u32]) {
        for (i, masks) in masks.chunks_mut(2 * GROUP / 32).enumerate() {
            let group = group + 2 * i;
            #[cfg(target_arch = "x86_64")]
            if isa >= Isa::Avx512 {
                // SAFETY: an `Isa` is only made for a CPU that has it.
                let kept = unsafe { avx512::kept(self, row, group) };
                masks.iter_mut().zip(kept.as_flattened()).for_each(|(mask, kept)| *mask = *kept);
                continue;
            }
            for (j, masks) in masks.chunks_mut(GROUP / 32).enumerate() {
                // SAFETY: as above.
                masks.copy_from_slice(&unsafe { kept_plain(isa, self, row, group + j) });
            }
        }
    }
}

/// The mask of one group, its sixteen counters side by side, so that it vectorises.
#[inline(always)]
unsafe fn kept_body(draw: &Draw, row: usize, group: usize) -> Kept {
    let mut words = [[0u32; LANES]; 4];
    for lane in 0..LANES {
        for (words, word) in words.iter_mut().zip(draw.counter(row, group, lane)) {
            words[lane] = word;
        }
    }
    for round in 0..ROUNDS {
        let key = round_key(draw.key, round);
        let [a, b, c, d] = &mut words;
        for lane in 0..LANES {
            [a[lane], b[lane], c[lane], d[lane]] = philox_round([a[lane], b[lane], c[lane], d[lane]], key);
        }
    }
    let mut kept = [0; 4];
    for (kept, words) in kept.iter_mut().zip(words) {
        for (lane, word) in words.into_iter().enumerate() {
            let low = u32::from(word as u16 >= draw.threshold);
            let high = u32::from((word >> 16) as u16 >= draw.threshold);
            *kept |= (low | high << 1) << (2 * lane);
        }
    }
    kept
}
multiversion! { unsafe fn kept_plain(draw: &Draw, row: usize, group: usize) -> Kept = kept_body }

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Draw, Kept};
    use core::arch::x86_64::*;

    /// The masks of two groups, whose chains of products overlap. The eight counters of a vector lie in the lower halves of
    /// its 64-bit lanes, which is all that a product reads; the upper halves hold what is left over.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub fn kept(draw: &Draw, row: usize, group: usize) -> [Kept; 2] {
        let splat = |x: u32| _mm512_set1_epi32(x as i32);
        let lanes = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
        let mut c: [[__m512i; 4]; 4] = std::array::from_fn(|i| {
            // Even counters of the first group, odd ones, and those of the second.
            let [first, row, site, step] = draw.counter(row, group + i / 2, i % 2);
            [_mm512_add_epi32(splat(first), lanes), splat(row), splat(site), splat(step)]
        });
        let [mut k0, mut k1] = draw.key;
        for _ in 0..10 {
            for [c0, c1, c2, c3] in c.iter_mut() {
                let a = _mm512_mul_epu32(*c0, splat(0xd251_1f53));
                let b = _mm512_mul_epu32(*c2, splat(0xcd9e_8d57));
                *c0 = _mm512_ternarylogic_epi32::<0x96>(_mm512_srli_epi64::<32>(b), *c1, splat(k0));
                *c2 = _mm512_ternarylogic_epi32::<0x96>(_mm512_srli_epi64::<32>(a), *c3, splat(k1));
                (*c1, *c3) = (b, a);
            }
            (k0, k1) = (k0.wrapping_add(0x9e37_79b9), k1.wrapping_add(0xbb67_ae85));
        }
        let threshold = _mm512_set1_epi16(draw.threshold as i16);
        std::array::from_fn(|i| {
            std::array::from_fn(|word| {
                let (even, odd) = (c[2 * i][word], c[2 * i + 1][word]);
                let word = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd));
                _mm512_cmpge_epu16_mask(word, threshold)
            })
        })
    }
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
    fn every_instruction_set_draws_the_mask_of_its_definition() {
        let draw = Draw::new(0.3, 5_000_000_019, 7, 2, 33).unwrap();
        for (row, first) in [(0, 0), (70, 3), (123_456, 500)] {
            for isa in Isa::available() {
                let mut masks = [0; 12];
                draw.kept(isa, row, first, &mut masks);
                for (group, kept) in (first..).zip(masks.chunks(4)) {
                    for column in 0..GROUP {
                        let counter = [(16 * group + column % 32 / 2) as u32, row as u32, 33 + 2 * 65_536, 7];
                        let word = philox(counter, [705_032_723, 1])[column / 32];
                        let half = if column % 2 == 0 { word & 0xffff } else { word >> 16 };
                        let wanted = half as f64 >= (0.3f64 * 65_536.0).round();
                        assert_eq!(kept[column / 32] >> (column % 32) & 1 == 1, wanted, "{isa:?}");
                    }
                }
            }
        }
    }
}
