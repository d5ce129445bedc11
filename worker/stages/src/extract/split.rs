//! Which rows come into train, validation and test.

use pipeline::spec::stages::{Boundary, Split as How};
use pipeline::stage::StageError;
use polars::prelude::*;

use super::columns::missing;
use super::moments::{self, DAY_US};
use super::order::row_hashes;
use super::read::{did_you_mean, first_line};
use super::shares::{self, share_of};
use crate::flow::{Split, permanent};

/// The rows of each split, in the order in which they are written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) train: Vec<IdxSize>,
    pub(crate) validation: Vec<IdxSize>,
    pub(crate) test: Vec<IdxSize>,
}

impl Parts {
    pub(crate) fn of(&self, split: Split) -> &[IdxSize] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

/// For a split by time: each row's point in time, as a number that grows with it.
pub(crate) fn times(frame: &DataFrame, how: &How) -> Result<Option<Vec<i64>>, StageError> {
    let How::Time { column: name, .. } = how else {
        return Ok(None);
    };
    let failed = |e: PolarsError| permanent(first_line(&e));
    let column = named(frame, name)?;
    if let Some((first, count)) = missing(column).map_err(failed)? {
        return Err(permanent(format!(
            "split: column {name:?} has no value in {count} rows, the first of them row {first}: leave them out in `sql`"
        )));
    }
    let keys = match column.dtype() {
        DataType::Int64 => column.i64().map_err(failed)?.iter().flatten().collect(),
        DataType::Float64 => column
            .f64()
            .map_err(failed)?
            .iter()
            .flatten()
            .map(ordered)
            .collect(),
        DataType::Date => {
            let days = column.cast(&DataType::Int64).map_err(failed)?;
            days.i64()
                .map_err(failed)?
                .iter()
                .flatten()
                .map(|d| d * DAY_US)
                .collect()
        }
        DataType::Datetime(_, _) => {
            let us = column.cast(&DataType::Int64).map_err(failed)?;
            us.i64().map_err(failed)?.iter().flatten().collect()
        }
        _ => {
            return Err(permanent(format!(
                "split: column {name:?} holds no dates, times or numbers: CAST it in `sql`, or say its type in the source's `types`"
            )));
        }
    };
    Ok(Some(keys))
}

/// Divides the rows. `order` is the order of all rows, by time if `times` are given.
pub(crate) fn divide(
    frame: &DataFrame,
    how: &How,
    order: &[IdxSize],
    times: Option<&[i64]>,
    seed: u64,
) -> Result<Parts, StageError> {
    let parts = match how {
        How::Random { validation, test } => shares::at_random(frame, order, [*validation, *test], seed)?,
        How::Hash {
            columns,
            validation,
            test,
        } => by_hash(frame, columns, order, *validation, *test)?,
        How::Time {
            column,
            validation,
            test,
        } => {
            let times = times.unwrap_or_default();
            let ordered: Vec<i64> = order.iter().map(|i| times[*i as usize]).collect();
            let kind = named(frame, column)?.dtype();
            let test_from = boundary(&ordered, ordered.len(), test, kind, "test")?;
            let validation_from = boundary(&ordered, test_from, validation, kind, "validation")?;
            if validation_from > test_from {
                return Err(permanent(
                    "split: validation begins after test: the order is train, validation, test",
                ));
            }
            Parts {
                train: order[..validation_from].to_vec(),
                validation: order[validation_from..test_from].to_vec(),
                test: order[test_from..].to_vec(),
            }
        }
    };
    for split in Split::ALL {
        if parts.of(split).is_empty() {
            return Err(permanent(format!(
                "split: {} gets none of the {} rows: {}",
                split.name(),
                order.len(),
                match how {
                    How::Random { .. } => "there are too few rows, or its share is too small",
                    How::Hash { .. } => "its share is too small, or the columns have too few values",
                    How::Time { .. } => "move the boundaries, or look whether the column has enough values",
                }
            )));
        }
    }
    Ok(parts)
}

fn named<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Column, StageError> {
    let names: Vec<&str> = frame.get_column_names().iter().map(|n| n.as_str()).collect();
    frame.column(name).map_err(|_| {
        permanent(format!(
            "split: there is no column {name:?}{}",
            did_you_mean(name, &names)
        ))
    })
}

/// A float's bits as an integer of the same order.
fn ordered(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits().cast_signed();
    if bits < 0 { i64::MIN - bits } else { bits }
}

/// By a hash that does not depend on the seed: a row stays where it is in the next run.
fn by_hash(
    frame: &DataFrame,
    columns: &[String],
    order: &[IdxSize],
    validation: f64,
    test: f64,
) -> Result<Parts, StageError> {
    for name in columns {
        named(frame, name)?;
    }
    let hashes = row_hashes(frame, columns, 0).map_err(|e| permanent(first_line(&e)))?;
    let mut parts = Parts {
        train: Vec::new(),
        validation: Vec::new(),
        test: Vec::new(),
    };
    for row in order {
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let place = (hashes[*row as usize] >> 11) as f64 / 9_007_199_254_740_992.0;
        let part = if place < test {
            &mut parts.test
        } else if place < test + validation {
            &mut parts.validation
        } else {
            &mut parts.train
        };
        part.push(*row);
    }
    Ok(parts)
}

/// The first place, among ordered times, of the part that ends before `end`.
fn boundary(
    times: &[i64],
    end: usize,
    at: &Boundary,
    kind: &DataType,
    part: &str,
) -> Result<usize, StageError> {
    match at {
        Boundary::At(text) => {
            let key = key_of(text, kind).ok_or_else(|| {
                permanent(format!(
                    "split.{part}: {text:?} is not {}",
                    match kind {
                        DataType::Date => "a date such as 2013-11-01, as the column holds",
                        DataType::Datetime(_, _) =>
                            "a date or time such as 2013-11-01 or 2013-11-01T00:00:00Z",
                        _ => "a number, as the column holds",
                    }
                ))
            })?;
            Ok(times.partition_point(|time| *time < key))
        }
        Boundary::Share(share) => {
            let wanted = end.saturating_sub(share_of(times.len(), *share));
            if wanted == 0 || wanted >= end {
                return Ok(wanted);
            }
            // Equal times stay together: the nearer end of their stretch.
            let time = times[wanted];
            let begin = times.partition_point(|t| *t < time);
            let after = times.partition_point(|t| *t <= time);
            match begin == 0 || (after - wanted < wanted - begin && after < end) {
                true => Ok(after),
                false => Ok(begin),
            }
        }
    }
}

fn key_of(text: &str, kind: &DataType) -> Option<i64> {
    let us = || moments::datetime(text.trim().as_bytes());
    match kind {
        DataType::Date => us().filter(|us| us % DAY_US == 0),
        DataType::Datetime(_, _) => us(),
        DataType::Int64 => text.trim().parse().ok(),
        _ => text.trim().parse().ok().map(ordered),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::order::{by_keys, indices};
    use super::*;

    fn sizes(parts: &Parts) -> [usize; 3] {
        Split::ALL.map(|split| parts.of(split).len())
    }

    fn days(texts: &[&str]) -> DataFrame {
        let days: Vec<i32> = texts
            .iter()
            .map(|t| moments::date(t.as_bytes()).expect("a date"))
            .collect();
        let days = Int32Chunked::from_vec("day".into(), days).into_date();
        DataFrame::new(texts.len(), vec![days.into_column()]).expect("a frame")
    }

    fn by_time(frame: &DataFrame, validation: Boundary, test: Boundary) -> Result<Parts, StageError> {
        let how = How::Time {
            column: "day".into(),
            validation,
            test,
        };
        let times = times(frame, &how)?.expect("by time");
        divide(frame, &how, &by_keys(&times), Some(&times), 0)
    }

    const DAYS: [&str; 6] = [
        "2013-03-01",
        "2013-01-01",
        "2013-02-01",
        "2013-01-01",
        "2013-02-01",
        "2013-04-01",
    ];

    #[test]
    fn by_time_train_is_the_past() {
        let at = |text: &str| Boundary::At(text.to_owned());
        let parts = by_time(&days(&DAYS), at("2013-02-01"), at("2013-03-01T00:00:00Z")).expect("splits");
        assert_eq!(
            parts,
            Parts {
                train: vec![1, 3],
                validation: vec![2, 4],
                test: vec![0, 5]
            }
        );
    }

    #[test]
    fn a_number_that_grows_with_time_has_numbers_as_boundaries() {
        let at = |text: &str| Boundary::At(text.to_owned());
        for frame in [
            df!("day" => [2016i64, 2013, 2015, 2014]).expect("a frame"),
            df!("day" => [2016.0, 2013.0, 2015.0, 2014.0]).expect("a frame"),
        ] {
            let parts = by_time(&frame, at("2015"), at("2016")).expect("splits");
            assert_eq!((parts.validation, parts.test), (vec![2], vec![0]));
        }
    }

    #[test]
    fn equal_times_stay_together() {
        let parts = by_time(&days(&DAYS), Boundary::Share(0.2), Boundary::Share(0.3)).expect("splits");
        assert_eq!(
            sizes(&parts),
            [2, 2, 2],
            "20 % of 6 would cut the first of February in two"
        );
    }

    #[test]
    fn says_which_part_is_empty() {
        let at = |text: &str| Boundary::At(text.to_owned());
        for (validation, test, words) in [
            (at("2013-02-01"), at("2020-01-01"), "test gets none of the 6 rows"),
            (at("2013-03-01"), at("2013-03-01"), "validation gets none"),
            (at("2012-01-01"), at("2013-03-01"), "train gets none"),
            (at("2013-04-01"), at("2013-03-01"), "validation begins after test"),
            (
                at("yesterday"),
                at("2013-03-01"),
                "split.validation: \"yesterday\" is not a date",
            ),
        ] {
            let refused = by_time(&days(&DAYS), validation, test)
                .expect_err(words)
                .to_string();
            assert!(refused.contains(words), "{refused}");
        }
        let text = df!("day" => ["a", "b"]).expect("a frame");
        let refused = by_time(&text, Boundary::Share(0.2), Boundary::Share(0.2))
            .expect_err("a text")
            .to_string();
        assert!(refused.contains("holds no dates"), "{refused}");
    }

    #[test]
    fn floats_keep_their_order() {
        let values = [f64::NEG_INFINITY, -2.5, -0.0, 1e-300, 3.0, f64::INFINITY];
        assert!(values.map(ordered).is_sorted());
        assert_eq!(ordered(0.0), ordered(-0.0));
    }

    proptest! {
        /// A row's part depends on its own values only.
        #[test]
        fn by_hash_a_row_stays_where_it_is(values in proptest::collection::vec(0i64..40, 5..60)) {
            let part_of = |values: &[i64]| -> Vec<&'static str> {
                let frame = df!("id" => values).expect("a frame");
                let parts = by_hash(&frame, &["id".to_owned()], &indices(values.len()), 0.3, 0.3).expect("splits");
                let mut of = vec![""; values.len()];
                for split in Split::ALL {
                    for row in parts.of(split) {
                        of[*row as usize] = split.name();
                    }
                }
                of
            };
            let all = part_of(&values);
            prop_assert_eq!(&all[..4], &part_of(&values[..4])[..]);
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    prop_assert!(a != b || all[i] == all[j]);
                }
            }
        }
    }
}
