//! What validation found, for scripts. Nothing in it is a cell's value but keys of rows, and no private one.

use std::collections::BTreeMap;

use pipeline::spec::stages::OnFailure;
use serde::{Deserialize, Serialize};

/// The most rows that a rule names.
pub(crate) const MAX_EXAMPLES: usize = 5;

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// False if the run was halted.
    pub(crate) passed: bool,
    /// Rows that were looked at.
    pub(crate) rows: u64,
    /// Rows that were put aside.
    pub(crate) quarantined: u64,
    /// In the order of columns.
    pub(crate) rules: Vec<RuleResult>,
    /// The version of the model that was compared with, if there is a champion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) champion: Option<String>,
    /// How far train has moved from the champion's training data.
    pub(crate) drift: Vec<Move>,
    /// How far validation and test are from train.
    pub(crate) skew: Vec<Move>,
}

impl Report {
    /// What people should know although the run goes on.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let broken = self.rules.iter().filter(|rule| rule.failed > 0);
        let mut warnings: Vec<String> = broken.map(RuleResult::words).collect();
        if self.quarantined > 0 {
            warnings.push(format!(
                "{} of {} rows were put aside",
                self.quarantined, self.rows
            ));
        }
        let moved = self.drift.iter().filter(|moved| moved.severity.is_some());
        warnings.extend(moved.map(|Move { column, psi, .. }| {
            format!("{column} has drifted away from the champion's training data: PSI {psi:.2}")
        }));
        warnings
    }
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleResult {
    /// The column and the rule, such as `dep_delay.max_nulls`.
    pub(crate) id: String,
    /// Which column; none for a rule on the data as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<String>,
    /// What becomes of a run that breaks it.
    pub(crate) severity: OnFailure,
    /// Rows, or 1 for a rule that is no row's own.
    pub(crate) checked: u64,
    /// How many of them break it.
    pub(crate) failed: u64,
    /// Says more, where counts do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// The first rows that break it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) examples: Vec<Example>,
}

impl RuleResult {
    /// What was found of a column as a whole.
    pub(crate) fn note(column: &str, what: &str, severity: OnFailure, detail: String) -> Self {
        Self {
            id: format!("{column}.{what}"),
            column: Some(column.to_owned()),
            severity,
            checked: 1,
            failed: 1,
            detail: Some(detail),
            examples: Vec::new(),
        }
    }

    /// True if it stops the run. A rule that is no row's own cannot be kept by putting rows aside.
    pub(crate) fn stops(&self, is_of_rows: bool) -> bool {
        let stops = match self.severity {
            OnFailure::Stop => true,
            OnFailure::Quarantine => !is_of_rows,
            OnFailure::Warn => false,
        };
        stops && self.failed > 0
    }

    /// In a sentence.
    pub(crate) fn words(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{} ({detail})", self.id),
            None => format!("{} ({} of {} rows)", self.id, self.failed, self.checked),
        }
    }
}

/// One row that breaks a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    /// In which split.
    pub(crate) split: String,
    /// Counted from 1, within the split.
    pub(crate) row: u64,
    /// Its keys as texts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(crate) key: BTreeMap<String, String>,
}

/// How far a column's distribution is from another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    /// Which column.
    pub(crate) column: String,
    /// In which split.
    pub(crate) split: String,
    /// The population stability index.
    pub(crate) psi: f64,
    /// What becomes of it; none if it is small.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) severity: Option<OnFailure>,
}
