//! The real process as a host, and worlds to test in.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use backend_local::{Local, Options};
use futures::future::BoxFuture;
use pipeline::conformance::World;
use pipeline::ports::{Clock, Host, Random, Spawn};
use pipeline::time::Timestamp;
use tempfile::TempDir;

struct System(Instant);

#[allow(
    clippy::disallowed_methods,
    reason = "the implementation of the ports, for tests on real time"
)]
#[async_trait]
impl Clock for System {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        Timestamp(pipeline::time::millis(since))
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Random for System {
    fn u64(&self) -> u64 {
        // Each state has fresh keys, of which the hash of nothing is a function.
        RandomState::new().hash_one(())
    }
}

#[allow(clippy::disallowed_methods, reason = "the implementation of the port")]
impl Spawn for System {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), String>> {
        let task = tokio::task::spawn_blocking(work);
        Box::pin(async { task.await.map_err(|e| e.to_string()) })
    }
}

/// The real process.
#[allow(
    clippy::disallowed_methods,
    reason = "the implementation of the clock starts here"
)]
pub(crate) fn host() -> Host {
    let system = Arc::new(System(Instant::now()));
    Host {
        clock: Arc::clone(&system) as Arc<dyn Clock>,
        random: Arc::clone(&system) as Arc<dyn Random>,
        spawn: system,
    }
}

/// Runs a future on a runtime of its own, with two threads.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Another handle on the folder.
pub(crate) fn open(folder: &Path) -> Local {
    let options = Options {
        source_folders: vec![folder.to_owned()],
        ..Options::default()
    };
    backend_local::open(folder, &options, &host()).expect("opened")
}

/// An empty folder, removed when dropped.
pub(crate) fn folder() -> TempDir {
    TempDir::with_prefix("fleetline-").expect("a temporary folder")
}

/// A world over an open folder; its scratch folder is made beside the backend's own.
pub(crate) fn world(local: &Local) -> World {
    let scratch = local.folder.join("scratch-of-the-test");
    std::fs::create_dir_all(&scratch).expect("made");
    World {
        backend: local.backend.clone(),
        host: host(),
        queues: ["one", "two-large"].map(|name| name.parse().expect("a valid name")),
        scratch,
        refuses_stale_receipts: true,
        put_source: Box::new(|world, name, bytes| {
            Box::pin(async move {
                let path = world.scratch.join(name);
                std::fs::write(&path, bytes).expect("written");
                path.to_str().expect("a text").to_owned()
            })
        }),
    }
}
