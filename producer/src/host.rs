//! What this process gets from its surroundings: the real clock, randomness and tasks.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::future::BoxFuture;
use pipeline::Timestamp;
use pipeline::ports::{Clock, Host, Random, Spawn};
use pipeline::time::millis;

/// The surroundings of this process. It needs a tokio runtime around it.
#[allow(clippy::disallowed_methods, reason = "the implementation of the Clock port")]
pub fn real() -> Host {
    Host {
        clock: Arc::new(SystemClock(Instant::now())),
        random: Arc::new(OsRandom),
        spawn: Arc::new(TokioSpawn),
    }
}

/// The system's clock; it measures from the moment in it.
struct SystemClock(Instant);

#[async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the implementation of the Clock port")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 is taken for 1970.
        Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
    }

    #[allow(clippy::disallowed_methods, reason = "the implementation of the Clock port")]
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    #[allow(clippy::disallowed_methods, reason = "the implementation of the Clock port")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The operating system's randomness.
struct OsRandom;

#[allow(clippy::disallowed_methods, reason = "the implementation of the Random port")]
impl Random for OsRandom {
    fn u64(&self) -> u64 {
        getrandom::u64()
            .expect("an operating system that cannot give eight random bytes runs nothing else either")
    }
}

/// Tasks of the runtime around us.
struct TokioSpawn;

#[allow(clippy::disallowed_methods, reason = "the implementation of the Spawn port")]
impl Spawn for TokioSpawn {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), String>> {
        let work = tokio::task::spawn_blocking(work);
        Box::pin(async { work.await.map_err(|panic| panic.to_string()) })
    }
}
