//! The one place where what SQLite and the file system say becomes a port's error.

use std::io;

use pipeline::ports::{ErrorKind, PortError};
use rusqlite::ErrorCode;

/// What went wrong inside, before it is known what was tried.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite refused or failed.
    Sqlite(rusqlite::Error),
    /// The file system refused or failed.
    Io(io::Error),
    /// What is stored cannot be read as what it should be.
    Stored(serde_json::Error),
    /// Already in a port's words.
    Port(PortError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustix::io::Errno> for Fault {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Stored(error)
    }
}

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl Fault {
    /// The port's error; `action` says what was tried: "cannot {action}: …".
    pub(crate) fn explain(self, action: &str) -> PortError {
        let (kind, advice) = match &self {
            Self::Sqlite(error) => sqlite(error),
            Self::Io(error) => file_system(error),
            Self::Stored(_) => (
                ErrorKind::Corrupt,
                "what is stored is not what this version writes: restore the folder from a copy, or use the \
                 version that wrote it",
            ),
            Self::Port(_) => (ErrorKind::Unavailable, ""),
        };
        let message = if advice.is_empty() {
            format!("cannot {action}")
        } else {
            format!("cannot {action}: {advice}")
        };
        match self {
            Self::Sqlite(error) => PortError::new(kind, message).with_source(error),
            Self::Io(error) => PortError::new(kind, message).with_source(error),
            Self::Stored(error) => PortError::new(kind, message).with_source(error),
            Self::Port(error) => error,
        }
    }
}

const DISK_FULL: &str =
    "the disk is full: free some space, then try again; nothing of what was acknowledged is lost";
const READ_ONLY: &str =
    "the folder or its database is read-only: make it writable for this user, or choose another folder";
const CORRUPT: &str = "the database is damaged, or is no database: restore fleetline.db from a copy, or move it away and start anew";
const LOCKED: &str = "another program holds the database locked: end that program, or wait, then try again";
const PASSING: &str =
    "the disk or the system failed, perhaps in passing: see the system's log, then try again";
const OURS: &str = "this is a mistake of this program: please report it";

/// The kind of a failure of SQLite, and what to do about it.
fn sqlite(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => sqlite_code(*failure),
        // A column that is not there, or not of the type that we wrote: another program changed the database.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::InvalidColumnIndex(_)
        | rusqlite::Error::InvalidColumnName(_)
        | rusqlite::Error::Utf8Error(..) => (ErrorKind::Corrupt, CORRUPT),
        rusqlite::Error::SqlInputError { error, .. } => sqlite_code(*error),
        // What is left cannot come from data, only from how the library is called; the enum is open-ended.
        _ => (ErrorKind::Invalid, OURS),
    }
}

fn sqlite_code(failure: rusqlite::ffi::Error) -> (ErrorKind, &'static str) {
    match failure.code {
        ErrorCode::DiskFull => (ErrorKind::Unavailable, DISK_FULL),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            (ErrorKind::Unavailable, LOCKED)
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => (ErrorKind::Corrupt, CORRUPT),
        ErrorCode::ReadOnly if failure.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED => (
            ErrorKind::NotFound,
            "the database was moved or deleted while it was in use: put it back, or restart",
        ),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (ErrorKind::Denied, READ_ONLY)
        }
        ErrorCode::CannotOpen => (
            ErrorKind::Denied,
            "the database cannot be opened: it must be a file that this user may read and write, in a folder \
             that this user may write to",
        ),
        // The shared memory beside the database cannot be given its size: that takes space, and nothing else.
        ErrorCode::SystemIoFailure if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
            (ErrorKind::Unavailable, DISK_FULL)
        }
        ErrorCode::SystemIoFailure
        | ErrorCode::OutOfMemory
        | ErrorCode::OperationInterrupted
        | ErrorCode::OperationAborted => (ErrorKind::Unavailable, PASSING),
        ErrorCode::NoLargeFileSupport => (
            ErrorKind::Denied,
            "this file system cannot hold a file this large: choose a folder on another one",
        ),
        ErrorCode::TooBig => (
            ErrorKind::Invalid,
            "it is larger than the database can hold in one row: make it smaller",
        ),
        // Tables or columns are missing: somebody else's database, or a damaged one.
        ErrorCode::Unknown | ErrorCode::SchemaChanged | ErrorCode::TypeMismatch => {
            (ErrorKind::Corrupt, CORRUPT)
        }
        ErrorCode::ConstraintViolation
        | ErrorCode::InternalMalfunction
        | ErrorCode::NotFound
        | ErrorCode::ApiMisuse
        | ErrorCode::ParameterOutOfRange => (ErrorKind::Invalid, OURS),
        // The enum is open-ended; what it may gain is a failure that nobody here knows how to mend.
        _ => (ErrorKind::Unavailable, PASSING),
    }
}

/// The kind of a failure of the file system, and what to do about it.
fn file_system(error: &io::Error) -> (ErrorKind, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::NotFound, "there is no such file or folder"),
        io::ErrorKind::AlreadyExists => (ErrorKind::Conflict, "something is there already"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (ErrorKind::Unavailable, DISK_FULL),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (ErrorKind::Denied, READ_ONLY),
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => (
            ErrorKind::Denied,
            "a symbolic link, or something else than a folder, stands in the way: remove it",
        ),
        io::ErrorKind::FileTooLarge => (
            ErrorKind::Denied,
            "this file system cannot hold a file this large: choose a folder on another one",
        ),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => (ErrorKind::Invalid, OURS),
        // Input/output errors, exhausted file handles and the like. The enum is open-ended.
        _ => (ErrorKind::Unavailable, PASSING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each group, as SQLite and the system number them, and what people read.
    #[test]
    fn each_failure_has_its_kind_and_says_what_to_do() {
        use rusqlite::ffi;
        for (code, kind, text) in [
            (ffi::SQLITE_FULL, ErrorKind::Unavailable, "free some space"),
            (ffi::SQLITE_BUSY, ErrorKind::Unavailable, "another program"),
            (
                ffi::SQLITE_BUSY_SNAPSHOT,
                ErrorKind::Unavailable,
                "another program",
            ),
            (ffi::SQLITE_LOCKED, ErrorKind::Unavailable, "another program"),
            (ffi::SQLITE_CORRUPT, ErrorKind::Corrupt, "restore"),
            (ffi::SQLITE_NOTADB, ErrorKind::Corrupt, "restore"),
            (ffi::SQLITE_READONLY, ErrorKind::Denied, "make it writable"),
            (
                ffi::SQLITE_READONLY_DIRECTORY,
                ErrorKind::Denied,
                "make it writable",
            ),
            (ffi::SQLITE_READONLY_DBMOVED, ErrorKind::NotFound, "put it back"),
            (ffi::SQLITE_CANTOPEN, ErrorKind::Denied, "cannot be opened"),
            (
                ffi::SQLITE_IOERR_FSYNC,
                ErrorKind::Unavailable,
                "see the system's log",
            ),
            (ffi::SQLITE_TOOBIG, ErrorKind::Invalid, "smaller"),
            (ffi::SQLITE_CONSTRAINT, ErrorKind::Invalid, "report it"),
            (ffi::SQLITE_ERROR, ErrorKind::Corrupt, "restore"),
        ] {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let error = Fault::Sqlite(failure).explain("send messages");
            assert_eq!(error.kind(), kind, "{code}: {error}");
            let line = error.to_string();
            assert!(
                line.starts_with("cannot send messages: ") && line.contains(text),
                "{code}: {line}"
            );
        }
        for (number, kind) in [
            (rustix::io::Errno::NOSPC, ErrorKind::Unavailable),
            (rustix::io::Errno::DQUOT, ErrorKind::Unavailable),
            (rustix::io::Errno::MFILE, ErrorKind::Unavailable),
            (rustix::io::Errno::IO, ErrorKind::Unavailable),
            (rustix::io::Errno::ACCESS, ErrorKind::Denied),
            (rustix::io::Errno::ROFS, ErrorKind::Denied),
            (rustix::io::Errno::NOTDIR, ErrorKind::Denied),
            (rustix::io::Errno::NOENT, ErrorKind::NotFound),
            (rustix::io::Errno::EXIST, ErrorKind::Conflict),
        ] {
            let error = Fault::from(number).explain("publish an artifact");
            assert_eq!(error.kind(), kind, "{number}: {error}");
        }
    }
}
