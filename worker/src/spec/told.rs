//! A specification in a few lines: steps, candidates, gates.

use std::fmt;
use std::time::Duration;

use pipeline::Spec;
use pipeline::plan::Branches;
use pipeline::spec::stages::{
    Boundary, Candidate, Deploy, Evaluate, Explain, Extract, Gate, MetricKind, Predict, Source, Split,
    TaskName, Transform, Validate,
};
use pipeline::spec::{StageParams, Step};
use serde::Serialize;
use serde_json::{Map, Value};

/// What a specification says, for people and scripts.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pipeline: String,
    seed: u64,
    deadline: String,
    steps: Vec<ToldStep>,
    candidates: Vec<ToldCandidate>,
    gates: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ToldStep {
    step: String,
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    branches: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_limit: Option<String>,
    about: String,
}

#[derive(Debug, Serialize)]
struct ToldCandidate {
    name: String,
    #[serde(flatten)]
    keys: Map<String, Value>,
}

impl Told {
    pub(super) fn of(spec: &Spec) -> Self {
        let mut candidates = Vec::new();
        let mut gates = Vec::new();
        for step in &spec.steps {
            match &step.params {
                StageParams::Train(train) => candidates.extend(train.candidates.iter().map(candidate)),
                StageParams::Evaluate(evaluate) => {
                    gates.extend(evaluate.gates.iter().map(gate));
                    if let Some(model) = &evaluate.model {
                        let alias = evaluate.alias.as_ref().map_or("champion", |alias| alias.as_str());
                        gates.push(format!(
                            "not worse than {model}@{alias} by more than {}, or it is only registered",
                            evaluate.champion.tolerance
                        ));
                    }
                }
                _ => {}
            }
        }
        Self {
            pipeline: spec.pipeline.to_string(),
            seed: spec.seed,
            deadline: duration(spec.deadline),
            steps: spec.steps.iter().map(|step| told(step, spec)).collect(),
            candidates,
            gates,
        }
    }
}

fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn candidate(candidate: &Candidate) -> ToldCandidate {
    let mut keys: Map<String, Value> = candidate.clone().into();
    keys.remove("name");
    ToldCandidate {
        name: candidate.name().to_owned(),
        keys,
    }
}

fn gate(gate: &Gate) -> String {
    let Gate {
        metric,
        at_least,
        at_most,
        slice,
    } = gate;
    let bounds = [("at least", at_least), ("at most", at_most)];
    let bounds: Vec<String> = bounds
        .into_iter()
        .filter_map(|(word, bound)| bound.map(|bound| format!("{word} {bound}")))
        .collect();
    let on = slice
        .as_ref()
        .map_or_else(String::new, |slice| format!(" where it is {slice}"));
    format!("{metric} {}{on}, or the run halts", bounds.join(" and "))
}

fn told(step: &Step, spec: &Spec) -> ToldStep {
    ToldStep {
        step: step.step.to_string(),
        stage: step.params.kind().name,
        branches: step.branches.and_then(|branches| match branches {
            Branches::Known(n) => Some(n),
            Branches::FromPredecessor => None,
        }),
        time_limit: step.time_limit.map(duration),
        about: about(&step.params, spec),
    }
}

fn about(params: &StageParams, spec: &Spec) -> String {
    match params {
        StageParams::Extract(extract) => about_extract(extract),
        StageParams::Validate(Validate { rows, columns, .. }) => {
            let rules = match columns.len() {
                0 => "no rules of its own".to_owned(),
                1 => "rules for 1 column".to_owned(),
                n => format!("rules for {n} columns"),
            };
            format!("at least {} rows, {rules}", rows.min)
        }
        StageParams::Transform(Transform { only, columns, .. }) => {
            let which = only.as_ref().map_or_else(
                || "all columns without another role".to_owned(),
                |only| only.join(", "),
            );
            match columns.len() {
                0 => which,
                n => format!("{which}; {n} with settings of their own"),
            }
        }
        StageParams::Train(train) => {
            let names: Vec<&str> = train.candidates.iter().map(Candidate::name).collect();
            names.join(", ")
        }
        StageParams::Evaluate(Evaluate { metric, slices, .. }) => {
            let task = spec.steps.iter().find_map(|step| match &step.params {
                StageParams::Extract(extract) => Some(extract.task),
                _ => None,
            });
            let by = match (metric, task.flatten()) {
                (Some(metric), _) => metric.clone(),
                (None, Some(task)) => MetricKind::chooser(task).name.to_owned(),
                (None, None) => "the task's first metric".to_owned(),
            };
            match slices.as_slice() {
                [] => format!("the best by {by}"),
                slices => format!("the best by {by}; test also by {}", slices.join(", ")),
            }
        }
        StageParams::Explain(Explain { rows, .. }) => format!("attributions of {rows} rows of test"),
        StageParams::Deploy(Deploy {
            model,
            alias,
            promote,
        }) => {
            let model = model
                .as_ref()
                .map_or(spec.pipeline.as_str(), |model| model.as_str());
            match promote {
                true => format!("registers {model} and moves {alias} if the gates are passed"),
                false => format!("registers {model}; moves no alias"),
            }
        }
        StageParams::Predict(Predict {
            model,
            alias,
            version,
            sources,
            ..
        }) => {
            let which = version
                .as_ref()
                .map_or(alias.as_str(), |version| version.as_str());
            format!("{model}@{which} on {}", paths(sources.values()))
        }
        other => other.kind().about.to_owned(),
    }
}

fn paths<'a>(sources: impl Iterator<Item = &'a Source>) -> String {
    sources.map(|s| s.path.as_str()).collect::<Vec<_>>().join(", ")
}

fn about_extract(extract: &Extract) -> String {
    let Extract {
        sources,
        label,
        task,
        positive,
        split,
        ..
    } = extract;
    let positive = match positive {
        Some(class) => format!(", {class} is positive"),
        None => String::new(),
    };
    let task = match task {
        Some(TaskName::Binary) => " (binary)",
        Some(TaskName::Multiclass) => " (multiclass)",
        Some(TaskName::Regression) => " (regression)",
        None => "",
    };
    let split = match split {
        Split::Random { validation, test } => format!("at random, {validation} validation, {test} test"),
        Split::Hash {
            columns,
            validation,
            test,
        } => format!(
            "by hash of {}, {validation} validation, {test} test",
            columns.join(", ")
        ),
        Split::Time {
            column,
            validation,
            test,
        } => format!(
            "by {column}, validation {}, test {}",
            boundary(validation),
            boundary(test)
        ),
    };
    format!(
        "predicts {label}{task}{positive} from {}; splits {split}",
        paths(sources.values())
    )
}

fn boundary(boundary: &Boundary) -> String {
    match boundary {
        Boundary::Share(share) => share.to_string(),
        Boundary::At(at) => format!("from {at}"),
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pipeline,
            seed,
            deadline,
            steps,
            candidates,
            gates,
        } = self;
        writeln!(f, "pipeline {pipeline}, seed {seed}, deadline {deadline}\n")?;
        let width = steps.iter().map(|s| s.step.len()).max().unwrap_or(0);
        for ToldStep {
            step,
            branches,
            time_limit,
            about,
            ..
        } in steps
        {
            write!(f, "  {step:width$}  {about}")?;
            if let Some(n) = branches {
                write!(f, " ({n} {})", if *n == 1 { "branch" } else { "branches" })?;
            }
            if let Some(limit) = time_limit {
                write!(f, ", at most {limit} an attempt")?;
            }
            writeln!(f)?;
        }
        if !candidates.is_empty() {
            writeln!(f, "\ncandidates")?;
        }
        let width = candidates.iter().map(|c| c.name.len()).max().unwrap_or(0);
        for ToldCandidate { name, keys } in candidates {
            let keys: Vec<String> = keys
                .iter()
                .map(|(key, value)| match value {
                    Value::String(text) => format!("{key} {text}"),
                    value => format!("{key} {value}"),
                })
                .collect();
            writeln!(f, "  {name:width$}  {}", keys.join(", "))?;
        }
        if !gates.is_empty() {
            writeln!(f, "\ngates")?;
        }
        for gate in gates {
            writeln!(f, "  {gate}")?;
        }
        Ok(())
    }
}
