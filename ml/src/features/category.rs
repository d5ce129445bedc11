//! Categories: which are frequent enough for a level of their own, and their codes.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use polars::prelude::Series;

use super::MISSING;
use super::error::FeatureError;
use super::raw;
use crate::dataset::ColumnType;

/// The most levels of a column.
pub(super) const MAX_LEVELS: usize = 65_536;

/// The longest text of a level: what is longer is never frequent enough.
pub(super) const MAX_LEVEL_BYTES: usize = 1_024;

/// The levels of a column, by code.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    texts: Vec<String>,
    other: Option<u32>,
    /// Only looked up, so that its order does not matter.
    codes: HashMap<String, u32>,
}

impl PartialEq for Levels {
    fn eq(&self, other: &Self) -> bool {
        (&self.texts, self.other) == (&other.texts, other.other)
    }
}

impl Levels {
    /// `other` is the code of all that has no level of its own.
    ///
    /// Fails if there are too many levels, one is too long, two are the same, or `other` is none of them.
    pub(super) fn new(texts: Vec<String>, other: Option<u32>) -> Result<Self, String> {
        if texts.len() > MAX_LEVELS {
            return Err(format!("it has more than {MAX_LEVELS} categories"));
        }
        if texts.iter().any(|text| text.len() > MAX_LEVEL_BYTES) {
            return Err(format!("a category is longer than {MAX_LEVEL_BYTES} bytes"));
        }
        let mut codes = HashMap::with_capacity(texts.len());
        for (code, text) in (0u32..).zip(&texts) {
            if codes.insert(text.clone(), code).is_some() {
                return Err("a category stands there twice".into());
            }
        }
        if other.is_some_and(|other| other as usize >= texts.len()) {
            return Err("there is no such category as it says for others".into());
        }
        Ok(Self { texts, other, codes })
    }

    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    pub(super) fn other(&self) -> Option<u32> {
        self.other
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// What was never seen is [`Levels::other`], or missing.
    pub(super) fn code(&self, text: Option<&str>) -> u32 {
        match text {
            None => MISSING,
            Some(text) => self.codes.get(text).copied().or(self.other).unwrap_or(MISSING),
        }
    }

    /// Every row's code.
    pub(super) fn codes(&self, series: &Series, kind: ColumnType) -> Result<Vec<u32>, FeatureError> {
        let mut codes = Vec::with_capacity(series.len());
        raw::each_category(series, kind, |_, text| codes.push(self.code(text)))?;
        Ok(codes)
    }
}

/// How many rows the frequent categories of a column have.
#[derive(Debug)]
pub(super) struct Counts {
    /// Of the categories that have enough.
    rows: HashMap<String, u64>,
    distinct: usize,
    /// Rows without a category.
    pub(super) missing: u64,
    /// Rows with one.
    pub(super) known: u64,
}

impl Counts {
    /// Counts the rows of the categories that have at least `min_rows`.
    ///
    /// Counts digests first and keeps only the texts that can be frequent: a column whose texts name millions of rows
    /// is not held in memory a second time.
    pub(super) fn of(series: &Series, kind: ColumnType, min_rows: u32) -> Result<Self, FeatureError> {
        let mut by_digest: HashMap<u64, u64> = HashMap::new();
        let (mut missing, mut known) = (0, 0);
        raw::each_category(series, kind, |_, text| match text {
            None => missing += 1,
            Some(text) => {
                known += 1;
                *by_digest.entry(digest(text)).or_default() += 1;
            }
        })?;
        let distinct = by_digest.len();
        by_digest.retain(|_, rows| *rows >= u64::from(min_rows));
        let mut rows: HashMap<String, u64> = HashMap::new();
        raw::each_category(series, kind, |_, text| {
            let Some(text) = text.filter(|text| by_digest.contains_key(&digest(text))) else {
                return;
            };
            match rows.get_mut(text) {
                Some(rows) => *rows += 1,
                None => {
                    rows.insert(text.to_owned(), 1);
                }
            }
        })?;
        // Two texts of one digest may only have been frequent together.
        rows.retain(|_, rows| *rows >= u64::from(min_rows));
        Ok(Self {
            rows,
            distinct,
            missing,
            known,
        })
    }

    /// How many categories there are.
    pub(super) fn distinct(&self) -> usize {
        self.distinct
    }

    /// How many rows have a category that is none of these, if all were counted.
    pub(super) fn beyond(&self, levels: &Levels) -> u64 {
        let of_levels = levels.texts.iter().filter_map(|text| self.rows.get(text));
        self.known - of_levels.sum::<u64>()
    }

    /// The counted categories, at most `most` of them, the most frequent first and equally frequent ones by their
    /// texts; behind them one for all others, if there are others.
    pub(super) fn levels(self, most: u32) -> Result<Levels, String> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(MAX_LEVELS - 1);
        let mut frequent: Vec<(String, u64)> = self
            .rows
            .into_iter()
            .filter(|(text, _)| text.len() <= MAX_LEVEL_BYTES)
            .collect();
        frequent.sort_unstable_by(|(a, m), (b, n)| (Reverse(m), a).cmp(&(Reverse(n), b)));
        frequent.truncate(most);
        let mut texts: Vec<String> = frequent.into_iter().map(|(text, _)| text).collect();
        let mut other = None;
        if texts.len() < self.distinct {
            other = u32::try_from(texts.len()).ok();
            let mut name = "other".to_owned();
            while texts.contains(&name) {
                name.push('_');
            }
            texts.push(name);
        }
        Levels::new(texts, other)
    }
}

/// Equal for equal texts, in every run of this program.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use polars::prelude::NamedFrom;

    use super::*;

    fn series() -> Series {
        let texts = ["b", "b", "a", "a", "c", "other", "d", "d", "d"].map(Some);
        Series::new("x".into(), [texts.as_slice(), &[None]].concat())
    }

    fn levels(min_rows: u32, most: u32) -> Levels {
        let counts = Counts::of(&series(), ColumnType::Text, min_rows).expect("texts");
        assert_eq!((counts.distinct(), counts.known, counts.missing), (5, 9, 1));
        counts.levels(most).expect("levels")
    }

    #[test]
    fn frequent_ones_first_then_by_text_and_the_rest_is_one() {
        let all = levels(1, 255);
        assert_eq!(
            (all.texts().join(" "), all.other()),
            ("d a b c other".into(), None)
        );
        let frequent = levels(2, 255);
        assert_eq!(frequent.texts(), ["d", "a", "b", "other"]);
        assert_eq!(frequent.other(), Some(3));
        assert_eq!(levels(1, 2).texts(), ["d", "a", "other"]);
        assert_eq!(levels(9, 255).texts(), ["other"]);
    }

    #[test]
    fn a_category_of_the_name_of_the_rest_stays_its_own() {
        let levels = levels(1, 4);
        assert_eq!(levels.texts(), ["d", "a", "b", "c", "other"]);
        assert_eq!(levels.code(Some("other")), 4, "it is among the others");
        let counts = Counts::of(
            &Series::new("x".into(), ["other", "other", "rare"]),
            ColumnType::Text,
            2,
        );
        let levels = counts.expect("texts").levels(255).expect("levels");
        assert_eq!(levels.texts(), ["other", "other_"]);
        assert_eq!(levels.code(Some("other")), 0);
        assert_eq!(levels.code(Some("new")), 1);
    }

    #[test]
    fn what_is_new_is_other_or_missing() {
        assert_eq!(levels(2, 255).code(Some("new")), 3);
        assert_eq!(levels(1, 255).code(Some("new")), MISSING);
        assert_eq!(levels(2, 255).code(None), MISSING);
        let codes = levels(2, 255).codes(&series(), ColumnType::Text).expect("texts");
        assert_eq!(codes, [2, 2, 1, 1, 3, 3, 0, 0, 0, MISSING]);
    }

    #[test]
    fn unsound_levels_are_refused() {
        assert!(Levels::new(vec!["a".into(), "a".into()], None).is_err());
        assert!(Levels::new(vec!["a".into()], Some(1)).is_err());
        assert!(Levels::new(vec!["a".repeat(MAX_LEVEL_BYTES + 1)], None).is_err());
        let many = (0..=MAX_LEVELS).map(|n| n.to_string()).collect();
        assert!(Levels::new(many, None).is_err());
    }
}
