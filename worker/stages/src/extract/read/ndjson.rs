//! NDJSON: every file is looked through once before Polars reads it, so that a bad line is told with its number and
//! every column has one type.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, Read};
use std::path::Path;

use pipeline::spec::stages::ColumnType;
use polars::prelude::*;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::guess::Guess;
use super::records::Fault;
use super::{MAX_COLUMNS, MAX_ROWS, text_to_time};

/// The longest line: 16 MiB.
const MAX_LINE_BYTES: u64 = 16 << 20;
const ROWS_A_LOOK: u64 = 65_536;

/// One key of the objects.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonColumn {
    pub(crate) name: String,
    shape: Shape,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Value(Guess),
    /// A list or an object.
    Nested,
}

impl Shape {
    /// What a column is that holds both; none if there is no such column. A value that is missing goes with every other.
    fn with(self, other: Self) -> Option<Self> {
        // Dates are written as texts, so they mix with them; numbers are not.
        let is_text = |guess| matches!(guess, Guess::Text | Guess::Date | Guess::Datetime);
        match (self, other) {
            (Self::Value(Guess::Nothing), shape) | (shape, Self::Value(Guess::Nothing)) => Some(shape),
            (Self::Nested, Self::Nested) => Some(Self::Nested),
            (Self::Nested, Self::Value(_)) | (Self::Value(_), Self::Nested) => None,
            (Self::Value(a), Self::Value(b)) => {
                let both = a.with(b);
                (both != Guess::Text || (is_text(a) && is_text(b))).then_some(Self::Value(both))
            }
        }
    }

    /// What people call its values.
    fn words(self) -> &'static str {
        match self {
            Self::Value(guess) => guess.words(),
            Self::Nested => "lists or objects",
        }
    }
}

/// What is known of a source's files after they were looked through.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// In the order of their first appearance.
    columns: Vec<JsonColumn>,
    places: BTreeMap<String, usize>,
    pub(crate) rows: u64,
}

impl Survey {
    /// Looks through one more file. `go_on` is asked now and then.
    pub(crate) fn add<R: BufRead>(&mut self, mut file: R, go_on: &dyn Fn() -> bool) -> Result<(), Fault> {
        let rows_before = self.rows;
        let mut line = 0;
        let mut text = Vec::new();
        loop {
            text.clear();
            let read = Read::take(&mut file, MAX_LINE_BYTES + 1)
                .read_until(b'\n', &mut text)
                .map_err(Fault::Io)?;
            if read == 0 {
                break;
            }
            line += 1;
            if read as u64 > MAX_LINE_BYTES {
                return Err(Fault::at(
                    line,
                    format!(
                        "the line is longer than {} MiB: is it NDJSON?",
                        MAX_LINE_BYTES >> 20
                    ),
                ));
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if std::str::from_utf8(&text).is_err() {
                return Err(Fault::at(line, "it is not UTF-8: save the file as UTF-8"));
            }
            let Row(values) = serde_json::from_slice(&text).map_err(|e| {
                Fault::at(
                    line,
                    format!(
                        "no JSON object, or one that is nested too deeply (column {} of the line): NDJSON has one object a line",
                        e.column()
                    ),
                )
            })?;
            self.rows += 1;
            for (name, shape) in values {
                self.see(name, shape, line)?;
            }
            if self.rows.is_multiple_of(ROWS_A_LOOK) && !go_on() {
                return Ok(());
            }
        }
        if self.rows == rows_before {
            return Err(Fault::Whole("it is empty".into()));
        }
        if self.rows > MAX_ROWS {
            return Err(Fault::Whole(format!(
                "there are more than {MAX_ROWS} rows: split the data"
            )));
        }
        Ok(())
    }

    fn see(&mut self, name: String, shape: Shape, line: u64) -> Result<(), Fault> {
        let place = match self.places.get(&name) {
            Some(place) => *place,
            None if self.columns.len() == MAX_COLUMNS => {
                return Err(Fault::at(line, format!("there are more than {MAX_COLUMNS} keys")));
            }
            None => {
                self.places.insert(name.clone(), self.columns.len());
                self.columns.push(JsonColumn {
                    name,
                    shape: Shape::Value(Guess::Nothing),
                });
                self.columns.len() - 1
            }
        };
        let column = &mut self.columns[place];
        column.shape = column.shape.with(shape).ok_or_else(|| {
            Fault::at(
                line,
                format!(
                    "{:?} holds {} here and {} before: mend it",
                    column.name,
                    shape.words(),
                    column.shape.words()
                ),
            )
        })?;
        Ok(())
    }

    /// The columns that are read: those with plain values.
    pub(crate) fn columns(&self) -> Vec<(String, ColumnType)> {
        let plain = |column: &JsonColumn| match column.shape {
            Shape::Value(guess) => Some((column.name.clone(), guess.column_type())),
            Shape::Nested => None,
        };
        self.columns.iter().filter_map(plain).collect()
    }

    /// The columns that are not read, because they hold lists or objects.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let nested = self.columns.iter().filter(|column| column.shape == Shape::Nested);
        nested.map(|column| column.name.clone()).collect()
    }
}

/// One file as a table.
pub(crate) fn scan(path: &Path, columns: &[(String, ColumnType)]) -> PolarsResult<LazyFrame> {
    let mut schema = Schema::with_capacity(columns.len());
    for (name, kind) in columns {
        let kind = match kind {
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Integer => DataType::Int64,
            ColumnType::Float => DataType::Float64,
            ColumnType::Text | ColumnType::Date | ColumnType::Datetime => DataType::String,
        };
        schema.insert(name.as_str().into(), kind);
    }
    // An open file, because a path would be taken for a pattern.
    let file = std::fs::File::open(path)?;
    let table = LazyJsonLineReader::new_with_sources(ScanSources::Files(Arc::from([file])))
        .with_schema(Some(Arc::new(schema)))
        .finish()?;
    let select: Vec<Expr> = columns
        .iter()
        .map(|(name, kind)| text_to_time(name, *kind))
        .collect();
    Ok(table.select(select))
}

/// The keys of one line, with what their values are.
struct Row(Vec<(String, Shape)>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut values = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    values.push(entry);
                }
                Ok(Row(values))
            }
        }
        from.deserialize_map(Keys)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Value(Guess::Nothing))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::Value(Guess::Boolean))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::Value(Guess::Integer))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
                Ok(Shape::Value(match i64::try_from(value) {
                    Ok(_) => Guess::Integer,
                    Err(_) => Guess::Float,
                }))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::Value(Guess::Float))
            }

            fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
                let like = match text.as_bytes().first() {
                    Some(b'0'..=b'9') => Guess::of(text.as_bytes()),
                    _ => Guess::Text,
                };
                Ok(Shape::Value(match like {
                    Guess::Date | Guess::Datetime => like,
                    _ => Guess::Text,
                }))
            }

            // What is within is looked at like any other value, so that serde_json counts how deep it goes: Polars
            // follows it to the end, and of its stack.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                while seq.next_element::<Shape>()?.is_some() {}
                Ok(Shape::Nested)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                while map.next_entry::<IgnoredAny, Shape>()?.is_some() {}
                Ok(Shape::Nested)
            }
        }
        from.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(text: &str) -> Result<Survey, Fault> {
        let mut survey = Survey::default();
        survey.add(text.as_bytes(), &|| true)?;
        Ok(survey)
    }

    #[test]
    fn tells_the_types_of_keys_and_leaves_lists_out() {
        let survey =
            survey("{\"i\":1,\"l\":[1],\"d\":\"2013-01-01\"}\n\n{\"i\":2.5,\"t\":\"x\",\"d\":null}\n")
                .expect("reads");
        let names: Vec<_> = survey.columns();
        assert_eq!(
            names,
            [
                ("i".to_owned(), ColumnType::Float),
                ("d".to_owned(), ColumnType::Date),
                ("t".to_owned(), ColumnType::Text)
            ]
        );
        assert_eq!(survey.left_out(), ["l"]);
    }

    #[test]
    fn says_which_line_is_wrong() {
        let deep = format!("{{\"a\":{}}}\n", "[".repeat(100_000));
        let whole = format!("{{\"a\":{}{}}}\n", "[".repeat(10_000), "]".repeat(10_000));
        for (text, words, at) in [
            ("{\"a\":1}\n{\"a\":\n", "no JSON object", 2),
            ("{\"a\":1}\n[1]\n", "no JSON object", 2),
            (
                "{\"a\":1}\n{\"a\":\"x\"}\n",
                "\"a\" holds texts here and whole numbers before",
                2,
            ),
            (
                "{\"a\":true}\n{\"a\":1}\n",
                "whole numbers here and true and false before",
                2,
            ),
            (deep.as_str(), "no JSON object", 1),
            (whole.as_str(), "nested too deeply", 1),
        ] {
            match survey(text) {
                Err(Fault::Text { line, what }) => {
                    assert_eq!(line, at);
                    assert!(what.contains(words), "{what}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(survey("\n \n"), Err(Fault::Whole(_))));
    }
}
