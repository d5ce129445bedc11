//! Threads of our own: the boosting library otherwise takes those of the whole process.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// The most threads of a training or prediction, whatever it is told.
const MAX_THREADS: usize = 256;

/// Threads that cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot start {threads} threads: {why}")]
pub(crate) struct PoolError {
    threads: usize,
    why: String,
}

fn build(threads: usize) -> Result<ThreadPool, PoolError> {
    ThreadPoolBuilder::new()
        .num_threads(threads.clamp(1, MAX_THREADS))
        .thread_name(|n| format!("ml-{n}"))
        .build()
        .map_err(|e| PoolError {
            threads,
            why: e.to_string(),
        })
}

/// Works on so many threads.
pub(crate) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<T, PoolError> {
    Ok(build(threads)?.install(work))
}

/// Works on the pool that all predictions and metrics share, as large as the machine: a pool for each would cost more
/// than what a few rows need.
pub(crate) fn shared<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, PoolError> {
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
