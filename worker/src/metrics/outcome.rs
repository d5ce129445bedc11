//! How things ended, as labels.

use pipeline::item::FaultClass;

/// How an attempt ended, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Its result is the step's.
    Committed,
    /// The same, and the run ended by a gate.
    Halted,
    /// The result came from the cache.
    Cached,
    /// It had a result, but not the lease any more.
    Discarded,
    /// It failed.
    Fault(FaultClass),
}

impl AttemptOutcome {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Halted => "halted",
            Self::Cached => "cached",
            Self::Discarded => "discarded",
            Self::Fault(class) => class.as_str(),
        }
    }
}

/// What became of a message to the intake, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntakeOutcome {
    /// What it asks for is there.
    Accepted,
    /// It waits for a place.
    Waits,
    /// It went to the dead letters.
    Refused,
    /// It comes again after a failure.
    Failed,
}

impl IntakeOutcome {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Waits => "waits",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Which way artifacts went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the store to a stage.
    Read,
    /// From a stage to the store.
    Written,
}
