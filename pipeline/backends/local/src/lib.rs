//! The embedded backend: everything that outlives a process, in one folder.
//!
//! Any number of processes on one machine may use a folder at the same time. It must be on a local file system:
//! SQLite's write-ahead log needs memory that all of them share.
//!
//! ```text
//! fleetline.db      queues, runs, branches, cache, registry, presence, pauses (beside it: -wal and -shm)
//! artifacts/        one file per artifact; its key is its path: r/{run}/{step}/{ordinal}/a{attempt}/{name}, s/{digest}
//! logs/             what workers log, one *.jsonl file per process
//! tmp/              artifacts that are being written
//! wake/             one socket per process that waits for messages
//! turn.lock, writer.lock   whose turn it is to write to the database
//! clock             its modification time is the time of whoever keeps the folder
//! ```
//!
//! Writing goes through one thread per process, which puts the jobs of many callers into one transaction and one wait
//! for the disk; reading goes past it. Who waits is woken, also by other processes.
//!
//! What is read is on disk already, messages excepted: those may be received a moment before, and whoever sent them is
//! told once they are there. Nobody waits for the disk for a delivery, nor for its end: a loss of power that undoes one
//! only repeats it, and whoever could hold a receipt for it is gone as well.

mod artifacts;
mod beneath;
mod error;
mod examine;
mod fleet;
mod items;
mod lock;
mod logs;
mod messages;
mod pipelines;
mod queue;
mod reader;
mod registry;
mod runs;
mod schema;
mod scratch;
mod sources;
mod wake;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pipeline::ports::{Backend, Clock, Host, PortResult};

pub use crate::examine::examine;

use crate::error::Fault;
use crate::items::Recent;
use crate::reader::Readers;
use crate::schema::Database;
use crate::wake::Wake;
use crate::writer::Writer;

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The loss of power, except for what it only repeats: deliveries may come again although they were extended,
    /// released or acknowledged a moment earlier.
    #[default]
    Full,
    /// The death of every process. After a loss of power the last moments may be gone from the database, in order: it
    /// is then as it was a moment earlier, never damaged. (Artifacts survive a loss of power in any case.)
    Normal,
}

/// How to open a folder.
#[derive(Debug, Clone)]
pub struct Options {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Nothing is stored; every call that would, and [`pipeline::ports::RunStore::server_time`], answers `Denied`. (Who
    /// waits still puts a socket into `wake/`, where it may, so that it is woken.)
    pub read_only: bool,
    /// How long to wait for other programs (not for other processes of ours) that hold the database locked.
    pub busy_wait: Duration,
    /// The folders below which a specification's sources may lie; relative ones are below the working directory.
    pub source_folders: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            read_only: false,
            busy_wait: Duration::from_secs(5),
            source_folders: Vec::new(),
        }
    }
}

/// A folder that was opened.
#[derive(Clone)]
pub struct Local {
    /// The ports.
    pub backend: Backend,
    /// The folder's absolute path.
    pub folder: PathBuf,
    /// Where each worker process writes its log, as a file of its own that ends in `.jsonl`: one JSON object a line,
    /// with `run.id` and `step` in it or in one of its spans. [`pipeline::ports::Fleet::read_logs`] reads them.
    pub log_folder: PathBuf,
}

/// What the ports of one handle share.
pub(crate) struct Store {
    pub(crate) folder: PathBuf,
    pub(crate) readers: Readers,
    pub(crate) writer: Writer,
    pub(crate) recent: Recent,
    pub(crate) wake: Arc<Wake>,
    pub(crate) host: Host,
}

/// Opens a folder, and makes it if there is none.
///
/// Fails with `Denied` where this user may not write (or, for an older folder and `read_only`, where it must be
/// brought to the present form first) and where a newer version of fleetline wrote it, with `Corrupt` where the
/// database is damaged or another program's, with `Unavailable` where another program holds it locked or the disk is
/// full, and with `NotFound` where there is nothing and `read_only` forbids to make it.
pub fn open(folder: &Path, options: &Options, host: &Host) -> PortResult<Local> {
    open_folder(folder, options, host)
        .map_err(|fault| fault.explain(&format!("open the folder {}", folder.display())))
}

fn open_folder(folder: &Path, options: &Options, host: &Host) -> Result<Local, Fault> {
    let store = open_store(folder, options, host)?;
    let folder = store.folder.clone();
    let artifacts = artifacts::Artifacts::new(&folder, options.read_only, host);
    Ok(Local {
        backend: Backend {
            queue: Arc::new(queue::Queues(Arc::clone(&store))),
            artifacts: Arc::new(artifacts),
            runs: Arc::new(runs::Runs(Arc::clone(&store))),
            registry: Arc::new(registry::Models(Arc::clone(&store))),
            fleet: Arc::new(fleet::Presences(Arc::clone(&store))),
            pipelines: Arc::new(pipelines::Named(store)),
            sources: Arc::new(sources::Files::new(&options.source_folders, host)),
        },
        log_folder: folder.join("logs"),
        folder,
    })
}

fn open_store(folder: &Path, options: &Options, host: &Host) -> Result<Arc<Store>, Fault> {
    if !options.read_only {
        for name in ["artifacts", "logs", "tmp", "wake"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
    }
    let folder = std::path::absolute(folder)?;
    let database = Database {
        path: folder.join("fleetline.db"),
        read_only: options.read_only,
        busy_wait: options.busy_wait,
    };
    let connection = database.prepare(&folder)?;
    let wake = Arc::new(Wake::new(folder.join("wake")));
    let clock: Arc<dyn Clock> = Arc::clone(&host.clock);
    Ok(Arc::new(Store {
        readers: Readers::new(database.clone(), connection),
        writer: Writer::new(
            database,
            folder.clone(),
            options.durability,
            Arc::clone(&wake),
            clock,
        ),
        recent: Recent::default(),
        wake,
        host: host.clone(),
        folder,
    }))
}

/// A point in time, or a number, as SQLite's integers hold it; what is larger than they are counts as their largest.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored by [`integer`].
pub(crate) fn number(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}
