//! How the elementwise kernels see memory: 256 elements at a time, converted to f32 on the way in and from f32 on the way
//! out. A kernel is then one loop over plain f32 arrays whatever the dtypes are, and an output may be one of its inputs.

use crate::buffer::{Bf16, DType, Elem, View, F16};

pub const BLOCK: usize = 256;

/// Work is cut into tasks of this many elements, whatever the number of threads.
pub const CHUNK: usize = 32_768;

pub type Values = [f32; BLOCK];

pub const ZERO: Values = [0.0; BLOCK];

/// # Safety
/// `into.len()` elements of this type lie at `from`.
#[inline(always)]
unsafe fn load_as<E: Elem>(from: *const u8, into: &mut [f32]) {
    let from = from as *const E;
    for (i, value) in into.iter_mut().enumerate() {
        // SAFETY: the caller of `load` vouches for `into.len()` elements.
        *value = unsafe { from.add(i).read_unaligned() }.to_f32();
    }
}

/// # Safety
/// `from.len()` elements of this type at `to` are the caller's to write.
#[inline(always)]
unsafe fn store_as<E: Elem>(to: *mut u8, from: &[f32]) {
    let to = to as *mut E;
    for (i, value) in from.iter().enumerate() {
        // SAFETY: the caller of `store` vouches for `from.len()` elements.
        unsafe { to.add(i).write_unaligned(E::from_f32(*value)) };
    }
}

/// Loads `into.len()` elements from index `at` on.
///
/// # Safety
/// The view must hold them, and be of a float dtype.
#[inline(always)]
pub unsafe fn load(view: View, at: usize, into: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe {
        match view.dtype() {
            DType::F32 => load_as::<f32>(view.ptr().add(at * 4), into),
            DType::Bf16 => load_as::<Bf16>(view.ptr().add(at * 2), into),
            _ => load_as::<F16>(view.ptr().add(at * 2), into),
        }
    }
}

/// Stores `from` at index `at`.
///
/// # Safety
/// The view must hold that many elements there, be writable and of a float dtype, and nothing else may use them meanwhile.
#[inline(always)]
pub unsafe fn store(view: View, at: usize, from: &[f32]) {
    // SAFETY: the caller's promise.
    unsafe {
        match view.dtype() {
            DType::F32 => store_as::<f32>(view.ptr().add(at * 4), from),
            DType::Bf16 => store_as::<Bf16>(view.ptr().add(at * 2), from),
            _ => store_as::<F16>(view.ptr().add(at * 2), from),
        }
    }
}

/// Blocks of at most `BLOCK` that cover `from..to`, as (start, length). An iterator, because a closure given to a function
/// is compiled once and for the baseline, where a loop's body is compiled for the instruction set around it.
#[inline(always)]
pub fn blocks(from: usize, to: usize) -> impl Iterator<Item = (usize, usize)> {
    Blocks { at: from, to }
}

struct Blocks {
    at: usize,
    to: usize,
}

impl Iterator for Blocks {
    type Item = (usize, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize)> {
        let (at, length) = (self.at, self.to.saturating_sub(self.at).min(BLOCK));
        self.at += length;
        (length > 0).then_some((at, length))
    }
}

/// Sixteen running sums, so that a sum vectorises and has one order on every instruction set.
#[derive(Clone, Copy)]
pub struct Sum([f32; 16]);

impl Sum {
    pub const ZERO: Sum = Sum([0.0; 16]);

    pub fn of(lanes: [f32; 16]) -> Sum {
        Sum(lanes)
    }

    /// Adds f(a[i], b[i]) for every i.
    #[inline(always)]
    pub fn add2(&mut self, a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) {
        let (wide_a, wide_b) = (a.chunks_exact(16), b.chunks_exact(16));
        let (tail_a, tail_b) = (wide_a.remainder(), wide_b.remainder());
        for (a, b) in wide_a.zip(wide_b) {
            for i in 0..16 {
                self.0[i] += f(a[i], b[i]);
            }
        }
        for (i, (a, b)) in tail_a.iter().zip(tail_b).enumerate() {
            self.0[i] += f(*a, *b);
        }
    }

    #[inline(always)]
    pub fn add(&mut self, a: &[f32], f: impl Fn(f32) -> f32) {
        self.add2(a, a, |x, _| f(x));
    }

    #[inline(always)]
    pub fn total(self) -> f32 {
        let mut lanes = self.0;
        let mut width = 8;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        lanes[0]
    }
}
