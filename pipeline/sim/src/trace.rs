//! What happened in a simulation: always as a hash, which two simulations of one seed share, and as text where somebody
//! wants to read it.

use std::time::Duration;

use crate::executor::ProcessId;
use crate::random::mixed;

/// The most lines that are kept: a simulation that never ends must not take all memory.
const MOST_LINES: usize = 2_000_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Keeps the hash only.
    pub fn hashing() -> Self {
        Self::default()
    }

    /// Keeps the text, too.
    pub fn recording() -> Self {
        Self {
            hash: 0,
            lines: Some(Vec::new()),
        }
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines, if they are kept.
    pub fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }

    fn add(&mut self, word: u64) {
        self.hash = mixed(self.hash.rotate_left(5) ^ word);
    }

    /// A task went on.
    pub(crate) fn polled(&mut self, task: u64, now: Duration) {
        self.add(task ^ (pipeline::time::millis(now) << 20));
    }

    /// A process did something.
    pub fn event(&mut self, now: Duration, process: ProcessId, text: &str) {
        self.add(u64::try_from(process.0).unwrap_or(u64::MAX));
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
        if let Some(lines) = &mut self.lines
            && lines.len() < MOST_LINES
        {
            let seconds = now.as_secs_f64();
            lines.push(format!("{seconds:>11.3}  p{:<3} {text}", process.0));
        }
    }
}
