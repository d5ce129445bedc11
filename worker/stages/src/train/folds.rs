//! Folds of cross-validation.

/// By row: its fold. Rows are shuffled by the seed and dealt out one by one, the rows of each class for themselves, so
/// that all folds have nearly the same size and nearly the same classes. `classes` is 0 for a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "targets are indices of classes"
)]
pub(super) fn deal(target: &[f32], classes: usize, folds: u32, seed: u64) -> Vec<u32> {
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
        fn folds_are_alike(classes in 0usize..4, folds in 2u32..7, rows in 0usize..200, seed: u64) {
            let target: Vec<f32> = (0..rows).map(|row| (row * row % 7 % classes.max(1)) as f32).collect();
            let fold_of = deal(&target, classes, folds, seed);
            prop_assert_eq!(&fold_of, &deal(&target, classes, folds, seed));
            let count = |keep: &dyn Fn(usize) -> bool| {
                let of = |fold| (0..rows).filter(|row| fold_of[*row] == fold && keep(*row)).count();
                let counts: Vec<usize> = (0..folds).map(of).collect();
                counts.iter().max().expect("a fold") - counts.iter().min().expect("a fold")
            };
            prop_assert!(count(&|_| true) <= 1);
            for class in 0..classes {
                prop_assert!(count(&|row| target[row] == class as f32) <= 1);
            }
        }
    }

    #[test]
    fn the_seed_matters() {
        assert_ne!(deal(&[0.0; 50], 0, 5, 1), deal(&[0.0; 50], 0, 5, 2));
    }
}
