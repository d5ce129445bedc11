//! The fleet on AWS, as an emulator has it: the same binaries, stages and specifications as on one machine.

use e2e::harness::{Fleet, Pool};
use pipeline::{RunStatus, StepName, StepState};

/// The stages of a pipeline that learns.
const STAGES: [&str; 7] = [
    "extract",
    "validate",
    "transform",
    "train",
    "evaluate",
    "explain",
    "deploy",
];

/// Flights, with one process for each stage, from the files that everybody has; submitted twice.
#[test]
fn flights_run_with_one_process_for_each_stage() {
    let fleet = Fleet::on_aws();
    let pools: Vec<Pool> = STAGES
        .iter()
        .map(|stage| fleet.pool(stage).with(&["--lease", "20s"]).launch())
        .collect();
    let spec = e2e::repository().join("examples/flights/pipeline.toml");
    let spec = spec.to_string_lossy();
    let submitted = fleet.producer(&["submit", &spec, "--json"]).expect_code(0).json();
    let run = pipeline::RunId::new(submitted["run"].as_str().unwrap_or_default()).expect("a run's id");
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert!(
        ended
            .steps
            .values()
            .all(|step| step.state == StepState::Committed && step.attempt <= 1),
        "{ended:?}"
    );
    let registered = ended.registered.expect("a model was registered");
    assert_eq!(
        registered.promoted.map(|alias| alias.to_string()).as_deref(),
        Some("champion")
    );

    let shown = fleet.producer(&["show", run.as_str()]).expect_code(0).stdout;
    println!("{shown}");
    assert!(shown.contains("boosting"), "{shown}");
    let models = fleet
        .producer(&["models", "list", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(models[0]["model"], "flights", "{models}");
    // What workers logged is found by run, also of those that are gone.
    for mut pool in pools {
        pool.signal(rustix::process::Signal::TERM);
        pool.wait();
    }
    let logs = fleet.logs(&run);
    let train = StepName::new("train").expect("a step's name");
    assert!(
        logs.iter()
            .any(|line| pipeline::log_line::about(line, &run, Some(&train)).is_some()),
        "{logs:?}"
    );
}
