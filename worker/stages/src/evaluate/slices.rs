//! Test in parts, by the values of columns.

use std::collections::BTreeMap;

use ml::dataset::{Dataset, Task};
use ml::metrics::{Interval, Judged, Truth};
use pipeline::stage::StageError;
use polars::prelude::{Column, DataType};
use serde::Serialize;

use super::Job;
use super::candidate::{Candidate, Metrics, Rows};
use crate::flow::{self, Split, permanent};

/// So many values of a column are reported, those with the most rows.
const MOST_VALUES: usize = 12;

/// What a missing value is called.
const NO_VALUE: &str = "(missing)";

/// How good the winner is on the rows where a column has one value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Slice {
    pub(super) column: String,
    pub(super) value: String,
    pub(super) rows: usize,
    pub(super) metrics: Metrics,
    /// Of the metric that chose the winner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) interval: Option<Interval>,
}

/// Every value of every column, by its rows.
pub(super) struct Slices {
    slices: Vec<Slice>,
    /// By column, how many of them are reported.
    shown: BTreeMap<String, usize>,
}

/// The columns must be there, and not be what is predicted or what no report may show: a slice is called by its value.
pub(super) fn check(columns: &[String], dataset: &Dataset, private: &[&str]) -> Result<(), StageError> {
    for name in columns {
        if dataset.column(name).is_none() {
            let known: Vec<&str> = dataset.columns.iter().map(|c| c.name.as_str()).collect();
            return Err(permanent(format!(
                "[evaluate] slices: the data has no column {name:?}; it has {}. A column that must not be a feature \
                 is kept by `exclude` in [data]",
                known.join(", ")
            )));
        }
        if private.contains(&name.as_str()) {
            return Err(permanent(format!(
                "[evaluate] slices: column {name:?} is private, and slices show values; take it out of one place"
            )));
        }
        if *name == dataset.label {
            return Err(permanent(format!(
                "[evaluate] slices: {name:?} is the label: a slice of one class has no metrics"
            )));
        }
    }
    Ok(())
}

/// Measures the winner on every slice of test.
pub(super) fn measure(job: &Job<'_>, winner: &Candidate, test: &Rows) -> Result<Slices, StageError> {
    let columns = &job.params.slices;
    let mut found = Slices {
        slices: Vec::new(),
        shown: BTreeMap::new(),
    };
    if columns.is_empty() {
        return Ok(found);
    }
    let frame = flow::rows(job.context, Split::Test, Some(columns))?;
    if frame.height() != test.target.len() {
        return Err(permanent(format!(
            "{} has {} rows and {} has {}: they are not of the same data",
            Split::Test.rows(),
            frame.height(),
            Split::Test.features(),
            test.target.len()
        )));
    }
    let wanted_by_gates = |value: &str, column: &str| {
        let gates = job.params.gates.iter().filter_map(|gate| gate.slice.as_deref());
        gates.into_iter().any(|text| is_meant(text, column, value))
    };
    for name in columns {
        job.context.checkpoint()?;
        let column = frame.column(name).map_err(permanent)?;
        let mut values: Vec<(String, Vec<usize>)> = rows_by_value(column)?.into_iter().collect();
        values.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
        for (at, (value, rows)) in values.into_iter().enumerate() {
            // A column of thousands of values would be thousands of measurements that nobody sees.
            if at < MOST_VALUES || wanted_by_gates(&value, name) {
                found.slices.push(slice(job, winner, test, name, value, &rows)?);
            }
            if at < MOST_VALUES {
                *found.shown.entry(name.clone()).or_default() += 1;
            }
        }
    }
    Ok(found)
}

/// A gate's slice is a value, or `column=value`.
fn is_meant(text: &str, column: &str, value: &str) -> bool {
    text == value
        || text
            .split_once('=')
            .is_some_and(|(c, v)| c.trim() == column && v.trim() == value)
}

fn rows_by_value(column: &Column) -> Result<BTreeMap<String, Vec<usize>>, StageError> {
    let texts = column.cast(&DataType::String).map_err(permanent)?;
    let texts = texts.str().map_err(permanent)?;
    let mut rows: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, text) in texts.iter().enumerate() {
        let text = text.unwrap_or(NO_VALUE);
        match rows.get_mut(text) {
            Some(rows) => rows.push(row),
            None => {
                rows.insert(text.to_owned(), vec![row]);
            }
        }
    }
    Ok(rows)
}

fn slice(
    job: &Job<'_>,
    winner: &Candidate,
    test: &Rows,
    column: &str,
    value: String,
    rows: &[usize],
) -> Result<Slice, StageError> {
    let outputs = match job.dataset.task {
        Task::Multiclass => job.dataset.classes.len(),
        Task::Binary | Task::Regression => 1,
    };
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| &winner.values[row * outputs..(row + 1) * outputs])
        .copied()
        .collect();
    let target: Vec<f32> = rows.iter().map(|row| test.target[*row]).collect();
    let weights: Option<Vec<f32>> = test
        .weights
        .as_ref()
        .map(|weights| rows.iter().map(|row| weights[*row]).collect());
    let truth = Truth {
        target: &target,
        weights: weights.as_deref(),
        ..test.truth()
    };
    let (metrics, interval) = match Judged::new(&values, &truth) {
        Ok(judged) => (
            judged.values(),
            judged.intervals(job.seed).get(job.metric.name).copied(),
        ),
        // All of it was checked as a whole: only rows that weigh nothing are left.
        Err(_) => (Metrics::new(), None),
    };
    Ok(Slice {
        column: column.to_owned(),
        value,
        rows: rows.len(),
        metrics,
        interval,
    })
}

impl Slices {
    /// Those that a gate means.
    pub(super) fn meant<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a Slice> {
        self.slices
            .iter()
            .filter(move |slice| is_meant(text, &slice.column, &slice.value))
    }

    /// Those that are reported.
    pub(super) fn shown(self) -> Vec<Slice> {
        let mut left = self.shown;
        self.slices
            .into_iter()
            .filter(|slice| match left.get_mut(&slice.column) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    true
                }
                _ => false,
            })
            .collect()
    }
}
