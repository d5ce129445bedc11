//! Attempts that die in child processes: of memory, by their own hand, by ours. The pool lives on and says why.

use std::time::Duration;

use e2e::harness::{Fleet, Process, Stopwatch, wait_for};
use pipeline::item::FaultClass;
use pipeline::{MemoryClass, RunItem, RunStatus, StepItem, StepName, StepState};

const MIB: u64 = 1024 * 1024;

/// 128 MiB for an attempt in class standard, twice that in class large. What takes 64 MiB more than it may is refused
/// at once, and does not have to be caught.
const LITTLE_MEMORY: [&str; 4] = ["--memory-limit", "128MiB", "--memory-budget", "256MiB"];

fn step<'a>(run: &'a RunItem, name: &str) -> &'a StepItem {
    &run.steps[&StepName::new(name).expect("a step's name")]
}

fn allocate(mib: u64) -> String {
    format!("pipeline = \"allocate\"\n[[steps]]\nstage = \"allocate\"\nparams = {{ mib = {mib} }}\n")
}

fn crash(how: &str, attempts: u32) -> String {
    format!(
        "pipeline = \"crash\"\n[[steps]]\nstage = \"crash\"\nparams = {{ how = \"{how}\", attempts = {attempts} }}\n"
    )
}

/// The processes whose parent is this one.
fn children_of(parent: &Process) -> Vec<u32> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("this is Linux").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // "pid (name) state parent …"; the name may hold spaces. It may be gone by now.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
        if fields
            .and_then(|mut fields| fields.nth(1))
            .and_then(|p| p.parse().ok())
            == Some(parent.id())
        {
            children.push(pid);
        }
    }
    children
}

#[test]
fn t14_out_of_memory_is_told_and_tried_in_a_larger_class_until_there_is_none() {
    let fleet = Fleet::new();
    let mut pool = fleet.pool("allocate").with(&LITTLE_MEMORY).start();
    let too_much = fleet.submit(&allocate(400));
    let run = fleet.wait_for_end(&too_much, RunStatus::Failed);
    let reason = run.reason.clone().unwrap_or_default();
    let failed = step(&run, "allocate");
    println!("400 MiB: {reason}");
    assert!(
        reason.contains("out of memory") && reason.contains("class large is the largest"),
        "{reason}"
    );
    assert_eq!(
        (failed.class, failed.attempt, failed.spent.memory),
        (MemoryClass::Large, 2, 1)
    );
    assert_eq!(failed.spent.crash, 0, "the cause of death was known");
    assert_eq!(
        failed.fault.as_ref().map(|fault| fault.class),
        Some(FaultClass::Memory)
    );

    let more = fleet.submit(&allocate(190));
    let run = fleet.wait_for_end(&more, RunStatus::Succeeded);
    let larger = step(&run, "allocate");
    let peak_bytes = larger
        .measured
        .as_ref()
        .and_then(|m| m.peak_memory_bytes)
        .expect("children are measured");
    println!(
        "190 MiB: done in class {} with a peak of {} MiB",
        larger.class,
        peak_bytes / MIB
    );
    assert_eq!((larger.class, larger.spent.memory), (MemoryClass::Large, 1));
    assert!((190 * MIB..256 * MIB).contains(&peak_bytes), "{peak_bytes} bytes");

    let little = fleet.submit(&allocate(16));
    let run = fleet.wait_for_end(&little, RunStatus::Succeeded);
    let fits = step(&run, "allocate");
    let peak_bytes = fits
        .measured
        .as_ref()
        .and_then(|m| m.peak_memory_bytes)
        .expect("children are measured");
    println!(
        "16 MiB: done in class {} with a peak of {} MiB",
        fits.class,
        peak_bytes / MIB
    );
    assert_eq!((fits.class, fits.attempt), (MemoryClass::Standard, 1));
    assert!((16 * MIB..128 * MIB).contains(&peak_bytes), "{peak_bytes} bytes");
    assert_eq!(pool.ended(), None, "the pool is the same process as before");
}

#[test]
fn a_death_without_a_known_cause_is_survived_once() {
    let fleet = Fleet::new();
    let mut pool = fleet.pool("crash").start();
    for (how, cause) in [
        ("abort", "signal 6"),
        ("kill", "signal 9"),
        ("exit", "exit code 86"),
        ("panic", "was told to panic"),
    ] {
        let run = fleet.submit(&crash(how, 1));
        let run = fleet.wait_for_end(&run, RunStatus::Succeeded);
        let survived = step(&run, "crash");
        let fault = survived.fault.as_ref().expect("the first death is on record");
        println!(
            "{how}: attempt {} {}: {}",
            fault.attempt,
            fault.class.as_str(),
            fault.message
        );
        assert_eq!((fault.class, fault.attempt), (FaultClass::Crash, 1));
        assert!(fault.message.contains(cause), "{how}: {}", fault.message);
        assert_eq!((survived.attempt, survived.spent.crash), (2, 1));
    }
    assert_eq!(pool.ended(), None, "the pool is the same process as before");
}

#[test]
fn three_deaths_without_a_known_cause_are_poison() {
    let fleet = Fleet::new();
    let mut pool = fleet.pool("crash").start();
    let started = Stopwatch::start();
    let runs = ["abort", "kill", "exit", "panic"].map(|how| (how, fleet.submit(&crash(how, 99))));
    for (how, run) in runs {
        let run = fleet.wait_for_end(&run, RunStatus::Failed);
        let reason = run.reason.clone().unwrap_or_default();
        let poison = step(&run, "crash");
        println!("{how}: after {} in class {}: {reason}", started, poison.class);
        assert!(reason.contains("it died 3 times"), "{reason}");
        assert_eq!(
            (poison.state, poison.attempt, poison.spent.crash),
            (StepState::Failed, 3, 3)
        );
        assert_eq!(
            poison.class,
            MemoryClass::Large,
            "the second death in one class moved it to the next"
        );
    }
    assert_eq!(pool.ended(), None, "the pool is the same process as before");
    let next = fleet.submit(&crash("abort", 0));
    fleet.wait_for_end(&next, RunStatus::Succeeded);
}

#[test]
fn a_cancelled_run_is_stopped_within_a_second_also_if_it_does_not_listen() {
    let fleet = Fleet::new();
    let pool = fleet.pool("sleep,noop").start();
    let run = fleet.submit(
        "pipeline = \"stubborn\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 600000, stubborn = true }\n[[steps]]\nstage = \"noop\"\n",
    );
    fleet.wait_until_running(&run, "sleep");
    let one = || children_of(&pool).first().copied();
    let (child, _) = wait_for("the child process", || fleet.told(), one);
    let asked_at = Stopwatch::start();
    let said = fleet.producer(&["cancel", run.as_str()]).expect_code(0);
    let is_gone = || children_of(&pool).is_empty().then_some(());
    wait_for("the child's end", || fleet.told(), is_gone);
    let took = asked_at.elapsed();
    println!(
        "child {child} is gone {took:?} after `producer cancel` began: {}",
        said.stderr.trim()
    );
    assert!(took < Duration::from_secs(1), "{took:?}");
    let ended = fleet.wait_for_end(&run, RunStatus::Cancelled);
    assert_eq!(step(&ended, "noop").attempt, 0, "nothing after it was begun");
    let shown = fleet.producer(&["show", run.as_str()]).expect_code(0);
    assert!(
        shown.stdout.contains("STOPPED") && !shown.stdout.contains("RUNNING"),
        "{shown:?}"
    );
    fleet.wait_until_empty("sleep");

    let next = fleet.submit("pipeline = \"next\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 1 }\n");
    fleet.wait_for_end(&next, RunStatus::Succeeded);
}

#[test]
fn the_child_of_a_killed_pool_dies_with_it() {
    let fleet = Fleet::new();
    let mut pool = fleet.pool("sleep").start();
    let run = fleet.submit(
        "pipeline = \"stubborn\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 600000, stubborn = true }\n",
    );
    fleet.wait_until_running(&run, "sleep");
    let one = || children_of(&pool).first().copied();
    let (child, _) = wait_for("the child process", || fleet.told(), one);
    pool.kill();
    // Whoever adopts it reaps it in its own time; dead it is before.
    let is_dead = || {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        (state.is_empty() || state.starts_with(['Z', 'X'])).then_some(())
    };
    let ((), took) = wait_for("the child's death", || fleet.told(), is_dead);
    println!(
        "kill -9 of process {}: its child {child} is dead {took:?} later",
        pool.id()
    );
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_time_limit_ends_an_attempt_that_does_not_listen() {
    let fleet = Fleet::new();
    let _pool = fleet.pool("sleep").start();
    let run = fleet.submit(
        "pipeline = \"slow\"\n[retry]\ntransient = 1\n[[steps]]\nstage = \"sleep\"\ntime_limit = \"300ms\"\nparams = { ms = 600000, stubborn = true }\n",
    );
    let run = fleet.wait_for_end(&run, RunStatus::Failed);
    let slow = step(&run, "sleep");
    println!("{}", run.reason.as_deref().unwrap_or_default());
    assert_eq!(
        slow.fault.as_ref().map(|fault| fault.class),
        Some(FaultClass::Transient)
    );
    assert!(
        slow.fault
            .as_ref()
            .is_some_and(|fault| fault.message.contains("time limit of 300ms"))
    );
    assert_eq!((slow.attempt, slow.spent.transient, slow.spent.crash), (2, 1, 0));
}
