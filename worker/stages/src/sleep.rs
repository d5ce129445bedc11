//! `sleep`: waits, and can be stopped, or not.

use std::time::Duration;

use pipeline::StageName;
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};

use crate::assigned::{own_params, stage_name};

/// How long it sleeps at a time.
const NAP_MS: u64 = 50;

pub(crate) struct Sleep;

impl Stage for Sleep {
    fn name(&self) -> StageName {
        stage_name("sleep")
    }

    fn reads(&self, _: &Assignment) -> Vec<Read> {
        Vec::new()
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Sleep)?;
        if params.stubborn {
            sleep_soundly(Duration::from_millis(params.ms));
            return Ok(Outcome::Advance);
        }
        let mut slept_ms = 0;
        while slept_ms < params.ms {
            let nap_ms = NAP_MS.min(params.ms - slept_ms);
            context.control.pause(Duration::from_millis(nap_ms));
            context.checkpoint()?;
            slept_ms += nap_ms;
            #[expect(clippy::cast_precision_loss, reason = "a progress bar does not mind")]
            context.progress(slept_ms as f64 / params.ms as f64);
        }
        Ok(Outcome::Advance)
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a pause through `Control` ends early for who is told to stop"
)]
fn sleep_soundly(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::testing::Bench;

    fn bench(params: &str) -> Bench {
        Bench::new(&format!("[[steps]]\nstage = \"sleep\"\nparams = {params}\n"))
    }

    #[test]
    fn sleeps_in_small_pieces_and_says_how_far_it_is() {
        let bench = bench("{ ms = 120 }");
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        let pauses = [50, 50, 20].map(Duration::from_millis);
        assert_eq!(*bench.notes.pauses.lock().expect("not poisoned"), pauses);
        assert_eq!(
            bench.notes.progress.lock().expect("not poisoned").last(),
            Some(&1.0)
        );
    }

    #[test]
    fn stops_when_it_is_told_to() {
        let bench = bench("{ ms = 1000000000 }");
        bench.notes.interrupt_at_look.store(3, Ordering::Relaxed);
        assert_eq!(bench.run(), Err(StageError::Interrupted));
        assert_eq!(bench.notes.pauses.lock().expect("not poisoned").len(), 3);
    }

    #[test]
    fn unless_it_is_stubborn() {
        let bench = bench("{ ms = 5, stubborn = true }");
        bench.notes.interrupt_at_look.store(1, Ordering::Relaxed);
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        assert!(bench.notes.pauses.lock().expect("not poisoned").is_empty());
    }
}
