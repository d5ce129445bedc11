//! The wish that a stage stops, as seen from both sides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A wish to stop. Raised once, by anybody who holds a copy; never taken back.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Read in the stages' hot loops.
    is_raised: AtomicBool,
    /// The same, for those who wait.
    gate: Mutex<bool>,
    raised: Condvar,
}

impl Interrupt {
    /// Not raised yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants the work to stop, and wakes whoever waits.
    pub fn raise(&self) {
        self.0.is_raised.store(true, Ordering::Release);
        *self.0.gate.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.raised.notify_all();
    }

    /// True once the work is to stop.
    pub fn is_raised(&self) -> bool {
        self.0.is_raised.load(Ordering::Acquire)
    }

    /// Blocks for `duration`, or until the wish is raised.
    pub fn wait(&self, duration: Duration) {
        let gate = self.0.gate.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.0
                .raised
                .wait_timeout_while(gate, duration, |is_raised| !*is_raised),
        );
    }
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Interrupt").field(&self.is_raised()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_woken_and_who_comes_later_does_not_wait() {
        let interrupt = Interrupt::new();
        interrupt.wait(Duration::from_millis(1));
        assert!(!interrupt.is_raised());
        let waiting = {
            let interrupt = interrupt.clone();
            std::thread::spawn(move || interrupt.wait(Duration::from_secs(3_600)))
        };
        interrupt.raise();
        waiting.join().expect("woken, or this test hangs");
        interrupt.wait(Duration::from_secs(3_600));
        assert!(interrupt.is_raised());
    }
}
