//! `flaky`: fails in its first attempts, in the way it is told.

use pipeline::StageName;
use pipeline::spec::FlakyHow;
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};

use crate::assigned::{own_params, stage_name};

pub(crate) struct Flaky;

impl Stage for Flaky {
    fn name(&self) -> StageName {
        stage_name("flaky")
    }

    fn reads(&self, _: &Assignment) -> Vec<Read> {
        Vec::new()
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Flaky)?;
        let Assignment { attempt, branch, .. } = context.assignment;
        let is_meant = params.only_branches.is_empty()
            || branch.is_some_and(|ordinal| params.only_branches.contains(&ordinal));
        if !is_meant || *attempt > params.attempts {
            return Ok(Outcome::Advance);
        }
        let message = format!("attempt {attempt} was told to fail");
        match params.how {
            FlakyHow::Transient => Err(StageError::Transient {
                message,
                retry_after_ms: None,
            }),
            FlakyHow::Permanent => Err(StageError::Permanent(message)),
            FlakyHow::Memory => Err(StageError::OutOfMemory { needed_bytes: None }),
            FlakyHow::Panic => panic!("{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::testing::Bench;

    fn bench(params: &str) -> Bench {
        Bench::new(&format!("[[steps]]\nstage = \"flaky\"\nparams = {params}\n"))
    }

    #[test]
    fn fails_in_its_first_attempts_in_the_way_it_is_told() {
        let message = || "attempt 1 was told to fail".to_owned();
        for (how, error) in [
            (
                "transient",
                StageError::Transient {
                    message: message(),
                    retry_after_ms: None,
                },
            ),
            ("permanent", StageError::Permanent(message())),
            ("memory", StageError::OutOfMemory { needed_bytes: None }),
        ] {
            let mut bench = bench(&format!("{{ attempts = 1, how = \"{how}\" }}"));
            assert_eq!(bench.run(), Err(error));
            bench.assignment.attempt = 2;
            assert_eq!(bench.run(), Ok(Outcome::Advance));
        }
        let panicking = bench("{ attempts = 1, how = \"panic\" }");
        assert!(catch_unwind(AssertUnwindSafe(|| panicking.run())).is_err());
    }

    #[test]
    fn fails_in_the_branches_it_is_told() {
        let mut bench = bench("{ attempts = 1, only_branches = [1, 3] }");
        let failing: Vec<u32> = (0..5)
            .filter(|ordinal| {
                bench.assignment.branch = Some(*ordinal);
                bench.run().is_err()
            })
            .collect();
        assert_eq!(failing, [1, 3]);
        bench.assignment.branch = None;
        assert_eq!(bench.run(), Ok(Outcome::Advance));
    }
}
