//! How columns become features.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What `transform` is told. Everything is fitted on train only. Without a word, numbers and categories are told from
/// the columns' types, and dates give calendar parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Transform {
    /// Only these columns are features; all that no other role has unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// How missing numbers are filled for linear models. Boosted trees keep them missing.
    pub impute: Imputation,
    /// Whether linear models are also told that a number was missing.
    pub indicators: bool,
    /// How numbers are scaled for linear models.
    pub scale: Scaling,
    /// How categories are encoded.
    pub encode: CategoryEncoding,
    /// Categories with fewer rows of train than this become one, "other"; so does what train never had.
    pub min_rows: u32,
    /// The most categories of a column; the rarest beyond become "other".
    pub max_categories: u32,
    /// What dates and times are taken apart into.
    pub calendar: Vec<CalendarPart>,
    /// What is different for single columns.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnFeatures>,
}

/// What is different for one column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ColumnFeatures {
    /// What it is taken for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<FeatureKind>,
    /// How its missing numbers are filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impute: Option<Imputation>,
    /// How its numbers are scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scaling>,
    /// How its categories are encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode: Option<CategoryEncoding>,
    /// Ordinal encoding: the categories in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<String>>,
    /// The least rows of a category of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<u32>,
    /// The most categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_categories: Option<u32>,
    /// What it is taken apart into, if it is a date or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Vec<CalendarPart>>,
}

/// What a column is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FeatureKind {
    /// A number.
    Numeric,
    /// One of some categories, also if it is written as a number.
    Categorical,
    /// A date or time.
    Calendar,
}

/// How missing numbers are filled.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Imputation {
    /// With train's median.
    #[default]
    Median,
    /// With train's mean.
    Mean,
    /// With zero.
    Zero,
}

/// How numbers are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// To mean 0 and standard deviation 1.
    #[default]
    Standard,
    /// To 0 and 1 at train's smallest and largest.
    Minmax,
    /// Not at all.
    None,
}

/// How categories are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CategoryEncoding {
    /// One-hot for linear models, as categories for boosted trees and forests.
    #[default]
    Native,
    /// One column of 0 and 1 for each category, for every model.
    Onehot,
    /// A number for each category: its place in `order`, or by how frequent it is.
    Ordinal,
    /// The label's smoothed mean in each category, cross-fitted on train.
    Target,
}

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl Default for Transform {
    fn default() -> Self {
        Self {
            only: None,
            impute: Imputation::default(),
            indicators: true,
            scale: Scaling::default(),
            encode: CategoryEncoding::default(),
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
