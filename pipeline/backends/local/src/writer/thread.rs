//! The writer's thread: it puts jobs into groups, commits them, and sees to it that they get to the disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use pipeline::ports::PortError;
use rusqlite::{Transaction, TransactionBehavior};

use crate::Durability;
use crate::error::Fault;
use crate::lock::TurnLock;
use crate::schema::{Database, Opened};
use crate::wake::Topic;
use crate::writer::checkpoint::Checkpoints;
use crate::writer::{GroupFailure, Job, OnDisk};

/// The most jobs in one transaction: it bounds how long the other processes wait for their turn.
const GROUP: usize = 1024;

/// How long the disk is not waited for after a transaction that need not be on disk before it is seen, if somebody
/// waits for it to be there: what comes in meanwhile mostly has to be on disk too, and then they share one wait. A
/// message's receiver claims its work well within this time.
const LINGER: Duration = Duration::from_micros(500);

/// After how many such transactions the disk is waited for in any case.
pub(super) const MOST_UNSYNCED: u32 = 4;

/// From this many jobs on, a group came under load. The next one then begins after whoever can run has run, if all
/// processors are busy: what they ask for meanwhile goes into the same transaction, and a few large ones cost much less
/// than many small ones. Where there is a processor to spare, it begins at once.
const BUSY: usize = 4;

/// The thread's state.
pub(super) struct Thread {
    pub(super) database: Database,
    folder: PathBuf,
    pub(super) durability: Durability,
    /// Opened by the first group, and again after a group failed.
    pub(super) opened: Option<Connected>,
    checkpoints: Checkpoints,
    /// How many jobs the last group had.
    last_group: usize,
    /// What was taken from the channel and belongs into the next group.
    next: Option<Box<dyn Job>>,
    /// Jobs that were committed, and are answered once that is on disk.
    unsynced: Vec<Box<dyn Job>>,
    /// How many groups were committed since the first of them.
    unsynced_groups: u32,
}

/// What the writer writes with.
pub(super) struct Connected {
    pub(super) opened: Opened,
    pub(super) lock: TurnLock,
    /// What SQLite is told of waiting for the disk.
    synchronous: Synchronous,
    /// How many pages the log had after the last transaction that wrote any; 0 once that was read.
    log_pages: Arc<AtomicU32>,
}

/// Whether a commit is on disk before it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synchronous {
    Full,
    Normal,
}

/// How a group was committed.
struct Committed {
    synchronous: Synchronous,
    /// How many pages the log has now; 0 if the group wrote nothing.
    log_pages: u32,
}

impl Thread {
    pub(super) fn new(database: Database, folder: PathBuf, durability: Durability) -> Self {
        Self {
            checkpoints: Checkpoints::new(database.clone()),
            database,
            folder,
            durability,
            opened: None,
            last_group: 0,
            next: None,
            unsynced: Vec::new(),
            unsynced_groups: 0,
        }
    }

    /// Serves jobs until there can be no more of them, and has `tell` wake who waits for what they did.
    pub(super) fn serve(&mut self, jobs: &Receiver<Box<dyn Job>>, mut tell: impl FnMut(&mut Vec<Topic>)) {
        let mut topics = Vec::new();
        while let Some(first) = self.next_job(jobs) {
            topics.clear();
            self.serve_group(first, jobs, &mut topics);
            tell(&mut topics);
            if self.unsynced_groups >= MOST_UNSYNCED {
                self.sync();
            }
        }
    }

    /// Waits for a job. Meanwhile what is to be on disk gets there.
    pub(super) fn next_job(&mut self, jobs: &Receiver<Box<dyn Job>>) -> Option<Box<dyn Job>> {
        if let Some(job) = self.next.take() {
            return Some(job);
        }
        if !self.unsynced.is_empty() {
            match jobs.recv_timeout(LINGER) {
                Ok(job) => return Some(job),
                Err(_) => self.sync(),
            }
        }
        jobs.recv().ok()
    }

    /// Commits a group and answers it; who is to be woken is in `topics`.
    pub(super) fn serve_group(
        &mut self,
        first: Box<dyn Job>,
        jobs: &Receiver<Box<dyn Job>>,
        topics: &mut Vec<Topic>,
    ) {
        if self.last_group >= BUSY {
            std::thread::yield_now();
        }
        let mut group = vec![first];
        let committed = self.commit(&mut group, jobs, topics);
        let (done, committed) = match committed {
            Ok(committed) => (Ok(()), Some(committed)),
            Err(fault) => {
                topics.clear();
                // Closing the connection could remove the log.
                self.sync();
                self.opened = None;
                let failure = GroupFailure::from(fault.explain("write to the database"));
                (Err(failure), None)
            }
        };
        self.last_group = group.len();
        let is_on_disk = committed
            .as_ref()
            .is_none_or(|c| c.synchronous == Synchronous::Full);
        let is_written = committed.as_ref().is_some_and(|c| c.log_pages > 0);
        let is_unsynced = is_written && !is_on_disk && self.durability == Durability::Full;
        if is_written && is_on_disk {
            // The wait for this group's end of the log was one for all that is before it, too.
            self.answer_unsynced(&Ok(()));
        }
        for job in group {
            if is_unsynced && job.on_disk() != OnDisk::Later {
                self.unsynced.push(job);
            } else {
                job.answer(&done);
            }
        }
        if !self.unsynced.is_empty() {
            self.unsynced_groups += 1;
        }
        if let (Some(committed), Some(connected)) = (committed, &self.opened) {
            self.checkpoints.written(committed.log_pages, connected);
        }
    }

    /// Waits until everything that was committed is on disk, and answers who waits for that.
    pub(super) fn sync(&mut self) {
        let Some(connected) = self.opened.as_ref().filter(|_| !self.unsynced.is_empty()) else {
            return;
        };
        let synced = connected
            .sync()
            .map_err(|e| GroupFailure::from(Fault::Io(e).explain("write to the database")));
        self.answer_unsynced(&synced);
    }

    fn answer_unsynced(&mut self, synced: &Result<(), GroupFailure>) {
        for job in self.unsynced.drain(..) {
            job.answer(synced);
        }
        self.unsynced_groups = 0;
    }

    /// Runs `group`, and what comes in while it runs, in one transaction.
    fn commit(
        &mut self,
        group: &mut Vec<Box<dyn Job>>,
        jobs: &Receiver<Box<dyn Job>>,
        topics: &mut Vec<Topic>,
    ) -> Result<Committed, Fault> {
        let connected = match &mut self.opened {
            Some(connected) => connected,
            closed @ None => closed.insert(Connected::new(&self.database, &self.folder)?),
        };
        // Before the transaction, so that it is unlocked after the transaction has ended, however it ends.
        let _turn = connected.lock.lock()?;
        let connection = connected.opened.checked()?;
        let is_first = |job: &dyn Job| job.on_disk() == OnDisk::BeforeSeen;
        let mut is_full = group.iter().any(|job| is_first(&**job));
        // It cannot be changed within a transaction, so what waits already has a say in it.
        while !is_full && group.len() < GROUP {
            let Ok(job) = jobs.try_recv() else { break };
            is_full = is_first(&*job);
            group.push(job);
        }
        let synchronous = match self.durability {
            Durability::Full if is_full => Synchronous::Full,
            Durability::Full | Durability::Normal => Synchronous::Normal,
        };
        if synchronous != connected.synchronous {
            connection.pragma_update(None, "synchronous", synchronous.as_str())?;
            connected.synchronous = synchronous;
        }
        let takes_all = is_full || self.durability == Durability::Normal;
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        let mut at = 0;
        while let Some(job) = group.get_mut(at) {
            if let Err(failure) = job.run(connection, topics) {
                // On a full disk and the like SQLite gives up the whole transaction.
                if connection.is_autocommit() {
                    return Err(Fault::Port(PortError::new(failure.kind, failure.message)));
                }
            }
            at += 1;
            if at == group.len() && at < GROUP && self.next.is_none() {
                match jobs.try_recv() {
                    Ok(job) if takes_all || !is_first(&*job) => group.push(job),
                    Ok(job) => self.next = Some(job),
                    Err(_) => {}
                }
            }
        }
        transaction.commit()?;
        Ok(Committed {
            synchronous,
            log_pages: connected.log_pages.swap(0, Ordering::Relaxed),
        })
    }
}

impl Connected {
    pub(super) fn new(database: &Database, folder: &Path) -> Result<Self, Fault> {
        let mut opened = database.connect()?;
        let connection = &mut opened.connection;
        let synchronous = Synchronous::Full;
        connection.pragma_update(None, "synchronous", synchronous.as_str())?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        // Savepoints keep what they may have to undo.
        connection.pragma_update(None, "temp_store", "memory")?;
        // In the place of SQLite's own checkpoints, which make whoever comes upon one wait for all of it.
        let log_pages = Arc::new(AtomicU32::new(0));
        let pages = Arc::clone(&log_pages);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, n| {
            pages.store(u32::try_from(n).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            opened,
            lock: TurnLock::open(folder)?,
            synchronous,
            log_pages,
        })
    }

    /// Waits until the log is on disk, as it is now.
    fn sync(&self) -> std::io::Result<()> {
        // Not kept open: it is removed and made again when nobody has the database open. (Closing a database's own
        // file would give up SQLite's locks on it; the log has none.)
        File::options().write(true).open(self.opened.log())?.sync_data()
    }
}

impl Synchronous {
    /// As SQLite is told.
    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}
