//! Scenarios: a small plan, and what the environment may do to it.

use pipeline::MemoryClass;
use pipeline::item::Budget;
use pipeline::plan::Branches;

use super::state::{FaultRank, Left};

/// How messages reach workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// What was sent is delivered at least once, until it is acknowledged; apart from this many losses.
    AtLeastOnce {
        /// Messages that may be lost.
        losses: u8,
    },
    /// Any worker may receive any message at any time, also one that nobody sent, for a wrong queue, or that names
    /// what does not exist. It subsumes every loss, duplicate and disorder, and needs no queue in the state, but
    /// says nothing of progress.
    Anything,
}

/// One step of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Whether, and how, it is fanned out; a number that its predecessor says is [`Scenario::fan_out`].
    pub branches: Option<Branches>,
    /// How many branches must succeed.
    pub min_succeeded: u32,
}

/// A step that is not fanned out.
pub const PLAIN: Shape = Shape {
    branches: None,
    min_succeeded: 1,
};

/// A small plan, and what may happen to it. What is not bounded here is not bounded at all: crashes of workers at
/// every point, lost answers, delays, stolen leases, duplicates and disorder of messages.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is there for.
    pub about: &'static str,
    /// The plan.
    pub steps: Vec<Shape>,
    /// How many branches a predecessor decides on.
    pub fan_out: u32,
    /// The largest memory class of every stage.
    pub largest: MemoryClass,
    /// What each step may spend. It bounds the number of attempts, so nothing else has to.
    pub max: Budget,
    /// Workers, each of which may take any message.
    pub workers: usize,
    /// How messages reach them.
    pub delivery: Delivery,
    /// Whether there is a sweeper.
    pub has_sweeper: bool,
    /// How attempts may fail, other than by the death of their worker.
    pub faults: &'static [FaultRank],
    /// Attempts that may be interrupted, which nothing else bounds.
    pub interrupts: u8,
    /// Whether stages may halt the run.
    pub may_halt: bool,
    /// Whether the answer to an applied update may be lost.
    pub loses_answers: bool,
    /// Requests that may be under way at the same time without anybody waiting for them.
    pub under_way: usize,
    /// Whether any request may be under way; else only puts, commits and recorded failures.
    pub delays_all: bool,
    /// Whether the first step evaluates and the last one promotes.
    pub promotes: bool,
    /// Times that somebody else moves the alias.
    pub alias_moves: u8,
    /// Whether the run may be cancelled, at any time.
    pub may_cancel: bool,
    /// Whether its deadline may pass, at any time.
    pub may_expire: bool,
}

impl Scenario {
    /// What of the bounded faults is left at the start.
    pub(super) fn left(&self) -> Left {
        let losses = match self.delivery {
            Delivery::AtLeastOnce { losses } => losses,
            Delivery::Anything => 0,
        };
        Left {
            losses,
            interrupts: self.interrupts,
            alias_moves: self.alias_moves,
        }
    }

    /// Two steps, a plain queue, a sweeper, and nothing else that can go wrong than what is never bounded: crashes
    /// and stolen leases. Every other scenario says what it adds.
    fn base(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            steps: vec![PLAIN, PLAIN],
            fan_out: 2,
            largest: MemoryClass::Standard,
            max: Budget {
                crash: 2,
                transient: 0,
                memory: 0,
            },
            workers: 2,
            delivery: Delivery::AtLeastOnce { losses: 0 },
            has_sweeper: true,
            faults: &[],
            interrupts: 0,
            may_halt: false,
            loses_answers: true,
            under_way: 0,
            delays_all: false,
            promotes: false,
            alias_moves: 0,
            may_cancel: false,
            may_expire: false,
        }
    }

    /// A run's whole life, promotion included.
    pub fn promotion() -> Self {
        Self {
            delivery: Delivery::AtLeastOnce { losses: 1 },
            may_halt: true,
            promotes: true,
            alias_moves: 1,
            may_cancel: true,
            may_expire: true,
            ..Self::base(
                "promotion",
                "a -> b: a evaluates, b promotes; a lost message, halt, cancel, deadline, a moved alias",
            )
        }
    }

    /// Requests that take effect late, among attempts that are given back.
    pub fn zombies() -> Self {
        Self {
            steps: vec![PLAIN],
            max: Budget {
                crash: 2,
                transient: 1,
                memory: 0,
            },
            faults: &[FaultRank::Transient, FaultRank::Interrupted],
            interrupts: 1,
            under_way: 1,
            may_cancel: true,
            ..Self::base(
                "zombies",
                "a: puts, commits and recorded failures that take effect long after they were sent",
            )
        }
    }

    /// Every class of failure, and larger memory classes.
    pub fn failures() -> Self {
        Self {
            steps: vec![PLAIN],
            largest: MemoryClass::Large,
            max: Budget {
                crash: 3,
                transient: 1,
                memory: 1,
            },
            delivery: Delivery::AtLeastOnce { losses: 1 },
            faults: &FaultRank::ALL,
            interrupts: 1,
            ..Self::base(
                "failures",
                "a: every class of failure, escalation to a larger class, poison",
            )
        }
    }

    /// A fan-out whose number the plan knows.
    pub fn fan() -> Self {
        Self {
            steps: vec![PLAIN, fanned(Branches::Known(2), 1), PLAIN],
            max: Budget {
                crash: 1,
                transient: 0,
                memory: 0,
            },
            delivery: Delivery::AtLeastOnce { losses: 1 },
            loses_answers: false,
            ..Self::base(
                "fan",
                "a -> {b0, b1} -> c: a lost message, branches that die for good",
            )
        }
    }

    /// A fan-out whose number its predecessor says, and all of whose branches must succeed.
    pub fn fan_all() -> Self {
        Self {
            steps: vec![PLAIN, fanned(Branches::FromPredecessor, 2), PLAIN],
            max: Budget {
                crash: 1,
                transient: 0,
                memory: 0,
            },
            has_sweeper: false,
            faults: &[FaultRank::Permanent],
            may_cancel: true,
            ..Self::base(
                "fan-all",
                "a -> {b0, b1} -> c: a says how many, all must succeed; no sweeper, nothing lost",
            )
        }
    }

    /// Without a sweeper: redelivery alone must do, as long as nothing is lost.
    pub fn redelivery() -> Self {
        Self {
            has_sweeper: false,
            largest: MemoryClass::Large,
            max: Budget {
                crash: 3,
                transient: 0,
                memory: 0,
            },
            ..Self::base(
                "redelivery",
                "a -> b, no sweeper, nothing lost: redelivery alone brings every run to its end",
            )
        }
    }

    /// Any message at any time.
    pub fn anything() -> Self {
        Self {
            steps: vec![PLAIN, fanned(Branches::Known(2), 1), PLAIN],
            max: Budget {
                crash: 1,
                transient: 0,
                memory: 0,
            },
            delivery: Delivery::Anything,
            may_cancel: true,
            ..Self::base(
                "anything",
                "a -> {b0, b1} -> c: any message at any time, also one that nobody sent or that makes no sense",
            )
        }
    }
}

/// A step that is fanned out.
fn fanned(branches: Branches, min_succeeded: u32) -> Shape {
    Shape {
        branches: Some(branches),
        min_succeeded,
    }
}

/// How much is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Seconds: what the tests search.
    Small,
    /// Minutes.
    Medium,
    /// Hours, and many gigabytes of memory: see `--max-states`.
    Large,
}

/// The scenarios of a size, the small ones of which are also the first of the larger.
pub fn scenarios(size: Size) -> Vec<Scenario> {
    let mut all = vec![
        Scenario::promotion(),
        Scenario::zombies(),
        Scenario::failures(),
        Scenario::redelivery(),
        Scenario::fan(),
        Scenario::fan_all(),
        Scenario::anything(),
    ];
    if size == Size::Small {
        return all;
    }
    all.extend(medium());
    if size == Size::Large {
        all.extend(large());
    }
    all
}

fn medium() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "promotion-late",
            about: "promotion, and a request that takes effect late",
            under_way: 1,
            ..Scenario::promotion()
        },
        Scenario {
            name: "zombies-all",
            about: "zombies, with three workers, and any request that takes effect late",
            workers: 3,
            delays_all: true,
            delivery: Delivery::AtLeastOnce { losses: 1 },
            ..Scenario::zombies()
        },
        Scenario {
            name: "fan-late",
            about: "fan, with lost answers, cancel, and a request that takes effect late",
            loses_answers: true,
            under_way: 1,
            may_cancel: true,
            ..Scenario::fan()
        },
        Scenario {
            name: "fan-classes",
            about: "{a0} -> b: branches that die or need more memory move to a larger class; no sweeper, nothing lost",
            steps: vec![fanned(Branches::Known(1), 1), PLAIN],
            max: Budget {
                crash: 3,
                transient: 0,
                memory: 1,
            },
            largest: MemoryClass::Large,
            faults: &[FaultRank::Memory],
            has_sweeper: false,
            loses_answers: false,
            ..Scenario::base("", "")
        },
        Scenario {
            name: "anything-faults",
            about: "anything, with steps and branches that fail for good",
            faults: &[FaultRank::Permanent],
            ..Scenario::anything()
        },
    ]
}

fn large() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "anything-late",
            about: "anything, with a branch or step that fails, and any request that takes effect late",
            faults: &[FaultRank::Permanent],
            under_way: 1,
            delays_all: true,
            ..Scenario::anything()
        },
        Scenario {
            name: "fan-twice",
            about: "fan, with two deaths a branch before it fails for good, a deadline and a halt",
            max: Budget {
                crash: 2,
                transient: 0,
                memory: 0,
            },
            loses_answers: true,
            may_expire: true,
            may_halt: true,
            ..Scenario::fan()
        },
        Scenario {
            name: "fan-three",
            about: "a -> {b0, b1, b2} -> c: two of three must succeed",
            steps: vec![PLAIN, fanned(Branches::Known(3), 2), PLAIN],
            ..Scenario::fan()
        },
        Scenario {
            name: "failures-late",
            about: "failures, and two requests that take effect late",
            under_way: 2,
            ..Scenario::failures()
        },
        Scenario {
            name: "workers-three",
            about: "promotion, with three workers",
            workers: 3,
            ..Scenario::promotion()
        },
    ]
}
