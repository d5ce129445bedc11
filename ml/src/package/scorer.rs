//! How a deployed model predicts: many rows or one, by the same code.

use polars::prelude::*;

use super::signature::probability_of;
use super::{PREDICTION, PROBABILITY, PackageError, Signature};
use crate::dataset::{ColumnType, Task};
use crate::features::FeatureProgram;
use crate::models::{Model, Predictions};

/// Rows whose features are in memory at once: 30 features of 4 bytes take 2 MB.
const CHUNK_ROWS: usize = 16_384;

/// A feature program and a model that belong together.
#[derive(Debug, Clone)]
pub struct Scorer {
    program: FeatureProgram,
    model: Model,
    signature: Signature,
    classes: Classes,
}

/// The classes as values of the column of predictions.
#[derive(Debug, Clone)]
enum Classes {
    /// A regression has none.
    None,
    Boolean(Vec<bool>),
    Integer(Vec<i64>),
    Text(Vec<String>),
}

impl Scorer {
    /// Puts them together.
    ///
    /// # Errors
    ///
    /// [`PackageError::Parts`] if the signature is not that of the program, or of no task.
    pub fn new(program: FeatureProgram, model: Model, signature: Signature) -> Result<Self, PackageError> {
        let parts = |what: String| Err(PackageError::Parts(what));
        let inputs = signature.inputs.iter().map(|i| (i.name.as_str(), i.kind));
        if !inputs.eq(program.inputs().iter().map(|i| (i.name.as_str(), i.kind))) {
            return parts("signature.json names other columns than features.bin reads".into());
        }
        match (signature.task, signature.classes.len()) {
            (Task::Binary, 2) | (Task::Regression, 0) => {}
            (Task::Multiclass, n) if n >= 2 => {}
            (_, n) => {
                return parts(format!(
                    "signature.json has {n} classes, which its task cannot have"
                ));
            }
        }
        if model.features() != program.features() {
            return parts("model.bin was trained on other features than features.bin computes".into());
        }
        if (model.task(), model.classes()) != (signature.task, signature.classes.len()) {
            return parts("model.bin predicts something else than signature.json says".into());
        }
        let classes = Classes::of(&signature)?;
        Ok(Self {
            program,
            model,
            signature,
            classes,
        })
    }

    /// Which columns go in, and which come out.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The names of the raw columns that go in.
    pub fn input_names(&self) -> Vec<String> {
        self.signature.inputs.iter().map(|i| i.name.clone()).collect()
    }

    /// Predicts, in the order of the rows: for two classes `probability` (of the positive one) and `prediction`, for
    /// several `prediction` and `probability_<class>` of each, for a number `prediction`. Columns that are no input are
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`PackageError::Rows`] if a column is missing or of another type.
    pub fn predict(&self, rows: &DataFrame) -> Result<DataFrame, PackageError> {
        self.predict_watched(rows, &mut |_| true)
    }

    /// [`Scorer::predict`], which tells `go_on` after each chunk how many rows are done and stops where it says no.
    pub fn predict_watched(
        &self,
        rows: &DataFrame,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<DataFrame, PackageError> {
        let rows = self.select(rows)?;
        let height = rows.height();
        let mut columns = Outputs::new(&self.signature, height);
        let mut from = 0;
        // No rows are one empty chunk: their types are checked as well.
        loop {
            let chunk = rows.slice(i64::try_from(from).unwrap_or(i64::MAX), CHUNK_ROWS);
            let features = self
                .program
                .apply(&chunk)
                .map_err(|e| PackageError::Rows(e.to_string()))?;
            let predictions = self
                .model
                .predict(&features)
                .map_err(|e| PackageError::Rows(e.to_string()))?;
            columns.push(&predictions, chunk.height())?;
            from += CHUNK_ROWS;
            if !go_on(from.min(height)) {
                return Err(PackageError::Stopped);
            }
            if from >= height {
                return columns.finish(&self.signature, &self.classes);
            }
        }
    }

    /// The inputs only: nothing else is copied by what follows.
    pub(super) fn select(&self, rows: &DataFrame) -> Result<DataFrame, PackageError> {
        let missing: Vec<&str> = self
            .signature
            .inputs
            .iter()
            .map(|input| input.name.as_str())
            .filter(|name| rows.column(name).is_err())
            .collect();
        if !missing.is_empty() {
            return Err(PackageError::Rows(format!(
                "they have no column {}; the model reads {}",
                missing.join(", "),
                self.input_names().join(", ")
            )));
        }
        rows.select(self.input_names())
            .map_err(|e| PackageError::Rows(e.to_string()))
    }
}

impl Classes {
    fn of(signature: &Signature) -> Result<Self, PackageError> {
        fn parse<T: std::str::FromStr>(classes: &[String], kind: &str) -> Result<Vec<T>, PackageError> {
            classes
                .iter()
                .map(|class| {
                    class.parse().map_err(|_| {
                        PackageError::Parts(format!("signature.json has a class that is no {kind}"))
                    })
                })
                .collect()
        }
        if signature.task == Task::Regression {
            return Ok(Self::None);
        }
        let classes = &signature.classes;
        Ok(match signature.prediction_type() {
            ColumnType::Boolean => Self::Boolean(parse(classes, "boolean")?),
            ColumnType::Integer => Self::Integer(parse(classes, "integer")?),
            _ => Self::Text(classes.clone()),
        })
    }
}

/// What was predicted so far, column by column.
struct Outputs {
    task: Task,
    /// Binary: the positive class' probability; multiclass: each class'; regression: the number.
    values: Vec<Vec<f64>>,
    /// The most probable class; unused for regression.
    classes: Vec<u32>,
}

impl Outputs {
    fn new(signature: &Signature, rows: usize) -> Self {
        let outputs = match signature.task {
            Task::Binary | Task::Regression => 1,
            Task::Multiclass => signature.classes.len(),
        };
        Self {
            task: signature.task,
            values: vec![Vec::with_capacity(rows); outputs],
            classes: Vec::with_capacity(match signature.task {
                Task::Regression => 0,
                Task::Binary | Task::Multiclass => rows,
            }),
        }
    }

    fn push(&mut self, predictions: &Predictions, rows: usize) -> Result<(), PackageError> {
        if predictions.outputs != self.values.len() || predictions.values.len() != rows * self.values.len() {
            return Err(PackageError::Parts(
                "model.bin predicts another number of classes than signature.json has".into(),
            ));
        }
        for row in predictions.values.chunks_exact(self.values.len()) {
            for (column, value) in self.values.iter_mut().zip(row) {
                column.push(*value);
            }
            match self.task {
                Task::Binary => self.classes.push(u32::from(row[0] >= 0.5)),
                Task::Multiclass => self.classes.push(most_probable(row)),
                Task::Regression => {}
            }
        }
        Ok(())
    }

    fn finish(self, signature: &Signature, classes: &Classes) -> Result<DataFrame, PackageError> {
        let height = self.values.first().map_or(0, Vec::len);
        let codes = &self.classes;
        let name = PlSmallStr::from_static(PREDICTION);
        // Codes are below the number of classes: `push` made them.
        let prediction = match classes {
            Classes::None => None,
            Classes::Boolean(values) => Some(
                codes
                    .iter()
                    .map(|code| values[*code as usize])
                    .collect::<BooleanChunked>()
                    .with_name(name)
                    .into_column(),
            ),
            Classes::Integer(values) => Some(Column::new(
                name,
                codes
                    .iter()
                    .map(|code| values[*code as usize])
                    .collect::<Vec<i64>>(),
            )),
            Classes::Text(values) => Some(
                StringChunked::from_iter_values(
                    name,
                    codes.iter().map(|code| values[*code as usize].as_str()),
                )
                .into_column(),
            ),
        };
        let mut numbers = self.values.into_iter();
        let mut columns = Vec::with_capacity(signature.outputs.len());
        match self.task {
            Task::Binary => {
                columns.extend(numbers.next().map(|v| Column::new(PROBABILITY.into(), v)));
                columns.extend(prediction);
            }
            Task::Multiclass => {
                columns.extend(prediction);
                for (class, values) in signature.classes.iter().zip(numbers) {
                    columns.push(Column::new(probability_of(class).into(), values));
                }
            }
            Task::Regression => columns.extend(numbers.next().map(|v| Column::new(PREDICTION.into(), v))),
        }
        DataFrame::new(height, columns).map_err(|e| PackageError::Parts(e.to_string()))
    }
}

/// The index of the largest; of equal ones the first.
fn most_probable(row: &[f64]) -> u32 {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    u32::try_from(best).unwrap_or(u32::MAX)
}
