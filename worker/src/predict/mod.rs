//! `worker predict`: a file of rows, predicted with a registered model.

mod args;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ml::package::{Package, PackageError, Scorer};
use pipeline::ports::{Backend, Host, PortError};
use pipeline::registry::ModelVersion;
use pipeline::spec::stages::Source;
use serde::Serialize;
use stages::predict::{Form, ScoreError, Scored, SourceError, Watch, scan, score};
use tempfile::TempDir;

pub use args::{ModelRef, PredictArgs, Which};

/// How often the bar moves.
const LOOK: Duration = Duration::from_millis(100);

/// Why there are no predictions.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The file of predictions has another ending than those that are known.
    #[error("{}: predictions are written as .parquet or .csv; give --output such a name", .0.display())]
    Form(PathBuf),
    /// The file of predictions is there already.
    #[error("{} exists; remove it, or give --output another name", .0.display())]
    Exists(PathBuf),
    /// There is no such model, alias or version.
    #[error("{0}")]
    NoModel(String),
    /// The model's package cannot be used.
    #[error("model {model}: {source}")]
    Package {
        /// Which model, and which version of it.
        model: String,
        /// Why.
        source: PackageError,
    },
    /// The rows cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The rows cannot be predicted, or the predictions not be written.
    #[error("{}: {source}", input.display())]
    Score {
        /// The file of rows.
        input: PathBuf,
        /// Why.
        source: ScoreError,
    },
    /// A file of our own cannot be used.
    #[error("{what}: {source}")]
    File {
        /// What was to be done.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The backend failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The work ended without a word.
    #[error("the prediction ended without a result: {0}")]
    Crashed(String),
}

impl PredictError {
    /// The process's exit code: 2 where a flag is to be changed, 3 where there is no such model, 130 after Ctrl-C, 1
    /// otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Form(_) | Self::Exists(_) => 2,
            Self::NoModel(_) => 3,
            // As shells have it: ended by an interrupt.
            Self::Score {
                source: ScoreError::Stopped,
                ..
            } => 130,
            Self::Package { .. }
            | Self::Source(_)
            | Self::Score { .. }
            | Self::File { .. }
            | Self::Port(_)
            | Self::Crashed(_) => 1,
        }
    }
}

/// What was predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Predicted {
    /// With which model.
    pub model: String,
    /// With which version of it: the run that made it.
    pub version: String,
    /// How many rows.
    pub rows: usize,
    /// Where the predictions are.
    pub output: PathBuf,
    /// How long it took.
    pub seconds: f64,
}

impl std::fmt::Display for Predicted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            model,
            version,
            rows,
            output,
            seconds,
        } = self;
        write!(
            f,
            "predicted {rows} rows with version {version} of model {model} in {seconds:.1} s: {}",
            output.display()
        )
    }
}

/// Resolves the model in the backend's registry, fetches its package, and predicts the file's rows.
///
/// The predictions appear under their name only when all of them are written.
///
/// # Errors
///
/// [`PredictError`]; no file of predictions is left then.
pub async fn predict(
    backend: &Backend,
    host: &Host,
    scratch: &Path,
    args: &PredictArgs,
) -> Result<Predicted, PredictError> {
    let form = Form::of(&args.output).ok_or_else(|| PredictError::Form(args.output.clone()))?;
    if args.output.exists() {
        return Err(PredictError::Exists(args.output.clone()));
    }
    let started = host.clock.monotonic();
    let version = resolve(backend, &args.model).await?;
    let package = fetch(backend, scratch, &version).await?;
    let job = Job {
        package,
        model: args.model.to_string(),
        args: args.clone(),
        form,
        watch: Arc::new(Watch::default()),
    };
    let scored = run(host, job, args.json).await?;
    Ok(Predicted {
        model: version.model.to_string(),
        version: version.run.to_string(),
        rows: scored.rows,
        output: args.output.clone(),
        seconds: host.clock.monotonic().saturating_sub(started).as_secs_f64(),
    })
}

/// The version that is meant.
async fn resolve(backend: &Backend, wanted: &ModelRef) -> Result<ModelVersion, PredictError> {
    let ModelRef { model, which } = wanted;
    let registry = &backend.registry;
    let by_alias = match which.alias() {
        Some(alias) => registry.resolve(model, &alias).await?,
        None => None,
    };
    let run = match (by_alias, which.version()) {
        (Some(alias), _) => Some(alias.version),
        (None, version) => version,
    };
    let found = match run {
        Some(run) => registry.version(model, &run).await?,
        None => None,
    };
    match found {
        Some(version) => Ok(version),
        None if registry.list(model).await?.is_empty() => Err(PredictError::NoModel(format!(
            "there is no model {model}; `producer models list` shows those that there are"
        ))),
        None => Err(PredictError::NoModel(format!(
            "model {model} has neither an alias nor a version {which}; `producer models show {model}` lists its versions"
        ))),
    }
}

/// The package's files, in a folder that goes when it is dropped.
async fn fetch(backend: &Backend, scratch: &Path, version: &ModelVersion) -> Result<TempDir, PredictError> {
    let failed = |source| PredictError::File {
        what: format!("cannot make a folder in {}", scratch.display()),
        source,
    };
    std::fs::create_dir_all(scratch).map_err(failed)?;
    let folder = tempfile::Builder::new()
        .prefix("package-")
        .tempdir_in(scratch)
        .map_err(failed)?;
    for (artifact, reference) in version.package.artifacts.iter().zip(version.package.references()) {
        backend
            .artifacts
            .fetch(&reference, &folder.path().join(artifact.name.as_str()))
            .await?;
    }
    Ok(folder)
}

/// What is done off the runtime's threads.
struct Job {
    package: TempDir,
    model: String,
    args: PredictArgs,
    form: Form,
    watch: Arc<Watch>,
}

impl Job {
    /// The model, and how its rows are written.
    fn scorer(&self) -> Result<(Scorer, Source), PredictError> {
        Package::open(self.package.path())
            .and_then(|package| {
                let source = self.args.source(&package.description().csv);
                Ok((package.scorer()?, source))
            })
            .map_err(|source| PredictError::Package {
                model: self.model.clone(),
                source,
            })
    }

    fn score(self) -> Result<Scored, PredictError> {
        let (scorer, source) = self.scorer()?;
        let PredictArgs {
            input, output, keep, ..
        } = &self.args;
        let unpacked = self.package.path().join(".unpacked");
        let go_on = || !self.watch.is_stopped();
        let rows = scan(input, &source, &scorer, &unpacked, &go_on)?;
        // Beside the place where they are wanted, so that a rename puts them there in one go.
        let folder = match output.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let failed = |what: &str, source| PredictError::File {
            what: format!("cannot {what} {}", output.display()),
            source,
        };
        let partial = tempfile::Builder::new()
            .prefix(".predictions-")
            .tempdir_in(folder)
            .map_err(|e| failed("write", e))?;
        let file = partial.path().join("partial");
        let scored =
            score(Arc::new(scorer), rows, keep, &file, self.form, &self.watch).map_err(|source| {
                PredictError::Score {
                    input: input.clone(),
                    source,
                }
            })?;
        std::fs::rename(&file, output).map_err(|e| failed("write", e))?;
        Ok(scored)
    }
}

async fn run(host: &Host, job: Job, is_quiet: bool) -> Result<Scored, PredictError> {
    let watch = Arc::clone(&job.watch);
    let answer = Arc::new(Mutex::new(None));
    let mut work = host.spawn.blocking(Box::new({
        let answer = Arc::clone(&answer);
        move || {
            let scored = job.score();
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(scored);
        }
    }));
    let bar = bar(is_quiet);
    let ended = loop {
        let look = host.clock.sleep(LOOK);
        tokio::select! {
            biased;
            ended = &mut work => break ended,
            // What was begun is taken away before the process ends.
            _ = tokio::signal::ctrl_c() => watch.stop(),
            () = look => bar.set_position(watch.rows() as u64),
        }
    };
    bar.finish_and_clear();
    ended.map_err(PredictError::Crashed)?;
    answer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
        .unwrap_or_else(|| Err(PredictError::Crashed("it said nothing".into())))
}

/// On a terminal only: elsewhere indicatif draws nothing.
fn bar(is_quiet: bool) -> ProgressBar {
    if is_quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} rows, {per_sec}, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}
