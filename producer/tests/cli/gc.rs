//! Garbage collection, dry and real.

use pipeline::protocol::Ending;
use pipeline::registry::Registration;
use pipeline::{RunStatus, Timestamp, protocol};
use serde_json::{Value, json};

use crate::support::{Place, Worker, advance, id};

fn ago(worker: &Worker, days: u64) -> Timestamp {
    Timestamp(worker.now().0 - days * 86_400_000)
}

fn submit(place: &Place, run: &str, bytes: u32) {
    place.ok(&[
        "submit",
        "spec.toml",
        "--key",
        run,
        "--set",
        &format!("bytes={bytes}"),
    ]);
}

/// The artifacts that are stored, by key.
fn stored(worker: &Worker) -> Vec<String> {
    let store = &worker.backend.artifacts;
    let mut keys: Vec<String> = worker.block(async {
        let mut keys = Vec::new();
        for run in store.list_runs().await.expect("it lists") {
            keys.extend(
                store
                    .list(&run)
                    .await
                    .expect("it lists")
                    .iter()
                    .map(ToString::to_string),
            );
        }
        keys
    });
    keys.sort();
    keys
}

fn names(document: &Value, list: &str, field: &str) -> Vec<String> {
    let entries = document[list].as_array().expect("a list");
    entries
        .iter()
        .map(|e| e[field].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn old_runs_go_and_what_is_in_use_stays() {
    let place = Place::new();
    let worker = Worker::new(&place);
    // Old and done: goes, with an artifact of an attempt that never committed.
    submit(&place, "old", 1);
    worker.commit(worker.claim(), &[("rows", "1")], &advance(), ago(&worker, 41));
    let last = worker.claim();
    worker.publish(&last, &[("half", "12")]);
    worker.commit(last, &[], &advance(), ago(&worker, 40));
    // Old and cancelled, but resumed: stays.
    submit(&place, "parent", 2);
    worker.commit(worker.claim(), &[("rows", "2")], &advance(), ago(&worker, 50));
    let cancelled = protocol::cancel(&id("parent"), "wrong", ago(&worker, 50));
    worker
        .block(worker.backend.runs.apply(&cancelled))
        .expect("it is cancelled");
    let child = place.ok(&["resume", "parent"]).trim_end().to_owned();
    // The resumed run is open, and an attempt of it is under way.
    let busy = worker.claim();
    worker.publish(&busy, &[("half", "under way")]);
    // Old, but a model's version: stays, without what its dead attempt left.
    submit(&place, "model", 3);
    worker.step(&[]);
    let registration = Registration {
        model: "churn".parse().expect("an id"),
        promote: None,
        reason: "good".into(),
    };
    worker.commit(
        worker.claim(),
        &[("package", "3")],
        &Ending::Register(registration),
        ago(&worker, 60),
    );
    let origin = pipeline::artifact::Origin {
        run: id("model"),
        step: "report".parse().expect("an id"),
        ordinal: 0,
        attempt: 9,
    };
    place.write("dead", "dead");
    let dead = pipeline::ArtifactKey::Attempt(origin, "dead".parse().expect("a name"));
    worker
        .block(
            worker
                .backend
                .artifacts
                .publish(&dead, &place.path().join("dead")),
        )
        .expect("it is stored");
    // Young: stays.
    submit(&place, "young", 1);
    place.ok(&["cancel", "young"]);

    let before = stored(&worker);
    let dry = place.json(&["gc"]);
    assert_eq!(dry["dry_run"], json!(true));
    assert_eq!(names(&dry, "runs", "run"), ["old"]);
    assert_eq!(
        (
            dry["runs"][0]["artifacts"].clone(),
            dry["runs"][0]["size_bytes"].clone()
        ),
        (json!(2), json!(3))
    );
    assert_eq!(names(&dry, "kept", "run"), ["model", "parent"]);
    assert!(names(&dry, "kept", "because")[1].contains(&child), "{dry}");
    assert_eq!(names(&dry, "orphans", "artifact"), ["r/model/report/0/a9/dead"]);
    assert_eq!(dry["specs"], json!([]), "run young has the same specification");
    assert_eq!(stored(&worker), before);
    let told = place.run(&["gc"]);
    assert!(
        told.err
            .contains("this would remove 1 run, 1 artifact of other runs"),
        "{}",
        told.err
    );

    let real = place.json(&["gc", "--yes"]);
    assert_eq!(
        (real["dry_run"].clone(), real["runs"].clone()),
        (json!(false), dry["runs"].clone())
    );
    let gone = [
        "r/model/report/0/a9/dead",
        "r/old/extract/0/a1/rows",
        "r/old/report/0/a1/half",
    ];
    let after: Vec<String> = before
        .iter()
        .filter(|key| !gone.contains(&key.as_str()))
        .cloned()
        .collect();
    assert_eq!(stored(&worker), after);
    assert_eq!(worker.load("old"), None);
    assert_eq!(worker.load(&child).map(|run| run.status), Some(RunStatus::Open));
    assert_eq!(place.ok(&["artifacts", "get", &child, "extract", "rows"]), "2");
    assert_eq!(place.run(&["show", "old"]).code, 3);
    assert!(place.run(&["gc", "--yes"]).err.contains("nothing to remove"));

    // Once nobody uses them any more they go, specifications included.
    place.ok(&["cancel", &child]);
    let all = place.json(&["gc", "--older-than", "0s", "--yes"]);
    let mut wanted = vec!["parent", &child, "young"];
    wanted.sort_unstable();
    assert_eq!(names(&all, "runs", "run"), wanted);
    assert_eq!(all["specs"].as_array().map(Vec::len), Some(2));
    assert_eq!(stored(&worker), ["r/model/report/0/a1/package"]);
    let specs = std::fs::read_dir(place.backend_folder().join("artifacts/s")).expect("specifications");
    assert_eq!(specs.count(), 1);
    // A run that was removed can be submitted anew.
    submit(&place, "old", 1);
    assert_eq!(place.json(&["show", "old"])["run"]["status"], json!("OPEN"));
}

#[test]
fn what_a_crash_left_behind_is_found() {
    let place = Place::new();
    let worker = Worker::new(&place);
    submit(&place, "r", 1);
    worker.step(&[("rows", "1")]);
    place.ok(&["cancel", "r"]);
    // As if the collector had died after the item was gone.
    worker
        .block(worker.backend.runs.remove(&id("r")))
        .expect("it is removed");
    let garbage = place.json(&["gc", "--yes"]);
    assert_eq!(names(&garbage, "orphans", "because"), ["its run is gone"]);
    assert_eq!(stored(&worker), [] as [&str; 0]);
    assert_eq!(place.run(&["gc", "--older-than", "soon"]).code, 2);
}
