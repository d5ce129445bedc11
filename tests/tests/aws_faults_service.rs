//! What AWS itself does to requests: it throttles, fails and is away for a while, in its own words.

use std::collections::BTreeMap;

use e2e::harness::{Emulator, Fleet, Proxy, Rule, Trouble, side_by_side};
use pipeline::{RunId, RunStatus};

const SPEC: &str = r#"
pipeline = "everything"
[[steps]]
step = "split"
stage = "fan-out"
params = { branches = 3 }
[[steps]]
step = "part"
stage = "noop"
branches = "from-predecessor"
params = { write_bytes = 100 }
[[steps]]
step = "join"
stage = "noop"
params = { write_bytes = 100 }
[[steps]]
step = "long"
stage = "sleep"
params = { ms = 2500 }
[[steps]]
step = "last"
stage = "noop"
params = { write_bytes = 10, register = { model = "m" } }
"#;

/// Runs several at a time; each ends right.
fn all_succeed(fleet: &Fleet, endpoint: &str) {
    let _pools: Vec<_> = (0..2)
        .map(|_| {
            fleet
                .pool("noop,fan-out,sleep")
                .through(endpoint)
                .with(&["--classes", "standard", "--lease", "6s", "--sweep-interval", "2s"])
                .start()
        })
        .collect();
    let runs: Vec<RunId> = (0..3).map(|_| fleet.submit(SPEC)).collect();
    for run in &runs {
        fleet.wait_for_end(run, RunStatus::Succeeded);
        fleet.assert_whole(run);
    }
    for queue in ["noop", "fan-out", "sleep"] {
        fleet.wait_until_empty(queue);
        assert_eq!(fleet.depth(queue).dead, 0, "{queue}");
    }
    let model = pipeline::id::ModelName::new("m").expect("a model's name");
    let versions = fleet
        .block_on(fleet.backend().registry.list(&model))
        .expect("versions can be listed");
    assert_eq!(versions.len(), runs.len(), "each registered once: {versions:?}");
}

const DYNAMODB: [&str; 5] = ["UpdateItem", "GetItem", "PutItem", "Query", "TransactWriteItems"];
const SQS: [&str; 4] = [
    "ReceiveMessage",
    "SendMessageBatch",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
];
const S3: [&str; 2] = ["PutObject", "GetObject"];

/// Each of the operations is refused every third time.
fn refusing(operations: &[&'static str], status: u16, code: &'static str) -> Proxy {
    let rule = |operation: &&'static str| Rule {
        operation: Some(operation),
        pass: 0,
        every: 3,
        times: usize::MAX,
        trouble: Trouble::Refusal(status, code),
    };
    Proxy::before(
        Emulator::shared().address(),
        operations.iter().map(rule).collect(),
    )
}

#[test]
fn throttles_and_failures_in_passing() {
    let scenarios: Vec<(&[&str], u16, &str)> = vec![
        (&DYNAMODB, 400, "ProvisionedThroughputExceededException"),
        (&DYNAMODB, 500, "InternalServerError"),
        (&SQS, 400, "RequestThrottled"),
        (&SQS, 503, "ServiceUnavailable"),
        (&S3, 503, "SlowDown"),
        (&S3, 500, "InternalError"),
    ];
    side_by_side(2, scenarios, |(operations, status, code)| {
        let fleet = Fleet::on_aws();
        let proxy = refusing(operations, status, code);
        all_succeed(&fleet, &proxy.endpoint());
        let mut refused = BTreeMap::<String, usize>::new();
        for (operation, _) in proxy.troubled() {
            *refused.entry(operation).or_default() += 1;
        }
        println!("{status} {code}: {refused:?}");
        assert_eq!(refused.len(), operations.len(), "each was refused: {refused:?}");
    });
}

/// For longer than any request is tried again: workers wait and go on, and what they held others take.
#[test]
fn a_table_that_is_throttled_for_a_while() {
    let fleet = Fleet::on_aws();
    const TIMES: usize = 24;
    let rule = Rule {
        operation: Some("UpdateItem"),
        pass: 0,
        every: 1,
        times: TIMES,
        trouble: Trouble::Refusal(400, "ThrottlingException"),
    };
    let proxy = Proxy::before(Emulator::shared().address(), vec![rule]);
    all_succeed(&fleet, &proxy.endpoint());
    assert_eq!(proxy.troubled().len(), TIMES);
}
