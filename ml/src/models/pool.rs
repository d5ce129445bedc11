//! Threads of our own for the boosting library, which otherwise takes those of the whole process.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::ModelError;

/// The most threads of a training or prediction, whatever it is told.
const MAX_THREADS: usize = 256;

fn build(threads: usize) -> Result<ThreadPool, ModelError> {
    ThreadPoolBuilder::new()
        .num_threads(threads.clamp(1, MAX_THREADS))
        .thread_name(|n| format!("ml-{n}"))
        .build()
        .map_err(|e| ModelError::Refused(format!("cannot start {threads} threads: {e}")))
}

/// Works on so many threads.
pub(super) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<T, ModelError> {
    Ok(build(threads)?.install(work))
}

/// Works on the pool that all predictions share, as large as the machine: a pool for each would cost more than what a
/// few rows need.
pub(super) fn shared<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, ModelError> {
    static POOL: OnceLock<ThreadPool> = OnceLock::new();
    let pool = match POOL.get() {
        Some(pool) => pool,
        None => {
            let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            let pool = build(threads)?;
            POOL.get_or_init(|| pool)
        }
    };
    Ok(pool.install(work))
}
