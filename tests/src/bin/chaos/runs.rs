//! The short runs that are submitted, and how each kind of them may end.

use std::path::Path;

use pipeline::spec::{self, Overrides};
use pipeline::{RunId, RunItem, RunStatus, Spec};
use sim::Seeded;
use sim::ledger::Declaration;

/// The stages that they have.
pub(crate) const STAGES: &str = "noop,fan-out,flaky,sleep";

/// The model and the alias that runs fight for.
pub(crate) const MODEL: &str = "m";
pub(crate) const ALIAS: &str = "champion";

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each step reads what the one before it wrote.
    Line,
    /// A step says into how many branches the next one is fanned out; the last one reads all.
    Fan,
    /// Work in child processes.
    Nap,
    /// A failure in passing, in the first attempt.
    Flaky,
    /// Registers a model, and promotes it if nobody else did meanwhile.
    Promote,
    /// Ends at a gate.
    Halt,
    /// May die three times and no more.
    Poor,
}

/// How often each is drawn: what starts child processes takes the longest by far.
const SHARES: [(Kind, u64); 7] = [
    (Kind::Line, 5),
    (Kind::Fan, 5),
    (Kind::Nap, 1),
    (Kind::Flaky, 3),
    (Kind::Promote, 3),
    (Kind::Halt, 2),
    (Kind::Poor, 1),
];

fn draw(seeded: &Seeded) -> Kind {
    let mut at = seeded.below(SHARES.iter().map(|(_, share)| share).sum());
    for (kind, share) in SHARES {
        if at < share {
            return kind;
        }
        at -= share;
    }
    unreachable!("it is below the sum of all shares")
}

impl Kind {
    /// As its pipeline is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Fan => "fan",
            Self::Nap => "nap",
            Self::Flaky => "flaky",
            Self::Promote => "promote",
            Self::Halt => "halt",
            Self::Poor => "poor",
        }
    }

    /// The kind of a run that is there.
    pub(crate) fn of(run: &RunItem) -> Option<Self> {
        SHARES
            .into_iter()
            .map(|(kind, _)| kind)
            .find(|kind| kind.name() == run.pipeline.as_str())
    }

    fn steps(self, revision: u64) -> String {
        match self {
            Self::Line => [noop("first", 3000), noop("middle", 5000), noop("last", 100)].concat(),
            Self::Fan => {
                let split = step("split", "fan-out", "branches = 3");
                let part = step("part", "noop", "write_bytes = 2000") + "branches = \"from-predecessor\"\n";
                [split, part, noop("join", 100)].concat()
            }
            Self::Nap => {
                let nap = step("nap", "sleep", "ms = 150") + "branches = 2\n";
                [noop("first", 20_000), nap, noop("last", 1000)].concat()
            }
            Self::Flaky => [
                noop("first", 3000),
                step("unsteady", "flaky", "attempts = 1"),
                noop("last", 100),
            ]
            .concat(),
            Self::Promote => {
                let register = format!(
                    "write_bytes = 500, register = {{ model = \"{MODEL}\", alias = \"{ALIAS}\", expected_revision = {revision} }}"
                );
                noop("fit", 4000) + &step("deploy", "noop", &register)
            }
            Self::Halt => {
                let gate = step("gate", "noop", "write_bytes = 50, halt = \"too few rows\"");
                [noop("first", 1000), gate, noop("last", 100)].concat()
            }
            Self::Poor => [
                noop("first", 1000),
                step("nap", "sleep", "ms = 100"),
                noop("last", 100),
            ]
            .concat(),
        }
    }

    /// Its specification; `revision` is that of the alias that it may be promoted over.
    pub(crate) fn spec(self, revision: u64) -> Spec {
        // A step may be hit often here: what is looked for is not that budgets end.
        let crash = if self == Self::Poor { 3 } else { 200 };
        let text = format!(
            "pipeline = \"{}\"\nseed = 7\n[retry]\ncrash = {crash}\ntransient = 500\n{}",
            self.name(),
            self.steps(revision)
        );
        spec::load(&text, &Overrides::new()).unwrap_or_else(|e| panic!("{e} in\n{text}"))
    }

    /// What it declares to promote.
    pub(crate) fn declares(self, revision: u64) -> Option<Declaration> {
        let named = (self == Self::Promote).then(|| (MODEL.parse(), ALIAS.parse()));
        named.map(|(model, alias)| (model.expect("a name"), alias.expect("a name"), revision))
    }

    /// Why a run of this kind may not have ended so; none if it may.
    pub(crate) fn wrong_end(self, run: &RunItem, was_cancelled: bool) -> Option<String> {
        let may = match run.status {
            RunStatus::Open | RunStatus::Cancelled => run.status == RunStatus::Open || was_cancelled,
            RunStatus::Succeeded => self != Self::Halt,
            RunStatus::Halted => self == Self::Halt,
            RunStatus::Failed => {
                self == Self::Poor && run.steps.values().any(|step| step.spent.crash >= run.max.crash)
            }
        };
        let (kind, reason) = (self.name(), run.reason.as_deref().unwrap_or("no reason"));
        (!may).then(|| format!("run {} of {kind} is {}: {reason}", run.id, run.status))
    }
}

fn step(name: &str, stage: &str, params: &str) -> String {
    format!("[[steps]]\nstep = \"{name}\"\nstage = \"{stage}\"\nparams = {{ {params} }}\n")
}

fn noop(name: &str, write_bytes: u32) -> String {
    step(name, "noop", &format!("write_bytes = {write_bytes}"))
}

/// One run that the driver is to submit, and what it does to it besides.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) id: RunId,
    pub(crate) kind: Kind,
    /// Submitted once more, by somebody who did not hear the answer.
    pub(crate) again: bool,
    /// Cancelled after so many milliseconds.
    pub(crate) cancel_after_ms: Option<u64>,
    /// And resumed then.
    pub(crate) resume: bool,
}

/// The runs of a seed. Undisturbed, nobody cancels any.
pub(crate) fn wishes(seed: u64, runs: usize, is_calm: bool) -> Vec<Wish> {
    let seeded = Seeded::new(seed, 1);
    (0..runs)
        .map(|n| {
            let kind = draw(&seeded);
            let (again, cancel, resume) = (seeded.chance(1, 20), seeded.chance(1, 25), seeded.chance(1, 2));
            let after = seeded.below(800);
            Wish {
                id: RunId::new(format!("run-{n}")).expect("letters and digits"),
                kind,
                again,
                cancel_after_ms: (cancel && !is_calm).then_some(after),
                resume,
            }
        })
        .collect()
}

/// Writes the canonical form to a file, for who submits it.
pub(crate) fn write(spec: &Spec, folder: &Path) -> std::path::PathBuf {
    let path = folder.join(format!("{}.json", spec.digest()));
    if !path.exists() {
        std::fs::write(&path, spec.canonical()).expect("our own folder can be written to");
    }
    path
}
