//! A worker whose clock is wrong takes no work, says so, and does no harm.

use e2e::harness::{Fleet, wait_for};
use pipeline::{RunStatus, StepName};

/// Open for half an hour: by a clock that is an hour ahead, its deadline has passed.
const SPEC: &str =
    "pipeline = \"short\"\ndeadline = \"30m\"\n[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 10 }\n";

fn takes_no_work(offset_ms: &str, says: &str) {
    let fleet = Fleet::new();
    let run = fleet.submit(SPEC);
    let skewed = fleet
        .pool("noop")
        .called("skewed")
        .with(&["--sweep-interval", "50ms", "--test-clock-offset-ms", offset_ms])
        .launch();
    println!("{}", skewed.output().wait_for("takes no work"));
    let ready = || Some(skewed.get("/readyz")).filter(|answer| answer.body.contains("clock"));
    let (answer, _) = wait_for("a reason", || fleet.told(), ready);
    println!("/readyz: {} {}", answer.status, answer.body.trim());
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains(says) && answer.body.contains("set the clock"),
        "{}",
        answer.body
    );
    assert_eq!(
        skewed.get("/healthz").status,
        200,
        "it lives: starting it again would not help"
    );

    // It looks at pauses every second and would sweep every 50 ms: until the third look it had time to do harm.
    let looked = || {
        let looks = skewed
            .get("/metrics")
            .sum("fleetline_backend_requests_total", &[("operation", "pauses")]);
        (looks >= 3.0).then_some(())
    };
    wait_for("it has been up for a while", || fleet.told(), looked);
    for operation in ["receive", "open_runs", "apply"] {
        let calls = skewed
            .get("/metrics")
            .sum("fleetline_backend_requests_total", &[("operation", operation)]);
        assert_eq!(calls, 0.0, "it may not {operation}");
    }
    let untouched = fleet.run(&run);
    assert_eq!(untouched.status, RunStatus::Open, "{:?}", untouched.reason);
    assert_eq!(untouched.steps[&StepName::new("noop").expect("valid")].attempt, 0);
    let _right = fleet.pool("noop").called("right").start();
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert_eq!(ended.steps[&StepName::new("noop").expect("valid")].attempt, 1);
}

#[test]
fn t14_a_clock_an_hour_ahead() {
    takes_no_work("3600000", "1h ahead of the backend's");
}

#[test]
fn t14_a_clock_an_hour_behind() {
    takes_no_work("-3600000", "1h behind the backend's");
}

#[test]
fn a_run_in_one_process_refuses_to_start() {
    let fleet = Fleet::new();
    let spec = fleet.write_spec(SPEC);
    let said = fleet
        .worker(&[
            "run",
            "--test-stages",
            "--test-clock-offset-ms",
            "3600000",
            &spec.to_string_lossy(),
        ])
        .expect_code(1);
    println!("{}", said.stderr.trim());
    assert!(said.stderr.contains("1h ahead of the backend's"), "{said:?}");
}
