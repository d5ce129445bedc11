use std::sync::atomic::Ordering;

use ml::dataset::{Column, ColumnType, SplitRows, Task};
use ml::features::FeatureColumn;
use pipeline::stage::Committed;
use polars::prelude::*;

use super::*;
use crate::testing::{Bench, manifest};

fn dataset(task: Task, classes: &[&str]) -> Dataset {
    let column = |name: &str, kind, role| Column {
        name: name.into(),
        kind,
        role,
    };
    Dataset {
        label: "y".into(),
        task,
        classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        columns: vec![
            column("id", ColumnType::Integer, Role::Key),
            column("x", ColumnType::Float, Role::Feature),
            column("t", ColumnType::Text, Role::Feature),
            column("same", ColumnType::Integer, Role::Feature),
            column("y", ColumnType::Integer, Role::Label),
            column("w", ColumnType::Float, Role::Weight),
        ],
        rows: SplitRows {
            train: 6,
            validation: 2,
            test: 1,
        },
    }
}

fn binary() -> Dataset {
    dataset(Task::Binary, &["0", "1"])
}

fn train() -> DataFrame {
    df!(
        "id" => [1i64, 2, 3, 4, 5, 6],
        "x" => [Some(1.0), Some(2.0), None, Some(4.0), Some(5.0), Some(6.0)],
        "t" => ["a", "b", "a", "b", "a", "c"],
        "same" => [1i64; 6],
        "y" => [Some(0i64), Some(1), Some(0), Some(1), Some(0), Some(1)],
        "w" => [1.0; 6],
    )
    .expect("a frame")
}

fn bytes(frame: &DataFrame) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = folder.path().join("frame");
    ml::frame::write(&path, &mut frame.clone()).expect("writes");
    std::fs::read(path).expect("reads")
}

/// An extract step that wrote these rows, and a transform step that is told `params`.
fn bench(params: &str, dataset: &Dataset, train: &DataFrame, test: &DataFrame) -> Bench {
    let mut bench = Bench::new(&format!(
        "[[steps]]\nstage = \"extract\"\nparams = {{ sources = {{ rows = \"rows.csv\" }}, label = \"y\" }}\n[[steps]]\nstage = \"transform\"\nparams = {params}\n"
    ));
    let files = [
        (Split::Train.rows(), bytes(train)),
        (Split::Validation.rows(), bytes(&train.tail(Some(2)))),
        (Split::Test.rows(), bytes(test)),
        (flow::DATASET, serde_json::to_vec(dataset).expect("is JSON")),
    ];
    for (name, bytes) in &files {
        bench.input(&format!("extract/{name}"), bytes);
    }
    let artifacts: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect();
    bench.commit("extract", Committed::One(manifest("extract", 0, 1, &artifacts)));
    bench
}

const PARAMS: &str = "{ min_rows = 2 }";

fn stored(bench: &Bench, split: Split, program: &FeatureProgram) -> StoredFeatures {
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, bench.output(split.features())).expect("writes");
    store::read(&path, program.features()).expect("reads")
}

fn refused(bench: &Bench) -> String {
    match bench.run() {
        Err(StageError::Permanent(message)) => message,
        other => panic!("{other:?} is no refusal"),
    }
}

#[test]
fn reads_the_rows_of_every_split() {
    let bench = bench(PARAMS, &binary(), &train(), &train());
    let paths: Vec<String> = Transform
        .reads(&bench.assignment)
        .iter()
        .map(|read| read.path.display().to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "extract/train.parquet",
            "extract/validation.parquet",
            "extract/test.parquet",
            "extract/dataset.json"
        ]
    );
}

#[test]
fn fits_on_train_and_applies_to_all() {
    let test = df!("x" => [9.0], "t" => ["new"], "y" => [1i64], "w" => [2.0]).expect("a frame");
    let bench = bench(PARAMS, &binary(), &train(), &test);
    assert_eq!(bench.run(), Ok(Outcome::Advance));
    assert_eq!(bench.outputs(), 6);
    let program = FeatureProgram::from_bytes(&bench.output(flow::PROGRAM)).expect("reads");
    let names: Vec<&str> = program.features().iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["x", "t"]);

    let of_train = stored(&bench, Split::Train, &program);
    assert_eq!(of_train.target, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    assert_eq!(of_train.weights, Some(vec![1.0; 6]));
    assert_eq!(
        of_train.features.columns[1],
        FeatureColumn::Category(vec![0, 1, 0, 1, 0, 2])
    );
    let of_test = stored(&bench, Split::Test, &program);
    assert_eq!(of_test.features.columns[0], FeatureColumn::Numeric(vec![9.0]));
    assert_eq!(of_test.features.columns[1], FeatureColumn::Category(vec![2]));
    assert_eq!(stored(&bench, Split::Validation, &program).target, [0.0, 1.0]);

    let summary: serde_json::Value = serde_json::from_slice(&bench.output(flow::FEATURES)).expect("is JSON");
    assert_eq!(summary["features"][1]["column"], "t");
    assert_eq!(summary["features"][1]["categories"], 3);
    assert_eq!(summary["notes"][0]["column"], "same");
    assert_eq!(summary["notes"][0]["left_out"], true);
    let warnings: Vec<String> = serde_json::from_slice(&bench.output(flow::WARNINGS)).expect("is JSON");
    assert_eq!(
        warnings,
        ["same is left out: it is the same in all rows of train"]
    );
    let progress = bench.notes.progress.lock().expect("not poisoned").clone();
    assert!(
        progress.is_sorted() && progress.last() == Some(&1.0),
        "{progress:?}"
    );
}

#[test]
fn equal_rows_and_seed_give_equal_bytes() {
    let written = |seed: u64| {
        let params = "{ min_rows = 1, encode = \"target\" }";
        let mut bench = bench(params, &binary(), &train(), &train());
        bench.assignment.spec.seed = seed;
        bench.assignment.attempt = u32::try_from(seed).expect("small");
        assert_eq!(bench.run(), Ok(Outcome::Advance));
        let train = bench.output(Split::Train.features());
        (bench.output(flow::PROGRAM), bench.output(flow::FEATURES), train)
    };
    assert_eq!(written(7), written(7));
    let other = (8..20).any(|seed| written(seed).2 != written(7).2);
    assert!(other, "the seed draws the folds");
}

#[test]
fn says_in_which_split_column_and_row_the_data_is_at_fault() {
    let with = |name: &str, values: Series| {
        let mut frame = train();
        frame
            .with_column(values.with_name(name.into()).into())
            .expect("as long");
        frame
    };
    let no_label = with(
        "y",
        Series::new("y".into(), [Some(0i64), None, Some(1), None, None, None]),
    );
    let one_class = with("y", Series::new("y".into(), [0i64; 6]));
    let weight = with("w", Series::new("w".into(), [1.0, 1.0, -1.0, 1.0, 1.0, 1.0]));
    let text = with("x", Series::new("x".into(), ["secret"; 6]));
    let same = with("x", Series::new("x".into(), [1.0; 6]));
    let regression = dataset(Task::Regression, &[]);
    for (bench, message) in [
        (
            bench(PARAMS, &binary(), &no_label, &train()),
            "train.parquet: column y, row 2: the label is missing",
        ),
        (
            bench(PARAMS, &binary(), &train(), &no_label),
            "test.parquet: column y, row 2: the label is missing",
        ),
        (
            bench(PARAMS, &binary(), &one_class, &train()),
            "train.parquet: column y: train has no row of class number 2 of 2",
        ),
        (
            bench(PARAMS, &regression, &one_class, &train()),
            "train.parquet: column y: the label is the same in all rows of train",
        ),
        (
            bench(PARAMS, &binary(), &weight, &train()),
            "train.parquet: column w, row 3: a weight must be",
        ),
        (
            bench(PARAMS, &binary(), &text, &train()),
            "train.parquet: column x is str and must be numbers",
        ),
        (
            bench(PARAMS, &binary(), &train(), &text),
            "test.parquet: column x is str and must be numbers",
        ),
        (
            bench("{ only = [\"x\"] }", &binary(), &same, &train()),
            "train.parquet: there is no usable feature: x is left out",
        ),
        (
            bench("{ only = [\"id\"] }", &binary(), &train(), &train()),
            "train.parquet: column id: it is a key",
        ),
    ] {
        let found = refused(&bench);
        assert!(found.starts_with(message), "{found}");
        assert!(!found.contains("secret"));
    }
}

#[test]
fn names_that_the_files_need_are_refused() {
    let mut dataset = binary();
    dataset.columns[1].name = store::TARGET.into();
    let mut frame = train();
    frame.rename("x", store::TARGET.into()).expect("is there");
    let message = refused(&bench(PARAMS, &dataset, &frame, &frame));
    assert!(message.contains("may not be named __target"), "{message}");
}

#[test]
fn stops_between_its_parts() {
    for look in 1..=6 {
        let bench = bench(PARAMS, &binary(), &train(), &train());
        bench.notes.interrupt_at_look.store(look, Ordering::Relaxed);
        assert_eq!(bench.run(), Err(StageError::Interrupted), "look {look}");
    }
}
