//! The feature program: fitted on train, frozen, and the only way features are ever computed, for many rows or one.

mod calendar;
mod category;
mod error;
mod fit;
mod label;
mod linear;
mod numeric;
mod program;
mod raw;
mod settings;
pub mod store;
mod stored;
mod table;
mod target_encoding;
#[cfg(test)]
mod tests;

pub use error::FeatureError;
pub use label::{check_train_target, target, weights};
pub use linear::{DesignColumn, LinearDesign};
pub use program::{FeatureProgram, Input, MAX_FEATURES, Note, NoteKind};
pub use settings::{
    CalendarPart, ColumnSettings, Encoding, FeatureKind, FeatureSettings, Imputation, Scaling,
};
pub use table::{FeatureColumn, FeatureTable, MISSING};

use serde::{Deserialize, Serialize};

/// One feature of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its name, unique within the program: the raw column's, with a suffix if that has several (`time.weekday`).
    pub name: String,
    /// The raw column that it is computed from.
    pub column: String,
    /// What its values are, and how a linear model sees them.
    pub values: FeatureValues,
}

/// What a feature's values are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum FeatureValues {
    /// Numbers; NaN is missing. Trees see them as they are, linear models see `(value or fill - center) / scale`.
    Numeric {
        /// Stands for a missing number in linear models.
        fill: f32,
        /// Subtracted in linear models.
        center: f32,
        /// Divides in linear models; never 0.
        scale: f32,
        /// True if linear models get a second column that is 1 where the number is missing.
        indicator: bool,
    },
    /// Codes of levels; [`MISSING`] is missing. Trees see categories, linear models one column for each level.
    Category {
        /// By code. Texts of the raw values.
        levels: Vec<String>,
        /// The code of all that is rare or was never seen in train, if there is such a level; what is unknown
        /// otherwise is missing.
        other: Option<u32>,
        /// True if linear models get a column that is 1 where the value is missing.
        indicator: bool,
    },
}
