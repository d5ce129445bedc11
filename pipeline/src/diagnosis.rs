//! What somebody found who looked whether a backend is as it should be: `producer doctor` shows it.
//!
//! A backend examines itself and says so in these words; no type of an SDK or a database crosses.

use std::time::Duration;

use serde::Serialize;

use crate::ports::Backend;
use crate::time::{self, Timestamp};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not looked at, and why not.
    Skipped,
    /// It works, and may not for long or not for everything.
    Warning,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing: `queue`, `disk`, `permission`.
    pub check: &'static str,
    /// Which one, if there are several of its kind.
    pub of: Option<String>,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen, in one line.
    pub told: String,
    /// What to do, if there is anything.
    pub advice: Option<String>,
    /// How long the answer took, where that says something.
    pub took: Option<Duration>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, told: impl Into<String>) -> Self {
        Self {
            check,
            of: None,
            verdict,
            told: told.into(),
            advice: None,
            took: None,
        }
    }

    /// It is as it should be.
    pub fn ok(check: &'static str, told: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, told)
    }

    /// It was not looked at.
    pub fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skipped, why)
    }

    /// It may trouble somebody; `advice` says what to do.
    pub fn warning(check: &'static str, told: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, told).advising(advice)
    }

    /// It does not work; `advice` says what to do.
    pub fn failed(check: &'static str, told: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, Verdict::Failed, told).advising(advice)
    }

    /// The same of this one among several.
    #[must_use]
    pub fn of(mut self, one: impl Into<String>) -> Self {
        self.of = Some(one.into());
        self
    }

    /// The same with how long the answer took.
    #[must_use]
    pub fn after(mut self, took: Duration) -> Self {
        self.took = Some(took);
        self
    }

    /// The same with what to do.
    #[must_use]
    pub fn advising(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// What a backend found of itself.
#[derive(Default)]
pub struct Examination {
    /// Everything, in the order in which people should read it.
    pub findings: Vec<Finding>,
    /// The backend's own clock beside ours, if it has one of its own and told it.
    pub clock: Option<ClockReading>,
    /// The backend, if it can be spoken to.
    pub backend: Option<Backend>,
}

/// What time a backend said it was, at some moment between two of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// What it said.
    pub server: Timestamp,
    /// Ours before it was asked.
    pub before: Timestamp,
    /// Ours when it had answered.
    pub after: Timestamp,
}

impl ClockReading {
    /// How far apart the clocks may be for a lease of that length: safety never reads a clock, but a skewed one burns other
    /// workers' leases and budgets. Some backends tell their time in whole seconds only.
    pub fn most_skew(lease: Duration) -> Duration {
        (lease / 4).max(Duration::from_secs(1))
    }

    /// How far apart the clocks are at least.
    pub fn skew(&self) -> Duration {
        match self.is_ahead() {
            true => self.before.since(self.server),
            false => self.server.since(self.after),
        }
    }

    fn is_ahead(&self) -> bool {
        self.server < self.before
    }

    /// Why our clock is too far from the backend's for a lease of that length; not what to do about it.
    pub fn complaint(&self, lease: Duration) -> Option<String> {
        let (skew, most) = (self.skew(), Self::most_skew(lease));
        let which = if self.is_ahead() { "ahead of" } else { "behind" };
        // Nobody wants to read of milliseconds in an hour.
        let shown = match skew.as_secs() {
            0..10 => skew,
            _ => Duration::from_secs(time::millis(skew).saturating_add(500) / 1000),
        };
        (skew > most).then(|| {
            format!(
                "this machine's clock is {} {which} the backend's, and at most {} (a quarter of the lease) is taken",
                humantime::format_duration(shown),
                humantime::format_duration(most),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_is_told_from_a_slow_answer() {
        let at = |seconds: u64| Timestamp(seconds * 1000);
        let reading = |server, before, after| ClockReading {
            server: at(server),
            before: at(before),
            after: at(after),
        };
        let lease = Duration::from_secs(28);
        assert_eq!(
            reading(100, 99, 130).complaint(lease),
            None,
            "the answer took long"
        );
        assert_eq!(reading(100, 107, 107).complaint(lease), None, "just within");
        let ahead = reading(100, 3700, 3700).complaint(lease).expect("an hour ahead");
        assert!(ahead.contains("1h ahead of"), "{ahead}");
        let behind = reading(3700, 100, 100).complaint(lease).expect("an hour behind");
        assert!(behind.contains("1h behind"), "{behind}");
    }
}
