//! What must hold of the data before anything is learned from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `validate` is told. What a champion's package says of columns and their distributions is compared with in any
/// case.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Validate {
    /// How many rows there must be.
    pub rows: Rows,
    /// True if a column that has no rules here is an error.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_known_columns: bool,
    /// Rules by column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnRules>,
    /// How far distributions may move from those of the champion's training data.
    pub drift: Drift,
    /// What becomes of a run whose data breaks a rule that says nothing of its own.
    pub on_failure: OnFailure,
    /// What becomes of a run that lacks a column which the champion reads, or has it in another type, as when a feature is
    /// dropped; as `on_failure` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub champion_columns: Option<OnFailure>,
    /// Columns whose values must not come into reports or quarantine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<String>,
    /// Of which model the champion is asked for; that of `[deploy]` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<crate::id::ModelName>,
    /// Which of its aliases is the champion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<crate::id::AliasName>,
}

/// How many rows there must be in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Rows {
    /// At least.
    pub min: u64,
    /// At most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

impl Default for Rows {
    fn default() -> Self {
        Self { min: 10, max: None }
    }
}

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// true and false
    Boolean,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Texts.
    Text,
    /// Days.
    Date,
    /// Points in time.
    Datetime,
}

/// The rules of one column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ColumnRules {
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ColumnType>,
    /// The largest share of missing values, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub max_nulls: Option<f64>,
    /// The smallest value: a number, or a date or time as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Value>"))]
    pub min: Option<Value>,
    /// The largest value: a number, or a date or time as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Value>"))]
    pub max: Option<Value>,
    /// The only values that there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<serde_json::Value>>"))]
    pub allowed: Option<Vec<Value>>,
    /// A regular expression that every value matches as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// True if no value may stand twice.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// What becomes of a run whose data breaks a rule of this column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

/// What becomes of a run whose data breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It halts, with the report.
    #[default]
    Stop,
    /// Rows that break the rule are put aside with the rule's id, and it goes on without them. A rule that is no
    /// row's own (a share, a type, a number of rows) stops it.
    Quarantine,
    /// It goes on, and the report says so.
    Warn,
}

/// How far the distribution of a column may move, by the population stability index (PSI) between the champion's
/// training data and this run's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// From here on the report warns; 0.1 is the usual sign of a small move.
    pub warn: f64,
    /// From here on the run halts; never unless given. 0.25 is the usual sign of a large move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<f64>,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            warn: 0.1,
            stop: None,
        }
    }
}
