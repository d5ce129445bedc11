//! 1 and 12: messages that nobody of the fleet sent, and more of them than are good for others.

use std::time::Duration;

use e2e::harness::{Fleet, Stopwatch, wait_for};
use pipeline::envelope::Envelope;
use pipeline::{RunId, RunItem, RunStatus};

const SPEC: &str = r#"
pipeline = "ours"
[[steps]]
step = "first"
stage = "sleep"
params = { ms = 20 }
[[steps]]
step = "second"
stage = "noop"
params = { write_bytes = 10 }
"#;

const OTHERS: &str = r#"
pipeline = "others"
[[steps]]
step = "only"
stage = "sleep"
params = { ms = 20 }
"#;

/// Its message is taken away, so that it stays as it is for as long as nobody says otherwise.
fn left_alone(fleet: &Fleet, spec: &str) -> (RunId, String) {
    let run = fleet.submit(spec);
    let message = fleet.steal("sleep", 1).remove(0);
    (run, message)
}

/// A forged message is acknowledged, buried, or a hint at what is to be done anyway: nothing else follows from it.
#[test]
fn t01_message_injection_and_replay() {
    let fleet = Fleet::new();
    let (run, message) = left_alone(&fleet, SPEC);
    let (other, of_other) = left_alone(&fleet, OTHERS);
    let before = [fleet.run(&run), fleet.run(&other)];
    let mut pool = fleet.pool("sleep,noop").start();

    // Each byte of a good message, flipped in three ways. What still names the run's first step would begin it, as the
    // message itself does, so those are counted and not sent.
    let (mut sent, mut good, mut elsewhere) = (0, 0, 0);
    let ours = Envelope::parse(&message).expect("a good message");
    // Whoever changes what trace it belongs to changes nothing else.
    let trace = message.find("traceparent").unwrap_or(message.len())..message.len();
    for at in 0..message.len() {
        for mask in [0x01, 0x20, 0x80] {
            let mut bytes = message.clone().into_bytes();
            bytes[at] ^= mask;
            let body = String::from_utf8_lossy(&bytes).into_owned();
            match Envelope::parse(&body) {
                Ok(hint) if hint.run == ours.run && hint.step == ours.step && hint.after == ours.after => {
                    good += 1;
                    elsewhere += usize::from(!trace.contains(&at));
                }
                _ => {
                    fleet.send("sleep", &body);
                    sent += 1;
                }
            }
        }
    }
    println!("{sent} forged messages sent, {good} left out that still say the same");
    assert_eq!(sent + good, 3 * message.len());
    assert!(elsewhere < sent / 10, "{sent} sent, {good} not");
    // Another pipeline's: the step of one run under the name of the other, in its queue and in a third one's.
    let swapped = message.replace(run.as_str(), other.as_str());
    assert_ne!(swapped, message);
    for queue in ["sleep", "noop"] {
        fleet.send(queue, &swapped);
        fleet.send(queue, &of_other.replace(other.as_str(), run.as_str()));
    }
    // Its second step, before the first is committed, with every predecessor that somebody might think of.
    for after in [
        "",
        r#","after":"first""#,
        r#","after":"second""#,
        r#","after":"only""#,
    ] {
        fleet.send(
            "noop",
            &format!(r#"{{"version":"1","run":"{run}","step":"second"{after}}}"#),
        );
    }
    // In another stage's queue, the message is nobody's work.
    fleet.send("noop", &message);
    for queue in ["sleep", "noop"] {
        fleet.wait_until_empty(queue);
    }
    let unclaimed = |item: &RunItem| item.steps.values().all(|step| step.attempt == 0);
    let after = [fleet.run(&run), fleet.run(&other)];
    assert!(after.iter().all(unclaimed), "{}", fleet.told());
    assert_eq!(after, before, "no forged message changed a run");
    for letter in ["sleep", "noop"]
        .iter()
        .flat_map(|queue| fleet.dead_letters(queue))
    {
        assert!(!letter.reason.is_empty(), "{letter:?}");
    }

    // The message itself still does what it says, once; and after the run's end, nothing.
    fleet.send("sleep", &message);
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    for _ in 0..20 {
        fleet.send("sleep", &message);
        fleet.send(
            "noop",
            &format!(r#"{{"version":"1","run":"{run}","step":"second","after":"first"}}"#),
        );
    }
    for queue in ["sleep", "noop"] {
        fleet.wait_until_empty(queue);
    }
    assert_eq!(fleet.run(&run), ended, "a replay changes nothing");
    fleet.assert_committed_once(&run);
    fleet.assert_whole(&run);
    assert_eq!(pool.ended(), None);
    assert!(!pool.output().has("panicked"), "{}", fleet.told());
}

/// A pipeline that others post to, with few places.
fn quota(name: &str) -> String {
    format!(
        "pipeline = \"{name}\"\n[[steps]]\nstage = \"sleep\"\nparams = {{ ms = 100 }}\n[intake]\nmax_open = 2\n"
    )
}

fn request(pipeline: &str, key: &str) -> String {
    format!(r#"{{"version":"1","pipeline":"{pipeline}","key":"{key}"}}"#)
}

/// How long one run after the other of `b` takes from its request to its end: the shortest first.
fn runs_of_b(fleet: &Fleet, round: &str) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in 0..21 {
        let run = RunId::new(format!("b-{round}-{n}")).expect("valid");
        let watch = Stopwatch::start();
        fleet.send("intake", &request("b", run.as_str()));
        let ended = || {
            let found = fleet.block_on(fleet.backend().runs.load(&run)).ok().flatten();
            found.filter(|run| run.status == RunStatus::Succeeded)
        };
        wait_for("a run of b", || fleet.told(), ended);
        took.push(watch.elapsed());
    }
    took.sort();
    took
}

/// A flood of one pipeline's requests waits for that pipeline's places, and mostly not before the other's.
#[test]
fn t12_a_flood_of_one_pipeline_does_not_hold_up_another() {
    let fleet = Fleet::new();
    for name in ["a", "b"] {
        let spec = fleet.write_spec(&quota(name));
        fleet
            .producer(&["pipelines", "apply", &spec.to_string_lossy()])
            .expect_code(0);
    }
    let _intake = fleet.intake().start();
    let _pool = fleet.pool("sleep").start();
    let alone = runs_of_b(&fleet, "alone");
    for n in 0..200 {
        fleet.send("intake", &request("a", &format!("a-{n}")));
    }
    // Until the flood has been looked at once: before, requests of both wait in one queue, in the order of their coming.
    let watch = Stopwatch::start();
    wait_for(
        "the flood waits",
        || fleet.told(),
        || (fleet.depth("intake").visible == 0).then_some(()),
    );
    println!("200 requests of a were looked at within {watch}");
    let flooded = runs_of_b(&fleet, "flooded");
    let waiting = fleet.depth("intake");
    println!(
        "a run of b: {:.0?}, at most {:.0?} alone; {:.0?}, at most {:.0?} beside the flood, {waiting:?}",
        alone[10], alone[20], flooded[10], flooded[20]
    );
    assert!(
        waiting.delayed + waiting.visible + waiting.in_flight > 40,
        "the flood is still there: {waiting:?}"
    );
    // Of the longest one nothing is promised: it may meet all of the flood on another look at its places.
    // And of the usual one no pace, on a machine that others share: behind the flood it would take minutes.
    assert!(
        flooded[10] < 4 * alone[10].max(Duration::from_millis(500)),
        "{alone:?} and {flooded:?}"
    );
}
