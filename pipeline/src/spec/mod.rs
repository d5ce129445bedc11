//! Specifications: what a person writes, checked before anything runs.

mod load;
mod params;
mod refresh;
mod settings;
pub mod stages;
#[cfg(feature = "schema")]
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Sha256Digest;
use crate::id::{PipelineName, StepName};
use crate::item::Budget;
use crate::item::MAX_BRANCHES;
use crate::plan::{Branches, Plan, PlanError, PlanStep};
use crate::time::human;

pub use load::{MAX_SPEC_BYTES, Overrides, Problem, Problems, load};
pub use params::{
    Allocate, CATALOGUE, Crash, CrashHow, FanOut, Flaky, FlakyHow, Kind, Noop, RegisterParams, Sleep,
    StageParams, Weight, kind,
};
#[cfg(feature = "schema")]
pub(crate) use params::{params_schemas, sorted_value};
pub use settings::{Setting, by_name};
pub use stages::Finding;
#[cfg(feature = "schema")]
pub(crate) use written::Written;

/// The longest a run may be allowed to take.
pub const MAX_DEADLINE: Duration = Duration::from_secs(90 * 86_400);

/// A checked specification. Its canonical form ([`Spec::canonical`]) is stored once and named by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What runs of it are called.
    pub pipeline: PipelineName,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How long a run may take, waiting in queues included, before it fails.
    #[serde(default = "default_deadline", with = "human")]
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = human::PATTERN)))]
    pub deadline: Duration,
    /// What stages draw their randomness from.
    #[serde(default)]
    pub seed: u64,
    /// What each step may spend on failures.
    #[serde(default)]
    pub retry: Retry,
    /// Values that stand for `${name}` in the steps' texts; `--set name=value` replaces them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Parameter>,
    /// Steps that do their work anew, whatever the cache has. Not for the written form: see [`Spec::set_refresh`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub refresh: Vec<StepName>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Parameter {
    /// true or false
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Integer(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Text(v) => f.write_str(v),
        }
    }
}

/// How often a step may fail before its run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Deaths of the worker or its child without a known cause; at least 1, as an attempt counts as one until it ends.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub crash: u32,
    /// Failures that may pass by themselves.
    pub transient: u32,
    /// Deaths of memory.
    pub memory: u32,
}

impl Default for Retry {
    fn default() -> Self {
        let Budget {
            crash,
            transient,
            memory,
        } = Budget::DEFAULT_MAX;
        Self {
            crash,
            transient,
            memory,
        }
    }
}

/// One step as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "RawStep"))]
#[serde(try_from = "RawStep", into = "RawStep")]
pub struct Step {
    /// Its name, unique within the specification.
    pub step: StepName,
    /// Which stage does it, with what.
    pub params: StageParams,
    /// Whether, and how, it is fanned out.
    pub branches: Option<Branches>,
    /// How many of its branches must succeed.
    pub min_succeeded: u32,
    /// How long one attempt may take; its child process is killed then, which counts as a passing failure.
    pub time_limit: Option<Duration>,
}

/// A step in the form that is written and stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawStep {
    /// Its name; the stage's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<StepName>,
    /// Which stage does it.
    stage: String,
    /// What the stage is to do.
    #[serde(default)]
    params: serde_json::Map<String, serde_json::Value>,
    /// A number of branches, or `"from-predecessor"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    branches: Option<RawBranches>,
    /// How many branches must succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_BRANCHES)))]
    min_succeeded: Option<u32>,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = human::PATTERN)))]
    time_limit: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Branches")
)]
#[serde(untagged)]
enum RawBranches {
    Number(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_BRANCHES)))] u32),
    Text(#[cfg_attr(feature = "schema", schemars(extend("const" = FROM_PREDECESSOR)))] String),
}

const FROM_PREDECESSOR: &str = "from-predecessor";

// By hand, for an error that says what may be written.
impl<'de> Deserialize<'de> for RawBranches {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Number(n) => match n.as_u64().map(u32::try_from) {
                Some(Ok(n)) => Ok(Self::Number(n)),
                Some(Err(_)) | None => Err(serde::de::Error::custom(format!(
                    "{n} is no number of branches: 1 to {MAX_BRANCHES} are allowed"
                ))),
            },
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(
                serde::de::Error::custom(format!("must be a number, or \"{FROM_PREDECESSOR}\"")),
            ),
        }
    }
}

impl TryFrom<RawStep> for Step {
    type Error = String;

    fn try_from(mut raw: RawStep) -> Result<Self, String> {
        let params = StageParams::parse(&raw.stage, std::mem::take(&mut raw.params))?;
        raw.with(params)
    }
}

impl RawStep {
    /// The step, once its own parameters are read. An error begins with the key that it is about.
    fn with(self, params: StageParams) -> Result<Step, String> {
        let branches = match self.branches {
            None => None,
            Some(RawBranches::Number(n)) => Some(Branches::Known(n)),
            Some(RawBranches::Text(text)) if text == FROM_PREDECESSOR => Some(Branches::FromPredecessor),
            Some(RawBranches::Text(text)) => {
                return Err(format!(
                    "branches: {text:?} is neither a number nor \"{FROM_PREDECESSOR}\""
                ));
            }
        };
        if branches.is_none() && self.min_succeeded.is_some() {
            return Err("min_succeeded: only a step with `branches` has it".into());
        }
        let time_limit = match self.time_limit {
            None => None,
            Some(text) => Some(time_limit(&text).map_err(|e| format!("time_limit: {e}"))?),
        };
        let step = match self.step {
            Some(step) => step,
            None => StepName::new(&self.stage).map_err(|e| e.to_string())?,
        };
        Ok(Step {
            step,
            params,
            branches,
            min_succeeded: self.min_succeeded.unwrap_or(1),
            time_limit,
        })
    }
}

/// How long an attempt may take, as people write it.
fn time_limit(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(limit) if !limit.is_zero() => Ok(limit),
        Ok(_) => Err("must be longer than nothing".into()),
        Err(e) => Err(format!(
            "{text:?} is no duration ({e}); write for example \"90s\", \"10m\""
        )),
    }
}

impl From<Step> for RawStep {
    fn from(step: Step) -> Self {
        Self {
            stage: step.params.stage().to_string(),
            params: step.params.to_map(),
            min_succeeded: step.branches.map(|_| step.min_succeeded),
            branches: step.branches.map(|b| match b {
                Branches::Known(n) => RawBranches::Number(n),
                Branches::FromPredecessor => RawBranches::Text(FROM_PREDECESSOR.into()),
            }),
            time_limit: step
                .time_limit
                .map(|limit| humantime::format_duration(limit).to_string()),
            step: Some(step.step),
        }
    }
}

fn default_deadline() -> Duration {
    Duration::from_secs(7 * 86_400)
}

impl Spec {
    /// The canonical form: what is stored, and what the digest is of. Equal specifications have equal bytes.
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names, numbers and texts always serialise")
    }

    /// Reads what [`Spec::canonical`] wrote.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The digest of the canonical form.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.canonical())
    }

    /// The plan of its steps.
    pub fn plan(&self) -> Result<Plan, Vec<PlanError>> {
        Plan::new(
            self.steps
                .iter()
                .map(|s| {
                    let kind = s.params.kind();
                    PlanStep {
                        step: s.step.clone(),
                        stage: s.params.stage(),
                        largest: kind.largest,
                        branches: s.branches,
                        min_succeeded: s.min_succeeded,
                    }
                })
                .collect(),
        )
    }

    /// Makes relative paths of sources absolute: they are relative to `folder`, the absolute folder of the file that
    /// the specification was read from, wherever the run is worked on. URIs (`s3://…`) stay. Whoever reads a
    /// specification from a file calls it, before anything depends on the digest.
    pub fn anchor(&mut self, folder: &Path) {
        for path in self.source_files() {
            // By components, so that `./a.csv` and `a.csv` are one path.
            let anchored: PathBuf = folder.join(&*path).components().collect();
            *path = anchored.to_string_lossy().into_owned();
        }
    }

    /// The paths of sources that are files, and no URIs.
    pub fn source_files(&mut self) -> impl Iterator<Item = &mut String> {
        let sources = self.steps.iter_mut().filter_map(|step| match &mut step.params {
            StageParams::Extract(extract) => Some(&mut extract.sources),
            StageParams::Predict(predict) => Some(&mut predict.sources),
            _ => None,
        });
        sources
            .flat_map(|sources| sources.values_mut())
            .map(|source| &mut source.path)
            .filter(|path| !path.contains("://"))
    }

    /// All that no stage could do anything sensible with. [`load()`] asks it; so must whoever takes a specification from
    /// elsewhere.
    pub fn check(&self) -> Vec<Finding> {
        stages::check(&self.steps)
    }

    /// The step of that name.
    pub fn step(&self, name: &StepName) -> Option<&Step> {
        self.steps.iter().find(|s| s.step == *name)
    }

    /// What each step may spend.
    pub fn max(&self) -> Budget {
        let Retry {
            crash,
            transient,
            memory,
        } = self.retry;
        Budget {
            crash,
            transient,
            memory,
        }
    }

    /// True if a step belongs to a stage that only tests and benches use.
    pub fn needs_test_stages(&self) -> bool {
        self.steps.iter().any(|s| s.params.kind().for_tests)
    }
}
