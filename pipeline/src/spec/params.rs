//! What each stage can be told, typed, so that producer, intake and stages check the same thing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{AliasName, ModelName, StageName};
use crate::item::MemoryClass;

use super::load::{Mistake, read};
use super::stages::{Deploy, Evaluate, Explain, Extract, Predict, Train, Transform, Validate};

/// Where a stage's work runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weight {
    /// In the pool's own process.
    Light,
    /// In a child process of its own, whose memory and time are limited and whose death is survived.
    Heavy,
}

/// What is known of a stage without its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Where its work runs.
    pub weight: Weight,
    /// The largest memory class that it is deployed in.
    pub largest: MemoryClass,
    /// True if only tests and benches use it.
    pub for_tests: bool,
    /// True if a result may serve again where everything that it depends on is the same.
    pub cacheable: bool,
    /// What it does, in a line.
    pub about: &'static str,
}

macro_rules! stages {
    ($($variant:ident $name:literal $weight:ident $largest:ident $for_tests:literal $cacheable:literal $about:literal),* $(,)?) => {
        /// What a step's stage is told.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "stage", content = "params")]
        pub enum StageParams {
            $(#[doc = $about] #[serde(rename = $name)] $variant($variant),)*
        }

        /// Every stage that there is, by name. A new stage is a line here, a folder in the crate `stages` and a line in
        /// its registry.
        pub const CATALOGUE: &[Kind] = &[
            $(Kind { name: $name, weight: Weight::$weight, largest: MemoryClass::$largest, for_tests: $for_tests, cacheable: $cacheable, about: $about },)*
        ];

        /// The schema of what each stage is told, by the stage's name.
        #[cfg(feature = "schema")]
        pub(crate) fn params_schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($name, generator.subschema_for::<$variant>()),)*]
        }

        impl StageParams {
            /// Checks `params` against what the stage of that name can be told.
            pub fn parse(stage: &str, params: Map<String, Value>) -> Result<Self, String> {
                match stage {
                    $($name => serde_json::from_value(Value::Object(params)).map(Self::$variant).map_err(|e| format!("params of stage {stage}: {e}")),)*
                    _ => Err(unknown(stage)),
                }
            }

            /// What is right of `params`, which stand at `{key}.params`, and all that is wrong with them.
            pub(super) fn read(stage: &str, params: Map<String, Value>, key: &str, told: &[String]) -> (Option<Self>, Vec<Mistake>) {
                let (value, at) = (Value::Object(params), format!("{key}.params"));
                match stage {
                    $($name => {
                        let (params, mistakes) = read::<$variant>(value, &at, told);
                        (params.map(Self::$variant), mistakes)
                    })*
                    _ => (None, vec![Mistake { key: format!("{key}.stage"), message: unknown(stage) }]),
                }
            }

            /// As it is written.
            pub fn to_map(&self) -> Map<String, Value> {
                let value = match self { $(Self::$variant(params) => serde_json::to_value(params),)* };
                match value {
                    Ok(Value::Object(map)) => sorted(map),
                    // Parameters are structs of names, numbers and texts, which serialise to objects.
                    _ => Map::new(),
                }
            }

            /// What is known of its stage.
            pub fn kind(&self) -> &'static Kind {
                let name = match self { $(Self::$variant(_) => $name,)* };
                kind(name).expect("the catalogue has a line for every variant: one macro makes both")
            }
        }
    };
}

stages! {
    Extract "extract" Heavy Large false true "Reads the sources, joins them by SQL, splits the rows and describes the columns.",
    Validate "validate" Heavy Large false true "Checks the data against rules and against the champion's training data.",
    Transform "transform" Heavy Large false true "Fits the feature program on train and applies it to every split.",
    Train "train" Heavy Large false true "Trains one candidate in each branch.",
    Evaluate "evaluate" Heavy Large false true "Chooses the winner, measures it on test and decides the gates.",
    Explain "explain" Heavy Large false true "Says why the winner predicts as it does.",
    Deploy "deploy" Heavy Standard false false "Packs the winner, proves the package in a fresh process and registers it.",
    Predict "predict" Heavy Large false true "Predicts a data set with a registered model.",
    Noop "noop" Light Standard true false "Does nothing, or writes a few bytes, and ends as it is told.",
    Sleep "sleep" Heavy Standard true false "Waits in a child process.",
    Crash "crash" Heavy Large true false "Dies in the way it is told, in its first attempts.",
    Allocate "allocate" Heavy Large true false "Takes and touches memory.",
    Flaky "flaky" Light Large true false "Fails in its first attempts, in the way it is told.",
    FanOut "fan-out" Light Standard true false "Says into how many branches the next step is fanned out.",
}

impl StageParams {
    /// The stage's name.
    pub fn stage(&self) -> StageName {
        StageName::new(self.kind().name).expect("names in the catalogue are ids; a test holds it")
    }
}

/// The same with all keys in the order of their names, whatever order this build of `serde_json` keeps: another crate may
/// switch on its feature `preserve_order`, and the canonical form must not depend on who else is in the binary.
pub(crate) fn sorted(map: Map<String, Value>) -> Map<String, Value> {
    let by_name: std::collections::BTreeMap<String, Value> = map.into_iter().collect();
    by_name
        .into_iter()
        .map(|(key, value)| (key, sorted_value(value)))
        .collect()
}

/// [`sorted`] for any value.
pub(crate) fn sorted_value(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(sorted(map)),
        Value::Array(values) => values.into_iter().map(sorted_value).collect(),
        other => other,
    }
}

/// What is known of the stage of that name.
pub fn kind(stage: &str) -> Option<&'static Kind> {
    CATALOGUE.iter().find(|k| k.name == stage)
}

fn unknown(stage: &str) -> String {
    let names: Vec<&str> = CATALOGUE.iter().map(|k| k.name).collect();
    match super::load::nearest(stage, &names) {
        Some(near) => format!("there is no stage {stage:?}; did you mean {near:?}?"),
        None => format!("there is no stage {stage:?}; there are {}", names.join(", ")),
    }
}

/// What `noop` is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Noop {
    /// Writes an artifact of this many bytes, made from the seed and the digests of what it reads: all artifacts of
    /// the step before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bytes: Option<u64>,
    /// Ends by halting the run for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halt: Option<String>,
    /// Ends by registering what it wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register: Option<RegisterParams>,
}

/// What a registering `noop` declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RegisterParams {
    /// Under which name.
    pub model: ModelName,
    /// Which alias to move.
    pub alias: Option<AliasName>,
    /// The revision that the alias must have.
    #[serde(default)]
    pub expected_revision: u64,
}

/// What `sleep` is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// For how long.
    pub ms: u64,
    /// Goes on sleeping when it is told to stop, so that it must be killed.
    #[serde(default)]
    pub stubborn: bool,
}

/// How `crash` dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CrashHow {
    /// By `abort`.
    Abort,
    /// By a signal that cannot be caught.
    Kill,
    /// By an exit code without a word.
    Exit,
    /// By a panic.
    Panic,
}

/// What `crash` is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// How it dies.
    pub how: CrashHow,
    /// In how many first attempts.
    pub attempts: u32,
}

/// What `allocate` is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Allocate {
    /// How much to take and touch.
    pub mib: u64,
    /// How much it is estimated to take; nothing is estimated if this is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate_mib: Option<u64>,
}

/// How `flaky` fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FlakyHow {
    /// In a passing way.
    #[default]
    Transient,
    /// For good.
    Permanent,
    /// As if its memory had run out.
    Memory,
    /// By a panic.
    Panic,
}

/// What `flaky` is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Flaky {
    /// In how many first attempts.
    pub attempts: u32,
    /// How it fails.
    #[serde(default)]
    pub how: FlakyHow,
    /// Only in branches with these ordinals; in all, and outside of branches, if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_branches: Vec<u32>,
}

/// What `fan-out` is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FanOut {
    /// How many branches it asks for.
    pub branches: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ids_and_no_queue_is_anothers() {
        let mut queues = std::collections::BTreeSet::new();
        for kind in CATALOGUE {
            let stage = StageName::new(kind.name).expect("an id");
            for class in MemoryClass::ALL {
                let name = crate::QueueName {
                    stage: stage.clone(),
                    class,
                }
                .to_string();
                assert!(queues.insert(name.clone()), "{name} is the queue of two pools");
            }
        }
    }
}
