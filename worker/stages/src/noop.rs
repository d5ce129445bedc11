//! `noop`: does nothing, or writes a few bytes, and ends as it is told.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use pipeline::registry::{Promotion, Registration};
use pipeline::stage::{Assignment, Committed, Outcome, Read, Stage, StageContext, StageError};
use pipeline::{Manifest, Sha256Digest, StageName, StepName};

use crate::assigned::{own_params, stage_name, step_before};

/// The name of what it writes.
const OUTPUT: &str = "data.bin";

pub(crate) struct Noop;

impl Stage for Noop {
    fn name(&self) -> StageName {
        stage_name("noop")
    }

    fn reads(&self, assignment: &Assignment) -> Vec<Read> {
        let Some(before) = step_before(&assignment.spec, &assignment.step) else {
            return Vec::new();
        };
        let all = |ordinal: Option<u32>, manifest: &Manifest| -> Vec<Read> {
            let read = |name| match ordinal {
                None => Read::of_step(&before.step, manifest, name),
                Some(ordinal) => Read::of_branch(&before.step, ordinal, manifest, name),
            };
            manifest
                .artifacts
                .iter()
                .filter_map(|artifact| read(&artifact.name))
                .collect()
        };
        match assignment.committed.get(&before.step) {
            None => Vec::new(),
            Some(Committed::One(manifest)) => all(None, manifest),
            Some(Committed::Branches(branches)) => branches
                .iter()
                .flat_map(|(ordinal, manifest)| all(Some(*ordinal), manifest))
                .collect(),
        }
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Noop)?;
        // Read whether or not it is needed: a slow or broken input shows in this stage as it does in a real one.
        let origin = self.origin(context)?;
        if let Some(size_bytes) = params.write_bytes {
            let path = context.outputs.join(OUTPUT);
            write(&path, &origin, size_bytes, context)?;
        }
        if let Some(reason) = &params.halt {
            return Ok(Outcome::Halt {
                reason: reason.clone(),
            });
        }
        Ok(match &params.register {
            None => Outcome::Advance,
            Some(register) => Outcome::Register(Registration {
                model: register.model.clone(),
                promote: register.alias.clone().map(|alias| Promotion {
                    alias,
                    expected_revision: register.expected_revision,
                }),
                reason: format!("step {} registers what it wrote", context.assignment.step),
            }),
        })
    }
}

impl Noop {
    /// Of everything that its output may depend on: seed, step, branch, and what it read. Never of the run, the attempt
    /// or the time.
    fn origin(&self, context: &StageContext<'_>) -> Result<String, StageError> {
        let Assignment {
            spec, step, branch, ..
        } = context.assignment;
        let mut origin = describe(spec.seed, step, *branch);
        for read in self.reads(context.assignment) {
            context.checkpoint()?;
            let (digest, size_bytes) = File::open(context.inputs.join(&read.path))
                .and_then(|file| Sha256Digest::of_reader(BufReader::new(file)))
                .map_err(|e| transient(&format!("cannot read input {}", read.path.display()), &e))?;
            if (digest, size_bytes) != (read.artifact.sha256, read.artifact.size_bytes) {
                return Err(StageError::Transient {
                    message: format!("input {} is not what was committed", read.path.display()),
                    retry_after_ms: None,
                });
            }
            origin.push_str(&format!("\n{} {digest}", read.path.display()));
        }
        Ok(origin)
    }
}

fn describe(seed: u64, step: &StepName, branch: Option<u32>) -> String {
    match branch {
        None => format!("{seed} {step}"),
        Some(ordinal) => format!("{seed} {step} {ordinal}"),
    }
}

/// Bytes that look random and follow from `origin`.
fn write(path: &Path, origin: &str, size_bytes: u64, context: &StageContext<'_>) -> Result<(), StageError> {
    const WORDS_BETWEEN_CHECKPOINTS: u64 = 128 * 1024; // 1 MiB
    let cannot_write = |e: io::Error| transient(&format!("cannot write {OUTPUT}"), &e);
    let mut words = words(origin);
    let mut file = BufWriter::new(File::create_new(path).map_err(cannot_write)?);
    let (mut left, mut written) = (size_bytes, 0u64);
    while left > 0 {
        if written.is_multiple_of(WORDS_BETWEEN_CHECKPOINTS) {
            context.checkpoint()?;
            #[expect(clippy::cast_precision_loss, reason = "a progress bar does not mind")]
            context.progress((size_bytes - left) as f64 / size_bytes as f64);
        }
        let take = left.min(8);
        let word = words().to_le_bytes();
        file.write_all(&word[..usize::try_from(take).expect("at most 8")])
            .map_err(cannot_write)?;
        (left, written) = (left - take, written + 1);
    }
    file.flush().map_err(cannot_write)
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014), seeded by the digest of `origin`.
fn words(origin: &str) -> impl FnMut() -> u64 {
    let digest = Sha256Digest::of(origin.as_bytes()).to_string();
    let mut state = u64::from_str_radix(&digest[..16], 16).expect("a digest is 64 hexadecimal digits");
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

fn transient(what: &str, error: &io::Error) -> StageError {
    StageError::Transient {
        message: format!("{what}: {error}"),
        retry_after_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use pipeline::RunId;

    use super::*;
    use crate::testing::{Bench, manifest};

    /// One step that reads another, whose artifacts are these, in each of its branches if it has some.
    fn bench(params: &str, branches: &[u32], artifacts: &[(&str, &[u8])]) -> Bench {
        let fanned = if branches.is_empty() { "" } else { "branches = 9" };
        let mut bench = Bench::new(&format!(
            "[[steps]]\nstep = \"a\"\nstage = \"noop\"\n[[steps]]\nstep = \"before\"\nstage = \"noop\"\n{fanned}\n[[steps]]\nstep = \"only\"\nstage = \"noop\"\nparams = {params}\n"
        ));
        bench.commit(
            "a",
            Committed::One(manifest("a", 0, 1, &[("early", b"not read")])),
        );
        if branches.is_empty() {
            bench.commit("before", Committed::One(manifest("before", 0, 3, artifacts)));
        } else {
            let manifests = branches
                .iter()
                .map(|i| (*i, manifest("before", *i, 1, artifacts)))
                .collect();
            bench.commit("before", Committed::Branches(manifests));
        }
        bench
    }

    fn written(bench: &Bench) -> Vec<u8> {
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        bench.output(OUTPUT)
    }

    #[test]
    fn does_nothing_unless_it_is_told_to() {
        let bench = bench("{}", &[], &[]);
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        assert_eq!(bench.outputs(), 0);
    }

    #[test]
    fn reads_all_of_the_step_before_branches_included() {
        let paths = |bench: &Bench| -> Vec<String> {
            Noop.reads(&bench.assignment)
                .iter()
                .map(|read| read.path.display().to_string())
                .collect()
        };
        assert_eq!(
            paths(&bench("{}", &[], &[("x", b"1"), ("y", b"2")])),
            ["before/x", "before/y"]
        );
        assert_eq!(
            paths(&bench("{}", &[2, 5], &[("x", b"1")])),
            ["before/2/x", "before/5/x"]
        );
        assert_eq!(
            paths(&Bench::new("[[steps]]\nstage = \"noop\"\n")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn equal_seed_and_inputs_give_equal_bytes_whatever_the_run_and_the_attempt() {
        let params = "{ write_bytes = 1003 }";
        let reader = |content: &[u8]| {
            let bench = bench(params, &[], &[("x", content)]);
            bench.input("before/x", content);
            bench
        };
        let bytes = written(&reader(b"1"));
        assert_eq!(bytes.len(), 1003);
        let mut other = reader(b"1");
        other.assignment.run = RunId::new("another").expect("valid");
        other.assignment.attempt = 9;
        assert_eq!(written(&other), bytes);

        assert_ne!(written(&reader(b"2")), bytes, "what it reads matters");
        let mut seeded = reader(b"1");
        seeded.assignment.spec.seed += 1;
        assert_ne!(written(&seeded), bytes, "the seed matters");
        let mut branch = reader(b"1");
        branch.assignment.branch = Some(0);
        assert_ne!(written(&branch), bytes, "the branch matters");
    }

    /// Written down once: another version of the stage must not give other bytes for the same specification.
    #[test]
    fn known_answer() {
        let bytes = written(&Bench::new(
            "[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 20 }\n",
        ));
        let known = "764528b55d711ff9cd02b327a2cfcf3ff95cbbd7aaed14931e0ce93b8b72b542";
        assert_eq!(Sha256Digest::of(&bytes).to_string(), known);
        let none = written(&Bench::new(
            "[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 0 }\n",
        ));
        assert!(none.is_empty());
    }

    #[test]
    fn an_input_that_is_missing_or_another_may_be_fetched_again() {
        let missing = bench("{}", &[], &[("x", b"1")]);
        let other = bench("{}", &[], &[("x", b"1")]);
        other.input("before/x", b"2");
        for (bench, words) in [
            (missing, "cannot read input before/x"),
            (other, "before/x is not what was committed"),
        ] {
            let Err(StageError::Transient { message, .. }) = bench.run() else {
                panic!("{words}: passing failure")
            };
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn ends_as_it_is_told() {
        let halting = bench("{ halt = \"too few rows\", write_bytes = 3 }", &[], &[]);
        assert_eq!(
            halting.run(),
            Ok(Outcome::Halt {
                reason: "too few rows".into()
            })
        );
        assert_eq!(
            halting.output(OUTPUT).len(),
            3,
            "a report is published all the same"
        );

        let register = "{ register = { model = \"m\", alias = \"champion\", expected_revision = 4 } }";
        let Ok(Outcome::Register(registration)) = bench(register, &[], &[]).run() else {
            panic!("registers")
        };
        assert_eq!(registration.model.as_str(), "m");
        let promotion = registration.promote.expect("an alias is given");
        assert_eq!(
            (promotion.alias.as_str(), promotion.expected_revision),
            ("champion", 4)
        );
        let Ok(Outcome::Register(registration)) = bench("{ register = { model = \"m\" } }", &[], &[]).run()
        else {
            panic!("registers")
        };
        assert_eq!(registration.promote, None);
    }

    #[test]
    fn stops_between_megabytes() {
        let bench = bench("{ write_bytes = 10000000000 }", &[], &[]);
        bench.notes.interrupt_at_look.store(4, Ordering::Relaxed);
        assert_eq!(bench.run(), Err(StageError::Interrupted));
        assert_eq!(
            *bench.notes.progress.lock().expect("not poisoned"),
            [0.0, 0.000_104_857_6, 0.000_209_715_2]
        );
    }

    #[test]
    fn anothers_parameters_are_refused() {
        let bench = Bench::new("[[steps]]\nstage = \"sleep\"\nparams = { ms = 1 }\n");
        let refused = own_params!(&bench.assignment, Noop);
        assert!(matches!(refused, Err(StageError::Permanent(_))), "{refused:?}");
    }
}
