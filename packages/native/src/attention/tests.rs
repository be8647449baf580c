//! Attention against its formulas in f64.

use super::{backward, forward};
use crate::arguments::{Attention, AttentionBackward, Geometry};
use crate::buffer::DType;
use crate::gemm::testing::{error, Random, Tensor};
use crate::isa::Isa;
use crate::pool::Pool;

#[derive(Clone)]
struct Case {
    lengths: Vec<usize>,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    window: usize,
    soft_cap: f32,
    slopes: bool,
    /// q, k and v in one tensor, head by head, as Bloom packs them.
    packed: bool,
    dtype: DType,
    compute: bool,
}

const CASE: Case = Case {
    lengths: Vec::new(),
    heads: 2,
    kv_heads: 2,
    dim: 8,
    window: 0,
    soft_cap: 0.0,
    slopes: false,
    packed: false,
    dtype: DType::F32,
    compute: false,
};

/// Dense results of one head layout: out, lse, dq, dk, dv.
struct Exact {
    out: Vec<f64>,
    lse: Vec<f64>,
    dq: Vec<f64>,
    dk: Vec<f64>,
    dv: Vec<f64>,
}

/// Attention and its gradient as the formulas say, in f64, on dense (rows, heads, dim) inputs.
fn exact(case: &Case, q: &[f32], k: &[f32], v: &[f32], slopes: &[f32], d_out: &[f32], scale: f32) -> Exact {
    let Case { heads, kv_heads, dim, window, .. } = *case;
    let (cap, scale) = (case.soft_cap as f64, scale as f64);
    let rows: usize = case.lengths.iter().sum();
    let size = |heads: usize| vec![0f64; rows * heads * dim];
    let (mut out, mut dq, mut dk, mut dv) = (size(heads), size(heads), size(kv_heads), size(kv_heads));
    let mut lse = vec![0f64; heads * rows];
    let mut first = 0;
    for len in &case.lengths {
        for h in 0..heads {
            let g = h * kv_heads / heads;
            for i in 0..*len {
                let from = if window > 0 { (i + 1).saturating_sub(window) } else { 0 };
                let qi = ((first + i) * heads + h) * dim;
                let kj = |j: usize| ((first + j) * kv_heads + g) * dim;
                let dot = |a: &[f32], b: &[f32]| std::iter::zip(a, b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>();
                let raw: Vec<f64> = (from..=i).map(|j| dot(&q[qi..qi + dim], &k[kj(j)..kj(j) + dim]) * scale).collect();
                let score = |j: usize| {
                    let s = raw[j - from];
                    let s = if cap > 0.0 { cap * (s / cap).tanh() } else { s };
                    s + slopes.get(h).map_or(0.0, |m| *m as f64 * (j as f64 - i as f64))
                };
                let sum: f64 = (from..=i).map(|j| score(j).exp()).sum();
                lse[h * rows + first + i] = sum.ln();
                let p: Vec<f64> = (from..=i).map(|j| score(j).exp() / sum).collect();
                for j in from..=i {
                    for e in 0..dim {
                        out[qi + e] += p[j - from] * v[kj(j) + e] as f64;
                    }
                }
                let delta: f64 = (0..dim).map(|e| d_out[qi + e] as f64 * out[qi + e]).sum();
                for j in from..=i {
                    let dp = dot(&d_out[qi..qi + dim], &v[kj(j)..kj(j) + dim]);
                    let slope = if cap > 0.0 { 1.0 - (raw[j - from] / cap).tanh().powi(2) } else { 1.0 };
                    let ds = p[j - from] * (dp - delta) * slope * scale;
                    for e in 0..dim {
                        dv[kj(j) + e] += p[j - from] * d_out[qi + e] as f64;
                        dq[qi + e] += ds * k[kj(j) + e] as f64;
                        dk[kj(j) + e] += ds * q[qi + e] as f64;
                    }
                }
            }
        }
        first += len;
    }
    Exact { out, lse, dq, dk, dv }
}

/// Where a head's rows lie in a tensor: offset, row stride, head stride.
type Layout = (usize, usize, usize);

fn dense(values: &[f32], rows: usize, heads: usize, dim: usize, (offset, stride, head): Layout) -> Vec<f32> {
    let at = |i: usize| offset + (i / dim / heads) * stride + (i / dim % heads) * head + i % dim;
    (0..rows * heads * dim).map(|i| values[at(i)]).collect()
}

impl Case {
    fn run(&self, seed: u64) {
        let mut random = Random(seed);
        let Case { heads, kv_heads, dim, dtype, compute, .. } = *self;
        let rows: usize = self.lengths.iter().sum();
        let scale = 1.3 / (dim as f32).sqrt();
        let (qo, ko, vo): (Layout, Layout, Layout) = if self.packed {
            let row = heads * 3 * dim;
            ((0, row, 3 * dim), (dim, row, 3 * dim), (2 * dim, row, 3 * dim))
        } else {
            ((0, heads * dim, dim), (0, kv_heads * dim, dim), (0, kv_heads * dim, dim))
        };
        let tensor = |random: &mut Random, heads: usize| {
            let n = if self.packed { rows * heads * 3 * dim } else { rows * heads * dim };
            let values: Vec<f32> = (0..n).map(|_| random.value() * 1.5).collect();
            Tensor::of(&values, dtype, seed.is_multiple_of(2))
        };
        let q = tensor(&mut random, heads);
        let k = if self.packed { None } else { Some(tensor(&mut random, kv_heads)) };
        let v = if self.packed { None } else { Some(tensor(&mut random, kv_heads)) };
        let (k, v) = (k.as_ref().unwrap_or(&q), v.as_ref().unwrap_or(&q));
        let d_out = Tensor::random(&mut random, rows * heads * dim, dtype, true);
        let slopes: Vec<f32> = (0..if self.slopes { heads } else { 0 }).map(|h| 0.5f32.powi(h as i32 + 1)).collect();
        let mut offsets = vec![0i32];
        self.lengths.iter().for_each(|n| offsets.push(offsets.last().unwrap() + *n as i32));
        let (slope_tensor, segments) = (Tensor::of(&slopes, DType::F32, true), Tensor::ints(&offsets));

        let of = |t: &Tensor, heads, layout| dense(&t.values(), rows, heads, dim, layout);
        let (dense_q, dense_k, dense_v) = (of(&q, heads, qo), of(k, kv_heads, ko), of(v, kv_heads, vo));
        let want = exact(self, &dense_q, &dense_k, &dense_v, &slopes, &d_out.values(), scale);

        let tolerance = if compute || dtype == DType::Bf16 { 0.02 } else { 3e-6 };
        for isa in Isa::available() {
            let mut bits: Option<Vec<u32>> = None;
            for threads in [1, 2, 3] {
                let pool = Pool::new(threads).unwrap();
                let out = Tensor::new(rows * heads * dim, dtype, true);
                let lse = Tensor::new(heads * rows, DType::F32, true);
                let grad = |t: &Tensor| Tensor::of(&vec![7.0; t.values().len()], dtype, true);
                let (dq, dk, dv) = (grad(&q), grad(k), grad(v));
                let skip = |t: &Tensor, layout: Layout| t.view().skip(layout.0);
                let geometry = Geometry {
                    q: skip(&q, qo),
                    k: skip(k, ko),
                    v: skip(v, vo),
                    segments: segments.view(),
                    slopes: self.slopes.then(|| slope_tensor.view()),
                    segment_count: self.lengths.len(),
                    rows,
                    heads,
                    kv_heads,
                    dim,
                    q_stride: qo.1,
                    q_head: qo.2,
                    k_stride: ko.1,
                    k_head: ko.2,
                    v_stride: vo.1,
                    v_head: vo.2,
                    scale,
                    soft_cap: self.soft_cap,
                    window: self.window,
                    compute,
                };
                let args = Attention { out: out.view(), lse: lse.view(), geometry: geometry.clone() };
                forward(&pool, isa, &args).unwrap();
                let (dk, dv) = if self.packed { (&dq, &dq) } else { (&dk, &dv) };
                let backward_args = AttentionBackward {
                    dq: skip(&dq, qo),
                    dk: skip(dk, ko),
                    dv: skip(dv, vo),
                    d_out: d_out.view(),
                    out: out.view(),
                    lse: lse.view(),
                    geometry,
                };
                backward(&pool, isa, &backward_args).unwrap();
                for (name, got, want) in [
                    ("out", out.values(), &want.out),
                    ("lse", lse.values(), &want.lse),
                    ("dq", of(&dq, heads, qo), &want.dq),
                    ("dk", of(dk, kv_heads, ko), &want.dk),
                    ("dv", of(dv, kv_heads, vo), &want.dv),
                ] {
                    let e = error(&got, want);
                    assert!(e < tolerance, "{isa:?} {name}: error {e}, case {seed}");
                }
                for t in [&out, &lse, &dq, dk, dv] {
                    t.check_guard();
                }
                let all: Vec<u32> = [&out, &lse, &dq, dk, dv].iter().flat_map(|t| t.bits()).collect();
                assert!(bits.as_ref().is_none_or(|b| *b == all), "{isa:?}: {threads} threads give other bits");
                bits.get_or_insert(all);
            }
        }
    }
}

#[test]
fn causal_attention_and_its_gradient_agree_with_f64_for_every_head_size() {
    for (seed, dim) in [1, 2, 3, 7, 16, 33, 64, 80, 129, 256].into_iter().enumerate() {
        Case { lengths: vec![1, 37, 5], dim, ..CASE }.run(seed as u64);
    }
}

#[test]
fn several_bands_of_queries_and_keys_agree_with_f64() {
    for (seed, lengths) in [vec![112], vec![113], vec![300], vec![129, 1, 250]].into_iter().enumerate() {
        Case { lengths, ..CASE }.run(seed as u64);
    }
}

#[test]
fn windows_slopes_caps_and_grouped_heads_agree_with_f64() {
    let case = Case { lengths: vec![40, 1, 290], dim: 5, ..CASE };
    for (seed, window) in [1, 2, 17, 128, 200, 1000].into_iter().enumerate() {
        Case { window, heads: 3, kv_heads: 1, ..case.clone() }.run(seed as u64);
    }
    Case { slopes: true, packed: true, ..case.clone() }.run(11);
    Case { soft_cap: 1.5, heads: 4, kv_heads: 2, ..case.clone() }.run(12);
    Case { soft_cap: 2.0, slopes: true, window: 33, heads: 6, kv_heads: 3, ..case.clone() }.run(13);
    Case { dtype: DType::Bf16, compute: true, slopes: true, packed: true, ..case.clone() }.run(14);
    Case { dtype: DType::Bf16, compute: true, soft_cap: 3.0, window: 100, heads: 6, kv_heads: 2, ..case.clone() }
        .run(15);
    Case { dtype: DType::Bf16, compute: false, ..case.clone() }.run(16);
    Case { dtype: DType::F32, compute: true, dim: 64, ..case }.run(17);
}

#[test]
fn no_rows_and_empty_segments_are_left_alone() {
    Case { lengths: vec![], ..CASE }.run(1);
    Case { lengths: vec![0, 3, 0], ..CASE }.run(2);
}

/// Arguments of one row of one head, all views the same memory.
fn smallest(tensor: &Tensor, segments: &Tensor) -> Geometry {
    let view = tensor.view();
    Geometry {
        q: view,
        k: view,
        v: view,
        segments: segments.view(),
        slopes: None,
        segment_count: 1,
        rows: 1,
        heads: 1,
        kv_heads: 1,
        dim: 4,
        q_stride: 4,
        q_head: 4,
        k_stride: 4,
        k_head: 4,
        v_stride: 4,
        v_head: 4,
        scale: 1.0,
        soft_cap: 0.0,
        window: 0,
        compute: false,
    }
}

#[test]
fn sizes_that_wrap_around_and_heads_that_share_unevenly_are_refused() {
    let (tensor, segments) = (Tensor::new(64, DType::F32, true), Tensor::ints(&[0, 1]));
    let check = |geometry: Geometry| {
        let view = tensor.view();
        let backward = AttentionBackward {
            dq: view,
            dk: view,
            dv: view,
            d_out: view,
            out: view,
            lse: view,
            geometry: geometry.clone(),
        };
        let result = Attention { out: view, lse: view, geometry }.check();
        assert_eq!(result, backward.check());
        result
    };
    let one = || smallest(&tensor, &segments);
    assert_eq!(check(one()), Ok(()));
    let half = 1 << 32;
    for (geometry, name) in [
        (Geometry { heads: half, dim: half, ..one() }, "1 x 4294967296 x 4294967296"),
        (Geometry { rows: half, heads: half, dim: 0, ..one() }, "4294967296 x 4294967296"),
        (Geometry { heads: 2, q_head: usize::MAX, ..one() }, "2 heads of 4 elements"),
        (Geometry { heads: 2, kv_heads: 2, k_head: usize::MAX - 3, ..one() }, "2 heads of 4 elements"),
        (Geometry { rows: 2, q_stride: usize::MAX, ..one() }, "q (2, 1, 4)"),
        (Geometry { rows: 3, v_stride: 1 << 63, ..one() }, "v (3, 1, 4)"),
        (Geometry { segment_count: usize::MAX, ..one() }, "segments"),
    ] {
        let message = check(geometry).unwrap_err();
        assert!(message.contains(name), "{message}");
    }
    for (heads, kv_heads) in [(7, 3), (2, 4), (0, 1), (1, 0)] {
        let message = check(Geometry { heads, kv_heads, ..one() }).unwrap_err();
        assert_eq!(message, format!("{heads} query heads cannot share {kv_heads} key heads evenly"));
    }
}
