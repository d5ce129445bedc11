//! What is said of why the winner predicts as it does.

use serde::{Deserialize, Serialize};

/// What `explain` is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Explain {
    /// How many rows of test get attributions; fewer of a model of so many deep trees that all would take minutes.
    pub rows: u32,
    /// How many rows of test permutation importance is measured on.
    pub permutation_rows: u32,
    /// How many times each column is permuted; permutation importance is left out if 0.
    pub permutation_repeats: u32,
    /// For how many of the most important columns partial dependence is drawn.
    pub partial_dependence: u32,
}

impl Default for Explain {
    fn default() -> Self {
        Self {
            rows: 2_000,
            permutation_rows: 10_000,
            permutation_repeats: 3,
            partial_dependence: 6,
        }
    }
}
