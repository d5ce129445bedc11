//! Standard output and standard error, whose readers may go at any time.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Writes a text to standard output, as it is. Whoever closed the pipe has what it wanted: that is no error.
pub fn write(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(io::Error::new(
            e.kind(),
            format!("cannot write to standard output: {e}"),
        )),
        Ok(()) => Ok(()),
    }
}

/// Writes a text and ends with `code`, or says why it cannot.
pub fn end_with(text: impl Display, code: ExitCode) -> ExitCode {
    match write(text) {
        Ok(()) => code,
        Err(e) => {
            tell(format_args!("error: {e}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error, if anybody reads it.
pub fn tell(line: impl Display) {
    // There is no other place to say that this one is gone.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
