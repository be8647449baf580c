//! Helpers of the product, attention and cross-entropy tests.

use crate::buffer::{load, store, DType, View};
use crate::memory::Allocation;
use crate::with_elem;

/// Reproducible numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [-1, 1).
    pub fn value(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }
}

/// A tensor in memory of its own, one byte off alignment if so asked, with guard bytes behind.
pub struct Tensor {
    allocation: Allocation,
    shift: usize,
    dtype: DType,
    len: usize,
}

const GUARD: u8 = 0xa5;

impl Tensor {
    pub fn new(len: usize, dtype: DType, aligned: bool) -> Tensor {
        let shift = usize::from(!aligned);
        let allocation = Allocation::new(len * dtype.size() + shift + 64).unwrap();
        let start = shift + len * dtype.size();
        for i in start..allocation.size() {
            // SAFETY: inside the allocation.
            unsafe { allocation.ptr().add(i).write(GUARD) }
        }
        Tensor { allocation, shift, dtype, len }
    }

    /// Values as the dtype rounds them.
    pub fn of(values: &[f32], dtype: DType, aligned: bool) -> Tensor {
        let tensor = Tensor::new(values.len(), dtype, aligned);
        for (i, value) in values.iter().enumerate() {
            // SAFETY: inside the tensor.
            unsafe { with_elem!(dtype, E => store(tensor.view().typed::<E>(), i, *value)) }
        }
        tensor
    }

    pub fn ints(values: &[i32]) -> Tensor {
        let tensor = Tensor::new(values.len(), DType::I32, true);
        for (i, value) in values.iter().enumerate() {
            // SAFETY: inside the tensor.
            unsafe { (tensor.view().ptr() as *mut i32).add(i).write_unaligned(*value) }
        }
        tensor
    }

    pub fn random(random: &mut Random, len: usize, dtype: DType, aligned: bool) -> Tensor {
        let values: Vec<f32> = (0..len).map(|_| random.value()).collect();
        Tensor::of(&values, dtype, aligned)
    }

    pub fn view(&self) -> View {
        // SAFETY: the allocation holds this many initialised elements from the shift on and lives as long as the tensor.
        unsafe { View::new(self.allocation.ptr().add(self.shift), self.dtype, self.len, true) }
    }

    pub fn values(&self) -> Vec<f32> {
        // SAFETY: inside the tensor.
        (0..self.len).map(|i| unsafe { with_elem!(self.dtype, E => load(self.view().typed::<E>(), i)) }).collect()
    }

    pub fn bits(&self) -> Vec<u32> {
        self.values().iter().map(|x| x.to_bits()).collect()
    }

    /// Panics if anything was written past the end.
    pub fn check_guard(&self) {
        for i in self.shift + self.len * self.dtype.size()..self.allocation.size() {
            // SAFETY: inside the allocation.
            assert_eq!(unsafe { self.allocation.ptr().add(i).read() }, GUARD, "written past the end");
        }
    }
}

/// Largest |got - want| relative to the largest |want|, or absolute where all are below 1 (a gradient that is exactly zero).
pub fn error(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(0.0f64, |m, x| m.max(x.abs())).max(1.0);
    let worst =
        got.iter()
            .zip(want)
            .map(|(g, w)| (*g as f64 - w).abs())
            .fold(0.0f64, |m, x| if x > m || x.is_nan() { x } else { m });
    worst / scale
}
