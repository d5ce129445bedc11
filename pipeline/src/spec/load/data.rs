//! The sections `[data]`, and `[predict]` of a pipeline that only predicts.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::Parameter;
use super::super::stages::{Source, TaskName};
use crate::id::{AliasName, ModelName, RunId};

/// Where the data comes from, and what its columns are.
// What `extract` is told, but for the split. Nothing is required of it, so that one thing that is missing does not hide
// what is wrong with the rest.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(in crate::spec) struct Data {
    /// The only table, which the query can name `data`.
    #[serde(default)]
    pub(super) source: Option<Source>,
    /// The tables that the query can name, if there are several.
    #[serde(default)]
    pub(super) sources: BTreeMap<String, Source>,
    /// One SELECT over the sources; all columns of the only source if there is none.
    #[serde(default)]
    pub(super) sql: Option<String>,
    /// The column that is to be predicted.
    #[serde(default)]
    pub(super) label: Option<String>,
    /// What kind of prediction; told from the label's values unless given: two values are binary, texts and up to 20
    /// whole numbers multiclass, everything else regression.
    #[serde(default)]
    pub(super) task: Option<TaskName>,
    /// Of two classes the positive one, whose probability is predicted and which precision, recall and their like
    /// are about: a text, a number, or true or false. The second in order unless given.
    #[serde(default)]
    pub(super) positive: Option<Parameter>,
    /// Columns that name a row: kept for reports and quarantine, never features.
    #[serde(default)]
    pub(super) key: Vec<String>,
    /// A column with the weight of each row.
    #[serde(default)]
    pub(super) weight: Option<String>,
    /// Columns that are kept in the data but are no features (slices, times of the split, what is known too late).
    #[serde(default)]
    pub(super) exclude: Vec<String>,
}

/// What is to be predicted, with which registered model.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(in crate::spec) struct Prediction {
    /// Which registered model.
    #[serde(default)]
    pub(super) model: Option<ModelName>,
    /// By which alias; `champion` unless given.
    #[serde(default)]
    pub(super) alias: Option<AliasName>,
    /// By which version (the run that made it) instead of the alias.
    #[serde(default)]
    pub(super) version: Option<RunId>,
    /// The only table, which the query can name `data`.
    #[serde(default)]
    pub(super) source: Option<Source>,
    /// The tables that the query can name, if there are several.
    #[serde(default)]
    pub(super) sources: BTreeMap<String, Source>,
    /// One SELECT over the sources; all columns of the only source if there is none.
    #[serde(default)]
    pub(super) sql: Option<String>,
    /// Columns that are copied beside the predictions.
    #[serde(default)]
    pub(super) keep: Vec<String>,
}
