//! The way from Python into the kernels, and the only one: this file alone releases the GIL,
//! watches for Ctrl-C and turns errors into exceptions.
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use pybench_core::work::{BLOCK, Interrupt};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::pool::pool;

/// How long a signal may wait before somebody looks.
const TICK: Duration = Duration::from_millis(50);

/// An error of a kernel crate, as Python sees it.
///
/// The `match` of each implementation names every variant: a new one does not compile until it is
/// mapped. Errors of another kernel crate get their implementation below the others.
pub trait Failure: Send {
    /// The exception to raise.
    fn exception(self) -> PyErr;
}

impl Failure for pybench_core::Error {
    fn exception(self) -> PyErr {
        let message = self.to_string();
        match self {
            Self::Label { .. }
            | Self::NumClasses { .. }
            | Self::Count { .. }
            | Self::NoSamples { .. }
            | Self::Beta { .. }
            | Self::Normalise { .. }
            | Self::Weight { .. }
            | Self::WeightSum { .. }
            | Self::Argument { .. } => PyValueError::new_err(message),
            Self::Interrupted => PyKeyboardInterrupt::new_err(message),
        }
    }
}

/// Runs a kernel that touches `elements` elements.
///
/// Up to one block it runs right here: releasing the GIL would cost more than the kernel does.
pub fn enter<T, E>(
    py: Python<'_>,
    elements: usize,
    work: impl FnOnce(&Interrupt) -> Result<T, E> + Send,
) -> PyResult<T>
where
    T: Send,
    E: Failure,
{
    if elements > BLOCK {
        return enter_long(py, work);
    }
    guarded(|| work(&Interrupt::new()))
}

/// Runs a kernel that may take long, whatever it touches: in the thread pool and without the GIL.
///
/// The calling thread waits and lets Python handle its signals. When a handler raises, as that of
/// Ctrl-C does, the kernel is interrupted and what the handler raised is returned.
pub fn enter_long<T, E>(
    py: Python<'_>,
    work: impl FnOnce(&Interrupt) -> Result<T, E> + Send,
) -> PyResult<T>
where
    T: Send,
    E: Failure,
{
    let pool = pool(py)?;
    let interrupt = Interrupt::new();
    let (sender, receiver) = mpsc::channel();
    py.detach(|| {
        let receiver = receiver;
        // The scope ends when the kernel has ended, interrupted or not: its borrows stay valid.
        waiting(|| {
            pool.in_place_scope(|scope| {
                scope.spawn(|_| {
                    let _ = sender.send(pooled(|| guarded(|| work(&interrupt))));
                });
                loop {
                    if let Ok(outcome) = receiver.recv_timeout(TICK) {
                        return outcome;
                    }
                    if let Some(raised) = Python::attach(|py| py.check_signals().err()) {
                        interrupt.raise();
                        return Err(raised);
                    }
                }
            })
        })
    })
}

/// What the calling thread does while the pool works: the instruction gate stops counting at this
/// symbol, for how often a waiting thread wakes depends on the clock.
#[inline(never)]
fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    wait()
}

/// The kernel on a thread of the pool, where the instruction gate starts counting.
#[inline(never)]
fn pooled<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Runs work that brings its own threads, on a thread of its own and without the GIL.
///
/// For FFmpeg: several calls decode side by side, none of them held up by the pool. A signal whose
/// handler raises sets the flag, and what the handler raised is returned once the work has ended.
pub fn enter_thread<T, E>(
    py: Python<'_>,
    work: impl FnOnce(&AtomicBool) -> Result<T, E> + Send,
) -> PyResult<T>
where
    T: Send,
    E: Failure,
{
    let abort = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    py.detach(|| {
        let receiver = receiver;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = sender.send(guarded(|| work(&abort)));
            });
            loop {
                if let Ok(outcome) = receiver.recv_timeout(TICK) {
                    return outcome;
                }
                if let Some(raised) = Python::attach(|py| py.check_signals().err()) {
                    abort.store(true, Ordering::Relaxed);
                    return Err(raised);
                }
            }
        })
    })
}

/// A panic is a defect of ours, but no reason to take down the interpreter of somebody else.
fn guarded<T, E: Failure>(work: impl FnOnce() -> Result<T, E>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| {
            PyRuntimeError::new_err(format!(
                "the kernel must not panic, got \"{}\"; please report it with the call that did it",
                panic_message(&*panic)
            ))
        })?
        .map_err(Failure::exception)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (None, Some(message)) => message,
        (None, None) => "no message",
    }
}
