//! Dropout whose mask is a function of (seed, step, micro-step, site, row, column), by Philox 4x32-10.

use crate::block::{blocks, load, store, BLOCK, ZERO};
use crate::elementwise::{area, float, row_chunks};
use crate::kernels::{Context, Dropout};
use crate::multiversion;

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
    /// A word below this is dropped; 2^32 drops all.
    threshold: u64,
    scale: f32,
}

#[inline(always)]
unsafe fn dropout_body(k: &Dropout, draw: Draw, from: usize, to: usize) {
    let mut v = ZERO;
    // Word by word, so that the draws of many groups run side by side.
    let mut words = [[0u32; BLOCK / 4]; 4];
    for row in from..to {
        for (at, n) in blocks(0, k.cols) {
            let groups = n.div_ceil(4);
            let [a, b, c, d] = &mut words;
            let lanes = a[..groups].iter_mut().zip(&mut b[..groups]).zip(&mut c[..groups]).zip(&mut d[..groups]);
            for (group, (((a, b), c), d)) in lanes.enumerate() {
                let first = (at / 4 + group) as u32;
                [*a, *b, *c, *d] = philox([first, row as u32, draw.site, draw.step], draw.key);
            }
            let v = &mut v[..n];
            // SAFETY: the caller's promise.
            unsafe { load(k.x, row * k.cols + at, v) };
            for (group, four) in v.chunks_mut(4).enumerate() {
                for (word, v) in words.iter().zip(four) {
                    *v = if word[group] as u64 >= draw.threshold { *v * draw.scale } else { 0.0 };
                }
            }
            // SAFETY: the caller's promise.
            unsafe { store(k.out, row * k.cols + at, v) };
        }
    }
}
multiversion! { unsafe fn dropout_rows(k: &Dropout, draw: Draw, from: usize, to: usize) = dropout_body }

pub fn dropout(cx: &Context, k: &Dropout) -> Result<(), String> {
    let count = area(k.rows, k.cols)?;
    float(&k.out, "out", count)?;
    float(&k.x, "x", count)?;
    if !(0.0..=1.0).contains(&k.p) {
        return Err(format!("p must be between 0 and 1, is {}", k.p));
    }
    let draw = Draw {
        key: [k.seed as u64 as u32, (k.seed as u64 >> 32) as u32],
        site: (k.site as u64).wrapping_add(65_536 * k.micro_step as u64) as u32,
        step: k.step as u64 as u32,
        threshold: (k.p * 4_294_967_296.0).ceil() as u64,
        scale: (1.0 / (1.0 - k.p)) as f32,
    };
    // SAFETY: the views hold what is read and written; tasks write disjoint rows.
    row_chunks(cx, k.rows, k.cols, |from, to| unsafe { dropout_rows(cx.isa, k, draw, from, to) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::philox;

    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
