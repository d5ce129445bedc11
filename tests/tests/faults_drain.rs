//! Leaving in good order: SIGTERM and SIGINT finish what is under way, or give it back at no charge.

use std::time::Duration;

use e2e::harness::{Fleet, Pool, Stopwatch};
use pipeline::item::Budget;
use pipeline::{RunId, RunStatus, StepName, StepState};
use rustix::process::Signal;

fn naps(ms: u64) -> String {
    format!("pipeline = \"naps\"\n[[steps]]\nstep = \"nap\"\nstage = \"sleep\"\nparams = {{ ms = {ms} }}\n")
}

fn nap() -> StepName {
    StepName::new("nap").expect("valid")
}

fn start(fleet: &Fleet, arguments: &[&str]) -> Pool {
    fleet
        .pool("sleep")
        .with(&["--heavy-permits", "1"])
        .with(arguments)
        .start()
}

/// Has a worker that is in the middle of a short nap end by `signal`; a second run waits in the queue meanwhile.
fn finishes_what_it_has(signal: Signal) {
    let fleet = Fleet::new();
    let mut pool = start(&fleet, &[]);
    let running = fleet.submit(&naps(1000));
    fleet.wait_until_running(&running, "nap");
    let waiting = fleet.submit(&naps(1));
    pool.signal(signal);
    let (status, took) = pool.wait();
    println!("{signal:?}: ended with {status} after {took:?}");
    assert_eq!(status.code(), Some(0), "{}", fleet.told());
    assert!(took < Duration::from_secs(5), "{took:?}");
    let done = fleet.run(&running);
    assert_eq!(
        done.status,
        RunStatus::Succeeded,
        "what was under way is finished"
    );
    assert_eq!(done.steps[&nap()].attempt, 1);
    let untouched = fleet.run(&waiting);
    assert_eq!(
        (untouched.status, untouched.steps[&nap()].attempt),
        (RunStatus::Open, 0),
        "nothing new is taken"
    );

    let _other = start(&fleet, &[]);
    fleet.wait_for_end(&waiting, RunStatus::Succeeded);
}

#[test]
fn sigterm_finishes_what_is_under_way_and_takes_nothing_new() {
    finishes_what_it_has(Signal::TERM);
}

#[test]
fn sigint_does_the_same() {
    finishes_what_it_has(Signal::INT);
}

/// The attempt was released at no charge: others may take it at once.
fn assert_given_back(fleet: &Fleet, run: &RunId) {
    let given_back = fleet.run(run).steps[&nap()].clone();
    assert_eq!(given_back.state, StepState::Pending, "{}", fleet.told());
    assert_eq!(given_back.spent, Budget::default(), "a drain charges nothing");
    assert_eq!((given_back.attempt, given_back.lease_until), (1, None));
}

#[test]
fn what_does_not_end_in_time_is_given_back_at_no_charge() {
    let fleet = Fleet::new();
    let mut pool = start(&fleet, &["--drain-timeout", "500ms"]);
    let run = fleet.submit(&naps(4000));
    fleet.wait_until_running(&run, "nap");
    pool.signal(Signal::TERM);
    let (status, took) = pool.wait();
    println!("ended with {status} after {took:?}");
    assert_eq!(status.code(), Some(0), "{}", fleet.told());
    // Half of so short a time is kept for interrupting and giving back.
    assert!(
        took >= Duration::from_millis(250) && took < Duration::from_secs(3),
        "{took:?}"
    );
    assert_given_back(&fleet, &run);
    let began = Stopwatch::start();
    let _other = start(&fleet, &[]);
    let done = fleet.wait_for_end(&run, RunStatus::Succeeded);
    println!("another worker finished it in {}", began);
    assert_eq!(
        (done.steps[&nap()].attempt, done.steps[&nap()].spent),
        (2, Budget::default())
    );
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "it did not wait for a lease or a hidden message"
    );
}

#[test]
fn a_second_sigint_gives_it_back_at_once() {
    let fleet = Fleet::new();
    let mut pool = start(&fleet, &[]);
    let run = fleet.submit(&naps(60_000));
    fleet.wait_until_running(&run, "nap");
    pool.signal(Signal::INT);
    pool.output().wait_for("draining");
    assert_eq!(pool.ended(), None, "the first one lets it finish");
    let asked_at = Stopwatch::start();
    pool.signal(Signal::INT);
    let (status, _) = pool.wait();
    println!("ended with {status} {} after the second SIGINT", asked_at);
    assert!(asked_at.elapsed() < Duration::from_secs(2));
    assert_given_back(&fleet, &run);
    assert!(status.code().is_some(), "it ended by itself: {status}");
}
