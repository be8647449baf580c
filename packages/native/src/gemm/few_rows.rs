//! Products of few rows. Memory, not arithmetic, is their limit: B is read once, where it lies. A row's result does not
//! depend on how many there are.

use crate::block::{blocks, load, store, ZERO};
use crate::buffer::{Bf16, DType, Elem};
use crate::isa::Isa;
use crate::multiversion;
use crate::pool::Pool;

use super::kernel::Matrix;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use super::{portable, MatMul, Pieces, Shared, Term};

/// Most rows.
const FEW: usize = 16;
/// Most columns of one task.
const COLUMNS: usize = 64;
/// Elements of B that a task reads: enough that the next task's are fetched in time, few enough to end together.
const TASK: usize = 64 << 10;
/// Rows of A are padded with zeros to a multiple of this.
const PAD: usize = 16;

pub fn fits(args: &MatMul) -> bool {
    args.m <= FEW && args.terms.iter().all(|t| t.mask.is_none() && (t.b_trans || t.k == 0))
}

/// What the rows of A are made into, for a term's B.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    F32,
    Bf16,
    /// f32, of every sixteen first the even ones, then the odd.
    EvenOdd,
}

fn form(isa: Isa, bf16: bool, b: DType) -> Form {
    match isa {
        Isa::Avx512Bf16 if bf16 && b == DType::Bf16 => Form::Bf16,
        Isa::Avx2 if b == DType::Bf16 => Form::EvenOdd,
        _ => Form::F32,
    }
}

/// Row `row` of a term's A, scaled and, where asked, rounded to bf16.
///
/// # Safety
/// The row is there, and `to` has room for k elements, padded.
#[inline(always)]
unsafe fn prepare_body(t: &Term, row: usize, round: bool, form: Form, to: *mut f32) {
    let mut values = ZERO;
    for (at, n) in blocks(0, t.k) {
        let padded = n.next_multiple_of(PAD);
        // SAFETY: the caller's promise; BLOCK is a multiple of PAD.
        unsafe {
            if t.a_trans {
                for i in 0..n {
                    load(t.a, (at + i) * t.lda + row, &mut values[i..=i]);
                }
            } else {
                load(t.a, row * t.lda + at, &mut values[..n]);
            }
            for value in &mut values[..n] {
                *value *= t.scale;
                *value = if round { Bf16::from_f32(*value).to_f32() } else { *value };
            }
            values[n..padded].fill(0.0);
            match form {
                Form::F32 => to.add(at).copy_from_nonoverlapping(values.as_ptr(), padded),
                Form::Bf16 => {
                    for (i, value) in values[..padded].iter().enumerate() {
                        (to as *mut Bf16).add(at + i).write(Bf16::from_f32(*value));
                    }
                }
                Form::EvenOdd => {
                    for (group, values) in values[..padded].chunks_exact(PAD).enumerate() {
                        let to = to.add(at + group * PAD);
                        for i in 0..PAD / 2 {
                            to.add(i).write(values[2 * i]);
                            to.add(PAD / 2 + i).write(values[2 * i + 1]);
                        }
                    }
                }
            }
        }
    }
}
multiversion! { unsafe fn prepare(t: &Term, row: usize, round: bool, form: Form, to: *mut f32) = prepare_body }

/// out = [out] + sums + [bias], columns `col ..` of a row.
///
/// # Safety
/// The columns are there, and those of `out` are the caller's.
#[inline(always)]
unsafe fn finish_body(args: &MatMul, row: usize, col: usize, sums: &mut [f32]) {
    let mut other = [0.0; COLUMNS];
    let other = &mut other[..sums.len()];
    let at = row * args.ldc + col;
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(bias) = args.bias {
            load(bias, col, other);
            sums.iter_mut().zip(&*other).for_each(|(sum, x)| *sum += x);
        }
        if args.accumulate {
            load(args.out, at, other);
            sums.iter_mut().zip(&*other).for_each(|(sum, x)| *sum += x);
        }
        store(args.out, at, sums);
    }
}
multiversion! { unsafe fn finish(args: &MatMul, row: usize, col: usize, sums: &mut [f32]) = finish_body }

pub fn multiply(pool: &Pool, isa: Isa, args: &MatMul) {
    let MatMul { m, n, bf16, .. } = *args;
    let stride = |t: &Term| t.k.next_multiple_of(PAD);
    let total: usize = args.terms.iter().map(stride).sum();
    // SAFETY: no region runs, and this is the only use of the shared scratch until the product is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&[m * total])) });
    let a = Shared::new(pieces.take::<f32>(m * total));
    let mut at = 0;
    for t in args.terms {
        let form = form(isa, bf16, t.b.dtype());
        for row in 0..m {
            // SAFETY: `check` found (m, k) elements; the piece has m rows of each term.
            unsafe { prepare(isa, t, row, bf16, form, a.get().add(at + row * stride(t))) }
        }
        at += m * stride(t);
    }
    let columns = (TASK / total.max(1)).next_multiple_of(8).clamp(8, COLUMNS);
    pool.parallel(n.div_ceil(columns), &|task, _| {
        let (from, to) = (task * columns, ((task + 1) * columns).min(n));
        let cols = to - from;
        let mut sums = [0f32; FEW * COLUMNS];
        let mut at = 0;
        for t in args.terms.iter().filter(|t| t.k > 0) {
            // SAFETY: `check` found (n, k) elements, of which the task's columns; the sums have room for COLUMNS columns of
            // each row; an `Isa` is only made for a CPU that has it.
            unsafe {
                let ptr = t.b.ptr().add(from * t.ldb * t.b.dtype().size());
                let b = Matrix { ptr, dtype: t.b.dtype(), ld: t.ldb, across: false };
                let (sums, a, lda) = ((sums.as_mut_ptr(), COLUMNS), a.get().add(at), stride(t));
                match (form(isa, bf16, b.dtype), isa) {
                    #[cfg(target_arch = "x86_64")]
                    (Form::Bf16, _) => {
                        avx512::dot_products_bf16(sums, (a as *const Bf16, 2 * lda, m), b, cols, t.k);
                    }
                    #[cfg(target_arch = "x86_64")]
                    (Form::EvenOdd, _) => avx2::dot_products_bf16(sums, (a, lda, m), b, cols, t.k),
                    #[cfg(target_arch = "x86_64")]
                    (Form::F32, Isa::Avx512 | Isa::Avx512Bf16) => {
                        avx512::dot_products_f32(sums, (a, lda, m), b, cols, t.k, bf16);
                    }
                    _ => {
                        for first in (0..m).step_by(4) {
                            let (to, a) = (sums.0.add(first * COLUMNS), a.add(first * lda));
                            let rows = (m - first).min(4);
                            portable::dot_product_rows(isa, to, COLUMNS, a, lda, rows, b, cols, t.k, bf16);
                        }
                    }
                }
            }
            at += m * stride(t);
        }
        for row in 0..m {
            let sums = &mut sums[row * COLUMNS..][..cols];
            // SAFETY: `check` found n biases and (m, n) elements of out; these columns are this task's.
            unsafe { finish(isa, args, row, from, sums) }
        }
    });
}
