//! One component is deployed while the fleet is at work: a newer build takes over without a gap, a broken one is taken
//! back, and the other components notice nothing.
#![allow(clippy::disallowed_methods, reason = "load and watchers go on in real time")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::harness::{Build, Fleet, Rollout, Service, Stopwatch};
use pipeline::{RunId, RunStatus, StepName};

/// A run of three components; `sleep` is the one that is deployed.
const SPEC: &str = "pipeline = \"rolled\"\n[[steps]]\nstep = \"first\"\nstage = \"noop\"\n\
                    [[steps]]\nstep = \"nap\"\nstage = \"sleep\"\nparams = { ms = 150 }\n\
                    [[steps]]\nstep = \"last\"\nstage = \"flaky\"\nparams = { attempts = 0 }\n";

fn step(name: &str) -> StepName {
    StepName::new(name).expect("a step's name")
}

/// Submits runs until it is told that it is enough.
fn load(fleet: &Fleet, enough: &AtomicBool) -> Vec<RunId> {
    let mut runs = Vec::new();
    while !enough.load(Ordering::Relaxed) {
        runs.push(fleet.submit(SPEC));
        std::thread::sleep(Duration::from_millis(100));
    }
    runs
}

/// Asks the other component's tasks, for as long as it takes, whether they are ready; how often they were asked.
fn watch(others: &mut Service<'_>, enough: &AtomicBool) -> usize {
    let mut asked = 0;
    while !enough.load(Ordering::Relaxed) {
        for task in others.tasks() {
            assert!(task.is_ready(), "a pool that nobody deploys stays ready");
            asked += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    asked
}

/// A program that ends as soon as it is started.
fn dies_at_once(fleet: &Fleet) -> PathBuf {
    let path = fleet.folder().join("dies-at-once");
    std::fs::write(&path, "#!/bin/sh\nexit 1\n").expect("is written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("is ours");
    path
}

#[test]
fn a_newer_build_takes_over_and_broken_ones_are_taken_back_without_loss() {
    let fleet = Fleet::new();
    let mut others = Service::start(&fleet, "noop,flaky", 1, &Build::of_worker("one"));
    let mut service = Service::start(&fleet, "sleep", 2, &Build::of_worker("one"));
    let enough = AtomicBool::new(false);
    let (runs, asked) = std::thread::scope(|scope| {
        let load = scope.spawn(|| load(&fleet, &enough));
        let watch = scope.spawn(|| watch(&mut others, &enough));
        std::thread::sleep(Duration::from_millis(500));
        let deploy = |service: &mut Service<'_>, build: Build| {
            let clock = Stopwatch::start();
            let rollout = service.deploy(&build);
            println!("{}: {rollout:?} in {:?}", build.name, clock.elapsed());
            std::thread::sleep(Duration::from_millis(300));
            rollout
        };
        let outcomes = [
            deploy(&mut service, Build::of_worker("two")),
            deploy(
                &mut service,
                Build {
                    program: dies_at_once(&fleet),
                    ..Build::of_worker("three")
                },
            ),
            // It starts, and is never ready: by its clock it is an hour later.
            deploy(
                &mut service,
                Build {
                    arguments: vec!["--test-clock-offset-ms".into(), "3600000".into()],
                    ..Build::of_worker("four")
                },
            ),
            deploy(&mut service, Build::of_worker("five")),
        ];
        enough.store(true, Ordering::Relaxed);
        let runs = load.join().expect("the load did not fail");
        let asked = watch.join().expect("the other component stayed ready");
        assert_eq!(
            outcomes,
            [
                Rollout::Completed,
                Rollout::RolledBack { failures: 3 },
                Rollout::RolledBack { failures: 3 },
                Rollout::Completed
            ],
            "{}",
            fleet.told()
        );
        (runs, asked)
    });
    println!(
        "{} runs, and the other component was asked {asked} times",
        runs.len()
    );
    assert!(runs.len() > 20 && asked > 20, "there was load all the time");
    let mut builds = std::collections::BTreeMap::new();
    let mut given_back = 0;
    for id in &runs {
        let run = fleet.wait_for_end(id, RunStatus::Succeeded);
        for (name, step) in &run.steps {
            // Told to stop, a task finishes what it has begun, or gives back what it had just claimed, at no charge.
            assert_eq!(step.spent, Default::default(), "{id} {name}");
            given_back += step.attempt - 1;
            if name.as_str() != "nap" {
                assert_eq!(step.attempt, 1, "{id} {name}");
            }
        }
        let version = run.steps[&step("nap")].version.clone().unwrap_or_default();
        *builds.entry(version).or_insert(0) += 1;
        assert_eq!(run.steps[&step("first")].version.as_deref(), Some("one"));
    }
    println!("runs by build: {builds:?}; given back by tasks that were told to stop: {given_back}");
    // At most what two tasks of two permits each held, in two deployments.
    assert!(given_back <= 8, "{given_back}");
    let names: Vec<&str> = builds.keys().map(String::as_str).collect();
    assert_eq!(names, ["five", "one", "two"], "the broken builds did no work");
    for task in service.tasks().iter_mut().chain(others.tasks()) {
        assert!(task.ended().is_none());
    }
}
