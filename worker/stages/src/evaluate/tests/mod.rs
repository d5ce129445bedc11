mod before;

use std::fs;

use ml::features;
use ml::features::store;
use ml::models::Hyperparameters;
use serde_json::{Value, json};

use self::before::{Before, LINEAR, boosting, crown, file};
use super::*;
use crate::flow::DATASET;
use crate::testing::Bench;

fn output(bench: &Bench, name: &str) -> Value {
    serde_json::from_slice(&bench.output(name)).expect("is JSON")
}

fn both() -> [(&'static str, Hyperparameters); 2] {
    [("straight", LINEAR), ("boosted", boosting(40))]
}

#[test]
fn the_best_on_validation_wins_and_everything_is_measured_on_both() {
    let bench = Before::new(Task::Binary, &both())
        .bench("{ slices = [\"place\"], gates = [{ metric = \"auc\", at_least = 0.8 }, { metric = \"brier\", at_most = 0.2, slice = \"south\" }] }");
    assert_eq!(bench.run().expect("evaluates"), Outcome::Advance);
    let evaluation = output(&bench, EVALUATION);
    assert_eq!(evaluation["task"], "binary");
    assert_eq!(evaluation["metric"], "auc");
    assert_eq!(evaluation["winner"], "boosted");
    assert_eq!(evaluation["rows"], json!({ "validation": 400, "test": 500 }));
    let candidates = evaluation["candidates"].as_array().expect("a list");
    for (ordinal, candidate) in candidates.iter().enumerate() {
        assert_eq!(candidate["ordinal"], ordinal);
        for split in ["validation", "test"] {
            assert_eq!(candidate[split].as_object().expect("metrics").len(), 10);
        }
        let (auc, interval) = (&candidate["test"]["auc"], &candidate["intervals"]["auc"]);
        let number = |v: &Value| v.as_f64().expect("a number");
        assert!(number(&interval[0]) < number(auc) && number(auc) < number(&interval[1]));
    }
    let slices = evaluation["slices"].as_array().expect("a list");
    assert_eq!(slices.len(), 3);
    assert_eq!(
        slices
            .iter()
            .map(|s| s["rows"].as_u64().expect("a number"))
            .sum::<u64>(),
        500
    );
    assert!(
        evaluation["curves"]["1"]["roc"]
            .as_array()
            .is_some_and(|roc| roc.len() > 10)
    );
    let verdict = output(&bench, VERDICT);
    assert_eq!(
        verdict["winner"],
        json!({ "name": "boosted", "ordinal": 1, "kind": "boosting" })
    );
    assert_eq!(
        (&verdict["passed"], &verdict["promote"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(verdict["gates"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&verdict["champion"], &verdict["alias_revision"]),
        (&Value::Null, &Value::Null)
    );
    let page = String::from_utf8(bench.output(REPORT_HTML)).expect("is UTF-8");
    for wanted in [
        "<!doctype html>",
        "Leaderboard",
        "ROC",
        "Calibration",
        "by place",
        "brier &lt;= 0.2",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let before = Before::new(Task::Binary, &both());
    let (one, two) = (before.bench("{}"), before.bench("{}"));
    one.run().expect("evaluates");
    two.run().expect("evaluates");
    for name in [EVALUATION, VERDICT, REPORT_HTML] {
        assert!(one.output(name) == two.output(name), "{name}");
    }
}

#[test]
fn other_tasks_have_their_own_metrics_and_figures() {
    for (task, metric, figure) in [
        (Task::Multiclass, "log_loss", "Confusion"),
        (Task::Regression, "rmse", "Residuals"),
    ] {
        let bench = Before::new(task, &both()).bench("{ slices = [\"place\"] }");
        assert_eq!(bench.run().expect("evaluates"), Outcome::Advance);
        let evaluation = output(&bench, EVALUATION);
        assert_eq!(evaluation["metric"], metric);
        assert_eq!(evaluation["winner"], "boosted");
        assert!(evaluation["candidates"][0]["test"][metric].is_number());
        let page = String::from_utf8(bench.output(REPORT_HTML)).expect("is UTF-8");
        assert!(page.contains(figure), "{figure}");
    }
}

#[test]
fn equal_candidates_are_won_by_the_simpler_then_the_first() {
    let before = Before::new(
        Task::Binary,
        &[("one", boosting(5)), ("two", boosting(5)), ("three", LINEAR)],
    );
    let bench = before.bench("{}");
    bench.run().expect("evaluates");
    assert_eq!(output(&bench, VERDICT)["winner"]["name"], "one");
    // By accuracy of a threshold that nothing reaches, all are alike.
    let mut alike = before;
    let (model, _) = alike.candidates[0].clone();
    let kind = |kind: &str, record: &[u8]| {
        let mut record: Value = serde_json::from_slice(record).expect("is JSON");
        record["kind"] = kind.into();
        record.to_string().into_bytes()
    };
    let forest = kind("forest", &alike.candidates[0].1);
    let linear = kind("linear", &alike.candidates[2].1);
    alike.candidates[0].1 = forest;
    alike.candidates[2] = (model, linear);
    let bench = alike.bench("{}");
    bench.run().expect("evaluates");
    assert_eq!(output(&bench, VERDICT)["winner"]["name"], "three");
}

#[test]
fn a_threshold_that_is_not_reached_halts_with_everything_written() {
    let before = Before::new(Task::Binary, &both());
    let bench = before.bench("{ slices = [\"place\"], gates = [{ metric = \"auc\", at_least = 0.9999 }, { metric = \"f1\", at_least = 0.1 }] }");
    let Outcome::Halt { reason } = bench.run().expect("evaluates") else {
        panic!("does not halt");
    };
    assert!(
        reason.contains("auc on test is 0.9") && reason.contains("must be at least 0.9999"),
        "{reason}"
    );
    assert!(!reason.contains("f1"), "{reason}");
    let verdict = output(&bench, VERDICT);
    assert_eq!(
        (&verdict["passed"], &verdict["promote"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(verdict["reason"], reason.as_str());
    assert_eq!(bench.outputs(), 3);
    let nowhere = before
        .bench("{ slices = [\"place\"], gates = [{ metric = \"auc\", at_least = 0.1, slice = \"east\" }] }");
    let Outcome::Halt { reason } = nowhere.run().expect("evaluates") else {
        panic!("does not halt");
    };
    assert!(reason.contains("no row of test is in slice east"), "{reason}");
}

#[test]
fn a_champion_that_is_not_beaten_stays_and_is_no_halt() {
    let strong = Before::new(Task::Binary, &both());
    let weak = Before::new(Task::Binary, &[("straight", LINEAR)]);
    let dataset = serde_json::to_vec(&strong.dataset).expect("is JSON");
    let package = |before: &Before, at: usize| (before.candidates[at].0.clone(), before.program.clone());
    let (model, program) = package(&strong, 1);
    let files: [(&str, &[u8]); 3] = [(MODEL, &model), (PROGRAM, &program), (DATASET, &dataset)];

    let mut bench = weak.bench("{}");
    crown(&mut bench, &files);
    assert_eq!(Evaluate.reads(&bench.assignment).len(), 3 + 2 + 2 + 3);
    assert_eq!(bench.run().expect("evaluates"), Outcome::Advance);
    let verdict = output(&bench, VERDICT);
    assert_eq!(
        (&verdict["passed"], &verdict["promote"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(verdict["alias_revision"], 4);
    assert_eq!(
        verdict["compared"],
        json!({ "model": "test", "alias": "champion" })
    );
    let champion = &verdict["champion"];
    assert_eq!(
        (&champion["version"], &champion["revision"]),
        (&json!("before"), &json!(4))
    );
    let number = |v: &Value| v.as_f64().expect("a number");
    assert!(number(&champion["difference"]) < 0.0);
    assert!(number(&champion["interval"][1]) < 0.0);

    let mut tolerant = weak.bench("{ champion = { tolerance = 0.5 } }");
    crown(&mut tolerant, &files);
    tolerant.run().expect("evaluates");
    assert_eq!(output(&tolerant, VERDICT)["promote"], true);

    let (model, program) = package(&strong, 0);
    let mut beaten = strong.bench("{}");
    crown(&mut beaten, &[(MODEL, &model), (PROGRAM, &program)]);
    beaten.run().expect("evaluates");
    let verdict = output(&beaten, VERDICT);
    assert_eq!(verdict["promote"], true);
    // The champion's own program on the raw rows gives what the features gave.
    let evaluation = output(&beaten, EVALUATION);
    assert_eq!(
        verdict["champion"]["value"],
        evaluation["candidates"][0]["test"]["auc"]
    );
}

#[test]
fn a_champion_that_does_not_fit_the_data_stays() {
    let ours = Before::new(Task::Binary, &[("straight", LINEAR)]);
    let theirs = Before::new(Task::Regression, &[("straight", LINEAR)]);
    let mut other_label = ours.dataset.clone();
    other_label.label = "late".into();
    let other_label = serde_json::to_vec(&other_label).expect("is JSON");
    let (model, program) = (ours.candidates[0].0.as_slice(), ours.program.as_slice());
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Files<'_>, &str); 5] = [
        (
            &[(MODEL, &theirs.candidates[0].0), (PROGRAM, &theirs.program)],
            "another task",
        ),
        (
            &[(MODEL, model), (PROGRAM, program), (DATASET, &other_label)],
            "predicts the column",
        ),
        (&[(MODEL, model)], "no features.bin"),
        (&[(MODEL, b"nonsense"), (PROGRAM, program)], "no readable model"),
        (
            &[(MODEL, model), (PROGRAM, program), (DATASET, b"{")],
            "cannot read dataset.json",
        ),
    ];
    for (files, wanted) in cases {
        let mut bench = ours.bench("{}");
        crown(&mut bench, files);
        assert_eq!(bench.run().expect("evaluates"), Outcome::Advance);
        let verdict = output(&bench, VERDICT);
        assert_eq!(
            (&verdict["passed"], &verdict["promote"]),
            (&json!(true), &json!(false))
        );
        let reason = verdict["reason"].as_str().expect("a text");
        assert!(reason.contains(wanted), "{reason}");
    }
}

#[test]
fn asks_for_the_champion_that_is_named_or_that_deploy_moves() {
    let before = Before::new(Task::Binary, &[("straight", LINEAR)]);
    let need = |bench: &Bench| Evaluate.needs(&bench.assignment).expect("good params").model;
    assert_eq!(need(&before.bench("{}")), None);
    let named = need(&before.bench("{ model = \"m\", alias = \"a\" }")).expect("is named");
    assert_eq!((named.model.as_str(), named.alias.as_str()), ("m", "a"));
    let mut bench = Bench::new(
        "[[steps]]\nstage = \"evaluate\"\n[[steps]]\nstage = \"deploy\"\nparams = { alias = \"live\" }\n",
    );
    bench.assignment.step = bench.assignment.spec.steps[0].step.clone();
    let of_deploy = need(&bench).expect("deploy moves one");
    assert_eq!(
        (of_deploy.model.as_str(), of_deploy.alias.as_str()),
        ("test", "live")
    );
}

#[test]
fn what_cannot_be_measured_is_refused_with_what_to_do() {
    let before = Before::new(Task::Binary, &[("straight", LINEAR)]);
    let refused = |bench: Bench| match bench.run() {
        Err(StageError::Permanent(message)) => message,
        other => panic!("{other:?}"),
    };
    for (params, wanted) in [
        (
            "{ metric = \"rmse\" }",
            "is no metric of a binary task; there are auc,",
        ),
        (
            "{ gates = [{ metric = \"macro_f1\", at_least = 0.1 }] }",
            "gates[0].metric",
        ),
        (
            "{ slices = [\"plaec\"] }",
            "no column \"plaec\"; it has x, z, place, y",
        ),
    ] {
        let message = refused(before.bench(params));
        assert!(message.contains(wanted), "{message}");
    }
    // Loading refuses it where the specification says what the label is; the data set has the last word.
    let mut renamed = Before::new(Task::Binary, &[("straight", LINEAR)]);
    renamed.dataset.label = "place".into();
    let message = refused(renamed.bench("{ slices = [\"place\"] }"));
    assert!(message.contains("is the label"), "{message}");
    // Stored before loading refused it.
    let mut private = before.bench("{ slices = [\"place\"] }");
    private.assignment.spec.steps.extend(
        Bench::new("[[steps]]\nstage = \"validate\"\nparams = { private = [\"place\"] }\n")
            .assignment
            .spec
            .steps,
    );
    let message = refused(private);
    assert!(message.contains("\"place\" is private"), "{message}");

    let program = features::FeatureProgram::from_bytes(&before.program).expect("reads");
    let one_class = |before: &mut Before, split: Split| {
        let of = match split {
            Split::Validation => &mut before.validation,
            Split::Train | Split::Test => &mut before.test,
        };
        let path = file(|path| {
            let folder = tempfile::tempdir().expect("makes a folder");
            let from = folder.path().join("features");
            fs::write(&from, &*of).expect("writes");
            let mut stored = store::read(&from, program.features()).expect("reads");
            stored.target.fill(0.0);
            store::write(path, program.features(), stored).expect("writes");
        });
        *of = path;
    };
    let mut poor = Before::new(Task::Binary, &[("straight", LINEAR)]);
    one_class(&mut poor, Split::Validation);
    let message = refused(poor.bench("{}"));
    assert!(
        message.contains("auc is not defined on the 400 rows of validation"),
        "{message}"
    );

    let mut poor = Before::new(Task::Binary, &[("straight", LINEAR)]);
    one_class(&mut poor, Split::Test);
    let bench = poor.bench("{ gates = [{ metric = \"auc\", at_least = 0.1 }] }");
    let Outcome::Halt { reason } = bench.run().expect("evaluates") else {
        panic!("does not halt");
    };
    assert!(
        reason.contains("auc is not defined on the rows of test"),
        "{reason}"
    );
    assert_eq!(
        output(&bench, EVALUATION)["candidates"][0]["test"]["auc"],
        Value::Null
    );
    let page = String::from_utf8(bench.output(REPORT_HTML)).expect("is UTF-8");
    assert!(page.contains("Test does not define AUC"));

    let mut damaged = Before::new(Task::Binary, &[("straight", LINEAR)]);
    damaged.candidates[0].0.truncate(100);
    assert!(refused(damaged.bench("{}")).contains("candidate straight"));
}

#[test]
fn stops_between_candidates() {
    let before = Before::new(Task::Binary, &both());
    for look in 1..=3 {
        let bench = before.bench("{}");
        bench
            .notes
            .interrupt_at_look
            .store(look, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(bench.run(), Err(StageError::Interrupted));
        assert_eq!(bench.outputs(), 0);
    }
}

/// Two tables say the same, because neither crate may know the other: one refuses specifications, one measures.
#[test]
fn specifications_know_the_metrics_that_are_measured() {
    use pipeline::spec::stages::{METRICS, MetricKind, TaskName};

    let task = |task: &Task| match task {
        Task::Binary => TaskName::Binary,
        Task::Multiclass => TaskName::Multiclass,
        Task::Regression => TaskName::Regression,
    };
    assert_eq!(METRICS.len(), metrics::METRICS.len());
    for ours in metrics::METRICS {
        let theirs = MetricKind::of(ours.name).expect("is known to specifications");
        assert_eq!(
            theirs.tasks,
            ours.tasks.iter().map(task).collect::<Vec<_>>(),
            "{}",
            ours.name
        );
        assert_eq!(theirs.higher_is_better, ours.higher_is_better, "{}", ours.name);
        assert_eq!((theirs.lowest, theirs.highest), ours.range, "{}", ours.name);
    }
    for one in [Task::Binary, Task::Multiclass, Task::Regression] {
        assert_eq!(MetricKind::chooser(task(&one)).name, metrics::default_metric(one));
    }
}
