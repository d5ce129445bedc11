//! From TOML to JSON, and back to lines.

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

pub(super) fn to_object(table: &DeTable<'_>) -> Map<String, Value> {
    table
        .iter()
        .map(|(k, v)| (k.get_ref().clone().into_owned(), to_json(v.get_ref())))
        .collect()
}

fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
            .map_or_else(|_| Value::String(n.as_str().to_owned()), Value::from),
        // JSON has no infinity and no NaN; as texts they are refused where a number must be.
        DeValue::Float(n) => match n.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::from(number),
            Ok(_) | Err(_) => Value::String(n.as_str().to_owned()),
        },
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(values) => values.iter().map(|v| to_json(v.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(to_object(table)),
    }
}

/// The line, from 1, of that byte.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|b| **b == b'\n')
        .count()
        + 1
}

/// The line of the innermost part of `key` that the text has. Keys may themselves have dots in them.
pub(super) fn line_at(text: &str, document: &DeTable<'_>, key: &str) -> Option<usize> {
    let (mut at, mut rest) = in_table(document, key)?;
    loop {
        let next = match at.1 {
            DeValue::Table(table) => in_table(table, rest.trim_start_matches('.')),
            DeValue::Array(values) => in_array(values, rest),
            _ => None,
        };
        match next {
            Some((inner, left)) => (at, rest) = (inner, left),
            None => return Some(line_of(text, at.0)),
        }
    }
}

/// A value and the byte where it begins.
type Place<'t, 'i> = (usize, &'t DeValue<'i>);

/// The value of the longest key of `table` that `path` begins with, and the rest of the path.
fn in_table<'t, 'i, 'k>(table: &'t DeTable<'i>, path: &'k str) -> Option<(Place<'t, 'i>, &'k str)> {
    let ends = path
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '['))
        .map(|(at, _)| at);
    // A key with more dots than that gets the line of the table that it is in.
    let ends: Vec<usize> = ends.take(64).chain([path.len()]).collect();
    ends.into_iter().rev().find_map(|end| {
        let (key, value) = table.get_key_value(&path[..end])?;
        // A table of its own begins at its heading, everything else at its key.
        let begin = match value.get_ref() {
            DeValue::Table(_) | DeValue::Array(_) => value.span().start,
            _ => key.span().start,
        };
        Some(((begin, value.get_ref()), &path[end..]))
    })
}

fn in_array<'t, 'i, 'k>(
    values: &'t toml::de::DeArray<'i>,
    path: &'k str,
) -> Option<(Place<'t, 'i>, &'k str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    let value = values.get(index.parse::<usize>().ok()?)?;
    Some(((value.span().start, value.get_ref()), rest))
}
