//! Submitting: keys, days, parameters, and what is wrong with specifications.

use serde_json::json;

use crate::support::{Place, SPEC, Worker, binary, finished};

#[test]
fn one_key_makes_one_run() {
    let place = Place::new();
    place.submit("order-1");
    let again = place.run(&["submit", "spec.toml", "--key", "order-1"]);
    assert_eq!((again.code, again.out.as_str()), (0, "order-1\n"));
    assert!(
        again.err.contains("was submitted before and is OPEN"),
        "{}",
        again.err
    );
    assert_eq!(
        place.json(&["submit", "spec.toml", "--key", "order-1"]),
        json!({"run": "order-1", "outcome": "again", "status": "OPEN"})
    );
    assert_eq!(place.json(&["list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_key_of_another_specification_is_a_conflict() {
    let place = Place::new();
    place.submit("order-1");
    let other = place.run(&["submit", "spec.toml", "--key", "order-1", "--set", "bytes=5"]);
    assert_eq!((other.code, other.out.as_str()), (4, ""));
    assert!(
        other.err.contains("exists with another specification"),
        "{}",
        other.err
    );
    let specs = std::fs::read_dir(place.backend_folder().join("artifacts/s")).expect("specifications");
    assert_eq!(specs.count(), 1, "a conflict leaves nothing behind");
}

#[test]
fn days_make_one_run_each() {
    let place = Place::new();
    let days = ["submit", "spec.toml", "--dates", "2026-02-27..2026-03-01"];
    assert_eq!(
        place.ok(&days),
        "nightly-2026-02-27\nnightly-2026-02-28\nnightly-2026-03-01\n"
    );
    let again = place.json(&days);
    assert_eq!(
        again[2],
        json!({"run": "nightly-2026-03-01", "outcome": "again", "status": "OPEN"})
    );
    assert_eq!(
        place.ok(&["submit", "spec.toml", "--date", "2026-03-02"]),
        "nightly-2026-03-02\n"
    );
    // The parameter is set, and so the specifications differ.
    let difference = place.json(&["diff", "nightly-2026-03-01", "nightly-2026-03-02"]);
    assert_eq!(
        difference["spec"],
        json!([{"key": "parameters.date", "left": "2026-03-01", "right": "2026-03-02"}])
    );
    // One day that is taken by another specification does not keep the others from being submitted.
    let set = [
        "submit",
        "spec.toml",
        "--set",
        "bytes=9",
        "--dates",
        "2026-03-02..2026-03-03",
    ];
    let ran = place.run(&set);
    assert_eq!((ran.code, ran.out.as_str()), (4, "nightly-2026-03-03\n"));
    assert!(ran.err.contains("nightly-2026-03-02 exists"), "{}", ran.err);
}

#[test]
fn other_runs_get_a_fresh_id() {
    let place = Place::new();
    let (one, two) = (
        place.ok(&["submit", "spec.toml"]),
        place.ok(&["submit", "spec.toml"]),
    );
    assert_ne!(one, two);
    let parts: Vec<&str> = one.trim_end().split('-').collect();
    assert_eq!(
        (parts[0], parts[1].len(), parts[2].len(), parts.len()),
        ("nightly", 8, 8, 3),
        "{one}"
    );
    assert!(Worker::new(&place).load(two.trim_end()).is_some());
}

#[test]
fn all_that_is_wrong_is_said_with_its_lines_and_nothing_is_made() {
    let place = Place::new();
    place.write(
        "bad.toml",
        "pipelin = \"x\"\n[[steps]]\nstage = \"nop\"\n[[steps]]\nstage = \"noop\"\nparams = { typo = 1 }\n",
    );
    let ran = place.run(&["submit", "bad.toml"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    for part in [
        "producer: 4 things wrong with the specification:",
        "bad.toml:1: pipelin: unknown key; did you mean `pipeline`?",
        "bad.toml:3: steps[0].stage: there is no stage \"nop\"; did you mean \"noop\"?",
        "bad.toml:6: steps[1].params.typo: unknown key; known are write_bytes, halt, register",
    ] {
        assert!(ran.err.contains(part), "{part:?} is not in:\n{}", ran.err);
    }
    for (args, part) in [
        (
            vec!["submit", "none.toml"],
            "cannot read the specification none.toml",
        ),
        (vec!["submit", "."], "cannot read the specification ."),
        (vec!["submit", "spec.toml", "--set", "bytes=many"], "must be, too"),
        (
            vec!["submit", "spec.toml", "--set", "byte=1"],
            "did you mean `bytes`?",
        ),
        (vec!["submit", "spec.toml", "--date", "tomorrow"], "YYYY-MM-DD"),
        (
            vec!["submit", "spec.toml", "--dates", "today..yesterday"],
            "ends before it begins",
        ),
        (vec!["submit", "spec.toml", "--key", "A b"], "a-z, 0-9"),
        (
            vec!["submit", "spec.toml", "--backend", "s3:bucket"],
            "local:FOLDER",
        ),
        (vec!["submit"], "<SPEC>"),
    ] {
        let ran = place.run(&args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(
            ran.err.contains(part),
            "{args:?}: {part:?} is not in:\n{}",
            ran.err
        );
    }
    std::fs::write(place.path().join("latin.toml"), b"# \xe4").expect("written");
    let ran = place.run(&["submit", "latin.toml"]);
    assert!(ran.code == 2 && ran.err.contains("UTF-8"), "{}", ran.err);
    assert!(!place.backend_folder().join("fleetline.db").exists() || place.ok(&["list"]).is_empty());
}

#[test]
fn standard_input_is_a_specification_too() {
    use std::io::Write as _;
    let place = Place::new();
    let mut child = binary()
        .args(["submit", "-", "--key", "piped", "--backend"])
        .arg(format!("local:{}", place.backend_folder().display()))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(SPEC.as_bytes())
        .expect("it reads");
    let ran = finished(child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, ran.out.as_str()), (0, "piped\n"), "{}", ran.err);
}
