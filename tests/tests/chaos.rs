//! Real workers that are killed, frozen and run out of disk while they carry out short runs: see `tests/src/bin/chaos`.

use e2e::harness::report_of;
use serde_json::Value;

fn chaos(arguments: &[&str]) -> Value {
    let report = report_of(env!("CARGO_BIN_EXE_chaos"), arguments);
    println!("{report:#}");
    report
}

/// Of each so many.
#[test]
fn nothing_is_lost_or_doubled_under_fifty_kills() {
    const RUNS: u64 = 500;
    const KILLS: u64 = 50;
    let report = chaos(&["--runs", &RUNS.to_string(), "--kills", &KILLS.to_string()]);
    assert_eq!((&report["lost"], &report["doubled"]), (&0.into(), &0.into()));
    assert_eq!(report["violations"], Value::Array(Vec::new()));
    // Resumptions are runs, too.
    assert!(report["runs"].as_u64() >= Some(RUNS), "{report:#}");
    assert!(report["kills"].as_u64() >= Some(KILLS), "{report:#}");
    assert!(
        report["kills_at_work"].as_u64() >= Some(KILLS / 4),
        "kills that hit nothing show nothing: {report:#}"
    );
    assert!(report["duplicates_removed"].as_u64() > Some(0), "{report:#}");
}

/// Whoever retries, repeats or takes over without need would show here.
#[test]
fn without_a_nemesis_nothing_is_done_twice() {
    let report = chaos(&["--runs", "200", "--kills", "0", "--lease", "30s"]);
    assert_eq!(report["duplicates_removed"], 0, "{report:#}");
    assert!(report["ended"]["SUCCEEDED"].as_u64() > Some(100), "{report:#}");
}
