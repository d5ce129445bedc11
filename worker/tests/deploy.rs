//! `deploy` in a real child process, whose package another real process proves; and what that process says of packages
//! that were changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use ml::dataset::{Column, ColumnType, Dataset, Role, SplitRows, Task};
use ml::features::{self, FeatureProgram, FeatureSettings};
use ml::models::{self, Examples, GoOn, Hyperparameters, Problem, Watch};
use pipeline::spec::{Overrides, load};
use pipeline::stage::{Assignment, Outcome};
use pipeline::{RunId, StepName};
use polars::prelude::{DataFrame, df};
use tempfile::TempDir;
use tokio::sync::watch;
use worker::child::{ChildRequest, End, Stop, run_in_child};
use worker::host::real_host;

const SPEC: &str = r#"
pipeline = "flights"
[[steps]]
stage = "extract"
params = { sources = { data = "rows.csv" }, label = "late" }
[[steps]]
stage = "transform"
[[steps]]
stage = "train"
branches = 1
params = { candidates = [{ model = "boosting" }] }
[[steps]]
stage = "evaluate"
[[steps]]
stage = "deploy"
"#;

struct Unwatched;

impl Watch for Unwatched {
    fn go_on(&self, _: f64) -> GoOn {
        GoOn::Yes
    }
}

fn rows() -> DataFrame {
    let number = |row: i64| (row * 37) % 101;
    df!(
        "number" => (0..300).map(number).collect::<Vec<_>>(),
        "place" => (0..300).map(|row| if row % 3 == 0 { "north" } else { "south" }).collect::<Vec<_>>(),
        "late" => (0..300).map(|row| number(row) > 60).collect::<Vec<_>>(),
    )
    .expect("columns of equal length")
}

fn dataset() -> Dataset {
    let column = |name: &str, kind, role| Column {
        name: name.into(),
        kind,
        role,
    };
    Dataset {
        label: "late".into(),
        task: Task::Binary,
        classes: vec!["false".into(), "true".into()],
        columns: vec![
            column("number", ColumnType::Integer, Role::Feature),
            column("place", ColumnType::Text, Role::Feature),
            column("late", ColumnType::Boolean, Role::Label),
        ],
        rows: SplitRows {
            train: 300,
            validation: 0,
            test: 300,
        },
    }
}

/// Puts what the steps before wrote where `deploy` looks for it.
fn put_inputs(inputs: &Path) {
    let (mut rows, dataset) = (rows(), dataset());
    let (program, table) =
        FeatureProgram::fit(&rows, &dataset, &FeatureSettings::default(), 1).expect("fits");
    let problem = Problem {
        task: Task::Binary,
        classes: 2,
        features: program.features(),
        seed: 1,
        threads: 1,
    };
    let target = features::target(&rows, &dataset).expect("has a label");
    let examples = Examples {
        features: &table,
        target: &target,
        weights: None,
    };
    let hyperparameters = Hyperparameters::Boosting {
        rounds: 10,
        learning_rate: 0.3,
        max_leaves: 7,
        max_depth: 0,
        min_child_weight: 1.0,
        l2: 1.0,
        subsample: 1.0,
        feature_fraction: 1.0,
        early_stopping: 0,
    };
    let model = models::train(&hyperparameters, &problem, examples, None, &Unwatched)
        .expect("learns")
        .model;
    let put = |path: &str, bytes: &[u8]| {
        let path = inputs.join(path);
        std::fs::create_dir_all(path.parent().expect("below a folder")).expect("makes folders");
        std::fs::write(path, bytes).expect("writes");
    };
    put("transform/features.bin", &program.to_bytes().expect("has bytes"));
    put("train/0/model.bin", &model.to_bytes().expect("has bytes"));
    put("extract/statistics.json", b"{}");
    put(
        "extract/dataset.json",
        &serde_json::to_vec(&dataset).expect("JSON"),
    );
    put(
        "evaluate/verdict.json",
        br#"{"winner": {"name": "boosting", "ordinal": 0, "kind": "boosting"}, "metric": "auc", "passed": true,
            "promote": true, "reason": "no gates", "alias_revision": 0,
            "compared": {"model": "flights", "alias": "champion"}}"#,
    );
    put(
        "evaluate/evaluation.json",
        br#"{"candidates": [{"ordinal": 0, "test": {"auc": 0.9}}]}"#,
    );
    ml::frame::write(&inputs.join("extract/test.parquet"), &mut rows).expect("writes");
}

/// Deploys in a child process; the folder has the package in `outputs`.
async fn deployed() -> TempDir {
    let folder = tempfile::tempdir().expect("makes a folder");
    let place = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("makes a folder");
        path
    };
    let request = ChildRequest {
        program: env!("CARGO_BIN_EXE_worker").into(),
        assignment: Assignment {
            run: RunId::new("r").expect("valid"),
            step: StepName::new("deploy").expect("valid"),
            branch: None,
            attempt: 1,
            spec: load(SPEC, &Overrides::new()).expect("a good specification"),
            committed: BTreeMap::new(),
            found: pipeline::stage::Found::default(),
        },
        inputs: place("inputs"),
        outputs: place("outputs"),
        scratch: place("tmp"),
        memory_limit_bytes: None,
        scratch_limit_bytes: None,
        time_limit: None,
        grace: Duration::from_secs(60),
    };
    put_inputs(&request.inputs);
    let (_sender, stop) = watch::channel(Stop::Not);
    let ended = run_in_child(request, &real_host(0), stop, &mut |_| {}).await;
    match ended.end {
        End::Outcome(Outcome::Register(registration)) => {
            assert_eq!(registration.model.as_str(), "flights");
            assert_eq!(registration.promote.map(|p| p.expected_revision), Some(0));
        }
        other => panic!("{other:?}"),
    }
    folder
}

fn prove(folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_worker"))
        .arg("prove")
        .arg(folder)
        .output()
        .expect("starts")
}

#[tokio::test]
async fn a_package_is_proved_by_a_process_of_its_own_and_a_changed_one_is_not() {
    let folder = deployed().await;
    let package = folder.path().join("outputs");
    let said = prove(&package);
    assert_eq!(
        (said.status.code(), String::from_utf8_lossy(&said.stdout).trim()),
        (Some(0), "{\"rows\":50}"),
        "{said:?}"
    );
    let names: Vec<String> = std::fs::read_dir(&package)
        .expect("lists")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let path = package.join(&name);
        let good = std::fs::read(&path).expect("reads");
        let mut changed = good.clone();
        changed[good.len() / 2] ^= 4;
        std::fs::write(&path, changed).expect("writes");
        let said = prove(&package);
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(1), "{name}: {complaint}");
        assert!(
            complaint.contains(&name) && complaint.lines().count() == 1,
            "{name}: {complaint}"
        );
        std::fs::write(&path, good).expect("writes");
    }
    assert_eq!(prove(&package).status.code(), Some(0));
    let said = prove(&folder.path().join("nowhere"));
    assert_eq!(said.status.code(), Some(1));
}
