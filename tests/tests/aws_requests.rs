//! What the happy path costs on AWS, by the metric that operators see: requests are what is paid for, and throttled.

use std::collections::BTreeMap;

use e2e::harness::{Fleet, Pool};
use pipeline::RunStatus;

/// What a process asks besides, whether there is work or not: pauses, presence, depths, the sweeper's index, addresses.
const BESIDES: [&str; 5] = [
    "Query",
    "PutItem",
    "GetQueueAttributes",
    "GetQueueUrl",
    "GetCallerIdentity",
];

fn spec(steps: usize) -> String {
    let mut text = String::from("pipeline = \"steps\"\n");
    for nth in 0..steps {
        text += &format!("[[steps]]\nstep = \"s{nth}\"\nstage = \"noop\"\n");
    }
    text
}

/// Requests so far by operation, of SQS and DynamoDB.
fn requests(pool: &Pool) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for sample in pool.get("/metrics").samples() {
        let service = sample.labels.get("service").map_or("", String::as_str);
        if sample.name != "fleetline_backend_requests_total" || service == "S3" {
            continue;
        }
        let operation = sample.labels["operation"].clone();
        if !BESIDES.contains(&operation.as_str()) {
            *counts.entry(operation).or_default() += sample.value;
        }
    }
    counts
}

/// Requests for each step, shown by operation.
fn for_each_step(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, steps: usize) -> f64 {
    let steps = steps as f64;
    let mut all = 0.0;
    for (operation, count) in after {
        let more = count - before.get(operation).unwrap_or(&0.0);
        println!("{operation:24} {:6.2}", more / steps);
        all += more / steps;
    }
    println!("{:24} {all:6.2}", "control requests");
    all
}

#[test]
fn a_linear_step_costs_five_requests() {
    let fleet = Fleet::on_aws();
    let pool = fleet
        .pool("noop")
        .with(&["--classes", "standard", "--lease", "60s"])
        .start();
    let before = requests(&pool);
    // As many as a pipeline that learns has.
    const STEPS: usize = 7;
    let run = fleet.submit(&spec(STEPS));
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    fleet.wait_until_empty("noop");
    let cost = for_each_step(&before, &requests(&pool), STEPS);
    // The receive that finds nothing in the end is one more for the run.
    assert!(cost <= 5.0 + 1.0 / STEPS as f64, "{cost}");
}

/// Nothing is asked again and again while a stage works: only that it holds its lease, every third of it.
#[test]
fn a_long_step_costs_no_more() {
    let fleet = Fleet::on_aws();
    let pool = fleet
        .pool("sleep")
        .with(&["--classes", "standard", "--lease", "60s"])
        .start();
    let before = requests(&pool);
    let run = fleet.submit("pipeline = \"long\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 8000 }\n");
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    fleet.wait_until_empty("sleep");
    let mut after = requests(&pool);
    // The pool looks for other work meanwhile, for as long as it has a permit.
    after.remove("ReceiveMessage");
    let cost = for_each_step(&before, &after, 1);
    assert!(cost <= 5.0, "{cost}");
}

#[test]
fn with_a_hundred_runs_in_flight_a_step_costs_three() {
    let fleet = Fleet::on_aws();
    const STEPS: usize = 3;
    let spec = spec(STEPS);
    let runs: Vec<_> = (0..100).map(|_| fleet.submit(&spec)).collect();
    let pool = fleet
        .pool("noop")
        .with(&["--classes", "standard", "--lease", "60s", "--permits", "100"])
        .start();
    for run in &runs {
        fleet.wait_for_end(run, RunStatus::Succeeded);
    }
    fleet.wait_until_empty("noop");
    let cost = for_each_step(&BTreeMap::new(), &requests(&pool), runs.len() * STEPS);
    assert!(cost <= 3.0, "{cost}");
}
