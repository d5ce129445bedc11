//! The invariants.

use std::fmt;

/// One invariant of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// At most one committed result per step or branch, and a settled one never changes.
    I1,
    /// Committed: every object of the manifest exists with that digest.
    I2,
    /// A step starts only after its inputs are committed.
    I3,
    /// Succeeded: all is committed.
    I4,
    /// A terminal status never changes.
    I5,
    /// What is spent is at most what may be.
    I6,
    /// At most one promotion per run, as a part of its success, and never over a champion that the evaluation did
    /// not see.
    P1,
    /// Every dead letter carries a reason.
    Q1,
    /// Every run that ended carries a reason, unless it succeeded.
    Q2,
    /// Every refused claim is explained by the item that refused it: nobody tries again for ever.
    R1,
    /// No claim is won for what the plan does not have.
    R2,
    /// From every reachable state a terminal one is reachable without any fault and without anybody's help.
    L2,
}

impl Invariant {
    /// Those that can be judged by looking at one state.
    pub const SAFETY: [Self; 11] = [
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::P1,
        Self::Q1,
        Self::Q2,
        Self::R1,
        Self::R2,
    ];

    /// Its name and what it says.
    pub fn title(self) -> &'static str {
        match self {
            Self::I1 => "I1 at most one committed result per step or branch, and it stays",
            Self::I2 => "I2 every object of a committed manifest exists with its digest",
            Self::I3 => "I3 a step starts only after its inputs are committed",
            Self::I4 => "I4 a run that succeeded has everything committed",
            Self::I5 => "I5 a terminal status never changes",
            Self::I6 => "I6 nothing spends more than it may",
            Self::P1 => {
                "P1 at most one promotion per run, with its success, over the champion that was evaluated"
            }
            Self::Q1 => "Q1 every dead letter carries a reason",
            Self::Q2 => "Q2 every end but success carries a reason",
            Self::R1 => "R1 every refused claim is explained by the item that refused it",
            Self::R2 => "R2 no claim is won for what the plan does not have",
            Self::L2 => "L2 a terminal state stays reachable without faults and without help",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Invariants that a transition broke: a part of the state, so that the state shows what happened before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Broken(u16);

impl Broken {
    /// Notes `invariant`, if `is_broken`.
    pub fn note(&mut self, invariant: Invariant, is_broken: bool) {
        if is_broken {
            self.0 |= 1 << invariant as u16;
        }
    }

    /// Notes all that `other` notes.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// True if it was noted.
    pub fn has(self, invariant: Invariant) -> bool {
        self.0 & 1 << invariant as u16 != 0
    }
}

/// What an exploration must have seen, lest it prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A run succeeded.
    Succeeded,
    /// A run was halted by a gate.
    Halted,
    /// A run failed.
    Failed,
    /// A run was cancelled.
    Cancelled,
    /// A run's deadline passed.
    Expired,
    /// The alias moved to the run's version.
    Promoted,
    /// The alias had moved meanwhile; the version was registered only.
    RegisteredOnly,
    /// The sweeper sent a message that was gone.
    Resent,
    /// The sweeper joined a branch that had been forgotten.
    SweptJoin,
    /// The sweeper closed a fan-out that was full.
    SweptClose,
    /// A claim whose answer was lost was found to be won.
    ClaimWasMine,
    /// A commit whose answer was lost was found to be done.
    CommitWasMine,
    /// A result came too late and was discarded.
    Discarded,
    /// A live lease was respected.
    Leased,
    /// A lease was taken over while its holder still lived.
    Stolen,
    /// Work moved to a larger class.
    Escalated,
    /// A message was found in the queue of another class.
    OtherClass,
    /// A request took effect after its worker had gone on.
    TookEffectLate,
    /// A redelivery of committed work drove what comes next.
    DrivenAgain,
    /// A branch failed for good and the join went on without it.
    JoinedLost,
    /// A crash budget was spent.
    BudgetSpent,
    /// A message became a dead letter.
    DeadLetter,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Succeeded,
        Self::Halted,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
        Self::Promoted,
        Self::RegisteredOnly,
        Self::Resent,
        Self::SweptJoin,
        Self::SweptClose,
        Self::ClaimWasMine,
        Self::CommitWasMine,
        Self::Discarded,
        Self::Leased,
        Self::Stolen,
        Self::Escalated,
        Self::OtherClass,
        Self::TookEffectLate,
        Self::DrivenAgain,
        Self::JoinedLost,
        Self::BudgetSpent,
        Self::DeadLetter,
    ];
}

/// A set of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Events(u32);

impl Events {
    /// Notes `event`.
    pub fn note(&mut self, event: Event) {
        self.0 |= 1 << event as u32;
    }

    /// Notes all that `other` notes.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// True if it was noted.
    pub fn has(self, event: Event) -> bool {
        self.0 & 1 << event as u32 != 0
    }
}
