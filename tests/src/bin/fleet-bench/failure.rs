//! Why nothing could be measured.

use std::fmt;

use pipeline::ports::PortError;

/// What went wrong, for people.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// A measurement, or why there is none.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(crate) fn io(doing: &str, error: &std::io::Error) -> Self {
        Self(format!("cannot {doing}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self(error.to_string())
    }
}
