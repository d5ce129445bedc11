//! A step begins in the class that has room for what it is estimated to take, and what was estimated wrong is passed on
//! before it costs a death.

use e2e::harness::Fleet;
use pipeline::item::FaultClass;
use pipeline::{MemoryClass, RunItem, RunStatus, StepItem, StepName};

/// 128 MiB for an attempt in class standard, twice that in class large.
const LITTLE_MEMORY: [&str; 4] = ["--memory-limit", "128MiB", "--memory-budget", "256MiB"];

fn step<'a>(run: &'a RunItem, name: &str) -> &'a StepItem {
    &run.steps[&StepName::new(name).expect("a step's name")]
}

/// A step, and after it one that takes `mib` and is estimated to take `estimate_mib`.
fn allocate_second(mib: u64, estimate_mib: u64) -> String {
    format!(
        "pipeline = \"placed\"\n[[steps]]\nstage = \"noop\"\n[[steps]]\nstage = \"allocate\"\n\
         params = {{ mib = {mib}, estimate_mib = {estimate_mib} }}\n"
    )
}

fn allocate_first(mib: u64, estimate_mib: u64) -> String {
    format!(
        "pipeline = \"placed\"\n[[steps]]\nstage = \"allocate\"\n\
         params = {{ mib = {mib}, estimate_mib = {estimate_mib} }}\n"
    )
}

#[test]
fn a_step_begins_in_the_class_that_has_room_and_says_why() {
    let fleet = Fleet::new();
    let _pool = fleet.pool("noop,allocate").with(&LITTLE_MEMORY).start();
    let little = fleet.submit(&allocate_second(16, 100));
    let run = fleet.wait_for_end(&little, RunStatus::Succeeded);
    let placed = step(&run, "allocate");
    assert_eq!((placed.class, placed.attempt), (MemoryClass::Standard, 1));
    let demand = placed.demand.as_ref().expect("it was estimated");
    assert_eq!(
        (demand.memory_bytes >> 20, demand.reason.as_str()),
        (100, "what it is told")
    );

    let much = fleet.submit(&allocate_second(190, 200));
    let run = fleet.wait_for_end(&much, RunStatus::Succeeded);
    let placed = step(&run, "allocate");
    // In the first attempt, without a death in the smaller class before.
    assert_eq!(
        (placed.class, placed.attempt, placed.spent.memory),
        (MemoryClass::Large, 1, 0)
    );
    let shown = fleet.producer(&["show", much.as_str()]).expect_code(0).stdout;
    let told = "allocate, large: 200.0 MiB by what it is told; standard has 128MiB";
    assert!(
        shown.contains("Larger memory classes") && shown.contains(told),
        "{shown}"
    );
}

/// Of the first step nothing is known when its message is sent: its pool estimates it.
#[test]
fn a_pool_passes_on_what_it_has_no_room_for() {
    let fleet = Fleet::new();
    let mut pool = fleet.pool("allocate").with(&LITTLE_MEMORY).start();
    let run = fleet.submit(&allocate_first(16, 8 * 1024));
    let run = fleet.wait_for_end(&run, RunStatus::Succeeded);
    let passed_on = step(&run, "allocate");
    // In the largest class it is tried whatever was estimated, and so much was not needed.
    assert_eq!(
        (passed_on.class, passed_on.attempt, passed_on.spent.memory),
        (MemoryClass::Large, 2, 1)
    );
    let fault = passed_on
        .fault
        .as_ref()
        .expect("why it was passed on is on record");
    assert_eq!((fault.class, fault.attempt), (FaultClass::Memory, 1));
    assert!(
        fault
            .message
            .contains("estimated to take 8192MiB of memory (what it is told), and has 128MiB here"),
        "{}",
        fault.message
    );
    assert_eq!(pool.ended(), None, "the pool is the same process as before");
}

/// With one pool for each class, on their own: the small one hands over and stays.
#[test]
fn the_pool_of_the_larger_class_takes_over() {
    let fleet = Fleet::new();
    let classes = |class| ["--classes", class];
    let mut small = fleet
        .pool("allocate")
        .with(&LITTLE_MEMORY)
        .with(&classes("standard"))
        .start();
    let run = fleet.submit(&allocate_first(190, 200));
    let waits = fleet.wait_until(&run, "passed on", |run| {
        step(run, "allocate").class == MemoryClass::Large
    });
    assert_eq!(step(&waits, "allocate").attempt, 1);
    assert_eq!(small.ended(), None);
    let _large = fleet
        .pool("allocate")
        .with(&LITTLE_MEMORY)
        .with(&classes("large"))
        .start();
    let run = fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert_eq!(step(&run, "allocate").attempt, 2);
}

#[test]
fn the_step_after_branches_is_placed_too() {
    let fleet = Fleet::new();
    let _pool = fleet.pool("noop,allocate").with(&LITTLE_MEMORY).start();
    let run = fleet.submit(
        "pipeline = \"placed\"\n[[steps]]\nstage = \"noop\"\nbranches = 3\n[[steps]]\nstage = \"allocate\"\n\
         params = { mib = 16, estimate_mib = 200 }\n",
    );
    let run = fleet.wait_for_end(&run, RunStatus::Succeeded);
    let placed = step(&run, "allocate");
    assert_eq!((placed.class, placed.attempt), (MemoryClass::Large, 1));
}
