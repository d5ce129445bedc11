//! Models: listed, shown, rolled back.

use pipeline::protocol::Ending;
use pipeline::registry::{Promotion, Registration};
use serde_json::json;

use crate::support::{Place, Worker};

fn register(place: &Place, worker: &Worker, run: &str, expected_revision: u64) {
    place.submit(run);
    worker.step(&[]);
    let registration = Registration {
        model: "churn".parse().expect("an id"),
        promote: Some(Promotion {
            alias: "champion".parse().expect("an id"),
            expected_revision,
        }),
        reason: format!("{run} is better"),
    };
    worker.commit(
        worker.claim(),
        &[("model.bin", run)],
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
