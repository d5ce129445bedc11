//! What people do to runs, with the binaries that people have: submit twice, pause, resume, wait for a deadline, halt,
//! promote.

use std::time::Duration;

use e2e::harness::{Fleet, Stopwatch};
use pipeline::id::{AliasName, ModelName};
use pipeline::{RunId, RunItem, RunStatus, StepItem, StepName, StepState};

fn step<'a>(run: &'a RunItem, name: &str) -> &'a StepItem {
    &run.steps[&StepName::new(name).expect("a step's name")]
}

fn deploy(expected_revision: u64) -> String {
    format!(
        r#"
pipeline = "deploy"
[[steps]]
step = "nap"
stage = "sleep"
params = {{ ms = 300 }}
[[steps]]
step = "deploy"
stage = "noop"
params = {{ write_bytes = 1000, register = {{ model = "flights", alias = "champion", expected_revision = {expected_revision} }} }}
"#
    )
}

const SHORT: &str = "pipeline = \"short\"\n[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 10 }\n";

#[test]
fn one_key_makes_one_run() {
    let fleet = Fleet::new();
    let first = fleet
        .submit_with(SHORT, &["--key", "order-4711"])
        .expect_code(0)
        .json();
    assert_eq!(
        (&first["run"], &first["outcome"]),
        (&"order-4711".into(), &"new".into())
    );
    let second = fleet
        .submit_with(SHORT, &["--key", "order-4711"])
        .expect_code(0)
        .json();
    assert_eq!(second["outcome"], "again");
    let other = SHORT.replace("10", "11");
    let conflict = fleet.submit_with(&other, &["--key", "order-4711"]).expect_code(4);
    println!("another specification under the key: {}", conflict.stderr.trim());

    let _pool = fleet.pool("noop").start();
    let run = RunId::new("order-4711").expect("valid");
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    fleet.wait_until_empty("noop");
    assert_eq!(step(&ended, "noop").attempt, 1, "two messages, one claim");
    let after = fleet
        .submit_with(SHORT, &["--key", "order-4711"])
        .expect_code(0)
        .json();
    assert_eq!(
        (&after["outcome"], &after["status"]),
        (&"again".into(), &"SUCCEEDED".into())
    );
    fleet.wait_until_empty("noop");
    assert_eq!(fleet.run(&run), ended, "submitting again changes nothing");
    let page = fleet
        .block_on(fleet.backend().runs.list(&Default::default(), None, 10))
        .expect("runs are listed");
    assert_eq!(page.runs.len(), 1);
}

#[test]
fn a_paused_stage_takes_nothing_and_loses_nothing() {
    let fleet = Fleet::new();
    let pool = fleet.pool("noop").start();
    fleet
        .producer(&["pause", "noop", "--reason", "a test"])
        .expect_code(0);
    pool.output().wait_for("paused stages changed");
    let runs: Vec<RunId> = (0..5).map(|_| fleet.submit(SHORT)).collect();
    // Another worker that comes meanwhile heeds the pause, too; when it says that it works, it has looked.
    let other = fleet.pool("noop").start();
    other.output().wait_for("paused stages changed");
    let depth = fleet.depth("noop");
    println!("paused: {depth:?}");
    assert_eq!((depth.visible, depth.in_flight), (5, 0), "messages wait");
    assert!(runs.iter().all(|run| step(&fleet.run(run), "noop").attempt == 0));

    let ended_at = Stopwatch::start();
    fleet.producer(&["unpause", "noop"]).expect_code(0);
    for run in &runs {
        fleet.wait_for_end(run, RunStatus::Succeeded);
        fleet.assert_whole(run);
    }
    println!("{} after the pause's end all five runs are done", ended_at);
    fleet.wait_until_empty("noop");
}

#[test]
fn a_resumed_run_takes_over_what_was_committed() {
    // Branch 1 fails for good, and all three must succeed; the resumed run tries that one again, and fails again.
    let spec = r#"
pipeline = "resumed"
seed = 3
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 5000 }
[[steps]]
step = "split"
stage = "fan-out"
params = { branches = 3 }
[[steps]]
step = "part"
stage = "flaky"
branches = "from-predecessor"
min_succeeded = 3
params = { attempts = 9, how = "permanent", only_branches = [1] }
[[steps]]
step = "join"
stage = "noop"
"#;
    let fleet = Fleet::new();
    let _pool = fleet.pool("noop,fan-out,flaky").start();
    let parent = fleet.submit(spec);
    let failed = fleet.wait_for_end(&parent, RunStatus::Failed);
    println!("{}", failed.reason.as_deref().unwrap_or_default());
    assert!(
        failed
            .reason
            .as_deref()
            .is_some_and(|reason| reason.contains("1 of 3 branches failed"))
    );

    let said = fleet
        .producer(&["resume", parent.as_str(), "--json"])
        .expect_code(0);
    let child = RunId::new(said.json()["run"].as_str().expect("an id")).expect("an id");
    let resumed = fleet.wait_for_end(&child, RunStatus::Failed);
    assert_eq!(resumed.parent.as_ref(), Some(&parent));
    for name in ["first", "split"] {
        assert_eq!(
            step(&resumed, name),
            step(&failed, name),
            "step {name} is the parent's, digests included"
        );
    }
    let branches = |run| {
        let branches = fleet.branches(run).into_iter();
        branches
            .map(|branch| (branch.ordinal, branch.work.state, branch.work.ended_at))
            .collect::<Vec<_>>()
    };
    let (before, after) = (branches(&parent), branches(&child));
    println!("branches of the parent {before:?}, of the resumed run {after:?}");
    assert_eq!(
        (before[0], before[2]),
        (after[0], after[2]),
        "committed branches are not run again"
    );
    assert_eq!((before[1].1, after[1].1), (StepState::Failed, StepState::Failed));
    assert_ne!(before[1].2, after[1].2, "the one that failed is");
    assert_eq!(fleet.run(&parent), failed, "the parent stays as it ended");
    fleet.producer(&["resume", "no-such-run"]).expect_code(3);
}

#[test]
fn a_cancelled_run_is_resumed_where_it_was() {
    let spec = r#"
pipeline = "cancelled"
seed = 4
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 5000 }
[[steps]]
step = "second"
stage = "sleep"
params = { ms = 30000 }
[[steps]]
step = "third"
stage = "noop"
params = { write_bytes = 5000 }
"#;
    let fleet = Fleet::new();
    let pool = fleet.pool("noop,sleep").start();
    let parent = fleet.submit(spec);
    let running = fleet.wait_until_running(&parent, "second");
    fleet.producer(&["cancel", parent.as_str()]).expect_code(0);
    let cancelled = fleet.wait_for_end(&parent, RunStatus::Cancelled);
    assert_eq!(step(&running, "first"), step(&cancelled, "first"));
    let said = fleet
        .producer(&["resume", parent.as_str(), "--json"])
        .expect_code(0);
    let child = RunId::new(said.json()["run"].as_str().expect("an id")).expect("an id");
    let resumed = fleet.wait_until_running(&child, "second");
    assert_eq!(
        step(&resumed, "first"),
        step(&cancelled, "first"),
        "taken over, not run again"
    );
    drop(pool);
    let logged = fleet.logs(&child);
    assert!(
        logged.iter().all(|line| !line.contains("\"first\"")),
        "the first step was run again: {logged:?}"
    );
    let again = fleet
        .producer(&["resume", parent.as_str(), "--json"])
        .expect_code(0);
    assert_eq!(
        again.json()["run"],
        child.as_str(),
        "resuming twice makes one run"
    );
}

#[test]
fn a_run_fails_when_its_deadline_passes() {
    let fleet = Fleet::new();
    let _pool = fleet.pool("noop").with(&["--sweep-interval", "200ms"]).start();
    let started = Stopwatch::start();
    // Nobody works for this stage.
    let run = fleet.submit(
        "pipeline = \"late\"\ndeadline = \"2s\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 1 }\n",
    );
    let ended = fleet.wait_for_end(&run, RunStatus::Failed);
    println!(
        "after {}: {}",
        started,
        ended.reason.as_deref().unwrap_or_default()
    );
    assert!(
        ended
            .reason
            .is_some_and(|reason| reason.contains("deadline") && reason.contains("at step sleep"))
    );
    assert!(started.elapsed() >= Duration::from_secs(2) && started.elapsed() < Duration::from_secs(6));
}

#[test]
fn a_halt_is_an_answer_with_an_exit_code_and_a_report() {
    let spec = r#"
pipeline = "gated"
[[steps]]
step = "check"
stage = "noop"
params = { write_bytes = 500, halt = "drift of 0.7 is more than 0.2" }
[[steps]]
step = "train"
stage = "noop"
"#;
    let fleet = Fleet::new();
    let _pool = fleet.pool("noop").start();
    let said = fleet
        .submit_with(spec, &["--key", "gated", "--watch"])
        .expect_code(6);
    println!("{}", said.stdout.lines().last().unwrap_or_default());
    let run = RunId::new("gated").expect("valid");
    let halted = fleet.wait_for_end(&run, RunStatus::Halted);
    assert_eq!(halted.reason.as_deref(), Some("drift of 0.7 is more than 0.2"));
    let check = step(&halted, "check");
    assert_eq!(check.state, StepState::Committed, "a halt is a commit");
    assert_eq!(
        check.manifest.as_ref().map(|manifest| manifest.artifacts.len()),
        Some(1),
        "the report is published"
    );
    assert_eq!(step(&halted, "train").attempt, 0);
}

#[test]
fn a_champion_that_moved_meanwhile_is_not_replaced() {
    let fleet = Fleet::new();
    let _pool = fleet.pool("noop,sleep").start();
    let champion = || {
        let (model, alias) = (
            ModelName::new("flights").expect("valid"),
            AliasName::new("champion").expect("valid"),
        );
        fleet
            .block_on(fleet.backend().registry.resolve(&model, &alias))
            .expect("the registry answers")
    };
    let first = fleet.submit(&deploy(0));
    let first_ended = fleet.wait_for_end(&first, RunStatus::Succeeded);
    let registered = first_ended.registered.expect("it registers");
    assert_eq!(
        registered.promoted.as_ref().map(AliasName::as_str),
        Some("champion")
    );
    assert_eq!(
        champion().map(|alias| (alias.version, alias.revision)),
        Some((first.clone(), 1))
    );

    // Both were compared with the first one; only one of them can follow it.
    let rivals = [
        fleet.submit(&deploy(1)),
        fleet.submit(&deploy(1).replace("300", "301")),
    ];
    let ended = rivals
        .clone()
        .map(|run| fleet.wait_for_end(&run, RunStatus::Succeeded));
    let registered: Vec<_> = ended
        .iter()
        .map(|run| run.registered.as_ref().expect("both register"))
        .collect();
    for one in &registered {
        println!("promoted: {:?}: {}", one.promoted, one.reason);
    }
    let promoted: Vec<usize> = (0..2).filter(|nth| registered[*nth].promoted.is_some()).collect();
    assert_eq!(promoted.len(), 1, "exactly one is promoted");
    let (winner, loser) = (promoted[0], 1 - promoted[0]);
    assert!(
        registered[loser].reason.contains("not promoted: champion moved"),
        "{}",
        registered[loser].reason
    );
    assert_eq!(
        champion().map(|alias| (alias.version, alias.revision)),
        Some((rivals[winner].clone(), 2))
    );
    let versions = fleet.block_on(
        fleet
            .backend()
            .registry
            .list(&ModelName::new("flights").expect("valid")),
    );
    assert_eq!(
        versions.expect("the registry answers").len(),
        3,
        "registered, all three"
    );
    for run in &rivals {
        fleet.assert_committed_once(run);
    }
}
