//! A temporary fleet: a folder with the local backend, runs of no-op steps, real worker processes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use backend_local::Local;
use futures::StreamExt;
use pipeline::operate::{self, Submitted};
use pipeline::plan::{Birth, Plan};
use pipeline::ports::ListFilter;
use pipeline::spec::{self, Overrides};
use pipeline::{RunId, RunItem, Spec, Timestamp};
use serde::Serialize;
use tempfile::TempDir;

use crate::Bench;
use crate::failure::{Failure, Outcome};
use crate::process::Process;

/// How many submissions are under way at once: they share transactions.
const SUBMIT_AT_ONCE: usize = 256;

/// How long a fleet may take for all runs.
const PATIENCE: Duration = Duration::from_secs(900);

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// The loss of power: every group commit waits for the disk.
    Full,
    /// The death of every process.
    Normal,
}

impl Durability {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
        }
    }
}

/// A folder with a backend in it, removed when it is dropped.
pub(crate) struct Fleet<'a> {
    bench: &'a Bench,
    durability: Durability,
    local: Local,
    spec: Spec,
    plan: Plan,
    folder: TempDir,
}

impl<'a> Fleet<'a> {
    /// An empty fleet on the disk that the binaries are on.
    pub(crate) async fn new(bench: &'a Bench, durability: Durability) -> Outcome<Self> {
        let folder = tempfile::Builder::new()
            .prefix("fleet-bench-")
            .tempdir_in(&bench.binaries)
            .map_err(|e| Failure::io("make a temporary folder beside the binaries", &e))?;
        let options = backend_local::Options {
            durability: match durability {
                Durability::Full => backend_local::Durability::Full,
                Durability::Normal => backend_local::Durability::Normal,
            },
            ..backend_local::Options::default()
        };
        let local = backend_local::open(&folder.path().join("state"), &options, &bench.host)?;
        let steps: String = (1..=bench.options.steps)
            .map(|n| format!("[[steps]]\nstep = \"step-{n}\"\nstage = \"noop\"\n"))
            .collect();
        let spec = spec::load(&format!("pipeline = \"bench\"\n{steps}"), &Overrides::new())
            .map_err(|problems| Failure::new(problems.to_string()))?;
        let plan = spec
            .plan()
            .map_err(|problems| Failure::new(format!("{problems:?}")))?;
        let file = folder.path().join("spec.json");
        std::fs::write(&file, spec.canonical()).map_err(|e| Failure::io("write the specification", &e))?;
        operate::publish_spec(&local.backend, &spec, &file).await?;
        std::fs::create_dir(folder.path().join("scratch")).map_err(|e| Failure::io("make a folder", &e))?;
        Ok(Self {
            bench,
            durability,
            local,
            spec,
            plan,
            folder,
        })
    }

    /// The folder of its state, as commands name it.
    pub(crate) fn address(&self) -> String {
        format!("local:{}", self.local.folder.display())
    }

    /// Submits one run, as the producer would.
    pub(crate) async fn submit(&self, n: u32) -> Outcome<RunId> {
        let id = RunId::new(format!("bench-{n}")).map_err(|e| Failure::new(e.to_string()))?;
        let birth = Birth {
            id: id.clone(),
            pipeline: self.spec.pipeline.clone(),
            spec: self.spec.digest(),
            max: self.spec.max(),
            now: self.bench.host.clock.now(),
            deadline: self.spec.deadline,
        };
        match operate::submit(&self.local.backend, birth.item(&self.plan)).await? {
            Submitted::New(_) => Ok(id),
            Submitted::Again(_) | Submitted::Conflict(_) => Err(Failure::new(format!(
                "run {id} is there already, in a folder that was empty"
            ))),
        }
    }

    /// Submits that many runs, many at once.
    pub(crate) async fn submit_many(&self, runs: u32) -> Outcome<()> {
        let mut submissions = futures::stream::iter(1..=runs)
            .map(|n| self.submit(n))
            .buffer_unordered(SUBMIT_AT_ONCE);
        while let Some(submitted) = submissions.next().await {
            submitted?;
        }
        Ok(())
    }

    /// Starts workers, each with a log of its own.
    pub(crate) fn start_workers(&self, processes: usize, more: &[&str]) -> Outcome<Vec<Process>> {
        (0..processes)
            .map(|n| {
                let mut command = Command::new(self.bench.binaries.join("worker"));
                command
                    .args([
                        "pool",
                        "--stages",
                        "noop",
                        "--test-stages",
                        "--metrics-addr",
                        "127.0.0.1:0",
                    ])
                    .args([
                        "--backend",
                        &self.address(),
                        "--durability",
                        self.durability.as_str(),
                    ])
                    .args(["--permits", &self.bench.options.permits.to_string()])
                    .arg("--scratch")
                    .arg(self.folder.path().join("scratch"))
                    .args(more);
                Process::start(&mut command, &self.log_of(n))
            })
            .collect()
    }

    /// What a worker says goes there.
    pub(crate) fn log_of(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("worker-{n}.log"))
    }

    /// What that worker said, for an error.
    fn last_words(&self, n: usize) -> String {
        let log = std::fs::read_to_string(self.log_of(n)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Waits until no run is open.
    pub(crate) async fn all_ended(&self, workers: &mut [Process]) -> Outcome<()> {
        let clock = &self.bench.host.clock;
        let give_up = clock.monotonic() + PATIENCE;
        while !self
            .local
            .backend
            .runs
            .open_runs(Timestamp(u64::MAX), 1)
            .await?
            .is_empty()
        {
            for (n, worker) in workers.iter_mut().enumerate() {
                worker
                    .check()
                    .map_err(|e| Failure::new(format!("{e}\n{}", self.last_words(n))))?;
            }
            if clock.monotonic() > give_up {
                let words = self.last_words(0);
                return Err(Failure::new(format!(
                    "runs are open after {PATIENCE:?}; a worker said:\n{words}"
                )));
            }
            clock.sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits for the end of one run.
    pub(crate) async fn ended(&self, run: &RunId) -> Outcome<()> {
        let give_up = self.bench.host.clock.monotonic() + Duration::from_secs(30);
        while let Some(item) = self.local.backend.runs.load(run).await? {
            if item.ended_at.is_some() {
                return Ok(());
            }
            if self.bench.host.clock.monotonic() > give_up {
                break;
            }
            self.local
                .backend
                .runs
                .wait_for_end(run, Duration::from_secs(10))
                .await;
        }
        Err(Failure::new(format!(
            "run {run} did not end; a worker said:\n{}",
            self.last_words(0)
        )))
    }

    /// Every run.
    pub(crate) async fn runs(&self) -> Outcome<Vec<RunItem>> {
        let (mut runs, mut next) = (Vec::new(), None);
        loop {
            let page = self
                .local
                .backend
                .runs
                .list(&ListFilter::default(), next.as_deref(), 1000)
                .await?;
            runs.extend(page.runs);
            next = page.next;
            if next.is_none() {
                return Ok(runs);
            }
        }
    }

    /// How large the database is, its log included.
    pub(crate) fn database_bytes(&self) -> u64 {
        let size =
            |name: &str| std::fs::metadata(Path::new(&self.local.folder).join(name)).map_or(0, |m| m.len());
        size("fleetline.db") + size("fleetline.db-wal")
    }
}
