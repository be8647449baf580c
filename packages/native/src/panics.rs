//! Panics become errors. A hook notes where each one happened, so that the error can say it.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{catch_unwind, set_hook, take_hook, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Once;

thread_local! {
    /// Where this thread panicked last, until somebody asks.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls of `quietly` that are under way.
static QUIET: AtomicUsize = AtomicUsize::new(0);

/// A panic that was caught, with the place where it happened if the hook saw it.
pub struct Caught {
    message: Option<String>,
    place: Option<String>,
}

impl Caught {
    /// Must be made on the thread that panicked, from what `catch_unwind` returned there.
    pub fn new(payload: Box<dyn Any + Send>) -> Caught {
        let payload = match payload.downcast::<Caught>() {
            Ok(caught) => return *caught,
            Err(payload) => payload,
        };
        let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Caught { message, place: PLACE.take() }
    }

    fn error(self, with_place: bool) -> String {
        let place = self.place.filter(|_| with_place).map_or(String::new(), |place| format!(" at {place}"));
        match self.message {
            Some(text) if text.starts_with("out of memory") => text,
            Some(text) => format!("internal error{place}: {text}"),
            None => format!("internal error{place}"),
        }
    }
}

/// Sets the hook: it notes the place, then does what the hook before it did, unless the panic is likely one of `quietly`.
fn set_up() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let debug = std::env::var_os("MEDGPT_DEBUG").is_some();
        let before = take_hook();
        set_hook(Box::new(move |info| {
            PLACE.set(info.location().map(|at| format!("{}:{}", at.file(), at.line())));
            if debug || QUIET.load(Ordering::Relaxed) == 0 {
                before(info);
            }
        }));
    });
}

fn caught<T>(f: impl FnOnce() -> Result<T, String>, with_place: bool) -> Result<T, String> {
    set_up();
    // The place of an older panic is not that of one that passes the hook by.
    PLACE.take();
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| Err(Caught::new(payload).error(with_place)))
}

/// Turns a panic into an error, which says in which line it happened.
pub fn guarded<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    caught(f, true)
}

/// As `guarded`, for panics that are the input's fault: nothing is printed unless MEDGPT_DEBUG is set, and the error names
/// no line. They may happen on threads that `f` hands work to, so for as long as it runs no thread's panic is printed; the
/// error of `guarded` still names the line.
pub fn quietly<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    QUIET.fetch_add(1, Ordering::Relaxed);
    let result = caught(f, false);
    QUIET.fetch_sub(1, Ordering::Relaxed);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    /// A panic on whichever thread of a pool takes task 7.
    fn fails_in_a_task(threads: usize) -> Result<(), String> {
        let pool = Pool::new(threads)?;
        guarded(|| {
            pool.parallel(64, &|task, _| assert!(task != 7, "task 7 failed"));
            Ok(())
        })
    }

    #[test]
    fn the_error_names_the_line_also_after_a_quiet_panic_and_from_another_thread() {
        let line = line!() - 7;
        let wanted = Err(format!("internal error at src/panics.rs:{line}: task 7 failed"));
        for threads in [1, 3] {
            assert_eq!(fails_in_a_task(threads), wanted);
            let quiet = quietly(|| -> Result<(), String> { panic!("the input's fault") });
            assert_eq!(quiet, Err("internal error: the input's fault".to_string()));
            assert_eq!(fails_in_a_task(threads), wanted);
        }
    }

    #[test]
    fn an_error_of_memory_is_only_what_it_says() {
        let raised = || std::panic::resume_unwind(Box::new("out of memory: could not get 7 bytes".to_string()));
        assert_eq!(guarded::<()>(raised), Err("out of memory: could not get 7 bytes".to_string()));
    }
}
