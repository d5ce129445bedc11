//! What a container talks to besides AWS: the agent of ECS, and for `worker health` itself.
//!
//! The agent keeps a task that is busy from being chosen when its service scales in or is deployed anew.
//! One [`Protection`] belongs to the process. Whatever is under way holds a [`Busy`] of it; the first one asks the agent
//! for protection before anything is claimed, and the last one gives it back. In between it is prolonged only by the
//! heartbeat of leases: a worker that stands still loses its protection as it loses its leases.
//!
//! The agent is advice: when it does not answer, work goes on without protection, and SIGTERM drains as ever. Spot
//! interruptions are not held up by it.
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>.

mod client;
pub mod health;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pipeline::ports::Host;
use tokio::sync::{Mutex as AsyncMutex, watch};

pub use client::{Agent, AgentError};

/// For how long protection is asked; it ends by itself when nobody prolongs it.
const LASTS: Duration = Duration::from_secs(10 * 60);
/// How long a process that has nothing to do keeps its protection: the next message often comes at once.
const LINGERS: Duration = Duration::from_secs(5);
/// After a failure the agent is left alone for so long.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// What became of asking for protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The task is protected, or is not on ECS, or the agent failed: work may begin.
    Go,
    /// A deployment waits for this task to leave: nothing more may be begun.
    Leave,
}

/// The process's protection.
pub struct Protection {
    host: Host,
    agent: Option<Agent>,
    /// Held while the agent is asked.
    asking: AsyncMutex<()>,
    state: Mutex<State>,
    busy: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    /// Monotonic time until which the task is protected.
    until: Option<Duration>,
    /// Monotonic time before which the agent is not asked again.
    not_before: Duration,
}

/// Something under way. Dropping it says that it is not any more.
pub struct Busy(Arc<Protection>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|n| *n -= 1);
    }
}

impl Protection {
    /// By that agent; without one nothing is asked.
    pub fn new(host: Host, agent: Option<Agent>) -> Arc<Self> {
        Arc::new(Self {
            host,
            agent,
            asking: AsyncMutex::default(),
            state: Mutex::default(),
            busy: watch::Sender::new(0),
        })
    }

    /// Says that something is under way from now on.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.busy.send_modify(|n| *n += 1);
        Busy(Arc::clone(self))
    }

    /// Sees that the task is protected, for those who are [`Busy`]. Asks the agent only if little of the last protection is
    /// left.
    pub async fn hold(&self) -> Answer {
        let Some(agent) = &self.agent else {
            return Answer::Go;
        };
        let _one_at_a_time = self.asking.lock().await;
        if !self.wants_more() {
            return Answer::Go;
        }
        let now = self.host.clock.monotonic();
        let asked = agent.protect(&*self.host.clock, Some(LASTS)).await;
        let mut state = self.state();
        match asked {
            Ok(()) => {
                state.until = Some(now + LASTS);
                Answer::Go
            }
            Err(AgentError::DeploymentBlocked) => {
                tracing::info!("a deployment waits for this task: it takes nothing more, and leaves");
                Answer::Leave
            }
            Err(e) => {
                state.not_before = now + AFTER_FAILURE;
                tracing::warn!("no scale-in protection, working without: {e}");
                Answer::Go
            }
        }
    }

    /// Prolongs protection if little of it is left; nobody waits for the answer. Every heartbeat of a lease calls it.
    pub fn beat(self: &Arc<Self>) {
        if self.agent.is_some() && self.wants_more() {
            let protection = Arc::clone(self);
            // A deployment that waits is heard of by whoever wants to begin something.
            let hold = async move {
                let _ = protection.hold().await;
            };
            self.host.spawn.spawn(Box::pin(hold));
        }
    }

    /// True if little is left of the last protection, and the agent did not fail just now.
    fn wants_more(&self) -> bool {
        let now = self.host.clock.monotonic();
        let state = self.state();
        state.until.is_none_or(|until| until <= now + LASTS / 2) && state.not_before <= now
    }

    /// Gives protection back whenever nothing has been under way for a while. Never returns.
    pub async fn release_when_idle(&self) {
        let Some(agent) = &self.agent else {
            return std::future::pending().await;
        };
        let mut busy = self.busy.subscribe();
        loop {
            // The sender is ours, so waiting cannot fail.
            let _ = busy.wait_for(|n| *n == 0).await;
            let is_protected = self.state().until.is_some();
            let has_begun = async {
                let _ = busy.wait_for(|n| *n > 0).await;
            };
            if !is_protected {
                has_begun.await;
                continue;
            }
            let begins_again = tokio::select! {
                biased;
                () = has_begun => true,
                () = self.host.clock.sleep(LINGERS) => false,
            };
            if !begins_again {
                self.release(agent).await;
            }
        }
    }

    /// Gives protection back now, if there is any and nothing is under way.
    pub async fn leave(&self) {
        if let Some(agent) = &self.agent {
            self.release(agent).await;
        }
    }

    async fn release(&self, agent: &Agent) {
        let _one_at_a_time = self.asking.lock().await;
        if *self.busy.borrow() > 0 || self.state().until.take().is_none() {
            return;
        }
        if let Err(e) = agent.protect(&*self.host.clock, None).await {
            tracing::debug!("scale-in protection not given back, it ends by itself: {e}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Its fields are set one by one, each right by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
