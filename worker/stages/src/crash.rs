//! `crash`: dies in the way it is told, in its first attempts.

use pipeline::StageName;
use pipeline::spec::CrashHow;
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};

use crate::assigned::{own_params, stage_name};

/// What it exits with: a code that nothing else uses.
const EXIT_CODE: i32 = 86;

pub(crate) struct Crash;

impl Stage for Crash {
    fn name(&self) -> StageName {
        stage_name("crash")
    }

    fn reads(&self, _: &Assignment) -> Vec<Read> {
        Vec::new()
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Crash)?;
        let attempt = context.assignment.attempt;
        if attempt > params.attempts {
            return Ok(Outcome::Advance);
        }
        match params.how {
            CrashHow::Abort => std::process::abort(),
            CrashHow::Kill => kill_self(),
            CrashHow::Exit => std::process::exit(EXIT_CODE),
            CrashHow::Panic => panic!("attempt {attempt} was told to panic"),
        }
    }
}

fn kill_self() -> ! {
    let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    unreachable!("a process may always kill itself: {killed:?}")
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::testing::Bench;

    /// The other ways of dying are tested where there is a process to die: in the worker.
    #[test]
    fn dies_in_its_first_attempts_only() {
        let mut bench =
            Bench::new("[[steps]]\nstage = \"crash\"\nparams = { how = \"panic\", attempts = 2 }\n");
        for attempt in 1..=2 {
            bench.assignment.attempt = attempt;
            assert!(
                catch_unwind(AssertUnwindSafe(|| bench.run())).is_err(),
                "attempt {attempt}"
            );
        }
        bench.assignment.attempt = 3;
        assert_eq!(bench.run(), Ok(Outcome::Advance));
    }
}
