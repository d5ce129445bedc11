use std::sync::atomic::Ordering;
use std::time::Duration;

use ml::dataset::{Column, ColumnType, Role, SplitRows};
use ml::features::{FeatureSettings, target};
use ml::models::Model;
use pipeline::stage::Committed;
use polars::prelude::{Column as Series, DataFrame, df};

use super::*;
use crate::testing::{Bench, manifest};
use crate::testing_deployed::parquet;

const ROWS: usize = 600;

fn dataset(task: Task) -> Dataset {
    let column = |name: &str, kind, role| Column {
        name: name.into(),
        kind,
        role,
    };
    Dataset {
        label: "y".into(),
        task,
        classes: match task {
            Task::Binary => vec!["0".into(), "1".into()],
            Task::Multiclass => vec!["0".into(), "1".into(), "2".into()],
            Task::Regression => Vec::new(),
        },
        columns: vec![
            column("x", ColumnType::Float, Role::Feature),
            column("c", ColumnType::Text, Role::Feature),
            column("y", ColumnType::Integer, Role::Label),
        ],
        rows: SplitRows {
            train: ROWS,
            validation: ROWS,
            test: 0,
        },
    }
}

/// Rows whose label mostly follows from a number and a text. Of two classes, the second has about a quarter of the rows.
fn rows(task: Task, from: usize) -> DataFrame {
    let at = |row: usize| ((row + from) * 7919 % 1009) as f64 / 1009.0;
    let level = |row: usize| (row + from) * 31 % 4;
    let label = |row: usize| {
        let noise = ((row + from) * 104_729 % 997) as f64 / 997.0;
        let sum = at(row) + level(row) as f64 * 0.2 + 0.6 * noise;
        match task {
            Task::Binary => i64::from(sum > 1.4),
            Task::Multiclass => i64::from(sum > 0.8) + i64::from(sum > 1.3),
            Task::Regression => (sum * 100.0) as i64,
        }
    };
    df!(
        "x" => (0..ROWS).map(at).collect::<Vec<f64>>(),
        "c" => (0..ROWS).map(|row| ["a", "b", "c", "d"][level(row)]).collect::<Vec<_>>(),
        "y" => (0..ROWS).map(label).collect::<Vec<i64>>(),
    )
    .expect("a frame")
}

/// Branch 0 of a `train` step with these candidates, behind what `transform` wrote.
fn bench(task: Task, candidates: &str) -> Bench {
    split_bench(task, candidates, "by = \"random\"", rows(task, 0))
}

/// The same for rows of train that were split like that.
fn split_bench(task: Task, candidates: &str, split: &str, mut train: DataFrame) -> Bench {
    let branches = candidates.matches("model =").count();
    let mut bench = Bench::new(&format!(
        "[[steps]]\nstage = \"extract\"\n\
         params = {{ label = \"y\", sources = {{ a = {{ path = \"a.csv\" }} }}, split = {{ {split} }} }}\n\
         [[steps]]\nstage = \"transform\"\n\
         [[steps]]\nstage = \"train\"\nbranches = {branches}\nparams = {{ candidates = [{candidates}] }}\n\
         [[steps]]\nstage = \"evaluate\"\n"
    ));
    bench.assignment.step = bench.assignment.spec.steps[2].step.clone();
    bench.assignment.branch = Some(0);
    let dataset = dataset(task);
    let json = serde_json::to_vec(&dataset).expect("serialises");
    bench.input("extract/dataset.json", &json);
    bench.input("extract/train.parquet", &parquet(&mut train));
    let validation = rows(task, ROWS);
    let (program, table) =
        FeatureProgram::fit(&train, &dataset, &FeatureSettings::default(), 1).expect("fits");
    let program_bytes = program.to_bytes().expect("writes");
    bench.input("transform/features.bin", &program_bytes);
    let folder = tempfile::tempdir().expect("makes a folder");
    let validation_table = program.apply(&validation).expect("applies");
    for (split, frame, features) in [
        (Split::Train, &train, table),
        (Split::Validation, &validation, validation_table),
    ] {
        let path = folder.path().join(split.features());
        let stored = StoredFeatures {
            features,
            target: target(frame, &dataset).expect("a label"),
            weights: None,
        };
        store::write(&path, program.features(), stored).expect("writes");
        let bytes = std::fs::read(&path).expect("reads");
        bench.input(&format!("transform/{}", split.features()), &bytes);
    }
    let written = |name| (name, b"".as_slice());
    bench.commit(
        "extract",
        Committed::One(manifest(
            "extract",
            0,
            1,
            &["dataset.json", "train.parquet"].map(written),
        )),
    );
    let of_transform = [
        "features.bin",
        "train.features.parquet",
        "validation.features.parquet",
    ]
    .map(written);
    bench.commit(
        "transform",
        Committed::One(manifest("transform", 0, 1, &of_transform)),
    );
    bench
}

const BOOSTING: &str = "{ model = \"boosting\", rounds = 20, early_stopping = 5 }";

fn record(bench: &Bench) -> TrainingRecord {
    serde_json::from_slice(&bench.output(TRAINING)).expect("a record")
}

#[test]
fn reads_features_the_program_and_what_the_columns_are() {
    let bench = bench(Task::Binary, BOOSTING);
    let paths: Vec<String> = Train
        .reads(&bench.assignment)
        .iter()
        .map(|read| read.path.display().to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "transform/features.bin",
            "transform/train.features.parquet",
            "transform/validation.features.parquet",
            "extract/dataset.json"
        ]
    );
}

#[test]
fn each_branch_trains_its_candidate_for_every_task() {
    for task in [Task::Binary, Task::Multiclass, Task::Regression] {
        let candidates = format!(
            "{{ model = \"linear\", name = \"plain\" }}, {BOOSTING}, {{ model = \"forest\", trees = 5 }}"
        );
        for (branch, name, kind) in [
            (0, "plain", "linear"),
            (1, "boosting", "boosting"),
            (2, "forest", "forest"),
        ] {
            let mut bench = bench(task, &candidates);
            bench.assignment.branch = Some(branch);
            assert_eq!(bench.run(), Ok(Outcome::Advance), "{task:?} {name}");
            assert_eq!(bench.outputs(), 2);
            let model = Model::from_bytes(&bench.output(MODEL)).expect("a model");
            let record = record(&bench);
            assert_eq!(
                (model.kind(), record.kind.as_str(), record.name.as_str()),
                (kind, kind, name)
            );
            assert_eq!((record.rows.train, record.rows.validation), (ROWS, ROWS));
            assert!(!record.time_limited && record.cross_validation.is_none());
            match kind {
                "boosting" => {
                    let curve = record.curve.expect("has rounds");
                    assert!((record.iterations as usize) <= curve.validation.len());
                    assert!(curve.validation.last() < curve.validation.first());
                }
                _ => assert_eq!(record.curve, None),
            }
        }
        let mut bench = bench(task, BOOSTING);
        bench.assignment.branch = Some(1);
        assert!(matches!(bench.run(), Err(StageError::Permanent(m)) if m.contains("no candidate 1")));
    }
}

#[test]
fn equal_input_and_seed_give_equal_bytes() {
    let candidate = "{ model = \"boosting\", rounds = 10, subsample = 0.5, folds = 2 }";
    let written = |seed| {
        let mut bench = bench(Task::Binary, candidate);
        bench.assignment.spec.seed = seed;
        bench.assignment.attempt += 1;
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        (bench.output(MODEL), bench.output(TRAINING))
    };
    let first = written(1);
    assert!(written(1) == first);
    assert!(written(2).0 != first.0, "the seed matters");
}

#[test]
fn cross_validation_tells_what_to_expect() {
    let bench = bench(Task::Binary, "{ model = \"boosting\", rounds = 20, folds = 3 }");
    assert_eq!(bench.run(), Ok(Outcome::Advance));
    let found = record(&bench).cross_validation.expect("was asked for");
    assert_eq!(found.folds, 3);
    let auc = &found.metrics["auc"];
    assert_eq!(auc.by_fold.len(), 3);
    assert!(auc.mean > 0.75 && auc.mean < 1.0 && auc.sd < 0.1, "{auc:?}");
    let progress = bench.notes.progress.lock().expect("not poisoned");
    assert!(progress.is_sorted(), "{progress:?}");
    assert_eq!(progress.last(), Some(&1.0));
}

/// Rows of 40 groups whose label is their group's, so that whoever has seen a row of a group knows the others.
fn grouped() -> DataFrame {
    let group = |row: usize| row % 40;
    df!(
        "x" => (0..ROWS).map(|row| group(row) as f64).collect::<Vec<f64>>(),
        "c" => (0..ROWS).map(|_| "a").collect::<Vec<_>>(),
        "y" => (0..ROWS).map(|row| i64::from(group(row) * 7919 % 1009 % 2 == 0)).collect::<Vec<i64>>(),
    )
    .expect("a frame")
}

const TREES: &str = "{ model = \"boosting\", rounds = 60, learning_rate = 0.3, min_child_weight = 0.1, early_stopping = 0, folds = 4 }";

#[test]
fn cross_validation_keeps_groups_together_where_the_split_does() {
    let accuracy = |split: &str| {
        let bench = split_bench(Task::Binary, TREES, split, grouped());
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        let found: serde_json::Value = serde_json::from_slice(&bench.output(TRAINING)).expect("JSON");
        let found = found["cross_validation"].clone();
        (
            found["metrics"]["auc"]["mean"].as_f64().expect("a number"),
            found["by"].clone(),
            found["columns"].clone(),
        )
    };
    let (at_random, by, _) = accuracy("by = \"random\"");
    assert!(at_random > 0.99, "{at_random}");
    assert_eq!(by, "random");
    let (in_groups, by, columns) = accuracy("by = \"hash\", columns = [\"x\"], validation = 0.2, test = 0.2");
    assert!(in_groups < 0.8, "{in_groups}: no group tells of another");
    assert_eq!((by, columns), ("group".into(), serde_json::json!(["x"])));
}

#[test]
fn cross_validation_learns_from_the_past_where_the_split_does() {
    // What was learned of the past is of no use after it: the label follows the place in time.
    let mut train = grouped();
    let time: Vec<f64> = (0..ROWS).map(|row| row as f64).collect();
    let label: Vec<i64> = (0..ROWS).map(|row| i64::from((row / 40) % 2 == 0)).collect();
    train
        .with_column(Series::new("x".into(), time))
        .expect("of its length");
    train
        .with_column(Series::new("y".into(), label))
        .expect("of its length");
    let split = "by = \"time\", column = \"x\", validation = 0.2, test = 0.2";
    let bench = split_bench(Task::Binary, TREES, split, train);
    assert_eq!(bench.run(), Ok(Outcome::Advance));
    let found: serde_json::Value = serde_json::from_slice(&bench.output(TRAINING)).expect("JSON");
    let found = &found["cross_validation"];
    assert_eq!(
        (&found["by"], &found["columns"]),
        (&"time".into(), &serde_json::json!(["x"]))
    );
    let auc = found["metrics"]["auc"]["mean"].as_f64().expect("a number");
    assert!(auc < 0.8, "{auc}: rows between those of a fold tell of it");
}

#[test]
fn a_fold_that_nothing_can_be_learned_from_is_left_out() {
    let mut train = rows(Task::Binary, 0);
    let label: Vec<i64> = (0..ROWS).map(|row| i64::from(row == 5)).collect();
    train
        .with_column(Series::new("y".into(), label))
        .expect("of its length");
    let candidate = "{ model = \"boosting\", rounds = 5, folds = 3 }";
    let bench = split_bench(Task::Binary, candidate, "by = \"random\"", train);
    assert_eq!(bench.run(), Ok(Outcome::Advance));
    let found: serde_json::Value = serde_json::from_slice(&bench.output(TRAINING)).expect("JSON");
    let found = &found["cross_validation"];
    let left_out = found["left_out"].as_array().expect("a list");
    assert_eq!(left_out.len(), 1, "{found}");
    assert!(
        left_out[0].as_str().expect("a text").contains("one class"),
        "{found}"
    );
    assert_eq!(
        found["metrics"]["log_loss"]["by_fold"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn balanced_classes_predict_the_rare_one_more_often() {
    let mean = |more: &str| {
        let bench = bench(
            Task::Binary,
            &format!("{{ model = \"boosting\", rounds = 20, early_stopping = 0{more} }}"),
        );
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        let model = Model::from_bytes(&bench.output(MODEL)).expect("a model");
        let dataset = dataset(Task::Binary);
        let train = rows(Task::Binary, 0);
        let (_, table) = FeatureProgram::fit(&train, &dataset, &FeatureSettings::default(), 1).expect("fits");
        let values = model.predict(&table).expect("predicts").values;
        values.iter().sum::<f64>() / ROWS as f64
    };
    let (plain, balanced) = (mean(""), mean(", class_weights = \"balanced\""));
    assert!(balanced > plain + 0.03, "{balanced} {plain}");
}

#[test]
fn a_spent_budget_keeps_the_best_so_far_and_says_so() {
    for (candidate, iterations) in [
        (
            "{ model = \"boosting\", rounds = 500, time_budget = \"2s\", folds = 2 }",
            1,
        ),
        ("{ model = \"forest\", trees = 50, time_budget = \"2s\" }", 1),
    ] {
        let bench = bench(Task::Binary, candidate);
        *bench.notes.elapsed.lock().expect("not poisoned") = Duration::from_secs(2);
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        assert_eq!((bench.outputs(), bench.output(TIME_LIMITED).len()), (4, 0));
        let warnings = String::from_utf8(bench.output(flow::WARNINGS)).expect("is text");
        assert!(
            warnings.contains("its time budget ended the training after 1"),
            "{warnings}"
        );
        let record = record(&bench);
        assert!(record.time_limited);
        assert_eq!(record.iterations, iterations);
        Model::from_bytes(&bench.output(MODEL)).expect("a model all the same");
        if let Some(found) = record.cross_validation {
            assert!(found.metrics.is_empty(), "no fold had any time");
        }
    }
    // In time: nothing is marked.
    let bench = bench(
        Task::Binary,
        "{ model = \"boosting\", rounds = 5, time_budget = \"2s\" }",
    );
    assert_eq!(bench.run(), Ok(Outcome::Advance));
    assert_eq!(bench.outputs(), 2);
}

#[test]
fn stops_within_a_round() {
    for looks in [1, 3, 9] {
        let bench = bench(
            Task::Binary,
            "{ model = \"boosting\", rounds = 5000, early_stopping = 0 }",
        );
        bench.notes.interrupt_at_look.store(looks, Ordering::Relaxed);
        assert_eq!(bench.run(), Err(StageError::Interrupted), "at look {looks}");
        assert_eq!(bench.outputs(), 0);
    }
}

#[test]
fn what_cannot_be_read_or_learned_is_said() {
    let says = |bench: &Bench, words: &str| match bench.run() {
        Err(StageError::Permanent(message)) => assert!(message.contains(words), "{message} / {words}"),
        other => panic!("{words}: {other:?}"),
    };
    let damaged = bench(Task::Binary, BOOSTING);
    damaged.input("transform/features.bin", b"no program");
    says(&damaged, "fleetline");
    let damaged = bench(Task::Binary, BOOSTING);
    damaged.input("transform/train.features.parquet", b"no parquet");
    says(&damaged, "train.features.parquet");
    // The features of another label: these are numbers, and no classes.
    let other = bench(Task::Regression, BOOSTING);
    let json = serde_json::to_vec(&dataset(Task::Binary)).expect("serialises");
    other.input("extract/dataset.json", &json);
    says(&other, "no class");
}
