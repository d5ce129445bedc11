//! Folds of cross-validation: as rows were split, so that a fold's figures are of what test will be like.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What decides which fold a row is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    /// The seed.
    #[default]
    Random,
    /// The columns by whose hash rows were split: what is equal in them is in one fold.
    Group,
    /// The column by which rows were split: a fold is predicted by what comes before it.
    Time,
}

/// Which rows each fold's model learns from, and on which it is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folds {
    pub(super) by: By,
    /// How many folds there are: no more than there are rows, groups or points in time for.
    pub(super) count: u32,
    /// By row: its fold; by time, one more, since nothing comes before the first rows.
    of: Vec<u32>,
}

impl Folds {
    /// Rows are shuffled by the seed and dealt out one by one, the rows of each class for themselves, so that all folds
    /// have nearly the same size and nearly the same classes. `classes` is 0 for a number.
    pub(super) fn at_random(target: &[f32], classes: usize, folds: u32, seed: u64) -> Self {
        let count = at_most(folds, target.len());
        Self {
            by: By::Random,
            count,
            of: deal(target, classes, count, seed),
        }
    }

    /// Rows of the same hash are in one fold. The largest groups go first, each into the fold that has the fewest rows
    /// so far. If every row is a group of its own they are dealt out like any others.
    pub(super) fn of_groups(hashes: &[u64], target: &[f32], classes: usize, folds: u32, seed: u64) -> Self {
        let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (row, hash) in hashes.iter().enumerate() {
            groups.entry(*hash).or_default().push(row);
        }
        if groups.len() == hashes.len() {
            return Self {
                by: By::Group,
                ..Self::at_random(target, classes, folds, seed)
            };
        }
        let count = at_most(folds, groups.len());
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
        let mut of = vec![0; hashes.len()];
        let mut sizes: Vec<(usize, u32)> = (0..count).map(|fold| (0, fold)).collect();
        for rows in groups {
            let Some(smallest) = sizes.iter_mut().min() else {
                break;
            };
            smallest.0 += rows.len();
            for row in rows {
                of[row] = smallest.1;
            }
        }
        Self {
            by: By::Group,
            count,
            of,
        }
    }

    /// Stretches of time of nearly the same size; rows of one point in time stay together. The first stretch is only
    /// learned from.
    pub(super) fn in_time(times: &[i64], folds: u32) -> Self {
        let rows = times.len();
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|row| times[*row]);
        let stretches = folds as usize + 1;
        let mut of = vec![0; rows];
        let (mut begin, mut last, mut number) = (0, None, 0);
        for alike in order.chunk_by(|a, b| times[*a] == times[*b]) {
            // By the middle of what stays together.
            let stretch = (2 * begin + alike.len()) * stretches / (2 * rows);
            if last.is_some_and(|last| last != stretch) {
                number += 1;
            }
            last = Some(stretch);
            for row in alike {
                of[*row] = number;
            }
            begin += alike.len();
        }
        Self {
            by: By::Time,
            count: number,
            of,
        }
    }

    /// Whether the fold's model learns from the row.
    pub(super) fn learns(&self, row: usize, fold: u32) -> bool {
        match self.by {
            By::Random | By::Group => self.of[row] != fold,
            By::Time => self.of[row] <= fold,
        }
    }

    /// The rows that the fold's model is measured on.
    pub(super) fn measured(&self, fold: u32) -> Vec<usize> {
        let wanted = match self.by {
            By::Random | By::Group => fold,
            By::Time => fold + 1,
        };
        (0..self.of.len()).filter(|row| self.of[*row] == wanted).collect()
    }
}

fn at_most(folds: u32, most: usize) -> u32 {
    u32::try_from(most).map_or(folds, |most| folds.min(most))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "targets are indices of classes"
)]
fn deal(target: &[f32], classes: usize, folds: u32, seed: u64) -> Vec<u32> {
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); classes.max(1)];
    for (row, y) in target.iter().enumerate() {
        let class = if classes == 0 { 0 } else { *y as usize };
        of_class[class].push(row);
    }
    let mut words = SplitMix(seed);
    let mut fold_of = vec![0; target.len()];
    let mut next = 0;
    for rows in &mut of_class {
        // Fisher and Yates, as Durstenfeld wrote it down (algorithm 235, 1964).
        for at in (1..rows.len()).rev() {
            rows.swap(at, words.below(at + 1));
        }
        for row in rows.iter() {
            fold_of[*row] = next;
            next = (next + 1) % folds;
        }
    }
    fold_of
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct SplitMix(u64);

impl SplitMix {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// From 0 to below `end`; the bias is that of 64 bits, far below one in a billion.
    fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.word()) * end as u128;
        usize::try_from(wide >> 64).expect("below `end`, which is a usize")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn folds_are_alike(classes in 0usize..4, folds in 2u32..7, rows in 7usize..200, seed: u64) {
            let target: Vec<f32> = (0..rows).map(|row| (row * row % 7 % classes.max(1)) as f32).collect();
            let dealt = Folds::at_random(&target, classes, folds, seed);
            prop_assert_eq!(&dealt, &Folds::at_random(&target, classes, folds, seed));
            let count = |keep: &dyn Fn(usize) -> bool| {
                let of = |fold| dealt.measured(fold).into_iter().filter(|row| keep(*row)).count();
                let counts: Vec<usize> = (0..folds).map(of).collect();
                counts.iter().max().expect("a fold") - counts.iter().min().expect("a fold")
            };
            prop_assert!(count(&|_| true) <= 1);
            for class in 0..classes {
                prop_assert!(count(&|row| target[row] == class as f32) <= 1);
            }
        }

        #[test]
        fn a_group_is_never_on_both_sides(hashes in proptest::collection::vec(0u64..30, 2..200), folds in 2u32..7) {
            let target = vec![0.0; hashes.len()];
            let found = Folds::of_groups(&hashes, &target, 0, folds, 1);
            let mut all = Vec::new();
            for fold in 0..found.count {
                let out = found.measured(fold);
                prop_assert!(!out.is_empty());
                for row in 0..hashes.len() {
                    let is_out = out.iter().any(|out| hashes[*out] == hashes[row]);
                    prop_assert_eq!(found.learns(row, fold), !is_out);
                }
                all.extend(out);
            }
            all.sort_unstable();
            prop_assert_eq!(all, (0..hashes.len()).collect::<Vec<_>>());
        }

        #[test]
        fn only_the_past_is_learned_from(times in proptest::collection::vec(0i64..60, 2..200), folds in 2u32..7) {
            let found = Folds::in_time(&times, folds);
            prop_assert!(found.count <= folds);
            let mut before = 0;
            for fold in 0..found.count {
                let out = found.measured(fold);
                let first = out.iter().map(|row| times[*row]).min().expect("rows");
                let learned: Vec<usize> = (0..times.len()).filter(|row| found.learns(*row, fold)).collect();
                prop_assert!(learned.iter().all(|row| times[*row] < first));
                prop_assert!(learned.len() > before, "the windows grow");
                before = learned.len();
            }
        }
    }

    #[test]
    fn the_seed_matters() {
        let with = |seed| Folds::at_random(&[0.0; 50], 0, 5, seed);
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn there_are_no_more_folds_than_rows_groups_or_times_for_them() {
        assert_eq!(Folds::at_random(&[0.0, 1.0, 0.0], 2, 5, 1).count, 3);
        assert_eq!(Folds::of_groups(&[1, 1, 2, 2, 2], &[0.0; 5], 0, 5, 1).count, 2);
        assert_eq!(Folds::in_time(&[3, 3, 4, 4], 5).count, 1);
        assert_eq!(Folds::in_time(&[3, 3], 5).count, 0);
        let evenly = Folds::in_time(&(0..12).collect::<Vec<i64>>(), 3);
        assert_eq!((evenly.count, evenly.measured(0)), (3, vec![3, 4, 5]));
    }
}
