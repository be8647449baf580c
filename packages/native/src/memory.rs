//! The memory of buffers and of scratch.

use std::collections::BTreeMap;

use memmap2::MmapMut;

const ALIGN: usize = 64;
/// Allocations from this size on are mapped on their own and aligned for huge pages.
const HUGE: usize = 2 << 20;

/// Zero-initialised memory, 64-byte aligned.
pub struct Allocation {
    ptr: *mut u8,
    size: usize,
    /// The mapping under a large allocation; a small one comes from the system allocator.
    _map: Option<MmapMut>,
}

// SAFETY: an allocation owns its memory, which is not tied to a thread.
unsafe impl Send for Allocation {}
// SAFETY: `Allocation` itself gives out only its address.
unsafe impl Sync for Allocation {}

fn out_of_memory(bytes: usize) -> String {
    format!("out of memory: could not get {bytes} bytes")
}

impl Allocation {
    pub fn new(size: usize) -> Result<Allocation, String> {
        let size = size.max(1).checked_next_multiple_of(ALIGN).ok_or_else(|| out_of_memory(size))?;
        if size < HUGE {
            // SAFETY: the layout is not of size zero.
            let ptr = unsafe { std::alloc::alloc_zeroed(Allocation::layout(size)) };
            if ptr.is_null() {
                return Err(out_of_memory(size));
            }
            return Ok(Allocation { ptr, size, _map: None });
        }
        // Untouched pages cost nothing, so room to align is free.
        let length = size.checked_add(HUGE).ok_or_else(|| out_of_memory(size))?;
        let mut map = MmapMut::map_anon(length).map_err(|_| out_of_memory(size))?;
        let base = map.as_mut_ptr();
        // Only whole huge pages: one for the rest would take 2 MiB for as little as a byte. A hint, which kernels without
        // huge pages refuse.
        #[cfg(target_os = "linux")]
        {
            let (start, whole) = (base.align_offset(HUGE), size / HUGE * HUGE);
            let _ = map.advise_range(memmap2::Advice::HugePage, start, whole);
            let _ = map.advise_range(memmap2::Advice::NoHugePage, start + whole, length - start - whole);
        }
        // SAFETY: the padding is less than HUGE, which the mapping holds beyond `size`.
        let ptr = unsafe { base.add(base.align_offset(HUGE)) };
        Ok(Allocation { ptr, size, _map: Some(map) })
    }

    fn layout(size: usize) -> std::alloc::Layout {
        std::alloc::Layout::from_size_align(size, ALIGN).expect("small and aligned")
    }

    pub fn ptr(&self) -> *mut u8 {
        self.ptr
    }

    pub fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        if self._map.is_none() {
            // SAFETY: allocated with this very layout.
            unsafe { std::alloc::dealloc(self.ptr, Allocation::layout(self.size)) }
        }
    }
}

/// Keeps freed allocations for the next allocation, so that a training step, which frees and allocates the same sizes over and
/// over, needs nothing from the system. What it holds in all stays within a quarter above the highest live use.
#[derive(Default)]
pub struct Allocator {
    /// Freed allocations by size, each with the time it was freed.
    free: BTreeMap<usize, Vec<(u64, Allocation)>>,
    clock: u64,
    live: usize,
    peak: usize,
    cached: usize,
}

/// Slack before freed allocations go back to the system.
const KEEP: usize = 64 << 20;

impl Allocator {
    /// Sizes are rounded up to an eighth of their power of two, so that similar shapes share allocations.
    fn class(bytes: usize) -> Option<usize> {
        let step = (bytes.max(1).checked_next_power_of_two()? / 16).max(ALIGN);
        bytes.max(1).checked_next_multiple_of(step)
    }

    pub fn alloc(&mut self, bytes: usize) -> Result<Allocation, String> {
        let size = Allocator::class(bytes).ok_or_else(|| out_of_memory(bytes))?;
        let fits = self.free.range_mut(size..=size + size / 4).find(|(_, allocations)| !allocations.is_empty());
        let allocation = match fits.and_then(|(_, allocations)| allocations.pop()) {
            Some((_, allocation)) => {
                self.cached -= allocation.size();
                allocation
            }
            None => {
                self.trim((self.peak + self.peak / 4 + KEEP).saturating_sub(self.live + size));
                Allocation::new(size).or_else(|_| {
                    self.trim(0);
                    Allocation::new(size)
                })?
            }
        };
        self.live += allocation.size();
        self.peak = self.peak.max(self.live);
        Ok(allocation)
    }

    pub fn free(&mut self, allocation: Allocation) {
        self.live -= allocation.size();
        self.cached += allocation.size();
        self.clock += 1;
        self.free.entry(allocation.size()).or_default().push((self.clock, allocation));
    }

    /// Gives back the allocations freed longest ago until at most `limit` bytes are kept.
    fn trim(&mut self, limit: usize) {
        while self.cached > limit {
            let oldest = self.free.iter().filter_map(|(size, allocations)| Some((allocations.first()?.0, *size))).min();
            let Some((_, size)) = oldest else { return };
            let allocations = self.free.get_mut(&size).expect("just seen");
            drop(allocations.remove(0));
            if allocations.is_empty() {
                self.free.remove(&size);
            }
            self.cached -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_allocations_are_reused_and_the_total_stays_bounded() {
        let mut allocator = Allocator::default();
        let a = allocator.alloc(1000).unwrap();
        let address = a.ptr();
        assert_eq!(address as usize % ALIGN, 0);
        allocator.free(a);
        let b = allocator.alloc(990).unwrap();
        assert_eq!(b.ptr(), address);
        allocator.free(b);
        // Ever larger allocations: each is fresh, and the old ones are given back.
        for i in 0..200 {
            let allocation = allocator.alloc((8 << 20) + i * (2 << 20)).unwrap();
            assert_eq!(allocation.ptr() as usize % HUGE, 0);
            allocator.free(allocation);
        }
        assert!(allocator.cached <= allocator.peak + allocator.peak / 4 + KEEP);
        assert_eq!(allocator.live, 0);
    }

    #[test]
    fn an_impossible_allocation_is_an_error() {
        let mut allocator = Allocator::default();
        assert!(allocator.alloc(1 << 60).err().unwrap().starts_with("out of memory"));
        assert!(allocator.alloc(usize::MAX).is_err());
        assert!(allocator.alloc(100).is_ok());
    }
}
