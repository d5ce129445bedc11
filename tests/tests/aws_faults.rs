//! What goes wrong on AWS, with real processes: workers die, messages come twice or not at all, queues vanish.

use e2e::harness::{Emulator, Fleet};
use pipeline::change::Change;
use pipeline::guard::Guard;
use pipeline::{ArtifactKey, GuardedUpdate, RunId, RunStatus, StepName, operate};
use rustix::process::Signal;

const NAP: &str =
    "pipeline = \"nap\"\n[[steps]]\nstage = \"noop\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 2000 }\n";

/// Long enough for a clock that is told in whole seconds, short enough to wait for.
const LEASE: [&str; 2] = ["--lease", "3s"];

fn sqs(fleet: &Fleet) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&fleet.block_on(Emulator::shared().config()))
}

#[test]
fn what_a_killed_worker_began_another_one_finishes() {
    let fleet = Fleet::on_aws();
    let mut first = fleet.pool("noop,sleep").with(&LEASE).start();
    let run = fleet.submit(NAP);
    fleet.wait_until_running(&run, "sleep");
    first.kill();
    let _second = fleet.pool("noop,sleep").with(&LEASE).start();
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    let sleep = &ended.steps[&StepName::new("sleep").expect("a step's name")];
    assert_eq!(sleep.attempt, 2, "{sleep:?}");
    fleet.wait_until_empty("sleep");
    assert_eq!(fleet.depth("sleep").dead, 0);
}

/// Every message twice: each step is claimed once.
#[test]
fn a_message_that_comes_twice_does_nothing_twice() {
    let fleet = Fleet::on_aws();
    let run = fleet.submit(NAP);
    let message = format!(r#"{{"version":"1","run":"{run}","step":"noop"}}"#);
    fleet.send("noop", &message);
    fleet.send("noop", &message);
    let _pool = fleet.pool("noop,sleep").with(&LEASE).start();
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    for (name, step) in &ended.steps {
        assert_eq!(step.attempt, 1, "{name}: {step:?}");
    }
    fleet.wait_until_empty("noop");
    fleet.wait_until_empty("sleep");
}

/// The workers stay, and take up work again once the queue is there.
#[test]
fn a_queue_that_was_deleted_and_made_again_is_consumed() {
    let fleet = Fleet::on_aws();
    let pool = fleet
        .pool("noop")
        .with(&["--classes", "standard"])
        .with(&LEASE)
        .start();
    let spec = "pipeline = \"one\"\n[[steps]]\nstage = \"noop\"\n";
    let before = fleet.submit(spec);
    fleet.wait_for_end(&before, RunStatus::Succeeded);
    let client = sqs(&fleet);
    fleet.block_on(async {
        let name = format!("{}-noop", fleet.name());
        let url = client
            .get_queue_url()
            .queue_name(name)
            .send()
            .await
            .expect("there")
            .queue_url;
        client
            .delete_queue()
            .set_queue_url(url)
            .send()
            .await
            .expect("deleted");
    });
    fleet.producer(&["setup", "--test-stages"]).expect_code(0);
    let after = fleet.submit(spec);
    fleet.wait_for_end(&after, RunStatus::Succeeded);
    drop(pool);
}

/// The message is gone; the sweeper finds the run and sends it again.
#[test]
fn a_message_that_is_deleted_behind_our_backs_is_sent_again() {
    let fleet = Fleet::on_aws();
    let run = fleet.submit("pipeline = \"lost\"\n[[steps]]\nstage = \"noop\"\n");
    assert_eq!(fleet.steal("noop", 1).len(), 1);
    // As if it had been ready for an hour: for ten minutes the sweeper only waits.
    let an_hour_ago = pipeline::Timestamp(fleet.now().0 - 3_600_000);
    let due = fleet
        .run(&run)
        .next_check
        .expect("an open run is looked at again");
    let changes = vec![
        Change::Ready {
            step: StepName::new("noop").expect("a step's name"),
            at: an_hour_ago,
            class: pipeline::MemoryClass::Standard,
            demand: None,
            branches: None,
        },
        Change::NextCheck(an_hour_ago),
    ];
    let update = GuardedUpdate::run(&run, vec![Guard::NextCheckIs(due)], changes);
    fleet
        .block_on(fleet.backend().runs.apply(&update))
        .expect("the item is changed");
    let _pool = fleet
        .pool("noop")
        .with(&["--sweep-interval", "500ms"])
        .with(&LEASE)
        .start();
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert_eq!(
        ended.steps[&StepName::new("noop").expect("a step's name")].attempt,
        1
    );
}

/// It stands still for longer than its lease, and goes on when the work is done: it changes nothing.
#[test]
fn a_zombie_changes_nothing() {
    let fleet = Fleet::on_aws();
    let zombie = fleet.pool("sleep").called("zombie").with(&LEASE).start();
    let run = fleet.submit(NAP);
    let helper = fleet.pool("noop").with(&LEASE).start();
    fleet.wait_until_running(&run, "sleep");
    zombie.signal(Signal::STOP);
    let _other = fleet.pool("sleep").called("other").with(&LEASE).start();
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    zombie.signal(Signal::CONT);
    zombie.output().wait_for(r#""outcome":"discarded""#);
    assert_eq!(fleet.run(&run), ended, "what has ended stays as it is");
    let sleep = &ended.steps[&StepName::new("sleep").expect("a step's name")];
    assert_eq!(sleep.attempt, 2, "{sleep:?}");
    fleet.wait_until_empty("sleep");
    // It is of use again.
    drop(helper);
    let _helper = fleet.pool("noop").with(&LEASE).start();
    let next = fleet.submit(NAP);
    fleet.wait_for_end(&next, RunStatus::Succeeded);
}

const READS: &str = r#"
pipeline = "reads"
[[steps]]
step = "write"
stage = "noop"
params = { write_bytes = 1000 }
[[steps]]
step = "nap"
stage = "sleep"
params = { ms = 10 }
[[steps]]
step = "more"
stage = "noop"
params = { write_bytes = 1000 }
[[steps]]
step = "read"
stage = "noop"
params = { write_bytes = 1000 }
"#;

/// A run that waits before the step that reads what the one before it wrote; and what that is.
fn before_it_is_read(fleet: &Fleet) -> (RunId, ArtifactKey) {
    let pool = fleet.pool("noop,sleep").with(&LEASE);
    let mut pool = pool.with(&["--test-pause-at", "sent@more"]).start();
    let run = fleet.submit(READS);
    let more = StepName::new("more").expect("a step's name");
    let read = StepName::new("read").expect("a step's name");
    let run_item = fleet.wait_until(&run, "the next step is ready", |run| {
        run.steps[&read].ready_at.is_some()
    });
    pool.kill();
    let manifest = run_item.steps[&more].manifest.clone().expect("it is committed");
    let key = manifest.references().next().expect("it wrote something").key;
    (run, key)
}

#[test]
fn an_artifact_that_was_corrupted_or_removed_fails_its_run_with_the_reason() {
    for (harm, reason) in [
        ("other bytes", "is damaged"),
        ("removed", "there is no such artifact"),
    ] {
        let fleet = Fleet::on_aws();
        let (run, key) = before_it_is_read(&fleet);
        let place = fleet.backend().artifacts.locate(&key);
        let (bucket, name) = place
            .strip_prefix("s3://")
            .and_then(|place| place.split_once('/'))
            .expect("an object of a bucket");
        fleet.block_on(async {
            let client = Emulator::shared().s3().await;
            let object = client.put_object().bucket(bucket).key(name);
            match harm {
                "removed" => fleet.backend().artifacts.remove(&key).await.expect("removed"),
                _ => drop(
                    object
                        .body(vec![7; 1000].into())
                        .send()
                        .await
                        .expect("written over"),
                ),
            }
        });
        let _pool = fleet.pool("noop,sleep").with(&LEASE).start();
        let ended = fleet.wait_for_end(&run, RunStatus::Failed);
        let told = ended.reason.unwrap_or_default();
        assert!(told.contains(reason) && told.contains(name), "{harm}: {told}");
        fleet.wait_until_empty("noop");
    }
}

/// Nobody works for two hours, and somebody sweeps all the time: the queue does not fill with the same news.
#[test]
fn two_hours_without_workers_cost_five_messages_a_run() {
    let fleet = Fleet::on_aws();
    let spec = "pipeline = \"waits\"\n[[steps]]\nstage = \"noop\"\n";
    let runs: Vec<RunId> = (0..3).map(|_| fleet.submit(spec)).collect();
    let start = fleet.now();
    for minute in 0..=120 {
        let now = start.plus(std::time::Duration::from_secs(60 * minute));
        fleet
            .block_on(operate::sweep(fleet.backend(), &operate::Unforeseen, now, 100))
            .expect("swept");
    }
    let depth = fleet.depth("noop");
    let messages = depth.visible + depth.in_flight + depth.delayed;
    println!("{messages} messages of {} runs", runs.len());
    assert!(
        (2 * runs.len() as u64..=5 * runs.len() as u64).contains(&messages),
        "{depth:?}"
    );
    let _pool = fleet.pool("noop").with(&LEASE).start();
    for run in &runs {
        let ended = fleet.wait_for_end(run, RunStatus::Succeeded);
        assert_eq!(
            ended.steps[&StepName::new("noop").expect("a step's name")].attempt,
            1
        );
    }
    fleet.wait_until_empty("noop");
}
