//! The one writer of this process: many callers' jobs become one transaction, and one wait for the disk.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pipeline::ports::{Clock, ErrorKind, PortError, PortResult};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use crate::Durability;
use crate::error::Fault;
use crate::lock::TurnLock;
use crate::schema::{Database, Opened};
use crate::wake::{Topic, Wake};

/// The most jobs in one transaction: it bounds how long the other processes wait for their turn.
const GROUP: usize = 1024;

/// How long a caller waits for its answer. The lock between processes has no time limit of its own, and a stopped
/// process may hold it for ever.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How much a job writes. SQLite undoes a failed statement by itself; a job of several needs a savepoint, so that a
/// job that fails leaves no trace in the group's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// One statement at most.
    One,
    /// More than one statement.
    Several,
}

/// What a job works on.
pub(crate) struct Tx<'a> {
    connection: &'a Connection,
    topics: &'a mut Vec<Topic>,
}

impl Tx<'_> {
    /// Who waits for this is woken after the commit.
    pub(crate) fn wake(&mut self, topic: Topic) {
        // Neighbours in a group are often of one queue.
        if self.topics.last() != Some(&topic) {
            self.topics.push(topic);
        }
    }
}

impl std::ops::Deref for Tx<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// A failure of the whole group, from which each caller gets an error of its own.
#[derive(Debug, Clone)]
struct GroupFailure {
    kind: ErrorKind,
    message: String,
}

impl From<PortError> for GroupFailure {
    fn from(error: PortError) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

trait Job: Send {
    /// Does the work; the failure, if there was one, as text.
    fn run(&mut self, connection: &Connection, topics: &mut Vec<Topic>) -> Result<(), GroupFailure>;
    /// Tells the caller what became of it.
    fn answer(self: Box<Self>, group: &Result<(), GroupFailure>);
}

struct Pending<F, T> {
    action: &'static str,
    writes: Writes,
    work: Option<F>,
    result: Option<PortResult<T>>,
    caller: oneshot::Sender<PortResult<T>>,
}

impl<F, T> Job for Pending<F, T>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection, topics: &mut Vec<Topic>) -> Result<(), GroupFailure> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        let woken = topics.len();
        let mut tx = Tx { connection, topics };
        let done = match self.writes {
            Writes::One => work(&mut tx),
            Writes::Several => in_savepoint(&mut tx, work),
        };
        let result = done.map_err(|fault| {
            topics.truncate(woken);
            fault.explain(self.action)
        });
        let failure = result.as_ref().err().map(|error| GroupFailure {
            kind: error.kind(),
            message: error.to_string(),
        });
        self.result = Some(result);
        failure.map_or(Ok(()), Err)
    }

    fn answer(self: Box<Self>, group: &Result<(), GroupFailure>) {
        let answer = match (group, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(failure), _) => Err(PortError::new(failure.kind, failure.message.clone())),
            (Ok(()), None) => Err(stopped()),
        };
        // A caller that has gone away wants no answer.
        let _ = self.caller.send(answer);
    }
}

fn in_savepoint<T>(tx: &mut Tx<'_>, work: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
    let command = |tx: &Tx<'_>, sql| tx.prepare_cached(sql)?.execute([]).map(|_| ());
    command(tx, "SAVEPOINT job")?;
    let done = work(tx);
    // If SQLite gave up the whole transaction, the savepoint is gone too, and the group notices.
    if done.is_err() && !tx.is_autocommit() {
        command(tx, "ROLLBACK TO job")?;
    }
    if !tx.is_autocommit() {
        command(tx, "RELEASE job")?;
    }
    done
}

/// The way to the writer's thread, which starts with the first job.
pub(crate) struct Writer {
    database: Database,
    folder: PathBuf,
    durability: Durability,
    wake: Arc<Wake>,
    clock: Arc<dyn Clock>,
    sender: OnceLock<Sender<Box<dyn Job>>>,
    starting: Mutex<()>,
}

impl Writer {
    pub(crate) fn new(
        database: Database,
        folder: PathBuf,
        durability: Durability,
        wake: Arc<Wake>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            database,
            folder,
            durability,
            wake,
            clock,
            sender: OnceLock::new(),
            starting: Mutex::new(()),
        }
    }

    /// Runs `work` in a transaction that it shares with other jobs, and answers once it is on disk. A failure of
    /// `work` undoes what it did, and nothing else.
    pub(crate) async fn run<T, F>(&self, action: &'static str, writes: Writes, work: F) -> PortResult<T>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Pending {
            action,
            writes,
            work: Some(work),
            result: None,
            caller,
        });
        self.sender(action)?.send(job).map_err(|_| stopped())?;
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or_else(|_| Err(stopped())),
            () = self.clock.sleep(ANSWER_WITHIN) => Err(PortError::new(
                ErrorKind::Unavailable,
                format!(
                    "cannot {action}: there was no turn to write within {} s; perhaps a process that holds {} is \
                     stopped: end it, or let it go on",
                    ANSWER_WITHIN.as_secs(),
                    self.folder.join("writer.lock").display(),
                ),
            )),
        }
    }

    /// `Denied` if the folder was opened for reading only.
    pub(crate) fn may_write(&self, action: &str) -> PortResult<()> {
        if self.database.read_only {
            return Err(PortError::new(
                ErrorKind::Denied,
                format!("cannot {action}: the folder was opened for reading only"),
            ));
        }
        Ok(())
    }

    fn sender(&self, action: &str) -> PortResult<&Sender<Box<dyn Job>>> {
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        self.may_write(action)?;
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let (sender, jobs) = channel();
        let mut thread = Thread {
            database: self.database.clone(),
            folder: self.folder.clone(),
            durability: self.durability,
            opened: None,
        };
        let wake = Arc::clone(&self.wake);
        std::thread::Builder::new()
            .name("fleetline-writer".into())
            .spawn(move || thread.serve(&jobs, &wake))
            .map_err(|e| Fault::Io(e).explain("start the writer's thread"))?;
        Ok(self.sender.get_or_init(|| sender))
    }
}

fn stopped() -> PortError {
    PortError::new(
        ErrorKind::Unavailable,
        "the writer of this folder has stopped, which is a mistake of this program: restart it, and please report it",
    )
}

struct Thread {
    database: Database,
    folder: PathBuf,
    durability: Durability,
    /// Opened by the first group, and again after a group failed.
    opened: Option<(Opened, TurnLock)>,
}

impl Thread {
    fn serve(&mut self, jobs: &Receiver<Box<dyn Job>>, wake: &Wake) {
        let mut topics = Vec::new();
        while let Ok(first) = jobs.recv() {
            topics.clear();
            self.serve_group(&mut vec![first], jobs, &mut topics);
            wake.tell(&mut topics);
        }
    }

    /// Commits a group and answers it; who is to be woken is in `topics`.
    fn serve_group(
        &mut self,
        group: &mut Vec<Box<dyn Job>>,
        jobs: &Receiver<Box<dyn Job>>,
        topics: &mut Vec<Topic>,
    ) {
        let done = self
            .commit(group, jobs, topics)
            .map_err(|fault| GroupFailure::from(fault.explain("write to the database")));
        if done.is_err() {
            topics.clear();
            self.opened = None;
        }
        for job in group.drain(..) {
            job.answer(&done);
        }
    }

    /// Runs `group`, and what comes in while it runs, in one transaction.
    fn commit(
        &mut self,
        group: &mut Vec<Box<dyn Job>>,
        jobs: &Receiver<Box<dyn Job>>,
        topics: &mut Vec<Topic>,
    ) -> Result<(), Fault> {
        if self.opened.is_none() {
            self.opened = Some((self.connect()?, TurnLock::open(&self.folder)?));
        }
        let Some((opened, lock)) = &self.opened else {
            return Ok(());
        };
        // Before the transaction, so that it is unlocked after the transaction has ended, however it ends.
        let _turn = lock.lock()?;
        let connection = opened.checked()?;
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
            if at == group.len() && at < GROUP {
                group.extend(jobs.try_recv());
            }
        }
        Ok(transaction.commit()?)
    }

    fn connect(&self) -> Result<Opened, Fault> {
        let opened = self.database.connect()?;
        let connection = &opened.connection;
        let synchronous = match self.durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        // Savepoints keep what they may have to undo.
        connection.pragma_update(None, "temp_store", "memory")?;
        Ok(opened)
    }
}

#[cfg(test)]
mod tests;
