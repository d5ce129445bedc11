//! What the tests of stages behind `train` share: a small data set, a trained model, and a verdict on it.

use std::collections::BTreeMap;
use std::path::Path;

use ml::dataset::{Column, ColumnType, Dataset, Role, SplitRows, Task};
use ml::features::{self, FeatureProgram, FeatureSettings};
use ml::models::{self, Examples, GoOn, Hyperparameters, Problem, Watch};
use pipeline::stage::Committed;
use polars::prelude::*;
use serde_json::{Value, json};

use crate::testing::{Bench, manifest};

struct Unwatched;

impl Watch for Unwatched {
    fn go_on(&self, _: f64) -> GoOn {
        GoOn::Yes
    }
}

/// The columns that make the label, one that does nothing, and one that names the row.
pub(crate) fn rows(rows: i32) -> DataFrame {
    let number = |row: i32| f64::from((row * 37) % 101) / 10.0;
    let is_late = |row: i32| number(row) + f64::from(row % 4) > 6.0;
    let numbers: Vec<Option<f64>> = (0..rows)
        .map(|row| (row % 13 != 0).then(|| number(row)))
        .collect();
    let places: Vec<&str> = (0..rows)
        .map(|row| ["north", "south", "east", "west"][(row % 4) as usize])
        .collect();
    let nothing: Vec<i64> = (0..rows).map(|row| i64::from((row * 31) % 17)).collect();
    let label = |task: Task, row: i32| match task {
        Task::Binary => i64::from(is_late(row)),
        Task::Multiclass => i64::from(row % 3),
        Task::Regression => i64::from((row * 37) % 101),
    };
    let keys: Vec<String> = (0..rows).map(|row| format!("key-{row}")).collect();
    df!(
        "key" => keys,
        "number" => numbers,
        "place" => places,
        "nothing" => nothing,
        "binary" => (0..rows).map(|row| label(Task::Binary, row)).collect::<Vec<_>>(),
        "multiclass" => (0..rows).map(|row| ["a", "b", "c"][label(Task::Multiclass, row) as usize]).collect::<Vec<_>>(),
        "regression" => (0..rows).map(|row| label(Task::Regression, row)).collect::<Vec<_>>(),
    )
    .expect("columns of equal length")
}

pub(crate) fn dataset(task: Task) -> Dataset {
    let (label, classes): (&str, &[&str]) = match task {
        Task::Binary => ("binary", &["0", "1"]),
        Task::Multiclass => ("multiclass", &["a", "b", "c"]),
        Task::Regression => ("regression", &[]),
    };
    let column = |name: &str, kind, role| Column {
        name: name.into(),
        kind,
        role: if name == label { Role::Label } else { role },
    };
    Dataset {
        label: label.into(),
        task,
        classes: classes.iter().map(ToString::to_string).collect(),
        columns: vec![
            column("key", ColumnType::Text, Role::Key),
            column("number", ColumnType::Float, Role::Feature),
            column("place", ColumnType::Text, Role::Feature),
            column("nothing", ColumnType::Integer, Role::Feature),
            column("binary", ColumnType::Integer, Role::Excluded),
            column("multiclass", ColumnType::Text, Role::Excluded),
            column("regression", ColumnType::Integer, Role::Excluded),
        ],
        rows: SplitRows {
            train: 400,
            validation: 0,
            test: 120,
        },
    }
}

pub(crate) fn linear() -> Hyperparameters {
    Hyperparameters::Linear {
        l2: 1.0,
        max_iterations: 100,
    }
}

pub(crate) fn boosting() -> Hyperparameters {
    Hyperparameters::Boosting {
        rounds: 20,
        learning_rate: 0.2,
        max_leaves: 7,
        max_depth: 0,
        min_child_weight: 1.0,
        l2: 1.0,
        subsample: 1.0,
        feature_fraction: 1.0,
        early_stopping: 0,
    }
}

/// The files of a feature program and of a model.
pub(crate) fn trained(task: Task, hyperparameters: &Hyperparameters) -> (Vec<u8>, Vec<u8>) {
    let (rows, dataset) = (rows(400), dataset(task));
    let (program, table) =
        FeatureProgram::fit(&rows, &dataset, &FeatureSettings::default(), 1).expect("fits");
    let problem = Problem {
        task,
        classes: dataset.classes.len(),
        features: program.features(),
        seed: 1,
        threads: 1,
    };
    let examples = Examples {
        features: &table,
        target: &features::target(&rows, &dataset).expect("has a label"),
        weights: None,
    };
    let trained = models::train(hyperparameters, &problem, examples, None, &Unwatched).expect("learns");
    (
        program.to_bytes().expect("has bytes"),
        trained.model.to_bytes().expect("has bytes"),
    )
}

pub(crate) fn parquet(frame: &mut DataFrame) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows");
    ml::frame::write(&path, frame).expect("writes");
    std::fs::read(path).expect("reads")
}

/// A verdict that lets the winner be promoted.
pub(crate) fn verdict(metric: &str) -> Value {
    json!({
        "winner": {"name": "trees", "ordinal": 1, "kind": "boosting"},
        "metric": metric,
        "passed": true,
        "promote": true,
        "reason": "all gates passed",
        "gates": [],
        "champion": null,
        "alias_revision": 3,
        "compared": {"model": "flights", "alias": "champion"},
    })
}

/// A step behind a whole pipeline whose winner is branch 1; `step` is its TOML.
pub(crate) fn bench(task: Task, hyperparameters: &Hyperparameters, verdict: &Value, step: &str) -> Bench {
    let dataset = dataset(task);
    let mut bench = Bench::new(&format!(
        "[[steps]]\nstage = \"extract\"\nparams = {{ sources = {{ data = \"rows.csv\" }}, label = \"{}\" }}\n\
         [[steps]]\nstage = \"transform\"\n\
         [[steps]]\nstage = \"train\"\nbranches = 2\n\
         params = {{ candidates = [{{ model = \"linear\" }}, {{ model = \"boosting\" }}] }}\n\
         [[steps]]\nstage = \"evaluate\"\n\
         {step}\n",
        dataset.label
    ));
    let (program, model) = trained(task, hyperparameters);
    let evaluation = json!({"candidates": [
        {"name": "linear", "ordinal": 0, "test": {"auc": 0.6}},
        {"name": "trees", "ordinal": 1, "test": {"auc": 0.75, "mcc": null}},
    ]});
    let text = |value: &Value| value.to_string().into_bytes();
    let steps: BTreeMap<&str, Vec<(&str, Vec<u8>)>> = [
        (
            "extract",
            vec![
                ("test.parquet", parquet(&mut rows(120))),
                ("dataset.json", serde_json::to_vec(&dataset).expect("JSON")),
                ("statistics.json", b"{}".to_vec()),
            ],
        ),
        ("transform", vec![("features.bin", program)]),
        (
            "evaluate",
            vec![
                ("verdict.json", text(verdict)),
                ("evaluation.json", text(&evaluation)),
            ],
        ),
    ]
    .into();
    let put = |bench: &Bench, place: &str, files: &[(&str, Vec<u8>)]| {
        for (name, bytes) in files {
            bench.input(Path::new(place).join(name).to_str().expect("ASCII"), bytes);
        }
    };
    for (step, files) in &steps {
        put(&bench, step, files);
        let artifacts: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
        bench.commit(step, Committed::One(manifest(step, 0, 1, &artifacts)));
    }
    let branch = |ordinal| (ordinal, manifest("train", ordinal, 1, &[("model.bin", &model)]));
    bench.commit("train", Committed::Branches([branch(0), branch(1)].into()));
    put(&bench, "train/1", &[("model.bin", model.clone())]);
    put(&bench, "train/0", &[("model.bin", model.clone())]);
    bench
}
