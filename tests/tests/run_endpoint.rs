//! What monitoring sees of a pool: metrics that agree with the runs' items, health and readiness.

use e2e::harness::{Answer, Fleet, wait_for};
use pipeline::{RunStatus, StepName};
use rustix::process::Signal;

const SPEC: &str = r#"
pipeline = "watched"
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 3000 }
[[steps]]
step = "unsteady"
stage = "flaky"
params = { attempts = 1 }
[[steps]]
step = "part"
stage = "noop"
branches = 2
params = { write_bytes = 500 }
[[steps]]
step = "nap"
stage = "sleep"
params = { ms = 120 }
[[steps]]
step = "last"
stage = "noop"
"#;

const NAMES: [&str; 9] = [
    "fleetline_stage_duration_seconds_count",
    "fleetline_stage_attempts_total",
    "fleetline_queue_depth",
    "fleetline_queue_oldest_seconds",
    "fleetline_in_flight",
    "fleetline_handoff_seconds_count",
    "fleetline_backend_requests_total",
    "fleetline_artifact_bytes_total",
    "process_resident_memory_bytes",
];

fn attempts(answer: &Answer, stage: &str, outcome: &str) -> f64 {
    answer.sum(
        "fleetline_stage_attempts_total",
        &[("stage", stage), ("outcome", outcome)],
    )
}

#[test]
fn a_second_pool_on_a_machine_takes_another_port() {
    let fleet = Fleet::new();
    let start = || fleet.pool("noop").with_metrics_at_the_usual_port().start();
    let (one, two) = (start(), start());
    assert_ne!(one.address(), two.address());
    assert_eq!(
        (one.get("/healthz").status, two.get("/healthz").status),
        (200, 200)
    );
}

#[test]
fn metrics_agree_with_the_runs() {
    let fleet = Fleet::new();
    let pool = fleet.pool("noop,flaky,sleep").start();
    let runs: Vec<_> = (0..3).map(|_| fleet.submit(SPEC)).collect();
    let mut claims = 0;
    for run in &runs {
        let item = fleet.wait_for_end(run, RunStatus::Succeeded);
        let of_branches = fleet
            .branches(run)
            .into_iter()
            .map(|branch| branch.work.attempt)
            .sum::<u32>();
        claims += of_branches + item.steps.values().map(|step| step.attempt).sum::<u32>();
    }
    // A run's end is seen by others a moment before its worker has counted its last attempt.
    let counted = || {
        Some(pool.get("/metrics"))
            .filter(|m| m.sum("fleetline_stage_attempts_total", &[]) >= f64::from(claims))
    };
    let (metrics, _) = wait_for("all attempts are counted", || fleet.told(), counted);
    let settled = || {
        Some(pool.get("/metrics")).filter(|m| m.samples().iter().any(|s| s.name == "fleetline_queue_depth"))
    };
    let (later, _) = wait_for("queues are looked at", || fleet.told(), settled);
    for name in NAMES {
        let there = later.samples().into_iter().find(|sample| sample.name == name);
        let sample = there.unwrap_or_else(|| panic!("{name} is missing in\n{}", later.body));
        println!("{} {:?} {}", sample.name, sample.labels, sample.value);
    }
    assert_eq!(
        metrics.sum("fleetline_stage_attempts_total", &[]),
        f64::from(claims),
        "one attempt per claim"
    );
    assert_eq!(
        attempts(&metrics, "noop", "committed"),
        12.0,
        "first, two branches and last of three runs"
    );
    assert_eq!(attempts(&metrics, "flaky", "committed"), 3.0);
    assert_eq!(attempts(&metrics, "flaky", "transient"), 3.0);
    assert_eq!(attempts(&metrics, "sleep", "committed"), 3.0);
    let written = metrics.sum(
        "fleetline_artifact_bytes_total",
        &[("stage", "noop"), ("direction", "written")],
    );
    assert_eq!(written, 3.0 * (3000.0 + 2.0 * 500.0));
    let slept = metrics.sum(
        "fleetline_stage_duration_seconds_sum",
        &[("stage", "sleep"), ("outcome", "committed")],
    );
    assert!((0.36..30.0).contains(&slept), "three naps of 120 ms: {slept} s");
    let last = StepName::new("nap").expect("valid");
    let items: u64 = runs
        .iter()
        .filter_map(|run| fleet.run(run).steps[&last].measured.clone())
        .map(|m| m.duration_ms)
        .sum();
    println!("sleep: {slept} s by the metric, {items} ms by the items");
    assert!(items >= 360 && slept * 1000.0 >= 0.99 * 360.0);
    let labels = metrics
        .samples()
        .into_iter()
        .flat_map(|sample| sample.labels.into_values());
    let run_ids: Vec<String> = runs.iter().map(ToString::to_string).collect();
    assert!(
        labels.into_iter().all(|value| !run_ids.contains(&value)),
        "no run ids in labels"
    );
}

#[test]
fn a_draining_pool_is_healthy_and_not_ready() {
    let fleet = Fleet::new();
    let mut pool = fleet.pool("sleep").start();
    let ready = || Some(pool.get("/readyz")).filter(|answer| answer.status == 200);
    let (answer, _) = wait_for("it is ready", || fleet.told(), ready);
    println!("/readyz: {} {}", answer.status, answer.body.trim());
    let run = fleet.submit("pipeline = \"nap\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 1500 }\n");
    fleet.wait_until_running(&run, "sleep");
    let in_flight = pool
        .get("/metrics")
        .sum("fleetline_in_flight", &[("stage", "sleep")]);
    assert_eq!(in_flight, 1.0);
    pool.signal(Signal::TERM);
    pool.output().wait_for("draining");
    let answer = pool.get("/readyz");
    println!("after SIGTERM: {} {}", answer.status, answer.body.trim());
    assert_eq!((answer.status, answer.body.trim()), (503, "draining"));
    assert_eq!(pool.get("/healthz").status, 200);
    assert_eq!(pool.get("/nowhere").status, 404);
    assert!(pool.wait().0.success());
    fleet.wait_for_end(&run, RunStatus::Succeeded);
}
