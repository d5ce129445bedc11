//! Dead letters: listed, shown, redriven, purged.

use std::time::Duration;

use pipeline::ports::Outbound;
use serde_json::json;

use crate::support::{Place, Worker, noop};

/// Buries a message in the queue `noop`.
fn bury(worker: &Worker, body: &str, reason: &str) {
    let minute = Duration::from_secs(60);
    worker.block(async {
        let queue = &worker.backend.queue;
        for sent in queue
            .send(&noop(), vec![Outbound::now(body)])
            .await
            .expect("it is sent")
        {
            sent.expect("it is sent");
        }
        let delivery = queue
            .receive(&noop(), 1, minute, minute)
            .await
            .expect("it comes")
            .pop()
            .expect("a message");
        queue
            .dead_letter(delivery.receipt, reason)
            .await
            .expect("it is buried");
    });
}

#[test]
fn letters_are_listed_shown_redriven_and_purged() {
    let place = Place::new();
    let worker = Worker::new(&place);
    let none = place.run(&["dead-letters", "list"]);
    assert_eq!(
        (none.code, none.out.as_str(), none.err.as_str()),
        (0, "", "no dead letters\n")
    );

    bury(
        &worker,
        r#"{"version":"1","run":"gone","step":"extract"}"#,
        "there is no run gone",
    );
    bury(&worker, "hello\n\u{1b}[2J", "message is not a JSON object");
    bury(&worker, "again", "message is not a JSON object");
    let letters = place.json(&["dead-letters", "list"]);
    assert_eq!(letters.as_array().map(Vec::len), Some(3));
    assert_eq!(
        (
            letters[0]["run"].clone(),
            letters[0]["reason"].clone(),
            letters[1]["run"].clone()
        ),
        (json!("gone"), json!("there is no run gone"), json!(null))
    );
    let ids: Vec<&str> = letters
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|l| l["id"].as_str())
        .collect();
    let text = place.ok(&["dead-letters", "list", "--queue", "noop"]);
    assert!(
        text.contains("there is no run gone") && text.lines().count() == 4,
        "{text}"
    );
    let few = place.run(&["dead-letters", "list", "-n", "1"]);
    assert!(
        few.out.lines().count() == 2 && few.err.contains("-n N"),
        "{}",
        few.err
    );
    assert_eq!(place.ok(&["dead-letters", "list", "--queue", "crash-large"]), "");

    assert_eq!(
        place.json(&["dead-letters", "show", ids[1]])["body"],
        json!("hello\n\u{1b}[2J")
    );
    assert!(
        place
            .ok(&["dead-letters", "show", ids[1]])
            .contains("hello \u{fffd}[2J")
    );
    for (args, code) in [
        (vec!["dead-letters", "show", "4711"], 3),
        (vec!["dead-letters", "redrive", ids[0], "4711"], 3),
        (vec!["dead-letters", "redrive"], 2),
        (vec!["dead-letters", "redrive", ids[0], "--all"], 2),
        (vec!["dead-letters", "purge", ids[0]], 2),
        (vec!["dead-letters", "purge", "--all"], 2),
        (vec!["dead-letters", "list", "--queue", "nope"], 2),
    ] {
        let ran = place.run(&args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
    }
    assert_eq!(
        place.json(&["dead-letters", "list"]).as_array().map(Vec::len),
        Some(3),
        "nothing was done"
    );

    assert_eq!(
        place.json(&["dead-letters", "redrive", ids[0]]),
        json!({"redriven": {"noop": 1}})
    );
    let depth = worker
        .block(worker.backend.queue.depth(&noop()))
        .expect("it has one");
    assert_eq!((depth.visible, depth.dead), (1, 2));
    let purged = place.run(&["dead-letters", "purge", "--all", "--yes"]);
    assert!(
        purged.code == 0 && purged.err.contains("2 dead letters purged"),
        "{}",
        purged.err
    );
    assert_eq!(
        place.json(&["dead-letters", "redrive", "--all"]),
        json!({"redriven": {}})
    );
    let depth = worker
        .block(worker.backend.queue.depth(&noop()))
        .expect("it has one");
    assert_eq!((depth.visible, depth.dead), (1, 0));
}
