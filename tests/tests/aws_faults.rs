//! What goes wrong on AWS, with real processes: workers die, messages come twice or not at all, queues vanish.

use e2e::harness::{Emulator, Fleet};
use pipeline::change::Change;
use pipeline::guard::Guard;
use pipeline::{GuardedUpdate, RunStatus, StepName};

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
