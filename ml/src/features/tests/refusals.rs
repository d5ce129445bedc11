//! What is refused, and how that is told.

use super::*;

#[test]
fn settings_that_do_not_fit_the_data_are_refused() {
    let frame = df!("x" => [1.0, 2.0], "t" => ["a", "b"], "y" => [0.0, 1.0]).expect("a frame");
    let data = regression(&[("x", ColumnType::Float), ("t", ColumnType::Text)]);
    let kind = |name: &str, kind| {
        own(
            name,
            ColumnSettings {
                kind: Some(kind),
                ..ColumnSettings::default()
            },
        )
    };
    let only = |names: &[&str]| FeatureSettings {
        only: Some(names.iter().map(|n| (*n).to_owned()).collect()),
        ..all_levels()
    };
    let both = FeatureSettings {
        only: Some(vec!["x".into()]),
        ..own("t", ColumnSettings::default())
    };
    for (settings, problem) in [
        (only(&["z"]), "column z: the features' settings name it"),
        (only(&["y"]), "column y: it is the label"),
        (only(&["id"]), "column id: it is a key"),
        (only(&[]), "there is no usable feature"),
        (both, "column t: the features' settings say how to take it"),
        (kind("t", FeatureKind::Numeric), "column t: it is a text"),
        (kind("x", FeatureKind::Calendar), "column x: it is a number"),
    ] {
        let error = refused(&frame, &data, &settings);
        assert!(error.starts_with(problem), "{error}");
    }
    let fraction = df!("x" => [1.0, 2.5], "t" => ["a", "b"]).expect("a frame");
    assert_eq!(
        refused(&fraction, &data, &kind("x", FeatureKind::Categorical)),
        "column x, row 2: must be a whole number, as it is taken for a category"
    );
    let without = df!("x" => [1.0, 2.0]).expect("a frame");
    assert_eq!(refused(&without, &data, &all_levels()), "columns are missing: t");
}

#[test]
fn two_features_of_one_name_are_refused() {
    let frame = df!("t" => ["a", "b"], "t=a" => [1.0, 2.0]).expect("a frame");
    let dataset = regression(&[("t", ColumnType::Text), ("t=a", ColumnType::Float)]);
    let settings = FeatureSettings {
        encode: Encoding::Onehot,
        ..all_levels()
    };
    assert_eq!(
        refused(&frame, &dataset, &settings),
        "two features would be named t=a: rename a column in the query"
    );
}

#[test]
fn a_frame_that_does_not_fit_is_refused_by_name() {
    let frame = df!("x" => [1.0, 2.0], "t" => ["a", "b"]).expect("a frame");
    let dataset = regression(&[("x", ColumnType::Float), ("t", ColumnType::Text)]);
    let (program, _) = fit(&frame, &dataset, &all_levels());
    for (frame, problem) in [
        (df!("z" => [1.0]), "columns are missing: x, t"),
        (
            df!("x" => ["1"], "t" => ["a"]),
            "column x is str and must be numbers",
        ),
        (
            df!("x" => [1.0], "t" => [1i64]),
            "column t is i64 and must be texts",
        ),
    ] {
        let error = program.apply(&frame.expect("a frame")).expect_err(problem);
        assert!(error.to_string().starts_with(problem), "{error}");
    }
    // Other types that lose nothing, and columns that are all missing.
    let floats = program.apply(&frame).expect("applies");
    let whole = df!("x" => [1u8, 2], "t" => ["a", "b"]).expect("a frame");
    assert!(same(&program.apply(&whole).expect("applies"), &floats));
    let nothing = DataFrame::new(
        1,
        vec![
            Series::new_null("x".into(), 1).into(),
            Series::new_null("t".into(), 1).into(),
        ],
    );
    let table = program.apply(&nothing.expect("a frame")).expect("applies");
    assert_eq!(table.columns[1], FeatureColumn::Category(vec![MISSING]));
    let empty = program.apply(&frame.head(Some(0))).expect("applies");
    assert_eq!((empty.rows, empty.columns.len()), (0, 2));
}
