//! A fixed set of threads that run one parallel region at a time.
//!
//! A region is cut into tasks by the kernel, from shapes alone; threads take tasks from an atomic counter. A worker that
//! is late (descheduled or still waking) is not waited for: it joins only while the region is open, so a busy machine
//! costs speed and not latency.

use std::cell::UnsafeCell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::memory::Allocation;
use crate::panics::Caught;

/// How long an idle worker spins before it parks: longer than the gap between the kernels of a training step.
const SPIN: Duration = Duration::from_micros(50);

type Task<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// `state`: workers inside the region in the low 16 bits, then OPEN, then the region's number from bit 32.
const OPEN: u64 = 1 << 16;
const ACTIVE: u64 = OPEN - 1;
const EPOCH: u32 = 32;

/// Keeps two counters off one cache line.
#[repr(align(128))]
struct Line<T>(T);

struct Region {
    task: *const Task<'static>,
    tasks: usize,
}

struct Shared {
    state: Line<AtomicU64>,
    next: Line<AtomicUsize>,
    sleeping: Line<AtomicUsize>,
    aborted: AtomicBool,
    shutdown: AtomicBool,
    region: UnsafeCell<Region>,
    panic: Mutex<Option<Caught>>,
    lock: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `region` is written only while the region is closed and no worker is inside it (see `parallel`), and read only
// by workers that joined an open one; the joins and the opening store order those accesses.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Takes tasks until none are left. A panic stops the region and is kept for the caller.
    fn work(&self, task: &Task, tasks: usize, worker: usize) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            while !self.aborted.load(Ordering::Relaxed) {
                let index = self.next.0.fetch_add(1, Ordering::Relaxed);
                if index >= tasks {
                    break;
                }
                task(index, worker);
            }
        }));
        if let Err(payload) = result {
            self.next.0.store(tasks, Ordering::Relaxed);
            self.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(Caught::new(payload));
        }
    }

    fn worker(&self, worker: usize) {
        let mut last = 0;
        let mut idle_since = Instant::now();
        let mut spins = 0u32;
        loop {
            let state = self.state.0.load(Ordering::SeqCst);
            if state & OPEN != 0 && state >> EPOCH != last {
                let joined = self.state.0.compare_exchange_weak(state, state + 1, Ordering::SeqCst, Ordering::Relaxed);
                if joined.is_ok() {
                    last = state >> EPOCH;
                    // SAFETY: the region is open and counts this worker, so the caller waits for it before it returns
                    // (which keeps the task alive) and before it writes `region` again.
                    let (task, tasks) = unsafe {
                        let region = &*self.region.get();
                        (&*region.task, region.tasks)
                    };
                    self.work(task, tasks, worker);
                    self.state.0.fetch_sub(1, Ordering::SeqCst);
                    idle_since = Instant::now();
                    spins = 0;
                }
                continue;
            }
            if self.shutdown.load(Ordering::Relaxed) {
                return;
            }
            spins += 1;
            if spins.is_multiple_of(64) && idle_since.elapsed() > SPIN {
                let mut guard = self.lock.lock().unwrap_or_else(|e| e.into_inner());
                self.sleeping.0.fetch_add(1, Ordering::SeqCst);
                while {
                    let state = self.state.0.load(Ordering::SeqCst);
                    let work = state & OPEN != 0 && state >> EPOCH != last;
                    !work && !self.shutdown.load(Ordering::SeqCst)
                } {
                    guard = self.wake.wait(guard).unwrap_or_else(|e| e.into_inner());
                }
                self.sleeping.0.fetch_sub(1, Ordering::SeqCst);
                drop(guard);
                idle_since = Instant::now();
                spins = 0;
            }
            std::hint::spin_loop();
        }
    }

    fn wake_sleepers(&self) {
        if self.sleeping.0.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(|e| e.into_inner()));
            self.wake.notify_all();
        }
    }
}

struct Scratch(UnsafeCell<Option<Allocation>>);

// SAFETY: each is used by one thread at a time, which is the contract of `Pool::scratch` and
// `Pool::shared_scratch`.
unsafe impl Sync for Scratch {}

/// The part of `parts` equal ones, in order, of `0 .. total`.
pub fn part(total: usize, parts: usize, index: usize) -> (usize, usize) {
    (total * index / parts, total * (index + 1) / parts)
}

/// Workers plus the thread that calls [`Pool::parallel`].
pub struct Pool {
    shared: Arc<Shared>,
    threads: usize,
    /// Guards against a region inside a region and against two callers.
    busy: AtomicBool,
    /// One per worker, then the shared one.
    scratch: Vec<Scratch>,
    handles: Vec<JoinHandle<()>>,
}

impl Pool {
    /// A pool of `threads` threads in all, of which one is the caller.
    pub fn new(threads: usize) -> Result<Pool, String> {
        let threads = threads.clamp(1, 1024);
        let noop: &Task<'static> = &|_, _| {};
        let shared = Arc::new(Shared {
            state: Line(AtomicU64::new(0)),
            next: Line(AtomicUsize::new(0)),
            sleeping: Line(AtomicUsize::new(0)),
            aborted: AtomicBool::new(false),
            shutdown: AtomicBool::new(false),
            region: UnsafeCell::new(Region { task: noop, tasks: 0 }),
            panic: Mutex::new(None),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut pool = Pool {
            shared,
            threads,
            busy: AtomicBool::new(false),
            scratch: (0..=threads).map(|_| Scratch(UnsafeCell::new(None))).collect(),
            handles: Vec::new(),
        };
        for worker in 1..threads {
            let shared = pool.shared.clone();
            let handle = std::thread::Builder::new()
                .name(format!("medgpt-{worker}"))
                .spawn(move || shared.worker(worker))
                .map_err(|e| format!("cannot start thread {worker} of {threads}: {e}"))?;
            pool.handles.push(handle);
        }
        Ok(pool)
    }

    /// Threads in all, the caller included. Worker numbers are below this; 0 is the caller.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `task(index, worker)` for every index below `tasks`, each once, in no particular order, and returns when all
    /// are done. Tasks not yet started are left out once the pool is aborted. A task's panic is raised again here, as a `Caught`.
    pub fn parallel(&self, tasks: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        if tasks == 0 {
            return;
        }
        assert!(!self.busy.swap(true, Ordering::Acquire), "a parallel region inside another");
        let shared = &*self.shared;
        shared.next.0.store(0, Ordering::Relaxed);
        let open = self.threads > 1 && tasks > 1;
        if open {
            // SAFETY: only the lifetime changes; the wait below keeps every use of it inside this call. The region is
            // closed and empty, so nobody reads it while it is written.
            unsafe {
                let task: *const Task<'static> = std::mem::transmute(task as *const Task<'_>);
                *shared.region.get() = Region { task, tasks };
            }
            let epoch = (shared.state.0.load(Ordering::Relaxed) >> EPOCH).wrapping_add(1) & 0xffff_ffff;
            shared.state.0.store(epoch << EPOCH | OPEN, Ordering::SeqCst);
            shared.wake_sleepers();
        }
        shared.work(task, tasks, 0);
        if open {
            shared.state.0.fetch_and(!OPEN, Ordering::SeqCst);
            let mut spins = 0u32;
            while shared.state.0.load(Ordering::SeqCst) & ACTIVE != 0 {
                spins += 1;
                if spins.is_multiple_of(4096) {
                    std::thread::yield_now();
                }
                std::hint::spin_loop();
            }
        }
        let panic = shared.panic.lock().unwrap_or_else(|e| e.into_inner()).take();
        self.busy.store(false, Ordering::Release);
        if let Some(caught) = panic {
            resume_unwind(Box::new(caught));
        }
    }

    /// Whether the running kernel should stop. Long tasks may look at it inside.
    pub fn aborted(&self) -> bool {
        self.shared.aborted.load(Ordering::Relaxed)
    }

    pub fn set_aborted(&self, aborted: bool) {
        self.shared.aborted.store(aborted, Ordering::Relaxed);
    }

    /// A handle that raises the abort flag from another thread.
    pub fn abort_handle(&self) -> impl Fn(bool) + Send + Sync + 'static {
        let shared = self.shared.clone();
        move |aborted| shared.aborted.store(aborted, Ordering::Relaxed)
    }

    /// At least `bytes` bytes of this worker's scratch, 64-byte aligned, contents left from earlier use. Grows and stays.
    ///
    /// # Safety
    /// Only from the task that runs as `worker` (or, for worker 0, outside any region), and not while the result of an
    /// earlier call for the same worker is in use.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn scratch(&self, worker: usize, bytes: usize) -> &mut [u8] {
        debug_assert!(worker < self.threads);
        // SAFETY: passed on to the caller.
        unsafe { self.grow(worker, bytes) }
    }

    /// Scratch that the whole kernel shares (packed panels, slots of partial sums), as `scratch`.
    ///
    /// # Safety
    /// Only outside a region, and not while the result of an earlier call is in use. Tasks that write it must keep to
    /// disjoint parts.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn shared_scratch(&self, bytes: usize) -> &mut [u8] {
        // SAFETY: passed on to the caller.
        unsafe { self.grow(self.threads, bytes) }
    }

    /// # Safety
    /// The caller has this scratch to itself.
    #[allow(clippy::mut_from_ref)]
    unsafe fn grow(&self, index: usize, bytes: usize) -> &mut [u8] {
        // SAFETY: the caller has this slot to itself.
        let slot = unsafe { &mut *self.scratch[index].0.get() };
        if slot.as_ref().is_none_or(|allocation| allocation.size() < bytes) {
            *slot = None;
            // Becomes the error of the kernel; raised without the hook that would print it.
            let size = bytes.max(4096).checked_next_power_of_two().unwrap_or(usize::MAX);
            let allocation = Allocation::new(size).unwrap_or_else(|e| resume_unwind(Box::new(e)));
            *slot = Some(allocation);
        }
        let allocation = slot.as_ref().expect("just made");
        // SAFETY: the allocation holds this many initialised bytes, and the caller has it to itself.
        unsafe { std::slice::from_raw_parts_mut(allocation.ptr(), allocation.size()) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.shutdown.store(true, Ordering::SeqCst);
        drop(self.shared.lock.lock().unwrap_or_else(|e| e.into_inner()));
        self.shared.wake.notify_all();
        for handle in self.handles.drain(..) {
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::guarded;

    #[test]
    fn every_task_runs_once_for_any_number_of_threads() {
        for threads in [1, 2, 3, 7] {
            let pool = Pool::new(threads).unwrap();
            for tasks in [0, 1, 2, 100, 1000] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.parallel(tasks, &|task, worker| {
                    assert!(worker < threads);
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn many_small_regions_with_pauses_lose_no_wake_up() {
        let pool = Pool::new(3).unwrap();
        let total = AtomicUsize::new(0);
        for round in 0..2000 {
            pool.parallel(5, &|_, _| {
                total.fetch_add(1, Ordering::Relaxed);
            });
            if round % 200 == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        assert_eq!(total.load(Ordering::Relaxed), 10_000);
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_caller_and_the_pool_works_on() {
        let pool = Pool::new(2).unwrap();
        let result = guarded(|| {
            pool.parallel(100, &|task, _| assert!(task != 57, "task 57 failed"));
            Ok(())
        });
        assert!(result.unwrap_err().ends_with("task 57 failed"));
        let total = AtomicUsize::new(0);
        pool.parallel(10, &|_, _| {
            total.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(total.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn a_region_inside_a_region_is_refused() {
        let pool = Pool::new(2).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.parallel(1, &|_, _| pool.parallel(1, &|_, _| {}));
        }));
        assert!(result.is_err());
        pool.parallel(1, &|_, _| {});
    }

    #[test]
    fn abort_leaves_out_the_tasks_not_yet_started() {
        let pool = Pool::new(2).unwrap();
        let abort = pool.abort_handle();
        let ran = AtomicUsize::new(0);
        pool.parallel(1_000_000, &|_, _| {
            if ran.fetch_add(1, Ordering::Relaxed) == 10 {
                abort(true);
            }
        });
        assert!(pool.aborted());
        assert!(ran.load(Ordering::Relaxed) < 1000);
        pool.set_aborted(false);
        let total = AtomicUsize::new(0);
        pool.parallel(10, &|_, _| {
            total.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(total.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn scratch_is_aligned_grows_and_stays() {
        let pool = Pool::new(2).unwrap();
        // SAFETY: no region runs and each result is used up before the next call.
        unsafe {
            let first = pool.scratch(0, 100).as_ptr();
            assert_eq!(first as usize % 64, 0);
            assert_eq!(pool.scratch(0, 50).as_ptr(), first);
            assert!(pool.scratch(0, 1 << 20).len() >= 1 << 20);
            assert!(pool.shared_scratch(12345).len() >= 12345);
        }
    }
}
