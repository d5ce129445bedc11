//! What is measured of an attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::item::{BranchItem, RunItem, StepItem, StepState};

/// What was measured of the attempt that committed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Wall time of the stage's own work, without waiting, fetching and publishing.
    pub duration_ms: u64,
    /// Largest resident memory of the child process; none where the stage ran in the pool's own process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// True if the result came from the cache.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cached: bool,
    /// Processor time of the child process, of user and system; none where the stage ran in the pool's own process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// What the cache said; none for a stage whose results are never cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheNote>,
    /// What it asked of services that are paid by the request; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
}

/// Requests by what they cost. What is counted of an attempt is said in [`Requests::of_run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requests {
    /// Of queues.
    #[serde(skip_serializing_if = "is_zero")]
    pub queue: u32,
    /// That read items.
    #[serde(skip_serializing_if = "is_zero")]
    pub table_reads: u32,
    /// That write items.
    #[serde(skip_serializing_if = "is_zero")]
    pub table_writes: u32,
    /// That read objects, or ask about one.
    #[serde(skip_serializing_if = "is_zero")]
    pub store_reads: u32,
    /// That write objects, or list them.
    #[serde(skip_serializing_if = "is_zero")]
    pub store_writes: u32,
}

/// What a request is paid as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Of a queue.
    Queue,
    /// Reads items.
    TableRead,
    /// Writes items.
    TableWrite,
    /// Reads an object, or asks about one.
    StoreRead,
    /// Writes an object, or lists them.
    StoreWrite,
}

impl Requests {
    /// One more.
    pub fn count(&mut self, kind: RequestKind) {
        let counter = match kind {
            RequestKind::Queue => &mut self.queue,
            RequestKind::TableRead => &mut self.table_reads,
            RequestKind::TableWrite => &mut self.table_writes,
            RequestKind::StoreRead => &mut self.store_reads,
            RequestKind::StoreWrite => &mut self.store_writes,
        };
        *counter = counter.saturating_add(1);
    }

    /// Both together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            queue: self.queue.saturating_add(more.queue),
            table_reads: self.table_reads.saturating_add(more.table_reads),
            table_writes: self.table_writes.saturating_add(more.table_writes),
            store_reads: self.store_reads.saturating_add(more.store_reads),
            store_writes: self.store_writes.saturating_add(more.store_writes),
        }
    }

    /// The requests of a run, as far as its steps and branches tell them; none if none does, as on one machine.
    ///
    /// Counted are the attempts that committed, from their claim to their commit, renewals and repeated requests included. Of
    /// what belongs to a delivery and cannot be counted before the commit is written, each is taken as one request, as with
    /// one run in flight: the receive, the commit, the messages that follow, the acknowledgement, what the cache keeps, and
    /// what closes a fan-out. Not counted are receives that found nothing, attempts that failed, the submission, and what
    /// processes ask whether there is work or not.
    pub fn of_run(run: &RunItem, branches: &[BranchItem]) -> Option<Self> {
        let is_closed = |step: &&StepItem| step.is_fanned() && step.state == StepState::Committed;
        let works = run
            .steps
            .values()
            .chain(branches.iter().map(|branch| &branch.work));
        let told = works.filter_map(|work| work.measured.as_ref()?.requests);
        let counted = told.reduce(Self::and)?;
        let closed = run
            .steps
            .values()
            .filter(is_closed)
            .fold(Self::default(), |sum, _| {
                sum.and(Self {
                    queue: 1,
                    table_writes: 1,
                    ..Self::default()
                })
            });
        Some(counted.and(closed))
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Whether a result was taken from the cache, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheNote {
    /// It was.
    Hit,
    /// It was not there.
    Miss {
        /// What differs from the latest result of this step: `params`, `source:flights`, `input:extract`, …; nothing
        /// if there is no earlier result. At most [`CacheNote::MAX_DIFFERS`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        differs: Vec<String>,
    },
    /// Nobody looked, as the specification asks for a fresh result, or the cache did not answer.
    Off,
}

impl CacheNote {
    /// The most differences that are kept: it bounds the item's size.
    pub const MAX_DIFFERS: usize = 4;

    /// The part under which a result is compared whose artifacts are gone or damaged.
    pub const ARTIFACTS: &'static str = "artifacts";
}

/// For people, after the word "cache".
impl fmt::Display for CacheNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differs = match self {
            Self::Hit => return f.write_str("hit"),
            Self::Off => return f.write_str("not used"),
            Self::Miss { differs } => differs,
        };
        let in_words = |part: &String| match part.split_once(':') {
            Some((kind, name)) => format!("{kind} {name} changed"),
            None if part == Self::ARTIFACTS => "the cached artifacts are gone or damaged".to_owned(),
            None => format!("{part} changed"),
        };
        match differs.is_empty() {
            true => f.write_str("first run"),
            false => write!(
                f,
                "miss: {}",
                differs.iter().map(in_words).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_false(b: &bool) -> bool {
    !*b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_before_requests_were_counted_reads_back() {
        let old = r#"{"duration_ms":5,"cached":true}"#;
        let read: Measured = serde_json::from_str(old).expect("reads");
        assert_eq!(read.requests, None);
        assert_eq!(serde_json::to_string(&read).expect("serialises"), old);
        let mut requests = Requests::default();
        for kind in [RequestKind::Queue, RequestKind::StoreRead, RequestKind::Queue] {
            requests.count(kind);
        }
        let new = Measured {
            requests: Some(requests),
            ..read
        };
        let text = serde_json::to_string(&new).expect("serialises");
        assert!(
            text.ends_with(r#""requests":{"queue":2,"store_reads":1}}"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Measured>(&text).expect("reads back"), new);
    }

    #[test]
    fn notes_say_what_changed() {
        let miss = |differs: &[&str]| CacheNote::Miss {
            differs: differs.iter().map(ToString::to_string).collect(),
        };
        for (note, text) in [
            (CacheNote::Hit, "hit"),
            (CacheNote::Off, "not used"),
            (miss(&[]), "first run"),
            (miss(&["params"]), "miss: params changed"),
            (
                miss(&["code", "source:flights"]),
                "miss: code changed, source flights changed",
            ),
            (
                miss(&[CacheNote::ARTIFACTS]),
                "miss: the cached artifacts are gone or damaged",
            ),
        ] {
            assert_eq!(note.to_string(), text);
            let json = serde_json::to_string(&note).expect("serialises");
            assert_eq!(
                serde_json::from_str::<CacheNote>(&json).expect("reads back"),
                note
            );
        }
    }
}
