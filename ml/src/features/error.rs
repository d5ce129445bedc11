//! Why there are no features.

use crate::dataset::ColumnType;

/// Why a feature program cannot be fitted, applied or read. Names columns and row numbers (from 1, within the frame
/// at hand), never a cell's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// Columns that the program needs are not there.
    #[error("columns are missing: {}", .0.join(", "))]
    MissingColumns(Vec<String>),
    /// A column is of a type that cannot be turned into the wanted one without loss.
    #[error(
        "column {column} is {found} and must be {wanted}: cast it in the query, or name its type in the source's `types`"
    )]
    Type {
        /// Which column.
        column: String,
        /// What it must be.
        wanted: &'static str,
        /// What it is, in the data frame's words.
        found: String,
    },
    /// One cell cannot be used.
    #[error("column {column}, row {row}: {problem}")]
    Cell {
        /// Which column.
        column: String,
        /// Which row, from 1.
        row: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A column is not as it must be.
    #[error("column {column}: {problem}")]
    Column {
        /// Which column.
        column: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Nothing is left to learn from.
    #[error("there is no usable feature{}", reasons(.0))]
    NoFeatures(Vec<String>),
    /// More features than any model should get.
    #[error(
        "there are more than {most} features: name fewer columns in `only`, or lower `max_categories` of those that are encoded one-hot"
    )]
    TooMany {
        /// The most that are allowed.
        most: usize,
    },
    /// Two features would have the same name.
    #[error("two features would be named {0}: rename a column in the query")]
    Twice(String),
    /// The bytes are no program of ours, or a damaged one.
    #[error("no readable feature program: {0}")]
    Corrupt(String),
}

fn reasons(notes: &[String]) -> String {
    const MOST: usize = 5;
    let mut text = String::new();
    for (index, note) in notes.iter().take(MOST).enumerate() {
        text.push_str(if index == 0 { ": " } else { "; " });
        text.push_str(note);
    }
    if notes.len() > MOST {
        text.push_str(&format!("; and {} more", notes.len() - MOST));
    }
    text
}

impl FeatureError {
    pub(super) fn column(column: &str, problem: impl Into<String>) -> Self {
        Self::Column {
            column: column.into(),
            problem: problem.into(),
        }
    }
}

/// A type as messages say it.
pub(super) fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean => "true or false",
        ColumnType::Integer => "whole numbers",
        ColumnType::Float => "numbers",
        ColumnType::Text => "texts",
        ColumnType::Date => "dates",
        ColumnType::Datetime => "points in time",
    }
}
