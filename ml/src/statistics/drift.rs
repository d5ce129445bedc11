//! How far a column's values are from a description of others.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::describe::{counts_by_bin, finite};
use super::{ColumnStatistics, StatisticsError, Values};
use crate::dataset::ColumnType;

/// From here on a move is worth a look, by the usual rule (Siddiqi, "Credit Risk Scorecards", Wiley 2006).
pub const SMALL_PSI: f64 = 0.1;
/// From here on a model is probably no longer fit for the data, by the same rule.
pub const LARGE_PSI: f64 = 0.25;
/// Stands for an empty bin's share, whose logarithm would be infinite.
const LEAST_SHARE: f64 = 1e-4;

/// The population stability index of two divisions of rows into the same bins: the sum over all bins of
/// `(a - b) ln(a / b)`, where a and b are the bin's shares of the rows. It is the Kullback-Leibler divergence in both
/// directions (Yurdakul, "Statistical properties of population stability index", Western Michigan University 2018).
/// A share below 0.0001 counts as that. None if either side has no rows.
///
/// # Panics
///
/// If the two have different numbers of bins.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub fn psi(before: &[u64], now: &[u64]) -> Option<f64> {
    assert_eq!(before.len(), now.len(), "the bins are the same");
    let (sum_before, sum_now) = (before.iter().sum::<u64>(), now.iter().sum::<u64>());
    if sum_before == 0 || sum_now == 0 {
        return None;
    }
    let share = |count: u64, sum: u64| (count as f64 / sum as f64).max(LEAST_SHARE);
    let bins = before
        .iter()
        .zip(now)
        .map(|(before, now)| (share(*before, sum_before), share(*now, sum_now)));
    Some(
        bins.map(|(before, now)| (now - before) * (now / before).ln())
            .sum(),
    )
}

/// The population stability index between a described column and other values of it. The bins are those of the
/// description, or its values, and one more for missing values; of a column that had one value, what is below it, at it
/// and above it. None for points in time, which always move on, and for
/// columns of which nothing was described: private ones and identifiers.
pub fn drift(before: &ColumnStatistics, now: &Column) -> Result<Option<f64>, StatisticsError> {
    let failed = |e: PolarsError| StatisticsError {
        column: before.name.clone(),
        why: e.to_string(),
    };
    if matches!(before.kind, ColumnType::Date | ColumnType::Datetime) {
        return Ok(None);
    }
    let (mut then, mut counts) = match (&before.numbers, &before.values) {
        // One value leaves no edge that could tell it from others.
        (Some(numbers), _) if numbers.min.total_cmp(&numbers.max).is_eq() => {
            let values = finite(now).map_err(failed)?;
            let count = numbers.counts.iter().sum();
            (vec![0, count, 0], counts_around(&values, numbers.min))
        }
        (Some(numbers), _) => {
            let values = finite(now).map_err(failed)?;
            (numbers.counts.clone(), counts_by_bin(&values, &numbers.edges))
        }
        (None, Some(values)) => (
            values
                .top
                .iter()
                .map(|v| v.count)
                .chain([values.others])
                .collect(),
            counts_by_value(now, values).map_err(failed)?,
        ),
        // All was missing: whatever is there now is new.
        (None, None) if before.rows > 0 && before.missing == before.rows => {
            (vec![0], vec![(now.len() - now.null_count()) as u64])
        }
        (None, None) => return Ok(None),
    };
    let present: u64 = counts.iter().sum();
    then.push(before.missing);
    counts.push(now.len() as u64 - present);
    Ok(psi(&then, &counts))
}

/// How many values are below, at and above a value; what differs from it in the last digits only is at it.
fn counts_around(values: &[f64], value: f64) -> Vec<u64> {
    let width = value.abs() * 1e-12;
    let mut counts = vec![0; 3];
    for x in values {
        counts[usize::from(*x >= value - width) + usize::from(*x > value + width)] += 1;
    }
    counts
}

/// How many rows have each of the values, in their order, and how many have another.
fn counts_by_value(column: &Column, values: &Values) -> PolarsResult<Vec<u64>> {
    let places: BTreeMap<&str, usize> = values
        .top
        .iter()
        .enumerate()
        .map(|(place, value)| (value.value.as_str(), place))
        .collect();
    let mut counts = vec![0; values.top.len() + 1];
    let texts = column.cast(&DataType::String)?;
    for text in texts.str()?.iter().flatten() {
        counts[places.get(text).copied().unwrap_or(values.top.len())] += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::describe_column;
    use super::*;

    #[test]
    fn known_answers() {
        // By hand: (0.4 - 0.5) ln(0.4 / 0.5) + (0.6 - 0.5) ln(0.6 / 0.5).
        let index = psi(&[50, 50], &[40, 60]).expect("rows");
        assert!((index - 0.040_546_510_810_816_44).abs() < 1e-12, "{index}");
        assert_eq!(psi(&[0, 0], &[1, 1]), None);
        // An empty bin: (0.0001 - 0.5) ln(0.0001 / 0.5) + (1 - 0.5) ln(1 / 0.5).
        let index = psi(&[1, 1], &[0, 1]).expect("rows");
        assert!((index - 4.604_318_458_8).abs() < 1e-6, "{index}");
    }

    fn drifted(before: Column, now: &Column, kind: ColumnType) -> f64 {
        let before = describe_column(&before, kind, false).expect("describes");
        drift(&before, now).expect("compares").expect("has an index")
    }

    #[test]
    fn moved_numbers_missing_values_and_new_texts_are_seen() {
        let numbers: Vec<f64> = (0..1_000).map(f64::from).collect();
        let column = |values: &[f64]| Column::new("x".into(), values);
        let same = drifted(column(&numbers), &column(&numbers), ColumnType::Float);
        assert!(same.abs() < 1e-12, "{same}");
        let moved: Vec<f64> = numbers.iter().map(|x| x + 300.0).collect();
        assert!(drifted(column(&numbers), &column(&moved), ColumnType::Float) > LARGE_PSI);
        let holed: Vec<f64> = numbers
            .iter()
            .map(|x| if x % 5.0 == 0.0 { f64::NAN } else { *x })
            .collect();
        assert!(drifted(column(&numbers), &column(&holed), ColumnType::Float) > LARGE_PSI);
        let texts = Column::new("t".into(), ["a", "b"].repeat(50));
        let others = Column::new("t".into(), ["a", "c"].repeat(50));
        assert!(drifted(texts.clone(), &others, ColumnType::Text) > LARGE_PSI);
        assert!(drifted(texts.clone(), &texts, ColumnType::Text).abs() < 1e-12);
    }

    #[test]
    fn a_constant_that_changes_is_seen() {
        let column = |value: f64| Column::new("x".into(), [value; 50]);
        for value in [0.0, 0.1 + 0.2, -7.0, 1e300] {
            let same = drifted(column(value), &column(value), ColumnType::Float);
            assert!(same.abs() < 1e-12, "{value}: {same}");
            for other in [value.mul_add(1.5, 1.0), value.mul_add(0.5, -1.0)] {
                let index = drifted(column(value), &column(other), ColumnType::Float);
                assert!(index > LARGE_PSI, "{value} {other}: {index}");
            }
        }
    }

    proptest! {
        #[test]
        fn is_symmetric_and_never_negative(bins in proptest::collection::vec((0u64..1_000, 0u64..1_000), 1..12)) {
            let (a, b): (Vec<u64>, Vec<u64>) = bins.into_iter().unzip();
            match (psi(&a, &b), psi(&b, &a)) {
                (Some(there), Some(back)) => {
                    prop_assert!(there >= 0.0);
                    prop_assert!((there - back).abs() < 1e-9);
                }
                (there, back) => prop_assert_eq!(there, back),
            }
        }
    }
}
