//! Checkpoints: bringing what the write-ahead log has into the database itself, so that the log can begin anew.
//!
//! SQLite would do it in the commit that makes the log too long, whose callers then wait for some thousand pages to be
//! written and for the disk twice. Here a thread of its own does it beside the writer, and the writer itself only the
//! rest, and only if the log never gets to an end otherwise: while others write without a pause, there is always
//! something in it that the checkpoint has not seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use crate::error::Fault;
use crate::schema::{Database, Opened};
use crate::writer::thread::Connected;

/// From this many pages on the log is too long; a page has 4 KiB.
const LONG_PAGES: u32 = 4_000;

/// After how many further pages there is another try.
const AGAIN_PAGES: u32 = 1_000;

/// From this many pages on the writer helps.
const TOO_LONG_PAGES: u32 = 2 * LONG_PAGES;

/// How often the thread begins anew with what was written meanwhile, so that little is left for the writer.
const PASSES: u32 = 2;

/// The writer's side of the checkpoints.
pub(super) struct Checkpoints {
    database: Database,
    /// To the thread, which starts when it has something to do for the first time.
    thread: Option<SyncSender<()>>,
    /// At how many pages it was asked last.
    asked_at: u32,
    /// The thread has something to do, or does it. Only one of us can be at it.
    is_working: Arc<AtomicBool>,
}

impl Checkpoints {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            thread: None,
            asked_at: 0,
            is_working: Arc::default(),
        }
    }

    /// The log has that many pages now; none if nothing was written.
    pub(super) fn written(&mut self, log_pages: u32, writer: &Connected) {
        if log_pages < LONG_PAGES {
            // It began anew.
            self.asked_at = 0;
            return;
        }
        if self.is_working.load(Ordering::Acquire) {
            return;
        }
        if log_pages >= TOO_LONG_PAGES && self.asked_at > 0 {
            // The thread has done its part. Nobody writes during our turn, so this gets to the end. If it fails, such as
            // for another process' thread that is at it, the next write is another occasion.
            if let Ok(_turn) = writer.lock.lock() {
                let _ = pass(&writer.opened.connection);
            }
        }
        if self.asked_at == 0 || log_pages >= self.asked_at.saturating_add(AGAIN_PAGES) {
            self.asked_at = log_pages;
            self.ask();
        }
    }

    fn ask(&mut self) {
        let thread = match &mut self.thread {
            Some(thread) => thread,
            none => match start(self.database.clone(), Arc::clone(&self.is_working)) {
                Ok(thread) => none.insert(thread),
                // The log grows until there is a thread, or until nobody uses the folder any more.
                Err(_) => return,
            },
        };
        self.is_working.store(true, Ordering::Release);
        if thread.try_send(()).is_err() {
            self.is_working.store(false, Ordering::Release);
            self.thread = None;
        }
    }
}

/// Says that the thread has nothing to do, also if it dies.
struct Idle<'a>(&'a AtomicBool);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn start(database: Database, is_working: Arc<AtomicBool>) -> std::io::Result<SyncSender<()>> {
    let (sender, asked) = sync_channel(1);
    std::thread::Builder::new()
        .name("fleetline-log".into())
        .spawn(move || serve(&database, &asked, &is_working))?;
    Ok(sender)
}

fn serve(database: &Database, asked: &Receiver<()>, is_working: &AtomicBool) {
    let mut kept: Option<Opened> = None;
    while asked.recv().is_ok() {
        let _idle = Idle(is_working);
        let passed = connection(database, &mut kept).and_then(|connection| {
            (0..PASSES).try_for_each(|_| pass(connection))?;
            Ok(())
        });
        // The writer sees to the rest, and tells of what is wrong when it comes upon it.
        if passed.is_err() {
            kept = None;
        }
    }
}

fn connection<'a>(database: &Database, kept: &'a mut Option<Opened>) -> Result<&'a Connection, Fault> {
    let opened = match kept {
        Some(opened) => opened,
        none => none.insert(database.connect()?),
    };
    opened.checked()
}

/// Brings into the database what can be brought there without waiting for anybody. Both are on disk before the log
/// begins anew: that is what `synchronous` means even at its default.
fn pass(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
        .query_row([], |_| Ok(()))
}
