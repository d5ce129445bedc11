//! What a process gets from its surroundings: time, randomness, tasks.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::time::Timestamp;

/// Time. No safety leans on it: a wrong clock burns work and budgets, nothing else.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall-clock time, for what is stored.
    fn now(&self) -> Timestamp;

    /// Time that never jumps, since some fixed point, for measuring.
    fn monotonic(&self) -> Duration;

    /// Returns after `duration`.
    async fn sleep(&self, duration: Duration);
}

/// Randomness: for nonces, jitter and ids, never for what a stage computes.
pub trait Random: Send + Sync {
    /// 64 random bits.
    fn u64(&self) -> u64;
}

impl dyn Random + '_ {
    /// A number in `0..bound`; 0 if the bound is 0. (Multiply-shift; its bias is below 2⁻³² for bounds that fit in 32 bits.)
    pub fn below(&self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.u64()) * u128::from(bound)) >> 64)
            .expect("the high half of a 128-bit product has 64 bits")
    }

    /// A duration in `0..=bound`, for full jitter.
    pub fn up_to(&self, bound: Duration) -> Duration {
        Duration::from_millis(self.below(crate::time::millis(bound).saturating_add(1)))
    }

    /// `bytes` random bytes in hexadecimal.
    pub fn hex(&self, bytes: usize) -> String {
        let digits = bytes * 2;
        // Eight bytes a draw: each may be a call to the operating system.
        let mut text: String = (0..bytes.div_ceil(8))
            .map(|_| format!("{:016x}", self.u64()))
            .collect();
        text.truncate(digits);
        text
    }
}

/// Tasks.
pub trait Spawn: Send + Sync {
    /// Runs a task to its end, in the background.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Runs blocking work where it holds nobody up; the future ends when the work does. A panic in it ends the
    /// future with the panic's message.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), String>>;
}
