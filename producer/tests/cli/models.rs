//! Models: listed, shown, rolled back.

use pipeline::protocol::Ending;
use pipeline::registry::{Promotion, Registration};
use serde_json::json;

use crate::support::{Place, Worker};

fn register(place: &Place, worker: &Worker, run: &str, expected_revision: u64) {
    register_files(place, worker, run, Some(expected_revision), &[("model.bin", run)]);
}

fn register_files(
    place: &Place,
    worker: &Worker,
    run: &str,
    expected_revision: Option<u64>,
    files: &[(&str, &str)],
) {
    place.submit(run);
    worker.step(&[]);
    let registration = Registration {
        model: "churn".parse().expect("an id"),
        promote: expected_revision.map(|expected_revision| Promotion {
            alias: "champion".parse().expect("an id"),
            expected_revision,
        }),
        reason: format!("{run} is better"),
    };
    worker.commit(
        worker.claim(),
        files,
        &Ending::Register(registration),
        worker.now(),
    );
}

#[test]
fn models_are_shown_and_rolled_back() {
    let place = Place::new();
    let worker = Worker::new(&place);
    assert!(
        place
            .run(&["models", "list"])
            .err
            .contains("no model is registered")
    );
    register(&place, &worker, "one", 0);
    register(&place, &worker, "two", 1);

    let list = place.json(&["models", "list"]);
    assert_eq!(
        list,
        json!([{"model": "churn", "versions": 2, "newest": "two", "alias": "champion", "version": "two", "revision": 2}])
    );
    assert!(place.ok(&["models", "list"]).contains("CHAMPION"));
    let show = place.json(&["models", "show", "churn"]);
    assert_eq!(
        (show[0]["version"].clone(), show[0]["is_current"].clone()),
        (json!("two"), json!(true))
    );
    assert_eq!(show[1]["artifacts"][0]["name"], json!("model.bin"));
    assert!(place.ok(&["models", "show", "churn"]).contains("champion"));
    assert!(
        place
            .ok(&["models", "history", "churn"])
            .contains("two is better")
    );

    let back = place.json(&["models", "rollback", "churn", "--reason", "complaints"]);
    assert_eq!(
        (back["version"].clone(), back["revision"].clone()),
        (json!("one"), json!(3))
    );
    let history = place.json(&["models", "history", "churn"]);
    assert_eq!(
        (history[0]["reason"].clone(), history.as_array().map(Vec::len)),
        (json!("complaints"), Some(3))
    );
    assert_eq!(
        place.json(&["show", "two"])["run"]["registered"]["model"],
        json!("churn")
    );

    for (args, code, part) in [
        (vec!["models", "show", "nope"], 3, "no model nope"),
        (vec!["models", "rollback", "nope"], 3, "no model nope"),
        (
            vec!["models", "rollback", "churn", "--alias", "shadow"],
            4,
            "never moved",
        ),
    ] {
        let ran = place.run(&args);
        assert!(
            ran.code == code && ran.err.contains(part),
            "{args:?}: {} {}",
            ran.code,
            ran.err
        );
    }
}

#[test]
fn the_first_position_cannot_be_rolled_back() {
    let place = Place::new();
    let worker = Worker::new(&place);
    register(&place, &worker, "one", 0);
    let ran = place.run(&["models", "rollback", "churn"]);
    assert!(
        ran.code == 4 && ran.err.contains("nothing to roll back to"),
        "{} {}",
        ran.code,
        ran.err
    );
}

#[test]
fn a_version_is_promoted_by_hand() {
    let place = Place::new();
    let worker = Worker::new(&place);
    register_files(&place, &worker, "one", None, &[("model.bin", "one")]);
    register_files(&place, &worker, "two", None, &[("model.bin", "two")]);
    let promote = ["models", "promote", "churn"];
    let with =
        |rest: &[&str]| -> Vec<String> { promote.iter().chain(rest).map(ToString::to_string).collect() };
    for (rest, code, part) in [
        (vec!["one"], 2, "--reason"),
        (vec!["nope", "--reason", "r"], 3, "has no version nope"),
    ] {
        let args = with(&rest);
        let ran = place.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(
            ran.code == code && ran.err.contains(part),
            "{args:?}: {} {}",
            ran.code,
            ran.err
        );
    }
    let first = place.json(&["models", "promote", "churn", "one", "--reason", "looked at it"]);
    assert_eq!(
        (
            first["version"].clone(),
            first["revision"].clone(),
            first["reason"].clone()
        ),
        (json!("one"), json!(1), json!("looked at it"))
    );
    let ran = place.run(&["models", "promote", "churn", "two", "--reason", "better"]);
    assert!(
        ran.code == 0 && ran.err.contains("points to two (was one), revision 2"),
        "{} {}",
        ran.code,
        ran.err
    );
    let ran = place.run(&["models", "promote", "churn", "two", "--reason", "again"]);
    assert!(
        ran.code == 4 && ran.err.contains("already"),
        "{} {}",
        ran.code,
        ran.err
    );
    let back = place.json(&["models", "rollback", "churn"]);
    assert_eq!(back["version"], json!("one"));
}

#[test]
fn what_a_package_says_of_itself_is_shown() {
    let place = Place::new();
    let worker = Worker::new(&place);
    let described = json!({
        "format_version": 1,
        "model_kind": "boosting",
        "metrics": {"auc": 0.78621, "log_loss": 0.4},
        "lineage": {"run": "good", "metric": "auc"},
    });
    register_files(
        &place,
        &worker,
        "good",
        None,
        &[("package.json", &described.to_string())],
    );
    register_files(&place, &worker, "odd", None, &[("package.json", "[1")]);
    let show = place.json(&["models", "show", "churn"]);
    assert_eq!(
        (show[0]["version"].clone(), show[0]["metrics"].clone()),
        (json!("odd"), json!(null))
    );
    assert_eq!(
        (
            show[1]["metrics"]["log_loss"].clone(),
            show[1]["lineage"]["run"].clone()
        ),
        (json!(0.4), json!("good"))
    );
    let text = place.ok(&["models", "show", "churn"]);
    assert!(text.contains("boosting") && text.contains("auc 0.7862"), "{text}");
}
