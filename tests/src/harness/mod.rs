//! Real processes, started, stopped, killed and asked by tests.
//!
//! A [`Fleet`] is a temporary folder with a backend in it. Its [`Pool`]s and the [`producer`](Fleet::producer) are the
//! binaries that `make test` built; the test looks at what they did through the backend's own ports. Everything that a
//! fleet started is ended, by id, when it is dropped, also when the test fails.
//!
//! Waiting is for the thing itself and has an end: [`PATIENCE`]. When that is over, the test fails with what it waited
//! for and with everything that the fleet's processes said.
#![allow(
    clippy::disallowed_methods,
    reason = "tests wait for real processes in real time"
)]

mod binaries;
mod check;
mod command;
mod ecs_agent;
mod emulator;
mod endpoint;
pub mod everything;
mod fleet;
mod mount;
pub mod operations;
mod pool;
mod process;
mod proxy;
mod receiver;
mod report;
mod service;

use std::time::{Duration, Instant};

pub use binaries::{producer, worker};
pub use check::Results;
pub use command::{Said, report_of};
pub use ecs_agent::{AgentMood, EcsAgent};
pub use emulator::Emulator;
pub use endpoint::{Answer, Sample, get};
pub use fleet::Fleet;
pub use mount::SmallDisk;
pub use pool::{Pool, PoolBuilder};
pub use process::{Hears, Output, Process};
pub use proxy::{Proxy, Rule, Trouble};
pub use receiver::{Receiver, Request};
pub use report::RunReport;
pub use service::{Build, Rollout, Service};

/// How long anything may take that a test waits for. Far longer than it takes, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often something is looked at that cannot be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Measures how long something takes; shows it in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl std::fmt::Display for Stopwatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} s", self.elapsed().as_secs_f64())
    }
}

/// Looks until `look` finds something; how long that took comes with it. Fails with `explain` when [`PATIENCE`] is over.
pub fn wait_for<T>(
    what: &str,
    explain: impl Fn() -> String,
    mut look: impl FnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return (found, start.elapsed());
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}\n{}",
            explain()
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Runs one scenario per item, a few at a time: they mostly wait. The first failure is the test's.
pub fn side_by_side<T: Send>(at_once: usize, items: Vec<T>, scenario: impl Fn(T) + Sync) {
    let queue = std::sync::Mutex::new(items.into_iter());
    let next = || {
        queue
            .lock()
            .expect("nobody panics while taking the next one")
            .next()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(item) = next() {
                        scenario(item);
                    }
                })
            })
            .collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
