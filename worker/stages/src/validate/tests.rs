//! The stage as a whole, on small splits.

use std::collections::BTreeSet;

use ml::dataset::{Column as DatasetColumn, ColumnType, Dataset, Role, SplitRows, Task};
use ml::statistics;
use pipeline::artifact::Manifest;
use pipeline::registry::ModelVersion;
use pipeline::spec::stages::OnFailure;
use pipeline::stage::{Committed, FoundModel};
use pipeline::{RunId, StepName, Timestamp};
use polars::prelude::*;

use super::report::{MAX_EXAMPLES, Report};
use super::*;
use crate::testing::{Bench, manifest};

mod champions;

/// A stage whose splits have 40, 10 and 10 rows; row i of all has id i and x = i, and texts a, b, c in turn.
struct Case {
    bench: Bench,
}

fn parquet(mut frame: DataFrame) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = folder.path().join("x");
    ml::frame::write(&path, &mut frame).expect("writes");
    std::fs::read(&path).expect("reads")
}

fn rows(from: i64, to: i64, change: &dyn Fn(i64) -> (Option<f64>, Option<String>)) -> DataFrame {
    let ids: Vec<i64> = (from..to).collect();
    let (x, t): (Vec<_>, Vec<_>) = ids.iter().map(|i| change(*i)).unzip();
    let late: Vec<bool> = ids.iter().map(|i| i % 2 == 0).collect();
    df!("id" => ids, "x" => x, "t" => t, "late" => late).expect("a frame")
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn plain(i: i64) -> (Option<f64>, Option<String>) {
    (Some(i as f64), Some(["a", "b", "c"][(i % 3) as usize].to_owned()))
}

fn column(name: &str, kind: ColumnType, role: Role) -> DatasetColumn {
    DatasetColumn {
        name: name.to_owned(),
        kind,
        role,
    }
}

fn dataset() -> Dataset {
    Dataset {
        label: "late".into(),
        task: Task::Binary,
        classes: vec!["false".into(), "true".into()],
        columns: vec![
            column("id", ColumnType::Integer, Role::Key),
            column("x", ColumnType::Float, Role::Feature),
            column("t", ColumnType::Text, Role::Feature),
            column("late", ColumnType::Boolean, Role::Label),
        ],
        rows: SplitRows {
            train: 40,
            validation: 10,
            test: 10,
        },
    }
}

impl Case {
    fn new(params: &str) -> Self {
        Self::with(params, &plain)
    }

    fn with(params: &str, change: &dyn Fn(i64) -> (Option<f64>, Option<String>)) -> Self {
        let mut bench = Bench::new(&format!(
            "[[steps]]\nstage = \"extract\"\nparams = {{ label = \"late\", sources = {{ data = \"a.csv\" }} }}\n[[steps]]\nstage = \"validate\"\n[steps.params]\n{params}\n"
        ));
        let parts = [
            ("train.parquet", 0, 40),
            ("validation.parquet", 40, 50),
            ("test.parquet", 50, 60),
        ];
        let mut files: Vec<(&str, Vec<u8>)> = parts
            .iter()
            .map(|(name, from, to)| (*name, parquet(rows(*from, *to, change))))
            .collect();
        let dataset = dataset();
        let train = rows(0, 40, change);
        let described = statistics::describe(&train, &dataset.columns, &BTreeSet::new()).expect("describes");
        files.push((flow::DATASET, serde_json::to_vec(&dataset).expect("writes")));
        files.push((flow::STATISTICS, serde_json::to_vec(&described).expect("writes")));
        let named: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (*name, bytes.as_slice()))
            .collect();
        bench.commit("extract", Committed::One(manifest("extract", 0, 1, &named)));
        for (name, bytes) in &named {
            bench.input(&format!("extract/{name}"), bytes);
        }
        Self { bench }
    }

    fn champion(mut self, signature: &str, statistics: Option<&Statistics>) -> Self {
        let mut files = vec![("signature.json", signature.as_bytes().to_vec())];
        files.extend(statistics.map(|s| (flow::STATISTICS, serde_json::to_vec(s).expect("writes"))));
        let named: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (*name, bytes.as_slice()))
            .collect();
        let package: Manifest = manifest("deploy", 0, 1, &named);
        self.bench.assignment.found.model = Some(FoundModel {
            model: pipeline::id::ModelName::new("m").expect("valid"),
            alias: pipeline::id::AliasName::new("champion").expect("valid"),
            revision: 1,
            version: Some(ModelVersion {
                model: pipeline::id::ModelName::new("m").expect("valid"),
                run: RunId::new("before").expect("valid"),
                package,
                registered_at: Timestamp(0),
            }),
        });
        for read in champion::reads(&self.bench.assignment) {
            let (_, bytes) = named
                .iter()
                .find(|(name, _)| read.path.ends_with(name))
                .expect("reads what there is");
            self.bench.input(&read.path.display().to_string(), bytes);
        }
        self
    }

    /// What extract left out.
    fn notes(&mut self, bytes: &[u8]) {
        let step = StepName::new("extract").expect("valid");
        let Some(Committed::One(manifest)) = self.bench.assignment.committed.get_mut(&step) else {
            panic!("extract is committed")
        };
        let noted = crate::testing::manifest("extract", 0, 1, &[("left-out.json", bytes)]);
        manifest.artifacts.extend(noted.artifacts);
        self.bench.input("extract/left-out.json", bytes);
    }

    fn advances(&self) -> Report {
        assert_eq!(self.bench.run(), Ok(Outcome::Advance));
        let report = self.report();
        assert!(report.passed);
        report
    }

    fn halts(&self) -> String {
        match self.bench.run() {
            Ok(Outcome::Halt { reason }) => {
                assert!(!self.report().passed);
                reason
            }
            other => panic!("{other:?}"),
        }
    }

    fn report(&self) -> Report {
        serde_json::from_slice(&self.bench.output(flow::REPORT_JSON)).expect("reads")
    }

    fn frame(&self, name: &str) -> DataFrame {
        let folder = tempfile::tempdir().expect("makes a folder");
        let path = folder.path().join("x");
        std::fs::write(&path, self.bench.output(name)).expect("writes");
        ml::frame::read(&path, None).expect("reads")
    }
}

#[test]
fn good_data_passes_every_rule() {
    let case = Case::new(
        "rows = { min = 60, max = 60 }\nonly_known_columns = true\n[steps.params.columns]\nid = { type = \"integer\", unique = true }\nx = { type = \"float\", min = 0, max = 59, max_nulls = 0.0 }\nt = { allowed = [\"a\", \"b\", \"c\"], pattern = \"[a-c]\" }\nlate = { type = \"boolean\" }",
    );
    let report = case.advances();
    assert!(
        report
            .rules
            .iter()
            .all(|rule| rule.failed == 0 && rule.checked > 0)
    );
    let ids: Vec<&str> = report.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "id.unique",
            "t.allowed",
            "t.pattern",
            "x.min",
            "x.max",
            "id.type",
            "late.type",
            "x.type",
            "x.max_nulls",
            "rows.min",
            "rows.max",
            "columns.known"
        ]
    );
    assert_eq!(
        case.bench.outputs(),
        2,
        "only the reports: the splits stay extract's"
    );
}

#[test]
fn each_rule_that_is_broken_halts_by_name() {
    let holed = |i: i64| match i % 10 {
        0 => (None, None),
        1 => (Some(f64::NAN), Some("a".to_owned())),
        _ => plain(i),
    };
    for (rule, reason) in [
        (
            "x = { max_nulls = 0.1 }",
            "x.max_nulls (12 of 60 rows have no value, a share of 0.2000; at most 0.1 is allowed)",
        ),
        ("x = { min = 3 }", "x.min (1 of 48 rows)"),
        ("x = { max = 57.5 }", "x.max (2 of 48 rows)"),
        ("x = { allowed = [2, 3] }", "x.allowed (46 of 48 rows)"),
        ("t = { allowed = [\"a\", \"b\"] }", "t.allowed ("),
        ("t = { pattern = \"a|b\" }", "t.pattern ("),
        ("t = { unique = true }", "t.unique (51 of 54 rows)"),
        ("t = { type = \"integer\" }", "t.type (it is text, not integer)"),
        ("tt = { min = 1 }", "tt.exists (there is no such column"),
    ] {
        let case = Case::with(&format!("[steps.params.columns]\n{rule}"), &holed);
        let told = case.halts();
        assert!(
            told.starts_with("1 rule is broken: ") && told.contains(reason),
            "{rule}: {told}"
        );
    }
    let told =
        Case::new("rows = { min = 61 }\nonly_known_columns = true\n[steps.params.columns]\nx = { max = 0 }")
            .halts();
    assert!(
        told.starts_with("3 rules are broken: x.max (59 of 60 rows)"),
        "{told}"
    );
    assert!(
        told.contains("columns.known (no rule knows id, t, late)"),
        "{told}"
    );
}

#[test]
fn examples_name_rows_and_keys() {
    let case = Case::new("[steps.params.columns]\nx = { max = 48, on_failure = \"warn\" }");
    let report = case.advances();
    let rule = report
        .rules
        .iter()
        .find(|rule| rule.id == "x.max")
        .expect("checked");
    assert_eq!((rule.failed, rule.examples.len()), (11, MAX_EXAMPLES));
    assert_eq!(
        (rule.examples[0].split.as_str(), rule.examples[0].row),
        ("validation", 10)
    );
    assert_eq!(rule.examples[0].key["id"], "49");
}

#[test]
fn quarantined_rows_are_put_aside_and_the_rest_goes_on() {
    let case = Case::new(
        "[steps.params.columns]\nx = { max = 55, min = 2, on_failure = \"quarantine\" }\nt = { allowed = [\"a\", \"b\"], on_failure = \"quarantine\" }",
    );
    let report = case.advances();
    // 0 and 1, 56 to 59, and every third.
    let broken: Vec<i64> = (0..60).filter(|i| !(2..=55).contains(i) || i % 3 == 2).collect();
    assert_eq!(report.quarantined, broken.len() as u64);
    let kept: Dataset = serde_json::from_slice(&case.bench.output(flow::DATASET)).expect("reads");
    let left = kept.rows.train + kept.rows.validation + kept.rows.test;
    assert_eq!(left, 60 - broken.len());
    assert_eq!(case.frame("train.parquet").height(), kept.rows.train);
    let quarantine = case.frame(flow::QUARANTINE);
    assert_eq!(quarantine.get_column_names(), ["split", "row", "rule", "key.id"]);
    let ids = quarantine
        .column("key.id")
        .expect("there")
        .unique()
        .expect("counts");
    assert_eq!(ids.len(), broken.len());
}

#[test]
fn t08_private_keys_are_shown_nowhere() {
    let case =
        Case::new("private = [\"id\"]\n[steps.params.columns]\nx = { min = 3, on_failure = \"quarantine\" }");
    case.advances();
    assert_eq!(
        case.frame(flow::QUARANTINE).get_column_names(),
        ["split", "row", "rule"]
    );
    let text = String::from_utf8(case.bench.output(flow::REPORT_JSON)).expect("a text");
    assert!(!text.contains("\"key\""), "{text}");
}

#[test]
fn too_many_quarantined_rows_halt() {
    let told = Case::new("[steps.params.columns]\nx = { max = 39, on_failure = \"quarantine\" }").halts();
    assert!(
        told.contains("all rows of validation would be put aside"),
        "{told}"
    );
    let told = Case::new(
        "rows = { min = 50 }\n[steps.params.columns]\nx = { min = 20, on_failure = \"quarantine\" }",
    )
    .halts();
    assert!(
        told.contains("rows.min (there are 40 rows; at least 50"),
        "{told}"
    );
}

#[test]
fn rules_that_cannot_be_checked_are_refused() {
    for (rule, words) in [
        (
            "t = { pattern = \"(\" }",
            "validate.columns.t.pattern: it is no regular expression",
        ),
        (
            "t = { pattern = \"(a{1000}){1000}\" }",
            "validate.columns.t.pattern: it is no regular expression",
        ),
        ("x = { pattern = \"a\" }", "only texts match patterns"),
        (
            "x = { min = \"2013-11-01\" }",
            "validate.columns.x.min: it does not fit to a column of type float",
        ),
        ("t = { max = 3 }", "validate.columns.t.max"),
    ] {
        match Case::new(&format!("[steps.params.columns]\n{rule}")).bench.run() {
            Err(StageError::Permanent(told)) => assert!(told.contains(words), "{told}"),
            other => panic!("{other:?}"),
        }
    }
}

const SIGNATURE: &str = r#"{"inputs":[{"name":"x","type":"float","nullable":true},{"name":"t","type":"text","nullable":true}],"task":"binary"}"#;

fn described(change: &dyn Fn(i64) -> (Option<f64>, Option<String>)) -> Statistics {
    statistics::describe(&rows(0, 40, change), &dataset().columns, &BTreeSet::new()).expect("describes")
}

#[test]
fn drift_against_the_champion_warns_and_stops() {
    let moved = |i: i64| (plain(i).0.map(|x| x + 30.0), plain(i).1);
    let same = Case::new("")
        .champion(SIGNATURE, Some(&described(&plain)))
        .advances();
    assert_eq!(same.champion.as_deref(), Some("before"));
    assert!(
        same.drift.len() == 3 && same.drift.iter().all(|m| m.severity.is_none()),
        "{:?}",
        same.drift
    );
    let warned = Case::with("", &moved)
        .champion(SIGNATURE, Some(&described(&plain)))
        .advances();
    let x = warned.drift.iter().find(|m| m.column == "x").expect("compared");
    assert!(x.psi > 0.25 && x.severity == Some(OnFailure::Warn), "{x:?}");
    let told = Case::with("drift = { stop = 0.25 }", &moved)
        .champion(SIGNATURE, Some(&described(&plain)))
        .halts();
    assert!(told.contains("x.drift (PSI"), "{told}");
    assert!(!same.skew.is_empty(), "x grows from split to split");
}
