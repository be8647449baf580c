//! The queue and the thread that works through it. Calls from JavaScript only append; one executor thread owns the
//! buffers and carries out allocations, kernels, writes and frees in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::buffer::{take_operand_bytes, DType};
use crate::buffers::Buffers;
use crate::context::Context;
use crate::isa::Isa;
use crate::kernels;
use crate::panics::guarded;
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

/// Runs a kernel, and keeps its times where kernels are recorded.
fn run_kernel(queue: &Queue, cx: &Context, buffers: &Buffers, words: Vec<f64>) -> Result<(), String> {
    let name = kernels::kernel_of(&words).map_or("kernel", |kernel| kernel.name);
    take_operand_bytes();
    let start = Instant::now();
    let result = guarded(|| kernels::run(cx, buffers, &words)).map_err(|e| {
        if e.starts_with(name) {
            e
        } else {
            format!("{name}: {e}")
        }
    });
    let mut profile = queue.profile.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(Profile { begin, events }) = profile.as_mut() {
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        let since = start.saturating_duration_since(*begin);
        let bytes = take_operand_bytes() as f64;
        events.extend([micros(since), micros(start.elapsed()), bytes, words.len() as f64]);
        events.extend(words);
    }
    result
}

fn execute(queue: &Queue, pool: Pool, isa: Isa) {
    let mut buffers = Buffers::default();
    let mut failure: Option<String> = None;
    let cx = Context { pool: &pool, isa };
    while let Some(command) = next(queue, &pool, &mut failure) {
        match command {
            // What the caller believes about buffers stays true, so these are carried out after a failure too.
            Command::Alloc { id, dtype, size } => {
                let result = guarded(|| buffers.alloc(id, dtype, size));
                failure = failure.or(result.err());
            }
            Command::Map { id, path, byte_offset, dtype, size } => {
                let result = guarded(|| buffers.map(id, &path, byte_offset, dtype, size));
                failure = failure.or(result.err());
            }
            Command::Free { id } => {
                let result = guarded(|| buffers.free(id));
                failure = failure.or(result.err());
            }
            Command::Write { .. } | Command::Kernel(_) if failure.is_some() => {}
            Command::Write { id, offset, bytes } => failure = guarded(|| buffers.write(id, offset, &bytes)).err(),
            Command::Kernel(words) => failure = run_kernel(queue, &cx, &buffers, words).err(),
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
