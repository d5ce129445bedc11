//! How a component scales on AWS, simulated: arrivals and durations go through the policy that its service is deployed
//! with, and waits, task-hours and dollars come out.
//!
//! [`trace`] makes what arrives, [`policy`] is what Application Auto Scaling and CloudWatch do, [`engine`] plays both
//! against each other on [`fleet`], [`summary`] says what came of it, [`search`] looks for cheaper settings, [`chart`]
//! and [`picture`] draw. Nothing here knows a backend, reads a clock or the environment: equal seeds give equal results.

pub mod arrivals;
pub mod chart;
pub mod durations;
pub mod engine;
pub mod fleet;
pub mod observed;
pub mod picture;
pub mod policy;
pub mod search;
pub mod summary;
pub mod trace;

#[cfg(test)]
mod tests;

use std::time::Duration;

/// A point in simulated time, or a span of it, in whole microseconds: sums of them are exact.
pub type Micros = u64;

/// One second.
pub const SECOND: Micros = 1_000_000;
/// One minute.
pub const MINUTE: Micros = 60 * SECOND;
/// One hour.
pub const HOUR: Micros = 60 * MINUTE;
/// One day.
pub const DAY: Micros = 24 * HOUR;

/// `duration` in whole microseconds, saturating.
pub fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// `span` in seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "spans are far below 2^53 microseconds, 285 years"
)]
pub fn seconds(span: Micros) -> f64 {
    span as f64 / SECOND as f64
}

/// So many seconds as a span, at least zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is clamped, and `as` saturates"
)]
pub fn from_seconds(seconds: f64) -> Micros {
    (seconds * 1e6).round().max(0.0) as Micros
}
