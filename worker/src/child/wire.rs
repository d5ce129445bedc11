//! What pool and child say to each other. Both are the same binary, so there is no version.

use std::path::PathBuf;

use pipeline::stage::{Assignment, Outcome, StageError};
use serde::{Deserialize, Serialize};

/// The line that tells a child to stop.
pub(super) const STOP: &str = "stop";

/// The first line that a child reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The pool's process id: a child whose parent is another was orphaned before it could ask to die with it.
    pub(super) parent: u32,
    pub(super) assignment: Assignment,
    pub(super) inputs: PathBuf,
    pub(super) outputs: PathBuf,
    pub(super) memory_limit_bytes: Option<u64>,
}

/// A line that a child writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Report {
    /// How far the work is, from 0 to 1.
    Progress(f64),
    /// The last line.
    Ended(Ending),
}

/// How the work ended, as the child saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ending {
    pub(super) how: How,
    /// The child's largest resident memory, if the system tells.
    pub(super) peak_memory_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    Outcome(Outcome),
    Failed(StageError),
    Panicked(String),
}
