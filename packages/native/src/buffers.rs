//! The live buffers, by the ids that JavaScript knows them under, and the memory each has: its own, or a mapped file.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use memmap2::Mmap;

use crate::block::{load, BLOCK, ZERO};
use crate::buffer::{DType, View};
use crate::memory::{Allocation, Allocator};

enum Memory {
    Owned(Allocation),
    Mapped {
        map: Arc<Mmap>,
        byte_offset: usize,
    },
    /// An allocation or mapping that failed. Its error has been reported; freeing it is right, using it is not.
    Failed,
}

struct Buffer {
    memory: Memory,
    dtype: DType,
    size: usize,
}

/// The live buffers.
#[derive(Default)]
pub struct Buffers {
    live: HashMap<u64, Buffer>,
    allocator: Allocator,
    /// Mappings in use, shared by the buffers over one file.
    files: HashMap<FileKey, Weak<Mmap>>,
}

/// Tells a replaced file from the one mapped before under the same path.
#[derive(PartialEq, Eq, Hash)]
struct FileKey {
    path: PathBuf,
    size: u64,
    modified: Option<std::time::SystemTime>,
    inode: u64,
}

impl Buffers {
    pub fn alloc(&mut self, id: u64, dtype: DType, size: usize) -> Result<(), String> {
        let bytes = size.checked_mul(dtype.size());
        let allocation = bytes
            .ok_or_else(|| format!("out of memory: {size} elements of {} are too many", dtype.name()))
            .and_then(|bytes| self.allocator.alloc(bytes));
        self.insert("alloc", id, allocation.map(Memory::Owned), dtype, size)
    }

    /// Makes `size` elements of a file, from byte `byte_offset` on, a buffer that is read-only.
    pub fn map(&mut self, id: u64, path: &str, byte_offset: usize, dtype: DType, size: usize) -> Result<(), String> {
        let memory = self
            .map_file(path, byte_offset, dtype, size)
            .map(|map| Memory::Mapped { map, byte_offset })
            .map_err(|e| format!("{path}: {e}"));
        self.insert("map", id, memory, dtype, size)
    }

    pub fn free(&mut self, id: u64) -> Result<(), String> {
        let buffer = self.live.remove(&id).ok_or_else(|| format!("free: {}", dead(id)))?;
        if let Memory::Owned(allocation) = buffer.memory {
            self.allocator.free(allocation);
        }
        Ok(())
    }

    fn insert(
        &mut self,
        name: &str,
        id: u64,
        memory: Result<Memory, String>,
        dtype: DType,
        size: usize,
    ) -> Result<(), String> {
        if self.live.contains_key(&id) {
            if let Ok(Memory::Owned(allocation)) = memory {
                self.allocator.free(allocation);
            }
            return Err(format!("{name}: buffer {id} is alive already"));
        }
        let (memory, result) = match memory {
            Ok(memory) => (memory, Ok(())),
            Err(message) => (Memory::Failed, Err(format!("{name}: {message}"))),
        };
        self.live.insert(id, Buffer { memory, dtype, size });
        result
    }

    fn map_file(&mut self, path: &str, byte_offset: usize, dtype: DType, size: usize) -> Result<Arc<Mmap>, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let metadata = file.metadata().map_err(|e| e.to_string())?;
        let end = size.checked_mul(dtype.size()).and_then(|bytes| bytes.checked_add(byte_offset));
        if end.is_none_or(|end| end as u64 > metadata.len()) {
            return Err(format!(
                "{size} elements of {} from byte {byte_offset} on reach past the end of the file ({} bytes)",
                dtype.name(),
                metadata.len()
            ));
        }
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        let key =
            FileKey { path: PathBuf::from(path), size: metadata.len(), modified: metadata.modified().ok(), inode };
        if let Some(map) = self.files.get(&key).and_then(Weak::upgrade) {
            return Ok(map);
        }
        self.files.retain(|_, map| map.strong_count() > 0);
        // SAFETY: read-only; that the file stays in place unchanged while it is mapped is a rule of `Backend.map`.
        let map = Arc::new(unsafe { Mmap::map(&file) }.map_err(|e| e.to_string())?);
        self.files.insert(key, Arc::downgrade(&map));
        Ok(map)
    }

    /// The elements of buffer `id` from `offset` on. `name` is the argument's name, for the error.
    pub fn view(&self, name: &str, id: u64, offset: usize) -> Result<View, String> {
        let buffer = self.live.get(&id).ok_or_else(|| format!("{name} is {}", dead(id)))?;
        if offset > buffer.size {
            return Err(format!("{name} starts at element {offset} of buffer {id}, which has {}", buffer.size));
        }
        let at = offset * buffer.dtype.size();
        let (base, writable) = match &buffer.memory {
            Memory::Owned(allocation) => (allocation.ptr(), true),
            // SAFETY: the mapping reaches at least to the buffer's end, which was checked when it was made.
            Memory::Mapped { map, byte_offset } => (unsafe { map.as_ptr().add(*byte_offset) }.cast_mut(), false),
            Memory::Failed => return Err(format!("{name} is buffer {id}, which could not be allocated")),
        };
        // SAFETY: `at` is within the buffer, whose memory lives at least until the running command ends.
        Ok(unsafe { View::new(base.add(at), buffer.dtype, buffer.size - offset, writable) })
    }

    pub fn write(&self, id: u64, offset: usize, bytes: &[u8]) -> Result<(), String> {
        let check = || {
            let view = self.view("the target", id, offset)?;
            if !view.writable() {
                return Err("the target is a mapped file, which is read-only".to_string());
            }
            if !bytes.len().is_multiple_of(view.dtype().size()) {
                return Err(format!("{} bytes are no whole number of {} elements", bytes.len(), view.dtype().name()));
            }
            view.holds("the target", bytes.len() / view.dtype().size())?;
            Ok(view)
        };
        let view = check().map_err(|e: String| format!("write: {e}"))?;
        // SAFETY: checked above; the source is ours.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), view.ptr(), bytes.len()) };
        Ok(())
    }

    pub fn read(&self, id: u64, offset: usize, count: usize, raw: bool) -> Result<Vec<u8>, String> {
        let view = self
            .view("the source", id, offset)
            .and_then(|view| view.holds("the source", count).map(|()| view))
            .map_err(|e| format!("read: {e}"))?;
        let widen = !raw && matches!(view.dtype(), DType::Bf16 | DType::F16);
        let length = count * if widen { 4 } else { view.dtype().size() };
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| format!("read: out of memory: could not get {length} bytes"))?;
        if widen {
            let mut values = ZERO;
            for at in (0..count).step_by(BLOCK) {
                let values = &mut values[..BLOCK.min(count - at)];
                // SAFETY: checked above.
                unsafe { load(view, at, values) };
                values.iter().for_each(|value| bytes.extend_from_slice(&value.to_ne_bytes()));
            }
        } else {
            // SAFETY: checked above; copied bytewise.
            bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(view.ptr(), length) });
        }
        Ok(bytes)
    }
}

fn dead(id: u64) -> String {
    format!("buffer {id}, which is not alive (freed, or never allocated)")
}
