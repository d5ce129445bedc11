//! What is predicted, and how much each row counts.

use polars::prelude::*;

use super::category::Levels;
use super::error::FeatureError;
use super::raw;
use crate::dataset::{ColumnType, Dataset, Role, Task};

const NO_LABEL: &str = "the label is missing: leave such rows out in the query";
const UNKNOWN_CLASS: &str = "the label is none of the classes that were found when the data was extracted";
const NOT_FINITE: &str = "the label must be a number that is not too large";
const BAD_WEIGHT: &str = "a weight must be a number, not missing and not below 0";

/// By row: the class' index, or the number to predict.
///
/// Fails where the label is missing, is none of the dataset's classes, or is no number that an `f32` holds.
#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^24 classes")]
pub fn target(frame: &DataFrame, dataset: &Dataset) -> Result<Vec<f32>, FeatureError> {
    let series = raw::column(frame, &dataset.label)?;
    let kind = match dataset.column(&dataset.label) {
        Some(column) => column.kind,
        None => return Err(FeatureError::MissingColumns(vec![dataset.label.clone()])),
    };
    let cell = |row: usize, problem| FeatureError::Cell {
        column: dataset.label.clone(),
        row: row + 1,
        problem,
    };
    let mut target = Vec::with_capacity(frame.height());
    match (dataset.task, kind) {
        (Task::Regression, _) => {
            for (row, value) in raw::numbers(series, kind)?.into_iter().enumerate() {
                if value.is_nan() {
                    let missing = series.get(row).is_ok_and(|value| value.is_null());
                    return Err(cell(row, if missing { NO_LABEL } else { NOT_FINITE }));
                }
                target.push(value);
            }
        }
        // Whatever way the classes' numbers are written in.
        (Task::Binary | Task::Multiclass, ColumnType::Integer | ColumnType::Float) => {
            let classes = class_numbers(dataset)?;
            raw::each_number(series, kind, |row, value| {
                let value = value.ok_or_else(|| cell(row, NO_LABEL))? + 0.0;
                let at = classes
                    .binary_search_by(|(class, _)| class.total_cmp(&value))
                    .map_err(|_| cell(row, UNKNOWN_CLASS))?;
                target.push(classes[at].1 as f32);
                Ok(())
            })?;
        }
        (Task::Binary | Task::Multiclass, _) => {
            let classes = Levels::new(dataset.classes.clone(), None)
                .map_err(|problem| FeatureError::column(&dataset.label, problem))?;
            let mut first_bad = None;
            raw::each_category(series, kind, |row, text| match (text, classes.code(text)) {
                (_, code) if (code as usize) < classes.len() => target.push(code as f32),
                (None, _) => first_bad = first_bad.or(Some((row, NO_LABEL))),
                (Some(_), _) => first_bad = first_bad.or(Some((row, UNKNOWN_CLASS))),
            })?;
            if let Some((row, problem)) = first_bad {
                return Err(cell(row, problem));
            }
        }
    }
    Ok(target)
}

/// The classes' numbers in ascending order, with their indices.
fn class_numbers(dataset: &Dataset) -> Result<Vec<(f64, usize)>, FeatureError> {
    let mut numbers = Vec::with_capacity(dataset.classes.len());
    for (index, text) in dataset.classes.iter().enumerate() {
        match text.parse::<f64>() {
            // A negative zero is a zero.
            Ok(number) => numbers.push((number + 0.0, index)),
            Err(_) => {
                let problem = format!("its class number {} is no number", index + 1);
                return Err(FeatureError::column(&dataset.label, problem));
            }
        }
    }
    numbers.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(numbers)
}

/// Says why nothing can be learned from train's target, if so: a class has no rows, or all have the same number.
pub fn check_train_target(target: &[f32], dataset: &Dataset) -> Result<(), FeatureError> {
    let problem = match dataset.task {
        Task::Regression => {
            let varies = target.iter().any(|value| *value != target[0]);
            (!varies)
                .then(|| "the label is the same in all rows of train: there is nothing to learn".to_owned())
        }
        Task::Binary | Task::Multiclass => {
            let classes = dataset.classes.len();
            let mut seen = vec![false; classes];
            for value in target {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "an index of a class"
                )]
                if let Some(seen) = seen.get_mut(*value as usize) {
                    *seen = true;
                }
            }
            match seen.iter().position(|seen| !seen) {
                None if classes < 2 => Some("there must be at least two classes".to_owned()),
                None => None,
                Some(missing) => Some(format!(
                    "train has no row of class number {} of {classes}: split otherwise, or leave that class out in the query",
                    missing + 1
                )),
            }
        }
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(FeatureError::column(&dataset.label, problem)),
    }
}

/// By row: how much it counts, if a column says so.
///
/// Fails where a weight is missing, negative or not finite, and if all are 0.
pub fn weights(frame: &DataFrame, dataset: &Dataset) -> Result<Option<Vec<f32>>, FeatureError> {
    let Some(column) = dataset.of_role(Role::Weight).next() else {
        return Ok(None);
    };
    let series = raw::column(frame, &column.name)?;
    let weights = raw::numbers(series, column.kind)?;
    if let Some(row) = weights.iter().position(|weight| weight.is_nan() || *weight < 0.0) {
        return Err(FeatureError::Cell {
            column: column.name.clone(),
            row: row + 1,
            problem: BAD_WEIGHT,
        });
    }
    if !weights.is_empty() && weights.iter().all(|weight| *weight == 0.0) {
        return Err(FeatureError::column(&column.name, "all weights are 0"));
    }
    Ok(Some(weights))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Column, SplitRows};

    fn dataset(kind: ColumnType, task: Task, classes: &[&str]) -> Dataset {
        let column = |name: &str, kind, role| Column {
            name: name.into(),
            kind,
            role,
        };
        Dataset {
            label: "y".into(),
            task,
            classes: classes.iter().map(|c| (*c).to_owned()).collect(),
            columns: vec![
                column("y", kind, Role::Label),
                column("w", ColumnType::Float, Role::Weight),
            ],
            rows: SplitRows {
                train: 0,
                validation: 0,
                test: 0,
            },
        }
    }

    #[test]
    fn classes_become_their_indices_in_whatever_type() {
        let text = dataset(ColumnType::Text, Task::Multiclass, &["b", "a", "c"]);
        let frame = df!("y" => ["a", "b", "c"]).expect("a frame");
        assert_eq!(target(&frame, &text), Ok(vec![1.0, 0.0, 2.0]));
        let truth = dataset(ColumnType::Boolean, Task::Binary, &["false", "true"]);
        let frame = df!("y" => [true, false]).expect("a frame");
        assert_eq!(target(&frame, &truth), Ok(vec![1.0, 0.0]));
        for classes in [["-1", "1"], ["-1.0", "1.0"]] {
            let number = dataset(ColumnType::Integer, Task::Binary, &classes);
            let frame = df!("y" => [1i32, -1]).expect("a frame");
            assert_eq!(target(&frame, &number), Ok(vec![1.0, 0.0]));
        }
        let number = dataset(ColumnType::Float, Task::Regression, &[]);
        let frame = df!("y" => [0.5, -2.0]).expect("a frame");
        assert_eq!(target(&frame, &number), Ok(vec![0.5, -2.0]));
    }

    #[test]
    fn a_label_that_cannot_be_learned_is_named_by_column_and_row() {
        let text = dataset(ColumnType::Text, Task::Binary, &["a", "b"]);
        let number = dataset(ColumnType::Integer, Task::Binary, &["0", "1"]);
        let regression = dataset(ColumnType::Float, Task::Regression, &[]);
        for (dataset, frame, problem) in [
            (&text, df!("y" => [Some("a"), None]), NO_LABEL),
            (&text, df!("y" => ["a", "secret"]), UNKNOWN_CLASS),
            (&number, df!("y" => [Some(0i64), None]), NO_LABEL),
            (&number, df!("y" => [0i64, 2]), UNKNOWN_CLASS),
            (&regression, df!("y" => [Some(0.0), None]), NO_LABEL),
            (&regression, df!("y" => [0.0, f64::INFINITY]), NOT_FINITE),
        ] {
            let error = target(&frame.expect("a frame"), dataset).expect_err(problem);
            assert_eq!(error.to_string(), format!("column y, row 2: {problem}"));
        }
        let frame = df!("x" => [0.0]).expect("a frame");
        let error = target(&frame, &regression).expect_err("no label");
        assert_eq!(error.to_string(), "columns are missing: y");
    }

    #[test]
    fn a_train_without_a_class_or_without_a_difference_is_refused() {
        let three = dataset(ColumnType::Text, Task::Multiclass, &["a", "b", "c"]);
        assert_eq!(check_train_target(&[0.0, 2.0, 1.0], &three), Ok(()));
        let error = check_train_target(&[0.0, 2.0], &three).expect_err("no b");
        assert!(
            error.to_string().contains("no row of class number 2 of 3"),
            "{error}"
        );
        let number = dataset(ColumnType::Float, Task::Regression, &[]);
        assert!(check_train_target(&[1.5, 1.5], &number).is_err());
        assert!(check_train_target(&[], &number).is_err());
        assert_eq!(check_train_target(&[1.5, 1.0], &number), Ok(()));
    }

    #[test]
    fn weights_are_numbers_from_0() {
        let dataset = dataset(ColumnType::Float, Task::Regression, &[]);
        let frame = df!("w" => [1.0, 0.0, 2.5]).expect("a frame");
        assert_eq!(weights(&frame, &dataset), Ok(Some(vec![1.0, 0.0, 2.5])));
        for bad in [Some(-1.0), None, Some(f64::NAN), Some(f64::INFINITY)] {
            let frame = df!("w" => [Some(1.0), bad]).expect("a frame");
            let error = weights(&frame, &dataset).expect_err("no weight");
            assert_eq!(error.to_string(), format!("column w, row 2: {BAD_WEIGHT}"));
        }
        let frame = df!("w" => [0.0, 0.0]).expect("a frame");
        assert!(weights(&frame, &dataset).is_err());
        let mut without = dataset;
        without.columns.truncate(1);
        assert_eq!(weights(&frame, &without), Ok(None));
    }
}
