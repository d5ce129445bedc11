//! Looks whether a folder can be used, and says what to do where it cannot. Nothing in it is changed but for a file that is made
//! and removed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::diagnosis::{Examination, Finding};
use pipeline::ports::{Host, PortError};
use rusqlite::Connection;

use crate::error::Fault;
use crate::schema::{Database, newest_form};
use crate::{Options, artifacts};

/// How long the database may be read through. A large one is not read to its end then.
const LONGEST_READ: Duration = Duration::from_secs(10);
/// How many instructions of SQLite lie between two looks at the clock.
const LOOK_EVERY: i32 = 100_000;
/// A log of this size was not written back for long: SQLite begins anew after a few MiB.
const LONG_LOG_BYTES: u64 = 256 * 1024 * 1024;

const START: &str =
    "submit a run to make it (`producer submit SPEC`), or name another with --backend local:FOLDER";

/// Examines a folder, and the backend in it.
pub async fn examine(folder: &Path, host: &Host) -> Examination {
    let mut found = vec![place(folder)];
    let path = folder.join("fleetline.db");
    match path.try_exists() {
        Ok(true) => {
            found.push(writable(folder));
            found.extend(database(folder, host).await);
        }
        Ok(false) if !folder.is_dir() => {
            found.push(Finding::skipped("database", "there is no folder for one"));
        }
        Ok(false) => {
            let told = format!("there is none at {}", path.display());
            found.push(Finding::failed("database", told, START));
        }
        Err(e) => found.push(Finding::failed(
            "database",
            format!("cannot look for {}: {e}", path.display()),
            "let this user read the folder, or choose another",
        )),
    }
    found.push(Finding::skipped(
        "clock",
        "the folder is on this machine, and has its clock",
    ));
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    Examination {
        findings: found,
        clock: None,
        backend: crate::open(folder, &options, host)
            .ok()
            .map(|local| local.backend),
    }
}

/// Whether the file system is one on which processes can share a database.
fn place(folder: &Path) -> Finding {
    let path = folder.display();
    match std::fs::metadata(folder) {
        Ok(of) if of.is_dir() => {}
        Ok(_) => return Finding::failed("folder", format!("{path} is no folder"), START),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Finding::failed("folder", format!("there is none at {path}"), START);
        }
        Err(e) => {
            let advice = "let this user into the folder, or choose another with --backend local:FOLDER";
            return Finding::failed("folder", format!("cannot look at {path}: {e}"), advice);
        }
    }
    match network_file_system(folder) {
        Some(name) => Finding::failed(
            "folder",
            format!("{path} is on a file system of the network ({name}), where SQLite's log does not work"),
            "use a folder on a disk of this machine; for several machines, a fleet on AWS",
        ),
        None => Finding::ok("folder", path.to_string()),
    }
}

/// What the file system is called, if it is one of the network.
#[cfg(target_os = "linux")]
fn network_file_system(folder: &Path) -> Option<&'static str> {
    // As linux/magic.h has them.
    const NETWORK: [(u64, &str); 5] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x5346_414f, "AFS"),
    ];
    let of = rustix::fs::statfs(folder).ok()?;
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "it has another type on other processors; the numbers have 32 bits"
    )]
    let kind = (of.f_type as u64) & 0xffff_ffff;
    let known = NETWORK.iter().find(|(magic, _)| *magic == kind);
    known.map(|(_, name)| *name)
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_: &Path) -> Option<&'static str> {
    None
}

/// Whether workers run by this user can write to it.
fn writable(folder: &Path) -> Finding {
    let tried = [folder.to_owned(), folder.join("artifacts"), folder.join("tmp")]
        .into_iter()
        .filter(|part| part.exists())
        .try_for_each(|part| try_to_write(&part).map_err(|e| (part, e)));
    match tried {
        Ok(()) => Finding::ok("writing", "this user may write to the folder"),
        Err((part, e)) => Finding::failed(
            "writing",
            format!("cannot write to {}: {e}", part.display()),
            match e.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
                io::ErrorKind::ReadOnlyFilesystem => {
                    "mount the file system for writing, or choose another folder"
                }
                _ => "make the folder writable for this user (chown, chmod), or work as the user who owns it",
            },
        ),
    }
}

fn try_to_write(folder: &Path) -> io::Result<()> {
    let path: PathBuf = folder.join(format!(".doctor-{}", std::process::id()));
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| io::Write::write_all(&mut file, b"may be removed\n"));
    let removed = std::fs::remove_file(&path);
    made.and(removed)
}

/// The database: that it can be read, its form, its journal, and that it is whole.
async fn database(folder: &Path, host: &Host) -> Vec<Finding> {
    let database = Database {
        path: folder.join("fleetline.db"),
        read_only: true,
        busy_wait: Duration::from_secs(5),
    };
    let clock = host.clock.clone();
    let give_up = clock.monotonic().saturating_add(LONGEST_READ);
    let read = artifacts::blocking(host, "read the database", move || {
        let mut found = Vec::new();
        let mut connection = match database.look() {
            Ok((connection, form)) => {
                found.push(form_is_known(form));
                connection
            }
            Err(fault) => {
                found.push(refused(fault));
                return Ok::<_, Fault>(found);
            }
        };
        found.push(journal(&connection, &database));
        let over = move || clock.monotonic() > give_up;
        found.push(whole(&mut connection, over));
        Ok(found)
    });
    read.await.unwrap_or_else(|e| vec![refused(e.into())])
}

/// A fault of opening the database, whose text says what to do after a colon.
fn refused(fault: Fault) -> Finding {
    let error: PortError = fault.explain("read the database");
    let text = error.to_string();
    match text.split_once(": ") {
        Some((told, advice)) => Finding::failed("database", told, advice),
        None => Finding::failed("database", text, "see the system's log"),
    }
}

fn form_is_known(form: usize) -> Finding {
    let newest = newest_form();
    match form < newest {
        false => Finding::ok(
            "stored form",
            format!("{form}, the newest that this version knows"),
        ),
        true => Finding::warning(
            "stored form",
            format!("{form}, and this version writes {newest}"),
            "nothing, if it may be brought there: the next worker or `producer submit` of this version does that; \
             older versions cannot open it afterwards",
        ),
    }
}

fn journal(connection: &Connection, database: &Database) -> Finding {
    let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
    let log_bytes = std::fs::metadata(database.log()).map_or(0, |log| log.len());
    let mib = log_bytes / (1024 * 1024);
    match mode {
        Ok(mode) if mode != "wal" => Finding::failed(
            "journal",
            format!("the database's journal is `{mode}` instead of `wal`"),
            "another program changed it: with nothing using the folder, `sqlite3 fleetline.db 'PRAGMA journal_mode=wal'`",
        ),
        Ok(_) if log_bytes > LONG_LOG_BYTES => Finding::warning(
            "journal",
            format!("the write-ahead log has {mib} MiB, and begins anew after a few usually"),
            "something has kept the database open for reading for long: end what reads it (`fuser fleetline.db`)",
        ),
        Ok(_) => Finding::ok("journal", format!("write-ahead log of {mib} MiB")),
        Err(e) => refused(e.into()),
    }
}

/// Reads all of the database, or as much as there is time for.
fn whole(connection: &mut Connection, is_over: impl FnMut() -> bool + Send + 'static) -> Finding {
    if let Err(e) = connection.progress_handler(LOOK_EVERY, Some(is_over)) {
        return refused(e.into());
    }
    let checked = connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    match checked {
        Ok(told) if told == "ok" => Finding::ok("database", "can be read, and is whole"),
        Ok(told) => Finding::failed(
            "database",
            format!("is damaged: {}", told.lines().next().unwrap_or_default()),
            "end everything that uses the folder, and restore fleetline.db from a copy; artifacts are not concerned",
        ),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::OperationInterrupted =>
        {
            let told = format!(
                "can be read; too large to be read through in {} s",
                LONGEST_READ.as_secs()
            );
            Finding::ok("database", told)
        }
        Err(e) => refused(e.into()),
    }
}
