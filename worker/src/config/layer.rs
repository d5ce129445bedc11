//! The settings as they are given, each of them or none: by flags and variables, or by a file.

use std::path::PathBuf;

use pipeline::{Address, WorkerId};
use serde::Deserialize;

use super::outside::{NotifyOn, SecretUrl};
use super::values::{
    Buckets, BuildName, ByteSize, Durability, Folders, LogFilter, LogFormat, MetricsAddr, Span,
};
use super::{ConfigError, environment};

/// Declares every setting once: as a flag, a variable, a key of the file, and a field that a lower layer may fill in.
macro_rules! layer {
    ($($(#[$meta:meta])* $name:ident $variable:literal: $type:ty,)*) => {
        /// Some settings. What is absent is left to the next layer.
        #[derive(Debug, Clone, PartialEq, Default, Deserialize, clap::Args)]
        #[serde(deny_unknown_fields, default)]
        pub struct Layer {
            $($(#[$meta])* #[arg(long, env = $variable, hide_env_values = true)] pub $name: Option<$type>,)*
        }

        impl Layer {
            /// The names of all settings, as a file has them.
            pub(super) const KEYS: &'static [&'static str] = &[$(stringify!($name)),*];
            /// The same as variables.
            pub(super) const VARIABLES: &'static [&'static str] = &[$($variable),*];

            /// These settings, and those of `lower` where these are absent.
            #[must_use]
            pub fn or(self, lower: Self) -> Self {
                Self { $($name: self.$name.or(lower.$name),)* }
            }
        }
    };
}

layer! {
    /// Where queues, runs and artifacts are: local:FOLDER, or aws:NAME [default: local:.fleetline]
    #[arg(value_name = "BACKEND")]
    backend "FLEETLINE_BACKEND": Address,
    /// What a commit waits for: "full" survives a power cut, "normal" a crash of the process [default: full]
    #[arg(value_name = "full|normal")]
    durability "FLEETLINE_DURABILITY": Durability,
    /// For how long a worker that is not heard of keeps its work [default: 30s]
    #[arg(value_name = "DURATION")]
    lease "FLEETLINE_LEASE": Span,
    /// How long a worker that is told to end may finish what it began [default: 110s]
    #[arg(value_name = "DURATION")]
    drain_timeout "FLEETLINE_DRAIN_TIMEOUT": Span,
    /// How often open runs are looked through for what got lost [default: 30s]
    #[arg(value_name = "DURATION")]
    sweep_interval "FLEETLINE_SWEEP_INTERVAL": Span,
    /// How many attempts of light stages at once [default: twice the cores]
    #[arg(value_name = "N")]
    permits "FLEETLINE_PERMITS": usize,
    /// How many attempts of heavy stages, each in a child process, at once [default: the cores]
    #[arg(value_name = "N")]
    heavy_permits "FLEETLINE_HEAVY_PERMITS": usize,
    /// Memory for all heavy attempts together, as 12GiB [default: 80 % of the machine's, or of the container's limit]
    #[arg(value_name = "SIZE")]
    memory_budget "FLEETLINE_MEMORY_BUDGET": ByteSize,
    /// Memory for one heavy attempt in the class standard [default: memory budget / heavy permits]
    #[arg(value_name = "SIZE")]
    memory_limit "FLEETLINE_MEMORY_LIMIT": ByteSize,
    /// Where inputs and outputs lie while a stage works [default: the system's folder for temporary files]
    #[arg(value_name = "FOLDER")]
    scratch "FLEETLINE_SCRATCH": PathBuf,
    /// How much of it one heavy attempt may take, as 20GiB [default: what is free]
    #[arg(value_name = "SIZE")]
    scratch_limit "FLEETLINE_SCRATCH_LIMIT": ByteSize,
    /// The only folders whose files stages may read as sources
    /// [default: the working directory; a run also reads the folder of its specification]
    #[arg(value_name = "FOLDER,…")]
    source_folders "FLEETLINE_SOURCE_FOLDERS": Folders,
    /// On AWS, the only buckets, or parts of them, whose objects stages may read as sources [default: none]
    #[arg(value_name = "s3://BUCKET[/PREFIX],…")]
    source_buckets "FLEETLINE_SOURCE_BUCKETS": Buckets,
    /// Where /metrics, /healthz, /readyz and /startupz are, as 127.0.0.1:9464; port 0 is any, "off" is nowhere
    /// [default: 127.0.0.1:9464 for a pool, or any free port if that is taken; off for a run]
    #[arg(value_name = "ADDRESS")]
    metrics_addr "FLEETLINE_METRICS_ADDR": MetricsAddr,
    /// How log lines look: "auto" is text on a terminal and JSON elsewhere [default: auto]
    #[arg(value_name = "auto|text|json")]
    log_format "FLEETLINE_LOG_FORMAT": LogFormat,
    /// Which log lines: a level, or levels by module, as info,worker=debug [default: info]
    #[arg(value_name = "FILTER")]
    log "FLEETLINE_LOG": LogFilter,
    /// Where spans go by OTLP (protobuf over HTTP), as http://collector:4318 [default: OTEL_EXPORTER_OTLP_ENDPOINT, or nowhere]
    #[arg(value_name = "URL")]
    otlp_endpoint "FLEETLINE_OTLP_ENDPOINT": String,
    /// A webhook that is told of runs that failed: https, or http on this machine; keep it in the file or the variable, for it
    /// is a secret [default: nobody is told]
    #[arg(value_name = "URL")]
    notify_url "FLEETLINE_NOTIFY_URL": SecretUrl,
    /// Of which ends it is told: "failed", or "failed,halted" [default: failed]
    #[arg(value_name = "ENDS")]
    notify_on "FLEETLINE_NOTIFY_ON": NotifyOn,
    /// What this worker is called [default: made up]
    #[arg(value_name = "ID")]
    worker_id "FLEETLINE_WORKER_ID": WorkerId,
    /// What this build is called in runs and lists, as the tag of its image [default: the version]
    #[arg(value_name = "NAME")]
    build "FLEETLINE_BUILD": BuildName,
    /// Also work for the stages that only tests and benches use
    #[arg(value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    test_stages "FLEETLINE_TEST_STAGES": bool,
    /// For tests: stop at this moment and wait to be killed
    #[arg(hide = true)]
    test_pause_at "FLEETLINE_TEST_PAUSE_AT": String,
    /// For tests: put the wall clock so far ahead
    #[arg(hide = true, allow_hyphen_values = true)]
    test_clock_offset_ms "FLEETLINE_TEST_CLOCK_OFFSET_MS": i64,
}

/// Reads a configuration file's text, in TOML.
pub fn read_file(text: &str) -> Result<Layer, ConfigError> {
    // First by hand: an unknown key is the likeliest mistake, and we can say more about it than the parser.
    if let Ok(table) = text.parse::<toml::Table>()
        && let Some(unknown) = table.keys().find(|key| !Layer::KEYS.contains(&key.as_str()))
    {
        let hint = environment::hint(unknown, Layer::KEYS, "known keys are");
        return Err(ConfigError::Text(format!("unknown key `{unknown}`; {hint}")));
    }
    toml::from_str(text).map_err(|e| ConfigError::Text(e.to_string().trim_end().to_owned()))
}
