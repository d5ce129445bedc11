//! What holds for all programs and all rows.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::container;

type Row = (
    Option<f64>,
    Option<i64>,
    Option<bool>,
    Option<&'static str>,
    Option<i32>,
    Option<i64>,
);

fn rows(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    let number = prop_oneof![
        4 => -10.0..10.0f64,
        1 => proptest::num::f64::ANY,
    ];
    let text = proptest::sample::select(vec!["a", "b", "c", "other", "", "d"]);
    let row = (
        proptest::option::of(number),
        proptest::option::of(-3..3i64),
        proptest::option::of(any::<bool>()),
        proptest::option::of(text),
        proptest::option::of(-40_000..40_000i32),
        proptest::option::of(any::<i64>()),
    );
    proptest::collection::vec(row, sizes)
}

fn frame(rows: &[Row]) -> DataFrame {
    let mut frame = df!(
        "x" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
        "n" => rows.iter().map(|r| r.1).collect::<Vec<_>>(),
        "b" => rows.iter().map(|r| r.2).collect::<Vec<_>>(),
        "t" => rows.iter().map(|r| r.3).collect::<Vec<_>>(),
        "y" => (0..rows.len()).map(|n| ["p", "q", "r"][n % 3]).collect::<Vec<_>>(),
    )
    .expect("a frame");
    let days = rows.iter().map(|r| r.4).collect::<Vec<_>>();
    let days = Series::new("d".into(), days)
        .cast(&DataType::Date)
        .expect("casts");
    let times = rows.iter().map(|r| r.5).collect::<Vec<_>>();
    let times = Series::new("s".into(), times)
        .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
        .expect("casts");
    frame.with_column(days.into()).expect("as long");
    frame.with_column(times.into()).expect("as long");
    frame
}

fn data() -> Dataset {
    dataset(
        Task::Multiclass,
        &["p", "q", "r"],
        &[
            ("x", ColumnType::Float),
            ("n", ColumnType::Integer),
            ("b", ColumnType::Boolean),
            ("t", ColumnType::Text),
            ("d", ColumnType::Date),
            ("s", ColumnType::Datetime),
        ],
    )
}

fn any_settings() -> impl Strategy<Value = FeatureSettings> {
    let encoding = || {
        proptest::sample::select(vec![
            Encoding::Native,
            Encoding::Onehot,
            Encoding::Ordinal,
            Encoding::Target,
        ])
    };
    let scale = proptest::sample::select(vec![Scaling::Standard, Scaling::Minmax, Scaling::None]);
    let impute = proptest::sample::select(vec![Imputation::Median, Imputation::Mean, Imputation::Zero]);
    let number = proptest::option::of(encoding());
    (encoding(), number, scale, impute, 1..4u32, 1..6u32).prop_map(
        |(encode, number, scale, impute, min_rows, max_categories)| FeatureSettings {
            encode,
            scale,
            impute,
            min_rows,
            max_categories,
            calendar: vec![CalendarPart::Year, CalendarPart::Yearday, CalendarPart::Hour],
            columns: [(
                "n".to_owned(),
                ColumnSettings {
                    encode: number,
                    ..ColumnSettings::default()
                },
            )]
            .into(),
            ..FeatureSettings::default()
        },
    )
}

/// Some program whatever the rows: what says nothing at all is not what this is about.
fn program(rows: &[Row], settings: &FeatureSettings) -> Option<(FeatureProgram, FeatureTable)> {
    match FeatureProgram::fit(&frame(rows), &data(), settings, 7) {
        Ok(fitted) => Some(fitted),
        Err(FeatureError::NoFeatures(_)) => None,
        Err(e) => panic!("{e}"),
    }
}

/// Numbers are finite or NaN, codes are levels' or missing, and linear models see only finite numbers.
fn is_sound(program: &FeatureProgram, table: &FeatureTable) -> bool {
    let columns = program.features().iter().zip(&table.columns);
    let mut values = columns.map(|(feature, column)| match (&feature.values, column) {
        (FeatureValues::Numeric { .. }, FeatureColumn::Numeric(values)) => {
            values.iter().all(|v| !v.is_infinite())
        }
        (FeatureValues::Category { levels, .. }, FeatureColumn::Category(codes)) => codes
            .iter()
            .all(|code| *code == MISSING || (*code as usize) < levels.len()),
        _ => false,
    });
    table.columns.len() == program.features().len() && values.all(|sound| sound)
}

fn payload(bytes: &[u8]) -> Value {
    let (_, payload) = container::open(bytes, *b"FEAT", 1).expect("opens");
    serde_json::from_slice(payload).expect("is JSON")
}

/// The `at`-th value within `value`, itself included.
fn within<'a>(value: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| within(item, at)),
        Value::Object(keys) => keys.values_mut().find_map(|item| within(item, at)),
        _ => None,
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(keys) => keys.values().map(size).sum(),
        _ => 0,
    }
}

fn other_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::num::f64::ANY.prop_map(Value::from),
        proptest::sample::select(vec!["", "x", "t", "number", "category", "float", "date", "a"])
            .prop_map(Value::from),
        Just(Value::Array(Vec::new())),
        Just(serde_json::json!(["a", "b"])),
        Just(serde_json::json!([1e300, -1e-300, 0])),
        Just(serde_json::json!({})),
    ]
}

proptest! {
    #[test]
    fn rows_one_by_one_give_the_same_bits_as_all_at_once(
        train in rows(1..40), new in rows(0..12), settings in any_settings()
    ) {
        let Some((program, table)) = program(&train, &settings) else { return Ok(()) };
        prop_assert!(is_sound(&program, &table));
        let new = frame(&new);
        let whole = program.apply(&new).expect("applies");
        prop_assert!(is_sound(&program, &whole));
        for row in 0..new.height() {
            let alone = program.apply(&new.slice(i64::try_from(row).expect("few"), 1)).expect("applies");
            prop_assert!(same(&alone, &whole.take(&[row])), "row {row}");
        }
    }

    #[test]
    fn trains_own_features_are_what_applying_gives_but_for_the_labels_mean(
        train in rows(1..40), settings in any_settings()
    ) {
        let Some((program, table)) = program(&train, &settings) else { return Ok(()) };
        let applied = program.apply(&frame(&train)).expect("applies");
        for ((feature, a), b) in program.features().iter().zip(&table.columns).zip(&applied.columns) {
            prop_assert!(feature.name.contains(".target") || bits(a) == bits(b), "{}", feature.name);
        }
    }

    #[test]
    fn a_program_reads_back_the_same(train in rows(1..40), settings in any_settings()) {
        let Some((program, _)) = program(&train, &settings) else { return Ok(()) };
        let bytes = program.to_bytes().expect("is small");
        let read = FeatureProgram::from_bytes(&bytes).expect("reads");
        prop_assert_eq!(&read, &program);
        prop_assert_eq!(read.to_bytes().expect("is small"), bytes);
    }

    #[test]
    fn a_flipped_bit_is_refused(train in rows(20..40), at: proptest::sample::Index, bit in 0..8u8) {
        let Some((program, _)) = program(&train, &all_levels()) else { return Ok(()) };
        let mut bytes = program.to_bytes().expect("is small");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(matches!(FeatureProgram::from_bytes(&bytes), Err(FeatureError::Corrupt(_))));
    }

    /// Somebody who can seal a payload still cannot make a program that panics or that gives what no model takes.
    #[test]
    fn t06_another_payload_is_refused_or_sound(
        train in rows(5..40), settings in any_settings(), at: proptest::sample::Index, other in other_value()
    ) {
        let Some((program, _)) = program(&train, &settings) else { return Ok(()) };
        let mut stored = payload(&program.to_bytes().expect("is small"));
        let mut at = at.index(size(&stored));
        *within(&mut stored, &mut at).expect("is within") = other;
        let sealed = container::seal(*b"FEAT", 1, &serde_json::to_vec(&stored).expect("is JSON"));
        if let Ok(read) = FeatureProgram::from_bytes(&sealed)
            && let Ok(table) = read.apply(&frame(&train))
        {
            prop_assert!(is_sound(&read, &table));
            let design = LinearDesign::new(read.features());
            let ones = vec![1.0; design.columns().len()];
            let margins = design.margin(&table, &ones, 0.0);
            prop_assert!(margins.len() == train.len() && margins.iter().all(|m| m.is_finite()));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(FeatureProgram::from_bytes(&bytes).is_err());
        prop_assert!(FeatureProgram::from_bytes(&container::seal(*b"FEAT", 1, &bytes)).is_err());
    }
}
