//! How two runs differ: in what they were told, and in what came out. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::item::{BranchItem, RunItem, StepItem};
use pipeline::{Spec, StepName};
use serde::Serialize;
use serde_json::Value;

use crate::view::state;

/// One of the two runs.
#[derive(Debug)]
pub struct Side {
    /// Its item.
    pub run: RunItem,
    /// Its branches.
    pub branches: Vec<BranchItem>,
    /// What it was told.
    pub spec: Spec,
}

/// Two values that are not equal; none where a side has nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// At which key, such as `parameters.date` or `steps.train.params.depth`; or which artifact.
    pub key: String,
    /// On the left.
    pub left: Option<String>,
    /// On the right.
    pub right: Option<String>,
}

/// One step of either run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepDiff {
    /// Its name.
    pub step: String,
    /// Its state on both sides, none where there is no such step.
    pub state: [Option<String>; 2],
    /// The component's version on both sides.
    pub version: [Option<String>; 2],
    /// How long its work took on both sides; of a fanned-out step, all branches together.
    pub duration_ms: [Option<u64>; 2],
    /// How many artifacts are equal to the byte.
    pub artifacts_equal: usize,
    /// Which are not, by digest; those of branches as `ordinal/name`.
    pub artifacts: Vec<Changed>,
}

/// How two runs differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In their specifications.
    pub spec: Vec<Changed>,
    /// Step by step, in the plan's order.
    pub steps: Vec<StepDiff>,
    /// The first step whose artifacts differ.
    pub first_difference: Option<String>,
}

/// Compares two runs.
pub fn compare(left: &Side, right: &Side) -> Difference {
    let only_right = right
        .run
        .order
        .iter()
        .filter(|step| !left.run.steps.contains_key(*step));
    let steps: Vec<StepDiff> = left
        .run
        .order
        .iter()
        .chain(only_right)
        .map(|step| step_diff(step, left, right))
        .collect();
    Difference {
        spec: changed(&flat_spec(&left.spec), &flat_spec(&right.spec)),
        first_difference: steps
            .iter()
            .find(|s| !s.artifacts.is_empty())
            .map(|s| s.step.clone()),
        steps,
    }
}

fn step_diff(step: &StepName, left: &Side, right: &Side) -> StepDiff {
    let sides = [left, right];
    let [a, b] = sides.map(|side| artifacts(side, step));
    let artifacts = changed(&a, &b);
    StepDiff {
        step: step.to_string(),
        state: sides.map(|side| side.run.steps.get(step).map(|work| state(work.state).to_owned())),
        version: sides.map(|side| works(side, step).find_map(|work| work.version.clone())),
        duration_ms: sides.map(|side| {
            let measured: Vec<u64> = works(side, step)
                .filter_map(|work| work.measured.as_ref().map(|m| m.duration_ms))
                .collect();
            (!measured.is_empty()).then(|| measured.iter().fold(0, |sum, ms| u64::saturating_add(sum, *ms)))
        }),
        artifacts_equal: a
            .iter()
            .filter(|(name, digest)| b.get(*name) == Some(*digest))
            .count(),
        artifacts,
    }
}

/// The step's own fields and those of its branches.
fn works<'a>(side: &'a Side, step: &'a StepName) -> impl Iterator<Item = &'a StepItem> {
    let own = side
        .branches
        .iter()
        .filter(move |b| b.step == *step)
        .map(|b| &b.work);
    side.run.steps.get(step).into_iter().chain(own)
}

fn artifacts(side: &Side, step: &StepName) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let own = side.branches.iter().filter(|b| b.step == *step);
    let branches = own.map(|b| (format!("{}/", b.ordinal), &b.work));
    let step = side.run.steps.get(step).map(|work| (String::new(), work));
    for (prefix, work) in step.into_iter().chain(branches) {
        for artifact in work.manifest.iter().flat_map(|m| &m.artifacts) {
            all.insert(format!("{prefix}{}", artifact.name), artifact.sha256.to_string());
        }
    }
    all
}

fn changed(left: &BTreeMap<String, String>, right: &BTreeMap<String, String>) -> Vec<Changed> {
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    keys.into_iter()
        .filter(|key| left.get(*key) != right.get(*key))
        .map(|key| Changed {
            key: key.clone(),
            left: left.get(key).cloned(),
            right: right.get(key).cloned(),
        })
        .collect()
}

/// Every value of a specification by its key; steps by their names, so that one more step shifts nothing.
fn flat_spec(spec: &Spec) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    if let Some(Value::Array(steps)) = value.get_mut("steps").map(Value::take) {
        let order: Vec<&str> = spec.steps.iter().map(|s| s.step.as_str()).collect();
        flat.insert("steps".into(), order.join(" → "));
        for (step, value) in spec.steps.iter().zip(steps) {
            flatten(&format!("steps.{}", step.step), value, &mut flat);
        }
    }
    if let Value::Object(map) = value {
        for (key, value) in map.into_iter().filter(|(key, _)| key != "steps") {
            flatten(&key, value, &mut flat);
        }
    }
    flat
}

fn flatten(key: &str, value: Value, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                flatten(&format!("{key}.{name}"), value, flat);
            }
        }
        Value::Array(values) => {
            for (at, value) in values.into_iter().enumerate() {
                flatten(&format!("{key}[{at}]"), value, flat);
            }
        }
        Value::String(text) => {
            flat.insert(key.to_owned(), text);
        }
        other => {
            flat.insert(key.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::artifact::{Artifact, Manifest, Origin};
    use pipeline::item::{Measured, StepState};
    use pipeline::spec::{Overrides, load};
    use pipeline::{ArtifactName, RunId, Sha256Digest, Timestamp};

    fn side(id: &str, ms: u32, contents: &[&str]) -> Side {
        let text = format!(
            "pipeline = \"p\"\n[parameters]\nms = {ms}\n[[steps]]\nstep = \"a\"\nstage = \"noop\"\n[[steps]]\nstep = \"b\"\nstage = \"sleep\"\nparams = {{ ms = \"${{ms}}\" }}\n"
        );
        let spec = load(&text, &Overrides::new()).expect("a good specification");
        let mut run = pipeline::plan::Birth {
            id: RunId::new(id).expect("an id"),
            pipeline: spec.pipeline.clone(),
            spec: spec.digest(),
            max: spec.max(),
            now: Timestamp(1),
            deadline: spec.deadline,
        }
        .item(&spec.plan().expect("a good plan"));
        for (step, content) in ["a", "b"].into_iter().zip(contents) {
            let step = StepName::new(step).expect("an id");
            let origin = Origin {
                run: run.id.clone(),
                step: step.clone(),
                ordinal: 0,
                attempt: 1,
            };
            let artifact = Artifact {
                name: ArtifactName::new("out").expect("a name"),
                sha256: Sha256Digest::of(content.as_bytes()),
                size_bytes: 1,
                table: None,
            };
            let work = run.steps.get_mut(&step).expect("a step");
            work.state = StepState::Committed;
            work.version = Some("1.0".into());
            work.manifest = Some(Manifest {
                origin,
                artifacts: vec![artifact],
            });
            work.measured = Some(Measured {
                duration_ms: u64::from(ms),
                ..Measured::default()
            });
        }
        Side {
            run,
            branches: Vec::new(),
            spec,
        }
    }

    #[test]
    fn a_run_does_not_differ_from_its_like() {
        let difference = compare(&side("x", 5, &["1", "2"]), &side("y", 5, &["1", "2"]));
        assert_eq!(difference.spec, []);
        assert_eq!(difference.first_difference, None);
        assert_eq!(difference.steps[0].artifacts_equal, 1);
    }

    #[test]
    fn the_first_step_with_other_bytes_is_named() {
        let difference = compare(&side("x", 5, &["1", "2"]), &side("y", 6, &["1", "3"]));
        let keys: Vec<&str> = difference.spec.iter().map(|c| c.key.as_str()).collect();
        assert_eq!(keys, ["parameters.ms", "steps.b.params.ms"]);
        assert_eq!(
            (
                difference.spec[0].left.as_deref(),
                difference.spec[0].right.as_deref()
            ),
            (Some("5"), Some("6"))
        );
        assert_eq!(difference.first_difference.as_deref(), Some("b"));
        assert_eq!(difference.steps[1].duration_ms, [Some(5), Some(6)]);
        assert_eq!(difference.steps[1].artifacts[0].key, "out");
    }

    #[test]
    fn what_only_one_side_has_differs() {
        let mut right = side("y", 5, &["1"]);
        assert_eq!(
            compare(&side("x", 5, &["1", "2"]), &right)
                .first_difference
                .as_deref(),
            Some("b")
        );
        let gone = right.run.order.remove(0);
        right.run.steps.remove(&gone);
        let difference = compare(&right, &side("x", 5, &["1", "2"]));
        assert_eq!(difference.steps.last().map(|s| s.step.as_str()), Some("a"));
        assert_eq!(difference.steps.last().map(|s| s.state[0].clone()), Some(None));
    }
}
