//! The one thread pool of this process.
use std::sync::Mutex;
use std::{env, process, thread};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The pool and the process that built it. Locked only by threads that hold the GIL, and `os.fork`
/// holds it too: a child never inherits a locked mutex.
static POOL: Mutex<Option<(u32, &'static ThreadPool)>> = Mutex::new(None);

/// The pool of this process, built when first asked for, with `PYBENCH_THREADS` threads.
///
/// A forked child inherits the memory of its parent's pool but none of the threads, so it builds
/// its own. The old one is leaked: dropping it would wait for threads that do not exist.
pub fn pool(_gil: Python<'_>) -> PyResult<&'static ThreadPool> {
    let mut slot = POOL
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let process = process::id();
    match *slot {
        Some((builder, pool)) if builder == process => Ok(pool),
        _ => {
            let pool = &*Box::leak(Box::new(build(threads()?)?));
            *slot = Some((process, pool));
            Ok(pool)
        }
    }
}

fn build(threads: usize) -> PyResult<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("pybench-{number}"))
        .build()
        .map_err(|error| {
            PyRuntimeError::new_err(format!(
                "PYBENCH_THREADS must be a number of threads that can be started, \
                 got {threads} ({error}); set a smaller one"
            ))
        })
}

fn threads() -> PyResult<usize> {
    match env::var("PYBENCH_THREADS") {
        Err(_) => Ok(thread::available_parallelism().map_or(1, usize::from)),
        Ok(text) => text
            .parse()
            .ok()
            .filter(|&threads| threads > 0)
            .ok_or_else(|| {
                PyValueError::new_err(format!(
                    "PYBENCH_THREADS must be a whole number >= 1, got '{text}'; \
                 unset it to use every core"
                ))
            }),
    }
}
