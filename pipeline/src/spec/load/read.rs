//! From a JSON value to a typed one, telling all that is wrong with it instead of the first thing.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::MAX_PROBLEMS;
use super::wording::{self, Complaint};

/// Something wrong with a value, at the key where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::spec) struct Mistake {
    pub(in crate::spec) key: String,
    pub(in crate::spec) message: String,
}

impl Mistake {
    /// What a type says of itself, which stands at `key`: `field: what` is about that field of it.
    pub(super) fn within(key: &str, message: &str) -> Self {
        match field_of(message) {
            Some((field, what)) => Self {
                key: join(key, field),
                message: what.to_owned(),
            },
            None => Self {
                key: key.to_owned(),
                message: message.to_owned(),
            },
        }
    }
}

/// One part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(usize),
}

/// A value of what is right in `value`, which stands at `key`, if enough is; and all that is wrong with it. Whatever is
/// wrong is taken out, and the rest is read again. A key of `told` was taken out before: that it is missing is no news.
pub(in crate::spec) fn read<T: DeserializeOwned>(
    mut value: Value,
    key: &str,
    told: &[String],
) -> (Option<T>, Vec<Mistake>) {
    let mut mistakes: Vec<Mistake> = Vec::new();
    while mistakes.len() < MAX_PROBLEMS {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => return (Some(read), mistakes),
            Err(error) => error,
        };
        let mut path = parts(error.path());
        let complaint = Complaint::of(&error.inner().to_string());
        let message = match &complaint {
            Complaint::Unknown { field, known } => {
                if path.last() != Some(&Part::Key(field.clone())) {
                    path.push(Part::Key(field.clone()));
                }
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                Some(wording::unknown(field, &known))
            }
            Complaint::Missing { field } => {
                let whole = join(&written(key, &path), field);
                let is_told = |k: &String| *k == whole;
                let is_news = !told.iter().chain(mistakes.iter().map(|m| &m.key)).any(is_told);
                is_news.then(|| format!("`{field}` is missing"))
            }
            Complaint::Other { message } => match field_of(message) {
                Some((field, what)) if at(&value, &path).is_some_and(|v| v.get(field).is_some()) => {
                    path.push(Part::Key(field.to_owned()));
                    Some(what.to_owned())
                }
                Some(_) | None => Some(message.clone()),
            },
        };
        if let Some(message) = message {
            let key = written(key, &path);
            mistakes.push(Mistake { key, message });
        }
        if !take_out(&mut value, &path) {
            return (None, mistakes);
        }
    }
    (None, mistakes)
}

/// `field: what`, as conversions of types say what is wrong with one of their fields.
fn field_of(message: &str) -> Option<(&str, &str)> {
    let (field, what) = message.split_once(": ")?;
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    (!field.is_empty() && field.chars().all(is_name)).then_some((field, what))
}

fn parts(path: &Path) -> Vec<Part> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Part::Key(key.clone())),
            Segment::Seq { index } => Some(Part::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn join(key: &str, field: &str) -> String {
    match key {
        "" => field.to_owned(),
        key => format!("{key}.{field}"),
    }
}

fn written(key: &str, path: &[Part]) -> String {
    path.iter().fold(key.to_owned(), |key, part| match part {
        Part::Key(field) => join(&key, field),
        Part::Index(index) => format!("{key}[{index}]"),
    })
}

fn at<'v>(value: &'v Value, path: &[Part]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| match part {
        Part::Key(field) => value.get(field),
        Part::Index(index) => value.get(index),
    })
}

/// Takes out what is at `path`: the whole list if it is in one, as the others' places must stay what they are. False if
/// there is nothing to take out.
fn take_out(value: &mut Value, path: &[Part]) -> bool {
    let mut path = path;
    while let Some((last, before)) = path.split_last() {
        path = before;
        let Part::Key(field) = last else { continue };
        let holder = before.iter().try_fold(&mut *value, |value, part| match part {
            Part::Key(field) => value.get_mut(field),
            Part::Index(index) => value.get_mut(index),
        });
        return holder
            .and_then(Value::as_object_mut)
            .is_some_and(|map| map.remove(field).is_some());
    }
    false
}
