//! Lives of a fleet of the real worker, over simulated queues, stores, clocks and tasks: see `tests/src/bin/simulate`.

use e2e::harness::report_of;
use serde_json::Value;

/// How many seeds: about four minutes of two cores, in the build that tests are.
const SEEDS: u64 = 28_000;
/// How many runs they are at least.
const RUNS: u64 = 100_000;
/// How many of them live twice.
const TWICE: u64 = 200;

fn simulate(arguments: &[&str]) -> Value {
    report_of(env!("CARGO_BIN_EXE_simulate"), arguments)
}

/// And everything that may go wrong did, at every call: what was never drawn is not shown to be harmless.
#[test]
fn no_life_breaks_an_invariant() {
    let report = simulate(&["--runs", &SEEDS.to_string()]);
    assert_eq!(report["seeds"], SEEDS);
    assert_eq!(report["violations"], Value::Array(Vec::new()), "{report:#}");
    assert_eq!(report["never_drawn"], Value::Array(Vec::new()), "{report:#}");
    let mut runs = 0;
    for status in ["SUCCEEDED", "HALTED", "FAILED", "CANCELLED"] {
        let ended = report["runs"][status].as_u64().unwrap_or(0);
        assert!(ended > SEEDS / 20, "only {ended} runs are {status}: {report:#}");
        runs += ended;
    }
    assert!(runs >= RUNS, "only {runs} runs");
    assert_eq!(report["runs"].get("OPEN"), None, "{report:#}");
    println!("{report:#}");
}

/// Otherwise no seed could be replayed.
#[test]
fn equal_seeds_live_equal_lives() {
    simulate(&["--runs", &TWICE.to_string(), "--from", "1000000", "--twice"]);
    let hash = || simulate(&["--runs", "20", "--threads", "1"])["hash"].clone();
    assert_eq!(hash(), hash(), "also in another process");
}

/// What a fault replaces stands in the code exactly once: otherwise `make planted` could not plant it, and would say so too late.
#[test]
fn every_planted_fault_has_its_place() {
    let file = e2e::repository().join("tests/planted.toml");
    let faults: toml::Table = std::fs::read_to_string(file)
        .expect("it is there")
        .parse()
        .expect("it is TOML");
    let faults = faults["fault"].as_array().expect("a list of faults");
    assert!(faults.len() >= 10, "only {}", faults.len());
    for fault in faults {
        for change in fault["changes"].as_array().expect("a list of changes") {
            let text = |key: &str| change[key].as_str().expect("a text");
            let code = std::fs::read_to_string(e2e::repository().join(text("file"))).expect("code");
            assert_eq!(
                code.matches(text("of")).count(),
                1,
                "{} in {}",
                fault["name"],
                text("file")
            );
        }
    }
}
