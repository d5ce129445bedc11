//! A split at random: exact shares, and a row that stays where it is when others come.

use pipeline::stage::StageError;
use polars::prelude::*;

use super::order::{indices, mix, steady_hashes};
use super::read::first_line;
use super::split::Parts;
use crate::flow::permanent;

/// How many rows a share is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "shares are between 0 and 1, and counts below 2^32"
)]
pub(super) fn share_of(rows: usize, share: f64) -> usize {
    ((rows as f64 * share.clamp(0.0, 1.0)).round() as usize).min(rows)
}

/// The rows are drawn by a hash of the seed and of their values, and cut at the shares: first test, then validation, the
/// rest is train. Rows that are equal in all values are told apart by how many of them came before. Other rows therefore
/// move only the cuts, and a row that is not near one keeps its part. Each part keeps the order that it had.
pub(super) fn at_random(
    frame: &DataFrame,
    order: &[IdxSize],
    [validation, test]: [f64; 2],
    seed: u64,
) -> Result<Parts, StageError> {
    let rows = order.len();
    let test_rows = share_of(rows, test);
    let validation_rows = share_of(rows, validation).min(rows - test_rows);
    let mut names: Vec<String> = frame.get_column_names().iter().map(|n| n.to_string()).collect();
    // In whatever order the columns are.
    names.sort_unstable();
    let mut draws = steady_hashes(frame, &names, mix(seed ^ 0x5d4e_6f0c_11a7_3b29))
        .map_err(|e| permanent(first_line(&e)))?;
    let mut places = indices(rows);
    let by_draw = |places: &mut [IdxSize], draws: &[u64]| {
        places.sort_unstable_by_key(|place| (draws[order[*place as usize] as usize], *place));
    };
    by_draw(&mut places, &draws);
    if tell_apart(&places, order, &mut draws) {
        by_draw(&mut places, &draws);
    }
    let part = |mut places: Vec<IdxSize>| {
        places.sort_unstable();
        places.into_iter().map(|place| order[place as usize]).collect()
    };
    let train = places.split_off(test_rows + validation_rows);
    let validation = places.split_off(test_rows);
    Ok(Parts {
        train: part(train),
        validation: part(validation),
        test: part(places),
    })
}

/// Gives a draw of its own to each but the first of equal ones; true if there are any.
fn tell_apart(places: &[IdxSize], order: &[IdxSize], draws: &mut [u64]) -> bool {
    let (mut before, mut count) = (None, 0u64);
    let mut has_equal = false;
    for place in places {
        let draw = &mut draws[order[*place as usize] as usize];
        if before == Some(*draw) {
            count += 1;
            *draw = mix(*draw ^ mix(count));
            has_equal = true;
        } else {
            (before, count) = (Some(*draw), 0);
        }
    }
    has_equal
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::flow::Split;

    fn split(values: &[i64], [validation, test]: [f64; 2], seed: u64) -> Parts {
        let frame = df!("a" => values, "b" => vec!["x"; values.len()]).expect("a frame");
        at_random(&frame, &indices(values.len()), [validation, test], seed).expect("splits")
    }

    fn numbered(rows: i64) -> Vec<i64> {
        (0..rows).collect()
    }

    /// By part: which values it has, and how often.
    fn contents(parts: &Parts, values: &[i64]) -> [BTreeMap<i64, usize>; 3] {
        Split::ALL.map(|split| {
            let mut counts = BTreeMap::new();
            for row in parts.of(split) {
                *counts.entry(values[*row as usize]).or_default() += 1;
            }
            counts
        })
    }

    #[test]
    fn parts_have_exact_sizes_and_depend_on_the_seed() {
        let values = numbered(1_000);
        let one = split(&values, [0.15, 0.15], 7);
        assert_eq!(Split::ALL.map(|split| one.of(split).len()), [700, 150, 150]);
        assert_eq!(one, split(&values, [0.15, 0.15], 7));
        assert_ne!(one, split(&values, [0.15, 0.15], 8));
        assert!(one.train.is_sorted() && one.test.is_sorted());
    }

    #[test]
    fn equal_rows_are_drawn_one_by_one() {
        let parts = split(&[5; 1_000], [0.15, 0.15], 7);
        assert_eq!(Split::ALL.map(|split| parts.of(split).len()), [700, 150, 150]);
        let first: BTreeSet<IdxSize> = parts.test.iter().copied().filter(|row| *row < 500).collect();
        assert!((40..110).contains(&first.len()), "{}", first.len());
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_part(values in proptest::collection::vec(0i64..90, 20..400), validation in 0.05f64..0.4, test in 0.05f64..0.4, seed: u64) {
            let parts = split(&values, [validation, test], seed);
            let mut all: Vec<IdxSize> = Split::ALL.iter().flat_map(|s| parts.of(*s).to_vec()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, indices(values.len()));
            prop_assert_eq!(parts.test.len(), share_of(values.len(), test));
        }

        /// At each of the two cuts at most as many rows cross as came, and one for the rounding of the share.
        #[test]
        fn rows_that_come_move_few_others(
            values in proptest::collection::vec(0i64..300, 50..300),
            more in proptest::collection::vec(0i64..300, 1..20),
            seed: u64,
        ) {
            let shares = [0.2, 0.3];
            let before = contents(&split(&values, shares, seed), &values);
            let all = [values, more.clone()].concat();
            let after = contents(&split(&all, shares, seed), &all);
            let gone: usize = (0..3)
                .flat_map(|part| before[part].iter().map(move |(value, count)| (part, value, *count)))
                .map(|(part, value, count)| count.saturating_sub(after[part].get(value).copied().unwrap_or_default()))
                .sum();
            prop_assert!(gone <= 2 * (more.len() + 1), "{} rows came, {} crossed", more.len(), gone);
        }

        #[test]
        fn the_same_rows_in_another_order_give_the_same_parts(
            values in proptest::collection::vec(0i64..60, 20..200).prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
            seed: u64,
        ) {
            let (one, other) = values;
            let shares = [0.2, 0.3];
            prop_assert_eq!(
                contents(&split(&one, shares, seed), &one),
                contents(&split(&other, shares, seed), &other)
            );
        }
    }
}
