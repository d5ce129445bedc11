//! Rules of columns.

use serde_json::Value;

use super::super::{ColumnRules, ColumnType, Drift, Rows, Validate};
use super::{Findings, is_date};

/// The longest regular expression, in bytes.
const MAX_PATTERN_BYTES: usize = 1_024;

pub(super) fn validate(params: &Validate, found: &mut Findings<'_>) {
    let Validate {
        rows: Rows { min, max },
        only_known_columns: _,
        columns,
        drift: Drift { warn, stop },
        on_failure: _,
        champion_columns: _,
        private,
        model: _,
        alias: _,
    } = params;
    if let Some(max) = max {
        found.expect(min <= max, "rows.max", format!("is below rows.min ({min})"));
    }
    for (name, one) in columns {
        let path = format!("columns.{name}");
        found.column(name, &path);
        rules(one, &path, found);
    }
    found.not_negative(*warn, "drift.warn");
    if let Some(stop) = stop {
        found.not_negative(*stop, "drift.stop");
        found.expect(
            stop >= warn,
            "drift.stop",
            format!("is below drift.warn ({warn}), so nothing would ever only warn"),
        );
    }
    found.columns(private, "private");
}

fn rules(rules: &ColumnRules, at: &str, found: &mut Findings<'_>) {
    let ColumnRules {
        kind,
        max_nulls,
        min,
        max,
        allowed,
        pattern,
        unique: _,
        on_failure: _,
    } = rules;
    let path = |key: &str| format!("{at}.{key}");
    if let Some(share) = max_nulls {
        found.share(*share, &path("max_nulls"));
    }
    let mut are_bounds = true;
    for (key, bound) in [("min", min), ("max", max)] {
        let Some(bound) = bound else { continue };
        if let Some(message) = bad_bound(bound, *kind) {
            are_bounds = false;
            found.say(path(key), message);
        }
    }
    if let (Some(min), Some(max), true) = (min, max, are_bounds) {
        let is_above = match (min, max) {
            (Value::Number(min), Value::Number(max)) => min.as_f64() > max.as_f64(),
            // Dates and times of one form sort like texts.
            (Value::String(min), Value::String(max)) => min > max,
            _ => true,
        };
        found.expect(
            !is_above,
            &path("max"),
            format!("is not above min ({min}), so no value could be right"),
        );
    }
    if let Some(values) = allowed {
        found.expect(
            !values.is_empty(),
            &path("allowed"),
            "is empty, so no value could be right",
        );
        for (at, value) in values.iter().enumerate() {
            if let Some(message) = bad_value(value, *kind) {
                found.say(format!("{}[{at}]", path("allowed")), message);
            }
        }
    }
    if let Some(pattern) = pattern {
        found.expect(
            (1..=MAX_PATTERN_BYTES).contains(&pattern.len()),
            &path("pattern"),
            format!("must have 1 to {MAX_PATTERN_BYTES} bytes"),
        );
        found.expect(
            matches!(kind, None | Some(ColumnType::Text)),
            &path("pattern"),
            "only texts can match a pattern: the column's type must be \"text\"",
        );
    }
}

fn bad_bound(bound: &Value, kind: Option<ColumnType>) -> Option<String> {
    let is_good = match kind {
        Some(ColumnType::Boolean | ColumnType::Text) => {
            return Some("only numbers, dates and times have a smallest and a largest value".into());
        }
        Some(ColumnType::Integer | ColumnType::Float) => bound.is_number(),
        Some(ColumnType::Date | ColumnType::Datetime) => bound.as_str().is_some_and(is_date),
        None => bound.is_number() || bound.as_str().is_some_and(is_date),
    };
    (!is_good).then(|| match kind {
        Some(ColumnType::Integer | ColumnType::Float) => {
            "must be a number, as the column's type is one".into()
        }
        _ => "must be a number, or a date or time such as \"2013-11-01\"".into(),
    })
}

fn bad_value(value: &Value, kind: Option<ColumnType>) -> Option<String> {
    let wanted = match kind {
        None => {
            let is_simple = value.is_string() || value.is_number() || value.is_boolean();
            return (!is_simple).then(|| "must be a text, a number, true or false".into());
        }
        Some(ColumnType::Boolean) if !value.is_boolean() => "true or false",
        Some(ColumnType::Integer) if !(value.is_i64() || value.is_u64()) => "a whole number",
        Some(ColumnType::Float) if !value.is_number() => "a number",
        Some(ColumnType::Text) if !value.is_string() => "a text",
        Some(ColumnType::Date | ColumnType::Datetime) if !value.as_str().is_some_and(is_date) => {
            "a date or time such as \"2013-11-01\""
        }
        Some(_) => return None,
    };
    Some(format!("must be {wanted}, as the column's type says"))
}
