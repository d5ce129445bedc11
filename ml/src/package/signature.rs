//! Which columns go into a deployed model, and which come out.

use serde::{Deserialize, Serialize};

use super::PackageError;
use crate::dataset::{ColumnType, Dataset, Task};
use crate::features::FeatureProgram;

/// The output column with the predicted class or number.
pub const PREDICTION: &str = "prediction";
/// The output column with the probability of the positive class; of one class it is `probability_<class>`.
pub const PROBABILITY: &str = "probability";

/// Which columns go in, and which come out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The raw columns that the features are computed from. Others are ignored.
    pub inputs: Vec<Input>,
    /// What kind of prediction.
    pub task: Task,
    /// The classes as texts, by their indices: of two, the second is the positive one. None for regression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The columns of predictions, in their order.
    pub outputs: Vec<Output>,
}

/// A raw column that goes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether it was ever missing in train. A missing value is predicted all the same.
    pub nullable: bool,
}

/// A column of predictions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
}

impl Signature {
    /// That of a program whose model predicts the label of that data set.
    pub fn of(program: &FeatureProgram, dataset: &Dataset) -> Result<Self, PackageError> {
        let label = dataset
            .column(&dataset.label)
            .ok_or_else(|| PackageError::Parts(format!("the data set has no column {}", dataset.label)))?;
        let output = |name: &str, kind| Output {
            name: name.to_owned(),
            kind,
        };
        let outputs = match dataset.task {
            Task::Binary => vec![
                output(PROBABILITY, ColumnType::Float),
                output(PREDICTION, class_type(label.kind)),
            ],
            Task::Multiclass => std::iter::once(output(PREDICTION, class_type(label.kind)))
                .chain(
                    dataset
                        .classes
                        .iter()
                        .map(|class| output(&probability_of(class), ColumnType::Float)),
                )
                .collect(),
            Task::Regression => vec![output(PREDICTION, ColumnType::Float)],
        };
        Ok(Self {
            inputs: program
                .inputs()
                .iter()
                .map(|input| Input {
                    name: input.name.clone(),
                    kind: input.kind,
                    nullable: input.nullable,
                })
                .collect(),
            task: dataset.task,
            classes: dataset.classes.clone(),
            outputs,
        })
    }

    /// The type of the column of predictions.
    pub(super) fn prediction_type(&self) -> ColumnType {
        self.outputs
            .iter()
            .find(|output| output.name == PREDICTION)
            .map_or(ColumnType::Text, |output| output.kind)
    }
}

/// Predicted classes are written as the label was where that is exact, and as texts otherwise.
fn class_type(label: ColumnType) -> ColumnType {
    match label {
        ColumnType::Boolean | ColumnType::Integer => label,
        ColumnType::Float | ColumnType::Text | ColumnType::Date | ColumnType::Datetime => ColumnType::Text,
    }
}

/// The column of a class' probability.
pub(super) fn probability_of(class: &str) -> String {
    format!("{PROBABILITY}_{class}")
}
