//! `fan-out`: says into how many branches the next step is fanned out.

use pipeline::StageName;
use pipeline::item::MAX_BRANCHES;
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};

use crate::assigned::{own_params, stage_name};

pub(crate) struct FanOut;

impl Stage for FanOut {
    fn name(&self) -> StageName {
        stage_name("fan-out")
    }

    fn reads(&self, _: &Assignment) -> Vec<Read> {
        Vec::new()
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let branches = own_params!(context.assignment, FanOut)?.branches;
        if (1..=MAX_BRANCHES).contains(&branches) {
            Ok(Outcome::FanOut { branches })
        } else {
            Err(StageError::Permanent(format!(
                "branches: {branches} are asked for; 1 to {MAX_BRANCHES} are allowed"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn asks_for_as_many_branches_as_there_can_be() {
        for (branches, is_possible) in [(0, false), (1, true), (256, true), (257, false)] {
            let bench = Bench::new(&format!(
                "[[steps]]\nstage = \"fan-out\"\nparams = {{ branches = {branches} }}\n"
            ));
            match bench.run() {
                Ok(outcome) => assert!(
                    is_possible && outcome == Outcome::FanOut { branches },
                    "{outcome:?}"
                ),
                Err(error) => assert!(
                    !is_possible && matches!(error, StageError::Permanent(_)),
                    "{error:?}"
                ),
            }
        }
    }
}
