//! Sums of matrix products with frozen, trained or mapped factors of any float dtype.
//!
//! B is packed band by band and never as a whole, so that one copy of a weight serves x W^T and dy W. A band is some 2 MB,
//! which the threads share in the last cache level. While one band is multiplied, tasks of the same parallel region pack
//! the next. Each task packs its rows of A into its own second-level cache. The order of the sums of an element depends on
//! the shape alone, so that neither the cut into tasks nor the number of threads changes a bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod few_rows;
mod kernel;
mod packed;
mod pieces;
mod plan;
mod portable;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub use avx512::{round_bf16, transpose};
#[cfg(target_arch = "x86_64")]
pub use kernel::Factors;
pub use kernel::{Kernel, Matrix, Tile};
pub use pieces::{Pieces, Shared};

use crate::buffer::{DType, View};
use crate::elementwise::area;
use crate::isa::Isa;
use crate::pool::Pool;

/// One product of a sum; see `MatMulTerm` in the kernel table of @medgpt/core.
#[derive(Clone, Copy)]
pub struct Term {
    pub a: View,
    pub lda: usize,
    pub a_trans: bool,
    pub b: View,
    pub ldb: usize,
    pub b_trans: bool,
    pub k: usize,
    pub scale: f32,
    pub mask: Option<View>,
}

/// out (m, n) = [out] + sum of terms + [bias].
#[derive(Clone, Copy)]
pub struct MatMul<'a> {
    pub out: View,
    pub ldc: usize,
    pub m: usize,
    pub n: usize,
    pub bias: Option<View>,
    pub accumulate: bool,
    pub bf16: bool,
    pub terms: &'a [Term],
}

pub const FLOATS: [DType; 3] = [DType::F32, DType::Bf16, DType::F16];
pub const RESULTS: [DType; 2] = [DType::F32, DType::Bf16];

impl MatMul<'_> {
    pub fn check(&self) -> Result<(), String> {
        let MatMul { m, n, .. } = *self;
        self.out.is_one_of("out", &RESULTS)?;
        if m > 1 && self.ldc < n {
            return Err(format!("out ({m}, {n}) has row stride {}, less than a row", self.ldc));
        }
        self.out.holds_rows(&format!("out ({m}, {n})"), m, n, self.ldc)?;
        if let Some(bias) = self.bias {
            bias.is_one_of("bias", &FLOATS)?;
            bias.holds(&format!("bias ({n})"), n)?;
        }
        for (i, t) in self.terms.iter().enumerate() {
            let k = t.k;
            let matrix = |name: &str, view: View, rows: usize, cols: usize, ld: usize| {
                let name = format!("term {i}: {name} ({rows}, {cols})");
                view.is_one_of(&name, &FLOATS)?;
                view.holds_rows(&name, rows, cols, ld)
            };
            let (rows, cols) = if t.a_trans { (k, m) } else { (m, k) };
            matrix("a", t.a, rows, cols, t.lda)?;
            let (rows, cols) = if t.b_trans { (n, k) } else { (k, n) };
            matrix("b", t.b, rows, cols, t.ldb)?;
            if let Some(mask) = t.mask {
                let name = format!("term {i}: mask ({m}, {})", n.div_ceil(32));
                mask.is_one_of(&name, &[DType::I32])?;
                mask.holds(&name, area(m, n.div_ceil(32))?)?;
                if self.accumulate {
                    return Err("a masked term cannot be added to out".to_string());
                }
            }
        }
        Ok(())
    }
}

pub fn mat_mul(pool: &Pool, isa: Isa, args: &MatMul) -> Result<(), String> {
    args.check()?;
    if args.m == 0 || args.n == 0 {
        return Ok(());
    }
    if few_rows::fits(args) {
        few_rows::multiply(pool, isa, args);
        return Ok(());
    }
    packed::multiply(pool, Kernel::new(isa, args.bf16), args);
    Ok(())
}
