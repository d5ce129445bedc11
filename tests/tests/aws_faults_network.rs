//! What networks do to requests, to every operation that workers and people use: the run ends right, nothing is lost and
//! nothing is done twice.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::harness::{Emulator, Fleet, Proxy, Rule, Trouble, everything, side_by_side};
use pipeline::RunStatus;

/// What its workers ask. `GetQueueUrl` and others are asked once by each process.
const OPERATIONS: [&str; 17] = [
    "ReceiveMessage",
    "SendMessageBatch",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "GetQueueUrl",
    "GetQueueAttributes",
    "UpdateItem",
    "GetItem",
    "PutItem",
    "Query",
    "TransactWriteItems",
    "PutObject",
    "GetObject",
    "HeadObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
];

fn rules(operations: &[&'static str], trouble: Trouble, pass: usize) -> Vec<Rule> {
    let rule = |operation: &&'static str| Rule {
        operation: Some(operation),
        pass,
        every: 1,
        times: 1,
        trouble,
    };
    operations.iter().map(rule).collect()
}

/// Runs the specification with a pool behind the proxy, and looks at everything that it left.
fn run_right(trouble: Trouble, operations: &[&'static str], pass: usize, lease: &str) -> Proxy {
    let fleet = Fleet::on_aws();
    let proxy = Proxy::before(Emulator::shared().address(), rules(operations, trouble, pass));
    let _pool = fleet
        .pool(everything::STAGES)
        .through(&proxy.endpoint())
        .with(&[
            "--classes",
            "standard",
            "--lease",
            lease,
            "--sweep-interval",
            "2s",
        ])
        .start();
    let run = fleet.submit(everything::SPEC);
    fleet.assert_everything_right(&[run]);
    proxy
}

/// Each operation's first request has the trouble in one run, the third one in another.
fn every_operation(trouble: Trouble, lease: &str) {
    side_by_side(2, vec![0, 2], |pass| {
        let proxy = run_right(trouble, &OPERATIONS, pass, lease);
        let troubled: BTreeSet<String> = proxy.troubled().into_iter().map(|(name, _)| name).collect();
        let seen = proxy.seen();
        for operation in OPERATIONS {
            let is_often_enough = seen.get(operation).copied().unwrap_or(0) > pass;
            assert!(pass > 0 || is_often_enough, "{operation} was not asked: {seen:?}");
            assert_eq!(
                troubled.contains(operation),
                is_often_enough,
                "{operation}: {seen:?}, {troubled:?}"
            );
        }
        println!(
            "{trouble:?} from request {pass}: {} requests had it",
            proxy.troubled().len()
        );
    });
}

#[test]
fn late_requests() {
    every_operation(Trouble::Latency(Duration::from_millis(1500)), "6s");
}

#[test]
fn reset_connections() {
    every_operation(Trouble::Reset, "6s");
}

#[test]
fn connections_that_are_half_closed() {
    every_operation(Trouble::HalfClose, "6s");
}

#[test]
fn answers_that_are_lost_after_the_deed() {
    every_operation(Trouble::DropAnswer, "6s");
}

#[test]
fn answers_that_are_cut() {
    every_operation(Trouble::CutAnswer, "6s");
}

/// Each is given up after its own time and asked again, so these are shared out among several runs. Not the upload of a large
/// part: it has minutes, because lines may be slow.
#[test]
fn requests_that_nobody_answers() {
    let operations: Vec<&str> = OPERATIONS.into_iter().filter(|o| *o != "UploadPart").collect();
    let parts: Vec<&[&str]> = operations.chunks(3).collect();
    side_by_side(parts.len(), parts, |operations| {
        let proxy = run_right(Trouble::BlackHole, operations, 0, "15s");
        assert_eq!(proxy.troubled().len(), operations.len(), "{:?}", proxy.troubled());
    });
}

/// What people do, each with a request of every kind lost after the deed.
#[test]
fn commands_of_people_go_on() {
    for trouble in [Trouble::Reset, Trouble::DropAnswer, Trouble::CutAnswer] {
        let fleet = Fleet::on_aws();
        let through = |arguments: &[&str]| {
            let every_one = Rule {
                operation: None,
                pass: 0,
                every: 1,
                times: 1,
                trouble,
            };
            let proxy = Proxy::before(Emulator::shared().address(), vec![every_one]);
            let said = fleet.producer_through(&proxy.endpoint(), arguments);
            assert!(!proxy.troubled().is_empty(), "{arguments:?} asked nothing");
            said.expect_code(0)
        };
        let spec = fleet.write_spec("pipeline = \"p\"\n[[steps]]\nstage = \"noop\"\n");
        let spec = spec.to_string_lossy();
        through(&["setup", "--test-stages"]);
        let run = through(&["submit", &spec, "--key", "k", "--json"]).json()["run"].clone();
        let run = run.as_str().unwrap_or_default();
        fleet.send("noop", "no message of ours");
        through(&["pause", "noop"]);
        through(&["unpause", "noop"]);
        let _pool = fleet.pool("noop").with(&["--classes", "standard"]).start();
        let run = pipeline::RunId::new(run).expect("a run's id");
        fleet.wait_for_end(&run, RunStatus::Succeeded);
        through(&["show", run.as_str()]);
        through(&["list"]);
        through(&["logs", run.as_str()]);
        fleet.wait_until_empty("noop");
        let letters = through(&["dead-letters", "list", "--queue", "noop", "--json"]).json();
        // What was received and lost is hidden for half a minute.
        assert!(
            trouble != Trouble::Reset || letters.to_string().contains("no message of ours"),
            "{letters}"
        );
    }
}

/// What upstream systems post becomes runs, each once, and one at a time where the pipeline says so, whichever of the
/// intake's requests is lost, before or after the deed. Not its receives: what such a one took comes again after minutes.
#[test]
fn what_is_posted_becomes_runs_once() {
    const ASKED: [&str; 7] = [
        "GetItem",
        "PutItem",
        "UpdateItem",
        "PutObject",
        "HeadObject",
        "SendMessageBatch",
        "DeleteMessageBatch",
    ];
    let troubles = vec![Trouble::Reset, Trouble::DropAnswer, Trouble::CutAnswer];
    side_by_side(3, troubles, |trouble| {
        let fleet = Fleet::on_aws();
        let spec = "pipeline = \"posted\"\n[[steps]]\nstage = \"noop\"\n[intake]\nmax_open = 1\n";
        let spec = fleet.write_spec(spec);
        fleet
            .producer(&["pipelines", "apply", &spec.to_string_lossy()])
            .expect_code(0);
        for key in ["a", "a", "b", "a", "b"] {
            let body = format!(r#"{{"version":"1","pipeline":"posted","key":"{key}"}}"#);
            fleet.send("intake", &body);
        }
        // Every second one, so that the first try of what is asked again and again is among them.
        let rules = rules(&ASKED, trouble, 0).into_iter().map(|rule| Rule {
            every: 2,
            times: 6,
            ..rule
        });
        let proxy = Proxy::before(Emulator::shared().address(), rules.collect());
        let _intake = fleet.intake().through(&proxy.endpoint()).start();
        let _pool = fleet.pool("noop").start();
        for key in ["a", "b"] {
            let run = pipeline::RunId::new(key).expect("a run's id");
            fleet.wait_for_run(&run);
            let run = fleet.wait_for_end(&run, RunStatus::Succeeded);
            assert!(run.steps.values().all(|step| step.attempt == 1), "{run:?}");
        }
        fleet.wait_until_empty("intake");
        assert_eq!(fleet.depth("intake").dead, 0);
        let page = fleet.block_on(fleet.backend().runs.list(&Default::default(), None, 100));
        assert_eq!(page.expect("listed").runs.len(), 2);
        let troubled: BTreeSet<String> = proxy.troubled().into_iter().map(|(name, _)| name).collect();
        println!(
            "{trouble:?}: {} requests, of {troubled:?}",
            proxy.troubled().len()
        );
        let asked: BTreeSet<String> = proxy.seen().into_keys().collect();
        for operation in ASKED {
            assert_eq!(
                troubled.contains(operation),
                asked.contains(operation),
                "{operation}"
            );
        }
        assert!(troubled.len() >= 5, "{asked:?}");
    });
}
