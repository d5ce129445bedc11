//! Who asks for what: which calls wait for the disk.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use pipeline::ports::{Clock, Host, Outbound, Queue, Random, RunStore, Spawn};
use tempfile::TempDir;

use crate::writer::OnDisk;

/// Time stands still.
struct Still;

#[async_trait::async_trait]
impl Clock for Still {
    fn now(&self) -> pipeline::Timestamp {
        pipeline::Timestamp(1_000_000)
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

impl Random for Still {
    fn u64(&self) -> u64 {
        0
    }
}

impl Spawn for Still {
    fn spawn(&self, _: BoxFuture<'static, ()>) {}
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), String>> {
        work();
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A run of one step, as it is born.
fn born() -> pipeline::RunItem {
    use pipeline::plan::{Birth, Plan, PlanStep};
    let step = PlanStep {
        step: "only".parse().expect("valid"),
        stage: "noop".parse().expect("valid"),
        largest: pipeline::MemoryClass::Standard,
        branches: None,
        min_succeeded: 1,
    };
    let birth = Birth {
        id: "run".parse().expect("valid"),
        pipeline: "test".parse().expect("valid"),
        spec: pipeline::Sha256Digest::of(b"spec"),
        max: pipeline::item::Budget::DEFAULT_MAX,
        now: Still.now(),
        deadline: Duration::from_secs(60),
    };
    birth.item(&Plan::new(vec![step]).expect("valid"))
}

/// The wrong answer in either direction costs: a lost message keeps its run waiting until the sweeper looks, an item that
/// was seen and then lost breaks the protocol, and waiting for what may be lost costs a wait for the disk each time.
#[tokio::test]
async fn only_what_is_merely_repeated_when_lost_does_without_the_disk() {
    use pipeline::guard::Guard;
    let folder = TempDir::new().expect("a temporary folder");
    let host = Host {
        clock: Arc::new(Still),
        random: Arc::new(Still),
        spawn: Arc::new(Still),
    };
    let store = crate::open_store(folder.path(), &crate::Options::default(), &host).expect("opened");
    let (queues, runs) = (
        crate::queue::Queues(Arc::clone(&store)),
        crate::runs::Runs(Arc::clone(&store)),
    );
    let queue = "noop".parse().expect("valid");
    let run = born();
    let update = pipeline::update::GuardedUpdate::run(&run.id, vec![Guard::RunOpen], vec![]);
    runs.create(&pipeline::Item::Run(Box::new(run)))
        .await
        .expect("created");
    runs.apply(&update).await.expect("applied");
    let messages = ["a", "b", "c"].map(Outbound::now).to_vec();
    queues.send(&queue, messages).await.expect("sent");
    let hide = Duration::from_secs(30);
    let mut received = queues
        .receive(&queue, 3, hide, Duration::ZERO)
        .await
        .expect("received");
    let mut next = || received.pop().expect("three were sent").receipt;
    let receipt = next();
    queues.extend(&receipt, hide).await.expect("extended");
    queues.ack(receipt).await.expect("acknowledged");
    queues.release(next(), Duration::ZERO).await.expect("released");
    queues.dead_letter(next(), "bad").await.expect("buried");
    let asked = store.writer.asked.lock().expect("not poisoned").clone();
    assert_eq!(
        asked,
        [
            ("create an item", OnDisk::BeforeSeen),
            ("update an item", OnDisk::BeforeSeen),
            ("send messages", OnDisk::BeforeAnswered),
            ("receive messages", OnDisk::Later),
            ("extend a delivery", OnDisk::Later),
            ("acknowledge a delivery", OnDisk::Later),
            ("release a delivery", OnDisk::Later),
            ("bury a message", OnDisk::BeforeSeen),
        ]
    );
}
