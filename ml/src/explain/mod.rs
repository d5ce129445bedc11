//! Why a model predicts as it does: attributions of single rows, how much each raw column matters, and how the
//! prediction follows it.
//!
//! Everything is told by **raw column**: features that come from one column are taken together, for people know
//! columns and not one-hot codes.

mod dependence;
mod permutation;
mod sampling;
mod shapley;
#[cfg(test)]
mod tests;

pub use dependence::{
    DependencePoint, GridValue, PartialDependence, category_grid, dependence, numeric_grid,
};
pub use permutation::{Importance, Permutation, importance};
pub use sampling::{sample, sample_of_classes};
pub use shapley::{Additivity, Attributions, ColumnAttribution, affordable_rows, attribute};

use crate::features::Feature;
use crate::models::ModelError;

/// Why there is no explanation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExplainError {
    /// The model does not work.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The attributions of a row do not add up to its prediction: one of the two is wrong.
    #[error(
        "the attributions of explained row {row} miss its margin by {error:e}, where {allowed:e} is allowed: they do \
         not describe this model, so they are not shown"
    )]
    NotAdditive {
        /// The row among those that were to be explained.
        row: usize,
        /// By how much.
        error: f64,
        /// 1e-6 of the margins' range.
        allowed: f64,
    },
    /// The model gives other numbers than its features and classes promise.
    #[error("the model answers with {found} numbers where {wanted} are due")]
    Shape {
        /// How many there should be.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// The metric is not defined on these rows.
    #[error("{0} is not defined on the rows that columns are permuted in")]
    Metric(String),
    /// There is nothing to explain.
    #[error("there are no rows to explain")]
    Empty,
    /// It was told to stop.
    #[error("the explanation was told to stop")]
    Stopped,
}

/// A raw column and the features that are computed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawColumn {
    /// Its name.
    pub name: String,
    /// The indices of its features.
    pub features: Vec<usize>,
}

/// The raw columns behind the features, in the order in which they first appear.
pub fn raw_columns(features: &[Feature]) -> Vec<RawColumn> {
    let mut columns: Vec<RawColumn> = Vec::new();
    for (index, feature) in features.iter().enumerate() {
        match columns.iter_mut().find(|column| column.name == feature.column) {
            Some(column) => column.features.push(index),
            None => columns.push(RawColumn {
                name: feature.column.clone(),
                features: vec![index],
            }),
        }
    }
    columns
}

/// Asked between pieces of work with how much of it is done, from 0 to 1: whether to go on.
pub type GoOn<'a> = &'a mut dyn FnMut(f64) -> bool;
