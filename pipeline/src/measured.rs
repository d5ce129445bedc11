//! What is measured of an attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

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
