//! A specification to start from, written for a file of data.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use ml::dataset::{Column as DatasetColumn, ColumnType, Role, Task};
use ml::statistics::{self, ColumnStatistics, Statistics};
use pipeline::Sha256Digest;
use pipeline::spec::stages::{Extract, Source, Split};
use pipeline::stage::{SourceFile, StageError};
use polars::prelude::*;

use super::read::{Reading, first_line};
use super::{columns, moments, roles};
use crate::flow::permanent;

/// Rows that are looked at.
const MAX_ROWS: IdxSize = 200_000;
/// Texts with up to so many values get a commented rule that lists them.
const MAX_LISTED: usize = 12;
/// A column of times with at least so many different ones can decide the split.
const MIN_TIMES: u64 = 20;

/// Writes a commented specification for the data in `file`, in which it is called `path`: the types and missing values
/// that were found, a split by time if there is a column of times, rules from the values that were seen (commented
/// out), two candidates and a gate. It loads as it is. `scratch` is a folder for unpacked data, made if needed.
pub fn starter(
    file: &Path,
    path: &str,
    label: &str,
    pipeline: &str,
    scratch: &Path,
) -> Result<String, StageError> {
    let failed = |e: PolarsError| permanent(first_line(&e));
    let go_on = || true;
    let reading = Reading::new(scratch, &go_on);
    let files = [SourceFile {
        uri: path.to_owned(),
        path: file.to_owned(),
        sha256: Sha256Digest::of(path.as_bytes()),
        size_bytes: 0,
    }];
    let mut source = Source {
        path: path.to_owned(),
        format: None,
        nulls: Vec::new(),
        separator: None,
        types: BTreeMap::new(),
    };
    reading.adapt("data", &mut source, &files)?;
    let table = reading.table("data", &source, &files)?;
    let frame = table.frame.limit(MAX_ROWS);
    let frame = frame
        .collect_with_engine(Engine::Streaming)
        .map_err(failed)?
        .unwrap_single();
    let frame = columns::normalised(frame)?;
    let params = Extract {
        sources: BTreeMap::from([("data".to_owned(), source.clone())]),
        sql: None,
        label: label.to_owned(),
        task: None,
        positive: None,
        key: Vec::new(),
        weight: None,
        exclude: Vec::new(),
        split: Split::default(),
    };
    let described_columns = roles::columns(&frame, &params)?;
    let target = frame.column(label).map_err(failed)?;
    let missing_labels = columns::missing(target)
        .map_err(failed)?
        .map_or(0, |(_, count)| count);
    let present = match missing_labels {
        0 => target.clone(),
        _ => target.drop_nulls(),
    };
    let (task, classes, _) = roles::task(&present, None)?;
    let base = match task {
        Task::Binary => base_rate(&present, &classes).map_err(failed)?,
        Task::Multiclass | Task::Regression => None,
    };
    let statistics =
        statistics::describe(&frame, &described_columns, &Default::default()).map_err(permanent)?;
    let found = Found {
        path,
        label,
        source: &source,
        columns: &described_columns,
        statistics: &statistics,
        has_missing_labels: missing_labels > 0,
    };
    Ok(found.text(pipeline, task, &classes, base))
}

/// A class of the label as a specification names it.
fn class(text: &str, label: Option<&ml::dataset::Column>) -> String {
    match label.map(|column| column.kind) {
        Some(ColumnType::Boolean | ColumnType::Integer | ColumnType::Float) => text.to_owned(),
        _ => quoted(text),
    }
}

/// The share of the positive class.
fn base_rate(label: &Column, classes: &[String]) -> PolarsResult<Option<f64>> {
    let Some(positive) = classes.get(1) else {
        return Ok(None);
    };
    let whole = match label.dtype() {
        DataType::Float64 => label.cast(&DataType::Int64)?,
        _ => label.clone(),
    };
    let texts = whole.cast(&DataType::String)?;
    let count = texts
        .str()?
        .iter()
        .flatten()
        .filter(|text| text == positive)
        .count();
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = count as f64 / label.len().max(1) as f64;
    Ok(Some(share))
}

struct Found<'a> {
    path: &'a str,
    label: &'a str,
    source: &'a Source,
    columns: &'a [DatasetColumn],
    statistics: &'a Statistics,
    has_missing_labels: bool,
}

impl Found<'_> {
    fn features(&self) -> impl Iterator<Item = (&DatasetColumn, &ColumnStatistics)> {
        self.columns
            .iter()
            .zip(&self.statistics.columns)
            .filter(|(column, _)| column.role == Role::Feature)
    }

    /// Names of rows: all different, and called so.
    fn keys(&self) -> Vec<&str> {
        self.features()
            .filter(|(column, s)| {
                let name = column.name.to_lowercase();
                let is_named_so =
                    name == "id" || name.ends_with("_id") || name.ends_with("uuid") || name == "key";
                let is_whole = matches!(column.kind, ColumnType::Integer | ColumnType::Text);
                is_named_so && is_whole && s.missing == 0 && s.distinct.count * 100 >= s.rows * 99
            })
            .map(|(column, _)| column.name.as_str())
            .collect()
    }

    /// The first column of times that can decide the split.
    fn time(&self) -> Option<&str> {
        self.features()
            .find(|(column, s)| {
                matches!(column.kind, ColumnType::Date | ColumnType::Datetime)
                    && s.missing == 0
                    && s.distinct.count >= MIN_TIMES
            })
            .map(|(column, _)| column.name.as_str())
    }

    fn text(&self, pipeline: &str, task: Task, classes: &[String], base: Option<f64>) -> String {
        let mut out = String::new();
        // Writing into a text cannot fail.
        let _ = self.data(&mut out, pipeline, task, classes);
        let _ = self.rules(&mut out);
        let _ = models(&mut out, task, base);
        out
    }

    fn data(&self, out: &mut String, pipeline: &str, task: Task, classes: &[String]) -> std::fmt::Result {
        let key = self.keys();
        let time = self.time();
        writeln!(
            out,
            "# A specification to start from. See everything it can say: worker spec docs"
        )?;
        writeln!(out, "pipeline = {}\nseed = 42\n\n[data]", quoted(pipeline))?;
        let mut options = Vec::new();
        if !self.source.nulls.is_empty() {
            options.push(format!("nulls = {}", list(&self.source.nulls)));
        }
        if let Some(separator) = self.source.separator {
            options.push(format!("separator = {}", quoted(&separator.to_string())));
        }
        let path = quoted(self.path);
        match options.is_empty() {
            true => writeln!(out, "source = {path}")?,
            false => writeln!(out, "source = {{ path = {path}, {} }}", options.join(", "))?,
        }
        if self.has_missing_labels {
            writeln!(
                out,
                "# Rows without a label are left out.\nsql = {}",
                quoted(&format!(
                    "SELECT * FROM data WHERE \"{}\" IS NOT NULL",
                    self.label.replace('"', "\"\"")
                ))
            )?;
        } else {
            writeln!(
                out,
                "# sql = \"SELECT … FROM data\" # join, filter and compute columns"
            )?;
        }
        let task = match task {
            Task::Binary => "binary",
            Task::Multiclass => "multiclass",
            Task::Regression => "regression",
        };
        writeln!(
            out,
            "label = {}\ntask = {task:?}{}",
            quoted(self.label),
            match classes.len() {
                0 => String::new(),
                n => format!(" # {n} classes"),
            }
        )?;
        if let [_, positive] = classes {
            writeln!(
                out,
                "# positive = {} # the class that probability, precision and recall are about",
                class(positive, self.columns.iter().find(|c| c.name == self.label))
            )?;
        }
        if !key.is_empty() {
            writeln!(out, "key = {} # names rows, is no feature", list(&key))?;
        }
        if let Some(time) = time {
            writeln!(
                out,
                "exclude = {} # decides the split; a model must not learn the date by heart",
                list(&[time])
            )?;
        }
        writeln!(out, "\n[split]")?;
        match time {
            Some(time) => writeln!(
                out,
                "by = \"time\" # train on the past, test on the latest: as it will be used\ncolumn = {}\nvalidation = 0.15\ntest = 0.15",
                quoted(time)
            ),
            None => writeln!(out, "by = \"random\"\nvalidation = 0.15\ntest = 0.15"),
        }
    }

    fn rules(&self, out: &mut String) -> std::fmt::Result {
        let rows = self.statistics.rows;
        writeln!(
            out,
            "\n# What must hold before anything is learned. The ranges are those that were seen: widen them before\n# you take the marks away.\n[validate]\nrows = {{ min = {} }}",
            (rows / 2).max(10)
        )?;
        for (column, s) in self.features() {
            writeln!(out)?;
            let name = quoted(&column.name);
            let kind = super::type_name(column.kind);
            writeln!(out, "# [validate.columns.{name}]\n# type = {kind:?}")?;
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let missing = s.missing as f64 / s.rows.max(1) as f64;
            writeln!(out, "# max_nulls = {:.2}", (missing * 1.5 + 0.005).min(1.0))?;
            if let Some(numbers) = &s.numbers {
                let (min, max) = (bound(numbers.min, column.kind), bound(numbers.max, column.kind));
                writeln!(out, "# min = {min}\n# max = {max}")?;
            }
            if let Some(values) = &s.values
                && column.kind == ColumnType::Text
                && values.others == 0
                && values.top.len() <= MAX_LISTED
            {
                let mut texts: Vec<&str> = values.top.iter().map(|v| v.value.as_str()).collect();
                texts.sort_unstable();
                writeln!(out, "# allowed = {}", list(&texts))?;
            }
        }
        Ok(())
    }
}

fn models(out: &mut String, task: Task, base: Option<f64>) -> std::fmt::Result {
    writeln!(
        out,
        "\n[[candidates]]\nmodel = \"linear\"\n\n[[candidates]]\nmodel = \"boosting\""
    )?;
    writeln!(out, "\n# The winner is only deployed if it is good enough.")?;
    match task {
        Task::Binary => {
            let base = base.unwrap_or(0.5);
            writeln!(
                out,
                "# [[gates]]\n# metric = \"auc\"\n# at_least = 0.6 # 0.5 is chance\n\n# [[gates]]\n# metric = \"pr_auc\"\n# at_least = {:.2} # {base:.2} is chance: the share of the positive class",
                (base * 1.5).min(0.95)
            )
        }
        Task::Multiclass => writeln!(
            out,
            "# [[gates]]\n# metric = \"balanced_accuracy\"\n# at_least = 0.5"
        ),
        Task::Regression => writeln!(
            out,
            "# [[gates]]\n# metric = \"r2\"\n# at_least = 0.1 # 0 is the mean"
        ),
    }
}

/// A bound as it is written.
fn bound(value: f64, kind: ColumnType) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "days and microseconds are whole")]
    match kind {
        ColumnType::Date => quoted(&moments::date_text(value as i64)),
        ColumnType::Datetime => quoted(&moments::datetime_text(value as i64)),
        ColumnType::Integer => format!("{value:.0}"),
        _ => format!("{value:?}"),
    }
}

fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// A basic string of TOML. Line breaks are escaped too, so a name can never leave its comment.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}') => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
