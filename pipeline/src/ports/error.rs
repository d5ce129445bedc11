//! One error type for all ports: what happened in words that callers can act on.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// What was named is not there.
    NotFound,
    /// Something else stands there already.
    Conflict,
    /// A receipt or a lease is no longer ours.
    LeaseLost,
    /// What is there is not what was put there: digest, length or form differ.
    Corrupt,
    /// We may not.
    Denied,
    /// We must not so often: try later.
    Throttled,
    /// It cannot be reached, is full, or failed in a passing way: the operation may or may not have been applied.
    Unavailable,
    /// What we asked for makes no sense to the backend: trying again will not help.
    Invalid,
}

impl ErrorKind {
    /// True if the same call may succeed later without anybody's doing.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable => true,
            Self::NotFound
            | Self::Conflict
            | Self::LeaseLost
            | Self::Corrupt
            | Self::Denied
            | Self::Invalid => false,
        }
    }
}

/// A port's failure: its kind, what was tried, and the cause.
#[derive(Debug)]
pub struct PortError {
    kind: ErrorKind,
    /// What was tried and what to do, for people: "cannot write artifact r/…: the disk is full".
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What every port's call answers.
pub type PortResult<T> = Result<T, PortError>;

impl PortError {
    /// An error with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with how long the backend asks us to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// How long the backend asks us to wait, if it says.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        // The cause is part of the line: logs and dead letters show one line only.
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|s| s.as_ref() as &(dyn Error + 'static))
    }
}
