//! Element types, and views of the buffers that hold them.

use std::cell::Cell;

/// Element types in wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    F32,
    Bf16,
    F16,
    I32,
    U8,
}

impl DType {
    pub fn from_index(index: usize) -> Option<DType> {
        [DType::F32, DType::Bf16, DType::F16, DType::I32, DType::U8].get(index).copied()
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::Bf16 | DType::F16 => 2,
            DType::U8 => 1,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::Bf16 => "bf16",
            DType::F16 => "f16",
            DType::I32 => "i32",
            DType::U8 => "u8",
        }
    }
}

/// A floating-point element as it lies in memory. Conversions autovectorise.
pub trait Elem: Copy + Send + Sync + 'static {
    const DTYPE: DType;
    fn to_f32(self) -> f32;
    /// Rounds to nearest, ties to even; NaN stays NaN.
    fn from_f32(value: f32) -> Self;
}

/// bfloat16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// IEEE binary16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

impl Elem for f32 {
    const DTYPE: DType = DType::F32;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> f32 {
        value
    }
}

impl Elem for Bf16 {
    const DTYPE: DType = DType::Bf16;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits((self.0 as u32) << 16)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Bf16 {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let nan = (bits >> 16) | 0x40;
        Bf16(if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded } as u16)
    }
}

impl Elem for F16 {
    const DTYPE: DType = DType::F16;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        let half = self.0 as u32;
        let sign = (half & 0x8000) << 16;
        let rest = half & 0x7fff;
        // The exponent is rebased by a product, which also makes subnormals right; infinity and NaN keep all ones.
        let finite = f32::from_bits(rest << 13) * f32::from_bits(0x7780_0000);
        let bits = if rest >= 0x7c00 { (rest << 13) | 0x7f80_0000 } else { finite.to_bits() };
        f32::from_bits(bits | sign)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> F16 {
        let bits = value.to_bits();
        let sign = (bits >> 16) & 0x8000;
        let rest = bits & 0x7fff_ffff;
        // Normal results: round the low 13 bits to nearest even and rebase the exponent.
        let normal = rest.wrapping_add(0xfff + ((rest >> 13) & 1)).wrapping_sub(112 << 23) >> 13;
        // Subnormal results: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits.
        let subnormal = (f32::from_bits(rest) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
        let finite = if rest < 113 << 23 { subnormal } else { normal };
        // From 65520 on (halfway to the next power of two) the nearest is infinity.
        let bounded = if rest >= 0x477f_f000 { 0x7c00 } else { finite };
        F16((if rest > 0x7f80_0000 { 0x7e00 | ((rest >> 13) & 0x3ff) } else { bounded } | sign) as u16)
    }
}

/// Elements of a buffer from some offset to its end. The memory may be unaligned (mapped files), so it is read and written
/// through `read_unaligned` and `write_unaligned` only.
#[derive(Clone, Copy, Debug)]
pub struct View {
    ptr: *mut u8,
    dtype: DType,
    len: usize,
    writable: bool,
}

// SAFETY: a view is an address; kernels keep the parts that their tasks write disjoint.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// # Safety
    /// `ptr` must be valid for `len` elements of `dtype` for as long as the view is used: initialised, and writable if
    /// so said.
    pub unsafe fn new(ptr: *mut u8, dtype: DType, len: usize, writable: bool) -> View {
        View { ptr, dtype, len, writable }
    }

    pub fn ptr(&self) -> *mut u8 {
        self.ptr
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Typed address. Elements may be unaligned. Panics if the view holds another type.
    pub fn typed<E: Elem>(&self) -> *mut E {
        assert_eq!(self.dtype, E::DTYPE, "a view of {} used as {}", self.dtype.name(), E::DTYPE.name());
        self.ptr as *mut E
    }

    /// The view `offset` elements further on. Panics past the end.
    pub fn skip(&self, offset: usize) -> View {
        assert!(offset <= self.len, "offset {offset} in a view of {} elements", self.len);
        // SAFETY: stays inside the buffer.
        let ptr = unsafe { self.ptr.add(offset * self.dtype.size()) };
        View { ptr, len: self.len - offset, ..*self }
    }

    /// An error unless at least `count` elements are here. `name` is the field's name.
    pub fn holds(&self, name: &str, count: usize) -> Result<(), String> {
        operand(count.saturating_mul(self.dtype.size()));
        self.reaches(name, count)
    }

    fn reaches(&self, name: &str, count: usize) -> Result<(), String> {
        if count > self.len {
            return Err(format!("{name} needs {count} elements, its buffer has {} from the offset on", self.len));
        }
        Ok(())
    }

    /// As `holds`, for `rows` rows of `cols` elements `stride` apart (no gap is needed after the last).
    pub fn holds_rows(&self, name: &str, rows: usize, cols: usize, stride: usize) -> Result<(), String> {
        if rows == 0 || cols == 0 {
            return Ok(());
        }
        let count = (rows - 1).checked_mul(stride).and_then(|n| n.checked_add(cols));
        operand(rows.saturating_mul(cols).saturating_mul(self.dtype.size()));
        self.reaches(name, count.ok_or_else(|| format!("{name} is too large: {rows} rows of stride {stride}"))?)
    }

    /// An error unless the dtype is one of `allowed`.
    pub fn is_one_of(&self, name: &str, allowed: &[DType]) -> Result<(), String> {
        if allowed.contains(&self.dtype) {
            return Ok(());
        }
        let names: Vec<&str> = allowed.iter().map(|d| d.name()).collect();
        Err(format!("{name} must be {}, is {}", names.join(" or "), self.dtype.name()))
    }
}

thread_local! {
    static OPERANDS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the bytes of an operand, which every kernel checks before it runs.
fn operand(bytes: usize) {
    OPERANDS.set(OPERANDS.get().saturating_add(bytes));
}

/// Bytes of the operands that were checked on this thread since the last call.
pub fn take_operand_bytes() -> usize {
    OPERANDS.take()
}

/// Runs `$body` with `$E` bound to the element type of a float `$dtype`; other dtypes panic (kernels check them first).
#[macro_export]
macro_rules! with_elem {
    ($dtype:expr, $E:ident => $body:expr) => {
        match $dtype {
            $crate::buffer::DType::F32 => {
                type $E = f32;
                $body
            }
            $crate::buffer::DType::Bf16 => {
                type $E = $crate::buffer::Bf16;
                $body
            }
            $crate::buffer::DType::F16 => {
                type $E = $crate::buffer::F16;
                $body
            }
            other => panic!("a float is needed here, not {}", other.name()),
        }
    };
}

/// Element `index` from `base`, as f32.
///
/// # Safety
/// `base + index` must lie in readable, initialised memory.
#[inline(always)]
pub unsafe fn load<E: Elem>(base: *const E, index: usize) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { base.add(index).read_unaligned() }.to_f32()
}

/// Stores `value` at element `index` from `base`.
///
/// # Safety
/// `base + index` must lie in writable memory that nothing else uses meanwhile.
#[inline(always)]
pub unsafe fn store<E: Elem>(base: *mut E, index: usize, value: f32) {
    // SAFETY: the caller's promise.
    unsafe { base.add(index).write_unaligned(E::from_f32(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_even_and_keeps_nan_and_infinity() {
        let bits = |x: f32| Bf16::from_f32(x).0;
        assert_eq!(bits(1.0), 0x3f80);
        assert_eq!(bits(f32::from_bits(0x3f80_8000)), 0x3f80);
        assert_eq!(bits(f32::from_bits(0x3f81_8000)), 0x3f82);
        assert_eq!(bits(f32::from_bits(0x3f80_8001)), 0x3f81);
        assert_eq!(bits(f32::MAX), 0x7f80);
        assert_eq!(bits(f32::NEG_INFINITY), 0xff80);
        assert!(Bf16::from_f32(f32::from_bits(0x7f80_0001)).to_f32().is_nan());
        for b in 0..=u16::MAX {
            let x = Bf16(b).to_f32();
            assert!(x.is_nan() || bits(x) == b);
        }
    }

    #[test]
    fn f16_round_trips_every_value_and_rounds_to_nearest_even() {
        for b in 0..=u16::MAX {
            let x = F16(b).to_f32();
            if x.is_nan() {
                assert!(F16::from_f32(x).to_f32().is_nan());
            } else {
                assert_eq!(F16::from_f32(x).0, b, "{b:#x} = {x}");
            }
        }
        // Between each pair of neighbours: the tie goes to the even one, a nudge to either side decides.
        for b in 0..0x7bffu16 {
            let (low, high) = (F16(b).to_f32(), F16(b + 1).to_f32());
            let middle = (low + high) / 2.0;
            assert_eq!(F16::from_f32(middle).0, b + (b & 1));
            assert_eq!(F16::from_f32(f32::from_bits(middle.to_bits() - 1)).0, b);
            assert_eq!(F16::from_f32(f32::from_bits(middle.to_bits() + 1)).0, b + 1);
        }
        assert_eq!(F16::from_f32(65519.996).0, 0x7bff);
        assert_eq!(F16::from_f32(65520.0).0, 0x7c00);
        assert_eq!(F16::from_f32(-1e30).0, 0xfc00);
        assert_eq!(F16(0x0001).to_f32(), 2f32.powi(-24));
        assert_eq!(F16(0x7c00).to_f32(), f32::INFINITY);
    }
}
