//! What is written opens and predicts; what was changed does not.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::*;
use proptest::prelude::*;

use super::*;
use crate::dataset::{Column, ColumnType, Dataset, Role, SplitRows, Task};
use crate::features::{FeatureProgram, FeatureSettings, target};
use crate::models::{Examples, GoOn, Hyperparameters, Problem, Watch, train};

/// A training that nobody stops.
struct Unwatched;

impl Watch for Unwatched {
    fn go_on(&self, _: f64) -> GoOn {
        GoOn::Yes
    }
}

const ROWS: i32 = 300;

/// Rows whose label follows from their columns. Some cells are missing.
fn rows() -> DataFrame {
    let number = |row: i32| f64::from((row * 37) % 101) / 10.0;
    let numbers: Vec<Option<f64>> = (0..ROWS)
        .map(|row| (row % 11 != 0).then(|| number(row)))
        .collect();
    let places: Vec<Option<&str>> = (0..ROWS)
        .map(|row| ["north", "south", "east"].get((row % 4) as usize).copied())
        .collect();
    let counts: Vec<i64> = (0..ROWS).map(|row| i64::from((row * 13) % 7)).collect();
    let late: Vec<i64> = (0..ROWS)
        .map(|row| i64::from(number(row) + f64::from((row * 13) % 7) > 8.0))
        .collect();
    let kind: Vec<&str> = (0..ROWS)
        .map(|row| {
            if number(row) > 6.0 {
                "high"
            } else if row % 4 == 0 {
                "low"
            } else {
                "middle"
            }
        })
        .collect();
    let cost: Vec<f64> = (0..ROWS)
        .map(|row| 3.0 * number(row) + f64::from(row % 5))
        .collect();
    df!("number" => numbers, "place" => places, "count" => counts, "late" => late, "kind" => kind, "cost" => cost)
        .expect("columns of equal length")
}

fn dataset(task: Task) -> Dataset {
    let (label, classes): (&str, &[&str]) = match task {
        Task::Binary => ("late", &["0", "1"]),
        Task::Multiclass => ("kind", &["high", "low", "middle"]),
        Task::Regression => ("cost", &[]),
    };
    let column = |name: &str, kind| Column {
        name: name.into(),
        kind,
        role: match name {
            _ if name == label => Role::Label,
            "late" | "kind" | "cost" => Role::Excluded,
            _ => Role::Feature,
        },
    };
    Dataset {
        label: label.into(),
        task,
        classes: classes.iter().map(ToString::to_string).collect(),
        columns: vec![
            column("number", ColumnType::Float),
            column("place", ColumnType::Text),
            column("count", ColumnType::Integer),
            column("late", ColumnType::Integer),
            column("kind", ColumnType::Text),
            column("cost", ColumnType::Float),
        ],
        rows: SplitRows {
            train: 300,
            validation: 0,
            test: 300,
        },
    }
}

fn linear() -> Hyperparameters {
    Hyperparameters::Linear {
        l2: 1.0,
        max_iterations: 100,
    }
}

fn boosting() -> Hyperparameters {
    Hyperparameters::Boosting {
        rounds: 10,
        learning_rate: 0.3,
        max_leaves: 7,
        max_depth: 0,
        min_child_weight: 1.0,
        l2: 1.0,
        subsample: 1.0,
        feature_fraction: 1.0,
        early_stopping: 0,
    }
}

/// The files of a model and of its program.
fn trained(task: Task, hyperparameters: &Hyperparameters) -> (Vec<u8>, Vec<u8>) {
    let (rows, dataset) = (rows(), dataset(task));
    let (program, table) =
        FeatureProgram::fit(&rows, &dataset, &FeatureSettings::default(), 1).expect("fits");
    let target = target(&rows, &dataset).expect("has a label");
    let problem = Problem {
        task,
        classes: dataset.classes.len(),
        features: program.features(),
        seed: 1,
        threads: 1,
    };
    let examples = Examples {
        features: &table,
        target: &target,
        weights: None,
    };
    let trained = train(hyperparameters, &problem, examples, None, &Unwatched).expect("learns");
    (
        trained.model.to_bytes().expect("has bytes"),
        program.to_bytes().expect("has bytes"),
    )
}

fn write_to(folder: &Path, task: Task, hyperparameters: &Hyperparameters) -> Description {
    let (model, program) = trained(task, hyperparameters);
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    };
    let contents = Contents {
        model: &model,
        program: &program,
        dataset: &dataset(task),
        statistics: Some(b"{}\n"),
        test: &rows(),
        lineage: text(&[("run", "nightly"), ("metric", "auc")]),
        artifacts: text(&[("extract/train.parquet", "00")]),
        metrics: [("auc".to_owned(), 0.75)].into(),
        csv: CsvDialect {
            separator: Some(';'),
            nulls: vec!["NA".into()],
        },
    };
    write(folder, contents).expect("writes")
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("lists")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_str()
                .expect("ASCII")
                .to_owned();
            (name, std::fs::read(path).expect("reads"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_written_opens_and_is_proved_for_every_task_and_model() {
    for task in [Task::Binary, Task::Multiclass, Task::Regression] {
        for hyperparameters in [linear(), boosting()] {
            let folder = tempfile::tempdir().expect("a folder");
            let description = write_to(folder.path(), task, &hyperparameters);
            let package = Package::open(folder.path()).expect("opens");
            assert_eq!(*package.description(), description);
            assert_eq!(
                package.prove(),
                Ok(Proof { rows: GOLDEN_ROWS }),
                "{task:?} {hyperparameters:?}"
            );
            let scorer = package.scorer().expect("loads");
            let predicted = scorer.predict(&rows()).expect("predicts");
            let names: Vec<&str> = predicted
                .get_column_names()
                .into_iter()
                .map(PlSmallStr::as_str)
                .collect();
            let wanted: &[&str] = match task {
                Task::Binary => &["probability", "prediction"],
                Task::Multiclass => &[
                    "prediction",
                    "probability_high",
                    "probability_low",
                    "probability_middle",
                ],
                Task::Regression => &["prediction"],
            };
            assert_eq!(names, wanted);
            assert_eq!(predicted.height(), 300);
            let kind = predicted.column("prediction").expect("is there").dtype().clone();
            assert_eq!(
                kind,
                match task {
                    Task::Binary => DataType::Int64,
                    Task::Multiclass => DataType::String,
                    Task::Regression => DataType::Float64,
                }
            );
            assert_eq!(
                scorer.predict(&rows().head(Some(0))).expect("predicts").height(),
                0
            );
        }
    }
}

#[test]
fn equal_contents_give_equal_bytes() {
    let (one, two) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    write_to(one.path(), Task::Binary, &boosting());
    write_to(two.path(), Task::Binary, &boosting());
    assert_eq!(files(one.path()), files(two.path()));
}

#[test]
fn a_change_to_any_file_is_seen_and_told_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    write_to(folder.path(), Task::Binary, &boosting());
    for (name, bytes) in files(folder.path()) {
        let path = folder.path().join(&name);
        // Some bits all over the file, the first and the last byte among them.
        for part in 0..=24 {
            let at = (bytes.len() - 1) * part / 24;
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (part % 8);
            std::fs::write(&path, &changed).expect("writes");
            let error = Package::open(folder.path()).expect_err("a bit is wrong");
            assert!(
                matches!(&error, PackageError::Damaged { file, .. } if *file == name),
                "{name} at {at}: {error}"
            );
        }
        for (bytes, what) in [(&bytes[..bytes.len() - 1], "cut off"), (b"", "empty")] {
            std::fs::write(&path, bytes).expect("writes");
            assert!(Package::open(folder.path()).is_err(), "{name} {what}");
        }
        std::fs::remove_file(&path).expect("removes");
        let error = Package::open(folder.path()).expect_err("a file is missing");
        assert!(
            matches!(&error, PackageError::File { file, .. } if *file == name),
            "{name}: {error}"
        );
        std::fs::write(&path, &bytes).expect("writes");
    }
    assert!(Package::open(folder.path()).is_ok());
}

/// The description with another text in it and the digest that belongs to that.
fn forged(folder: &Path, from: &str, to: &str) -> Result<Package, PackageError> {
    let path = folder.join(DESCRIPTION);
    let good = std::fs::read_to_string(&path).expect("reads");
    assert!(good.contains(from), "{good}");
    let mut text = good.replace(from, to);
    let digest = files::digest(&text.as_bytes()[79..]);
    text.replace_range(15..79, &digest);
    std::fs::write(&path, text).expect("writes");
    let opened = Package::open(folder);
    std::fs::write(&path, good).expect("writes");
    opened
}

#[test]
fn a_description_that_is_whole_but_wrong_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    write_to(folder.path(), Task::Binary, &linear());
    let open = |from: &str, to: &str| forged(folder.path(), from, to);
    assert!(open("nightly", "another").is_ok());
    assert_eq!(
        open("\"format_version\": 1", "\"format_version\": 2").expect_err("newer"),
        PackageError::Version { found: 2, newest: 1 }
    );
    for (from, to) in [
        ("\"model.bin\"", "\"../model.bin\""),
        ("\"model.bin\"", "\"/etc/passwd\""),
        ("\"label\"", "\"lable\""),
        ("\"format_version\": 1", "\"format_version\": 1, \"more\": 2"),
        ("\"task\": \"binary\"", "\"task\": \"other\""),
    ] {
        let error = open(from, to).expect_err("wrong");
        assert!(
            matches!(&error, PackageError::Damaged { file, .. } if file == DESCRIPTION),
            "{to}: {error}"
        );
    }
}

#[test]
fn parts_of_two_packages_do_not_fit() {
    let (model, _) = trained(Task::Binary, &linear());
    let (_, program) = trained(Task::Binary, &linear());
    let program = FeatureProgram::from_bytes(&program).expect("reads");
    let signature = Signature::of(&program, &dataset(Task::Multiclass)).expect("a signature");
    let model = Model::from_bytes(&model).expect("reads");
    let error = Scorer::new(program, model, signature).expect_err("another task");
    assert!(matches!(error, PackageError::Parts(_)), "{error}");
}

#[test]
fn rows_that_do_not_fit_are_told_by_column() {
    let folder = tempfile::tempdir().expect("a folder");
    write_to(folder.path(), Task::Binary, &linear());
    let scorer = Package::open(folder.path())
        .and_then(|package| package.scorer())
        .expect("loads");
    let error = scorer
        .predict(&rows().drop("place").expect("is there"))
        .expect_err("a column is missing");
    assert!(error.to_string().contains("no column place"), "{error}");
    let text = rows()
        .with_column(polars::prelude::Column::new("number".into(), vec!["secret"; 300]))
        .expect("replaces")
        .clone();
    let error = scorer.predict(&text).expect_err("no number").to_string();
    assert!(error.contains("number") && !error.contains("secret"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever can write the digest anew can write what they like; it must be refused or read, and never panic.
    #[test]
    fn t06_no_description_panics(at: proptest::sample::Index, byte: u8) {
        let description = Description {
            format_version: 1,
            fleetline: "1".into(),
            task: Task::Binary,
            label: "late".into(),
            classes: vec!["0".into(), "1".into()],
            model_kind: "linear".into(),
            lineage: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            metrics: BTreeMap::new(),
            csv: CsvDialect::default(),
            files: BTreeMap::new(),
        };
        let mut bytes = description.to_bytes().expect("bytes");
        let rest = 79..bytes.len();
        let at = rest.start + at.index(rest.len());
        bytes[at] = byte;
        let digest = files::digest(&bytes[rest]);
        bytes[15..79].copy_from_slice(digest.as_bytes());
        let _ = Description::from_bytes(&bytes);
    }
}
