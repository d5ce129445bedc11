//! Messages as rows, and the receipts that speak for them.

use pipeline::item::QueueName;
use pipeline::ports::{ErrorKind, PortError, PortResult, Receipt};
use pipeline::time::Timestamp;
use rusqlite::params;

use crate::error::Fault;
use crate::{integer, number};

/// What a receipt's token says: the message, and how many times it had been received then. Both only grow and no id
/// is used twice, so a token speaks for one delivery only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) id: i64,
    pub(crate) receives: i64,
}

impl Token {
    /// Read back.
    pub(crate) fn of(receipt: &Receipt) -> PortResult<Self> {
        let parsed = receipt.token().split_once('-').and_then(|(id, receives)| {
            Some(Self {
                id: id.parse().ok()?,
                receives: receives.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| {
            PortError::new(
                ErrorKind::Invalid,
                format!("receipt {:?} is none of this backend", receipt.token()),
            )
        })
    }
}

/// A message that may be received.
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) body: String,
    pub(crate) receives: u32,
    pub(crate) sent_at: Timestamp,
}

/// The messages that are visible, those first that are so for longest.
pub(crate) fn due(
    db: &rusqlite::Connection,
    queue: &QueueName,
    now: Timestamp,
    max: usize,
) -> Result<Vec<Message>, Fault> {
    // Without a LIMIT that is a parameter: SQLite plans such a statement anew whenever it is given another value.
    let mut select = db.prepare_cached(
        "SELECT id, body, receives, sent_at FROM message
         WHERE queue = ?1 AND state < 2 AND visible_at <= ?2 ORDER BY visible_at",
    )?;
    let rows = select.query_map(params![queue.to_string(), integer(now.0)], |row| {
        Ok(Message {
            id: row.get(0)?,
            body: row.get(1)?,
            receives: row.get(2)?,
            sent_at: Timestamp(number(row.get(3)?)),
        })
    })?;
    Ok(rows.take(max).collect::<Result<_, _>>()?)
}
