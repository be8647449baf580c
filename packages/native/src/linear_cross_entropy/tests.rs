//! Cross entropy against its formulas in f64.

use super::{forward, weight_backward, SKIPPED};
use crate::arguments::{LinearCrossEntropy, LinearCrossEntropyWeightBackward};
use crate::buffer::DType;
use crate::gemm::testing::{error, Random, Tensor};
use crate::isa::Isa;
use crate::pool::Pool;

#[derive(Clone, Copy)]
struct Case {
    rows: usize,
    cols: usize,
    vocab: usize,
    soft_cap: f32,
    dtype: DType,
    compute: bool,
    /// One row in so many is skipped; 0 skips none.
    skip: usize,
}

const CASE: Case = Case { rows: 5, cols: 7, vocab: 11, soft_cap: 0.0, dtype: DType::F32, compute: false, skip: 3 };

struct Exact {
    nll: Vec<f64>,
    lse: Vec<f64>,
    correct: Vec<f64>,
    d_hidden: Vec<f64>,
    d_weight: Vec<f64>,
}

fn exact(case: &Case, hidden: &[f32], weight: &[f32], labels: &[i32], upstream: &[f32], d_weight: &[f32]) -> Exact {
    let Case { rows, cols, vocab, .. } = *case;
    let cap = case.soft_cap as f64;
    let (mut nll, mut lse, mut correct) = (vec![0f64; rows], vec![0f64; rows], vec![0f64; rows]);
    let mut d_hidden = vec![0f64; rows * cols];
    let mut d_weight: Vec<f64> = d_weight.iter().map(|x| *x as f64).collect();
    for r in (0..rows).filter(|r| labels[*r] >= 0) {
        let label = labels[r] as usize;
        let raw: Vec<f64> = (0..vocab)
            .map(|v| (0..cols).map(|c| hidden[r * cols + c] as f64 * weight[v * cols + c] as f64).sum())
            .collect();
        let z: Vec<f64> = raw.iter().map(|s| if cap > 0.0 { cap * (s / cap).tanh() } else { *s }).collect();
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        lse[r] = sum.ln();
        nll[r] = lse[r] - z[label];
        let best = (0..vocab).fold(0, |b, v| if z[v] > z[b] { v } else { b });
        correct[r] = if best == label { 1.0 } else { 0.0 };
        for v in 0..vocab {
            let slope = if cap > 0.0 { 1.0 - (z[v] / cap).powi(2) } else { 1.0 };
            let d = (z[v].exp() / sum - if v == label { 1.0 } else { 0.0 }) * slope;
            for c in 0..cols {
                d_hidden[r * cols + c] += d * weight[v * cols + c] as f64;
                d_weight[v * cols + c] += upstream[r] as f64 * d * hidden[r * cols + c] as f64;
            }
        }
    }
    Exact { nll, lse, correct, d_hidden, d_weight }
}

impl Case {
    fn run(self, seed: u64) {
        let mut random = Random(seed);
        let Case { rows, cols, vocab, soft_cap, dtype, compute, skip } = self;
        let hidden = Tensor::random(&mut random, rows * cols, dtype, true);
        let weight = Tensor::random(&mut random, vocab * cols, dtype, seed.is_multiple_of(2));
        let skipped = |r: usize| skip > 0 && (r + 1).is_multiple_of(skip);
        let labels: Vec<i32> =
            (0..rows).map(|r| if skipped(r) { SKIPPED } else { random.below(vocab) as i32 }).collect();
        let upstream = Tensor::random(&mut random, rows, DType::F32, true);
        let old: Vec<f32> = (0..vocab * cols).map(|_| random.value()).collect();
        let want = exact(&self, &hidden.values(), &weight.values(), &labels, &upstream.values(), &old);
        let labels = Tensor::ints(&labels);
        let tolerance = if compute { 0.02 } else { 5e-6 };
        for isa in Isa::available() {
            let mut bits: Option<Vec<u32>> = None;
            for threads in [1, 2, 3] {
                let pool = Pool::new(threads).unwrap();
                let vector = || Tensor::of(&vec![9.0; rows], DType::F32, true);
                let (nll, lse, correct) = (vector(), vector(), vector());
                let d_hidden = Tensor::of(&vec![9.0; rows * cols], DType::F32, true);
                let args = LinearCrossEntropy {
                    nll: nll.view(),
                    lse: lse.view(),
                    correct: Some(correct.view()),
                    d_hidden: Some(d_hidden.view()),
                    hidden: hidden.view(),
                    weight: weight.view(),
                    labels: labels.view(),
                    rows,
                    cols,
                    vocab,
                    soft_cap,
                    compute,
                };
                forward(&pool, isa, &args).unwrap();
                let d_weight = Tensor::of(&old, DType::F32, true);
                let backward_args = LinearCrossEntropyWeightBackward {
                    d_weight: d_weight.view(),
                    hidden: hidden.view(),
                    weight: weight.view(),
                    labels: labels.view(),
                    lse: lse.view(),
                    upstream: upstream.view(),
                    rows,
                    cols,
                    vocab,
                    soft_cap,
                    compute,
                };
                weight_backward(&pool, isa, &backward_args).unwrap();
                let results = [
                    ("nll", &nll, &want.nll),
                    ("lse", &lse, &want.lse),
                    ("dHidden", &d_hidden, &want.d_hidden),
                    ("dWeight", &d_weight, &want.d_weight),
                ];
                for (name, got, want) in results {
                    let e = error(&got.values(), want);
                    assert!(e < tolerance, "{isa:?} {name}: error {e}, case {seed}");
                    got.check_guard();
                }
                let hits: Vec<f64> = correct.values().iter().map(|x| *x as f64).collect();
                assert!(compute || hits == want.correct, "{isa:?} correct, case {seed}");
                let all: Vec<u32> = results.iter().flat_map(|(_, t, _)| t.bits()).collect();
                assert!(bits.as_ref().is_none_or(|b| *b == all), "{isa:?}: {threads} threads give other bits");
                bits.get_or_insert(all);

                // Without the optional results the others are the same.
                let (nll_only, lse_only) = (vector(), vector());
                let alone = LinearCrossEntropy {
                    nll: nll_only.view(),
                    lse: lse_only.view(),
                    correct: None,
                    d_hidden: None,
                    ..args
                };
                forward(&pool, isa, &alone).unwrap();
                assert!(error(&nll_only.values(), &want.nll) < tolerance);
                assert!(error(&lse_only.values(), &want.lse) < tolerance);
            }
        }
    }
}

#[test]
fn losses_and_both_gradients_agree_with_f64_on_odd_shapes() {
    let mut seed = 0;
    for (rows, cols, vocab) in [(1, 1, 1), (5, 7, 11), (15, 33, 513), (31, 64, 1500), (130, 20, 4700), (600, 9, 70)] {
        for skip in [0, 1, 2, 3] {
            for soft_cap in [0.0, 2.0] {
                seed += 1;
                Case { rows, cols, vocab, skip, soft_cap, ..CASE }.run(seed);
            }
        }
    }
}

#[test]
fn bf16_factors_stay_close_to_f64() {
    for (seed, (rows, cols, vocab)) in [(15, 33, 513), (40, 64, 1500)].into_iter().enumerate() {
        Case { rows, cols, vocab, dtype: DType::Bf16, compute: true, ..CASE }.run(seed as u64);
        Case { rows, cols, vocab, dtype: DType::Bf16, ..CASE }.run(seed as u64);
        Case { rows, cols, vocab, soft_cap: 3.0, compute: true, ..CASE }.run(seed as u64);
    }
    Case { rows: 130, cols: 18, vocab: 2600, dtype: DType::Bf16, compute: true, ..CASE }.run(2);
}

#[test]
fn a_hidden_too_large_to_be_kept_packed_gives_the_same() {
    Case { rows: 50_000, cols: 100, vocab: 9, ..CASE }.run(0);
}

/// nll, lse, correct and dHidden of one call.
fn call(isa: Isa, hidden: &[f32], weight: &[f32], labels: &[i32], cols: usize) -> Result<[Vec<f32>; 4], String> {
    let (rows, vocab) = (labels.len(), weight.len() / cols);
    let tensor = |values: &[f32]| Tensor::of(values, DType::F32, true);
    let (hidden, weight, labels) = (tensor(hidden), tensor(weight), Tensor::ints(labels));
    let [nll, lse, correct] = [0; 3].map(|_| Tensor::new(rows, DType::F32, true));
    let d_hidden = Tensor::new(rows * cols, DType::F32, true);
    let args = LinearCrossEntropy {
        nll: nll.view(),
        lse: lse.view(),
        correct: Some(correct.view()),
        d_hidden: Some(d_hidden.view()),
        hidden: hidden.view(),
        weight: weight.view(),
        labels: labels.view(),
        rows,
        cols,
        vocab,
        soft_cap: 0.0,
        compute: false,
    };
    forward(&Pool::new(2)?, isa, &args)?;
    Ok([nll, lse, correct, d_hidden].map(|t| t.values()))
}

#[test]
fn a_row_whose_logits_overflow_is_nan_and_the_others_are_not() {
    for isa in Isa::available() {
        let hidden = [1.0, 0.0, f32::MAX, f32::MAX, f32::NAN, 0.0, 0.5, 0.5];
        let weight = [1.0, 1.0, 2.0, -0.5, 0.25, 3.0];
        let [nll, lse, _, d_hidden] = call(isa, &hidden, &weight, &[0, 1, 2, 1], 2).unwrap();
        for row in 0..4 {
            let nan = row == 1 || row == 2;
            assert_eq!([nll[row], lse[row], d_hidden[2 * row]].map(f32::is_nan), [nan; 3], "{isa:?} row {row}");
        }
    }
}

#[test]
fn only_the_first_of_equal_largest_logits_counts_as_correct() {
    for isa in Isa::available() {
        let weight: Vec<f32> = (0..1000).map(|v| if v == 3 || v == 700 || v == 701 { 2.0 } else { 1.0 }).collect();
        let [_, _, correct, _] = call(isa, &[1.0; 4], &weight, &[3, 700, 701, 0], 1).unwrap();
        assert_eq!(correct, [1.0, 0.0, 0.0, 0.0], "{isa:?}");
    }
}

#[test]
fn a_label_outside_the_vocabulary_is_an_error_that_names_it() {
    for label in [3, -1, i32::MAX] {
        let error = call(Isa::Portable, &[1.0; 2], &[1.0; 3], &[0, label], 1).unwrap_err();
        assert!(error.contains(&format!("labels[1] is {label}")), "{error}");
    }
}
