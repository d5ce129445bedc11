//! Messages that no run can absorb: each becomes a dead letter with a reason, or is acknowledged where that is right,
//! and the pool goes on.

use e2e::harness::{Fleet, wait_for};
use pipeline::{RunId, RunStatus};

const SPEC: &str = r#"
pipeline = "good"
[[steps]]
step = "split"
stage = "fan-out"
params = { branches = 2 }
[[steps]]
step = "part"
stage = "noop"
branches = "from-predecessor"
params = { write_bytes = 100 }
[[steps]]
step = "nap"
stage = "sleep"
params = { ms = 200 }
[[steps]]
step = "join"
stage = "noop"
params = { write_bytes = 100 }
"#;

/// What becomes of a message.
enum Fate {
    /// A dead letter, whose reason says this.
    Buried(&'static str),
    /// Gone: there was nothing to do about it.
    Acknowledged,
}

fn about(run: &RunId, rest: &str) -> String {
    format!(r#"{{"version":"1","run":"{run}",{rest}}}"#)
}

#[test]
fn t01_each_bad_message_has_its_reason_and_the_pool_goes_on() {
    use Fate::{Acknowledged, Buried};
    let fleet = Fleet::new();
    let mut pool = fleet.pool("fan-out,noop,sleep").start();
    let ended = fleet.submit(SPEC);
    let ended_item = fleet.wait_for_end(&ended, RunStatus::Succeeded);
    // An open run whose steps nobody has reached: its own message is kept away from the workers.
    let open = open_run(&fleet);
    let open_item = fleet.run(&open);

    let part = r#""step":"part","after":"split""#;
    let messages = [
        ("hello".to_owned(), Buried("not a JSON object")),
        ("[1,2,3]".to_owned(), Buried("not a JSON object")),
        (format!("{{{}", " ".repeat(5000)), Buried("5001 bytes")),
        (
            r#"{"version":"2","run":"r","step":"s"}"#.to_owned(),
            Buried(r#"version "2""#),
        ),
        (
            about(&open, r#""step":"part","priority":3"#),
            Buried("unknown field `priority`"),
        ),
        (about(&open, r#""step":7"#), Buried("malformed")),
        (
            r#"{"version":"1","run":"../../etc","step":"s"}"#.to_owned(),
            Buried("run id"),
        ),
        (
            r#"{"version":"1","run":"nobody","step":"part"}"#.to_owned(),
            Buried("there is no run nobody"),
        ),
        (
            r#"{"version":"1","run":"nobody","step":"part","branch":0}"#.to_owned(),
            Buried("there is no run nobody"),
        ),
        (about(&open, r#""step":"nowhere""#), Buried("has no step nowhere")),
        (
            about(&open, r#""step":"nowhere","branch":1"#),
            Buried("has no step nowhere"),
        ),
        (about(&open, part), Buried("names no branch")),
        (
            about(&open, r#""step":"join","after":"nap","branch":0"#),
            Buried("has no branches"),
        ),
        // It ended: there is nothing to do, and nothing to be sorry for.
        (about(&ended, r#""step":"join","after":"nap""#), Acknowledged),
        (about(&ended, &format!(r#"{part},"branch":0"#)), Acknowledged),
        // Its predecessor is not committed yet: the right message will be sent then.
        (about(&open, r#""step":"join","after":"nap""#), Acknowledged),
        (about(&open, r#""step":"join","after":"split""#), Acknowledged),
        (about(&open, r#""step":"join""#), Acknowledged),
        // It is another stage's work.
        (about(&open, r#""step":"split""#), Acknowledged),
    ];
    let mut letters = 0;
    for (body, fate) in messages {
        let shown: String = body.chars().take(90).collect();
        fleet.send("noop", &body);
        if matches!(fate, Buried(_)) {
            letters += 1;
        }
        let is_answered = || {
            let depth = fleet.depth("noop");
            (depth.visible + depth.in_flight + depth.delayed == 0).then(|| fleet.dead_letters("noop"))
        };
        let (dead, took) = wait_for(&shown, || fleet.told(), is_answered);
        assert_eq!(dead.len(), letters, "{shown}\n{}", fleet.told());
        match fate {
            Buried(reason) => {
                let letter = dead.last().expect("there is one");
                println!("{shown} -> dead letter after {took:.0?}: {}", letter.reason);
                assert!(letter.reason.contains(reason), "{shown}: {}", letter.reason);
                assert_eq!(letter.body, body, "it is kept as it came");
            }
            Acknowledged => println!("{shown} -> acknowledged after {took:.0?}"),
        }
    }
    assert_eq!(fleet.run(&ended), ended_item, "a run that ended is not touched");
    assert_eq!(fleet.run(&open), open_item, "no message changed the open run");

    assert_eq!(pool.ended(), None);
    let next = fleet.submit(SPEC);
    fleet.wait_for_end(&next, RunStatus::Succeeded);
    fleet.assert_whole(&next);
    assert!(!pool.output().has("panicked"), "{}", fleet.told());
}

/// A run whose first message was taken out of its queue, so that it stays as it is.
fn open_run(fleet: &Fleet) -> RunId {
    fleet.producer(&["pause", "fan-out"]).expect_code(0);
    // What a pool received before it knew of the pause, it gives back.
    let paused = r#"paused stages changed"#;
    wait_for(
        "the pause",
        || fleet.told(),
        || fleet.told().contains(paused).then_some(()),
    );
    let open = fleet.submit(SPEC);
    fleet.steal("fan-out", 1);
    fleet.producer(&["unpause", "fan-out"]).expect_code(0);
    open
}

#[test]
fn t01_a_branch_that_there_is_not_is_refused() {
    let fleet = Fleet::new();
    let run = fleet.submit(SPEC);
    let pool = fleet.pool("fan-out").start();
    fleet.wait_until(&run, "it is fanned out", |run| {
        run.frontier().is_some_and(|(name, _)| name.as_str() == "part")
    });
    fleet.wait_until_empty("fan-out");
    drop(pool);
    fleet.send(
        "noop",
        &about(&run, r#""step":"part","after":"split","branch":2"#),
    );
    fleet.send(
        "noop",
        &about(&run, r#""step":"part","after":"split","branch":4294967295"#),
    );
    let _pool = fleet.pool("noop,sleep").start();
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    fleet.wait_until_empty("noop");
    let reasons: Vec<String> = fleet
        .dead_letters("noop")
        .into_iter()
        .map(|letter| letter.reason)
        .collect();
    println!("{reasons:#?}");
    assert_eq!(reasons.len(), 2);
    assert!(
        reasons
            .iter()
            .all(|reason| reason.contains("has 2 branches and no branch"))
    );
    fleet.assert_whole(&run);
}

#[test]
fn a_dead_letter_can_be_redriven() {
    let fleet = Fleet::new();
    let _pool = fleet.pool("noop").start();
    let spec = "pipeline = \"late\"\n[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 100 }\n";
    // The message comes before its run is there: as if somebody restored a queue before a table.
    fleet.send("noop", r#"{"version":"1","run":"late","step":"noop"}"#);
    let buried = || fleet.dead_letters("noop").pop();
    let (letter, _) = wait_for("the dead letter", || fleet.told(), buried);
    println!("dead letter {}: {}", letter.id.0, letter.reason);
    fleet.producer(&["pause", "noop"]).expect_code(0);
    wait_for(
        "the pause",
        || fleet.told(),
        || fleet.told().contains("paused stages changed").then_some(()),
    );
    let run = RunId::new("late").expect("valid");
    fleet.submit_with(spec, &["--key", "late"]).expect_code(0);
    println!("the run's own message is lost: {:?}", fleet.steal("noop", 1));
    fleet.producer(&["unpause", "noop"]).expect_code(0);

    let said = fleet
        .producer(&["dead-letters", "redrive", "--all", "--queue", "noop"])
        .expect_code(0);
    println!("redriven: {}{}", said.stdout.trim(), said.stderr.trim());
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert!(fleet.dead_letters("noop").is_empty());
    fleet.assert_whole(&run);
}
