//! Looking at runs, and stepping in.

use serde_json::json;

use crate::support::{Place, Worker, advance, noop};

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let place = Place::new();
    for args in [
        vec!["list"],
        vec!["show", "r"],
        vec!["watch", "r"],
        vec!["logs", "r"],
        vec!["cancel", "r"],
        vec!["resume", "r"],
        vec!["extend", "r", "--by", "1h"],
        vec!["pause", "noop"],
        vec!["workers"],
        vec!["diff", "r", "s"],
        vec!["dead-letters", "list"],
        vec!["artifacts", "list", "r"],
        vec!["models", "list"],
        vec!["gc"],
        vec!["gc", "--yes"],
    ] {
        let ran = place.run(&args);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?}: {}", ran.err);
        assert!(
            ran.err.contains("there is no fleetline folder at fleet"),
            "{args:?}: {}",
            ran.err
        );
    }
    assert!(!place.backend_folder().exists());
}

#[test]
fn a_run_that_is_not_there_is_not_found() {
    let place = Place::new();
    place.submit("r");
    for args in [
        vec!["show", "nope"],
        vec!["watch", "nope"],
        vec!["logs", "nope"],
        vec!["cancel", "nope"],
        vec!["resume", "nope"],
        vec!["extend", "nope", "--by", "1h"],
        vec!["diff", "r", "nope"],
        vec!["artifacts", "list", "nope"],
        vec!["logs", "r", "--step", "nope"],
    ] {
        let ran = place.run(&args);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("nope"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn list_filters_and_says_when_there_are_more() {
    let place = Place::new();
    assert_eq!(
        place
            .ok(&["submit", "spec.toml", "--dates", "2026-01-01..2026-01-30"])
            .lines()
            .count(),
        30
    );
    assert_eq!(place.run(&["cancel", "nightly-2026-01-07"]).code, 0);
    let few = place.run(&["list", "-n", "3"]);
    assert_eq!((few.code, few.out.lines().count()), (0, 4));
    assert!(few.err.contains("--all"), "{}", few.err);
    let all = place.run(&["list", "--all"]);
    assert_eq!((all.out.lines().count(), all.err.as_str()), (31, ""));
    let cancelled = place.json(&["list", "--status", "cancelled"]);
    assert_eq!(cancelled[0]["run"], json!("nightly-2026-01-07"));
    assert_eq!(
        (
            cancelled[0]["steps_committed"].clone(),
            cancelled[0]["steps_total"].clone()
        ),
        (json!(0), json!(2))
    );
    assert_eq!(place.json(&["list", "--pipeline", "other"]), json!([]));
    let wrong = place.run(&["list", "--status", "done"]);
    assert!(
        wrong.code == 2 && wrong.err.contains("succeeded"),
        "{}",
        wrong.err
    );
}

#[test]
fn cancel_extend_and_resume_obey_the_runs_status() {
    let place = Place::new();
    place.submit("r");
    let before = place.json(&["list"])[0]["deadline"].clone();
    let ran = place.run(&["extend", "r", "--by", "2h"]);
    assert!(ran.code == 0 && ran.err.contains("may take until"), "{}", ran.err);
    assert_ne!(place.json(&["list"])[0]["deadline"], before);
    for wrong in [
        vec!["extend", "r"],
        vec!["extend", "r", "--by", "2h", "--until", "2030-01-01"],
        vec!["extend", "r", "--by", "soon"],
        vec!["extend", "r", "--by", "400d"],
        vec!["extend", "r", "--until", "2020-01-01"],
    ] {
        assert_eq!(place.run(&wrong).code, 2, "{wrong:?}");
    }

    let open = place.run(&["resume", "r"]);
    assert!(open.code == 4 && open.err.contains("is OPEN"), "{}", open.err);

    Worker::new(&place).step(&[("rows.txt", "1 2 3")]);
    let cancelled = place.json(&["cancel", "r", "--reason", "wrong data"]);
    assert_eq!(
        (cancelled["status"].clone(), cancelled["reason"].clone()),
        (json!("CANCELLED"), json!("wrong data"))
    );
    assert_eq!(place.run(&["cancel", "r"]).code, 0, "twice is fine");
    assert_eq!(place.run(&["extend", "r", "--by", "1h"]).code, 4);

    let resumed = place.ok(&["resume", "r"]);
    let child = resumed.trim_end();
    let again = place.json(&["resume", "r"]);
    assert_eq!(
        again,
        json!({"run": child, "parent": "r", "outcome": "again", "status": "OPEN"})
    );
    let shown = place.json(&["show", child]);
    assert_eq!(
        (
            shown["run"]["parent"].clone(),
            shown["run"]["steps_committed"].clone()
        ),
        (json!("r"), json!(1))
    );
    // What it took over lies under its parent.
    assert_eq!(
        place.json(&["artifacts", "list", child])[0]["origin_run"],
        json!("r")
    );
    assert_eq!(
        place.ok(&["artifacts", "get", child, "extract", "rows.txt"]),
        "1 2 3"
    );

    Worker::new(&place).step(&[]);
    let worker = Worker::new(&place);
    assert_eq!(
        worker.load(child).map(|run| run.status),
        Some(pipeline::RunStatus::Succeeded)
    );
    let ended = place.run(&["cancel", child]);
    assert!(
        ended.code == 4 && ended.err.contains("is SUCCEEDED already"),
        "{}",
        ended.err
    );
}

#[test]
fn show_says_what_happened_and_why_it_waits() {
    let place = Place::new();
    place.write(
        "wide.toml",
        "pipeline = \"wide\"\n[[steps]]\nstep = \"fit\"\nstage = \"noop\"\nbranches = 2\n[[steps]]\nstep = \"join\"\nstage = \"noop\"\n",
    );
    place.ok(&["submit", "wide.toml", "--key", "w"]);
    let kinds = |document: &serde_json::Value| -> Vec<String> {
        let waits = document["waits"].as_array().expect("a list");
        waits
            .iter()
            .map(|w| w["kind"].as_str().expect("a kind").to_owned())
            .collect()
    };
    assert_eq!(
        kinds(&place.json(&["show", "w"])),
        ["no_worker", "queued", "deadline"]
    );

    place.ok(&["pause", "noop", "--reason", "bad deploy"]);
    let text = place.ok(&["show", "w"]);
    assert!(
        text.contains("is paused since") && text.contains("bad deploy"),
        "{text}"
    );
    assert!(
        text.contains("2 branches of step fit waits in queue noop: about 2 messages are ready"),
        "{text}"
    );
    let workers = place.json(&["workers"]);
    assert_eq!(
        (workers["workers"].clone(), workers["pauses"][0]["reason"].clone()),
        (json!([]), json!("bad deploy"))
    );
    assert_eq!(
        place.json(&["unpause", "noop"]),
        json!({"stage": "noop", "was_paused": true})
    );
    assert_eq!(
        place.json(&["unpause", "noop"]),
        json!({"stage": "noop", "was_paused": false})
    );
    let wrong = place.run(&["pause", "nop"]);
    assert!(wrong.code == 2 && wrong.err.contains("noop"), "{}", wrong.err);
    assert_eq!(place.json(&["pause", "noop"])["stage"], json!("noop"));
    place.ok(&["unpause", "noop"]);

    let worker = Worker::new(&place);
    worker.step(&[("model", "a")]);
    let shown = place.json(&["show", "w"]);
    assert_eq!(
        shown["steps"][0]["branches"],
        json!({"total": 2, "settled": 1, "failed": 0})
    );
    assert_eq!(shown["steps"][1]["state"], json!("COMMITTED"));
    assert_eq!(shown["steps"][1]["artifacts"][0]["name"], json!("model"));
    let held = worker.claim();
    assert_eq!(kinds(&place.json(&["show", "w"])), ["working", "deadline"]);
    worker.commit(held, &[], &advance(), worker.now());
    worker.fail("no such column: \u{1b}[31mage");

    let text = place.ok(&["show", "w"]);
    for part in [
        "FAILED",
        "reason    step join failed (permanent)",
        "COMMITTED 2/2",
        "Last faults",
        "no such column: \u{fffd}[31mage",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert!(!text.contains("fit/0"), "{text}");
    let fit: Vec<&str> = text
        .lines()
        .find(|l| l.starts_with("fit "))
        .expect("a row")
        .split_whitespace()
        .collect();
    assert_eq!(
        fit[..6],
        ["fit", "noop", "COMMITTED", "2/2", "2", "-"],
        "it sums up its branches"
    );
    assert!(place.ok(&["show", "w", "--branches"]).contains("  fit/0"));
    assert_eq!(kinds(&place.json(&["show", "w"])), [] as [&str; 0]);
}

#[test]
fn workers_that_announced_themselves_are_listed() {
    use pipeline::ports::Presence;
    let place = Place::new();
    place.submit("r");
    let worker = Worker::new(&place);
    let presence = Presence {
        worker: pipeline::WorkerId::new("pool-1").expect("an id"),
        queues: vec![noop().to_string()],
        version: "1.0.0".into(),
        since: worker.now(),
        expires_at: worker.now().plus(std::time::Duration::from_secs(60)),
    };
    worker
        .block(worker.backend.fleet.announce(&presence))
        .expect("it is announced");
    let text = place.ok(&["workers"]);
    assert!(
        text.contains("pool-1") && text.contains("QUEUES") && text.contains("noop"),
        "{text}"
    );
    assert_eq!(place.json(&["workers"])["workers"][0]["queues"], json!(["noop"]));
    assert!(!place.ok(&["show", "r"]).contains("no worker"));
}

#[test]
fn logs_are_readable_or_raw() {
    let place = Place::new();
    place.submit("r");
    let silent = place.run(&["logs", "r"]);
    assert!(
        silent.code == 0 && silent.out.is_empty() && silent.err.contains("no worker logged"),
        "{}",
        silent.err
    );
    let line = |step: &str, second: u32| {
        format!(
            "{{\"timestamp\":\"2026-11-23T10:00:0{second}.000Z\",\"level\":\"INFO\",\"message\":\"committed\",\"run.id\":\"r\",\"step\":\"{step}\"}}\n"
        )
    };
    let logs = format!("{}{}no json\n", line("extract", 1), line("report", 2));
    std::fs::write(place.backend_folder().join("logs/one.jsonl"), logs).expect("written");
    assert_eq!(
        place.ok(&["logs", "r"]),
        "2026-11-23T10:00:01.000Z INFO  committed run.id=r step=extract\n2026-11-23T10:00:02.000Z INFO  committed run.id=r step=report\n"
    );
    assert_eq!(
        place.ok(&["logs", "r", "--json", "--step", "report"]),
        line("report", 2)
    );
    assert_eq!(place.ok(&["logs", "r", "--json", "-n", "1"]), line("report", 2));
    // Following a run ends with it.
    place.ok(&["cancel", "r"]);
    assert_eq!(place.ok(&["logs", "r", "--json", "--follow"]).lines().count(), 2);
    assert_eq!(
        place.ok(&["logs", "r", "--json", "--follow", "-n", "1"]),
        line("report", 2)
    );
}

#[test]
fn diff_names_the_first_step_that_differs() {
    let place = Place::new();
    let worker_of = |run: &str, bytes: &str, report: &str| {
        place.ok(&[
            "submit",
            "spec.toml",
            "--key",
            run,
            "--set",
            &format!("bytes={bytes}"),
        ]);
        let worker = Worker::new(&place);
        worker.step(&[("rows", "same")]);
        worker.step(&[("report", report)]);
    };
    worker_of("a", "4", "x");
    worker_of("b", "8", "y");
    let difference = place.json(&["diff", "a", "b"]);
    assert_eq!(difference["first_difference"], json!("report"));
    assert_eq!(difference["steps"][0]["artifacts_equal"], json!(1));
    let keys: Vec<&str> = difference["spec"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|c| c["key"].as_str())
        .collect();
    assert_eq!(keys, ["parameters.bytes", "steps.extract.params.write_bytes"]);
    let text = place.ok(&["diff", "a", "b"]);
    assert!(
        text.contains("step report is the first whose artifacts differ"),
        "{text}"
    );
    assert!(
        place
            .ok(&["diff", "a", "a"])
            .contains("all artifacts are equal to the byte")
    );
}
