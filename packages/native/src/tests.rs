//! The kernels of this crate (but for products and attention, which have tests of their own) against references written
//! one element at a time in f64, through the queue: on odd sizes, on every instruction set and thread count, which must
//! agree bit for bit.

use std::sync::mpsc::channel;

use crate::buffer::{Bf16, DType, Elem};
use crate::engine::{Command, Engine};
use crate::isa::Isa;
use crate::kernels::KERNELS;

/// Buffers get the ids 1, 2, 3 ... in the order they are made.
struct Bench {
    engine: Engine,
    last: u64,
}

impl Bench {
    fn new(threads: usize, isa: Isa) -> Bench {
        Bench { engine: Engine::new(Some(threads), Some(isa.name())).unwrap(), last: 0 }
    }

    fn make(&mut self, dtype: DType, size: usize, bytes: Vec<u8>) -> f64 {
        self.last += 1;
        let id = self.last;
        self.engine.push(Command::Alloc { id, dtype, size }).unwrap();
        self.engine.push(Command::Write { id, offset: 0, bytes }).unwrap();
        id as f64
    }

    fn f32(&mut self, values: &[f32]) -> f64 {
        self.make(DType::F32, values.len(), values.iter().flat_map(|v| v.to_ne_bytes()).collect())
    }

    fn bf16(&mut self, values: &[f32]) -> f64 {
        self.make(DType::Bf16, values.len(), values.iter().flat_map(|v| Bf16::from_f32(*v).0.to_ne_bytes()).collect())
    }

    fn i32(&mut self, values: &[i32]) -> f64 {
        self.make(DType::I32, values.len(), values.iter().flat_map(|v| v.to_ne_bytes()).collect())
    }

    fn run(&self, name: &str, words: &[f64]) {
        let number = KERNELS.iter().position(|kernel| kernel.name == name).unwrap();
        self.engine.push(Command::Kernel([&[number as f64], words].concat())).unwrap();
    }

    fn read(&self, id: f64, count: usize) -> Result<Vec<f32>, String> {
        let (sender, receiver) = channel();
        let reply = Box::new(move |result| sender.send(result).unwrap());
        self.engine.push(Command::Read { id: id as u64, offset: 0, count, raw: false, reply }).unwrap();
        let bytes = receiver.recv().unwrap()?;
        Ok(bytes.chunks(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

/// Numbers of both signs, between -4 and 4, the same for the same seed.
fn random(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) ^ 0x9e37_79b9;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 21) as f32 - 4.0
    };
    (0..count).map(next).collect()
}

fn bf16(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| Bf16::from_f32(*v).to_f32()).collect()
}

fn close(got: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(got.len(), wanted.len());
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let error = (*got as f64 - wanted).abs();
        assert!(error <= tolerance * (1.0 + wanted.abs()), "[{i}] is {got}, not {wanted}");
    }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    bits(a) == bits(b)
}

/// Runs `test` on every instruction set, on each with 1, 2 and 3 threads, whose results must have the same bits.
fn on_each_isa(test: impl Fn(&mut Bench) -> Vec<f32>) -> Vec<Vec<f32>> {
    let run = |isa: Isa| {
        let [one, two, three] = [1, 2, 3].map(|threads| test(&mut Bench::new(threads, isa)));
        assert!(same_bits(&one, &two) && same_bits(&one, &three), "{} differs between threads", isa.name());
        one
    };
    Isa::available().map(run).collect()
}

/// The same for kernels that do not fuse multiplications and additions, so that every instruction set gives the same bits.
fn everywhere(test: impl Fn(&mut Bench) -> Vec<f32>) -> Vec<f32> {
    let mut results = on_each_isa(test);
    assert!(results.iter().all(|result| same_bits(result, &results[0])), "the instruction sets differ");
    results.swap_remove(0)
}

const SIZES: [usize; 5] = [1, 17, 255, 259, 70_001];

#[test]
fn fill_and_copy() {
    for n in SIZES {
        let x = random(1, n);
        let got = everywhere(|b| {
            let (out, source) = (b.bf16(&vec![0.0; n]), b.f32(&x));
            b.run("copy", &[out, 0.0, source, 0.0, n as f64]);
            b.read(out, n).unwrap()
        });
        assert_eq!(got, bf16(&x));
        let got = everywhere(|b| {
            let out = b.bf16(&vec![0.0; n + 1]);
            b.run("fill", &[out, 1.0, n as f64, -2.5]);
            b.read(out, n + 1).unwrap()
        });
        assert!(got[0] == 0.0 && got[1..].iter().all(|v| *v == -2.5));
    }
}

#[test]
fn add_and_scale() {
    for n in SIZES {
        let (x, y) = (random(1, n), bf16(&random(2, n)));
        let got = everywhere(|b| {
            let (a, other) = (b.f32(&x), b.bf16(&y));
            b.run("add", &[a, 0.0, a, 0.0, other, 0.0, n as f64, 0.5, -3.0]);
            b.read(a, n).unwrap()
        });
        let wanted: Vec<f64> = x.iter().zip(&y).map(|(x, y)| 0.5 * *x as f64 - 3.0 * *y as f64).collect();
        close(&got, &wanted, 1e-6);
        let got = everywhere(|b| {
            let (a, scalar) = (b.f32(&x), b.f32(&[7.0, 0.25]));
            b.run("scale", &[a, 0.0, a, 0.0, 1.0, scalar, 1.0, n as f64, 3.0]);
            b.read(a, n).unwrap()
        });
        close(&got, &x.iter().map(|x| *x as f64 * 0.75).collect::<Vec<_>>(), 1e-6);
        let got = everywhere(|b| {
            let a = b.f32(&x);
            b.run("softCap", &[a, 0.0, a, 0.0, n as f64, 1.5]);
            b.read(a, n).unwrap()
        });
        close(&got, &x.iter().map(|x| 1.5 * (*x as f64 / 1.5).tanh()).collect::<Vec<_>>(), 1e-6);
    }
}

#[test]
fn scale_rows_and_sum_rows() {
    for (rows, cols) in [(1, 1), (3, 17), (200, 300), (131, 513)] {
        let (x, s) = (random(1, rows * cols), random(2, rows));
        let (r, c) = (rows as f64, cols as f64);
        let got = everywhere(|b| {
            let (x, s, out) = (b.f32(&x), b.f32(&s), b.f32(&vec![1.0; cols]));
            b.run("scaleRows", &[x, 0.0, x, 0.0, s, 0.0, r, c]);
            b.run("sumRows", &[out, 0.0, x, 0.0, r, c]);
            [b.read(x, rows * cols).unwrap(), b.read(out, cols).unwrap()].concat()
        });
        let scaled: Vec<f64> = (0..rows * cols).map(|i| x[i] as f64 * s[i / cols] as f64).collect();
        let sums = (0..cols).map(|c| 1.0 + (0..rows).map(|r| scaled[r * cols + c]).sum::<f64>());
        // Partial sums reach some hundreds.
        close(&got, &[scaled.clone(), sums.collect()].concat(), 1e-4);
    }
}

#[test]
fn sums_and_gradient_norms() {
    for n in SIZES {
        let x = random(3, n);
        let got = everywhere(|b| {
            let (x, out) = (b.f32(&x), b.f32(&[0.0; 3]));
            b.run("sum", &[out, 0.0, x, 0.0, n as f64, 0.5]);
            b.run("clipGradNorm", &[out, 1.0, x, 0.0, n as f64, 1.0]);
            b.read(out, 3).unwrap()
        });
        let sum: f64 = x.iter().map(|x| *x as f64).sum();
        let norm = x.iter().map(|x| *x as f64 * *x as f64).sum::<f64>().sqrt();
        close(&got, &[sum * 0.5, norm, (1.0 / (norm + 1e-6)).min(1.0)], 1e-6);
    }
    let got = everywhere(|b| {
        let (x, out) = (b.f32(&[3.0, f32::NAN]), b.f32(&[0.0; 4]));
        b.run("clipGradNorm", &[out, 0.0, x, 0.0, 1.0, 0.0]);
        b.run("clipGradNorm", &[out, 2.0, x, 0.0, 2.0, 1.0]);
        b.read(out, 4).unwrap()
    });
    assert!(got[..2] == [3.0, 1.0] && got[2].is_nan() && got[3].is_nan());
}

#[test]
fn embeddings() {
    let (rows, cols, vocab) = (201, 301, 50);
    let (table, grad) = (bf16(&random(1, vocab * cols)), random(2, rows * cols));
    let ids: Vec<i32> = random(3, rows).iter().map(|x| ((x + 4.0) * 6.0) as i32).collect();
    let shape = [rows as f64, cols as f64, vocab as f64, 2.0];
    let padding = ids[0];
    let got = everywhere(|b| {
        let (out, table, ids) = (b.f32(&vec![0.0; rows * cols]), b.bf16(&table), b.i32(&ids));
        let (d_table, d_out) = (b.f32(&vec![1.0; vocab * cols]), b.f32(&grad));
        b.run("embedding", &[&[out, 0.0, table, 0.0, ids, 0.0], &shape[..]].concat());
        b.run("embeddingBackward", &[&[d_table, 0.0, d_out, 0.0, ids, 0.0], &shape[..], &[padding as f64]].concat());
        [b.read(out, rows * cols).unwrap(), b.read(d_table, vocab * cols).unwrap()].concat()
    });
    let mut wanted = vec![0.0; rows * cols];
    let mut d_table = vec![1.0; vocab * cols];
    for i in 0..rows * cols {
        let at = ids[i / cols] as usize * cols + i % cols;
        wanted[i] = table[at] as f64 * 2.0;
        if ids[i / cols] != padding {
            d_table[at] += grad[i] as f64 * 2.0;
        }
    }
    close(&got, &[wanted, d_table].concat(), 1e-5);
}

#[test]
fn norms_forward_and_backward() {
    for (rows, cols) in [(1, 1), (5, 17), (130, 301)] {
        let (x, w, bias) = (random(1, rows * cols), random(2, cols), random(3, cols));
        let g = random(4, rows * cols);
        let (r, c) = (rows as f64, cols as f64);
        let n = rows * cols;
        let got = everywhere(|b| {
            let (xb, wb, bb, gb) = (b.f32(&x), b.f32(&w), b.f32(&bias), b.f32(&g));
            let (out, mean, rstd) = (b.f32(&vec![0.0; n]), b.f32(&vec![0.0; rows]), b.f32(&vec![0.0; rows]));
            let (dw, db) = (b.f32(&vec![0.0; cols]), b.f32(&vec![0.0; cols]));
            let mut all = Vec::new();
            b.run("layerNorm", &[out, 0., mean, 0., rstd, 0., xb, 0., wb, 0., bb, 0., r, c, 1e-5]);
            all.extend(b.read(out, n).unwrap());
            b.run(
                "layerNormBackward",
                &[out, 0., gb, 0., dw, 0., db, 0., gb, 0., xb, 0., wb, 0., mean, 0., rstd, 0., r, c],
            );
            all.extend([b.read(out, n).unwrap(), b.read(dw, cols).unwrap(), b.read(db, cols).unwrap()].concat());
            b.run("rmsNorm", &[out, 0., rstd, 0., xb, 0., wb, 0., r, c, 1e-5, 1.0]);
            all.extend(b.read(out, n).unwrap());
            b.run("rmsNormBackward", &[out, 0., 0., 0., db, 0., gb, 0., xb, 0., wb, 0., rstd, 0., r, c, 1.0]);
            all.extend([b.read(out, n).unwrap(), b.read(db, cols).unwrap()].concat());
            all
        });
        let at = |v: &[f32], r: usize, c: usize| v[r * cols + c] as f64;
        let (mut ln, mut ln_dx, mut dw, mut db) = (vec![0.0; n], vec![0.0; n], vec![0.0; cols], vec![0.0; cols]);
        let (mut rms, mut rms_dx) = (vec![0.0; n], vec![0.0; n]);
        for row in 0..rows {
            let mean_of = |f: &dyn Fn(usize) -> f64| (0..cols).map(f).sum::<f64>() / cols as f64;
            let mean = mean_of(&|c| at(&x, row, c));
            let rstd = 1.0 / (mean_of(&|c| (at(&x, row, c) - mean).powi(2)) + 1e-5).sqrt();
            let hat = |c: usize| (at(&x, row, c) - mean) * rstd;
            let gw = |c: usize| at(&g, row, c) * w[c] as f64;
            let (mean_g, mean_gx) = (mean_of(&gw), mean_of(&|c| gw(c) * hat(c)));
            let root = 1.0 / (mean_of(&|c| at(&x, row, c).powi(2)) + 1e-5).sqrt();
            let gw1 = |c: usize| at(&g, row, c) * (w[c] as f64 + 1.0);
            let mean_gx1 = mean_of(&|c| gw1(c) * at(&x, row, c) * root);
            for c in 0..cols {
                ln[row * cols + c] = hat(c) * w[c] as f64 + bias[c] as f64;
                ln_dx[row * cols + c] = at(&g, row, c) + rstd * (gw(c) - mean_g - hat(c) * mean_gx);
                dw[c] += at(&g, row, c) * hat(c);
                db[c] += at(&g, row, c);
                rms[row * cols + c] = at(&x, row, c) * root * (w[c] as f64 + 1.0);
                rms_dx[row * cols + c] = root * (gw1(c) - at(&x, row, c) * root * mean_gx1);
            }
        }
        // dWeight of rmsNorm was added to dBias of layerNorm.
        let mut rms_dw = db.clone();
        for row in 0..rows {
            let squares = (0..cols).map(|c| at(&x, row, c).powi(2)).sum::<f64>();
            let root = 1.0 / (squares / cols as f64 + 1e-5).sqrt();
            (0..cols).for_each(|c| rms_dw[c] += at(&g, row, c) * at(&x, row, c) * root);
        }
        // One column has no variance, so that rstd is 1 / sqrt(eps) and rounding errors are as much larger.
        let tolerance = if cols == 1 { 1e-3 } else { 2e-5 };
        close(&got, &[ln, ln_dx, dw, db, rms, rms_dx, rms_dw].concat(), tolerance);
    }
}

#[test]
fn rope_rotates_and_turns_back() {
    let (rows, heads, dim, half) = (37, 3, 20, 9);
    let positions: Vec<i32> = (0..rows as i32).map(|p| p * 113).collect();
    let inv_freq: Vec<f32> = (0..half).map(|j| 10_000f32.powf(-(j as f32) / half as f32)).collect();
    let x = random(1, rows * heads * dim);
    let [r, h, d, f] = [rows, heads, dim, half].map(|n| n as f64);
    let n = x.len();
    let got = everywhere(|b| {
        let (table, p, i) = (b.f32(&vec![0.0; rows * 2 * half]), b.i32(&positions), b.f32(&inv_freq));
        let (xb, out) = (b.f32(&x), b.f32(&vec![0.0; n]));
        b.run("ropeTable", &[table, 0., p, 0., i, 0., r, f, 1.0]);
        b.run("rope", &[out, 0., xb, 0., table, 0., r, h, d, f, 0.0]);
        let rotated = b.read(out, n).unwrap();
        b.run("rope", &[out, 0., out, 0., table, 0., r, h, d, f, 1.0]);
        [rotated, b.read(out, n).unwrap()].concat()
    });
    let mut wanted: Vec<f64> = x.iter().map(|x| *x as f64).collect();
    for (row, position) in positions.iter().enumerate() {
        for (j, frequency) in inv_freq.iter().enumerate() {
            let angle = (*position as f32 * frequency) as f64;
            for head in 0..heads {
                let at = (row * heads + head) * dim + j;
                let (a, b) = (wanted[at], wanted[at + half]);
                wanted[at] = a * angle.cos() - b * angle.sin();
                wanted[at + half] = b * angle.cos() + a * angle.sin();
            }
        }
    }
    close(&got[..n], &wanted, 1e-6);
    close(&got[n..], &x.iter().map(|x| *x as f64).collect::<Vec<_>>(), 1e-6);
}

#[test]
fn activations_and_their_slopes() {
    type Function = fn(f64) -> f64;
    // erf by its Taylor series, enough for arguments below 3.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..120 {
            term *= -x * x / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }
    let functions: [Function; 4] = [
        |x| x / (1.0 + (-x).exp()),
        |x| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()),
        |x| 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        |x| x.max(0.0),
    ];
    for (kind, f) in functions.into_iter().enumerate() {
        for n in [1, 259, 33_001] {
            let (x, up, g) = (random(1, n), random(2, n), random(3, n));
            let results = on_each_isa(|b| {
                let (xb, ub, gb, out) = (b.f32(&x), b.f32(&up), b.f32(&g), b.f32(&vec![0.0; n]));
                b.run("activation", &[out, 0., xb, 0., ub, 0., n as f64, kind as f64]);
                let forward = b.read(out, n).unwrap();
                b.run("activationBackward", &[xb, 0., out, 0., gb, 0., xb, 0., ub, 0., n as f64, kind as f64]);
                [forward, b.read(xb, n).unwrap(), b.read(out, n).unwrap()].concat()
            });
            let (mut forward, mut dx, mut d_up) = (vec![], vec![], vec![]);
            for ((x, up), g) in x.iter().zip(&up).zip(&g) {
                let (x, up, g) = (*x as f64, *up as f64, *g as f64);
                forward.push(f(x) * up);
                dx.push(g * up * (f(x + 1e-6) - f(x - 1e-6)) / 2e-6);
                d_up.push(g * f(x));
            }
            for got in results {
                close(&got, &[&forward[..], &dx, &d_up].concat(), 1e-5);
            }
        }
    }
    // Far out, every function is 0 or the identity.
    for kind in 0..4 {
        for got in on_each_isa(|b| {
            let x = b.f32(&[-1e4, -200.0, 0.0, 200.0, 1e4, f32::NAN]);
            let (dx, one) = (b.f32(&[0.0; 6]), b.f32(&[1.0; 6]));
            b.run("activationBackward", &[dx, 0., 0., 0., one, 0., x, 0., 0., 0., 6., kind as f64]);
            b.run("activation", &[x, 0., x, 0., 0., 0., 6., kind as f64]);
            [b.read(x, 6).unwrap(), b.read(dx, 6).unwrap()].concat()
        }) {
            assert_eq!((got[..5].to_vec(), got[6..8].to_vec()), (vec![0.0, 0.0, 0.0, 200.0, 1e4], vec![0.0; 2]));
            assert!(got[9..11].iter().all(|slope| *slope == 1.0) && got[5].is_nan() && (kind == 3 || got[11].is_nan()));
        }
    }
    let edges = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -1e30, 1e30];
    let got = everywhere(|b| {
        let x = b.f32(&edges);
        b.run("activation", &[x, 0., x, 0., 0., 0., 5.0, 3.0]);
        b.read(x, 5).unwrap()
    });
    assert!(got[0] == f32::INFINITY && got[1] == 0.0 && got[2].is_nan() && got[3] == 0.0 && got[4] == 1e30);
}

#[test]
fn the_narrow_products_of_an_adapter_use_one_mask() {
    let (rows, cols, rank) = (70, 1123, 11);
    // bf16 values, so that products in bf16 have the same factors.
    let values = |seed, count| bf16(&random(seed, count));
    let (x, a, du, b) =
        (values(1, rows * cols), values(2, rank * cols), values(3, rows * rank), values(4, cols * rank));
    let (seed, step, micro_step, site, p) = (5_000_000_019.0, 7.0, 2.0, 33.0, 0.3);
    let [n_rows, n_cols, n_rank] = [rows, cols, rank].map(|n| n as f64);
    let threshold = (p * 65_536.0_f64).round();
    let mut results = Vec::new();
    for compute in [0., 1.] {
        for x_is_bf16 in [false, true] {
            results.extend(on_each_isa(|bench| {
                let [ab, dub, bb] = [&a, &du, &b].map(|values| bench.f32(values));
                let xb = if x_is_bf16 { bench.bf16(&x) } else { bench.f32(&x) };
                let counts = [rows * rank, rank * cols, rows * cols, rows * rank, cols * rank];
                let [out, da, dx, up, db] = counts.map(|n| bench.f32(&vec![0.25; n]));
                let mask = bench.i32(&vec![0; rows * cols.div_ceil(32)]);
                let draw = [compute, p, seed, step, micro_step, site];
                bench.run("loraDown", &[&[out, 0., xb, 0., ab, 0., n_rows, n_cols, n_rank, 1.5][..], &draw].concat());
                let views = [da, 0., mask, 0., dub, 0., xb, 0., n_rows, n_cols, n_rank];
                bench.run("loraDownBackward", &[&views[..], &draw].concat());
                let kept_scale = 65_536.0 / (65_536.0 - threshold);
                let term = [dub, 0., n_rank, 0., ab, 0., n_cols, 0., n_rank, kept_scale, mask, 0.];
                bench.run("matMul", &[&[dx, 0., n_cols, n_rows, n_cols, 0., 0., 0., compute, 1.][..], &term].concat());
                let views = [up, 0., db, 0., xb, 0., dub, 0., bb, 0., n_rows, n_cols, n_rank, 2.0, compute];
                bench.run("loraUpBackward", &views);
                std::iter::zip([out, da, dx, up, db], counts).flat_map(|(id, n)| bench.read(id, n).unwrap()).collect()
            }));
        }
    }
    let key = [5_000_000_019u64 as u32, (5_000_000_019u64 >> 32) as u32];
    let mask = |row: usize, col: usize| {
        let (group, c) = (col / 128, col % 128);
        let counter = [(16 * group + c % 32 / 2) as u32, row as u32, 33 + 65_536 * 2, 7];
        let half = crate::philox::philox(counter, key)[c / 32] >> (16 * (c % 2)) & 0xffff;
        f64::from(half as f64 >= threshold) * 65_536.0 / (65_536.0 - threshold)
    };
    let (mut out, mut up) = (vec![0.0; rows * rank], vec![0.0; rows * rank]);
    let (mut da, mut db) = (vec![0.25; rank * cols], vec![0.25; cols * rank]);
    let mut dx = vec![0.0; rows * cols];
    for row in 0..rows {
        for col in 0..cols {
            let kept = mask(row, col);
            for k in 0..rank {
                let (x, a, du) = (x[row * cols + col] as f64, a[k * cols + col] as f64, du[row * rank + k] as f64);
                out[row * rank + k] += 1.5 * kept * x * a;
                da[k * cols + col] += du * kept * x;
                dx[row * cols + col] += kept * du * a;
                up[row * rank + k] += 2.0 * x * b[col * rank + k] as f64;
                db[col * rank + k] += x * du;
            }
        }
    }
    for got in results {
        close(&got, &[&out[..], &da, &dx, &up, &db].concat(), 1e-4);
    }
}

#[test]
fn adam_w_takes_the_steps_of_its_definition() {
    let n = 33_003;
    let (p, g) = (random(1, n), random(2, n));
    let (lr, beta1, beta2, eps, decay) = (1e-2, 0.9, 0.999, 1e-8, 0.1);
    let got = everywhere(|b| {
        let (pb, gb, m, v) = (b.f32(&p), b.f32(&g), b.f32(&vec![0.0; n]), b.f32(&vec![0.0; n]));
        let scale = b.f32(&[0.5]);
        for step in 1..=3 {
            let rates = [n as f64, lr, beta1, beta2, eps, decay, step as f64];
            b.run("adamW", &[&[pb, 0., gb, 0., m, 0., v, 0., scale, 0.], &rates[..]].concat());
        }
        b.read(pb, n).unwrap()
    });
    let wanted = p.iter().zip(&g).map(|(p, g)| {
        let (mut p, g, mut m, mut v) = (*p as f64, *g as f64 * 0.5, 0.0, 0.0);
        for step in 1..=3 {
            p *= 1.0 - lr * decay;
            m += (1.0 - beta1) * (g - m);
            v = beta2 * v + (1.0 - beta2) * g * g;
            let (c1, c2) = (1.0 - beta1.powi(step), 1.0 - beta2.powi(step));
            p -= lr / c1 * m / (v.sqrt() / c2.sqrt() + eps);
        }
        p
    });
    close(&got, &wanted.collect::<Vec<_>>(), 1e-6);
}

#[test]
fn errors_name_the_kernel_and_the_queue_works_on() {
    let mut b = Bench::new(2, Isa::Portable);
    let x = b.f32(&[1.0, 2.0]);
    b.run("add", &[x, 0., x, 0., 99., 0., 2., 1., 1.]);
    assert_eq!(b.read(x, 2).unwrap_err(), "add: b is buffer 99, which is not alive (freed, or never allocated)");
    b.run("add", &[x, 0., x, 0., x, 0., 1.5, 1., 1.]);
    assert_eq!(b.read(x, 2).unwrap_err(), "add: count must be a whole number from 0 on, is 1.5");
    b.run("add", &[x, 0., x, 0., x, 0., 2.]);
    assert_eq!(b.read(x, 2).unwrap_err(), "add: the arguments end before alpha");
    b.run("add", &[x, 0., x, 0., x, 0., 2., 1., 1., 1.]);
    assert_eq!(b.read(x, 2).unwrap_err(), "add: 1 words of arguments are too many");
    b.run("scaleRows", &[x, 0., x, 0., x, 0., 1e15, 1e15]);
    assert!(b.read(x, 2).unwrap_err().starts_with("scaleRows: "));
    // 2^12 heads, 2^52 elements apart, would reach over 2^64 elements, which wrap around to none.
    let cache_rows = [x, 0., x, 0., x, 0., x, 0., 1., 1., 1., 4097., 0.];
    b.run("cacheRows", &[&cache_rows[..], &[1., 4_503_599_627_370_496.]].concat());
    assert!(b.read(x, 2).unwrap_err().ends_with("are too large"));
    b.run("add", &[x, 0., x, 0., x, 0., 2., 1., 1.]);
    assert_eq!(b.read(x, 2).unwrap(), [2.0, 4.0]);
}
