//! The queue and the thread that works through it. Calls from JavaScript only append; one executor thread owns the
//! buffers and carries out allocations, kernels, writes and frees in order.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use memmap2::Mmap;

use crate::block::{load, BLOCK, ZERO};
use crate::buffer::{take_operand_bytes, Allocator, Block, DType, View};
use crate::isa::Isa;
use crate::kernels::{self, Context};
use crate::pool::Pool;

/// Called once with the outcome of a read or sync (which has no bytes).
pub type Reply = Box<dyn FnOnce(Result<Vec<u8>, String>) + Send>;

pub enum Command {
    Alloc {
        id: u64,
        dtype: DType,
        size: usize,
    },
    Map {
        id: u64,
        path: String,
        byte_offset: usize,
        dtype: DType,
        size: usize,
    },
    Free {
        id: u64,
    },
    Write {
        id: u64,
        offset: usize,
        bytes: Vec<u8>,
    },
    /// A kernel's number and its encoded arguments.
    Kernel(Vec<f64>),
    /// `raw`: the bytes as they are; otherwise bf16 and f16 as f32.
    Read {
        id: u64,
        offset: usize,
        count: usize,
        raw: bool,
        reply: Reply,
    },
    Sync {
        reply: Reply,
    },
}

pub const ABORTED: &str = "aborted: the work queued on the native backend was dropped";
const CLOSED: &str = "the native backend is disposed";

#[derive(Default)]
struct State {
    commands: VecDeque<Command>,
    /// A command has been taken and is not known to be finished.
    running: bool,
    /// The abort flag was raised for the running command; lowered before the next.
    aborted: bool,
    closed: bool,
    /// The executor sleeps until it is notified.
    asleep: bool,
    on_closed: Vec<Reply>,
    finished: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// Commands appended so far, looked at while spinning.
    appended: AtomicUsize,
    /// Kernels run since profiling began; none while it is off.
    profile: Mutex<Option<Profile>>,
}

/// For every kernel run: start and duration in microseconds, bytes of its operands, the number of its words, and these.
struct Profile {
    begin: Instant,
    events: Vec<f64>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn rouse(&self, state: &mut State) {
        self.appended.fetch_add(1, Ordering::Release);
        if state.asleep {
            state.asleep = false;
            self.wake.notify_one();
        }
    }
}

/// How long the executor spins on an empty queue before it sleeps.
const SPIN: Duration = Duration::from_micros(50);

pub struct Engine {
    queue: Arc<Queue>,
    abort: Box<dyn Fn(bool) + Send + Sync>,
    description: String,
}

impl Engine {
    /// `threads` in all; by default as many as the machine gives this process.
    pub fn new(threads: Option<usize>, isa: Option<&str>) -> Result<Engine, String> {
        let isa = Isa::choose(isa)?;
        let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        if threads == 0 {
            return Err("threads must be at least 1, is 0".to_string());
        }
        let pool = Pool::new(threads)?;
        let description = format!("{} kernels, {} thread{}", isa.name(), threads, if threads == 1 { "" } else { "s" });
        let abort = Box::new(pool.abort_handle());
        let queue = Arc::new(Queue::default());
        let shared = queue.clone();
        std::thread::Builder::new()
            .name("medgpt-executor".to_string())
            .spawn(move || execute(&shared, pool, isa))
            .map_err(|e| format!("cannot start the executor thread: {e}"))?;
        Ok(Engine { queue, abort, description })
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    /// Begins to record kernels, or ends it and returns what was recorded (see `Profile`).
    pub fn profile(&self, on: bool) -> Vec<f64> {
        let fresh = on.then(|| Profile { begin: Instant::now(), events: Vec::new() });
        let mut profile = self.queue.profile.lock().unwrap_or_else(|e| e.into_inner());
        std::mem::replace(&mut *profile, fresh).map_or(Vec::new(), |profile| profile.events)
    }

    /// Appends to the queue. Once closed, a read or sync is answered with an error and anything else is one.
    pub fn push(&self, command: Command) -> Result<(), String> {
        let mut state = self.queue.lock();
        if !state.closed {
            state.commands.push_back(command);
            self.queue.rouse(&mut state);
            return Ok(());
        }
        drop(state);
        match command {
            Command::Read { reply, .. } | Command::Sync { reply } => {
                reply(Err(CLOSED.to_string()));
                Ok(())
            }
            _ => Err(CLOSED.to_string()),
        }
    }

    /// Appends commands that have no reply, in order, as one.
    pub fn push_all(&self, commands: Vec<Command>) -> Result<(), String> {
        let mut state = self.queue.lock();
        if state.closed {
            return Err(CLOSED.to_string());
        }
        state.commands.extend(commands);
        self.queue.rouse(&mut state);
        Ok(())
    }

    /// Drops queued kernels and writes, rejects queued reads and stops the running kernel. Allocations, mappings and frees
    /// stay queued, so that what the caller believes about buffers stays true.
    pub fn abort(&self) {
        let mut replies = Vec::new();
        {
            let mut state = self.queue.lock();
            let commands = std::mem::take(&mut state.commands);
            for command in commands {
                match command {
                    Command::Alloc { .. } | Command::Map { .. } | Command::Free { .. } => {
                        state.commands.push_back(command)
                    }
                    Command::Read { reply, .. } | Command::Sync { reply } => replies.push(reply),
                    Command::Write { .. } | Command::Kernel(_) => {}
                }
            }
            // The flag is lowered, and an earlier failure forgotten, when the executor comes for its next command.
            state.aborted = true;
            if state.running {
                (self.abort)(true);
            }
            self.queue.rouse(&mut state);
        }
        replies.into_iter().for_each(|reply| reply(Err(ABORTED.to_string())));
    }

    /// Drops everything. `done` is called when the memory is given back.
    pub fn close(&self, done: Option<Reply>) {
        let mut replies = Vec::new();
        let mut now = None;
        {
            let mut state = self.queue.lock();
            for command in std::mem::take(&mut state.commands) {
                if let Command::Read { reply, .. } | Command::Sync { reply } = command {
                    replies.push(reply);
                }
            }
            state.closed = true;
            if state.finished {
                now = done;
            } else {
                state.on_closed.extend(done);
            }
            (self.abort)(true);
            self.queue.rouse(&mut state);
        }
        replies.into_iter().for_each(|reply| reply(Err(CLOSED.to_string())));
        if let Some(done) = now {
            done(Ok(Vec::new()));
        }
    }
}

impl Drop for Engine {
    /// Does not wait: at process exit the executor may be in the middle of a kernel.
    fn drop(&mut self) {
        self.close(None);
    }
}

/// The next command, or none once closed.
fn next(queue: &Queue, pool: &Pool, failure: &mut Option<String>) -> Option<Command> {
    let mut spun_since = None;
    loop {
        let seen = queue.appended.load(Ordering::Acquire);
        {
            let mut state = queue.lock();
            if state.closed {
                return None;
            }
            if state.aborted {
                state.aborted = false;
                pool.set_aborted(false);
                *failure = None;
            }
            state.running = false;
            if let Some(command) = state.commands.pop_front() {
                state.running = true;
                return Some(command);
            }
            if spun_since.is_some_and(|since: Instant| since.elapsed() > SPIN) {
                state.asleep = true;
                while state.asleep {
                    state = queue.wake.wait(state).unwrap_or_else(|e| e.into_inner());
                }
                continue;
            }
        }
        let since = *spun_since.get_or_insert_with(Instant::now);
        while queue.appended.load(Ordering::Acquire) == seen && since.elapsed() <= SPIN {
            std::hint::spin_loop();
        }
    }
}

fn execute(queue: &Queue, pool: Pool, isa: Isa) {
    let mut buffers = Buffers::default();
    let mut failure: Option<String> = None;
    let cx = Context { pool: &pool, isa };
    while let Some(command) = next(queue, &pool, &mut failure) {
        match command {
            Command::Alloc { .. } | Command::Map { .. } | Command::Free { .. } => {
                if let Err(message) = guarded(|| buffers.manage(command)) {
                    failure.get_or_insert(message);
                }
            }
            Command::Write { .. } | Command::Kernel(_) if failure.is_some() => {}
            Command::Write { id, offset, bytes } => failure = buffers.write(id, offset, &bytes).err(),
            Command::Kernel(words) => {
                let name = kernels::kernel_of(&words).map_or("kernel", |kernel| kernel.name);
                take_operand_bytes();
                let start = Instant::now();
                failure = guarded(|| kernels::run(&cx, &buffers, &words))
                    .map_err(|e| if e.starts_with(name) { e } else { format!("{name}: {e}") })
                    .err();
                let mut profile = queue.profile.lock().unwrap_or_else(|e| e.into_inner());
                if let Some(Profile { begin, events }) = profile.as_mut() {
                    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
                    let since = start.saturating_duration_since(*begin);
                    let bytes = take_operand_bytes() as f64;
                    events.extend([micros(since), micros(start.elapsed()), bytes, words.len() as f64]);
                    events.extend(words);
                }
            }
            Command::Read { id, offset, count, raw, reply } => {
                let result = match failure.take() {
                    Some(message) => Err(message),
                    None => guarded(|| buffers.read(id, offset, count, raw)),
                };
                reply(if pool.aborted() { Err(ABORTED.to_string()) } else { result });
            }
            Command::Sync { reply } => reply(failure.take().map_or(Ok(Vec::new()), Err)),
        }
    }
    drop(buffers);
    drop(pool);
    let replies = {
        let mut state = queue.lock();
        state.finished = true;
        std::mem::take(&mut state.on_closed)
    };
    replies.into_iter().for_each(|reply| reply(Ok(Vec::new())));
}

/// Turns a panic into an error.
pub fn guarded<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| Err(panic_message(&*payload)))
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    match text {
        Some(text) if text.starts_with("out of memory") => text.to_string(),
        Some(text) => format!("internal error: {text}"),
        None => "internal error".to_string(),
    }
}

enum Memory {
    Owned(Block),
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
    fn manage(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Alloc { id, dtype, size } => {
                let bytes = size.checked_mul(dtype.size());
                let block = bytes
                    .ok_or_else(|| format!("out of memory: {size} elements of {} are too many", dtype.name()))
                    .and_then(|bytes| self.allocator.alloc(bytes));
                self.insert("alloc", id, block.map(Memory::Owned), dtype, size)
            }
            Command::Map { id, path, byte_offset, dtype, size } => {
                let memory = self
                    .map_file(&path, byte_offset, dtype, size)
                    .map(|map| Memory::Mapped { map, byte_offset })
                    .map_err(|e| format!("{path}: {e}"));
                self.insert("map", id, memory, dtype, size)
            }
            Command::Free { id } => {
                let buffer = self.live.remove(&id).ok_or_else(|| format!("free: {}", dead(id)))?;
                if let Memory::Owned(block) = buffer.memory {
                    self.allocator.free(block);
                }
                Ok(())
            }
            _ => unreachable!("only called for the commands above"),
        }
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
            if let Ok(Memory::Owned(block)) = memory {
                self.allocator.free(block);
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
            Memory::Owned(block) => (block.ptr(), true),
            // SAFETY: the mapping reaches at least to the buffer's end, which was checked when it was made.
            Memory::Mapped { map, byte_offset } => (unsafe { map.as_ptr().add(*byte_offset) }.cast_mut(), false),
            Memory::Failed => return Err(format!("{name} is buffer {id}, which could not be allocated")),
        };
        // SAFETY: `at` is within the buffer, whose memory lives at least until the running command ends.
        Ok(unsafe { View::new(base.add(at), buffer.dtype, buffer.size - offset, writable) })
    }

    fn write(&self, id: u64, offset: usize, bytes: &[u8]) -> Result<(), String> {
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

    fn read(&self, id: u64, offset: usize, count: usize, raw: bool) -> Result<Vec<u8>, String> {
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
