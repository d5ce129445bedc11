//! From a text to a checked specification, or to all that is wrong with it, with lines.

mod data;
mod lines;
mod read;
mod sections;
mod substitute;
#[cfg(test)]
mod tests;
mod wording;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml::de::DeTable;

use crate::id::PipelineName;
use crate::intake::Rules;
use crate::time::human;

use super::{MAX_DEADLINE, Parameter, RawStep, Retry, Spec, StageParams, Step, default_deadline};
#[cfg(feature = "schema")]
pub(super) use data::{Data, Prediction};
pub(super) use read::{Mistake, read};
use sections::{SECTIONS, Written};
pub(super) use wording::nearest;

/// The largest specification that is read, in bytes.
pub const MAX_SPEC_BYTES: usize = 1024 * 1024;

/// The most problems that are told at once.
const MAX_PROBLEMS: usize = 100;

/// What `--set name=value` and the like put in the place of a specification's own parameters.
pub type Overrides = BTreeMap<String, Parameter>;

/// One thing that is wrong with a specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In which line, from 1, if it can be said.
    pub line: Option<usize>,
    /// At which key, such as `data.label` or `steps[2].params.ms`.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.key.as_str()) {
            (Some(line), "") => write!(f, "line {line}: {}", self.message),
            (Some(line), key) => write!(f, "line {line}, {key}: {}", self.message),
            (None, "") => f.write_str(&self.message),
            (None, key) => write!(f, "{key}: {}", self.message),
        }
    }
}

/// All that is wrong with a specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    fn one(line: Option<usize>, message: impl Into<String>) -> Self {
        Self(vec![Problem {
            line,
            key: String::new(),
            message: message.into(),
        }])
    }
}

/// Reads a specification in TOML: `[[steps]]`, or sections of which steps are made. `overrides` take the place of its
/// own parameters of the same names. The text alone decides; paths of sources stay as they are written until
/// [`Spec::anchor`].
pub fn load(text: &str, overrides: &Overrides) -> Result<Spec, Problems> {
    if text.len() > MAX_SPEC_BYTES {
        let message = format!(
            "a specification of {} bytes: at most {MAX_SPEC_BYTES} are read",
            text.len()
        );
        return Err(Problems::one(None, message));
    }
    let document = DeTable::parse(text).map_err(|e| {
        let line = e.span().map(|span| lines::line_of(text, span.start));
        Problems::one(line, e.message().trim())
    })?;
    let mut loader = Loader {
        text,
        document: document.get_ref(),
        problems: Vec::new(),
        left_out: 0,
    };
    let spec = loader.spec(overrides);
    let Loader {
        mut problems,
        left_out,
        ..
    } = loader;
    match spec {
        Some(spec) if problems.is_empty() => Ok(spec),
        _ => {
            problems.sort_by_key(|p| p.line);
            if left_out > 0 {
                problems.extend(Problems::one(None, format!("… and {left_out} more")).0);
            }
            Err(Problems(problems))
        }
    }
}

/// What stands beside steps and sections.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(default)]
    pipeline: Option<PipelineName>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default = "default_deadline", with = "human")]
    deadline: Duration,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    retry: Retry,
}

const HEAD: [&str; 5] = ["pipeline", "description", "deadline", "seed", "retry"];

struct Loader<'a> {
    text: &'a str,
    document: &'a DeTable<'a>,
    problems: Vec<Problem>,
    /// How many more there are.
    left_out: usize,
}

impl Loader<'_> {
    fn problem(&mut self, key: impl Into<String>, message: impl Into<String>) {
        if self.problems.len() >= MAX_PROBLEMS {
            self.left_out += 1;
            return;
        }
        let key = key.into();
        let line = lines::line_at(self.text, self.document, &key);
        self.problems.push(Problem {
            line,
            key,
            message: message.into(),
        });
    }

    fn spec(&mut self, overrides: &Overrides) -> Option<Spec> {
        let mut top = lines::to_object(self.document);
        let parameters = self.parameters(top.remove("parameters"), overrides);
        self.unknown_keys(&mut top);
        self.intake(top.remove("intake"), &parameters);
        let has_name = top.contains_key("pipeline");
        self.substitute_in(&mut top, "", &parameters);
        let mut head = Map::new();
        for key in HEAD {
            head.extend(top.remove_entry(key));
        }
        // Whatever is wrong with it was told, so that only what is right of it is left.
        let Head {
            pipeline,
            description,
            deadline,
            seed,
            retry,
        } = self.read(Value::Object(head), "")?;
        if !has_name {
            self.problem(
                "",
                "`pipeline` is missing; write pipeline = \"a-name\" in the first line",
            );
        }
        let pipeline = pipeline.or_else(|| PipelineName::new("unnamed").ok())?;
        if deadline > MAX_DEADLINE || deadline.is_zero() {
            self.problem(
                "deadline",
                format!(
                    "must be longer than nothing and at most {}",
                    humantime::format_duration(MAX_DEADLINE)
                ),
            );
        }
        if retry.crash == 0 {
            self.problem(
                "retry.crash",
                "must be at least 1: the first attempt already counts as a crash until it ends",
            );
        }
        let (steps, written) = self.work(top, &pipeline);
        let spec = Spec {
            pipeline,
            description,
            deadline,
            seed,
            retry,
            parameters,
            refresh: Vec::new(),
            steps,
        };
        let told: Vec<String> = self.problems.iter().map(|p| p.key.clone()).collect();
        for finding in spec.check() {
            let key = written.key_of(&spec, finding.step, &finding.path);
            // What was taken out or left empty because of a mistake that was told is no second mistake.
            let is_told =
                |told: &String| !told.is_empty() && (key.starts_with(told) || told.starts_with(&key));
            if !told.iter().any(is_told) {
                self.problem(key, finding.message);
            }
        }
        // A step that could not be read would only make the plan look wrong.
        if self.problems.is_empty() {
            for error in spec.plan().err().into_iter().flatten() {
                self.problem("steps", error.to_string());
            }
        }
        Some(spec)
    }

    /// The rules of intake are no part of a specification, only written beside it: a run does not depend on them.
    fn intake(&mut self, rules: Option<Value>, parameters: &Overrides) {
        let Some(rules) = rules.and_then(|rules| self.read::<Rules>(rules, "intake")) else {
            return;
        };
        let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
        for (key, message) in rules.mistakes(&names) {
            self.problem(format!("intake.{key}"), message);
        }
    }

    fn unknown_keys(&mut self, top: &mut Map<String, Value>) {
        let known: Vec<&str> = HEAD
            .into_iter()
            .chain(["parameters", "intake", "steps"])
            .chain(SECTIONS)
            .collect();
        let unknown: Vec<String> = top
            .keys()
            .filter(|k| !known.contains(&k.as_str()))
            .cloned()
            .collect();
        for key in unknown {
            top.remove(&key);
            let message = wording::unknown(&key, &known);
            self.problem(key, message);
        }
    }

    /// The steps that can be made of what is written, and how it is written.
    fn work(&mut self, mut top: Map<String, Value>, pipeline: &PipelineName) -> (Vec<Step>, Written) {
        let Some(steps) = top.remove("steps") else {
            return self.sections(top, pipeline);
        };
        for section in top.keys() {
            self.problem(
                section.clone(),
                "a specification has either [[steps]] or sections, not both; take one of them out",
            );
        }
        (self.steps(steps), Written::Steps)
    }

    fn steps(&mut self, steps: Value) -> Vec<Step> {
        let Value::Array(steps) = steps else {
            self.problem(
                "steps",
                "must be a list: write [[steps]] and under it stage = \"…\"",
            );
            return Vec::new();
        };
        if steps.is_empty() {
            self.problem(
                "steps",
                "there are none: write [[steps]] and under it stage = \"…\"",
            );
        }
        let mut good = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            let key = format!("steps[{at}]");
            let Some(mut raw) = self.read::<RawStep>(step, &key) else {
                continue;
            };
            let told: Vec<String> = self.problems.iter().map(|p| p.key.clone()).collect();
            let (params, mistakes) =
                StageParams::read(&raw.stage, std::mem::take(&mut raw.params), &key, &told);
            self.told(mistakes);
            match params.map(|params| raw.with(params)) {
                Some(Ok(step)) => good.push(step),
                Some(Err(message)) => self.told(vec![Mistake::within(&key, &message)]),
                None => {}
            }
        }
        good
    }

    /// A value of what is right in `value`, which stands at `key`; whatever is wrong is told.
    fn read<T: DeserializeOwned>(&mut self, value: Value, key: &str) -> Option<T> {
        let told: Vec<String> = self.problems.iter().map(|p| p.key.clone()).collect();
        let (value, mistakes) = read(value, key, &told);
        self.told(mistakes);
        value
    }

    fn told(&mut self, mistakes: Vec<Mistake>) {
        for Mistake { key, message } in mistakes {
            self.problem(key, message);
        }
    }
}
