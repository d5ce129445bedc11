//! A worker that stands still for longer than its lease and then goes on: a zombie. It changes nothing that another
//! worker did meanwhile, and it is useful afterwards.

use e2e::harness::{Fleet, Pool, Stopwatch};
use pipeline::id::{AliasName, ModelName};
use pipeline::registry::Alias;
use pipeline::{RunId, RunStatus, StepName, StepState};
use rustix::process::Signal;

const LEASE: [&str; 2] = ["--lease", "1s"];

/// Starts a worker, stops it in the middle of `step`, and starts another one.
fn stand_still_in(fleet: &Fleet, stages: &str, run: &RunId, step: &str) -> (Pool, Pool) {
    let zombie = fleet.pool(stages).called("zombie").with(&LEASE).start();
    fleet.wait_until_running(run, step);
    println!("SIGSTOP to process {} in the middle of step {step}", zombie.id());
    zombie.signal(Signal::STOP);
    let other = fleet.pool(stages).called("other").with(&LEASE).start();
    (zombie, other)
}

fn leave(fleet: &Fleet, mut pool: Pool) {
    pool.signal(Signal::TERM);
    assert!(pool.wait().0.success(), "{}", fleet.told());
}

fn naps(ms: u64) -> String {
    format!(
        r#"
pipeline = "naps"
[[steps]]
step = "first"
stage = "noop"
params = {{ write_bytes = 1000 }}
[[steps]]
step = "nap"
stage = "sleep"
params = {{ ms = {ms} }}
[[steps]]
step = "last"
stage = "noop"
params = {{ write_bytes = 1000 }}
"#
    )
}

/// The zombie goes on while the other worker is in the middle of the same step: run and step are open, and nothing but
/// the fence says no.
#[test]
fn a_zombie_with_a_child_process_commits_nothing() {
    let fleet = Fleet::new();
    let run = fleet.submit(&naps(2000));
    let stopped_at = Stopwatch::start();
    let (zombie, other) = stand_still_in(&fleet, "noop,sleep", &run, "nap");
    let nap = StepName::new("nap").expect("valid");
    let before = fleet.wait_until(&run, "another worker's nap", |run| run.steps[&nap].attempt == 2);
    println!("another worker begins again, {} later", stopped_at);
    // Its child has ended long ago, and well: what it reports is waiting for the zombie.
    zombie.signal(Signal::CONT);
    println!(
        "SIGCONT; it says: {}",
        zombie.output().wait_for("lease lost, nothing recorded")
    );
    zombie.output().wait_for("attempt ended");
    let (before, after) = (&before.steps[&nap], &fleet.run(&run).steps[&nap]);
    assert_eq!(
        after.state,
        StepState::Running,
        "the zombie was too late: this test tests nothing"
    );
    assert_eq!((&before.owner, before.attempt), (&after.owner, after.attempt));
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert_eq!(ended.steps[&nap].attempt, 2);
    fleet.assert_whole(&run);
    fleet.assert_committed_once(&run);

    leave(&fleet, other);
    let next = fleet.submit(&naps(10));
    fleet.wait_for_end(&next, RunStatus::Succeeded);
    println!("the zombie, alone now, carried out run {next}");
    fleet.assert_whole(&next);
}

#[test]
fn a_zombie_in_the_last_step_promotes_nothing() {
    /// Long enough to be stopped in the middle of.
    const BYTES: u64 = 60_000_000;
    let spec = format!(
        r#"
pipeline = "promotes"
[[steps]]
step = "deploy"
stage = "noop"
params = {{ write_bytes = {BYTES}, register = {{ model = "flights", alias = "champion" }} }}
"#
    );
    let fleet = Fleet::new();
    let run = fleet.submit(&spec);
    let (zombie, other) = stand_still_in(&fleet, "noop", &run, "deploy");
    let before = fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert_eq!(before.steps.values().map(|step| step.attempt).max(), Some(2));
    let alias = champion(&fleet).expect("the other worker promoted");
    assert_eq!((&alias.version, alias.revision), (&run, 1));
    leave(&fleet, other);

    zombie.signal(Signal::CONT);
    println!("SIGCONT; it says: {}", zombie.output().wait_for("attempt ended"));
    assert_eq!(fleet.run(&run), before, "the zombie changed the run");
    assert_eq!(champion(&fleet), Some(alias), "the zombie moved the alias");
    fleet.assert_whole(&run);
    fleet.assert_committed_once(&run);
    let next = fleet.submit("pipeline = \"next\"\n[[steps]]\nstage = \"noop\"\n");
    fleet.wait_for_end(&next, RunStatus::Succeeded);
}

fn champion(fleet: &Fleet) -> Option<Alias> {
    let (model, alias) = (
        ModelName::new("flights").expect("valid"),
        AliasName::new("champion").expect("valid"),
    );
    fleet
        .block_on(fleet.backend().registry.resolve(&model, &alias))
        .expect("the registry answers")
}
