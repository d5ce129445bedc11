//! The log of everything that was done and said, a line of JSON for each, in the order in which it was heard of.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// It was begun.
    Invoked,
    /// It was done.
    Ok,
    /// It was not done.
    Failed,
    /// It was done or not: nobody knows.
    Unknown,
    /// A worker said it.
    Told,
}

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Microseconds since the beginning.
    pub(crate) at_us: u64,
    /// Who: `driver`, `observer`, `nemesis`, or a worker's name.
    pub(crate) who: String,
    /// What it did.
    pub(crate) op: String,
    /// To what.
    pub(crate) target: String,
    /// What became of it.
    pub(crate) is: Phase,
    /// What else is known.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) detail: Value,
}

/// A log that is being written.
pub(crate) struct History {
    start: Instant,
    file: Mutex<BufWriter<File>>,
    path: PathBuf,
}

impl History {
    /// A new one.
    pub(crate) fn create(path: &Path) -> Self {
        let file = File::create(path).unwrap_or_else(|e| panic!("cannot make {}: {e}", path.display()));
        Self {
            start: Instant::now(),
            file: Mutex::new(BufWriter::new(file)),
            path: path.to_owned(),
        }
    }

    /// One that is there, to be judged again. What is told then comes after it.
    pub(crate) fn open(path: &Path) -> Self {
        let file = File::options().append(true).open(path);
        let file = file.unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()));
        Self {
            start: Instant::now(),
            file: Mutex::new(BufWriter::new(file)),
            path: path.to_owned(),
        }
    }

    /// Adds a line.
    pub(crate) fn record(&self, who: &str, op: &str, target: &str, is: Phase, detail: Value) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that lines are in the order of their times.
        let entry = Entry {
            at_us: u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
            who: who.to_owned(),
            op: op.to_owned(),
            target: target.to_owned(),
            is,
            detail,
        };
        let line = serde_json::to_string(&entry).expect("it serialises");
        writeln!(file, "{line}").unwrap_or_else(|e| panic!("cannot write {}: {e}", self.path.display()));
    }

    /// Everything so far, from the file.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush()
            .unwrap_or_else(|e| panic!("cannot write {}: {e}", self.path.display()));
        let file = File::open(&self.path).expect("it was made");
        BufReader::new(file).lines().map(|line| {
            let line = line.expect("what was written can be read");
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
