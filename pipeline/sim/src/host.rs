//! What a simulated process gets from its surroundings.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use pipeline::Timestamp;
use pipeline::ports::{Clock, Host, Spawn};

use crate::executor::{ProcessId, Simulation};
use crate::random::Seeded;

/// When every simulated world begins, by a clock that is right: 2026-11-25T00:00:00Z.
pub const EPOCH: Timestamp = Timestamp(1_795_564_800_000);

/// The time by a clock that is right.
pub fn right_time(simulation: &Simulation) -> Timestamp {
    EPOCH.plus(simulation.now())
}

/// Draws how long blocking work takes, and whether its process dies in the middle of it.
pub type Work = Arc<dyn Fn() -> Toil + Send + Sync>;

/// What becomes of blocking work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toil {
    /// It takes so long.
    Takes(Duration),
    /// Its process is killed after so long.
    Dies(Duration),
}

/// One process's surroundings.
#[derive(Clone)]
pub struct Surroundings {
    simulation: Simulation,
    process: ProcessId,
    skew_ms: Arc<AtomicI64>,
    work: Work,
}

impl Surroundings {
    /// Of that process. `work` says how long blocking work takes.
    pub fn new(simulation: Simulation, process: ProcessId, work: Work) -> Self {
        Self {
            simulation,
            process,
            skew_ms: Arc::default(),
            work,
        }
    }

    /// Puts the wall clock wrong.
    pub fn skew(&self, ms: i64) {
        self.skew_ms.store(ms, Ordering::Relaxed);
    }

    /// As the ports.
    pub fn host(&self, random: Seeded) -> Host {
        let all = Arc::new(self.clone());
        Host {
            clock: all.clone(),
            random: Arc::new(random),
            spawn: all,
        }
    }
}

#[async_trait]
impl Clock for Surroundings {
    fn now(&self) -> Timestamp {
        let right = right_time(&self.simulation);
        Timestamp(
            right
                .0
                .saturating_add_signed(self.skew_ms.load(Ordering::Relaxed)),
        )
    }

    fn monotonic(&self) -> Duration {
        self.simulation.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.simulation.sleep(duration).await;
    }
}

impl Spawn for Surroundings {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.simulation.spawn(self.process, task);
    }

    /// The work is done at once when its time is over: what it is told meanwhile, such as to stop, it knows from its
    /// beginning.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), String>> {
        let (simulation, process, toil) = (self.simulation.clone(), self.process, (self.work)());
        let (tell, told) = oneshot::channel();
        self.spawn(Box::pin(async move {
            match toil {
                Toil::Takes(duration) => simulation.sleep(duration).await,
                Toil::Dies(duration) => {
                    simulation.sleep(duration).await;
                    simulation
                        .trace()
                        .event(simulation.now(), process, "dies in the middle of its work");
                    simulation.kill(process);
                    return std::future::pending().await;
                }
            }
            // Nothing that a panic leaves half-done is looked at again; the real one does the same.
            let ended = catch_unwind(AssertUnwindSafe(work));
            // Whoever waited may be gone.
            let _ = tell.send(ended.map_err(|_| "the work panicked".to_owned()));
        }));
        Box::pin(async move { told.await.unwrap_or_else(|_| Err("the process ends".to_owned())) })
    }
}
