//! What people are told of a run whose stages went on although something was odd.

use std::fmt::Write as _;

use e2e::harness::Fleet;

/// Three hundred rows; `always` never differs, and `age` is below zero in three of them.
fn data() -> String {
    let mut csv = "age,always,late\n".to_owned();
    for row in 0..300 {
        let age = if row % 100 == 7 { -1 } else { (row * 37) % 80 };
        let late = u8::from((age + row % 13) % 3 == 0);
        writeln!(csv, "{age},same,{late}").expect("memory takes it");
    }
    csv
}

const SPEC: &str = r#"
pipeline = "odd"

[data]
source = "odd.csv"
label = "late"

[validate.columns.age]
min = 0
on_failure = "quarantine"

[[candidates]]
model = "linear"
"#;

#[test]
fn warnings_candidates_and_reports_are_told_at_every_door() {
    let fleet = Fleet::new();
    let folder = tempfile::tempdir().expect("makes a folder");
    std::fs::write(folder.path().join("odd.csv"), data()).expect("writes");
    let spec = folder.path().join("odd.toml");
    std::fs::write(&spec, SPEC).expect("writes");
    let spec = spec.to_str().expect("is text");
    let said = fleet
        .worker(&["run", spec, "--key", "odd", "--json"])
        .expect_code(0);
    let told = said.json();
    let texts: Vec<(&str, &str)> = told["warnings"]
        .as_array()
        .expect("there are warnings")
        .iter()
        .map(|w| {
            (
                w["step"].as_str().expect("a step"),
                w["text"].as_str().expect("a text"),
            )
        })
        .collect();
    println!("{texts:#?}");
    let has = |step: &str, part: &str| texts.iter().any(|(s, text)| *s == step && text.contains(part));
    assert!(has("validate", "age.min (3 of 300 rows)"));
    assert!(has("validate", "3 of 300 rows were put aside"));
    assert!(has("transform", "always is left out"));

    let shown = fleet.producer(&["show", "odd", "--json"]).expect_code(0).json();
    for key in ["warnings", "reports", "candidates", "winner", "metric"] {
        assert_eq!(shown[key], told[key], "{key}");
    }
    for command in ["show", "watch"] {
        let said = fleet.producer(&[command, "odd"]).expect_code(0);
        for part in ["always is left out", "put aside", "VALIDATION auc", "report.html"] {
            assert!(said.stdout.contains(part), "{command}: {part} in {}", said.stdout);
        }
    }
    let again = fleet.worker(&["run", spec, "--key", "again"]).expect_code(0);
    assert!(
        again.stdout.contains("WARNING") && again.stdout.contains("put aside"),
        "{again:?}"
    );
}
