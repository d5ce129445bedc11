//! Watching: lines, exit codes, and how it ends early.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use pipeline::protocol::Ending;
use serde_json::Value;

use crate::support::{Place, Worker, finished};

/// Reads the child's output up to a line with `part` in it.
fn until(child: &mut Child, part: &str) -> BufReader<std::process::ChildStdout> {
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert_ne!(
            out.read_line(&mut line).expect("a text"),
            0,
            "it ended before {part:?}"
        );
    }
    out
}

#[test]
fn the_exit_code_says_how_the_run_ended() {
    let place = Place::new();
    let worker = Worker::new(&place);
    for (run, code, status) in [
        ("good", 0, "SUCCEEDED"),
        ("bad", 5, "FAILED"),
        ("gate", 6, "HALTED"),
        ("stop", 7, "CANCELLED"),
    ] {
        place.submit(run);
        match run {
            "good" => {
                worker.step(&[]);
                worker.step(&[]);
            }
            "bad" => worker.fail("it cannot be read"),
            "gate" => worker.commit(worker.claim(), &[], &Ending::Halt("drift".into()), worker.now()),
            _ => {
                place.ok(&["cancel", run]);
            }
        }
        let ran = place.run(&["watch", run]);
        assert_eq!(ran.code, code, "{}", ran.err);
        let last = ran.out.lines().last().expect("a line");
        assert!(last.contains(&format!("run {run}  {status}")), "{last}");
        let json = place.run(&["watch", run, "--json"]);
        let last: Value = serde_json::from_str(json.out.lines().last().expect("a line")).expect("JSON");
        assert_eq!(
            (last["status"].as_str(), last["step"].is_null()),
            (Some(status), true)
        );
    }
    let submitted = place.run(&["submit", "spec.toml", "--key", "stop", "--watch"]);
    assert_eq!(submitted.code, 7, "{}", submitted.err);
}

/// A message to the intake was posted, and nobody has made the run of it yet.
#[test]
fn a_run_that_is_not_there_yet_is_waited_for() {
    let place = Place::new();
    place.submit("another");
    let never = place.run(&["watch", "r", "--made-within", "1s"]);
    assert_eq!(never.code, place.run(&["show", "r"]).code, "{}", never.err);
    assert!(never.err.contains("there is no run r"), "{}", never.err);
    let mut child = place.start(&["watch", "r", "--made-within", "5m"]);
    place.submit("r");
    let _out = until(&mut child, "run r");
    place.ok(&["cancel", "r"]);
    assert_eq!(child.wait().expect("ends").code(), Some(7));
}

#[test]
fn changes_come_while_they_happen() {
    let place = Place::new();
    place.submit("r");
    let mut child = place.start(&["watch", "r", "--json"]);
    let mut out = until(&mut child, "\"2 steps\"");
    let worker = Worker::new(&place);
    worker.step(&[("rows", "1")]);
    worker.step(&[]);
    let lines: Vec<Value> = std::iter::from_fn(|| {
        let mut line = String::new();
        (out.read_line(&mut line).expect("a text") > 0).then(|| serde_json::from_str(&line).expect("JSON"))
    })
    .collect();
    let committed: Vec<&str> = lines
        .iter()
        .filter(|l| l["state"] == "COMMITTED")
        .filter_map(|l| l["step"].as_str())
        .collect();
    assert_eq!(committed, ["extract", "report"]);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let help = place.run(&["watch", "--help"]).out;
    for key in lines[0].as_object().expect("an object").keys() {
        assert!(help.contains(key.as_str()), "{key} is not in the help");
    }
}

#[test]
fn who_waits_without_workers_is_told() {
    let place = Place::new();
    place.submit("r");
    let mut child = place.start(&["watch", "r"]);
    let mut err = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    err.read_line(&mut line).expect("a text");
    assert!(line.contains("no worker is there"), "{line}");
    place.ok(&["cancel", "r"]);
    assert_eq!(child.wait().expect("it ends").code(), Some(7));
}

#[test]
fn control_c_leaves_the_run_going_and_says_so() {
    let place = Place::new();
    place.submit("r");
    let mut child = place.start(&["watch", "r"]);
    let out = until(&mut child, "OPEN");
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("there is a kill").success());
    let ran = finished(child.wait_with_output().expect("it ends"));
    drop(out);
    assert_eq!(ran.code, 130, "{}", ran.err);
    assert!(ran.err.contains("run r goes on"), "{}", ran.err);
    assert_eq!(
        Worker::new(&place).load("r").map(|run| run.status),
        Some(pipeline::RunStatus::Open)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let place = Place::new();
    place.submit("r");
    let mut child = place.start(&["list"]);
    drop(child.stdout.take());
    let ran = finished(child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    // Of a watch zero means that the run succeeded.
    let mut child = place.start(&["watch", "r"]);
    drop(child.stdout.take());
    place.ok(&["cancel", "r"]);
    let ran = finished(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, 141, "{}", ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}
