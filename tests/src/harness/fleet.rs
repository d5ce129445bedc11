//! A backend in a temporary folder, and the processes that use it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pipeline::ports::{Backend, DeadLetter, Depth, Host, Outbound};
use pipeline::{BranchItem, QueueName, RunId, RunItem, RunStatus, StepName, StepState, Timestamp};

use super::command::run_to_end;
use super::process::Hears;
use super::{Emulator, Output, PATIENCE, PoolBuilder, Process, Said, wait_for};

/// A folder with a backend, which is removed when this is dropped. Drop pools before: they use it.
pub struct Fleet {
    runtime: tokio::runtime::Runtime,
    backend: OnceLock<Backend>,
    host: Host,
    place: Place,
    outputs: Mutex<Vec<Arc<Output>>>,
    /// For specifications; and for the backend's folder, unless that is elsewhere.
    temporary: tempfile::TempDir,
}

/// Where its backend is.
enum Place {
    Folder(PathBuf),
    /// At the emulator, under this name.
    Emulator(&'static Emulator, String),
}

impl Fleet {
    /// A fleet in a folder of its own, in which nothing is yet.
    #[expect(clippy::new_without_default, reason = "it makes a folder and threads")]
    pub fn new() -> Self {
        let temporary = temporary_folder();
        let folder = temporary.path().join("fleet");
        Self::open(temporary, Place::Folder(folder))
    }

    /// A fleet in that folder, which stays.
    pub fn at(folder: &Path) -> Self {
        Self::open(temporary_folder(), Place::Folder(folder.to_owned()))
    }

    /// A fleet on AWS, as an emulator has it, with everything that `producer setup` makes.
    pub fn on_aws() -> Self {
        Self::on(Emulator::shared())
    }

    /// The same at an emulator of its own.
    pub fn on(emulator: &'static Emulator) -> Self {
        let name = format!("e2e-{:012x}", producer::host::real().random.u64() >> 16);
        let fleet = Self::open(temporary_folder(), Place::Emulator(emulator, name));
        fleet.producer(&["setup", "--test-stages"]).expect_code(0);
        fleet
    }

    fn open(temporary: tempfile::TempDir, place: Place) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be built");
        Self {
            runtime,
            backend: OnceLock::new(),
            host: producer::host::real(),
            place,
            outputs: Mutex::default(),
            temporary,
        }
    }

    /// The backend's folder.
    pub fn folder(&self) -> &Path {
        match &self.place {
            Place::Folder(folder) => folder,
            Place::Emulator(..) => panic!("a fleet on AWS has no folder"),
        }
    }

    /// What its processes need in their environment.
    pub(super) fn environment(&self) -> Vec<(&str, &str)> {
        match &self.place {
            Place::Folder(_) => Vec::new(),
            Place::Emulator(emulator, _) => emulator.environment().to_vec(),
        }
    }

    /// The backend's ports. The folder is opened, and made if there is none, when they are first asked for.
    pub fn backend(&self) -> &Backend {
        self.backend.get_or_init(|| {
            // What is tested here is the death of processes, not the loss of power.
            let options = backend_local::Options {
                durability: backend_local::Durability::Normal,
                ..backend_local::Options::default()
            };
            match &self.place {
                Place::Folder(folder) => {
                    let _context = self.runtime.enter();
                    backend_local::open(folder, &options, &self.host)
                        .unwrap_or_else(|e| panic!("cannot open the fleet's folder: {e}"))
                        .backend
                }
                Place::Emulator(emulator, _) => self.backend_through(emulator.address()),
            }
        })
    }

    /// The backend's ports by another way to the AWS endpoint.
    pub fn backend_through(&self, endpoint: &str) -> Backend {
        let options = backend_aws::Options {
            name: self.name().to_owned(),
            emulator: Some(endpoint.to_owned()),
            ..backend_aws::Options::default()
        };
        self.runtime
            .block_on(backend_aws::open(&options, &self.host))
            .unwrap_or_else(|e| panic!("cannot open {endpoint}: {e}"))
            .backend
    }

    /// Where workers may have their scratch folders; not below the backend's folder.
    pub fn scratch(&self) -> PathBuf {
        self.temporary.path().join("scratch")
    }

    /// Time now.
    pub fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// Awaits a port's answer.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// As `--backend` takes it.
    pub fn address(&self) -> String {
        match &self.place {
            Place::Folder(folder) => format!("local:{}", folder.display()),
            Place::Emulator(_, name) => format!("aws:{name}"),
        }
    }

    /// A pool of workers of these stages, to be told more and started.
    pub fn pool(&self, stages: &str) -> PoolBuilder<'_> {
        PoolBuilder::new(self, stages)
    }

    /// The process that serves upstream systems, to be told more and started.
    pub fn intake(&self) -> PoolBuilder<'_> {
        PoolBuilder::intake(self)
    }

    /// What it is called on AWS.
    pub fn name(&self) -> &str {
        match &self.place {
            Place::Folder(_) => panic!("a fleet in a folder has no name"),
            Place::Emulator(_, name) => name,
        }
    }

    /// Starts a process with more variables in its environment.
    pub(super) fn start(
        &self,
        name: &str,
        command: &mut Command,
        more: &[(&'static str, String)],
        hears: Option<Hears>,
    ) -> Process {
        let mut environment = self.environment();
        // The later one of a name counts.
        environment.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
        let is_kept = hears.is_none();
        let process = Process::start_heard(name, command, &environment, hears);
        if is_kept {
            let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
            outputs.push(Arc::clone(process.output()));
        }
        process
    }

    /// What all processes of this fleet said.
    pub fn told(&self) -> String {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.iter().map(|output| output.text()).collect()
    }

    /// Runs `producer` with these arguments.
    pub fn producer(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(super::producer());
        command.args(["--backend", &self.address()]).args(arguments);
        run_to_end(&mut command, &self.environment())
    }

    /// The same by another way to the AWS endpoint.
    pub fn producer_through(&self, endpoint: &str, arguments: &[&str]) -> Said {
        self.producer_with(&[("AWS_ENDPOINT_URL", endpoint)], arguments)
    }

    /// The same with more variables in its environment; the later one of a name counts.
    pub fn producer_with(&self, more: &[(&str, &str)], arguments: &[&str]) -> Said {
        let mut command = Command::new(super::producer());
        command.args(["--backend", &self.address()]).args(arguments);
        run_to_end(&mut command, &[&self.environment(), more].concat())
    }

    /// Runs `worker` with these arguments, to its end.
    pub fn worker(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(super::worker());
        command
            .args(arguments)
            .args(["--backend", &self.address()])
            .arg("--scratch")
            .arg(self.scratch());
        run_to_end(&mut command, &self.environment())
    }

    /// Writes a specification to a file, which goes with the fleet.
    pub fn write_spec(&self, spec: &str) -> PathBuf {
        let file = tempfile::Builder::new()
            .suffix(".toml")
            .tempfile_in(self.temporary.path())
            .expect("can be made");
        let (_, path) = file.keep().expect("it may stay, in a folder that will not");
        std::fs::write(&path, spec).expect("a file can be written");
        path
    }

    /// Submits a specification by the producer; the new run's id.
    pub fn submit(&self, spec: &str) -> RunId {
        let said = self.submit_with(spec, &[]).expect_code(0);
        RunId::new(said.json()["run"].as_str().unwrap_or_default())
            .unwrap_or_else(|e| panic!("{e} in {said:?}"))
    }

    /// Submits a specification by the producer, with more arguments.
    pub fn submit_with(&self, spec: &str, arguments: &[&str]) -> Said {
        let path = self.write_spec(spec);
        let path = path.to_string_lossy();
        self.producer(&[&["submit", &*path, "--json"], arguments].concat())
    }

    /// The run's item.
    pub fn run(&self, run: &RunId) -> RunItem {
        self.block_on(self.backend().runs.load(run))
            .unwrap_or_else(|e| panic!("cannot load run {run}: {e}"))
            .unwrap_or_else(|| panic!("run {run} is lost"))
    }

    /// Waits until there is such a run.
    pub fn wait_for_run(&self, run: &RunId) {
        let look = || self.block_on(self.backend().runs.load(run)).ok().flatten();
        wait_for(&format!("run {run}"), || self.told(), look);
    }

    /// The run's branches.
    pub fn branches(&self, run: &RunId) -> Vec<BranchItem> {
        self.block_on(self.backend().runs.load_branches(run, None))
            .unwrap_or_else(|e| panic!("cannot load branches of run {run}: {e}"))
    }

    /// Waits until the run is as wanted. On the way it sees that what is final stays as it is.
    pub fn wait_until(&self, run: &RunId, what: &str, is_so: impl Fn(&RunItem) -> bool) -> RunItem {
        let mut before: Option<RunItem> = None;
        let explain = || {
            let run = serde_json::to_string_pretty(&self.run(run)).unwrap_or_default();
            format!("{run}\n{}", self.told())
        };
        let look = || {
            let now = self.run(run);
            if let Some(before) = &before {
                assert_final_stays(before, &now);
            }
            before = Some(now.clone());
            is_so(&now).then_some(now)
        };
        wait_for(&format!("run {run}: {what}"), explain, look).0
    }

    /// Waits until the run ended, and fails unless it ended so.
    pub fn wait_for_end(&self, run: &RunId, status: RunStatus) -> RunItem {
        let ended = self.wait_until(run, "its end", |run| run.status != RunStatus::Open);
        assert_eq!(ended.status, status, "{:?}\n{}", ended.reason, self.told());
        ended
    }

    /// Waits until somebody works on the step.
    pub fn wait_until_running(&self, run: &RunId, step: &str) -> RunItem {
        let step = StepName::new(step).expect("a step's name");
        self.wait_until(run, &format!("step {step} runs"), |run| {
            run.steps[&step].state == StepState::Running
        })
    }

    /// Sends a message to a queue, whatever it says.
    pub fn send(&self, queue: &str, body: &str) {
        let sent = self.block_on(
            self.backend()
                .queue
                .send(&queue_name(queue), vec![Outbound::now(body)]),
        );
        let sent: Result<Vec<()>, _> = sent.and_then(|all| all.into_iter().collect());
        sent.unwrap_or_else(|e| panic!("cannot send to {queue}: {e}"));
    }

    /// Takes that many messages out of a queue, behind the workers' backs: their texts.
    pub fn steal(&self, queue: &str, count: usize) -> Vec<String> {
        let (queues, hour) = (&self.backend().queue, Duration::from_secs(3600));
        let take = async || {
            let taken = queues
                .receive(&queue_name(queue), count, hour, PATIENCE)
                .await
                .expect("can receive");
            let mut bodies = Vec::new();
            for delivery in taken {
                queues.ack(delivery.receipt).await.expect("can acknowledge");
                bodies.push(delivery.body);
            }
            bodies
        };
        let mut stolen = Vec::new();
        while stolen.len() < count {
            let taken = self.block_on(take());
            assert!(
                !taken.is_empty(),
                "there is nothing to steal in {queue}\n{}",
                self.told()
            );
            stolen.extend(taken);
        }
        stolen
    }

    /// How many messages a queue has.
    pub fn depth(&self, queue: &str) -> Depth {
        self.block_on(self.backend().queue.depth(&queue_name(queue)))
            .expect("a queue can be counted")
    }

    /// The dead letters of a queue.
    pub fn dead_letters(&self, queue: &str) -> Vec<DeadLetter> {
        self.block_on(self.backend().queue.list_dead(&queue_name(queue), 1000))
            .expect("they can be listed")
    }

    /// Waits until a queue has neither messages nor deliveries left: everything in it was answered.
    pub fn wait_until_empty(&self, queue: &str) {
        let is_empty = || {
            let Depth {
                visible,
                in_flight,
                delayed,
                ..
            } = self.depth(queue);
            (visible + in_flight + delayed == 0).then_some(())
        };
        wait_for(&format!("queue {queue} is empty"), || self.told(), is_empty);
    }

    /// What workers logged about a run.
    pub fn logs(&self, run: &RunId) -> Vec<String> {
        self.block_on(self.backend().fleet.read_logs(run, None, 100_000))
            .expect("logs can be read")
    }
}

fn temporary_folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("fleetline-e2e-")
        .tempdir()
        .expect("a folder can be made")
}

fn queue_name(queue: &str) -> QueueName {
    queue.parse().expect("a queue's name")
}

/// A terminal status never changes, and neither does a committed result.
fn assert_final_stays(before: &RunItem, now: &RunItem) {
    if before.status != RunStatus::Open {
        assert_eq!(before, now, "run {} changed after its end", now.id);
    }
    for (name, step) in &before.steps {
        if step.state == StepState::Committed {
            assert_eq!(
                Some(step),
                now.steps.get(name),
                "step {name} of run {} changed after its commit",
                now.id
            );
        }
    }
}
