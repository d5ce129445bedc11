//! A stage's work in our own process, with its panics caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use pipeline::stage::{Assignment, Control, Stage, StageContext};

use super::{End, Interrupt};
use crate::host::panic_message;

/// Runs a light stage in this process and thread, which it blocks: call it through
/// [`Spawn::blocking`](pipeline::ports::Spawn::blocking). A panic ends in [`End::Crashed`].
///
/// `progress` is told how far the work is, from 0 to 1, as often as the stage says so.
pub fn run_in_process(
    stage: &dyn Stage,
    assignment: &Assignment,
    inputs: &Path,
    outputs: &Path,
    interrupt: &Interrupt,
    progress: &(dyn Fn(f64) + Sync),
) -> End {
    let control = Reins {
        interrupt,
        progress,
        started: now(),
    };
    // A stage that needs a fresh process of this program says what it misses.
    let program = super::this_program().ok();
    let context = StageContext {
        assignment,
        inputs,
        outputs,
        control: &control,
        program: program.as_deref(),
    };
    // Nothing that a panic could leave half-done is used again: the attempt's folders are thrown away.
    match catch_unwind(AssertUnwindSafe(|| stage.run(&context))) {
        Ok(Ok(outcome)) => End::Outcome(outcome),
        Ok(Err(error)) => End::Failed(error),
        Err(payload) => End::Crashed {
            how: format!("stage {} panicked: {}", stage.name(), panic_message(&*payload)),
        },
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a child has no host; a time budget ends a training early and decides nothing else"
)]
fn now() -> Instant {
    Instant::now()
}

struct Reins<'a> {
    started: Instant,
    interrupt: &'a Interrupt,
    progress: &'a (dyn Fn(f64) + Sync),
}

impl Control for Reins<'_> {
    fn is_interrupted(&self) -> bool {
        self.interrupt.is_raised()
    }

    fn progress(&self, fraction: f64) {
        (self.progress)(fraction);
    }

    fn pause(&self, duration: Duration) {
        self.interrupt.wait(duration);
    }

    fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.started)
    }
}
