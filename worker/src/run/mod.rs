//! `worker run SPEC`: the whole fleet in one process, for one run.

mod progress;
mod report;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pipeline::operate::{self, Submitted};
use pipeline::ports::{ErrorKind, Host, PortError, PortResult};
use pipeline::results;
use pipeline::spec::{self, Kind, Setting};
use pipeline::{ArtifactRef, RunId, RunItem, RunStatus, Spec};

use crate::drain::Phase;
use crate::output;
use crate::worker::Worker;

pub use progress::Progress;
pub use report::Report;

/// How often the view of a run is brought up to date.
const LOOK: Duration = Duration::from_millis(100);

/// What `worker run` is told, besides the settings of the fleet.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The specification, a TOML file
    pub spec: PathBuf,
    /// Gives the specification's parameter NAME another value; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<Setting>,
    /// Does this step anew, whatever the cache has; may be given several times, `all` is every step
    #[arg(long, value_name = "STEP")]
    pub refresh: Vec<String>,
    /// The run's id: the same key twice makes one run, which is then only watched
    #[arg(long, value_name = "ID")]
    pub key: Option<RunId>,
    /// Prints one JSON object on the last line instead of a table, and no progress
    #[arg(long)]
    pub json: bool,
}

impl RunArgs {
    /// The absolute folder of the specification, against which its relative paths are read.
    pub fn folder(&self) -> PathBuf {
        let folder = match self.spec.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        // It fails where there is no working directory: then nothing relative is found either.
        std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
    }
}

/// Why there was no run to wait for.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The specification cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The specification is wrong.
    #[error("{path} is not a valid specification:\n{problems}", path = path.display())]
    Spec {
        /// Which file.
        path: PathBuf,
        /// All that is wrong with it.
        problems: spec::Problems,
    },
    /// A parameter cannot be set so.
    #[error("{0}")]
    Set(String),
    /// A step's stage is for tests.
    #[error(
        "step {step} uses stage {stage}, which is only for tests and first steps; allow it with --test-stages"
    )]
    TestStage {
        /// Which step.
        step: pipeline::StepName,
        /// Which stage.
        stage: &'static str,
    },
    /// The key belongs to another run.
    #[error("run {0} exists, of another specification; choose another --key")]
    Conflict(RunId),
    /// A file of our own could not be written.
    #[error("cannot use the scratch folder: {0}")]
    Scratch(#[source] std::io::Error),
    /// The backend failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl RunError {
    /// The process's exit code: 2 where the specification is to be mended, 4 for a conflict, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Read { .. } | Self::Spec { .. } | Self::Set(_) | Self::TestStage { .. } => 2,
            Self::Conflict(_) => 4,
            Self::Scratch(_) | Self::Port(_) => 1,
        }
    }
}

/// Reads and checks the specification that `args` name.
pub fn load(args: &RunArgs, allows_test_stages: bool) -> Result<Spec, RunError> {
    let path = || args.spec.clone();
    let text =
        std::fs::read_to_string(&args.spec).map_err(|source| RunError::Read { path: path(), source })?;
    let overrides = spec::by_name(&text, args.set.clone()).map_err(RunError::Set)?;
    let mut spec = spec::load(&text, &overrides).map_err(|problems| RunError::Spec {
        path: path(),
        problems,
    })?;
    spec.anchor(&args.folder());
    spec.set_refresh(&args.refresh).map_err(RunError::Set)?;
    match spec
        .steps
        .iter()
        .find(|s| s.params.kind().for_tests && !allows_test_stages)
    {
        Some(step) => Err(RunError::TestStage {
            step: step.step.clone(),
            stage: step.params.kind().name,
        }),
        None => Ok(spec),
    }
}

/// The stages that a specification's run needs.
pub fn stages_of(spec: &Spec) -> Vec<&'static Kind> {
    let mut kinds: Vec<&'static Kind> = spec.steps.iter().map(|s| s.params.kind()).collect();
    kinds.sort_by_key(|kind| kind.name);
    kinds.dedup();
    kinds
}

/// Submits a run of `spec`.
async fn submit(worker: &Worker, spec: &Spec, key: Option<RunId>) -> Result<RunItem, RunError> {
    let id = key.unwrap_or_else(|| fresh_id(spec, &worker.host));
    let file = tempfile::NamedTempFile::new_in(worker.scratch.path()).map_err(RunError::Scratch)?;
    std::fs::write(file.path(), spec.canonical()).map_err(RunError::Scratch)?;
    let now = worker.host.clock.now();
    match operate::submit_spec(&worker.backend, spec, id, now, file.path(), None).await? {
        Submitted::New(run) | Submitted::Again(run) => Ok(run),
        Submitted::Conflict(run) => Err(RunError::Conflict(run.id)),
    }
}

/// `{pipeline}-{8 hexadecimal digits}`
fn fresh_id(spec: &Spec, host: &Host) -> RunId {
    let stem: String = spec.pipeline.as_str().chars().take(50).collect();
    RunId::new(format!("{stem}-{}", host.random.hex(4)))
        .expect("a shortened name and hexadecimal digits make an id")
}

/// Submits the run, shows it until it ends or the process is told to leave, and tells how it stands.
pub async fn run(
    worker: &Arc<Worker>,
    spec: &Spec,
    args: &RunArgs,
    mut progress: Progress,
) -> Result<Report, RunError> {
    let started = submit(worker, spec, args.key.clone()).await;
    let run = match started {
        Ok(run) => run,
        Err(e) => {
            worker.drain.advance(Phase::Interrupting);
            return Err(e);
        }
    };
    if !args.json {
        output::tell(format_args!("run {} of pipeline {}", run.id, run.pipeline));
    }
    let seen = watch(worker, run, &mut progress).await;
    worker.drain.advance(if args.json || seen.is_ok() {
        Phase::Draining
    } else {
        Phase::Interrupting
    });
    let run = seen?;
    let branches = worker.backend.runs.load_branches(&run.id, None).await?;
    let bytes = async |artifact: &ArtifactRef| bytes_of(worker, artifact).await;
    let results = results::read(&*worker.backend.artifacts, &run, &branches, bytes).await;
    for unread in &results.unread {
        tracing::warn!(run.id = %run.id, "not shown: {unread}");
    }
    Ok(Report::new(&run, &branches, results))
}

async fn bytes_of(worker: &Worker, artifact: &ArtifactRef) -> PortResult<Vec<u8>> {
    let failed = |e| PortError::new(ErrorKind::Unavailable, "cannot use the scratch folder").with_source(e);
    let folder = tempfile::tempdir_in(worker.scratch.path()).map_err(failed)?;
    let file = folder.path().join("artifact");
    worker.backend.artifacts.fetch(artifact, &file).await?;
    std::fs::read(&file).map_err(failed)
}

/// The run when it ended, or when the process began to leave.
async fn watch(worker: &Worker, mut run: RunItem, progress: &mut Progress) -> Result<RunItem, RunError> {
    loop {
        progress.show(&run);
        if run.status != RunStatus::Open || !worker.drain.is_working() {
            progress.finish();
            return Ok(run);
        }
        tokio::select! {
            biased;
            () = worker.drain.reached(Phase::Draining) => {}
            () = worker.backend.runs.wait_for_end(&run.id, LOOK) => {}
        }
        if let Some(now) = worker.backend.runs.load(&run.id).await? {
            run = now;
        }
    }
}

/// What is told of a run that was left open because the process was told to leave.
pub fn how_to_go_on(run: &str) -> String {
    format!("run {run} stays open: any pool goes on with it, or `producer cancel {run}` ends it")
}
