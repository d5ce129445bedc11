//! The numbers are scikit-learn 1.x's (DeLong's: by the definition, pair by pair, in NumPy).

use proptest::prelude::*;

use super::*;

const P: [f64; 12] = [0.1, 0.35, 0.35, 0.8, 0.65, 0.2, 0.5, 0.9, 0.05, 0.7, 0.35, 0.6];
const Y: [f32; 12] = [0., 0., 1., 1., 0., 0., 1., 1., 0., 1., 0., 1.];
const W: [f32; 12] = [1., 2., 0.5, 1., 3., 1., 1.5, 1., 1., 2., 1., 0.25];

fn truth<'a>(task: Task, classes: usize, target: &'a [f32], weights: Option<&'a [f32]>) -> Truth<'a> {
    Truth {
        task,
        classes,
        target,
        weights,
    }
}

fn binary(weights: Option<&'static [f32]>) -> Judged<'static> {
    Judged::new(&P, &truth(Task::Binary, 2, &Y, weights)).expect("good rows")
}

fn assert_near(found: Option<f64>, wanted: f64, what: &str) {
    let found = found.unwrap_or_else(|| panic!("{what} is undefined"));
    assert!(
        (found - wanted).abs() < 1e-12,
        "{what}: {found} instead of {wanted}"
    );
}

fn assert_all(judged: &Judged<'_>, wanted: &[(&str, f64)]) {
    for (name, value) in wanted {
        assert_near(judged.value(name), *value, name);
    }
    assert_eq!(judged.values().len(), wanted.len(), "every metric is checked");
}

#[test]
fn binary_metrics_are_those_of_scikit_learn() {
    let plain = [
        ("auc", 0.888888888888889),
        ("pr_auc", 0.8833333333333333),
        ("log_loss", 0.4358466048148795),
        ("brier", 0.14104166666666665),
        ("accuracy", 0.8333333333333334),
        ("f1", 0.8333333333333334),
        ("precision", 0.8333333333333334),
        ("recall", 0.8333333333333334),
        ("mcc", 0.6666666666666666),
        ("ece", 0.14583333333333334),
    ];
    assert_all(&binary(None), &plain);
    let weighted = [
        ("auc", 0.8666666666666667),
        ("pr_auc", 0.8619788881069669),
        ("log_loss", 0.49546260177135987),
        ("brier", 0.1668032786885246),
        ("accuracy", 0.7704918032786885),
        ("f1", 0.7666666666666667),
        ("precision", 0.6571428571428571),
        ("recall", 0.92),
        ("mcc", 0.5834343188359804),
        ("ece", 0.3),
    ];
    assert_all(&binary(Some(&W)), &weighted);
}

#[test]
fn multiclass_metrics_are_those_of_scikit_learn() {
    #[rustfmt::skip]
    let p = [
        0.7, 0.2, 0.1,  0.1, 0.8, 0.1,  0.3, 0.3, 0.4,  0.25, 0.5, 0.25,
        0.6, 0.3, 0.1,  0.2, 0.2, 0.6,  0.1, 0.45, 0.45,  0.05, 0.05, 0.9,
    ];
    let (y, w) = (
        [0., 1., 2., 0., 0., 2., 1., 1.],
        [1., 2., 1., 0.5, 1., 3., 1., 0.25],
    );
    let plain = Judged::new(&p, &truth(Task::Multiclass, 3, &y, None)).expect("good rows");
    assert_all(
        &plain,
        &[
            ("log_loss", 0.9622868506938413),
            ("accuracy", 0.75),
            ("macro_f1", 0.7555555555555555),
            ("balanced_accuracy", 0.7777777777777777),
        ],
    );
    let weighted = Judged::new(&p, &truth(Task::Multiclass, 3, &y, Some(&w))).expect("good rows");
    assert_all(
        &weighted,
        &[
            ("log_loss", 0.6157069967868188),
            ("accuracy", 0.9230769230769231),
            ("macro_f1", 0.9158249158249158),
            ("balanced_accuracy", 0.9076923076923077),
        ],
    );
    let figures = weighted.class_figures().expect("of classes");
    for (class, auc) in [0.9724137931034483, 0.8994082840236687, 0.9130434782608696]
        .into_iter()
        .enumerate()
    {
        assert_near(figures[class].auc, auc, "auc of a class");
    }
}

#[test]
fn regression_metrics_are_those_of_scikit_learn() {
    let (q, t) = ([2.5, 0., 2., 8., 4., 1.75], [3., -0.5, 2., 7., 4.25, 1.5]);
    let plain = Judged::new(&q, &truth(Task::Regression, 0, &t, None)).expect("good rows");
    assert_all(
        &plain,
        &[
            ("rmse", 0.5204164998665332),
            ("mae", 0.4166666666666667),
            ("r2", 0.9507109004739337),
            ("median_absolute_error", 0.375),
            ("mape", 0.2558356676003735),
        ],
    );
    let w = [1., 2., 1., 0.5, 1., 3.];
    let weighted = Judged::new(&q, &truth(Task::Regression, 0, &t, Some(&w))).expect("good rows");
    assert_all(
        &weighted,
        &[
            ("rmse", 0.42008402520840293),
            ("mae", 0.35294117647058826),
            ("r2", 0.9527504342790967),
            ("median_absolute_error", 0.25),
            ("mape", 0.3290492667655297),
        ],
    );
}

#[test]
fn delong_agrees_with_its_definition() {
    const OTHER: [f64; 12] = [0.2, 0.3, 0.45, 0.6, 0.7, 0.1, 0.4, 0.95, 0.15, 0.55, 0.5, 0.35];
    let one = binary(None);
    let two = Judged::new(&OTHER, &truth(Task::Binary, 2, &Y, None)).expect("good rows");
    let interval = one.intervals(1)["auc"];
    let half = 1.959_963_984_540_054 * 0.00941358024691358f64.sqrt();
    assert_near(Some(interval.low), 0.888888888888889 - half, "low");
    assert_near(Some(interval.high), 1.0, "high, cut at 1");
    let compared = one.compare(&two, "auc", 1).expect("defined for both");
    assert_near(
        Some(compared.difference),
        0.888888888888889 - 0.7777777777777779,
        "difference",
    );
    let half = 1.959_963_984_540_054 * 0.008487654320987656f64.sqrt();
    let interval = compared.interval.expect("two rows of either class");
    assert_near(Some(interval.high - interval.low), 2.0 * half, "width");
}

#[test]
fn what_rows_do_not_define_is_none() {
    let negatives = [0.0; 3];
    let judged = Judged::new(&[0.1, 0.2, 0.3], &truth(Task::Binary, 2, &negatives, None)).expect("good rows");
    for name in ["auc", "pr_auc", "precision", "recall", "f1", "mcc"] {
        assert_eq!(judged.value(name), None, "{name}");
    }
    assert_near(judged.value("accuracy"), 1.0, "accuracy");
    assert!(judged.roc().is_none() && judged.precision_recall().is_none());
    assert!(!judged.intervals(1).contains_key("auc"));
    assert_eq!(judged.compare(&judged, "auc", 1), None);
    let same = Judged::new(&[1.0, 2.0], &truth(Task::Regression, 0, &[0.0, 0.0], None)).expect("good rows");
    assert_eq!((same.value("r2"), same.value("mape")), (None, None));
    assert_eq!(same.value("auc"), None);
}

#[test]
fn t08_bad_rows_are_refused_without_their_values() {
    let judge =
        |values: &[f64], truth: &Truth<'_>| Judged::new(values, truth).expect_err("bad rows").to_string();
    let y = [0.0, 1.0];
    let good = truth(Task::Binary, 2, &y, None);
    assert!(judge(&[], &truth(Task::Binary, 2, &[], None)).contains("no rows"));
    assert!(judge(&[0.5], &good).contains("1 predictions for 2 rows"));
    assert!(judge(&[0.5, f64::NAN], &good).contains("row 2: the prediction is not a probability"));
    assert!(judge(&[0.5, 1.5], &good).contains("row 2"));
    assert!(judge(&[0.5, 0.5], &truth(Task::Binary, 2, &[0.0, 2.0], None)).contains("row 2: the target"));
    assert!(judge(&[0.5, 0.5], &truth(Task::Binary, 2, &[0.5, 1.0], None)).contains("row 1: the target"));
    assert!(
        judge(&[0.5, 0.5], &truth(Task::Binary, 2, &y, Some(&[1.0, -1.0]))).contains("row 2: the weight")
    );
    assert!(judge(&[0.5, 0.5], &truth(Task::Binary, 2, &y, Some(&[1.0]))).contains("1 weights"));
    assert!(judge(&[0.5, 0.5], &truth(Task::Binary, 2, &y, Some(&[0.0, 0.0]))).contains("weight 0"));
    assert!(judge(&[f64::INFINITY, 0.0], &truth(Task::Regression, 0, &y, None)).contains("row 1"));
    assert!(
        judge(
            &[0.5, 0.5, 0.2, 0.8],
            &truth(Task::Multiclass, 2, &[0.0, 2.0], None)
        )
        .contains("row 2")
    );
}

#[test]
fn the_table_of_metrics_fits_what_is_measured() {
    let multiclass = truth(Task::Multiclass, 2, &[0.0, 1.0], None);
    let judged = [
        binary(None),
        Judged::new(&[0.5, 0.5, 0.2, 0.8], &multiclass).expect("good rows"),
        Judged::new(&[1.0], &truth(Task::Regression, 0, &[1.0], None)).expect("good rows"),
    ];
    for judged in &judged {
        let known = metrics_of(judged.task()).count();
        assert_eq!(judged.measure(&judged.weights).len(), known);
        assert!(find(judged.task(), default_metric(judged.task())).is_some());
    }
}

/// Rows of a model that is better than chance.
fn many(rows: u32, shift: f64) -> (Vec<f64>, Vec<f32>) {
    (0..rows)
        .map(|row| {
            let (a, b) = (f64::from(row) * 0.618_033_988_7, f64::from(row) * 0.754_877_666_2);
            let p = a.fract();
            (
                p,
                f32::from(u8::from(b.fract() < p * (1.0 - shift) + shift / 2.0)),
            )
        })
        .unzip()
}

#[test]
fn intervals_hold_the_value_and_shrink_with_rows() {
    let width = |rows| {
        let (p, y) = many(rows, 0.2);
        let judged = Judged::new(&p, &truth(Task::Binary, 2, &y, None)).expect("good rows");
        let (values, intervals) = (judged.values(), judged.intervals(7));
        assert_eq!(intervals.len(), values.len());
        for (name, Interval { low, high }) in &intervals {
            let value = values[name].expect("defined");
            // The ece of resamples is larger than that of the rows: it cannot average out.
            if *name != "ece" {
                assert!(
                    *low < value && value < *high,
                    "{name}: {value} in {low} to {high}"
                );
            }
        }
        assert_eq!(intervals, judged.intervals(7));
        intervals["brier"].high - intervals["brier"].low
    };
    // 16 times the rows: a quarter of the width, whether by all rows or by a sample of them.
    let shrunk = width(80_000) / width(5_000);
    assert!((0.18..0.33).contains(&shrunk), "{shrunk}");
}

#[test]
fn the_difference_of_a_model_from_itself_is_nothing_and_from_a_worse_one_is_more() {
    let (p, y) = many(4_000, 0.2);
    let truth = truth(Task::Binary, 2, &y, None);
    let model = Judged::new(&p, &truth).expect("good rows");
    let flat: Vec<f64> = p
        .iter()
        .enumerate()
        .map(|(n, p)| if n % 3 == 0 { 0.5 } else { *p })
        .collect();
    let worse = Judged::new(&flat, &truth).expect("good rows");
    for metric in ["auc", "brier"] {
        let same = model.compare(&model, metric, 3).expect("defined");
        assert_eq!(same.difference, 0.0);
        assert_eq!(same.interval, Some(Interval { low: 0.0, high: 0.0 }));
        let sign = if metric == "auc" { 1.0 } else { -1.0 };
        let more = model.compare(&worse, metric, 3).expect("defined");
        let Interval { low, high } = more.interval.expect("enough rows");
        assert!(
            low.min(high) * sign > 0.0 || high * sign > 0.0 && low * sign > 0.0,
            "{more:?}"
        );
        assert!(low <= more.difference && more.difference <= high);
    }
}

#[test]
fn curves_are_short_and_begin_and_end_where_they_must() {
    let (p, y) = many(30_000, 0.2);
    let judged = Judged::new(&p, &truth(Task::Binary, 2, &y, None)).expect("good rows");
    let roc = judged.roc().expect("two classes");
    assert!(roc.len() <= 200);
    let (first, last) = (roc[0], roc[roc.len() - 1]);
    assert_eq!(
        (
            first.false_positive_rate,
            first.true_positive_rate,
            first.threshold
        ),
        (0.0, 0.0, None)
    );
    assert_eq!((last.false_positive_rate, last.true_positive_rate), (1.0, 1.0));
    let area: f64 = roc
        .windows(2)
        .map(|w| {
            (w[1].false_positive_rate - w[0].false_positive_rate)
                * f64::midpoint(w[0].true_positive_rate, w[1].true_positive_rate)
        })
        .sum();
    assert!((area - judged.value("auc").expect("two classes")).abs() < 1e-3);
    let pr = judged.precision_recall().expect("positives");
    assert!(pr.len() <= 200 && pr.last().is_some_and(|p| p.recall == 1.0));
    let bins = judged.calibration().expect("binary");
    assert_eq!(bins.iter().map(|b| b.rows).sum::<f64>(), 30_000.0);
    assert!(bins.iter().all(|b| b.from <= b.predicted && b.predicted <= b.to));
    let at_half = judged.thresholds().expect("binary")[9];
    assert_eq!(at_half.threshold, 0.5);
    assert_eq!(Some(at_half.confusion), judged.confusion());
}

#[test]
fn residuals_keep_every_row() {
    let q: Vec<f64> = (0..5_000).map(|n| f64::from(n % 97)).collect();
    let mut t: Vec<f32> = (0..5_000u16).map(|n| f32::from(n % 89)).collect();
    t[0] = 1e30;
    let judged = Judged::new(&q, &truth(Task::Regression, 0, &t, None)).expect("good rows");
    let residuals = judged.residuals().expect("regression");
    assert_eq!(residuals.counts.iter().sum::<f64>(), 5_000.0);
    assert_eq!(residuals.edges.len(), residuals.counts.len() + 1);
    assert!(
        residuals.edges[residuals.edges.len() - 1] < 200.0,
        "one outlier does not stretch it"
    );
    assert!((600..=800).contains(&residuals.pairs.len()));
}

proptest! {
    #[test]
    fn a_row_of_weight_two_is_two_rows(
        rows in proptest::collection::vec((0u8..=20, any::<bool>(), 0u8..4), 1..40)
    ) {
        let share = |n: u8| f64::from(n) / 20.0;
        let (mut p, mut y, mut w) = (Vec::new(), Vec::new(), Vec::new());
        let (mut long_p, mut long_y) = (Vec::new(), Vec::new());
        for (n, positive, times) in rows {
            let target = f32::from(u8::from(positive));
            p.push(share(n)); y.push(target); w.push(f32::from(times));
            for _ in 0..times { long_p.push(share(n)); long_y.push(target); }
        }
        prop_assume!(!long_p.is_empty());
        let short = Judged::new(&p, &truth(Task::Binary, 2, &y, Some(&w))).expect("good rows").values();
        let long = Judged::new(&long_p, &truth(Task::Binary, 2, &long_y, None)).expect("good rows").values();
        for (name, value) in short {
            match (value, long[name]) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-9, "{name}: {a} and {b}"),
                (a, b) => prop_assert_eq!(a, b, "{}", name),
            }
        }
    }

    #[test]
    fn values_stay_in_their_range_and_nothing_panics(
        rows in proptest::collection::vec((0.0..=1.0f64, any::<bool>(), 0.0..3.0f32), 1..60), seed in any::<u64>()
    ) {
        let p: Vec<f64> = rows.iter().map(|r| r.0).collect();
        let y: Vec<f32> = rows.iter().map(|r| f32::from(u8::from(r.1))).collect();
        let w: Vec<f32> = rows.iter().map(|r| r.2).collect();
        let Ok(judged) = Judged::new(&p, &truth(Task::Binary, 2, &y, Some(&w))) else { return Ok(()) };
        let values = judged.values();
        for metric in metrics_of(Task::Binary) {
            if let Some(value) = values[metric.name] {
                let (least, most) = metric.range;
                prop_assert!(value >= least - 1e-9 && value <= most + 1e-9, "{}: {value}", metric.name);
            }
        }
        judged.intervals(seed);
        judged.roc(); judged.precision_recall(); judged.calibration(); judged.thresholds();
    }
}
