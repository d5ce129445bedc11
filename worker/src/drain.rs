//! Leaving in good order: first nothing new is taken, then what still runs is interrupted.

use tokio::sync::watch;

/// How far a process is on its way out. It only ever goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Takes work.
    Working,
    /// Takes nothing new, and finishes what it has.
    Draining,
    /// Interrupts what it has: it is released at no charge, for others to do.
    Interrupting,
}

/// The process's phase, to be watched from every task.
#[derive(Debug, Clone)]
pub struct Drain(watch::Sender<Phase>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Working))
    }
}

impl Drain {
    /// Goes forward to `phase`; going back is ignored.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let is_forward = phase > *now;
            if is_forward {
                *now = phase;
            }
            is_forward
        });
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// True while new work is taken.
    pub fn is_working(&self) -> bool {
        self.phase() == Phase::Working
    }

    /// Returns once `phase` is reached.
    pub async fn reached(&self, phase: Phase) {
        let mut watch = self.0.subscribe();
        // The sender lives as long as `self`, so this cannot fail while somebody awaits it.
        let _ = watch.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_never_left_backwards() {
        let drain = Drain::default();
        drain.advance(Phase::Interrupting);
        drain.advance(Phase::Draining);
        assert_eq!(drain.phase(), Phase::Interrupting);
        assert!(!drain.is_working());
    }
}
