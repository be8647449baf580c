use super::testing::{Random, Tensor};
use super::*;
use crate::buffer::{Bf16, Elem};

/// A product to test: factors, output and what it should be.
struct Case {
    m: usize,
    n: usize,
    out: DType,
    bias: Option<DType>,
    accumulate: bool,
    bf16: bool,
    aligned: bool,
    terms: Vec<TermCase>,
}

#[derive(Clone, Copy)]
struct TermCase {
    k: usize,
    a: DType,
    b: DType,
    a_trans: bool,
    b_trans: bool,
    scale: f32,
}

const PLAIN: TermCase = TermCase { k: 0, a: DType::F32, b: DType::F32, a_trans: false, b_trans: true, scale: 1.0 };

fn round(x: f32, bf16: bool) -> f64 {
    if bf16 {
        Bf16::from_f32(x).to_f32() as f64
    } else {
        x as f64
    }
}

impl Case {
    /// Runs on every instruction set with one, two and three threads; checks bits between threads and values against f64.
    fn run(&self, seed: u64) {
        let mut random = Random(seed);
        let Case { m, n, aligned, .. } = *self;
        let ldc = n + random.below(3);
        let old: Vec<f32> = (0..m * ldc).map(|_| random.value()).collect();
        let bias = self.bias.map(|dtype| Tensor::random(&mut random, n, dtype, aligned));
        let mut factors = Vec::new();
        for t in &self.terms {
            let (ar, ac) = if t.a_trans { (t.k, m) } else { (m, t.k) };
            let (br, bc) = if t.b_trans { (n, t.k) } else { (t.k, n) };
            let (lda, ldb) = (ac + random.below(3), bc + random.below(3));
            let a = Tensor::random(&mut random, ar * lda, t.a, aligned);
            let b = Tensor::random(&mut random, br * ldb, t.b, aligned);
            factors.push((a, lda, b, ldb));
        }
        let terms: Vec<Term> = std::iter::zip(&self.terms, &factors)
            .map(|(t, (a, lda, b, ldb))| Term {
                a: a.view(),
                lda: *lda,
                a_trans: t.a_trans,
                b: b.view(),
                ldb: *ldb,
                b_trans: t.b_trans,
                k: t.k,
                scale: t.scale,
                mask: None,
            })
            .collect();

        let mut exact = vec![0f64; m * n];
        let mut magnitude = vec![0f64; m * n];
        for (t, (a, lda, b, ldb)) in std::iter::zip(&self.terms, &factors) {
            let (a, b) = (a.values(), b.values());
            for i in 0..m {
                for j in 0..n {
                    for p in 0..t.k {
                        let x = a[if t.a_trans { p * lda + i } else { i * lda + p }] * t.scale;
                        let y = b[if t.b_trans { j * ldb + p } else { p * ldb + j }];
                        let product = round(x, self.bf16) * round(y, self.bf16);
                        exact[i * n + j] += product;
                        magnitude[i * n + j] += product.abs();
                    }
                }
            }
        }
        let start = Tensor::of(&old, self.out, aligned).values();
        for i in 0..m {
            for j in 0..n {
                if let Some(bias) = &bias {
                    exact[i * n + j] += bias.values()[j] as f64;
                }
                if self.accumulate {
                    exact[i * n + j] += start[i * ldc + j] as f64;
                }
            }
        }

        for isa in Isa::available() {
            let mut first: Option<Vec<u32>> = None;
            for threads in [1, 2, 3] {
                let pool = Pool::new(threads).unwrap();
                let out = Tensor::of(&old, self.out, aligned);
                let args = MatMul {
                    out: out.view(),
                    ldc,
                    m,
                    n,
                    bias: bias.as_ref().map(Tensor::view),
                    accumulate: self.accumulate,
                    bf16: self.bf16,
                    terms: &terms,
                };
                mat_mul(&pool, isa, &args).unwrap();
                out.check_guard();
                let got = out.values();
                for i in 0..m {
                    for j in 0..ldc {
                        let g = got[i * ldc + j];
                        if j >= n {
                            assert_eq!(g, start[i * ldc + j], "the gap behind row {i} was written");
                            continue;
                        }
                        let want = exact[i * n + j];
                        let half_ulp = if self.out == DType::Bf16 { want.abs() * 2f64.powi(-8) } else { 0.0 };
                        let bound = half_ulp * 1.05 + magnitude[i * n + j] * 3e-7 * 8.0 + 1e-6;
                        let what = format!("{isa:?} m {m} n {n} threads {threads} ({i}, {j}): {g} for {want}");
                        assert!((g as f64 - want).abs() <= bound, "{what}");
                    }
                }
                let bits = out.bits();
                assert!(first.as_ref().is_none_or(|f| *f == bits), "{isa:?}: {threads} threads give other bits");
                first.get_or_insert(bits);
            }
        }
    }
}

const SIZES: [usize; 10] = [1, 2, 3, 13, 14, 15, 31, 32, 33, 100];

#[test]
fn odd_shapes_in_every_layout_agree_with_f64() {
    let mut random = Random(1);
    for m in SIZES {
        for n in SIZES {
            for k in [1, 2, 15, 16, 33, 100] {
                let b_trans = random.below(2) == 0;
                let term = TermCase { k, a_trans: random.below(2) == 0, b_trans, ..PLAIN };
                let bf16 = random.below(2) == 0;
                let case = Case {
                    m,
                    n,
                    out: DType::F32,
                    bias: None,
                    accumulate: false,
                    bf16,
                    aligned: true,
                    terms: vec![term],
                };
                case.run((m * 10000 + n * 100 + k) as u64);
            }
        }
    }
}

#[test]
fn every_dtype_transpose_and_epilogue_agrees_with_f64() {
    let mut seed = 0;
    for out in RESULTS {
        for a in FLOATS {
            for b in FLOATS {
                for flags in 0..64 {
                    let flag = |bit: usize| flags >> bit & 1 == 1;
                    seed += 1;
                    let mut random = Random(seed);
                    let size = |random: &mut Random| SIZES[random.below(SIZES.len())];
                    let (m, n, k) = (size(&mut random), size(&mut random), size(&mut random));
                    let terms = (0..1 + random.below(3))
                        .map(|i| TermCase {
                            k: if i == 0 { k } else { random.below(9) },
                            a,
                            b,
                            a_trans: flag(0) ^ (i == 1),
                            b_trans: flag(1) ^ (i == 2),
                            scale: [1.0, 0.7, -2.0][random.below(3)],
                        })
                        .collect();
                    let bias = flag(2).then_some(FLOATS[random.below(3)]);
                    Case { m, n, out, bias, accumulate: flag(3), bf16: flag(4), aligned: flag(5), terms }.run(seed);
                }
            }
        }
    }
}

#[test]
fn few_rows_agree_with_f64_and_a_row_does_not_depend_on_how_many_there_are() {
    let mut random = Random(6);
    for (n, k) in [(131, 1100), (70, 896), (3, 37)] {
        for (b, bf16) in [(DType::Bf16, true), (DType::Bf16, false), (DType::F16, true), (DType::F32, false)] {
            let term = TermCase { k, b, scale: 0.75, ..PLAIN };
            for m in [1, 3, 8] {
                let bias = Some(DType::Bf16);
                let terms = vec![term, TermCase { k: 8, ..PLAIN }];
                Case { m, n, out: DType::F32, bias, accumulate: true, bf16, aligned: false, terms }.run((m * k) as u64);
            }
            let (rows, weight) =
                (Tensor::random(&mut random, 16 * k, DType::F32, true), Tensor::random(&mut random, n * k, b, false));
            let (a, b) = (rows.view(), weight.view());
            let terms = [Term { a, lda: k, a_trans: false, b, ldb: k, b_trans: true, k, scale: 1.0, mask: None }];
            for isa in Isa::available() {
                let product = |m: usize| {
                    let out = Tensor::new(m * n, DType::F32, true);
                    let (view, bias) = (out.view(), None);
                    let args = MatMul { out: view, ldc: n, m, n, bias, accumulate: false, bf16, terms: &terms };
                    mat_mul(&Pool::new(2).unwrap(), isa, &args).unwrap();
                    out.bits()
                };
                let all = product(16);
                for m in 1..16 {
                    assert_eq!(product(m), all[..m * n], "{isa:?}: {m} rows");
                }
            }
        }
    }
}

#[test]
fn long_sums_stay_in_f32_until_they_are_complete() {
    for (seed, k) in [4864, 4865, 5121, 20_000, 151_936].into_iter().enumerate() {
        for bf16 in [true, false] {
            for (m, b_trans) in [(3, true), (5, true), (17, false)] {
                let dtype = if bf16 { DType::Bf16 } else { DType::F32 };
                let term = TermCase { k, a: dtype, b: dtype, b_trans, ..PLAIN };
                let terms = vec![term, TermCase { k: 8, ..term }];
                let case =
                    Case { m, n: 35, out: dtype, bias: Some(DType::F32), accumulate: true, bf16, aligned: true, terms };
                if k < 10_000 || m < 17 {
                    case.run(seed as u64);
                }
            }
        }
    }
}

#[test]
fn a_bf16_result_is_as_good_as_one_rounding_of_the_exact_one() {
    for k in [4864, 151_936] {
        let (m, n) = (16, 33);
        let mut random = Random(k as u64);
        let a = Tensor::random(&mut random, m * k, DType::Bf16, true);
        let b = Tensor::random(&mut random, n * k, DType::Bf16, true);
        let (x, y) = (a.values(), b.values());
        let (mut ours, mut rounding) = (0f64, 0f64);
        for isa in Isa::available() {
            let out = Tensor::new(m * n, DType::Bf16, true);
            let term = Term {
                a: a.view(),
                lda: k,
                a_trans: false,
                b: b.view(),
                ldb: k,
                b_trans: true,
                k,
                scale: 1.0,
                mask: None,
            };
            let args =
                MatMul { out: out.view(), ldc: n, m, n, bias: None, accumulate: false, bf16: true, terms: &[term] };
            mat_mul(&Pool::new(2).unwrap(), isa, &args).unwrap();
            for (at, got) in out.values().into_iter().enumerate() {
                let (i, j) = (at / n, at % n);
                let exact: f64 = (0..k).map(|p| x[i * k + p] as f64 * y[j * k + p] as f64).sum();
                ours += (got as f64 - exact).powi(2);
                rounding += (Bf16::from_f32(exact as f32).to_f32() as f64 - exact).powi(2);
            }
            assert!(ours.sqrt() <= 1.05 * rounding.sqrt(), "{isa:?} k {k}: {} for {}", ours.sqrt(), rounding.sqrt());
        }
    }
}

#[test]
fn many_bands_steps_and_passes_agree_with_f64() {
    // More than one band of B, several row pieces per task, several passes with an f32 partial result.
    for (seed, (m, k, n, bf16)) in
        [(130, 700, 1600, true), (61, 300, 2500, false), (70, 5300, 420, true), (70, 5300, 230, false)]
            .into_iter()
            .enumerate()
    {
        let dtype = if bf16 { DType::Bf16 } else { DType::F32 };
        for b_trans in [true, false] {
            let terms =
                vec![TermCase { k, a: dtype, b: dtype, b_trans, ..PLAIN }, TermCase { k: 8, scale: 2.0, ..PLAIN }];
            Case { m, n, out: dtype, bias: None, accumulate: seed % 2 == 0, bf16, aligned: true, terms }
                .run(seed as u64);
        }
    }
}

#[test]
fn an_empty_sum_gives_the_bias_or_zero_and_empty_results_are_left_alone() {
    for (m, n) in [(3, 5), (40, 70), (0, 4), (4, 0)] {
        for bias in [None, Some(DType::F16)] {
            for terms in [vec![], vec![PLAIN], vec![PLAIN, TermCase { b_trans: false, ..PLAIN }]] {
                for accumulate in [false, true] {
                    let out = DType::F32;
                    Case { m, n, out, bias, accumulate, bf16: true, aligned: false, terms: terms.clone() }.run(7);
                }
            }
        }
    }
}

#[test]
fn nan_and_infinity_stay_in_their_rows_and_columns() {
    for isa in Isa::available() {
        for bf16 in [false, true] {
            for (m, n, k) in [(2, 5, 7), (15, 33, 7), (29, 40, 35)] {
                let pool = Pool::new(2).unwrap();
                let mut a = vec![1f32; m * k];
                let mut b = vec![1f32; n * k];
                a[(m - 1) * k + 2] = f32::NAN;
                b[(n - 1) * k + 3] = f32::INFINITY;
                a[k + 4] = f32::NEG_INFINITY;
                let (a, b) = (Tensor::of(&a, DType::F32, true), Tensor::of(&b, DType::Bf16, true));
                let out = Tensor::new(m * n, DType::F32, true);
                let term = Term {
                    a: a.view(),
                    lda: k,
                    a_trans: false,
                    b: b.view(),
                    ldb: k,
                    b_trans: true,
                    k,
                    scale: 1.0,
                    mask: None,
                };
                let args =
                    MatMul { out: out.view(), ldc: n, m, n, bias: None, accumulate: false, bf16, terms: &[term] };
                mat_mul(&pool, isa, &args).unwrap();
                for (at, got) in out.values().into_iter().enumerate() {
                    let (i, j) = (at / n, at % n);
                    let what = format!("{isa:?} ({i}, {j}) of ({m}, {n}): {got}");
                    if i == m - 1 || (i == 1 && j == n - 1) {
                        assert!(got.is_nan(), "{what}");
                    } else if i == 1 {
                        assert_eq!(got, f32::NEG_INFINITY, "{what}");
                    } else if j == n - 1 {
                        assert_eq!(got, f32::INFINITY, "{what}");
                    } else {
                        assert_eq!(got, k as f32, "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_argument_that_does_not_fit_is_named_with_its_shape() {
    let (a, b, out) =
        (Tensor::new(6, DType::F32, true), Tensor::new(11, DType::F32, true), Tensor::new(8, DType::F32, true));
    let term =
        Term { a: a.view(), lda: 3, a_trans: false, b: b.view(), ldb: 3, b_trans: true, k: 3, scale: 1.0, mask: None };
    let args =
        MatMul { out: out.view(), ldc: 4, m: 2, n: 4, bias: None, accumulate: false, bf16: false, terms: &[term] };
    let error = mat_mul(&Pool::new(1).unwrap(), Isa::Portable, &args).unwrap_err();
    assert!(error.contains("term 0: b (4, 3)") && error.contains("11"), "{error}");
}

#[test]
fn sizes_that_wrap_around_are_refused() {
    let (tensor, mask) = (Tensor::new(64, DType::F32, true), Tensor::ints(&[0]));
    let view = tensor.view();
    let one = Term { a: view, lda: 1, a_trans: false, b: view, ldb: 1, b_trans: true, k: 1, scale: 1.0, mask: None };
    let check = |m: usize, n: usize, ldc: usize, term: Term| {
        MatMul { out: view, ldc, m, n, bias: None, accumulate: false, bf16: false, terms: &[term] }.check()
    };
    assert_eq!(check(2, 3, 3, one), Ok(()));
    let half = 1 << 32;
    for (result, name) in [
        (check(half + 1, half, half, one), "out (4294967297, 4294967296)"),
        (check(3, 1, 1 << 63, one), "out (3, 1)"),
        (check(2, 3, 3, Term { lda: usize::MAX, ..one }), "a (2, 1)"),
        (check(2, 3, 3, Term { ldb: 1 << 63, ..one }), "b (3, 1)"),
        (check(2, 3, 3, Term { k: half + 1, a_trans: true, lda: half, ..one }), "a (4294967297, 2)"),
        (check(2, 3, 3, Term { mask: Some(mask.view()), ..one }), "mask (2, 1)"),
    ] {
        let message = result.unwrap_err();
        assert!(message.contains(name), "{message}");
    }
}
