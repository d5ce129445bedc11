//! `worker run`: the whole fleet in one process, as people meet it first.

use e2e::harness::{Fleet, Said};
use e2e::repository;
use pipeline::{RunId, RunStatus};

fn run(fleet: &Fleet, spec: &str, more: &[&str]) -> Said {
    let path = fleet.write_spec(spec);
    fleet.worker(&[&["run", "--test-stages", &*path.to_string_lossy()], more].concat())
}

/// The last line of standard output, which is one JSON object.
fn report(said: &Said) -> serde_json::Value {
    let line = said.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {said:?}"))
}

#[test]
fn the_hello_pipeline_succeeds_and_says_how() {
    let fleet = Fleet::new();
    let path = repository().join("examples/hello/pipeline.toml");
    let path = path.to_string_lossy();
    let said = fleet
        .worker(&[
            "run",
            "--test-stages",
            &path,
            "--set",
            "nap_ms=50",
            "--key",
            "hello",
            "--json",
        ])
        .expect_code(0);
    println!("{}", said.stdout.trim());
    let report = report(&said);
    assert_eq!(
        (&report["run"], &report["status"]),
        (&"hello".into(), &"SUCCEEDED".into())
    );
    let steps = report["steps"].as_array().expect("steps");
    let named: Vec<_> = steps
        .iter()
        .map(|step| step["step"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(named, ["extract", "check", "candidates", "train", "evaluate"]);
    assert_eq!(steps[1]["attempts"], 2, "`check` fails once, as it is told");
    assert_eq!(steps[3]["branches"]["done"], 3);
    fleet.assert_whole(&RunId::new("hello").expect("valid"));
}

#[test]
fn the_exit_code_says_how_the_run_ended() {
    let halted = "pipeline = \"h\"\n[[steps]]\nstage = \"noop\"\nparams = { halt = \"too few rows\", write_bytes = 9 }\n";
    let failed =
        "pipeline = \"f\"\n[[steps]]\nstage = \"flaky\"\nparams = { attempts = 1, how = \"permanent\" }\n";
    let fleet = Fleet::new();
    for (spec, code, status, reason) in [
        (halted, 6, "HALTED", "too few rows"),
        (failed, 5, "FAILED", "attempt 1 was told to fail"),
    ] {
        let said = run(&fleet, spec, &["--json"]).expect_code(code);
        println!("exit code {code}: {}", said.stdout.trim());
        let report = report(&said);
        assert_eq!(report["status"], status);
        assert!(
            report["reason"]
                .as_str()
                .is_some_and(|text| text.contains(reason)),
            "{report}"
        );
        let table = run(&fleet, spec, &[]).expect_code(code);
        assert!(
            table.stdout.contains("STEP") && table.stdout.contains(reason),
            "{table:?}"
        );
    }
}

#[test]
fn one_key_is_one_run_and_belongs_to_one_specification() {
    let spec = "pipeline = \"keyed\"\n[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 9 }\n";
    let fleet = Fleet::new();
    let first = report(&run(&fleet, spec, &["--key", "k-1", "--json"]).expect_code(0));
    let again = report(&run(&fleet, spec, &["--key", "k-1", "--json"]).expect_code(0));
    assert_eq!(first, again, "the same run, watched only");
    let other = run(&fleet, &spec.replace('9', "8"), &["--key", "k-1"]).expect_code(4);
    println!("{}", other.stderr.trim());
    assert!(
        other.stderr.contains("k-1") && other.stderr.contains("another specification"),
        "{other:?}"
    );
    fleet.wait_for_end(&RunId::new("k-1").expect("valid"), RunStatus::Succeeded);
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let fleet = Fleet::new();
    for (spec, says) in [
        (
            "pipeline = \"x\"\n[[steps]]\nstage = \"nop\"\n",
            "did you mean \"noop\"?",
        ),
        ("pipeline = \"x\"\n", "steps"),
        ("pipeline = ", "line 1"),
        (
            "pipeline = \"x\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = -1 }\n",
            "line 4",
        ),
    ] {
        let said = run(&fleet, spec, &[]).expect_code(2);
        println!("{}", said.stderr.trim());
        assert!(said.stderr.contains(says), "{said:?}");
    }
    let path = fleet.write_spec("pipeline = \"x\"\n[[steps]]\nstage = \"noop\"\n");
    let said = fleet.worker(&["run", &path.to_string_lossy()]).expect_code(2);
    assert!(said.stderr.contains("--test-stages"), "{said:?}");
    let said = fleet.worker(&["run", "/nowhere/pipeline.toml"]).expect_code(2);
    assert!(said.stderr.contains("/nowhere/pipeline.toml"), "{said:?}");
    assert!(!fleet.folder().join("fleetline.db").exists(), "nothing was begun");
}
