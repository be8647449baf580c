//! From the product of a query and a key to its score, and who sees whom.

use crate::math::tanh_f32;

/// What turns a product into a score.
#[derive(Clone, Copy)]
pub struct Scores {
    pub scale: f32,
    pub soft_cap: f32,
    pub slope: f32,
    pub window: usize,
}

impl Scores {
    /// A query sees the keys that are less than this far before it.
    #[inline(always)]
    pub fn reach(&self) -> u32 {
        let farthest = i32::MAX as usize;
        (if self.window == 0 { farthest } else { self.window.min(farthest) }) as u32
    }

    /// The score of a product.
    #[inline(always)]
    pub fn of<const CAP: bool>(&self, product: f32, behind: i32) -> f32 {
        let Scores { scale, soft_cap, slope, .. } = *self;
        let capped = if CAP { soft_cap * tanh_f32(product * scale / soft_cap) } else { product * scale };
        capped - slope * behind as f32
    }

    /// The derivative of the cap.
    #[inline(always)]
    pub fn slope_of_cap<const CAP: bool>(&self, product: f32) -> f32 {
        if !CAP {
            return 1.0;
        }
        let t = tanh_f32(product * self.scale / self.soft_cap);
        1.0 - t * t
    }

    /// Keys that query `q` sees, cut to `count` keys from `first` on and counted from there.
    #[inline(always)]
    pub fn keys(&self, q: usize, first: usize, count: usize) -> (usize, usize) {
        let from = if self.window > 0 { (q + 1).saturating_sub(self.window) } else { 0 };
        let (from, to) = (from.saturating_sub(first).min(count), (q + 1).saturating_sub(first).min(count));
        (from.min(to), to)
    }

    /// Queries that see key `k`, cut to `count` queries from `first` on and counted from there.
    #[inline(always)]
    pub fn queries(&self, k: usize, first: usize, count: usize) -> (usize, usize) {
        let to = if self.window > 0 { (k + self.window).saturating_sub(first).min(count) } else { count };
        (k.saturating_sub(first).min(to), to)
    }
}
