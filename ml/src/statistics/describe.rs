//! Describes columns.

use std::collections::{BTreeSet, HashMap};

use polars::prelude::*;

use super::distinct::{Counter, K};
use super::{
    BINS, ColumnStatistics, Distinct, Numbers, QUANTILES, Statistics, StatisticsError, TOP_VALUES,
    ValueCount, Values,
};
use crate::dataset::{Column as DatasetColumn, ColumnType};

/// Texts longer than this are counted among the others: they are no categories.
const MAX_VALUE_BYTES: usize = 256;

/// Describes the data set's columns. Of columns named in `private` only counts are told: no value, nor anything
/// computed from values.
pub fn describe(
    frame: &DataFrame,
    columns: &[DatasetColumn],
    private: &BTreeSet<String>,
) -> Result<Statistics, StatisticsError> {
    let columns = columns
        .iter()
        .map(|column| {
            let found = frame.column(&column.name).map_err(|e| failed(&column.name, &e))?;
            describe_column(found, column.kind, private.contains(&column.name))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Statistics {
        rows: frame.height() as u64,
        columns,
    })
}

/// Describes one column.
pub fn describe_column(
    column: &Column,
    kind: ColumnType,
    is_private: bool,
) -> Result<ColumnStatistics, StatisticsError> {
    let name = column.name().to_string();
    let wrong = |e: PolarsError| failed(&name, &e);
    let rows = column.len() as u64;
    let (missing, distinct, numbers, values) = match kind {
        ColumnType::Integer | ColumnType::Float | ColumnType::Date | ColumnType::Datetime => {
            let sorted = sorted_numbers(column).map_err(wrong)?;
            let missing = rows - sorted.len() as u64;
            let distinct = Distinct {
                count: distinct_of_sorted(&sorted),
                exact: true,
            };
            (missing, distinct, numbers(&sorted), None)
        }
        ColumnType::Boolean => {
            let values = column.bool().map_err(wrong)?;
            let count_true = values.sum().unwrap_or_default();
            let missing = values.null_count() as u64;
            let counts = [
                ("false", rows - missing - u64::from(count_true)),
                ("true", u64::from(count_true)),
            ];
            let counts: HashMap<&str, u64> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
            let distinct = Distinct {
                count: counts.len() as u64,
                exact: true,
            };
            (missing, distinct, None, Some(top(counts, 0)))
        }
        ColumnType::Text => {
            let (distinct, values) = texts(column).map_err(wrong)?;
            (column.null_count() as u64, distinct, None, values)
        }
    };
    Ok(ColumnStatistics {
        kind,
        rows,
        missing,
        distinct,
        numbers: numbers.filter(|_| !is_private),
        values: values.filter(|_| !is_private),
        name,
    })
}

fn failed(column: &str, error: &PolarsError) -> StatisticsError {
    StatisticsError {
        column: column.to_owned(),
        why: error.to_string(),
    }
}

/// The finite values as floats: dates in days, times in microseconds. Missing and infinite ones are left out.
pub(super) fn finite(column: &Column) -> PolarsResult<Vec<f64>> {
    let physical = match column.dtype() {
        DataType::Float64 => column.clone(),
        _ => column.to_physical_repr().cast(&DataType::Float64)?,
    };
    let values = physical.f64()?;
    let mut finite = Vec::with_capacity(values.len() - values.null_count());
    finite.extend(values.iter().flatten().filter(|value| value.is_finite()));
    Ok(finite)
}

fn sorted_numbers(column: &Column) -> PolarsResult<Vec<f64>> {
    let mut values = finite(column)?;
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}

#[expect(
    clippy::float_cmp,
    reason = "equal means equal to the bit, but for the sign of zero"
)]
fn distinct_of_sorted(sorted: &[f64]) -> u64 {
    let changes = sorted.windows(2).filter(|pair| pair[0] != pair[1]).count();
    (changes + usize::from(!sorted.is_empty())) as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn numbers(sorted: &[f64]) -> Option<Numbers> {
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let n = sorted.len() as f64;
    // Shifted by a value of the column, so that large numbers of small spread keep their digits.
    let shift = sorted[sorted.len() / 2];
    let mean_shifted = sorted.iter().map(|x| x - shift).sum::<f64>() / n;
    let squares = sorted
        .iter()
        .map(|x| (x - shift - mean_shifted).powi(2))
        .sum::<f64>();
    let mut edges: Vec<f64> = (1..BINS)
        .map(|i| quantile(sorted, i as f64 / BINS as f64))
        .collect();
    edges.dedup();
    // The largest value closes the last but one bin, or the last one would be empty for ever.
    edges.retain(|edge| *edge < max);
    let counts = counts_by_bin(sorted, &edges);
    let numbers = Numbers {
        min,
        max,
        mean: shift + mean_shifted,
        sd: if sorted.len() > 1 {
            (squares / (n - 1.0)).sqrt()
        } else {
            0.0
        },
        quantiles: QUANTILES.map(|share| quantile(sorted, share)),
        edges,
        counts,
    };
    // Values near the ends of the range of floats overflow: they cannot be described by a mean.
    (numbers.mean.is_finite() && numbers.sd.is_finite()).then_some(numbers)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place within a slice"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    match below.total_cmp(&above) {
        std::cmp::Ordering::Equal => below,
        _ => below + (above - below) * place.fract(),
    }
}

/// How many values each bin holds: up to and with the first edge, from there to the second, and so on.
pub(super) fn counts_by_bin(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    for value in values {
        counts[edges.partition_point(|edge| edge < value)] += 1;
    }
    counts
}

fn texts(column: &Column) -> PolarsResult<(Distinct, Option<Values>)> {
    let texts = column.str()?;
    let mut counter = Counter::default();
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let mut others = 0;
    let mut is_category = true;
    for text in texts.iter().flatten() {
        counter.add(text.as_bytes());
        if !is_category {
            continue;
        }
        if text.len() > MAX_VALUE_BYTES {
            others += 1;
        } else {
            *counts.entry(text).or_default() += 1;
        }
        if counts.len() > K {
            is_category = false;
            counts = HashMap::new();
        }
    }
    let distinct = counter.distinct();
    // Nearly all different: names, identifiers, free text. Their most frequent ones say nothing.
    let is_category = is_category && !counts.is_empty() && distinct.count * 2 <= texts.len() as u64 + 40;
    Ok((distinct, is_category.then(|| top(counts, others))))
}

fn top(counts: HashMap<&str, u64>, others: u64) -> Values {
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let rest = counts.split_off(counts.len().min(TOP_VALUES));
    Values {
        top: counts
            .into_iter()
            .map(|(value, count)| ValueCount {
                value: value.to_owned(),
                count,
            })
            .collect(),
        others: others + rest.iter().map(|(_, count)| count).sum::<u64>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Role;

    fn column(name: &str, kind: ColumnType) -> DatasetColumn {
        DatasetColumn {
            name: name.to_owned(),
            kind,
            role: Role::Feature,
        }
    }

    #[test]
    fn describes_numbers() {
        let values: Vec<Option<f64>> = (1..=100)
            .map(|i| Some(f64::from(i)))
            .chain([None, Some(f64::NAN), Some(f64::INFINITY)])
            .collect();
        let frame = df!("x" => values).expect("a frame");
        let statistics =
            describe(&frame, &[column("x", ColumnType::Float)], &BTreeSet::new()).expect("describes");
        let x = statistics.column("x").expect("described");
        assert_eq!((x.rows, x.missing, x.distinct.count), (103, 3, 100));
        let numbers = x.numbers.as_ref().expect("numbers");
        assert_eq!((numbers.min, numbers.max, numbers.mean), (1.0, 100.0, 50.5));
        // As numpy 1.26 says: np.std(range(1, 101), ddof=1), np.quantile(range(1, 101), QUANTILES).
        assert!((numbers.sd - 29.011_491_975_882_016).abs() < 1e-12);
        let expected = [1.99, 5.95, 25.75, 50.5, 75.25, 95.05, 99.01];
        for (found, expected) in numbers.quantiles.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(numbers.counts, [10; 10]);
    }

    #[test]
    fn few_values_give_few_bins() {
        let frame = df!("x" => [0i64, 0, 0, 1]).expect("a frame");
        let x = describe(&frame, &[column("x", ColumnType::Integer)], &BTreeSet::new()).expect("describes");
        let numbers = x.columns[0].numbers.clone().expect("numbers");
        assert_eq!(numbers.counts.iter().sum::<u64>(), 4);
        assert!(numbers.edges.iter().all(|edge| (0.0..1.0).contains(edge)));
        let one = df!("x" => [5i64]).expect("a frame");
        let x = describe(&one, &[column("x", ColumnType::Integer)], &BTreeSet::new()).expect("describes");
        let numbers = x.columns[0].numbers.clone().expect("numbers");
        assert_eq!(
            (numbers.sd, numbers.edges.len(), numbers.counts),
            (0.0, 0, vec![1])
        );
    }

    #[test]
    fn describes_texts_and_booleans() {
        let frame = df!(
            "t" => [Some("b"), Some("a"), Some("b"), None],
            "b" => [Some(true), Some(false), None, Some(true)],
        )
        .expect("a frame");
        let columns = [column("t", ColumnType::Text), column("b", ColumnType::Boolean)];
        let statistics = describe(&frame, &columns, &BTreeSet::new()).expect("describes");
        let top = |i: usize| -> Vec<(String, u64)> {
            let values = statistics.columns[i].values.clone().expect("values");
            values.top.into_iter().map(|v| (v.value, v.count)).collect()
        };
        assert_eq!(top(0), [("b".to_owned(), 2), ("a".to_owned(), 1)]);
        assert_eq!(top(1), [("true".to_owned(), 2), ("false".to_owned(), 1)]);
        assert_eq!(statistics.columns[0].missing, 1);
        assert_eq!(statistics.columns[1].missing, 1);
    }

    #[test]
    fn a_column_of_nothing_has_no_figures() {
        let frame = df!("x" => [None::<f64>, None], "t" => [None::<&str>, None]).expect("a frame");
        let columns = [column("x", ColumnType::Float), column("t", ColumnType::Text)];
        let statistics = describe(&frame, &columns, &BTreeSet::new()).expect("describes");
        for column in &statistics.columns {
            assert_eq!((column.missing, column.distinct.count), (2, 0));
            assert_eq!((&column.numbers, &column.values), (&None, &None));
        }
    }

    #[test]
    fn t08_private_values_and_identifiers_are_not_told() {
        let ids: Vec<String> = (0..1_000).map(|i| format!("canary-{i}")).collect();
        let frame = df!("id" => ids, "salary" => vec![1_234.5; 1_000]).expect("a frame");
        let columns = [
            column("id", ColumnType::Text),
            column("salary", ColumnType::Float),
        ];
        let statistics =
            describe(&frame, &columns, &BTreeSet::from(["salary".to_owned()])).expect("describes");
        let text = serde_json::to_string(&statistics).expect("writes");
        assert!(!text.contains("canary") && !text.contains("1234"), "{text}");
        assert_eq!(statistics.columns[0].distinct.count, 1_000);
    }
}
