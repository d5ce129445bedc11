use ml::dataset::Task;
use polars::prelude::Column;
use serde_json::Value;

use super::*;
use crate::testing::Bench;
use crate::testing_deployed::{bench, boosting, linear, parquet, rows, verdict};

const STEP: &str =
    "[[steps]]\nstage = \"explain\"\nparams = { rows = 60, permutation_rows = 100, partial_dependence = 3 }";

fn explained(bench: &Bench) -> Value {
    assert_eq!(bench.run(), Ok(Outcome::Advance));
    serde_json::from_slice(&bench.output(EXPLANATION)).expect("JSON")
}

#[test]
fn every_task_and_model_is_explained() {
    for (task, metric) in [
        (Task::Binary, "auc"),
        (Task::Multiclass, "log_loss"),
        (Task::Regression, "rmse"),
    ] {
        for hyperparameters in [linear(), boosting()] {
            let bench = bench(task, &hyperparameters, &verdict(metric), STEP);
            let explanation = explained(&bench);
            assert_eq!(explanation["rows"], 60);
            assert!(explanation["rows_left_out"].is_null());
            assert_eq!(explanation["additivity"]["checked"], 60);
            let columns = explanation["columns"].as_array().expect("columns");
            assert_eq!(columns.len(), 3, "{columns:?}");
            let sizes: Vec<f64> = columns
                .iter()
                .map(|column| column["mean_abs_shap"].as_f64().expect("a number"))
                .collect();
            assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
            assert!(columns[0]["permutation"]["mean"].is_number());
            let html = String::from_utf8(bench.output(REPORT_HTML)).expect("text");
            assert!(html.contains("What moves the predictions"));
        }
    }
}

/// `number` makes the label together with `place`, and `nothing` does not.
#[test]
fn what_makes_the_label_comes_first() {
    let explanation = explained(&bench(Task::Binary, &boosting(), &verdict("auc"), STEP));
    let columns = explanation["columns"].as_array().expect("columns");
    assert_eq!(columns[0]["column"], "number");
    assert!(columns[0]["direction"].as_f64().expect("a number") > 0.8);
    let lost = |name: &str| {
        columns
            .iter()
            .find(|column| column["column"] == name)
            .and_then(|column| column["permutation"]["mean"].as_f64())
            .expect("a number")
    };
    assert!(lost("number") > 0.1, "{columns:?}");
    assert!(lost("number") > lost("nothing") + 0.1, "{columns:?}");
    let curve = &explanation["partial_dependence"][0];
    assert_eq!(curve["column"], "number");
    let points = curve["points"].as_array().expect("points");
    let mean = |point: &Value| point["means"][0].as_f64().expect("a number");
    assert!(points.len() > 5 && mean(&points[points.len() - 1]) > mean(&points[0]) + 0.3);
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let one = bench(Task::Binary, &boosting(), &verdict("auc"), STEP);
    let two = bench(Task::Binary, &boosting(), &verdict("auc"), STEP);
    explained(&one);
    explained(&two);
    for name in [EXPLANATION, REPORT_HTML] {
        assert_eq!(one.output(name), two.output(name), "{name}");
    }
}

#[test]
fn permutation_is_left_out_where_it_is_not_wanted() {
    let step = "[[steps]]\nstage = \"explain\"\nparams = { permutation_repeats = 0, partial_dependence = 0 }";
    let explanation = explained(&bench(Task::Binary, &linear(), &verdict("auc"), step));
    assert!(explanation["permutation"].is_null());
    assert!(explanation["columns"][0]["permutation"].is_null());
    // More rows are wanted than there are.
    assert_eq!(explanation["rows"], 120);
    assert_eq!(explanation["partial_dependence"], serde_json::json!([]));
}

/// 120 rows of test with so many positive ones, of which ten are explained.
fn with_positives(rows_of_them: i64) -> Bench {
    let step = "[[steps]]\nstage = \"explain\"\nparams = { rows = 10, permutation_rows = 10 }";
    let bench = bench(Task::Binary, &boosting(), &verdict("auc"), step);
    let mut test = rows(120);
    let label = (0..120)
        .map(|row| i64::from(row < rows_of_them))
        .collect::<Vec<_>>();
    test.with_column(Column::new("binary".into(), label))
        .expect("of its length");
    bench.input("extract/test.parquet", &parquet(&mut test));
    bench
}

#[test]
fn rare_classes_are_among_the_rows_that_columns_are_permuted_in() {
    let explanation = explained(&with_positives(1));
    assert_eq!(explanation["permutation"]["rows"], 10);
    assert_eq!(explanation["permutation_left_out"], Value::Null);
}

#[test]
fn a_metric_that_test_does_not_define_costs_the_permutation_only() {
    let bench = with_positives(0);
    let explanation = explained(&bench);
    assert!(explanation["permutation"].is_null());
    let why = explanation["permutation_left_out"].as_str().expect("a reason");
    assert!(why.contains("auc is not defined"), "{why}");
    let html = String::from_utf8(bench.output(REPORT_HTML)).expect("text");
    assert!(html.contains("auc is not defined"));
}

#[test]
fn t08_private_columns_show_no_values() {
    let step =
        format!("[[steps]]\nstage = \"validate\"\nparams = {{ private = [\"place\", \"number\"] }}\n{STEP}");
    let bench = bench(Task::Binary, &boosting(), &verdict("auc"), &step);
    let explanation = explained(&bench);
    let html = String::from_utf8(bench.output(REPORT_HTML)).expect("text");
    assert!(!html.contains("north") && !explanation.to_string().contains("north"));
    let curves = explanation["partial_dependence"].as_array().expect("curves");
    assert!(
        curves.iter().all(|curve| curve["column"] == "nothing"),
        "{curves:?}"
    );
}

#[test]
fn an_interruption_ends_it() {
    let bench = bench(Task::Binary, &boosting(), &verdict("auc"), STEP);
    bench
        .notes
        .interrupt_at_look
        .store(4, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(bench.run(), Err(StageError::Interrupted));
}
