//! The inner layer of every product: packing factors into panels, and multiplying one panel of A with one of B.
//!
//! A panel holds `mr` rows of A or `nr` columns of B as 32-bit words, `[k words][mr or nr]`, missing rows zero. A word is
//! one f32, or two bf16 that are neighbours along k (the second zero past an odd end). Panels of several products laid end
//! to end along k give the sum of the products. B panels must be 64-byte aligned.

use crate::buffer::DType;
use crate::isa::Isa;

use super::portable;

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// What the words of a panel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    F32,
    /// f32 words whose values are rounded to bf16, for instruction sets that cannot multiply bf16.
    RoundedF32,
    Bf16Pairs,
}

/// A factor in memory. Element (r, k), where k is the index that is summed over, lies at r * ld + k, or with `across` at
/// k * ld + r. Unaligned memory is fine.
#[derive(Clone, Copy)]
pub struct Matrix {
    pub ptr: *const u8,
    pub dtype: DType,
    pub ld: usize,
    pub across: bool,
}

// SAFETY: an address that is only read from; who makes it keeps the memory alive and unwritten while it is in use.
unsafe impl Send for Matrix {}
// SAFETY: as above.
unsafe impl Sync for Matrix {}

/// Where a panel product goes: (rows, cols) elements from `ptr`, row stride `ld`. Unaligned memory is fine.
#[derive(Clone, Copy)]
pub struct Tile {
    pub ptr: *mut u8,
    pub ld: usize,
    pub bf16: bool,
    pub accumulate: bool,
    /// One f32 per column, or null.
    pub bias: *const f32,
    /// f32 sums so far, row stride `partial_ld`, or null. They are added, and not written.
    pub partial: *const f32,
    pub partial_ld: usize,
}

// SAFETY: an address; tasks write disjoint parts of what lies there.
unsafe impl Send for Tile {}
// SAFETY: as above.
unsafe impl Sync for Tile {}

impl Tile {
    /// A dense f32 tile that is overwritten.
    pub fn new(ptr: *mut f32, ld: usize) -> Tile {
        let none = std::ptr::null();
        Tile { ptr: ptr as *mut u8, ld, bf16: false, accumulate: false, bias: none, partial: none, partial_ld: 0 }
    }

    /// An f32 tile that is added to.
    pub fn adding(ptr: *mut f32, ld: usize) -> Tile {
        Tile { accumulate: true, ..Tile::new(ptr, ld) }
    }

    /// The tile from (row, col) on.
    ///
    /// # Safety
    /// (row, col) lies in the tile.
    pub unsafe fn at(self, row: usize, col: usize) -> Tile {
        let size = if self.bf16 { 2 } else { 4 };
        let partial = self.partial.wrapping_add(row * self.partial_ld + col);
        // SAFETY: inside the tile, by the caller's promise; there is one bias element per column.
        unsafe {
            let bias = if self.bias.is_null() { self.bias } else { self.bias.add(col) };
            let partial = if self.partial.is_null() { self.partial } else { partial };
            Tile { ptr: self.ptr.add((row * self.ld + col) * size), bias, partial, ..self }
        }
    }
}

/// Panel routines of one instruction set for one kind of factor.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    isa: Isa,
    factors: Factors,
}

impl Kernel {
    /// `isa` must be one that this CPU has.
    pub fn new(isa: Isa, bf16: bool) -> Kernel {
        let factors = match (bf16, isa) {
            (false, _) => Factors::F32,
            (true, Isa::Avx512Bf16) => Factors::Bf16Pairs,
            (true, _) => Factors::RoundedF32,
        };
        Kernel { isa, factors }
    }

    pub fn isa(self) -> Isa {
        self.isa
    }

    #[cfg(target_arch = "x86_64")]
    pub fn factors(self) -> Factors {
        self.factors
    }

    /// Rows of an A panel.
    pub fn mr(self) -> usize {
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::MR,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Bf16 => avx512::MR,
            _ => portable::MR,
        }
    }

    /// Columns of a B panel.
    pub fn nr(self) -> usize {
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::NR,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Bf16 => avx512::NR,
            _ => portable::NR,
        }
    }

    /// Elements along k in one word.
    pub fn per_word(self) -> usize {
        if self.factors == Factors::Bf16Pairs {
            2
        } else {
            1
        }
    }

    /// Words that `k` elements take.
    pub fn words(self, k: usize) -> usize {
        k.div_ceil(self.per_word())
    }

    /// Packs elements `k .. k + len` of `rows <= mr` rows from `row` on, each multiplied by `scale` in f32 first.
    ///
    /// # Safety
    /// The elements are readable, and `words(len) * mr` words at `to` are this caller's to write.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn pack_a(self, to: *mut u32, from: Matrix, row: usize, rows: usize, k: usize, len: usize, scale: f32) {
        debug_assert!(rows <= self.mr());
        // SAFETY: the caller's promise; the instruction set is there, see `new`.
        unsafe {
            match self.isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::pack::<{ avx2::MR }>(self.factors, to, from, row, rows, k, len, scale),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 | Isa::Avx512Bf16 => {
                    avx512::pack::<{ avx512::MR }>(self.factors, to, from, row, rows, k, len, scale)
                }
                _ => portable::pack::<{ portable::MR }>(self.factors, to, from, row, rows, k, len, scale),
            }
        }
    }

    /// Packs elements `k .. k + len` of `cols <= nr` columns of B from `col` on.
    ///
    /// # Safety
    /// The elements are readable, and `words(len) * nr` words at `to`, 64-byte aligned, are this caller's to write.
    pub unsafe fn pack_b(self, to: *mut u32, from: Matrix, col: usize, cols: usize, k: usize, len: usize) {
        debug_assert!(cols <= self.nr());
        // SAFETY: the caller's promise; the instruction set is there, see `new`.
        unsafe {
            match self.isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::pack::<{ avx2::NR }>(self.factors, to, from, col, cols, k, len, 1.0),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 | Isa::Avx512Bf16 => {
                    avx512::pack::<{ avx512::NR }>(self.factors, to, from, col, cols, k, len, 1.0)
                }
                _ => portable::pack::<{ portable::NR }>(self.factors, to, from, col, cols, k, len, 1.0),
            }
        }
    }

    /// The product of an A panel and a B panel of `words` words, of which `rows` rows and `cols` columns are stored.
    /// Each element is one chain of sums along k, whatever the tile, so cutting m and n otherwise changes no bit.
    ///
    /// # Safety
    /// Both panels are packed as above; (rows, cols) of `tile` is this caller's to write.
    pub unsafe fn multiply(self, rows: usize, cols: usize, words: usize, a: *const u32, b: *const u32, tile: Tile) {
        debug_assert!(rows <= self.mr() && cols <= self.nr());
        // SAFETY: the caller's promise; the instruction set is there, see `new`.
        unsafe {
            match (self.isa, self.factors) {
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, _) => avx2::multiply(rows, cols, words, a, b, tile),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512Bf16, Factors::Bf16Pairs) => avx512::multiply_bf16(rows, cols, words, a, b, tile),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512 | Isa::Avx512Bf16, _) => avx512::multiply_f32(rows, cols, words, a, b, tile),
                _ => portable::multiply(rows, cols, words, a, b, tile),
            }
        }
    }

    /// Packs `rows` rows from `row` on as successive A panels, each `words(len) * mr` words.
    ///
    /// # Safety
    /// As `pack_a`, for all the panels.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn pack_a_panels(self, to: *mut u32, from: Matrix, row: usize, rows: usize, k: usize, len: usize) {
        let stride = self.words(len) * self.mr();
        for (panel, start) in (0..rows).step_by(self.mr()).enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                self.pack_a(to.add(panel * stride), from, row + start, (rows - start).min(self.mr()), k, len, 1.0)
            }
        }
    }

    /// Packs `cols` columns from `col` on as successive B panels, each `words(len) * nr` words.
    ///
    /// # Safety
    /// As `pack_b`, for all the panels.
    pub unsafe fn pack_b_panels(self, to: *mut u32, from: Matrix, col: usize, cols: usize, k: usize, len: usize) {
        let stride = self.words(len) * self.nr();
        for (panel, start) in (0..cols).step_by(self.nr()).enumerate() {
            // SAFETY: the caller's promise.
            unsafe { self.pack_b(to.add(panel * stride), from, col + start, (cols - start).min(self.nr()), k, len) }
        }
    }

    /// The product of successive A panels (rows in all) and successive B panels (cols in all) into `tile`.
    ///
    /// # Safety
    /// As `multiply`, for all the panels.
    pub unsafe fn multiply_panels(
        self,
        rows: usize,
        cols: usize,
        words: usize,
        a: *const u32,
        b: *const u32,
        tile: Tile,
    ) {
        let (mr, nr) = (self.mr(), self.nr());
        for (j, col) in (0..cols).step_by(nr).enumerate() {
            for (i, row) in (0..rows).step_by(mr).enumerate() {
                // SAFETY: the caller's promise.
                unsafe {
                    let (a, b) = (a.add(i * words * mr), b.add(j * words * nr));
                    self.multiply((rows - row).min(mr), (cols - col).min(nr), words, a, b, tile.at(row, col));
                }
            }
        }
    }

    /// Words of successive A panels that hold `rows` rows of `k` elements.
    pub fn a_words(self, rows: usize, k: usize) -> usize {
        rows.next_multiple_of(self.mr()).saturating_mul(self.words(k))
    }

    /// Words of successive B panels that hold `cols` columns of `k` elements.
    pub fn b_words(self, cols: usize, k: usize) -> usize {
        cols.next_multiple_of(self.nr()).saturating_mul(self.words(k))
    }
}
