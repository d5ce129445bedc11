//! Sources, roles of columns, splits.

use std::collections::BTreeMap;

use super::super::{Boundary, Extract, Format, Predict, Source, Split, TaskName};
use super::Findings;

/// The longest name of a source, path and statement, in bytes.
const MAX_NAME_BYTES: usize = 64;
const MAX_PATH_BYTES: usize = 4_096;
const MAX_SQL_BYTES: usize = 64 * 1024;

/// Words of SQL that would need quotes to be the name of a table.
const RESERVED: &str = "all and as between by case cast create cross distinct else end exists false from full group having \
     in inner intersect is join left like limit not null offset on or order outer right select table then true union \
     using values when where with";

/// The smallest part of the rows that validation and test can be.
const MIN_SHARE: f64 = 1e-6;

pub(super) fn extract(params: &Extract, found: &mut Findings<'_>) {
    let Extract {
        sources: tables,
        sql,
        label,
        task,
        positive,
        key,
        weight,
        exclude,
        split: rows,
    } = params;
    sources(tables, sql.as_deref(), found);
    found.column(label, "label");
    if let (Some(_), Some(task @ (TaskName::Multiclass | TaskName::Regression))) = (positive, task) {
        found.say(
            "positive",
            format!(
                "only one of two classes is positive, and the task is {}",
                task.as_str()
            ),
        );
    }
    found.columns(key, "key");
    found.columns(exclude, "exclude");
    for (names, path) in [(key, "key"), (exclude, "exclude")] {
        if let Some(at) = names.iter().position(|name| name == label) {
            found.say(
                format!("{path}[{at}]"),
                format!("column {label:?} is the label already; take it out here"),
            );
        }
    }
    if let Some(weight) = weight {
        found.column(weight, "weight");
        found.expect(
            weight != label,
            "weight",
            "is the label; the weight must be another column",
        );
        found.expect(
            !key.contains(weight),
            "weight",
            "is also in `key`; one column cannot be both",
        );
    }
    split(rows, label, found);
}

pub(super) fn predict(params: &Predict, found: &mut Findings<'_>) {
    sources(&params.sources, params.sql.as_deref(), found);
    found.columns(&params.keep, "keep");
}

fn sources(sources: &BTreeMap<String, Source>, sql: Option<&str>, found: &mut Findings<'_>) {
    found.expect(
        !sources.is_empty(),
        "sources",
        "there are none: write a name and a path for each",
    );
    for (name, table) in sources {
        let path = format!("sources.{name}");
        if !is_sql_name(name) {
            found.say(
                &path,
                format!(
                    "{name:?} cannot be the name of a table in SQL: use a letter, then letters, digits and '_', at most \
                     {MAX_NAME_BYTES}, and no word of SQL"
                ),
            );
        }
        source(table, &path, found);
    }
    match sql {
        Some(sql) => {
            found.expect(
                !sql.trim().is_empty(),
                "sql",
                "is empty: write one SELECT, or leave it out",
            );
            found.expect(
                sql.len() <= MAX_SQL_BYTES,
                "sql",
                format!("has {} bytes: at most {MAX_SQL_BYTES} are taken", sql.len()),
            );
        }
        None => found.expect(
            sources.len() <= 1,
            "sql",
            format!(
                "is missing: there are {} sources, so say in one SELECT how they go together",
                sources.len()
            ),
        ),
    }
}

fn is_sql_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= MAX_NAME_BYTES
        && !RESERVED
            .split_whitespace()
            .any(|word| word.eq_ignore_ascii_case(name))
}

fn source(source: &Source, at: &str, found: &mut Findings<'_>) {
    let Source {
        path,
        format,
        nulls,
        separator,
        types,
    } = source;
    if let Some(message) = bad_path(path) {
        found.say(format!("{at}.path"), message);
    }
    if let Some(separator) = separator {
        found.expect(
            separator.is_ascii() && !matches!(separator, '"' | '\n' | '\r'),
            &format!("{at}.separator"),
            "must be one ASCII character, and no quote or line break",
        );
    }
    if let Some(format) = format.filter(|format| *format != Format::Csv) {
        for (key, is_given) in [
            ("nulls", !nulls.is_empty()),
            ("separator", separator.is_some()),
            ("types", !types.is_empty()),
        ] {
            let name = match format {
                Format::Parquet => "Parquet",
                Format::Csv | Format::Ndjson => "NDJSON",
            };
            found.expect(
                !is_given,
                &format!("{at}.{key}"),
                format!("is only for CSV; {name} says it itself"),
            );
        }
    }
    for name in types.keys() {
        found.column(name, &format!("{at}.types.{name}"));
    }
}

/// What is wrong with a path by itself. Whether it may be read is the backend's to say.
fn bad_path(path: &str) -> Option<String> {
    if path.trim().is_empty() {
        return Some("is empty: write a path, relative to the specification's folder".into());
    }
    if path.len() > MAX_PATH_BYTES || path.chars().any(char::is_control) {
        return Some(format!(
            "must have at most {MAX_PATH_BYTES} bytes, and no control characters"
        ));
    }
    match path.split_once("://") {
        None => None,
        Some(("s3", rest)) => match rest.split_once('/') {
            Some((bucket, key)) if is_bucket(bucket) && !key.is_empty() => None,
            Some(_) | None => Some("must be s3://BUCKET/KEY".into()),
        },
        Some(_) => {
            Some("only paths and s3://BUCKET/KEY are read; fetch the data into a file or bucket first".into())
        }
    }
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
}

fn split(split: &Split, label: &str, found: &mut Findings<'_>) {
    match split {
        Split::Random { validation, test } => shares(*validation, *test, found),
        Split::Hash {
            columns,
            validation,
            test,
        } => {
            found.expect(
                !columns.is_empty(),
                "split.columns",
                "is empty: name the columns whose values decide",
            );
            found.columns(columns, "split.columns");
            if let Some(at) = columns.iter().position(|c| c == label) {
                found.say(
                    format!("split.columns[{at}]"),
                    "is the label: rows of one class would stay together",
                );
            }
            shares(*validation, *test, found);
        }
        Split::Time {
            column,
            validation,
            test,
        } => {
            found.column(column, "split.column");
            found.expect(
                column != label,
                "split.column",
                "is the label; name the column with the time",
            );
            match (validation, test) {
                (Boundary::Share(validation), Boundary::Share(test))
                    if [validation, test].iter().all(|share| **share < 1.0) =>
                {
                    shares(*validation, *test, found);
                }
                (validation, test) => {
                    boundary(validation, "split.validation", found);
                    boundary(test, "split.test", found);
                    if let (Boundary::At(validation), Boundary::At(test)) = (validation, test) {
                        let are_in_order = match (number(validation), number(test)) {
                            (Some(validation), Some(test)) => validation < test,
                            // Dates and times of one form sort like texts.
                            _ => validation < test,
                        };
                        found.expect(
                            are_in_order,
                            "split.test",
                            format!("must begin after validation does ({validation})"),
                        );
                    }
                }
            }
        }
    }
}

fn shares(validation: f64, test: f64, found: &mut Findings<'_>) {
    let mut are_good = true;
    for (share, path) in [(validation, "split.validation"), (test, "split.test")] {
        let is_good = (MIN_SHARE..1.0).contains(&share);
        are_good &= is_good;
        found.expect(
            is_good,
            path,
            format!("must be a share above 0 and below 1, such as 0.15, not {share}"),
        );
    }
    if are_good {
        found.expect(
            validation + test < 1.0,
            "split.test",
            format!(
                "validation and test take {} of the rows, so nothing is left for train",
                validation + test
            ),
        );
    }
}

fn boundary(boundary: &Boundary, path: &str, found: &mut Findings<'_>) {
    match boundary {
        Boundary::Share(share) => found.expect(
            (MIN_SHARE..1.0).contains(share),
            path,
            format!(
                "must be a share above 0 and below 1, such as 0.15, not {share}; if it is a number of the column, write \
                 \"{share}\" in quotes"
            ),
        ),
        Boundary::At(at) => found.expect(
            super::is_date(at) || number(at).is_some(),
            path,
            format!(
                "{at:?} is no date and no number; write for example \"2013-11-01\", \"2013-11-01T00:00:00Z\" or \"2013\""
            ),
        ),
    }
}

/// A number that a column of numbers may hold.
fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}
