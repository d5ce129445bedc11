//! The lock by which processes take turns at writing.

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::error::Fault;

/// An exclusive lock between processes (and between handles in one process), in turns.
///
/// The kernel wakes whoever waits, where SQLite's own waiting is a sleep that grows: two busy writers starved each
/// other for hundreds of milliseconds. One lock alone would not do: who has just let go of it is running and takes it
/// again before the one that waits has woken. So there is a second one for the place at the head of the line: who
/// waits for the lock stands there, and who comes back from it queues up behind.
#[derive(Debug)]
pub(crate) struct TurnLock {
    turn: File,
    writer: File,
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a File);

impl TurnLock {
    /// The lock of this folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, Fault> {
        let open = |name: &str| {
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join(name))
        };
        Ok(Self {
            turn: open("turn.lock")?,
            writer: open("writer.lock")?,
        })
    }

    /// Waits for our turn.
    pub(crate) fn lock(&self) -> Result<Turn<'_>, Fault> {
        self.turn.lock()?;
        let locked = self.writer.lock();
        self.turn.unlock()?;
        locked?;
        Ok(Turn(&self.writer))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // It can only fail for a file that is not open; closing it, at the latest, unlocks it.
        let _ = self.0.unlock();
    }
}
