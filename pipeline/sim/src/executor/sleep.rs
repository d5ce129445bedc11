//! Sleeping in virtual time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Due, Simulation};

/// See [`Simulation::sleep`].
pub struct Sleep {
    until: Duration,
    key: Option<(Duration, u64)>,
    simulation: Simulation,
}

impl Sleep {
    pub(super) fn new(simulation: Simulation, until: Duration) -> Self {
        Self {
            until,
            key: None,
            simulation,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let simulation = self.simulation.clone();
        let mut state = simulation.0.state();
        if let Some(key) = self.key.take() {
            state.timers.remove(&key);
            if state.now >= self.until {
                return Poll::Ready(());
            }
        }
        // Also a sleep of no time lets others go first.
        let until = self.until;
        self.key = Some(state.at(until, Due::Wake(context.waker().clone())));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let removed = self.simulation.0.state().timers.remove(&key);
            drop(removed);
        }
    }
}
