//! Attempts of stages: heavy ones in child processes, light ones in our own.
//!
//! A heavy attempt runs in a child process of the same binary (`worker attempt`), so that its memory and time can be
//! limited, its death survived and its cause of death told. The pool keeps lease and heartbeat meanwhile.
//!
//! ```text
//! pool                                         child (`worker attempt`)
//!  stdin   {"assignment":…,"inputs":…}\n  ──▶   reads it, limits itself, runs the stage
//!          stop\n                         ──▶   the stage's next checkpoint says Interrupted
//!          (its end)                      ──▶   the pool is gone: dies at once
//!  stdout  {"progress":0.5}\n             ◀──
//!          {"ended":{…}}\n                ◀──   the last line, then exit code 0
//!  stderr  text                           ◀──   for the log, limited in length and rate
//! ```
//!
//! What the stage itself prints to stdout goes to stderr, so that it cannot spoil the reports.

mod cgroup;
mod in_process;
mod inside;
mod interrupt;
mod lines;
mod parent;
mod process;
mod prove;
mod sys;
mod verdict;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use pipeline::stage::{Assignment, Outcome, StageError};

pub(crate) use cgroup::{limit_bytes as cgroup_limit_bytes, memory_of};
pub use in_process::run_in_process;
pub use inside::attempt_main;
pub use interrupt::Interrupt;
pub use parent::run_in_child;
pub use prove::prove_main;

/// What a child process is to do, and within which limits.
#[derive(Debug, Clone)]
pub struct ChildRequest {
    /// The binary that knows the hidden command `attempt`: [`this_program`], except in tests.
    pub program: PathBuf,
    /// The attempt.
    pub assignment: Assignment,
    /// The folder with what the stage reads.
    pub inputs: PathBuf,
    /// The folder for what it writes; it must exist.
    pub outputs: PathBuf,
    /// The folder for the child's temporary files (its `TMPDIR`); it must exist.
    pub scratch: PathBuf,
    /// How much memory it may take, if that is limited. Kept on Linux only.
    pub memory_limit_bytes: Option<u64>,
    /// How much may lie in its three folders, if that is limited.
    pub scratch_limit_bytes: Option<u64>,
    /// How long it may take, if that is limited.
    pub time_limit: Option<Duration>,
    /// How long it has for stopping, once it is told to, before it is killed.
    pub grace: Duration,
}

/// What the pool wants of a running child. It only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stop {
    /// Go on.
    #[default]
    Not,
    /// Stop at the next checkpoint; be killed when the grace period is over.
    Soon,
    /// Be killed.
    Now,
}

/// What a child says while it works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Told<'a> {
    /// How far the work is, from 0 to 1.
    Progress(f64),
    /// One line of its standard error, for the log.
    Stderr(&'a str),
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The stage ended well.
    Outcome(Outcome),
    /// The stage failed and said how, or it died of memory.
    Failed(StageError),
    /// It died, or broke the rules, without saying why.
    Crashed {
        /// What is known of it, for people.
        how: String,
    },
    /// It was killed because its time was over.
    TimeLimit,
    /// It was killed because we wanted it to stop.
    Killed,
}

/// How an attempt ended, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub end: End,
    /// The child's largest resident memory; none if it ran in our own process, or never started.
    pub peak_memory_bytes: Option<u64>,
    /// The child's processor time, of user and system; none as above.
    pub cpu_ms: Option<u64>,
}

/// The binary that this process runs, also if its file was replaced since.
pub fn this_program() -> std::io::Result<PathBuf> {
    // An upgrade in place must not mix two versions within one pool.
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() {
        Ok(link)
    } else {
        std::env::current_exe()
    }
}
