//! The examples, as a new user runs them: from raw CSV files to a promoted, explained model.

use e2e::harness::{Fleet, RunReport};
use e2e::repository;

fn run(fleet: &Fleet, example: &str) -> RunReport {
    let path = repository().join("examples").join(example);
    let said = fleet
        .worker(&["run", &path.to_string_lossy(), "--json"])
        .expect_code(0);
    let report = said.report();
    println!("{}", report.0);
    assert_eq!(report.text("status"), "SUCCEEDED");
    report
}

const STEPS: [&str; 7] = [
    "extract",
    "validate",
    "transform",
    "train",
    "evaluate",
    "explain",
    "deploy",
];

#[test]
fn late_flights_split_by_time() {
    let fleet = Fleet::new();
    let report = run(&fleet, "flights/pipeline.toml");
    for name in STEPS {
        let step = report.step(name);
        assert_eq!(step["state"], "COMMITTED", "{step}");
        let attempts = if name == "train" { 2 } else { 1 };
        assert_eq!(step["attempts"], attempts, "{step}");
        assert_eq!(step["cached"], false, "{step}");
        assert!(step["seconds"].as_f64().is_some_and(|s| s > 0.0), "{step}");
        assert!(
            step["peak_memory_bytes"].as_u64().is_some_and(|b| b > 1 << 20),
            "{step}"
        );
    }
    assert!(report.on_test("boosting", "auc") >= 0.675, "{report:?}");
    assert!(report.on_test("linear", "auc") >= 0.65, "{report:?}");
    let model = &report.0["model"];
    assert_eq!(
        (&model["name"], &model["promoted"]),
        (&"flights".into(), &true.into())
    );
    assert_eq!(model["version"], report.0["run"]);
    assert!(model["reason"].as_str().is_some_and(|r| !r.is_empty()), "{model}");
    for at in report.0["reports"].as_array().expect("reports") {
        let path = at["path"].as_str().unwrap_or_default();
        let page = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(
            page.contains("<svg") && page.contains("Content-Security-Policy"),
            "{path}"
        );
    }

    // A second run takes what did not change from the cache, and meets the first run's model.
    let again = run(&fleet, "flights/pipeline.toml");
    for name in ["extract", "transform", "train"] {
        assert_eq!(again.step(name)["cached"], true, "{}", again.step(name));
    }
    let why = again.step("evaluate")["cache"].as_str().unwrap_or_default();
    assert!(why.contains("model changed"), "the champion is another: {why}");
    assert!(
        again.0["model"]["reason"]
            .as_str()
            .is_some_and(|r| r.contains("champion"))
    );
}

#[test]
fn late_flights_split_at_random() {
    let report = run(&Fleet::new(), "flights/random-split.toml");
    assert!(report.on_test("boosting", "auc") >= 0.785, "{report:?}");
    assert!(report.on_test("linear", "auc") >= 0.700, "{report:?}");
}

#[test]
fn species_of_penguins() {
    let fleet = Fleet::new();
    let report = run(&fleet, "penguins/pipeline.toml");
    assert!(report.on_test("linear", "accuracy") >= 0.95, "{report:?}");
    assert!(report.on_test("boosting", "accuracy") >= 0.95, "{report:?}");
}
