//! What is lost or damaged behind the workers' backs: messages, artifacts.

use std::time::Duration;

use e2e::harness::{Fleet, Stopwatch};
use pipeline::change::Change;
use pipeline::item::FaultClass;
use pipeline::plan::{Birth, CHECK_INTERVAL};
use pipeline::spec::{Overrides, load};
use pipeline::update::Applied;
use pipeline::{ArtifactKey, GuardedUpdate, RunId, RunStatus, StepName, operate};

const LINEAR: &str = r#"
pipeline = "linear"
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 3000 }
[[steps]]
step = "nap"
stage = "sleep"
params = { ms = 10 }
[[steps]]
step = "last"
stage = "noop"
params = { write_bytes = 100 }
"#;

/// Longer than the sweeper's patience.
const LONG_AGO: Duration = CHECK_INTERVAL.saturating_add(Duration::from_secs(60));

fn name(step: &str) -> StepName {
    StepName::new(step).expect("a step's name")
}

/// Submits a run as if that had been eleven minutes ago.
fn submit_long_ago(fleet: &Fleet, spec: &str) -> RunId {
    let spec = load(spec, &Overrides::new()).expect("a good specification");
    let id = RunId::new("long-ago").expect("valid");
    let born = pipeline::Timestamp(fleet.now().0 - pipeline::time::millis(LONG_AGO));
    let run = Birth {
        id: id.clone(),
        pipeline: spec.pipeline.clone(),
        spec: spec.digest(),
        max: spec.max(),
        now: born,
        deadline: spec.deadline,
    }
    .item(&spec.plan().expect("a good plan"));
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(file.path(), spec.canonical()).expect("a file can be written");
    fleet.block_on(async {
        operate::publish_spec(fleet.backend(), &spec, file.path())
            .await
            .expect("is published");
        operate::submit(fleet.backend(), run).await.expect("is submitted");
    });
    id
}

/// Makes the run's step one that became ready eleven minutes ago, and the sweeper's next look due.
fn age(fleet: &Fleet, run: &RunId, step: &str) {
    let item = fleet.run(run);
    let long_ago = pipeline::Timestamp(fleet.now().0 - pipeline::time::millis(LONG_AGO));
    let step = name(step);
    let ready = Change::Ready {
        at: long_ago,
        class: item.steps[&step].class,
        demand: None,
        branches: item.steps[&step].branches,
        step,
    };
    let aged = GuardedUpdate::run(run, Vec::new(), vec![ready, Change::NextCheck(fleet.now())]);
    let applied = fleet
        .block_on(fleet.backend().runs.apply(&aged))
        .expect("is applied");
    assert!(matches!(applied, Applied::Done(_)));
}

const SWEEP_OFTEN: [&str; 2] = ["--sweep-interval", "100ms"];

#[test]
fn a_lost_first_message_is_sent_again() {
    let fleet = Fleet::new();
    let run = submit_long_ago(&fleet, LINEAR);
    let stolen = fleet.steal("noop", 1);
    println!("lost: {stolen:?}");
    let began = Stopwatch::start();
    let pool = fleet.pool("noop,sleep").with(&SWEEP_OFTEN).start();
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    println!(
        "{}; done {} after a sweeper came",
        pool.output().wait_for("\"swept\""),
        began
    );
    assert!(ended.steps.values().all(|step| step.attempt == 1));
    fleet.assert_whole(&run);
    fleet.wait_until_empty("noop");
}

#[test]
fn a_lost_message_in_the_middle_is_sent_again() {
    let fleet = Fleet::new();
    let run = fleet.submit(LINEAR);
    let _pool = fleet.pool("noop").with(&SWEEP_OFTEN).start();
    fleet.wait_until(&run, "its first step", |run| {
        run.steps[&name("first")].manifest.is_some()
    });
    fleet.wait_until_empty("noop");
    println!("lost: {:?}", fleet.steal("sleep", 1));
    let _sleeper = fleet.pool("sleep").with(&SWEEP_OFTEN).start();
    age(&fleet, &run, "nap");
    let began = Stopwatch::start();
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    println!("done {} after it had been missing for {LONG_AGO:?}", began);
    fleet.assert_whole(&run);
    fleet.assert_committed_once(&run);
}

#[test]
fn lost_messages_of_branches_are_sent_again() {
    let spec = r#"
pipeline = "fanned"
[[steps]]
step = "part"
stage = "noop"
branches = 4
params = { write_bytes = 1000 }
[[steps]]
step = "join"
stage = "noop"
"#;
    let fleet = Fleet::new();
    let run = submit_long_ago(&fleet, spec);
    let stolen = fleet.steal("noop", 4);
    println!("lost: {stolen:?}");
    fleet.send("noop", &stolen[2]);
    let _pool = fleet.pool("noop").with(&SWEEP_OFTEN).start();
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    fleet.assert_whole(&run);
    fleet.assert_committed_once(&run);
}

/// Has a run stop before its last step, does something to the artifact of its first, and lets it go on.
fn damage(damage: impl Fn(&std::path::Path), says: &str) {
    let spec = r#"
pipeline = "damaged"
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 3000 }
[[steps]]
step = "second"
stage = "noop"
[[steps]]
step = "third"
stage = "noop"
"#;
    let fleet = Fleet::new();
    fleet.submit_with(spec, &["--key", "damaged"]).expect_code(0);
    let run = RunId::new("damaged").expect("valid");
    let mut first = fleet
        .pool("noop")
        .with(&["--test-pause-at", "received@second"])
        .launch();
    first.output().wait_for("stopped at ");
    first.kill();
    let item = fleet.run(&run);
    let manifest = item.steps[&name("first")]
        .manifest
        .as_ref()
        .expect("the first step is committed");
    let artifact = manifest.references().next().expect("it wrote one");
    assert!(matches!(artifact.key, ArtifactKey::Attempt(..)));
    damage(std::path::Path::new(
        &fleet.backend().artifacts.locate(&artifact.key),
    ));

    let mut pool = fleet.pool("noop").start();
    let ended = fleet.wait_for_end(&run, RunStatus::Failed);
    let reason = ended.reason.unwrap_or_default();
    println!("{reason}");
    assert!(reason.contains(&artifact.key.to_string()), "{reason}");
    assert!(
        reason.contains("step second") && reason.contains(says),
        "{reason}"
    );
    let fault = ended.steps[&name("second")]
        .fault
        .as_ref()
        .expect("it is on record");
    assert_eq!(
        (fault.class, fault.attempt),
        (FaultClass::Permanent, 1),
        "trying again cannot help"
    );
    assert_eq!(pool.ended(), None);
    let next = fleet.submit(spec);
    fleet.wait_for_end(&next, RunStatus::Succeeded);
}

#[test]
fn a_flipped_bit_in_an_artifact_fails_the_run_by_its_name() {
    let flip = |path: &std::path::Path| {
        let mut bytes = std::fs::read(path).expect("an artifact is a file");
        bytes[1500] ^= 1;
        std::fs::write(path, bytes).expect("as root, or as its owner, one may");
    };
    damage(flip, "is damaged: its digest is");
}

#[test]
fn a_cut_artifact_fails_the_run_by_its_name() {
    let cut = |path: &std::path::Path| {
        let bytes = std::fs::read(path).expect("an artifact is a file");
        std::fs::write(path, &bytes[..2999]).expect("as root, or as its owner, one may");
    };
    damage(cut, "it has 2999 bytes, and had 3000");
}

#[test]
fn a_missing_artifact_fails_the_run_by_its_name() {
    damage(
        |path| std::fs::remove_file(path).expect("an artifact is a file"),
        "there is no artifact",
    );
}
