//! What steps say of each other: columns with two roles, metrics of another task, champions that are not compared with.

use super::super::super::{StageParams, Step};
use super::super::{ClassWeights, Deploy, Evaluate, Extract, METRICS, MetricKind, TaskName};
use super::{Finding, Findings};

pub(super) fn steps(steps: &[Step], all: &mut Vec<Finding>) {
    champions(steps, all);
    private_slices(steps, all);
    let extract = steps.iter().find_map(|step| match &step.params {
        StageParams::Extract(extract) => Some(extract),
        _ => None,
    });
    let Some(extract) = extract else { return };
    for (at, step) in steps.iter().enumerate() {
        let found = &mut Findings { step: at, all };
        match &step.params {
            StageParams::Transform(transform) => {
                let listed = transform.only.iter().flatten().enumerate();
                let listed = listed.map(|(at, name)| (format!("only[{at}]"), name));
                let own = transform.columns.keys();
                let own = own.map(|name| (format!("columns.{name}"), name));
                for (path, name) in listed.chain(own) {
                    if let Some(role) = role(extract, name) {
                        found.say(
                            path,
                            format!(
                                "column {name:?} is {role}, so it is no feature; take it out of one place"
                            ),
                        );
                    }
                }
            }
            StageParams::Train(train) if extract.task == Some(TaskName::Regression) => {
                for (at, candidate) in train.candidates.iter().enumerate() {
                    found.expect(
                        candidate.training.class_weights == ClassWeights::None,
                        &format!("candidates[{at}].class_weights"),
                        "the task is regression, which has no classes",
                    );
                }
            }
            StageParams::Evaluate(evaluate) => {
                let chooser = evaluate.metric.iter().map(|name| ("metric".to_owned(), name));
                let gates = evaluate.gates.iter().enumerate();
                let gates = gates.map(|(at, gate)| (format!("gates[{at}].metric"), &gate.metric));
                metrics(&chooser.chain(gates).collect::<Vec<_>>(), extract.task, found);
                for (at, name) in evaluate.slices.iter().enumerate() {
                    found.expect(
                        *name != extract.label,
                        &format!("slices[{at}]"),
                        "is the label: a slice of one class has no metrics",
                    );
                }
            }
            _ => {}
        }
    }
}

/// What `deploy` moves must be what the `evaluate` before it compares with: the revision of one alias says nothing of
/// another.
fn champions(steps: &[Step], all: &mut Vec<Finding>) {
    fn deploy(step: &Step) -> Option<&Deploy> {
        match &step.params {
            StageParams::Deploy(deploy) => Some(deploy),
            _ => None,
        }
    }
    fn evaluate(step: &Step) -> Option<&Evaluate> {
        match &step.params {
            StageParams::Evaluate(evaluate) => Some(evaluate),
            _ => None,
        }
    }
    // Its names stand for those that `evaluate` leaves out.
    let Some(first) = steps.iter().find_map(deploy) else {
        return;
    };
    for (at, moving) in steps
        .iter()
        .enumerate()
        .filter_map(|(at, s)| Some((at, deploy(s)?)))
    {
        let before = steps[..at].iter().enumerate().rev();
        let found = before.filter_map(|(at, s)| Some((at, evaluate(s)?))).next();
        let Some((step, compared)) = found.filter(|_| moving.promote) else {
            continue;
        };
        let found = &mut Findings { step, all };
        let moved = match &moving.model {
            Some(model) => format!("{model}@{}", moving.alias),
            None => moving.alias.to_string(),
        };
        let advice = format!(
            "deploy would move {moved}, which is not what is compared with here: give both the same, or write \
             promote = false in deploy"
        );
        let alias = compared.alias.as_ref().unwrap_or(&first.alias);
        found.expect(*alias == moving.alias, "alias", advice.clone());
        // A model that is not named is called like the pipeline, which only the stage knows.
        if let (Some(model), Some(moved)) = (compared.model.as_ref().or(first.model.as_ref()), &moving.model)
        {
            found.expect(model == moved, "model", advice);
        }
    }
}

/// A slice is called by its value.
fn private_slices(steps: &[Step], all: &mut Vec<Finding>) {
    let private: Vec<&String> = steps
        .iter()
        .filter_map(|step| match &step.params {
            StageParams::Validate(validate) => Some(&validate.private),
            _ => None,
        })
        .flatten()
        .collect();
    for (step, slices) in steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| match &step.params {
            StageParams::Evaluate(evaluate) => Some((at, &evaluate.slices)),
            _ => None,
        })
    {
        let found = &mut Findings { step, all };
        for (at, name) in slices.iter().enumerate() {
            found.expect(
                !private.contains(&name),
                &format!("slices[{at}]"),
                format!("column {name:?} is private, and slices show values; take it out of one place"),
            );
        }
    }
}

/// What a column is, if it cannot be a feature.
fn role(extract: &Extract, name: &str) -> Option<&'static str> {
    if extract.label == name {
        Some("the label")
    } else if extract.key.iter().any(|key| key == name) {
        Some("in `key`")
    } else if extract.weight.as_deref() == Some(name) {
        Some("the weight")
    } else if extract.exclude.iter().any(|excluded| excluded == name) {
        Some("in `exclude`")
    } else {
        None
    }
}

/// All metrics must be of the task; or, where it is told from the data, of one and the same task.
fn metrics(asked: &[(String, &String)], task: Option<TaskName>, found: &mut Findings<'_>) {
    const ALL: [TaskName; 3] = [TaskName::Binary, TaskName::Multiclass, TaskName::Regression];
    let mut tasks: Vec<TaskName> = match task {
        Some(task) => vec![task],
        None => ALL.to_vec(),
    };
    for (path, name) in asked {
        let Some(metric) = MetricKind::of(name) else {
            continue;
        };
        let still: Vec<TaskName> = tasks.iter().copied().filter(|t| metric.is_for(*t)).collect();
        if !still.is_empty() {
            tasks = still;
            continue;
        }
        let names: Vec<&str> = METRICS
            .iter()
            .filter(|m| tasks.iter().any(|t| m.is_for(*t)))
            .map(|m| m.name)
            .collect();
        let of = match task {
            Some(task) => format!("the task is {}, whose metrics are", task.as_str()),
            None => "it belongs to another task than the metrics before it, which go with".to_owned(),
        };
        found.say(path.clone(), format!("{name}: {of} {}", names.join(", ")));
    }
}
