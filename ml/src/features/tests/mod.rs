//! What programs do, as a whole.

mod laws;
mod refusals;

use polars::prelude::*;

use super::*;
use crate::dataset::{Column as DatasetColumn, ColumnType, Dataset, Role, SplitRows, Task};

/// A data set of these features, with a label `y`.
fn dataset(task: Task, classes: &[&str], features: &[(&str, ColumnType)]) -> Dataset {
    let label = match task {
        Task::Regression => ColumnType::Float,
        Task::Binary | Task::Multiclass => ColumnType::Text,
    };
    let columns = [("y", label, Role::Label), ("id", ColumnType::Integer, Role::Key)]
        .into_iter()
        .chain(features.iter().map(|(name, kind)| (*name, *kind, Role::Feature)))
        .map(|(name, kind, role)| DatasetColumn {
            name: name.into(),
            kind,
            role,
        });
    Dataset {
        label: "y".into(),
        task,
        classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        columns: columns.collect(),
        rows: SplitRows {
            train: 0,
            validation: 0,
            test: 0,
        },
    }
}

fn regression(features: &[(&str, ColumnType)]) -> Dataset {
    dataset(Task::Regression, &[], features)
}

/// Every category has a level of its own.
fn all_levels() -> FeatureSettings {
    FeatureSettings {
        min_rows: 1,
        ..FeatureSettings::default()
    }
}

fn own(name: &str, own: ColumnSettings) -> FeatureSettings {
    FeatureSettings {
        columns: [(name.to_owned(), own)].into(),
        ..all_levels()
    }
}

fn fit(frame: &DataFrame, dataset: &Dataset, settings: &FeatureSettings) -> (FeatureProgram, FeatureTable) {
    FeatureProgram::fit(frame, dataset, settings, 7).expect("fits")
}

fn refused(frame: &DataFrame, dataset: &Dataset, settings: &FeatureSettings) -> String {
    FeatureProgram::fit(frame, dataset, settings, 7)
        .expect_err("is refused")
        .to_string()
}

fn names(program: &FeatureProgram) -> Vec<&str> {
    program.features().iter().map(|f| f.name.as_str()).collect()
}

fn notes(program: &FeatureProgram) -> Vec<(&str, NoteKind)> {
    let notes = program.notes().iter();
    notes.map(|note| (note.column.as_str(), note.what)).collect()
}

/// Of numbers their bits, so that NaN equals itself.
fn bits(column: &FeatureColumn) -> Vec<u32> {
    match column {
        FeatureColumn::Numeric(values) => values.iter().map(|v| v.to_bits()).collect(),
        FeatureColumn::Category(codes) => codes.clone(),
    }
}

fn same(a: &FeatureTable, b: &FeatureTable) -> bool {
    a.rows == b.rows
        && a.columns.len() == b.columns.len()
        && a.columns.iter().zip(&b.columns).all(|(a, b)| bits(a) == bits(b))
}

#[test]
fn numbers_and_truths_are_numbers() {
    let frame = df!(
        "x" => [Some(1.0), None, Some(f64::INFINITY), Some(5.0)],
        "n" => [1i64, 2, 3, 4],
        "b" => [Some(true), Some(false), None, Some(true)],
    )
    .expect("a frame");
    let dataset = regression(&[
        ("x", ColumnType::Float),
        ("n", ColumnType::Integer),
        ("b", ColumnType::Boolean),
    ]);
    let (program, table) = fit(&frame, &dataset, &all_levels());
    assert_eq!(names(&program), ["x", "n", "b"]);
    let nullable: Vec<bool> = program.inputs().iter().map(|input| input.nullable).collect();
    assert_eq!(nullable, [true, false, true]);
    let nan = f32::NAN;
    let wanted = [
        vec![1.0, nan, nan, 5.0],
        vec![1.0, 2.0, 3.0, 4.0],
        vec![1.0, 0.0, nan, 1.0],
    ];
    for (column, wanted) in table.columns.iter().zip(wanted) {
        assert_eq!(bits(column), bits(&FeatureColumn::Numeric(wanted)));
    }
    let FeatureValues::Numeric { fill, indicator, .. } = program.features()[0].values else {
        panic!("a number")
    };
    assert_eq!((fill, indicator), (3.0, true));
    let quiet = FeatureSettings {
        indicators: false,
        ..all_levels()
    };
    let (program, _) = fit(&frame, &dataset, &quiet);
    let told = |f: &Feature| matches!(f.values, FeatureValues::Numeric { indicator: true, .. });
    assert!(!program.features().iter().any(told));
}

#[test]
fn what_says_nothing_is_left_out_with_a_note() {
    let rows = 200;
    let texts: Vec<String> = (0..rows).map(|n| format!("row {n}")).collect();
    let words: Vec<String> = (0..rows).map(|n| format!("word {}", n / 10)).collect();
    let frame = df!(
        "constant" => vec![3i64; rows],
        "missing" => vec![Option::<f64>::None; rows],
        "infinite" => vec![f64::INFINITY; rows],
        "name" => texts.clone(),
        "rare" => words,
        "one" => vec!["a"; rows],
        "half" => (0..rows).map(|n| (n % 2 == 0).then_some(1.0)).collect::<Vec<_>>(),
        "half_text" => (0..rows).map(|n| (n % 2 == 0).then_some("a")).collect::<Vec<_>>(),
    )
    .expect("a frame");
    let dataset = regression(&[
        ("constant", ColumnType::Integer),
        ("missing", ColumnType::Float),
        ("infinite", ColumnType::Float),
        ("name", ColumnType::Text),
        ("rare", ColumnType::Text),
        ("one", ColumnType::Text),
        ("half", ColumnType::Float),
        ("half_text", ColumnType::Text),
    ]);
    let (program, table) = fit(&frame, &dataset, &FeatureSettings::default());
    assert_eq!(
        names(&program),
        ["half", "half_text"],
        "that a value is missing says something"
    );
    assert_eq!(table.columns.len(), 2);
    assert_eq!(
        notes(&program),
        [
            ("constant", NoteKind::Constant),
            ("missing", NoteKind::Empty),
            ("infinite", NoteKind::Empty),
            ("name", NoteKind::Identifier { distinct: 200 }),
            ("rare", NoteKind::AllRare),
            ("one", NoteKind::Constant),
        ]
    );
    // Who names it wants it.
    let (program, _) = fit(&frame, &dataset, &own("name", ColumnSettings::default()));
    assert!(names(&program).contains(&"name"));

    let nothing = FeatureSettings {
        only: Some(vec!["constant".into(), "one".into()]),
        ..all_levels()
    };
    assert_eq!(
        refused(&frame, &dataset, &nothing),
        "there is no usable feature: constant is left out: it is the same in all rows of train; one is left out: it is the same in all rows of train"
    );
}

#[test]
fn categories_keep_other_and_missing_apart() {
    let frame = df!(
        "t" => [Some("b"), Some("b"), Some("a"), Some("a"), Some("c"), None],
        "n" => [Some(7i64), Some(7), Some(8), Some(8), Some(8), Some(7)],
    )
    .expect("a frame");
    let dataset = regression(&[("t", ColumnType::Text), ("n", ColumnType::Integer)]);
    let settings = FeatureSettings {
        min_rows: 2,
        ..own(
            "n",
            ColumnSettings {
                kind: Some(FeatureKind::Categorical),
                ..ColumnSettings::default()
            },
        )
    };
    let (program, table) = fit(&frame, &dataset, &settings);
    assert_eq!(
        table.columns[0],
        FeatureColumn::Category(vec![1, 1, 0, 0, 2, MISSING])
    );
    assert_eq!(
        program.features()[0].values,
        FeatureValues::Category {
            levels: vec!["a".into(), "b".into(), "other".into()],
            other: Some(2),
            indicator: true,
        }
    );
    assert_eq!(table.columns[1], FeatureColumn::Category(vec![0, 0, 1, 1, 1, 0]));
    let new = df!("t" => ["new", "a"], "n" => [9.0, 8.0], "more" => [1, 2]).expect("a frame");
    let applied = program.apply(&new).expect("applies");
    assert_eq!(applied.columns[0], FeatureColumn::Category(vec![2, 0]));
    assert_eq!(
        applied.columns[1],
        FeatureColumn::Category(vec![MISSING, 1]),
        "train had no others"
    );
}

#[test]
fn one_hot_and_ordinal_are_numbers_for_every_model() {
    let frame = df!("t" => [Some("b"), Some("a"), Some("b"), None, Some("c")]).expect("a frame");
    let dataset = regression(&[("t", ColumnType::Text)]);
    let encoded = |encode, order: Option<&[&str]>| {
        let order = order.map(|order| order.iter().map(|t| (*t).to_owned()).collect());
        own(
            "t",
            ColumnSettings {
                encode: Some(encode),
                order,
                ..ColumnSettings::default()
            },
        )
    };
    let (program, table) = fit(&frame, &dataset, &encoded(Encoding::Onehot, None));
    assert_eq!(names(&program), ["t=b", "t=a", "t=c", "t (missing)"]);
    let wanted = [
        [1.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
        [0.0, 0.0, 0.0, 1.0, 0.0],
    ];
    for (column, wanted) in table.columns.iter().zip(wanted) {
        assert_eq!(*column, FeatureColumn::Numeric(wanted.to_vec()));
    }

    let (program, table) = fit(&frame, &dataset, &encoded(Encoding::Ordinal, None));
    assert_eq!(names(&program), ["t"]);
    let by_frequency = FeatureColumn::Numeric(vec![0.0, 1.0, 0.0, f32::NAN, 2.0]);
    assert_eq!(bits(&table.columns[0]), bits(&by_frequency));
    let (program, table) = fit(&frame, &dataset, &encoded(Encoding::Ordinal, Some(&["a", "b"])));
    let by_order = FeatureColumn::Numeric(vec![1.0, 0.0, 1.0, f32::NAN, f32::NAN]);
    assert_eq!(bits(&table.columns[0]), bits(&by_order));
    assert_eq!(notes(&program), [("t", NoteKind::NotInOrder { rows: 1 })]);

    for (settings, problem) in [
        (
            encoded(Encoding::Ordinal, Some(&["x"])),
            "column t: its order names no category that train has",
        ),
        (
            encoded(Encoding::Ordinal, Some(&["a", "a"])),
            "column t: a category stands there twice",
        ),
        (
            encoded(Encoding::Onehot, Some(&["a"])),
            "column t: it has an `order`, which only `encode = \"ordinal\"` uses",
        ),
    ] {
        assert_eq!(refused(&frame, &dataset, &settings), problem);
    }
}

#[test]
fn the_labels_mean_is_cross_fitted_on_train_only() {
    let rows = 300;
    let texts: Vec<String> = (0..rows).map(|n| format!("c{}", n % 7)).collect();
    let labels: Vec<&str> = (0..rows).map(|n| ["p", "q", "r"][(n / 2) % 3]).collect();
    let frame = df!("t" => texts, "y" => labels).expect("a frame");
    let settings = FeatureSettings {
        encode: Encoding::Target,
        ..all_levels()
    };
    let classes = ["q", "p", "r"];
    let two = dataset(Task::Binary, &classes[..2], &[("t", ColumnType::Text)]);
    let error = refused(&frame, &two, &settings);
    assert!(
        !error.contains("r,") && error.starts_with("column y, row "),
        "{error}"
    );

    let three = dataset(Task::Multiclass, &["p", "q", "r"], &[("t", ColumnType::Text)]);
    let (program, table) = fit(&frame, &three, &settings);
    assert_eq!(names(&program), ["t.target=q", "t.target=r"]);
    let applied = program.apply(&frame).expect("applies");
    assert!(!same(&applied, &table), "train's rows do not see their own label");
    let FeatureColumn::Numeric(new) = &applied.columns[0] else {
        panic!("numbers")
    };
    assert_eq!(new[0].to_bits(), new[7].to_bits(), "one number for a category");
    let unseen = df!("t" => ["never", "never"]).expect("a frame");
    let FeatureColumn::Numeric(values) = &program.apply(&unseen).expect("applies").columns[0] else {
        panic!("numbers")
    };
    let share = frame
        .column("y")
        .and_then(|y| Ok(y.str()?.iter().filter(|y| *y == Some("q")).count()))
        .expect("texts");
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let share = share as f32 / rows as f32;
    assert!((values[0] - share).abs() < 1e-6, "the mean of all");

    let (_, again) = fit(&frame, &three, &settings);
    assert!(same(&again, &table));
    let (_, other) = FeatureProgram::fit(&frame, &three, &settings, 8).expect("fits");
    assert!(!same(&other, &table), "the seed draws the folds");
}

#[test]
fn dates_are_taken_apart() {
    let days = Series::new("d".into(), [Some(0i32), Some(45), None])
        .cast(&DataType::Date)
        .expect("casts");
    let times = Series::new("t".into(), [0i64, 3_600_000, 7_200_000])
        .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
        .expect("casts");
    let frame = DataFrame::new(3, vec![days.into(), times.into()]).expect("a frame");
    let dataset = regression(&[("d", ColumnType::Date), ("t", ColumnType::Datetime)]);
    let (program, table) = fit(&frame, &dataset, &all_levels());
    assert_eq!(names(&program), ["d.month", "d.day", "d.weekday", "t.hour"]);
    assert_eq!(
        notes(&program),
        [
            ("t.month", NoteKind::Constant),
            ("t.day", NoteKind::Constant),
            ("t.weekday", NoteKind::Constant),
        ]
    );
    let day = FeatureColumn::Numeric(vec![1.0, 15.0, f32::NAN]);
    assert_eq!(bits(&table.columns[1]), bits(&day));
    assert_eq!(table.columns[3], FeatureColumn::Numeric(vec![0.0, 1.0, 2.0]));
    let (program, _) = fit(
        &frame,
        &dataset,
        &own(
            "d",
            ColumnSettings {
                calendar: Some(vec![CalendarPart::Yearday, CalendarPart::Yearday]),
                ..ColumnSettings::default()
            },
        ),
    );
    assert_eq!(names(&program), ["d.yearday", "t.hour"]);
}
