//! Randomness that follows from a seed.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// A stream of its own for each purpose and number.
    pub(super) fn new(seed: u64, purpose: &str, number: u64) -> Self {
        // FNV-1a: it only has to keep purposes apart.
        let purpose = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Self(seed ^ purpose);
        let mixed = random.next();
        Self(mixed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number in `0..bound`, which is not 0. Multiply-shift: its bias is below 2⁻³² for any number of rows.
    fn below(&mut self, bound: usize) -> usize {
        let high = (u128::from(self.next()) * bound as u128) >> 64;
        usize::try_from(high).expect("it is below a usize")
    }

    /// Puts the items into a random order (Fisher and Yates).
    pub(super) fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

/// At most `wanted` row numbers in a random order in which every class has its share of any first part, and one of the
/// first rows: however rare a class is, a sample of as many rows as there are classes has it.
pub fn sample_of_classes(class_of: &[usize], wanted: usize, seed: u64) -> Vec<usize> {
    let classes = class_of.iter().max().map_or(0, |most| most + 1);
    let mut rows_of = vec![0_usize; classes];
    for class in class_of {
        rows_of[*class] += 1;
    }
    let mut seen = vec![0_usize; classes];
    // A class' rows are spread evenly from 0 to 1, so that each class begins at 0.
    #[expect(clippy::cast_precision_loss, reason = "far fewer rows than 2^53")]
    let mut placed: Vec<(f64, usize, usize)> = sample(class_of.len(), class_of.len(), seed)
        .into_iter()
        .map(|row| {
            let class = class_of[row];
            let place = seen[class] as f64 / rows_of[class] as f64;
            seen[class] += 1;
            (place, class, row)
        })
        .collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    placed.truncate(wanted);
    placed.into_iter().map(|(_, _, row)| row).collect()
}

/// At most `wanted` of the row numbers below `rows`, each as likely as any other, in a random order: the first of them
/// are a sample as well.
pub fn sample(rows: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed, "sample", 0);
    let mut all: Vec<usize> = (0..rows).collect();
    let wanted = wanted.min(rows);
    for at in 0..wanted {
        let other = at + random.below(rows - at);
        all.swap(at, other);
    }
    all.truncate(wanted);
    all
}
