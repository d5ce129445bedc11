use ml::dataset::Task;
use ml::package::Description;
use pipeline::id::AliasName;
use serde_json::{Value, json};

use super::*;
use crate::testing::Bench;
use crate::testing_deployed::{bench, boosting, linear, verdict};

const STEP: &str = "[[steps]]\nstage = \"deploy\"\nparams = { model = \"flights\" }";

fn deployed(bench: &Bench) -> Registration {
    match bench.run() {
        Ok(Outcome::Register(registration)) => registration,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_winner_is_packed_proved_and_promoted() {
    for task in [Task::Binary, Task::Multiclass, Task::Regression] {
        for hyperparameters in [linear(), boosting()] {
            let bench = bench(task, &hyperparameters, &verdict("auc"), STEP);
            let registration = deployed(&bench);
            assert_eq!(registration.model.as_str(), "flights");
            assert_eq!(
                registration.promote,
                Some(Promotion {
                    alias: AliasName::new("champion").expect("valid"),
                    expected_revision: 3
                })
            );
            let description: Value = serde_json::from_slice(&bench.output("package.json")).expect("JSON");
            assert_eq!(description["lineage"]["candidate"], json!("trees"));
            assert_eq!(description["lineage"]["run"], json!("r"));
            assert_eq!(description["metrics"], json!({"auc": 0.75}));
            let artifacts = description["artifacts"].as_object().expect("an object");
            for name in [
                "extract/test.parquet",
                "transform/features.bin",
                "train/1/model.bin",
            ] {
                assert!(artifacts.contains_key(name), "{name} in {artifacts:?}");
            }
            assert!(!artifacts.contains_key("train/0/model.bin"));
        }
    }
}

/// A package is all that is fetched of a model: nobody's key may be in it.
#[test]
fn a_package_holds_no_column_that_the_model_does_not_read() {
    let bench = bench(Task::Binary, &boosting(), &verdict("auc"), STEP);
    deployed(&bench);
    let description: Description = {
        let mut value: Value = serde_json::from_slice(&bench.output("package.json")).expect("JSON");
        value.as_object_mut().expect("an object").remove("sha256");
        serde_json::from_value(value).expect("a description")
    };
    assert_eq!(bench.outputs(), description.files.len() + 1);
    for name in description.files.keys() {
        let bytes = bench.output(name);
        assert!(
            !bytes.windows(4).any(|window| window == b"key-"),
            "{name} has the keys of rows"
        );
    }
}

#[test]
fn the_verdict_is_obeyed() {
    let with = |changes: Value| {
        let mut told = verdict("auc");
        for (key, value) in changes.as_object().expect("an object") {
            told[key] = value.clone();
        }
        told
    };
    let not_better = with(json!({"promote": false, "reason": "the champion is better"}));
    let registration = deployed(&bench(Task::Binary, &linear(), &not_better, STEP));
    assert_eq!(
        (registration.promote, registration.reason.as_str()),
        (None, "the champion is better")
    );
    let failed = with(json!({"passed": false, "promote": false, "reason": "auc 0.5 is below 0.6"}));
    let error = bench(Task::Binary, &linear(), &failed, STEP)
        .run()
        .expect_err("refused");
    assert!(
        matches!(&error, StageError::Permanent(why) if why.contains("auc 0.5 is below 0.6")),
        "{error}"
    );
    let first = with(json!({"alias_revision": null}));
    let registration = deployed(&bench(Task::Binary, &linear(), &first, STEP));
    assert_eq!(registration.promote.map(|p| p.expected_revision), Some(0));
}

#[test]
fn what_the_specification_holds_back_is_registered_only() {
    for (params, part) in [
        ("{ model = \"flights\", promote = false }", "promote = false"),
        (
            "{ model = \"other\" }",
            "compared with flights@champion and not with other@champion",
        ),
        (
            "{ model = \"flights\", alias = \"shadow\" }",
            "compared with flights@champion and not with flights@shadow",
        ),
    ] {
        let step = format!("[[steps]]\nstage = \"deploy\"\nparams = {params}");
        let registration = deployed(&bench(Task::Binary, &linear(), &verdict("auc"), &step));
        assert_eq!(registration.promote, None, "{params}");
        assert!(registration.reason.contains(part), "{}", registration.reason);
    }
}

/// The revision that a verdict has is that of the alias that was looked at.
#[test]
fn a_champion_that_nobody_compared_with_is_not_replaced() {
    for (compared, part) in [
        (
            json!({"model": "flights", "alias": "staging"}),
            "flights@staging and not with flights@champion",
        ),
        (Value::Null, "compared with no champion"),
    ] {
        let mut told = verdict("auc");
        told["compared"] = compared;
        let registration = deployed(&bench(Task::Binary, &linear(), &told, STEP));
        assert_eq!(registration.promote, None, "{part}");
        assert!(registration.reason.contains(part), "{}", registration.reason);
    }
}

#[test]
fn damaged_inputs_are_permanent_and_told_by_name() {
    for (path, name) in [
        ("train/1/model.bin", "model.bin"),
        ("transform/features.bin", "features.bin"),
        ("extract/test.parquet", "test.parquet"),
        ("evaluate/verdict.json", "verdict.json"),
    ] {
        let bench = bench(Task::Binary, &linear(), &verdict("auc"), STEP);
        bench.input(path, b"FLEETLN1 and no more");
        let error = bench.run().expect_err("it is damaged");
        assert!(
            matches!(&error, StageError::Permanent(why) if why.contains(name)),
            "{path}: {error}"
        );
    }
}

#[test]
fn everything_that_it_reads_is_asked_for() {
    let bench = bench(Task::Binary, &linear(), &verdict("auc"), STEP);
    let reads: Vec<String> = Deploy
        .reads(&bench.assignment)
        .iter()
        .map(|read| read.path.display().to_string())
        .collect();
    for path in [
        "evaluate/verdict.json",
        "evaluate/evaluation.json",
        "train/0/model.bin",
        "train/1/model.bin",
        "transform/features.bin",
        "extract/statistics.json",
        "extract/test.parquet",
        "extract/dataset.json",
    ] {
        assert!(reads.iter().any(|read| read == path), "{path} in {reads:?}");
    }
}
