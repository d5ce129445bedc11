//! What goes wrong in attempts, and how much of it a step may spend.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The longest reason or error message that an item keeps, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1024;

/// What failures a step may spend, or has spent, by class.
///
/// A claim charges `crash`; every outcome that a worker lives to record gives the crash back and charges its own
/// class. So a death that nobody could record is charged too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Budget {
    /// Deaths of the worker or its child without a known cause.
    pub crash: u32,
    /// Failures that may pass by themselves.
    pub transient: u32,
    /// Deaths of memory.
    pub memory: u32,
}

impl Budget {
    /// What a step may spend unless its specification says otherwise.
    pub const DEFAULT_MAX: Self = Self {
        crash: 3,
        transient: 8,
        memory: 3,
    };
}

/// The class of what went wrong in an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultClass {
    /// May pass by itself: retried with backoff.
    Transient,
    /// Will not pass: the run fails, or the branch does.
    Permanent,
    /// The attempt needed more memory than its class has.
    Memory,
    /// The process died and nobody knows why.
    Crash,
    /// Our own doing: drain, or a lost lease. Charges nothing.
    Interrupted,
}

impl FaultClass {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Memory => "memory",
            Self::Crash => "crash",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What went wrong last in a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fault {
    /// Its class.
    pub class: FaultClass,
    /// For people; at most [`MAX_MESSAGE_BYTES`], without cell values.
    pub message: String,
    /// In which attempt.
    pub attempt: u32,
    /// When it was recorded.
    pub at: Timestamp,
}

impl Fault {
    /// A fault with its message cut to what an item keeps.
    pub fn new(class: FaultClass, message: impl Into<String>, attempt: u32, at: Timestamp) -> Self {
        Self {
            class,
            message: clip(message.into()),
            attempt,
            at,
        }
    }
}

/// `message` cut to [`MAX_MESSAGE_BYTES`] at a character's end, with a mark that it was cut.
pub fn clip(message: String) -> String {
    clip_to(message, MAX_MESSAGE_BYTES)
}

/// Cuts a text to at most so many bytes, with an ellipsis where it was cut.
pub fn clip_to(mut message: String, most_bytes: usize) -> String {
    if message.len() > most_bytes {
        let mut end = most_bytes.saturating_sub('…'.len_utf8());
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let cut = clip("ä".repeat(2000));
        assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.ends_with('…'));
        assert_eq!(clip("short".into()), "short");
    }
}
