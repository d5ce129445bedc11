//! What a feature program is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How columns become features. Without a word, numbers and categories are told from the columns' types, and dates
/// give calendar parts.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSettings {
    /// Only these columns are features; all that no other role has if there is none.
    pub only: Option<Vec<String>>,
    /// How missing numbers are filled for linear models.
    pub impute: Imputation,
    /// Whether linear models are also told that a number was missing.
    pub indicators: bool,
    /// How numbers are scaled for linear models.
    pub scale: Scaling,
    /// How categories are encoded.
    pub encode: Encoding,
    /// Categories with fewer rows of train than this become one, "other".
    pub min_rows: u32,
    /// The most categories of a column besides "other"; the rarest beyond become "other".
    pub max_categories: u32,
    /// What dates and times are taken apart into.
    pub calendar: Vec<CalendarPart>,
    /// What is different for single columns.
    pub columns: BTreeMap<String, ColumnSettings>,
}

impl Default for FeatureSettings {
    fn default() -> Self {
        Self {
            only: None,
            impute: Imputation::Median,
            indicators: true,
            scale: Scaling::Standard,
            encode: Encoding::Native,
            min_rows: 20,
            max_categories: 255,
            calendar: vec![
                CalendarPart::Month,
                CalendarPart::Day,
                CalendarPart::Weekday,
                CalendarPart::Hour,
            ],
            columns: BTreeMap::new(),
        }
    }
}

/// What is different for one column; what is none is as for all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnSettings {
    /// What it is taken for; told from its type if there is none.
    pub kind: Option<FeatureKind>,
    /// How its missing numbers are filled.
    pub impute: Option<Imputation>,
    /// How its numbers are scaled.
    pub scale: Option<Scaling>,
    /// How its categories are encoded.
    pub encode: Option<Encoding>,
    /// Ordinal encoding: the categories in their order.
    pub order: Option<Vec<String>>,
    /// The least rows of a category of its own.
    pub min_rows: Option<u32>,
    /// The most categories besides "other".
    pub max_categories: Option<u32>,
    /// What it is taken apart into, if it is a date or time.
    pub calendar: Option<Vec<CalendarPart>>,
}

/// What a column is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// A number.
    Numeric,
    /// One of some categories, also if it is written as a number.
    Categorical,
    /// A date or time.
    Calendar,
}

/// How missing numbers are filled for linear models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imputation {
    /// With train's median.
    Median,
    /// With train's mean.
    Mean,
    /// With zero.
    Zero,
}

/// How numbers are scaled for linear models, once they are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// To mean 0 and (population) standard deviation 1 over train.
    Standard,
    /// To 0 and 1 at train's smallest and largest.
    Minmax,
    /// Not at all.
    None,
}

/// How categories are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As categories.
    Native,
    /// One number of 0 and 1 for each category.
    Onehot,
    /// A number for each category: its place in the given order, or by how frequent it is (0 is the most frequent).
    Ordinal,
    /// The label's smoothed mean in each category, cross-fitted on train.
    Target,
}

/// A part of a date or time, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CalendarPart {
    /// Such as 2013.
    Year,
    /// 1 to 12.
    Month,
    /// Of the month: 1 to 31.
    Day,
    /// 1 (Monday) to 7.
    Weekday,
    /// Of the year: 1 to 366.
    Yearday,
    /// 0 to 23.
    Hour,
}

impl CalendarPart {
    /// As it is written in a specification and in a feature's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Weekday => "weekday",
            Self::Yearday => "yearday",
            Self::Hour => "hour",
        }
    }
}
