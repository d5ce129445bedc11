//! What each column is for, and what kind of prediction the label asks for.

use std::collections::BTreeMap;

use ml::dataset::{Column as DatasetColumn, Role, Task};
use pipeline::spec::Parameter;
use pipeline::spec::stages::{Extract, TaskName};
use pipeline::stage::StageError;
use polars::prelude::*;

use super::columns::{column_type, missing};
use super::read::{did_you_mean, first_line};
use crate::flow::permanent;

/// The most classes of a label.
pub(crate) const MAX_CLASSES: usize = 256;
/// Whole numbers with up to so many values are classes, if nothing else is said.
const MAX_GUESSED_CLASSES: usize = 20;

/// Every column with its role.
pub(crate) fn columns(frame: &DataFrame, params: &Extract) -> Result<Vec<DatasetColumn>, StageError> {
    let named = |role: Role, names: &[String]| names.iter().map(|n| (role, n.clone())).collect::<Vec<_>>();
    let mut roles: BTreeMap<String, Role> = BTreeMap::new();
    let all = [
        (
            Role::Label,
            "label",
            named(Role::Label, std::slice::from_ref(&params.label)),
        ),
        (
            Role::Weight,
            "weight",
            named(Role::Weight, params.weight.as_slice()),
        ),
        (Role::Key, "key", named(Role::Key, &params.key)),
        (Role::Excluded, "exclude", named(Role::Excluded, &params.exclude)),
    ];
    let names: Vec<&str> = frame.get_column_names().iter().map(|n| n.as_str()).collect();
    for (role, key, columns) in all {
        for (_, name) in columns {
            if !names.contains(&name.as_str()) {
                return Err(permanent(format!(
                    "{key}: there is no column {name:?}{}",
                    did_you_mean(&name, &names)
                )));
            }
            if let Some(other) = roles.insert(name.clone(), role)
                && other != role
            {
                return Err(permanent(format!(
                    "{key}: column {name:?} is named for something else as well: a column has one role"
                )));
            }
        }
    }
    let columns: Vec<DatasetColumn> = frame
        .columns()
        .iter()
        .map(|column| DatasetColumn {
            name: column.name().to_string(),
            kind: column_type(column.dtype()),
            role: roles
                .get(column.name().as_str())
                .copied()
                .unwrap_or(Role::Feature),
        })
        .collect();
    if !columns.iter().any(|c| c.role == Role::Feature) {
        return Err(permanent(
            "no column is left to predict from: every one is the label, a key, the weight or excluded",
        ));
    }
    Ok(columns)
}

/// Checks that every row has a weight that can be one.
pub(crate) fn check_weight(frame: &DataFrame, params: &Extract) -> Result<(), StageError> {
    let Some(name) = &params.weight else {
        return Ok(());
    };
    let failed = |e: PolarsError| permanent(first_line(&e));
    let column = frame.column(name).map_err(failed)?;
    if !matches!(column.dtype(), DataType::Int64 | DataType::Float64) {
        return Err(permanent(format!(
            "weight: column {name:?} does not hold numbers"
        )));
    }
    let values = column.cast(&DataType::Float64).map_err(failed)?;
    let is_good = |value: Option<f64>| value.is_some_and(|w| w.is_finite() && w >= 0.0);
    let bad: Vec<usize> = values
        .f64()
        .map_err(failed)?
        .iter()
        .enumerate()
        .filter(|(_, value)| !is_good(*value))
        .map(|(row, _)| row + 1)
        .collect();
    match bad.first() {
        None => Ok(()),
        Some(first) => Err(permanent(format!(
            "weight: {} rows of column {name:?} have no weight of at least 0, the first of them row {first}",
            bad.len()
        ))),
    }
}

/// The kind of prediction, the classes, and the label's column in the form that the classes' texts are of: whole numbers
/// that were read as floats because of a missing value are whole numbers again.
pub(crate) fn task(
    label: &Column,
    asked: Option<TaskName>,
) -> Result<(Task, Vec<String>, Option<Column>), StageError> {
    let name = label.name();
    let failed = |e: PolarsError| permanent(first_line(&e));
    if let Some((first, count)) = missing(label).map_err(failed)? {
        return Err(permanent(format!(
            "label: column {name:?} has no value in {count} of {} rows, the first of them row {first}: leave them out by WHERE {name} IS NOT NULL in `sql`",
            label.len()
        )));
    }
    if matches!(label.dtype(), DataType::Date | DataType::Datetime(_, _)) {
        return Err(permanent(format!(
            "label: column {name:?} holds points in time, which cannot be predicted: make a number of it in `sql`"
        )));
    }
    let whole = whole_numbers(label).map_err(failed)?;
    let is_whole = whole.is_some() || *label.dtype() == DataType::Int64;
    let column = whole.as_ref().unwrap_or(label);
    let values = column.as_materialized_series().unique().map_err(failed)?;
    let distinct = values.len();
    if distinct == 1 {
        return Err(permanent(format!(
            "label: column {name:?} has the same value in all rows: there is nothing to learn"
        )));
    }
    let is_text = matches!(label.dtype(), DataType::String | DataType::Boolean);
    let task = match asked {
        Some(TaskName::Binary) if distinct != 2 => {
            return Err(permanent(format!(
                "label: column {name:?} has {distinct} values, and task = \"binary\" needs two"
            )));
        }
        Some(TaskName::Multiclass) if distinct == 2 => {
            return Err(permanent(format!(
                "label: column {name:?} has two values: write task = \"binary\" instead of \"multiclass\", or leave task out"
            )));
        }
        Some(TaskName::Regression) if is_text => {
            return Err(permanent(format!(
                "label: column {name:?} does not hold numbers, which task = \"regression\" needs"
            )));
        }
        Some(TaskName::Binary) => Task::Binary,
        Some(TaskName::Multiclass) => Task::Multiclass,
        Some(TaskName::Regression) => Task::Regression,
        None if distinct == 2 => Task::Binary,
        None if is_text || (is_whole && distinct <= MAX_GUESSED_CLASSES) => Task::Multiclass,
        None => Task::Regression,
    };
    if task == Task::Regression {
        return match infinite(label).map_err(failed)? {
            None => Ok((task, Vec::new(), None)),
            Some(first) => Err(permanent(format!(
                "label: column {name:?} is infinite in row {first}: leave such rows out in `sql`"
            ))),
        };
    }
    if distinct > MAX_CLASSES {
        return Err(permanent(format!(
            "label: column {name:?} has {distinct} classes; at most {MAX_CLASSES} are possible"
        )));
    }
    // Fractions as classes are odd, but two of them are a binary label all the same: they are classes by their texts.
    let column = match (is_whole || is_text, whole) {
        (true, whole) => whole,
        (false, _) => Some(label.cast(&DataType::String).map_err(failed)?),
    };
    let classes = classes(column.as_ref().unwrap_or(label)).map_err(failed)?;
    Ok((task, classes, column))
}

/// The classes in the order of their indices: of two, the second is the positive one.
pub(crate) fn positive_last(
    task: Task,
    mut classes: Vec<String>,
    params: &Extract,
) -> Result<Vec<String>, StageError> {
    let Some(positive) = &params.positive else {
        return Ok(classes);
    };
    let label = &params.label;
    if task != Task::Binary {
        return Err(permanent(format!(
            "positive: label {label:?} {}, and only one of two classes is positive: take `positive` out",
            match classes.len() {
                0 => "is a number".to_owned(),
                n => format!("has {n} classes"),
            }
        )));
    }
    let text = positive.to_string();
    // Whatever way the number is written in.
    let number = match positive {
        Parameter::Integer(_) | Parameter::Float(_) => text.parse::<f64>().ok(),
        Parameter::Bool(_) | Parameter::Text(_) => None,
    };
    let is_it = |class: &String| *class == text || number.is_some_and(|n| class.parse::<f64>() == Ok(n));
    match classes.iter().position(is_it) {
        Some(0) => classes.swap(0, 1),
        Some(_) => {}
        None => {
            return Err(permanent(format!(
                "positive: label {label:?} has no class {text:?}: write one of its two values as the data has them"
            )));
        }
    }
    Ok(classes)
}

/// The column's values in their order, as texts.
fn classes(column: &Column) -> PolarsResult<Vec<String>> {
    let sorted = column
        .as_materialized_series()
        .unique()?
        .sort(SortOptions::default().with_nulls_last(true))?;
    let texts = sorted.cast(&DataType::String)?;
    Ok(texts.str()?.iter().flatten().map(str::to_owned).collect())
}

/// Floats that are all whole numbers, as such.
fn whole_numbers(column: &Column) -> PolarsResult<Option<Column>> {
    let DataType::Float64 = column.dtype() else {
        return Ok(None);
    };
    let is_whole = |value: f64| value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    match column.f64()?.iter().flatten().all(is_whole) {
        true => column.cast(&DataType::Int64).map(Some),
        false => Ok(None),
    }
}

fn infinite(column: &Column) -> PolarsResult<Option<usize>> {
    let DataType::Float64 = column.dtype() else {
        return Ok(None);
    };
    let mut values = column.f64()?.iter();
    Ok(values
        .position(|v| v.is_some_and(f64::is_infinite))
        .map(|row| row + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(column: Column, asked: Option<TaskName>) -> Result<(Task, Vec<String>), String> {
        task(&column, asked)
            .map(|(task, classes, _)| (task, classes))
            .map_err(|e| e.to_string())
    }

    fn column<T, C: ?Sized>(values: T) -> Column
    where
        Series: NamedFrom<T, C>,
        T: AsRef<C>,
    {
        Series::new("late".into(), values).into_column()
    }

    #[test]
    fn tells_the_task_from_the_values() {
        let texts = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            told(column([true, false, true]), None),
            Ok((Task::Binary, texts(&["false", "true"])))
        );
        assert_eq!(
            told(column([1i64, 0]), None),
            Ok((Task::Binary, texts(&["0", "1"])))
        );
        assert_eq!(
            told(column([1.0, 0.0]), None),
            Ok((Task::Binary, texts(&["0", "1"])))
        );
        assert_eq!(
            told(column([0.5, 1.5]), None),
            Ok((Task::Binary, texts(&["0.5", "1.5"])))
        );
        assert_eq!(
            told(column([10i64, 9, 2]), None),
            Ok((Task::Multiclass, texts(&["2", "9", "10"]))),
            "in the order of numbers"
        );
        assert_eq!(
            told(column(["b", "a", "c"]), None),
            Ok((Task::Multiclass, texts(&["a", "b", "c"])))
        );
        let many: Vec<i64> = (0..21).collect();
        assert_eq!(told(column(many.clone()), None), Ok((Task::Regression, vec![])));
        assert_eq!(
            told(column(many), Some(TaskName::Multiclass)).expect("asked").0,
            Task::Multiclass
        );
        assert_eq!(
            told(column([1i64, 0]), Some(TaskName::Regression)),
            Ok((Task::Regression, vec![]))
        );
    }

    #[test]
    fn the_positive_class_is_the_one_that_is_asked_for() {
        let asked = |classes: &[&str], positive: serde_json::Value| {
            let params = serde_json::json!({ "sources": {}, "label": "late", "positive": positive });
            let params: Extract = serde_json::from_value(params).expect("good parameters");
            let task = match classes.len() {
                0 => Task::Regression,
                2 => Task::Binary,
                _ => Task::Multiclass,
            };
            let classes = classes.iter().map(|c| (*c).to_owned()).collect();
            positive_last(task, classes, &params).map_err(|e| e.to_string())
        };
        let is = |classes: &[&str], positive: serde_json::Value, last: &str| {
            assert_eq!(asked(classes, positive).expect("there is one")[1], last);
        };
        is(&["fraud", "legit"], "fraud".into(), "fraud");
        is(&["fraud", "legit"], "legit".into(), "legit");
        is(&["fraud", "legit"], serde_json::Value::Null, "legit");
        is(&["false", "true"], false.into(), "false");
        is(&["0", "1"], 0.into(), "0");
        is(&["0", "1"], 0.0.into(), "0");
        is(&["0.5", "1.5"], 0.5.into(), "0.5");
        for (classes, positive, words) in [
            (&["fraud", "legit"][..], "Fraud", "has no class \"Fraud\""),
            (&["a", "b", "c"], "a", "has 3 classes"),
            (&[], "a", "is a number"),
        ] {
            let refused = asked(classes, positive.into()).expect_err(words);
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn says_why_a_label_cannot_be_learned() {
        let many: Vec<String> = (0..300).map(|i| format!("c{i}")).collect();
        for (label, asked, words) in [
            (column([1i64, 1]), None, "the same value in all rows"),
            (
                column([Some(1i64), None, None]),
                None,
                "no value in 2 of 3 rows, the first of them row 2",
            ),
            (column([1.0, f64::NAN]), None, "no value in 1 of 2 rows"),
            (column([1.5, 2.5, f64::INFINITY]), None, "infinite in row 3"),
            (column([1i64, 2, 3]), Some(TaskName::Binary), "has 3 values"),
            (
                column([1i64, 0]),
                Some(TaskName::Multiclass),
                "has two values: write task = \"binary\"",
            ),
            (
                column(["a", "b"]),
                Some(TaskName::Regression),
                "does not hold numbers",
            ),
            (column(many), None, "has 300 classes"),
        ] {
            let refused = told(label, asked).expect_err(words);
            assert!(
                refused.contains(words) && refused.contains("\"late\""),
                "{refused}"
            );
        }
    }
}
