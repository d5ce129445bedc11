//! The database's form, and how an older one becomes the present one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::ports::{ErrorKind, PortError};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::Fault;
use crate::lock::TurnLock;

/// Says that a database is ours: "Flee" in ASCII.
const APPLICATION_ID: i32 = 0x466c_6565;

/// The steps from an empty database to the present form; `user_version` counts those that were taken. A step that
/// was released never changes: a change of the form is a new step at the end.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// The form that this version writes.
pub(crate) fn newest_form() -> usize {
    MIGRATIONS.len()
}

/// An open database.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    path: PathBuf,
    /// The file's device and number.
    identity: (u64, u64),
}

impl Opened {
    fn new(connection: Connection, path: &Path) -> Result<Self, Fault> {
        Ok(Self {
            connection,
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    /// The write-ahead log.
    pub(crate) fn log(&self) -> PathBuf {
        log_of(&self.path)
    }

    /// The connection, unless the file was moved or deleted since: the system would let us write to it until the
    /// end of days, and nobody would ever read that.
    pub(crate) fn checked(&self) -> Result<&Connection, Fault> {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            return Ok(&self.connection);
        }
        Err(Fault::Port(PortError::new(
            ErrorKind::NotFound,
            format!(
                "the database {} was moved or deleted while it was in use: put it back, or restart",
                self.path.display()
            ),
        )))
    }
}

fn identity(path: &Path) -> Result<(u64, u64), Fault> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Which database, and how to open it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// The file.
    pub(crate) path: PathBuf,
    /// Nothing may be written.
    pub(crate) read_only: bool,
    /// How long to wait for other programs that hold it locked.
    pub(crate) busy_wait: Duration,
}

impl Database {
    /// Another connection, for reading or for writing.
    pub(crate) fn connect(&self) -> Result<Opened, Fault> {
        Opened::new(self.connect_with(false)?, &self.path)
    }

    fn connect_with(&self, create: bool) -> Result<Connection, Fault> {
        let threading = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection = if self.read_only {
            self.connect_read_only(threading)?
        } else {
            let flags = if create {
                OpenFlags::SQLITE_OPEN_CREATE
            } else {
                OpenFlags::empty()
            };
            Connection::open_with_flags(&self.path, flags | threading | OpenFlags::SQLITE_OPEN_READ_WRITE)?
        };
        connection.busy_timeout(self.busy_wait)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    /// Readers of a write-ahead log share memory through a file beside the database. Where that can neither be found
    /// nor made, and no log is left to be read, nobody can be writing: then the file alone is all there is.
    fn connect_read_only(&self, threading: OpenFlags) -> Result<Connection, Fault> {
        let flags = threading | OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())) {
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if matches!(failure.code, ErrorCode::CannotOpen | ErrorCode::ReadOnly)
                    && !has_log(&self.path) =>
            {
                let path = self.path.to_string_lossy();
                let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
                let uri = format!("file:{escaped}?immutable=1");
                Ok(Connection::open_with_flags(
                    uri,
                    flags | OpenFlags::SQLITE_OPEN_URI,
                )?)
            }
            Ok(()) | Err(_) => Ok(connection),
        }
    }

    /// The write-ahead log.
    pub(crate) fn log(&self) -> PathBuf {
        log_of(&self.path)
    }

    /// The database as it is, and its form. Fails where this version must not use it.
    pub(crate) fn look(&self) -> Result<(Connection, usize), Fault> {
        let mut connection = self.connect_with(false)?;
        let view = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let form = self.version(&view)?;
        drop(view);
        Ok((connection, form))
    }

    /// Opens the database, makes it if there is none, and brings it to the present form.
    pub(crate) fn prepare(&self, folder: &Path) -> Result<Opened, Fault> {
        if self.read_only && !self.path.exists() {
            return Err(Fault::Port(PortError::new(
                ErrorKind::NotFound,
                format!(
                    "there is no database at {}: submit a run there first",
                    self.path.display()
                ),
            )));
        }
        let mut connection = self.connect_with(true)?;
        if !self.read_only && connection.is_readonly("main")? {
            return Err(Fault::Io(std::io::ErrorKind::PermissionDenied.into()));
        }
        let version = {
            // One view of the file for all that is asked of it: another process may be making it at this moment.
            let view = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            self.version(&view)?
        };
        if version < MIGRATIONS.len() {
            if self.read_only {
                return Err(Fault::Port(PortError::new(
                    ErrorKind::Denied,
                    format!(
                        "the database {} is of an older form ({version}) and was opened for reading only: open it \
                         once for writing, so that it is brought to the present form ({})",
                        self.path.display(),
                        MIGRATIONS.len()
                    ),
                )));
            }
            let lock = TurnLock::open(folder)?;
            let _turn = lock.lock()?;
            // The journal's mode is a property of the file, and cannot change within a transaction.
            connection.pragma_update(None, "journal_mode", "wal")?;
            self.migrate(&mut connection)?;
        }
        Opened::new(connection, &self.path)
    }

    fn migrate(&self, connection: &mut Connection) -> Result<(), Fault> {
        loop {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Read again: another process may have done it while this one waited.
            let version = self.version(&transaction)?;
            let Some(step) = MIGRATIONS.get(version) else {
                return Ok(());
            };
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(
                None,
                "user_version",
                i64::try_from(version + 1).unwrap_or(i64::MAX),
            )?;
            transaction.commit()?;
        }
    }

    /// How many migrations were taken; an error if this is no database of ours, or one of a newer version.
    fn version(&self, connection: &Transaction<'_>) -> Result<usize, Fault> {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let (application, version) = (pragma("application_id")?, pragma("user_version")?);
        if application != APPLICATION_ID {
            let tables: i64 =
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if application != 0 || version != 0 || tables != 0 {
                return Err(Fault::Port(PortError::new(
                    ErrorKind::Corrupt,
                    format!(
                        "{} is the database of another program: choose another folder",
                        self.path.display()
                    ),
                )));
            }
        }
        match usize::try_from(version) {
            Ok(version) if version <= MIGRATIONS.len() => Ok(version),
            Ok(_) | Err(_) => Err(Fault::Port(PortError::new(
                ErrorKind::Denied,
                format!(
                    "the database {} is of form {version}, and this version of fleetline knows forms up to {}: use \
                     the newer fleetline that wrote it, or choose another folder",
                    self.path.display(),
                    MIGRATIONS.len()
                ),
            ))),
        }
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn has_log(database: &Path) -> bool {
    std::fs::metadata(log_of(database)).is_ok_and(|log| log.len() > 0)
}
