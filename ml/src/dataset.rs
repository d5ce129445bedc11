//! What the columns of a data set are, and which of them is predicted.

use serde::{Deserialize, Serialize};

/// A kind of prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One of two classes.
    Binary,
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
}

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What is predicted.
    Label,
    /// What it may be predicted from.
    Feature,
    /// It names a row.
    Key,
    /// How much a row counts.
    Weight,
    /// Kept beside, never a feature.
    Excluded,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// What it is for.
    pub role: Role,
}

/// A data set that was extracted and split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The column that is predicted.
    pub label: String,
    /// What kind of prediction that is.
    pub task: Task,
    /// The classes as texts, in the order of their indices: of two, the second is the positive one. None for
    /// regression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// All columns, in their order.
    pub columns: Vec<Column>,
    /// How many rows each split has.
    pub rows: SplitRows,
}

/// How many rows each split has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRows {
    /// Of train.
    pub train: usize,
    /// Of validation.
    pub validation: usize,
    /// Of test.
    pub test: usize,
}

impl Dataset {
    /// The columns of one role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(move |column| column.role == role)
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
