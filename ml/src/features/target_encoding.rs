//! Target encoding: the label's smoothed mean in each category.

use super::MISSING;

/// How many parts train is cut into: the rows of each are encoded by what the others say.
const FOLDS: usize = 5;

/// The encoding of each category by one number, for new rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Encoding {
    /// By code.
    pub(super) levels: Vec<f32>,
    /// Of what has no code.
    pub(super) missing: f32,
}

impl Encoding {
    pub(super) fn of(&self, code: u32) -> f32 {
        match code {
            MISSING => self.missing,
            code => self.levels[code as usize],
        }
    }
}

/// What is added up of the rows of one category. The label's overall mean is subtracted first, so that sums of squares
/// lose nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: f64,
    y: f64,
    yy: f64,
}

impl Sums {
    fn add(&mut self, y: f64) {
        self.n += 1.0;
        self.y += y;
        self.yy += y * y;
    }

    fn less(self, other: Self) -> Self {
        Self {
            n: self.n - other.n,
            y: self.y - other.y,
            yy: self.yy - other.yy,
        }
    }

    fn mean(self) -> f64 {
        if self.n > 0.0 { self.y / self.n } else { 0.0 }
    }

    /// Of the population.
    fn variance(self) -> f64 {
        if self.n > 0.0 {
            (self.yy / self.n - self.mean().powi(2)).max(0.0)
        } else {
            0.0
        }
    }

    /// The category's mean, drawn to that of `all` the more the fewer rows it has: with `n` rows, `σ²` the label's
    /// variance within the category and `τ²` its variance in all,
    ///
    /// `λ · mean + (1 - λ) · mean of all, λ = n τ² / (σ² + n τ²)`
    ///
    /// (the empirical Bayes estimate of D. Micci-Barreca, A preprocessing scheme for high-cardinality categorical
    /// attributes in classification and prediction problems, SIGKDD Explorations 3(1), 2001; scikit-learn's
    /// `TargetEncoder` with `smooth="auto"` does the same).
    fn smoothed(self, all: Self) -> f64 {
        let between = all.variance() * self.n;
        let both = self.variance() + between;
        let lambda = if both > 0.0 { between / both } else { 0.0 };
        lambda * self.mean() + (1.0 - lambda) * all.mean()
    }
}

/// The sums of each category, and of all. What is missing is a category of its own, the last.
struct Table {
    levels: Vec<Sums>,
    all: Sums,
}

impl Table {
    fn new(levels: usize) -> Self {
        Self {
            levels: vec![Sums::default(); levels + 1],
            all: Sums::default(),
        }
    }

    fn add(&mut self, code: u32, y: f64) {
        let at = self.at(code);
        self.levels[at].add(y);
        self.all.add(y);
    }

    fn at(&self, code: u32) -> usize {
        match code {
            MISSING => self.levels.len() - 1,
            code => code as usize,
        }
    }

    fn less(&self, other: &Self) -> Self {
        let levels = self.levels.iter().zip(&other.levels);
        Self {
            levels: levels.map(|(a, b)| a.less(*b)).collect(),
            all: self.all.less(other.all),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a mean of f32 values is one, up to rounding"
    )]
    fn encoding(&self, mean: f64) -> Encoding {
        let mut levels: Vec<f32> = self
            .levels
            .iter()
            .map(|sums| (sums.smoothed(self.all) + mean) as f32)
            .collect();
        let missing = levels.pop().unwrap_or_default();
        Encoding { levels, missing }
    }
}

/// The encoding for new rows, by all of train; and train's own values, each by the folds that its row is not in.
/// Otherwise a rare category's number would give the label of its rows away.
///
/// `codes` are below `levels` or missing; `y` is the label by row. Folds are drawn from `seed`.
#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 rows")]
pub(super) fn fit(codes: &[u32], levels: usize, y: impl Fn(usize) -> f64, seed: u64) -> (Encoding, Vec<f32>) {
    let rows = codes.len();
    let mean = (0..rows).map(&y).sum::<f64>() / rows.max(1) as f64;
    let fold_of = folds(rows, seed);
    let mut folds: Vec<Table> = (0..FOLDS).map(|_| Table::new(levels)).collect();
    let mut whole = Table::new(levels);
    for (row, (code, fold)) in codes.iter().zip(&fold_of).enumerate() {
        let y = y(row) - mean;
        folds[usize::from(*fold)].add(*code, y);
        whole.add(*code, y);
    }
    let others: Vec<Encoding> = folds.iter().map(|fold| whole.less(fold).encoding(mean)).collect();
    let values = codes
        .iter()
        .zip(&fold_of)
        .map(|(code, fold)| others[usize::from(*fold)].of(*code))
        .collect();
    (whole.encoding(mean), values)
}

/// A fold for each row, all equally large but for one row: shuffled (Fisher and Yates) by SplitMix64 (Steele, Lea,
/// Flood: Fast splittable pseudorandom number generators, 2014).
fn folds(rows: usize, seed: u64) -> Vec<u8> {
    let mut folds: Vec<u8> = (0..FOLDS as u8).cycle().take(rows).collect();
    let mut state = seed;
    for last in (1..rows).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        // The high half of the product: even enough, as there are far fewer rows than words.
        let at = (u128::from(word) * (last as u128 + 1)) >> 64;
        folds.swap(last, usize::try_from(at).expect("at most a row's index"));
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_equally_large_and_follow_from_the_seed() {
        let drawn = folds(1_003, 7);
        let mut sizes = [0; FOLDS];
        drawn.iter().for_each(|fold| sizes[usize::from(*fold)] += 1);
        assert_eq!(sizes, [201, 201, 201, 200, 200]);
        assert_eq!(drawn, folds(1_003, 7));
        assert_ne!(drawn, folds(1_003, 8));
        assert_ne!(drawn[..10], [0, 1, 2, 3, 4, 0, 1, 2, 3, 4], "they are shuffled");
    }

    /// By hand: all have mean 0.5 and variance 0.25; the first category 3 rows of mean 1/3 and variance 2/9.
    #[test]
    fn means_are_drawn_to_that_of_all() {
        let (codes, labels) = ([0, 0, 0, 1, 1, MISSING], [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
        let (encoding, _) = fit(&codes, 3, |row| labels[row], 1);
        let lambda = 3.0 * 0.25 / (2.0 / 9.0 + 3.0 * 0.25);
        let first: f32 = lambda / 3.0 + (1.0 - lambda) * 0.5;
        assert!((encoding.of(0) - first).abs() < 1e-6, "{encoding:?}");
        assert_eq!(
            (encoding.of(1), encoding.of(MISSING)),
            (1.0, 0.0),
            "no variance within"
        );
        assert_eq!(encoding.of(2), 0.5, "without rows it is the mean of all");
    }

    /// A category of one row says nothing of that row's own label.
    #[test]
    fn trains_own_values_do_not_tell_the_label() {
        let codes: Vec<u32> = (0..100).collect();
        let labels: Vec<f64> = (0..100).map(|row| f64::from(row % 2)).collect();
        let (encoding, values) = fit(&codes, 100, |row| labels[row], 3);
        let fold_of = folds(100, 3);
        for row in 0..100 {
            assert_eq!(f64::from(encoding.of(codes[row])), labels[row], "new rows see it");
            let others = (0..100).filter(|other| fold_of[*other] != fold_of[row]);
            let mean = others.map(|other| labels[other]).sum::<f64>() / 80.0;
            assert!((f64::from(values[row]) - mean).abs() < 1e-6, "row {row}");
        }
    }
}
