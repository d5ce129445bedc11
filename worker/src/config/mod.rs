//! Configuration: flags, then `FLEETLINE_*` variables, then a file, then defaults. This is the only place that reads
//! the environment, and unknown keys are refused in all of them.
//!
//! Every setting has one name in three forms: the flag `--drain-timeout`, the variable `FLEETLINE_DRAIN_TIMEOUT` and
//! the file's key `drain_timeout`. A file (`--config FILE`, or `FLEETLINE_CONFIG`) looks like this:
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```

mod environment;
mod layer;
mod machine;
mod outside;
mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;
use pipeline::{Address, MemoryClass, WorkerId};

pub use layer::{Layer, read_file};
pub use machine::Machine;
pub use outside::{NotifyOn, NotifyUrl, SecretUrl};
pub use values::{
    Buckets, BuildName, ByteSize, Durability, Folders, InvalidValue, LogFilter, LogFormat, MetricsAddr, Span,
};

/// The flags of configuration, to be flattened into a subcommand.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// A TOML file with settings; flags and variables win over it
    #[arg(long, value_name = "FILE", env = "FLEETLINE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The settings themselves.
    #[command(flatten)]
    pub layer: Layer,
}

/// What the process is for. Some defaults depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A pool that serves until it is told to end. Metrics are on.
    Pool,
    /// One run, with everything in one process. Metrics are off.
    Run,
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable that begins like ours is none of ours.
    #[error("environment variable {name} is unknown; {hint}")]
    UnknownVariable {
        /// Its name.
        name: String,
        /// What to do.
        hint: String,
    },
    /// The file cannot be read.
    #[error("configuration file {}: {message}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why, and where in it.
        message: String,
    },
    /// The file's text is not what a configuration file is.
    #[error("{0}")]
    Text(String),
    /// A setting's value makes no sense, alone or beside the others.
    #[error("{setting}: {message}")]
    Value {
        /// Which setting, as the file names it.
        setting: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
}

/// The configuration, complete and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where everything is that outlives the process.
    pub backend: Address,
    /// What a commit waits for.
    pub durability: Durability,
    /// For how long a worker that is not heard of keeps its work.
    pub lease: Duration,
    /// How long the worker may finish what it began when it is told to end.
    pub drain_timeout: Duration,
    /// How often open runs are looked through.
    pub sweep_interval: Duration,
    /// How many attempts of light stages at once.
    pub permits: usize,
    /// How many attempts of heavy stages at once.
    pub heavy_permits: usize,
    /// Memory for all heavy attempts together.
    pub memory_budget_bytes: u64,
    /// Memory for one heavy attempt in the class standard.
    pub standard_limit_bytes: u64,
    /// Where attempts' folders are made.
    pub scratch: PathBuf,
    /// How much one heavy attempt may take there, if that is limited.
    pub scratch_limit_bytes: Option<u64>,
    /// The folders whose files stages may read as sources, on the local backend.
    pub source_folders: Vec<PathBuf>,
    /// The buckets, or parts of them, whose objects stages may read as sources, on AWS.
    pub source_buckets: Vec<String>,
    /// Where metrics are shown, if they are.
    pub metrics_addr: Option<SocketAddr>,
    /// Whether no other port will do: somebody named the address.
    pub metrics_addr_is_given: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines there are.
    pub log: LogFilter,
    /// Where spans go.
    pub otlp_endpoint: Option<Uri>,
    /// Who is told of runs that ended badly.
    pub notify_url: Option<NotifyUrl>,
    /// Of which ends.
    pub notify_on: NotifyOn,
    /// What the worker is called, if it was told.
    pub worker_id: Option<WorkerId>,
    /// What this build is called.
    pub build: String,
    /// Where the agent of ECS is, in a task of ECS.
    pub ecs_agent: Option<String>,
    /// Whether it works for stages that only tests and benches use.
    pub test_stages: bool,
    /// For tests: the moment at which the process stops and waits to be killed.
    pub test_pause_at: Option<String>,
    /// For tests: how far the wall clock is put ahead.
    pub test_clock_offset_ms: i64,
}

impl Settings {
    /// Memory for one heavy attempt in `class`: each class has twice the one before it, but none more than all heavy
    /// attempts together.
    pub fn memory_limit_bytes(&self, class: MemoryClass) -> u64 {
        share_of_class(self.standard_limit_bytes, class).min(self.memory_budget_bytes)
    }
}

fn share_of_class(standard_bytes: u64, class: MemoryClass) -> u64 {
    let times = match class {
        MemoryClass::Standard => 1,
        MemoryClass::Large => 2,
        MemoryClass::Xlarge => 4,
    };
    standard_bytes.saturating_mul(times)
}

/// Memory for one heavy attempt in `class` on a machine of so much memory and so many cores, with nothing else configured.
pub fn limit_bytes(machine_bytes: u64, cores: usize, class: MemoryClass) -> u64 {
    let budget_bytes = machine::budget_bytes(machine_bytes);
    share_of_class(fair_share_bytes(budget_bytes, cores), class).min(budget_bytes)
}

fn fair_share_bytes(budget_bytes: u64, permits: usize) -> u64 {
    (budget_bytes / permits.max(1) as u64).max(MIN_MEMORY.0)
}

/// The configuration of this process: the flags in `args` (which hold the variables already), the file that they name,
/// and what the machine has.
pub fn load(args: ConfigArgs, mode: Mode) -> Result<Settings, ConfigError> {
    environment::refuse_unknown(environment::names())?;
    let file = match &args.config {
        None => Layer::default(),
        Some(path) => read(path)?,
    };
    let given = args.layer.or(file).or(environment::standard());
    let settings = resolve(given, Layer::default(), mode, &Machine::this())?;
    Ok(Settings {
        ecs_agent: environment::ecs_agent(),
        ..settings
    })
}

fn read(path: &Path) -> Result<Layer, ConfigError> {
    let failed = |message: String| ConfigError::File {
        path: path.to_owned(),
        message,
    };
    let text = std::fs::read_to_string(path).map_err(|e| failed(format!("cannot be read: {e}")))?;
    read_file(&text).map_err(|e| failed(e.to_string()))
}

/// The configuration that follows from flags (and variables), a file and a machine. Reads nothing.
pub fn resolve(flags: Layer, file: Layer, mode: Mode, machine: &Machine) -> Result<Settings, ConfigError> {
    let given = flags.or(file);
    let cores = machine.cores.max(1);
    let heavy_permits = count("heavy_permits", given.heavy_permits, cores, 1_024)?;
    let memory_budget_bytes = given
        .memory_budget
        .map_or_else(|| machine.default_budget_bytes(), |size| size.0);
    at_least("memory_budget", memory_budget_bytes, MIN_MEMORY)?;
    let fair_share = fair_share_bytes(memory_budget_bytes, heavy_permits);
    let standard_limit_bytes = given.memory_limit.map_or(fair_share, |size| size.0);
    at_least("memory_limit", standard_limit_bytes, MIN_MEMORY)?;
    if standard_limit_bytes > memory_budget_bytes {
        return Err(ConfigError::Value {
            setting: "memory_limit",
            message: format!(
                "{} is more than memory_budget, which is {}; lower it, or raise memory_budget",
                ByteSize(standard_limit_bytes),
                ByteSize(memory_budget_bytes)
            ),
        });
    }
    let metrics_addr_is_given = given.metrics_addr.is_some();
    let metrics_addr = given.metrics_addr.unwrap_or(match mode {
        Mode::Pool => MetricsAddr::DEFAULT,
        Mode::Run => MetricsAddr::Off,
    });
    Ok(Settings {
        backend: given.backend.unwrap_or_default(),
        durability: given.durability.unwrap_or_default(),
        lease: span("lease", given.lease, 30_000, 300, 3_600_000)?,
        drain_timeout: span("drain_timeout", given.drain_timeout, 110_000, 0, 86_400_000)?,
        sweep_interval: span("sweep_interval", given.sweep_interval, 30_000, 50, 3_600_000)?,
        permits: count("permits", given.permits, cores.saturating_mul(2), 65_536)?,
        heavy_permits,
        memory_budget_bytes,
        standard_limit_bytes,
        scratch: given.scratch.unwrap_or_else(|| machine.temp_dir.clone()),
        scratch_limit_bytes: given.scratch_limit.map(|size| size.0),
        source_folders: given.source_folders.unwrap_or_default().0,
        source_buckets: given.source_buckets.unwrap_or_default().0,
        metrics_addr: metrics_addr.address(),
        metrics_addr_is_given,
        log_format: given.log_format.unwrap_or_default(),
        log: given.log.unwrap_or_default(),
        otlp_endpoint: given
            .otlp_endpoint
            .as_deref()
            .map(outside::collector)
            .transpose()?,
        notify_url: given.notify_url.as_ref().map(SecretUrl::check).transpose()?,
        notify_on: given.notify_on.unwrap_or_default(),
        worker_id: given.worker_id,
        build: given
            .build
            .map_or_else(|| env!("CARGO_PKG_VERSION").to_owned(), |build| build.0),
        ecs_agent: None,
        test_stages: given.test_stages.unwrap_or(false),
        test_pause_at: given.test_pause_at,
        test_clock_offset_ms: given.test_clock_offset_ms.unwrap_or(0),
    })
}

/// The least memory that a stage can do anything with.
const MIN_MEMORY: ByteSize = ByteSize(64 * 1024 * 1024);

fn at_least(setting: &'static str, bytes: u64, least: ByteSize) -> Result<(), ConfigError> {
    if bytes >= least.0 {
        return Ok(());
    }
    Err(ConfigError::Value {
        setting,
        message: format!("{} is too little; give at least {least}", ByteSize(bytes)),
    })
}

fn count(
    setting: &'static str,
    given: Option<usize>,
    default: usize,
    most: usize,
) -> Result<usize, ConfigError> {
    match given.unwrap_or(default.min(most)) {
        n if (1..=most).contains(&n) => Ok(n),
        n => Err(ConfigError::Value {
            setting,
            message: format!("{n} is not possible; give 1 to {most}"),
        }),
    }
}

fn span(
    setting: &'static str,
    given: Option<Span>,
    default_ms: u64,
    least_ms: u64,
    most_ms: u64,
) -> Result<Duration, ConfigError> {
    let [default, least, most] = [default_ms, least_ms, most_ms].map(Duration::from_millis);
    match given.map_or(default, |span| span.0) {
        span if (least..=most).contains(&span) => Ok(span),
        span => Err(ConfigError::Value {
            setting,
            message: format!(
                "{} is not possible; give {} to {}",
                Span(span),
                Span(least),
                Span(most)
            ),
        }),
    }
}

#[cfg(test)]
mod tests;
