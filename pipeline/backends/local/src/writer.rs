//! The one writer of this process: many callers' jobs become one transaction, and one wait for the disk.
//!
//! Not every job has to wait for the disk: see [`OnDisk`]. The write-ahead log is on disk up to some point and what
//! comes after it is lost with the power, so whatever is on disk, everything that was committed before it is too.

mod checkpoint;
mod thread;

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pipeline::ports::{Clock, ErrorKind, PortError, PortResult};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::Durability;
use crate::error::Fault;
use crate::schema::Database;
use crate::wake::{Topic, Wake};
use crate::writer::thread::Thread;

/// How long a caller waits for its answer. The lock between processes has no time limit of its own, and a stopped
/// process may hold it for ever.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// When what a job writes is on disk, if the folder's durability is [`Durability::Full`]. In no case is it lost by the
/// death of every process, and in every case it is lost with all that was committed after it or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDisk {
    /// Before anybody can see it. For whatever others act upon outside the database, items before all: an artifact's
    /// key has the attempt in it, and a run that was seen to have ended must not be open again.
    BeforeSeen,
    /// Before the caller has its answer; others may see it sooner. For messages: a hint that was followed and then
    /// lost does no harm, but one that was believed to be sent and is lost delays its run until the sweeper looks.
    BeforeAnswered,
    /// At some time. For what is only repeated if it is lost: the delivery of a message, and its acknowledgement.
    Later,
}

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
    /// When it is to be on disk.
    fn on_disk(&self) -> OnDisk;
}

struct Pending<F, T> {
    action: &'static str,
    on_disk: OnDisk,
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

    fn on_disk(&self) -> OnDisk {
        self.on_disk
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
    /// The thread, once there is one.
    thread: Mutex<Option<JoinHandle<()>>>,
    /// What was asked for, so that a test sees who asks for what.
    #[cfg(test)]
    pub(crate) asked: Mutex<Vec<(&'static str, OnDisk)>>,
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
            thread: Mutex::default(),
            #[cfg(test)]
            asked: Mutex::default(),
        }
    }

    /// Runs `work` in a transaction that it shares with other jobs. It is on disk before anybody sees it. A failure of
    /// `work` undoes what it did, and nothing else.
    pub(crate) async fn run<T, F>(&self, action: &'static str, writes: Writes, work: F) -> PortResult<T>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        self.run_with(OnDisk::BeforeSeen, action, writes, work).await
    }

    /// The same, on disk when `on_disk` says.
    pub(crate) async fn run_with<T, F>(
        &self,
        on_disk: OnDisk,
        action: &'static str,
        writes: Writes,
        work: F,
    ) -> PortResult<T>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        #[cfg(test)]
        self.asked.lock().expect("not poisoned").push((action, on_disk));
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Pending {
            action,
            on_disk,
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
        let mut running = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let (sender, jobs) = channel();
        let mut thread = Thread::new(self.database.clone(), self.folder.clone(), self.durability);
        let wake = Arc::clone(&self.wake);
        let handle = std::thread::Builder::new()
            .name("fleetline-writer".into())
            .spawn(move || thread.serve(&jobs, |topics| wake.tell(topics)))
            .map_err(|e| Fault::Io(e).explain("start the writer's thread"))?;
        *running = Some(handle);
        Ok(self.sender.get_or_init(|| sender))
    }
}

/// Waits until the thread has closed the database: a process that ends in the middle of that leaves a log without its
/// index behind, which nobody can read on a disk that is read-only.
impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.sender.take());
        let running = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The last one to hold the writer may be a job of its own thread.
        if let Some(thread) = running.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic in there was told to whoever waited for an answer.
            let _ = thread.join();
        }
    }
}

fn stopped() -> PortError {
    PortError::new(
        ErrorKind::Unavailable,
        "the writer of this folder has stopped, which is a mistake of this program: restart it, and please report it",
    )
}

#[cfg(test)]
mod tests;
