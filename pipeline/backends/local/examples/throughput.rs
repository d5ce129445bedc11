//! How many jobs a second a folder takes: `cargo run --release -p backend-local --example throughput`.
//!
//! Each lane does what a worker does for a stage that does nothing: send, receive, claim, commit, acknowledge. One
//! such round is five jobs. Lanes share a process; `2 processes` runs half of them in a second one.

#![allow(
    clippy::disallowed_methods,
    reason = "a measurement on real time, with a host of its own"
)]

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use backend_local::{Durability, Options};
use futures::future::{BoxFuture, join_all};
use pipeline::artifact::{Manifest, Origin};
use pipeline::digest::Sha256Digest;
use pipeline::id::{Nonce, PipelineName, RunId, StageName, StepName};
use pipeline::item::{Budget, Item, Measured, MemoryClass, Placement, QueueName, RunItem};
use pipeline::plan::{Birth, Plan, PlanStep};
use pipeline::ports::{Backend, Clock, Host, Outbound, PortResult, Random, Spawn};
use pipeline::protocol::{self, Claimant, Ending, Held, Work};
use pipeline::time::Timestamp;
use pipeline::update::Applied;

const LANES: usize = 256;
const STEPS: usize = 7;
const JOBS_PER_STEP: usize = 5;
const TIME: Duration = Duration::from_secs(4);

struct System(Instant);

#[async_trait]
impl Clock for System {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
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
        RandomState::new().hash_one(())
    }
}

impl Spawn for System {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), String>> {
        let task = tokio::task::spawn_blocking(work);
        Box::pin(async { task.await.map_err(|e| e.to_string()) })
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [folder, durability, lanes] = arguments.as_slice() {
        let lanes = lanes.parse().expect("a number of lanes");
        println!("{}", measure(Path::new(folder), durability, lanes));
        return;
    }
    for durability in ["full", "normal"] {
        for processes in [1, 2] {
            let folder = tempfile::tempdir().expect("a folder");
            let program = std::env::current_exe().expect("this program");
            let lanes = (LANES / processes).to_string();
            let children: Vec<_> = (0..processes)
                .map(|_| {
                    let mut command = Command::new(&program);
                    command.arg(folder.path()).args([durability, &lanes]);
                    command
                        .stdout(std::process::Stdio::piped())
                        .spawn()
                        .expect("started")
                })
                .collect();
            let stages: f64 = children
                .into_iter()
                .map(|child| {
                    let said = child.wait_with_output().expect("ended").stdout;
                    String::from_utf8_lossy(&said)
                        .trim()
                        .parse::<f64>()
                        .expect("a number")
                })
                .sum();
            let jobs = stages * JOBS_PER_STEP as f64;
            println!("{durability:6}  {processes} processes  {stages:7.0} stages/s  {jobs:8.0} jobs/s");
        }
    }
}

/// Stages a second, by that many lanes in this process.
fn measure(folder: &Path, durability: &str, lanes: usize) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let system = Arc::new(System(Instant::now()));
        let host = Host {
            clock: Arc::clone(&system) as Arc<dyn Clock>,
            random: Arc::clone(&system) as Arc<dyn Random>,
            spawn: system,
        };
        let durability = if durability == "full" {
            Durability::Full
        } else {
            Durability::Normal
        };
        let options = Options {
            durability,
            ..Options::default()
        };
        let local = backend_local::open(folder, &options, &host).expect("opened");
        let start = Instant::now();
        let lanes = (0..lanes).map(|lane| {
            let (backend, host) = (local.backend.clone(), host.clone());
            tokio::spawn(async move {
                let mut stages = 0;
                while start.elapsed() < TIME {
                    stages += one_run(&backend, &host, lane).await.expect("the folder works");
                }
                stages
            })
        });
        let done: usize = join_all(lanes)
            .await
            .into_iter()
            .map(|n| n.expect("no panic"))
            .sum();
        done as f64 / start.elapsed().as_secs_f64()
    })
}

fn new_run(host: &Host) -> RunItem {
    let steps = (0..STEPS).map(|nth| PlanStep {
        step: StepName::new(format!("step-{nth}")).expect("valid"),
        stage: StageName::new("noop").expect("valid"),
        largest: MemoryClass::Standard,
        branches: None,
        min_succeeded: 1,
    });
    Birth {
        id: RunId::new(format!("run-{}", host.random.hex(8))).expect("valid"),
        pipeline: PipelineName::new("throughput").expect("valid"),
        spec: Sha256Digest::of(b""),
        max: Budget::DEFAULT_MAX,
        now: host.clock.now(),
        deadline: Duration::from_secs(3600),
    }
    .item(&Plan::new(steps.collect()).expect("a plan"))
}

/// One run from its creation to its end; how many stages that were.
async fn one_run(backend: &Backend, host: &Host, lane: usize) -> PortResult<usize> {
    let run = new_run(host);
    let queue = QueueName {
        // A queue for each lane and process: a lane receives what it sent.
        stage: StageName::new(format!("noop-{}-{lane}", std::process::id())).expect("valid"),
        class: MemoryClass::Standard,
    };
    backend.runs.create(&Item::Run(Box::new(run.clone()))).await?;
    for (step, item) in run.steps_in_order() {
        backend
            .queue
            .send(&queue, vec![Outbound::now(step.as_str())])
            .await?;
        let hour = Duration::from_secs(3600);
        for delivery in backend.queue.receive(&queue, 1, hour, hour).await? {
            let work = Work {
                run: run.id.clone(),
                step: step.clone(),
                branch: None,
            };
            let who = Claimant {
                queue: item.queue(),
                owner: Nonce::new(host.random.hex(8)).expect("valid"),
                version: "0.1.0".into(),
            };
            let now = host.clock.now();
            let claim = protocol::claim(&work, item.after.as_ref(), &who, now, hour);
            let claimed = backend.runs.apply(&claim).await?;
            assert!(matches!(claimed, Applied::Done(_)), "{claimed:?}");
            let held = Held {
                work,
                owner: who.owner,
                attempt: 1,
            };
            let manifest = Manifest {
                origin: Origin {
                    run: run.id.clone(),
                    step: step.clone(),
                    ordinal: 0,
                    attempt: 1,
                },
                artifacts: Vec::new(),
            };
            let ending = Ending::Advance(Placement::default());
            let commit = protocol::commit(&held, &run, manifest, &ending, Measured::default(), now);
            let committed = backend.runs.apply(&commit).await?;
            assert!(matches!(committed, Applied::Done(_)), "{committed:?}");
            backend.queue.ack(delivery.receipt).await?;
        }
    }
    Ok(run.order.len())
}
