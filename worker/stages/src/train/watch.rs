//! A training's way to the pool, within a time budget.

use std::time::Duration;

use ml::models::{GoOn, Watch};
use pipeline::stage::Control;

/// Ends a training when the work is to stop or its time is spent, and says how far it is.
pub(super) struct Budget<'a> {
    control: &'a dyn Control,
    limit: Option<Duration>,
    from: f64,
    to: f64,
}

impl<'a> Budget<'a> {
    /// `limit` is of the whole attempt; the training is the work's part `from` to `to`.
    pub(super) fn new(control: &'a dyn Control, limit: Option<Duration>, from: f64, to: f64) -> Self {
        Self {
            control,
            limit,
            from,
            to,
        }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.limit.is_some_and(|limit| self.control.elapsed() >= limit)
    }
}

impl Watch for Budget<'_> {
    fn go_on(&self, fraction: f64) -> GoOn {
        if self.control.is_interrupted() {
            return GoOn::Drop;
        }
        self.control
            .progress(self.from + (self.to - self.from) * fraction.clamp(0.0, 1.0));
        if self.is_spent() {
            return GoOn::KeepBest;
        }
        GoOn::Yes
    }
}
