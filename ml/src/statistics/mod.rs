//! Descriptions of columns ([`describe()`]), and how far a column's values are from a description ([`drift()`]). The same
//! figures serve the report on the data, drift against a champion's training data, and skew between splits.

mod describe;
mod distinct;
mod drift;

pub use describe::{describe, describe_column};
pub use drift::{LARGE_PSI, SMALL_PSI, drift, psi};

use serde::{Deserialize, Serialize};

use crate::dataset::ColumnType;

/// Quantiles that are kept, as shares of the rows.
pub const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
/// Bins of equal shares into which numbers are divided.
pub const BINS: usize = 10;
/// The most frequent values of a text column that are kept.
pub const TOP_VALUES: usize = 100;

/// What the columns of some rows look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// How many rows were described.
    pub rows: u64,
    /// By the data set's order.
    pub columns: Vec<ColumnStatistics>,
}

impl Statistics {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnStatistics> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// What one column looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnStatistics {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Rows.
    pub rows: u64,
    /// Rows without a value: null, NaN or infinite.
    pub missing: u64,
    /// How many different values there are.
    pub distinct: Distinct,
    /// Of numbers, dates (in days since 1970-01-01) and times (in microseconds since then).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// Of texts and booleans, if they are not nearly all different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
}

/// A number of different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distinct {
    /// How many.
    pub count: u64,
    /// False if it is an estimate (standard error about 1 %).
    pub exact: bool,
}

/// A column of numbers. Missing values are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the sample; 0 for one value.
    pub sd: f64,
    /// At [`QUANTILES`], interpolated linearly (type 7 of Hyndman and Fan, "Sample quantiles in statistical packages",
    /// The American Statistician 50, 1996).
    pub quantiles: [f64; 7],
    /// The inner edges of [`BINS`] bins of about equal shares, ascending and without repetition. A bin holds its upper
    /// edge; the first and the last are open.
    pub edges: Vec<f64>,
    /// By bin: how many values; one more than there are edges.
    pub counts: Vec<u64>,
}

/// The most frequent values of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// At most [`TOP_VALUES`], the most frequent first.
    pub top: Vec<ValueCount>,
    /// How many rows have another value.
    pub others: u64,
}

/// How often a value stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueCount {
    /// The value as a text.
    pub value: String,
    /// In how many rows.
    pub count: u64,
}

/// Why columns cannot be described or compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column:?} cannot be described: {why}")]
pub struct StatisticsError {
    /// Which column.
    pub column: String,
    /// Why.
    pub why: String,
}
