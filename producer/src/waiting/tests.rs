use std::time::Duration;

use pipeline::item::{Fault, FaultClass, RunItem};
use pipeline::plan::Birth;
use pipeline::spec::{Overrides, load};
use pipeline::{Nonce, RunId, StepName, WorkerId};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn run(fanned: bool) -> RunItem {
    let first = if fanned { "branches = 3" } else { "" };
    let text = format!(
        "pipeline = \"p\"\n[[steps]]\nstep = \"a\"\nstage = \"crash\"\nparams = {{ how = \"exit\", attempts = 0 }}\n{first}\n[[steps]]\nstep = \"b\"\nstage = \"noop\"\n"
    );
    let spec = load(&text, &Overrides::new()).expect("a good specification");
    Birth {
        id: RunId::new("r").expect("an id"),
        pipeline: spec.pipeline.clone(),
        spec: spec.digest(),
        max: spec.max(),
        now: NOW,
        deadline: Duration::from_secs(3600),
    }
    .item(&spec.plan().expect("a good plan"))
}

fn step(run: &mut RunItem) -> &mut StepItem {
    run.steps
        .get_mut(&StepName::new("a").expect("an id"))
        .expect("a step")
}

fn branch(run: &RunItem, ordinal: u32, state: StepState) -> BranchItem {
    let step = StepName::new("a").expect("an id");
    BranchItem {
        run: run.id.clone(),
        ordinal,
        max: run.max,
        work: StepItem {
            state,
            ..run.steps[&step].clone()
        },
        step,
    }
}

fn queue(class: MemoryClass) -> QueueName {
    QueueName {
        stage: StageName::new("crash").expect("an id"),
        class,
    }
}

fn around(visible: u64, consumed: &[&str]) -> Surroundings {
    let depth = Depth {
        visible,
        ..Depth::default()
    };
    Surroundings {
        pauses: Vec::new(),
        workers: vec![Presence {
            worker: WorkerId::new("w").expect("an id"),
            queues: consumed.iter().map(ToString::to_string).collect(),
            version: "1".into(),
            since: NOW,
            expires_at: NOW.plus(Duration::from_secs(9)),
        }],
        depths: MemoryClass::ALL.map(|class| (queue(class), depth)).into(),
        now: NOW,
    }
}

fn kinds(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(Reason::kind).collect()
}

fn text(reasons: &[Reason]) -> String {
    reasons.iter().map(|r| r.text(NOW)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_waiting_step_says_how_many_messages_are_there() {
    let mut surroundings = around(12, &["crash"]);
    surroundings
        .depths
        .entry(queue(MemoryClass::Standard))
        .and_modify(|d| {
            d.in_flight = 2;
            d.oldest = Some(Duration::from_secs(90));
        });
    let reasons = why_waits(&run(false), &[], &surroundings);
    assert_eq!(kinds(&reasons), ["queued", "deadline"]);
    assert_eq!(
        reasons[0].text(NOW),
        "step a waits in queue crash: about 12 messages are ready there, its own included, 2 being worked on; the oldest waits for 1m 30s"
    );
    assert!(text(&reasons).contains("(in 60m)"), "{}", text(&reasons));
}

#[test]
fn nobody_there_and_a_pause_are_said() {
    let mut surroundings = around(1, &["noop"]);
    surroundings.pauses.push(Pause {
        stage: queue(MemoryClass::Standard).stage,
        since: Timestamp(NOW.0 - 300_000),
        reason: "bad deploy".into(),
    });
    let reasons = why_waits(&run(false), &[], &surroundings);
    assert_eq!(kinds(&reasons), ["paused", "no_worker", "queued", "deadline"]);
    assert!(
        text(&reasons).contains("(5m ago): bad deploy; `producer unpause crash`"),
        "{}",
        text(&reasons)
    );
    assert!(
        text(&reasons).contains(
            "no worker consumes queue crash, only other queues (1 worker); `worker pool --stages crash`"
        ),
        "{}",
        text(&reasons)
    );
    // The pause of another stage, and no worker at all.
    surroundings.pauses[0].stage = StageName::new("noop").expect("an id");
    surroundings.workers.clear();
    let reasons = why_waits(&run(false), &[], &surroundings);
    assert_eq!(kinds(&reasons), ["no_worker", "queued", "deadline"]);
    assert!(reasons[0].text(NOW).starts_with("no worker is there"));
}

#[test]
fn a_lease_is_held_or_over() {
    let mut run = run(false);
    let work = step(&mut run);
    work.state = StepState::Running;
    work.owner = Some(Nonce::new("n").expect("an id"));
    work.lease_until = Some(NOW.plus(Duration::from_secs(30)));
    let reasons = why_waits(&run, &[], &around(0, &[]));
    assert_eq!(kinds(&reasons), ["working", "deadline"], "nobody else is needed");
    assert!(reasons[0].text(NOW).contains("(in 30s)"));
    step(&mut run).lease_until = Some(Timestamp(NOW.0 - 60_000));
    let reasons = why_waits(&run, &[], &around(0, &["crash"]));
    assert_eq!(kinds(&reasons), ["worker_lost", "deadline"]);
    assert!(reasons[0].is_stuck() && reasons[0].text(NOW).contains("60s ago"));
}

#[test]
fn backing_off_says_until_when_and_after_what() {
    let mut run = run(false);
    let work = step(&mut run);
    work.ready_at = Some(NOW.plus(Duration::from_secs(8)));
    work.fault = Some(Fault::new(FaultClass::Transient, "the network was away", 1, NOW));
    let reasons = why_waits(&run, &[], &around(0, &["crash"]));
    assert_eq!(kinds(&reasons), ["backing_off", "deadline"]);
    assert!(
        reasons[0]
            .text(NOW)
            .ends_with("(in 8s); it failed: the network was away")
    );
}

#[test]
fn a_larger_class_has_a_queue_of_its_own() {
    let mut run = run(false);
    step(&mut run).class = MemoryClass::Large;
    assert_eq!(queues(&run, &[]), BTreeSet::from([queue(MemoryClass::Large)]));
    let reasons = why_waits(&run, &[], &around(1, &["crash"]));
    assert_eq!(
        kinds(&reasons),
        ["larger_class", "no_worker", "queued", "deadline"]
    );
    assert!(text(&reasons).contains("no worker consumes queue crash-large"));
}

#[test]
fn an_empty_queue_and_a_passed_deadline_are_told() {
    let mut run = run(false);
    run.deadline = Timestamp(NOW.0 - 1000);
    let reasons = why_waits(&run, &[], &around(0, &["crash"]));
    assert_eq!(kinds(&reasons), ["message_lost", "overdue"]);
    assert!(reasons.iter().all(Reason::is_stuck));
    // A depth that was not asked for is not guessed at.
    let blind = Surroundings {
        depths: BTreeMap::new(),
        ..around(0, &["crash"])
    };
    assert_eq!(kinds(&why_waits(&run, &[], &blind)), ["overdue"]);
}

#[test]
fn branches_are_counted_by_what_they_do() {
    let mut run = run(true);
    let mut running = branch(&run, 0, StepState::Running);
    running.work.lease_until = Some(NOW.plus(Duration::from_secs(5)));
    let large = {
        let mut b = branch(&run, 1, StepState::Pending);
        b.work.class = MemoryClass::Large;
        b
    };
    let reasons = why_waits(
        &run,
        &[running.clone(), large],
        &around(4, &["crash", "crash-large"]),
    );
    assert_eq!(
        kinds(&reasons),
        ["working", "queued", "larger_class", "queued", "deadline"]
    );
    assert!(
        text(&reasons).contains("1 branch of step a waits in queue crash:"),
        "{}",
        text(&reasons)
    );
    // All settled, none closed.
    let done: Vec<BranchItem> = (0..3).map(|i| branch(&run, i, StepState::Committed)).collect();
    assert_eq!(
        kinds(&why_waits(&run, &done, &around(0, &[]))),
        ["joining", "deadline"]
    );
    run.status = RunStatus::Cancelled;
    assert_eq!(why_waits(&run, &[running], &around(0, &[])), []);
}
