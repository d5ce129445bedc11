//! Rules, made ready for the columns that they are about.

use std::collections::{BTreeSet, HashSet};

use ml::dataset::{ColumnType, Dataset};
use pipeline::spec::stages::{ColumnRules, ColumnType as AskedType, OnFailure, Validate as Params};
use pipeline::stage::StageError;
use polars::prelude::*;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::extract::moments::{self, DAY_US};
use crate::extract::{did_you_mean, row_hashes, type_name as words};
use crate::flow::permanent;

/// The longest pattern: 1 KiB.
const MAX_PATTERN_BYTES: usize = 1 << 10;
/// The largest compiled pattern: 1 MiB.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// A rule that every row keeps or breaks.
pub(crate) struct RowRule {
    pub(crate) id: String,
    pub(crate) column: String,
    pub(crate) severity: OnFailure,
    check: Check,
}

enum Check {
    Min(f64),
    Max(f64),
    AllowedNumbers(Vec<f64>),
    AllowedTexts(BTreeSet<String>),
    Pattern(Box<Regex>),
    /// The values seen so far, as hashes of 128 bits.
    Unique(HashSet<u128>),
}

/// A rule on a column as a whole.
pub(crate) enum WholeRule {
    /// Settled by the data set's description.
    Settled { holds: bool, detail: String },
    /// The largest share of missing values.
    MaxNulls(f64),
}

/// A rule on a column as a whole, with its name.
pub(crate) struct ColumnRule {
    pub(crate) id: String,
    pub(crate) column: String,
    pub(crate) severity: OnFailure,
    pub(crate) rule: WholeRule,
}

/// All rules of a specification, for a data set.
pub(crate) struct Rules {
    pub(crate) whole: Vec<ColumnRule>,
    pub(crate) rows: Vec<RowRule>,
}

impl Rules {
    /// Makes the rules ready; refuses those that cannot be checked on columns of their type.
    pub(crate) fn new(params: &Params, dataset: &Dataset) -> Result<Self, StageError> {
        let mut rules = Self {
            whole: Vec::new(),
            rows: Vec::new(),
        };
        for (name, asked) in &params.columns {
            let severity = asked.on_failure.unwrap_or(params.on_failure);
            let whole = |rule: &str, settled| ColumnRule {
                id: format!("{name}.{rule}"),
                column: name.clone(),
                severity,
                rule: settled,
            };
            let Some(column) = dataset.column(name) else {
                let names: Vec<&str> = dataset.columns.iter().map(|c| c.name.as_str()).collect();
                let detail = format!("there is no such column{}", did_you_mean(name, &names));
                rules
                    .whole
                    .push(whole("exists", WholeRule::Settled { holds: false, detail }));
                continue;
            };
            if let Some(kind) = asked.kind {
                rules.whole.push(whole(
                    "type",
                    WholeRule::Settled {
                        holds: is_of_type(column.kind, kind),
                        detail: format!("it is {}, not {}", words(column.kind), words(own(kind))),
                    },
                ));
            }
            if let Some(share) = asked.max_nulls {
                rules.whole.push(whole("max_nulls", WholeRule::MaxNulls(share)));
            }
            for (rule, check) in checks(name, asked, column.kind)? {
                rules.rows.push(RowRule {
                    id: format!("{name}.{rule}"),
                    column: name.clone(),
                    severity,
                    check,
                });
            }
        }
        Ok(rules)
    }

    /// The columns that must be read to check them.
    pub(crate) fn columns(&self, dataset: &Dataset) -> BTreeSet<String> {
        let of_rows = self.rows.iter().map(|rule| &rule.column);
        let of_whole = self.whole.iter().map(|rule| &rule.column);
        of_rows
            .chain(of_whole)
            .filter(|name| dataset.column(name).is_some())
            .cloned()
            .collect()
    }
}

fn checks(
    name: &str,
    asked: &ColumnRules,
    kind: ColumnType,
) -> Result<Vec<(&'static str, Check)>, StageError> {
    let wrong = |rule: &str, why: &str| permanent(format!("validate.columns.{name}.{rule}: {why}"));
    let number = |rule: &'static str, value: &Value| {
        number_of(value, kind).ok_or_else(|| {
            wrong(
                rule,
                &format!("it does not fit to a column of type {}", words(kind)),
            )
        })
    };
    let mut checks = Vec::new();
    if let Some(value) = &asked.min {
        checks.push(("min", Check::Min(number("min", value)?)));
    }
    if let Some(value) = &asked.max {
        checks.push(("max", Check::Max(number("max", value)?)));
    }
    if let Some(values) = &asked.allowed {
        let check = match kind {
            ColumnType::Text | ColumnType::Boolean => Check::AllowedTexts(
                values
                    .iter()
                    .map(|value| match value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    })
                    .collect(),
            ),
            _ => {
                let numbers = values.iter().map(|value| number("allowed", value));
                let mut numbers = numbers.collect::<Result<Vec<_>, _>>()?;
                numbers.sort_unstable_by(f64::total_cmp);
                Check::AllowedNumbers(numbers)
            }
        };
        checks.push(("allowed", check));
    }
    if let Some(pattern) = &asked.pattern {
        if kind != ColumnType::Text {
            return Err(wrong(
                "pattern",
                &format!("only texts match patterns, and it is {}", words(kind)),
            ));
        }
        checks.push((
            "pattern",
            Check::Pattern(Box::new(compiled(pattern).map_err(|e| wrong("pattern", &e))?)),
        ));
    }
    if asked.unique {
        checks.push(("unique", Check::Unique(HashSet::new())));
    }
    Ok(checks)
}

/// A pattern for whole values, by an engine whose time is linear in the value's length.
fn compiled(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("it is longer than {MAX_PATTERN_BYTES} bytes"));
    }
    RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|e| {
            format!(
                "it is no regular expression that can be used: {}",
                e.to_string().lines().last().unwrap_or_default()
            )
        })
}

/// A bound as a number: days of dates, microseconds of times.
#[expect(
    clippy::cast_precision_loss,
    reason = "below 2^53 for all years that can be written"
)]
fn number_of(value: &Value, kind: ColumnType) -> Option<f64> {
    let us = || moments::datetime(value.as_str()?.as_bytes());
    match kind {
        ColumnType::Integer | ColumnType::Float => value.as_f64(),
        ColumnType::Date => us().filter(|us| us % DAY_US == 0).map(|us| (us / DAY_US) as f64),
        ColumnType::Datetime => us().map(|us| us as f64),
        ColumnType::Text | ColumnType::Boolean => None,
    }
}

impl RowRule {
    /// The rows (from 0) that break it, and how many have a value to check. Missing values break `max_nulls` only.
    pub(crate) fn broken(&mut self, frame: &DataFrame) -> PolarsResult<(Vec<usize>, u64)> {
        let column = frame.column(&self.column)?;
        match &mut self.check {
            Check::Min(min) => {
                let min = *min;
                numbers(column, move |value| value >= min)
            }
            Check::Max(max) => {
                let max = *max;
                numbers(column, move |value| value <= max)
            }
            Check::AllowedNumbers(allowed) => numbers(column, |value| {
                allowed.binary_search_by(|a| a.total_cmp(&(value + 0.0))).is_ok()
            }),
            Check::AllowedTexts(allowed) => texts(column, |text| allowed.contains(text)),
            Check::Pattern(pattern) => texts(column, |text| pattern.is_match(text)),
            Check::Unique(seen) => {
                let names = [self.column.clone()];
                let high = row_hashes(frame, &names, 1)?;
                let low = row_hashes(frame, &names, 2)?;
                let is_missing = column.is_null();
                let mut broken = Vec::new();
                let mut checked = 0;
                for (row, missing) in is_missing.iter().enumerate() {
                    if missing == Some(true) {
                        continue;
                    }
                    checked += 1;
                    let hash = u128::from(high[row]) << 64 | u128::from(low[row]);
                    if !seen.insert(hash) {
                        broken.push(row);
                    }
                }
                Ok((broken, checked))
            }
        }
    }
}

fn numbers(column: &Column, holds: impl Fn(f64) -> bool) -> PolarsResult<(Vec<usize>, u64)> {
    let physical = column.to_physical_repr().cast(&DataType::Float64)?;
    let values = physical.f64()?;
    let present = values
        .iter()
        .enumerate()
        .filter_map(|(row, value)| value.filter(|v| !v.is_nan()).map(|v| (row, v)));
    let mut checked = 0;
    let broken = present
        .inspect(|_| checked += 1)
        .filter(|(_, value)| !holds(*value))
        .map(|(row, _)| row)
        .collect();
    Ok((broken, checked))
}

fn texts(column: &Column, holds: impl Fn(&str) -> bool) -> PolarsResult<(Vec<usize>, u64)> {
    let texts = column.cast(&DataType::String)?;
    let mut checked = 0;
    let broken = texts
        .str()?
        .iter()
        .enumerate()
        .filter_map(|(row, text)| text.map(|text| (row, text)))
        .inspect(|_| checked += 1)
        .filter(|(_, text)| !holds(text))
        .map(|(row, _)| row)
        .collect();
    Ok((broken, checked))
}

/// How many values are missing: null or NaN.
pub(crate) fn missing(column: &Column) -> PolarsResult<u64> {
    let nan = match column.dtype() {
        DataType::Float64 => column
            .f64()?
            .iter()
            .flatten()
            .filter(|value| value.is_nan())
            .count(),
        _ => 0,
    };
    Ok((column.null_count() + nan) as u64)
}

fn own(kind: AskedType) -> ColumnType {
    match kind {
        AskedType::Boolean => ColumnType::Boolean,
        AskedType::Integer => ColumnType::Integer,
        AskedType::Float => ColumnType::Float,
        AskedType::Text => ColumnType::Text,
        AskedType::Date => ColumnType::Date,
        AskedType::Datetime => ColumnType::Datetime,
    }
}

/// Whole numbers are numbers: a column of floats may have no fraction today.
fn is_of_type(found: ColumnType, asked: AskedType) -> bool {
    found == own(asked) || (found == ColumnType::Integer && asked == AskedType::Float)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "how long it takes is what is tested")]

    use std::time::{Duration, Instant};

    use super::compiled;

    /// What takes other engines exponential time, or becomes large when it is compiled.
    const HOSTILE: [&str; 12] = [
        "(a+)+$",
        "(a|a?)+$",
        "(.*a){25}",
        "([a-zA-Z]+)*",
        "((((((((((a*)*)*)*)*)*)*)*)*)*)*",
        "(?:a?){60}a{60}",
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
        r"\pL{1000}",
        r"(\w{50}){50}",
        r"[\p{L}\p{N}]{0,900}[^\x00-\x{10FFFE}]{0,900}",
        r"(?i)(\p{Greek}|\p{Cyrillic}|\p{Han}){0,200}",
    ];

    #[test]
    fn t07_every_pattern_is_compiled_or_refused_at_once() {
        let nested = "(".repeat(500) + "a" + &")*".repeat(500);
        let classes = r"\p{L}".repeat(200);
        let long = "a".repeat(1_025);
        let value = "a".repeat(100_000) + "!";
        let patterns = HOSTILE.into_iter().chain([&*nested, &*classes, &*long]);
        for pattern in patterns {
            // The best of three: the machine may be busy with something else.
            let time = |work: &dyn Fn()| {
                let timed = (0..3).map(|_| {
                    let start = Instant::now();
                    work();
                    start.elapsed()
                });
                timed.min().unwrap_or_default()
            };
            let took = time(&|| drop(compiled(pattern)));
            let shown: String = pattern.chars().take(40).collect();
            // The engine is not optimised here, as it is in what is deployed, and others may want the machine: no measure of
            // speed, but far from what a pattern takes that gets out of hand.
            assert!(
                took < Duration::from_secs(10),
                "{shown}: compiled within {took:?}"
            );
            if let Ok(regex) = compiled(pattern) {
                let took = time(&|| {
                    regex.is_match(&value);
                });
                assert!(took < Duration::from_secs(10), "{shown}: matched within {took:?}");
            }
        }
        assert!(compiled(&long).is_err() && compiled("(a{1000}){1000}").is_err());
    }
}
