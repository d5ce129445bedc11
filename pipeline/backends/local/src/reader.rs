//! Reading past the writer.

use std::sync::{Mutex, PoisonError};

use pipeline::ports::PortResult;
use rusqlite::Connection;

use crate::error::Fault;
use crate::schema::{Database, Opened};

/// Connections for reading, as many as threads have read at the same time.
///
/// Reads run where they are called, on a thread of the runtime: with a write-ahead log nobody makes them wait, and at
/// about 20 µs they cost less than handing them to another thread would.
pub(crate) struct Readers {
    database: Database,
    idle: Mutex<Vec<Opened>>,
}

impl Readers {
    pub(crate) fn new(database: Database, first: Opened) -> Self {
        Self {
            database,
            idle: Mutex::new(vec![first]),
        }
    }

    /// Runs `read` on what is committed now.
    pub(crate) fn read<T>(
        &self,
        action: &str,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> PortResult<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let answer = idle
            .map_or_else(|| self.database.connect(), Ok)
            .and_then(|opened| Ok((read(opened.checked()?)?, opened)));
        match answer {
            Ok((answer, opened)) => {
                self.idle
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(opened);
                Ok(answer)
            }
            // A connection that failed is not used again: the next one finds out anew how things are.
            Err(fault) => Err(fault.explain(action)),
        }
    }
}
