//! Where the rows of each head lie, and which memory a call needs.

use super::scores::Scores;
use crate::arguments::{Attention, AttentionBackward, Geometry};
use crate::buffer::{load, DType, View};
use crate::elementwise::{reach, volume};
use crate::gemm::{Matrix, RESULTS};

impl Attention {
    pub fn check(&self) -> Result<(), String> {
        self.geometry.check(self.out, self.lse)
    }
}

impl Geometry {
    /// Of the inputs, and of the results `out` and `lse` of the forward pass.
    pub fn check(&self, out: View, lse: View) -> Result<(), String> {
        let &Geometry { rows, heads, kv_heads, dim, .. } = self;
        if heads == 0 || kv_heads == 0 || heads % kv_heads != 0 {
            return Err(format!("{heads} query heads cannot share {kv_heads} key heads evenly"));
        }
        let named = |name: &str| format!("{name} ({rows}, {heads}, {dim})");
        out.is_one_of("out", &RESULTS)?;
        out.holds(&named("out"), volume(&[rows, heads, dim])?)?;
        lse.is_one_of("lse", &[DType::F32])?;
        lse.holds(&format!("lse ({heads}, {rows})"), volume(&[heads, rows])?)?;
        self.check_heads("q", self.q, heads, self.q_stride, self.q_head)?;
        self.check_heads("k", self.k, kv_heads, self.k_stride, self.k_head)?;
        self.check_heads("v", self.v, kv_heads, self.v_stride, self.v_head)?;
        if let Some(slopes) = self.slopes {
            slopes.is_one_of("slopes", &[DType::F32])?;
            slopes.holds(&format!("slopes ({heads})"), heads)?;
        }
        self.segments.is_one_of("segments", &[DType::I32])?;
        let count = self.segment_count.saturating_add(1);
        self.segments.holds(&format!("segments ({} + 1)", self.segment_count), count)
    }

    fn check_heads(&self, name: &str, view: View, heads: usize, stride: usize, head: usize) -> Result<(), String> {
        let name = format!("{name} ({}, {heads}, {})", self.rows, self.dim);
        view.is_one_of(&name, &RESULTS)?;
        view.holds_rows(&name, self.rows, reach(heads, self.dim, head)?, stride)
    }

    /// (first token, length) of each segment.
    pub fn segments(&self) -> Result<Vec<(usize, usize)>, String> {
        // SAFETY: `check` found segment_count + 1 elements.
        let at = |i: usize| unsafe { (self.segments.ptr() as *const i32).add(i).read_unaligned() };
        let offsets: Vec<i32> = (0..=self.segment_count).map(at).collect();
        let ordered = offsets.windows(2).all(|w| w[0] <= w[1]);
        if !ordered || offsets[0] != 0 || offsets[self.segment_count] as usize != self.rows {
            return Err(format!("segments must rise from 0 to {} rows, are {offsets:?}", self.rows));
        }
        Ok(offsets.windows(2).map(|w| (w[0] as usize, (w[1] - w[0]) as usize)).collect())
    }

    /// Bands of at most `size` rows of every segment, those with the most `work(length, start)` first.
    pub fn bands(&self, size: usize, work: impl Fn(usize, usize) -> usize) -> Result<Vec<Band>, String> {
        let mut bands = Vec::new();
        for (first, len) in self.segments()? {
            bands.extend((0..len).step_by(size).map(|start| Band { first, len, start, rows: (len - start).min(size) }));
        }
        bands.sort_by_key(|band| std::cmp::Reverse(work(band.len, band.start)));
        Ok(bands)
    }

    pub fn kv_head(&self, head: usize) -> usize {
        head * self.kv_heads / self.heads
    }

    fn slope(&self, head: usize) -> f32 {
        // SAFETY: `check` found one slope per head.
        self.slopes.map_or(0.0, |s| unsafe { load(s.typed::<f32>(), head) })
    }

    pub fn query(&self, token: usize, head: usize) -> Matrix {
        rows_of(self.q, token * self.q_stride + head * self.q_head, self.q_stride)
    }

    pub fn key(&self, token: usize, kv_head: usize) -> Matrix {
        rows_of(self.k, token * self.k_stride + kv_head * self.k_head, self.k_stride)
    }

    pub fn value(&self, token: usize, kv_head: usize) -> Matrix {
        rows_of(self.v, token * self.v_stride + kv_head * self.v_head, self.v_stride)
    }

    /// Where the gradient of keys (of values, if `which` is 1) goes, from `token` on: the first element and the row stride.
    pub fn kv_rows(&self, which: usize, to: View, token: usize, kv_head: usize) -> (View, usize, usize) {
        let (stride, head) = [(self.k_stride, self.k_head), (self.v_stride, self.v_head)][which];
        (to, token * stride + kv_head * head, stride)
    }

    pub fn scores(&self, head: usize) -> Scores {
        Scores { scale: self.scale, soft_cap: self.soft_cap, slope: self.slope(head), window: self.window }
    }

    /// Row stride of f32 accumulators.
    pub fn lanes(&self) -> usize {
        self.dim.next_multiple_of(16)
    }
}

/// Rows `start .. start + rows` of the segment of `len` tokens that begins at token `first`.
#[derive(Clone, Copy)]
pub struct Band {
    pub first: usize,
    pub len: usize,
    pub start: usize,
    pub rows: usize,
}

/// Token rows as a factor whose sum runs over the head's elements.
pub fn rows_of(view: View, offset: usize, stride: usize) -> Matrix {
    let ptr = view.ptr().wrapping_add(offset * view.dtype().size());
    Matrix { ptr, dtype: view.dtype(), ld: stride, across: false }
}

/// The same rows as a factor whose sum runs over the tokens.
pub fn along_tokens(matrix: Matrix) -> Matrix {
    Matrix { across: true, ..matrix }
}

pub fn f32_rows(ptr: *const f32, ld: usize) -> Matrix {
    Matrix { ptr: ptr as *const u8, dtype: DType::F32, ld, across: false }
}

impl AttentionBackward {
    pub fn check(&self) -> Result<(), String> {
        let g = &self.geometry;
        g.check(self.out, self.lse)?;
        self.d_out.is_one_of("dOut", &RESULTS)?;
        self.d_out.holds(&format!("dOut ({}, {}, {})", g.rows, g.heads, g.dim), volume(&[g.rows, g.heads, g.dim])?)?;
        g.check_heads("dq", self.dq, g.heads, g.q_stride, g.q_head)?;
        g.check_heads("dk", self.dk, g.kv_heads, g.k_stride, g.k_head)?;
        g.check_heads("dv", self.dv, g.kv_heads, g.v_stride, g.v_head)
    }

    pub fn d_out(&self, token: usize, head: usize) -> Matrix {
        let Geometry { heads, dim, .. } = self.geometry;
        rows_of(self.d_out, (token * heads + head) * dim, heads * dim)
    }
}
