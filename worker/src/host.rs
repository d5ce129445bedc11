//! The real world behind the ports of time, randomness and tasks. Under simulation other implementations stand here.

mod blocking;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use pipeline::Timestamp;
use pipeline::ports::{Clock, Host, Random, Spawn};
use tokio::runtime::Handle;

/// The surroundings of a process with a tokio runtime, which must be the current one. `clock_offset_ms` puts the wall
/// clock wrong, for tests of clock skew.
pub fn real_host(clock_offset_ms: i64) -> Host {
    Host {
        clock: Arc::new(SystemClock::new(clock_offset_ms)),
        random: Arc::new(SystemRandom),
        spawn: Arc::new(TokioSpawn::new(Handle::current())),
    }
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    offset_ms: i64,
    start: Instant,
}

impl SystemClock {
    /// A wall clock that is `offset_ms` ahead of the system's.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the implementation of the `Clock` port"
    )]
    pub fn new(offset_ms: i64) -> Self {
        Self {
            offset_ms,
            start: Instant::now(),
        }
    }
}

#[async_trait]
#[allow(
    clippy::disallowed_methods,
    reason = "this is the implementation of the `Clock` port"
)]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is as wrong as one at 1970: the comparison with the backend's clock finds both.
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(pipeline::time::millis(since_epoch).saturating_add_signed(self.offset_ms))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The operating system's random numbers.
#[derive(Debug)]
pub struct SystemRandom;

#[allow(
    clippy::disallowed_methods,
    reason = "this is the implementation of the `Random` port"
)]
impl Random for SystemRandom {
    fn u64(&self) -> u64 {
        getrandom::u64().expect("the operating system gives random numbers to every process, once it is up")
    }
}

/// Tasks of a tokio runtime.
pub struct TokioSpawn {
    runtime: Handle,
    blocking: blocking::Blocking,
}

impl TokioSpawn {
    /// Tasks of that runtime.
    pub fn new(runtime: Handle) -> Self {
        Self {
            blocking: blocking::Blocking::new(runtime.clone()),
            runtime,
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the implementation of the `Spawn` port"
)]
impl Spawn for TokioSpawn {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        // Detached: whoever wants to know when it ends has it say so.
        drop(self.runtime.spawn(task));
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), String>> {
        let answer = self.blocking.run(work);
        async move {
            match answer.await {
                Ok(ended) => ended.map_err(|payload| panic_message(&*payload)),
                Err(_) => Err("the process ends".to_owned()),
            }
        }
        .boxed()
    }
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_goes_on_and_the_offset_moves_the_wall_clock_only() {
        let (right, ahead) = (SystemClock::new(0), SystemClock::new(3_600_000));
        let (before, monotonic) = (right.now(), right.monotonic());
        right.sleep(Duration::from_millis(20)).await;
        assert!(right.now().since(before) >= Duration::from_millis(19));
        assert!(
            right.monotonic().checked_sub(monotonic).expect("never goes back") >= Duration::from_millis(20)
        );
        let difference = ahead.now().since(right.now());
        assert!(difference >= Duration::from_secs(3_590) && difference <= Duration::from_secs(3_610));
        assert!(ahead.monotonic() < Duration::from_secs(60));
        assert_eq!(SystemClock::new(i64::MIN).now(), Timestamp(0));
    }

    #[tokio::test]
    async fn blocking_work_starts_unasked_and_its_panic_is_told() {
        let host = real_host(0);
        let (sent, received) = tokio::sync::oneshot::channel();
        drop(
            host.spawn
                .blocking(Box::new(move || sent.send(()).unwrap_or_default())),
        );
        received.await.expect("runs though nobody polls");
        let panicked = host.spawn.blocking(Box::new(|| panic!("on {}", "purpose"))).await;
        assert_eq!(panicked, Err("on purpose".to_owned()));
    }

    #[test]
    fn random_numbers_differ() {
        let numbers: std::collections::HashSet<u64> = (0..1_000).map(|_| SystemRandom.u64()).collect();
        assert_eq!(numbers.len(), 1_000);
    }
}
