//! What the stages before wrote, for the tests.

use std::fs;

use ml::dataset::{Column, ColumnType, Dataset, Role, SplitRows};
use ml::features::store::{self, StoredFeatures};
use ml::features::{self, FeatureSettings};
use ml::models::{self, Examples, GoOn, Hyperparameters, Problem, Watch};
use pipeline::id::{AliasName, ModelName};
use pipeline::registry::ModelVersion;
use pipeline::stage::{Committed, FoundModel};
use pipeline::{RunId, Timestamp};
use polars::prelude::*;
use serde_json::json;

use super::super::*;
use crate::flow::DATASET;
use crate::testing::{Bench, manifest};

struct Patient;

impl Watch for Patient {
    fn go_on(&self, _: f64) -> GoOn {
        GoOn::Yes
    }
}

/// Numbers between 0 and 1 that look random.
fn noise(row: u32, column: u32) -> f64 {
    let mut word = u64::from(row) << 8 | u64::from(column);
    for _ in 0..3 {
        word = (word ^ (word >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let share = (word >> 11) as f64 / (1u64 << 53) as f64;
    share
}

/// Rows whose label depends on `x` and on the square of `z`, which a linear model cannot see.
pub(super) fn rows(task: Task, from: u32, to: u32) -> DataFrame {
    let x: Vec<f64> = (from..to).map(|row| noise(row, 0)).collect();
    let z: Vec<f64> = (from..to).map(|row| noise(row, 1) * 2.0 - 1.0).collect();
    let place: Vec<&str> = (from..to)
        .map(|row| ["north", "south", "west"][(row % 3) as usize])
        .collect();
    let score = |n: usize, row: u32| x[n] + 2.0 * z[n] * z[n] + 0.3 * noise(row, 2);
    let y: Vec<f64> = (from..to)
        .enumerate()
        .map(|(n, row)| match task {
            Task::Binary => f64::from(u8::from(score(n, row) > 1.3)),
            Task::Multiclass => score(n, row).min(2.9).floor(),
            Task::Regression => score(n, row),
        })
        .collect();
    df!("x" => x, "z" => z, "place" => place, "y" => y).expect("a frame")
}

pub(super) fn dataset(task: Task) -> Dataset {
    let column = |name: &str, kind, role| Column {
        name: name.into(),
        kind,
        role,
    };
    let classes: &[&str] = match task {
        Task::Binary => &["0", "1"],
        Task::Multiclass => &["0", "1", "2"],
        Task::Regression => &[],
    };
    Dataset {
        label: "y".into(),
        task,
        classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        columns: vec![
            column("x", ColumnType::Float, Role::Feature),
            column("z", ColumnType::Float, Role::Feature),
            column("place", ColumnType::Text, Role::Excluded),
            column("y", ColumnType::Float, Role::Label),
        ],
        rows: SplitRows {
            train: 900,
            validation: 400,
            test: 500,
        },
    }
}

/// What the stages before wrote.
pub(super) struct Before {
    pub(super) dataset: Dataset,
    pub(super) test_rows: Vec<u8>,
    pub(super) program: Vec<u8>,
    pub(super) validation: Vec<u8>,
    pub(super) test: Vec<u8>,
    /// Model and record, by ordinal.
    pub(super) candidates: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) fn file(write: impl FnOnce(&std::path::Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = folder.path().join("file");
    write(&path);
    fs::read(path).expect("reads")
}

fn targets(frame: &DataFrame) -> Vec<f32> {
    let y = frame
        .column("y")
        .expect("is there")
        .cast(&DataType::Float32)
        .expect("casts");
    y.f32().expect("numbers").into_no_null_iter().collect()
}

pub(super) const LINEAR: Hyperparameters = Hyperparameters::Linear {
    l2: 1.0,
    max_iterations: 100,
};

pub(super) fn boosting(rounds: u32) -> Hyperparameters {
    Hyperparameters::Boosting {
        rounds,
        learning_rate: 0.2,
        max_leaves: 8,
        max_depth: 0,
        min_child_weight: 1.0,
        l2: 1.0,
        subsample: 1.0,
        feature_fraction: 1.0,
        early_stopping: 0,
    }
}

impl Before {
    pub(super) fn new(task: Task, models: &[(&str, Hyperparameters)]) -> Self {
        let dataset = dataset(task);
        let (train, validation, test) = (rows(task, 0, 900), rows(task, 900, 1300), rows(task, 1300, 1800));
        let settings = FeatureSettings::default();
        let (program, table) = features::FeatureProgram::fit(&train, &dataset, &settings, 7).expect("fits");
        let stored = |frame: &DataFrame| StoredFeatures {
            features: program.apply(frame).expect("applies"),
            target: targets(frame),
            weights: None,
        };
        let parquet = |frame: &DataFrame| {
            file(|path| store::write(path, program.features(), stored(frame)).expect("writes"))
        };
        let problem = Problem {
            task,
            classes: dataset.classes.len(),
            features: program.features(),
            seed: 7,
            threads: 1,
        };
        let examples = Examples {
            features: &table,
            target: &targets(&train),
            weights: None,
        };
        let candidates = models
            .iter()
            .map(|(name, hyperparameters)| {
                let trained =
                    models::train(hyperparameters, &problem, examples, None, &Patient).expect("trains");
                let kind = trained.model.kind();
                let record = json!({
                    "name": name, "kind": kind, "candidate": { "model": kind },
                    "iterations": trained.iterations, "time_limited": false,
                    "rows": { "train": 900, "validation": 400 },
                    "curve": { "loss": "log_loss", "validation": [0.7, 0.6, 0.5] },
                });
                (
                    trained.model.to_bytes().expect("has bytes"),
                    record.to_string().into_bytes(),
                )
            })
            .collect();
        Self {
            test_rows: file(|path| ml::frame::write(path, &mut test.clone()).expect("writes")),
            program: program.to_bytes().expect("has bytes"),
            validation: parquet(&validation),
            test: parquet(&test),
            dataset,
            candidates,
        }
    }

    /// A bench where `evaluate` is told `params`.
    pub(super) fn bench(&self, params: &str) -> Bench {
        let names: Vec<String> = (0..self.candidates.len())
            .map(|n| format!("{{ model = \"linear\", name = \"c{n}\" }}"))
            .collect();
        let mut bench = Bench::new(&format!(
            "[[steps]]\nstage = \"extract\"\nparams = {{ sources = {{ rows = \"rows.csv\" }}, label = \"y\" }}\n\
             [[steps]]\nstage = \"transform\"\n\
             [[steps]]\nstage = \"train\"\nbranches = {}\nparams = {{ candidates = [{}] }}\n\
             [[steps]]\nstage = \"evaluate\"\nparams = {params}\n",
            names.len(),
            names.join(", ")
        ));
        let dataset = serde_json::to_vec(&self.dataset).expect("is JSON");
        put(
            &mut bench,
            "extract",
            &[(Split::Test.rows(), &self.test_rows), (DATASET, &dataset)],
        );
        let features = [
            (PROGRAM, self.program.as_slice()),
            (Split::Validation.features(), &self.validation),
            (Split::Test.features(), &self.test),
        ];
        put(&mut bench, "transform", &features);
        let branches = (0..)
            .zip(&self.candidates)
            .map(|(ordinal, (model, record))| {
                let files: [(&str, &[u8]); 2] = [(MODEL, model), (TRAINING, record)];
                for (name, bytes) in files {
                    bench.input(&format!("train/{ordinal}/{name}"), bytes);
                }
                (ordinal, manifest("train", ordinal, 1, &files))
            })
            .collect();
        bench.commit("train", Committed::Branches(branches));
        bench
    }
}

fn put(bench: &mut Bench, step: &str, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        bench.input(&format!("{step}/{name}"), bytes);
    }
    bench.commit(step, Committed::One(manifest(step, 0, 1, files)));
}

/// Says that there is a champion, whose package has these files.
pub(super) fn crown(bench: &mut Bench, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        bench.input(&format!("champion/{name}"), bytes);
    }
    let model = ModelName::new("test").expect("an id");
    bench.assignment.found.model = Some(FoundModel {
        model: model.clone(),
        alias: AliasName::new("champion").expect("an id"),
        revision: 4,
        version: Some(ModelVersion {
            model,
            run: RunId::new("before").expect("an id"),
            package: manifest("deploy", 0, 1, files),
            registered_at: Timestamp(0),
        }),
    });
}
