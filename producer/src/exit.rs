//! How a command ends: its exit code, and the failure that people read.

use std::io;
use std::process::ExitCode;

use pipeline::RunStatus;
use pipeline::ports::{ErrorKind, PortError};

/// The exit codes. They are part of the interface: scripts branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; of `watch`: the run succeeded.
    Done = 0,
    /// It did not work: the backend, a file, the network; of `doctor`: a check failed.
    Error = 1,
    /// The command line or the specification is wrong.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// What is there forbids it.
    Conflict = 4,
    /// The run that was watched failed.
    RunFailed = 5,
    /// The run that was watched was halted by a gate.
    RunHalted = 6,
    /// The run that was watched was cancelled.
    RunCancelled = 7,
    /// Ctrl-C ended the watching; the run goes on.
    Interrupted = 130,
    /// Whoever read the output of `watch` went away; the run goes on.
    ReaderGone = 141,
}

/// What `--help` says of them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done; of watch and submit --watch: the run SUCCEEDED
  1    it did not work: the backend, a file, damaged data; of doctor: a check FAILED
  2    the command line or the specification is wrong
  3    what was named is not there: run, step, artifact, model, dead letter, folder
  4    what is there forbids it: key taken by another specification, run ended, alias moved
  5    the watched run FAILED
  6    the watched run was HALTED by a gate, as designed
  7    the watched run was CANCELLED
  130  Ctrl-C ended the watching; the run goes on
  141  the reader of a watch went away; the run goes on";

impl Exit {
    /// How watching a run ends; none while it is open.
    pub fn of_run(status: RunStatus) -> Option<Self> {
        match status {
            RunStatus::Open => None,
            RunStatus::Succeeded => Some(Self::Done),
            RunStatus::Failed => Some(Self::RunFailed),
            RunStatus::Halted => Some(Self::RunHalted),
            RunStatus::Cancelled => Some(Self::RunCancelled),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what it was asked for. Its text is for people and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or the specification is wrong.
    #[error("{0}")]
    Usage(String),
    /// What was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// What is there forbids it.
    #[error("{0}")]
    Conflict(String),
    /// A file of the user could not be read or written.
    #[error("cannot {what}: {source}")]
    File {
        /// What was tried, with the file's name.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The backend failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Standard output was closed by its reader: `producer list | head`.
    #[error("the reader of the output went away")]
    ReaderGone,
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl Failure {
    /// A file's failure; `what` was tried, for example `read spec.toml`.
    pub fn file(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }

    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NotFound(_) => Exit::NotFound,
            Self::Conflict(_) => Exit::Conflict,
            Self::File { .. } | Self::Output(_) => Exit::Error,
            // Whoever closed the pipe has what it wanted. `watch`, whose zero has a meaning, says otherwise.
            Self::ReaderGone => Exit::Done,
            Self::Port(error) => match error.kind() {
                ErrorKind::NotFound => Exit::NotFound,
                ErrorKind::Conflict => Exit::Conflict,
                ErrorKind::LeaseLost
                | ErrorKind::Corrupt
                | ErrorKind::Denied
                | ErrorKind::Throttled
                | ErrorKind::Unavailable
                | ErrorKind::Invalid => Exit::Error,
            },
        }
    }
}

impl From<io::Error> for Failure {
    /// Of writing to standard output; other files have [`Failure::file`].
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::Output(error)
        }
    }
}
