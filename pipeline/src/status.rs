//! Where runs and steps stand.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a run stands. All but `Open` are terminal: they never change again (I5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunStatus {
    /// There may be work to do.
    Open,
    /// Every step is committed.
    Succeeded,
    /// Ended by a gate, as designed: the data said no.
    Halted,
    /// A step failed for good, or the deadline passed.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl RunStatus {
    /// Every status, in the order people expect.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Succeeded,
        Self::Halted,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Succeeded => "SUCCEEDED",
            Self::Halted => "HALTED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RunStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                format!("{text:?} is no status; use one of open, succeeded, halted, failed, cancelled")
            })
    }
}

/// Where a step or a branch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepState {
    /// Nobody works on it.
    #[default]
    Pending,
    /// Somebody holds, or held, its lease.
    Running,
    /// Its result is final.
    Committed,
    /// It failed for good.
    Failed,
}

impl StepState {
    /// True once the result, good or bad, is final.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Committed | Self::Failed)
    }
}
