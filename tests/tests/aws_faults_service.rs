//! What AWS itself does to requests: it throttles, fails and is away for a while, in its own words.

use std::collections::BTreeMap;

use e2e::harness::{Emulator, Fleet, Pool, Proxy, Rule, Trouble, everything, operations, side_by_side};
use pipeline::RunId;

/// Runs several at a time; each ends right. How many requests the workers say to have had that outcome.
fn all_succeed(fleet: &Fleet, endpoint: &str, outcome: &str) -> f64 {
    let pools: Vec<Pool> = (0..2)
        .map(|_| {
            fleet
                .pool(everything::STAGES)
                .through(endpoint)
                .with(&["--classes", "standard", "--lease", "6s", "--sweep-interval", "2s"])
                .start()
        })
        .collect();
    let runs: Vec<RunId> = (0..3).map(|_| fleet.submit(everything::SPEC)).collect();
    fleet.assert_everything_right(&runs);
    let told = |pool: &Pool| {
        let metrics = pool.get("/metrics");
        metrics.sum("fleetline_backend_requests_total", &[("outcome", outcome)])
    };
    pools.iter().map(told).sum()
}

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
    let scenarios: Vec<(&[&str], u16, &str, &str)> = vec![
        (
            &operations::DYNAMODB,
            400,
            "ProvisionedThroughputExceededException",
            "throttled",
        ),
        (&operations::DYNAMODB, 500, "InternalServerError", "unavailable"),
        (&operations::SQS, 400, "RequestThrottled", "throttled"),
        (&operations::SQS, 503, "ServiceUnavailable", "unavailable"),
        (&operations::S3, 503, "SlowDown", "throttled"),
        (&operations::S3, 500, "InternalError", "unavailable"),
    ];
    side_by_side(2, scenarios, |(operations, status, code, outcome)| {
        let fleet = Fleet::on_aws();
        let proxy = refusing(operations, status, code);
        let told = all_succeed(&fleet, &proxy.endpoint(), outcome);
        let mut refused = BTreeMap::<String, usize>::new();
        for (operation, _) in proxy.troubled() {
            *refused.entry(operation).or_default() += 1;
        }
        println!("{status} {code}: {refused:?}, {told} of them told as {outcome}");
        assert_eq!(refused.len(), operations.len(), "each was refused: {refused:?}");
        assert!(
            told >= operations.len() as f64,
            "the metric tells {told} {outcome}"
        );
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
    let told = all_succeed(&fleet, &proxy.endpoint(), "throttled");
    assert_eq!(proxy.troubled().len(), TIMES);
    assert_eq!(told, TIMES as f64, "the metric tells each");
}
