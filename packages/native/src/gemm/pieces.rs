//! How kernels share out scratch, and addresses among tasks.

/// Scratch cut into pieces of f32 or words, each 64-byte aligned.
pub struct Pieces {
    next: *mut u8,
    left: usize,
}

impl Pieces {
    /// Bytes that a piece of this many words takes. More than there can be is what no allocation gives.
    fn size(words: usize) -> usize {
        words.checked_mul(4).and_then(|bytes| bytes.checked_next_multiple_of(64)).unwrap_or(usize::MAX)
    }

    /// Bytes that pieces of these many words take.
    pub fn bytes(words: &[usize]) -> usize {
        words.iter().fold(0, |sum, words| sum.saturating_add(Pieces::size(*words)))
    }

    pub fn new(scratch: &mut [u8]) -> Pieces {
        Pieces { next: scratch.as_mut_ptr(), left: scratch.len() }
    }

    /// The next piece. It lasts as long as the scratch it comes from.
    pub fn take<T>(&mut self, words: usize) -> *mut T {
        debug_assert_eq!(size_of::<T>(), 4);
        let bytes = Pieces::size(words);
        assert!(bytes <= self.left, "scratch is too small");
        let piece = self.next;
        // SAFETY: at most one past the end of the scratch.
        self.next = unsafe { piece.add(bytes) };
        self.left -= bytes;
        piece as *mut T
    }
}

/// An address that tasks share.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T);

// SAFETY: an address; tasks write disjoint parts, or only read.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn new(ptr: *mut T) -> Shared<T> {
        Shared(ptr)
    }

    pub fn get(&self) -> *mut T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::guarded;
    use crate::pool::Pool;

    #[test]
    fn pieces_that_wrap_around_are_out_of_memory() {
        assert_eq!(Pieces::bytes(&[1, 16, 17]), 256);
        for words in [usize::MAX, usize::MAX / 4 + 1, 1 << 62] {
            assert_eq!(Pieces::bytes(&[words, 1]), usize::MAX);
            // SAFETY: no region runs.
            let got = guarded(|| Ok(unsafe { Pool::new(1)?.shared_scratch(Pieces::bytes(&[words])) }.len()));
            assert!(got.unwrap_err().starts_with("out of memory"));
        }
    }
}
