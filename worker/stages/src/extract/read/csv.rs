//! CSV: every file is looked through once before Polars reads it. Polars fills short lines up, and tells errors
//! without their line; here every line has as many fields as the header, and every column one type.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::Path;

use pipeline::spec::stages::ColumnType;
use polars::prelude::*;

use super::guess::{GUESS_ROWS, Guess};
use super::records::{Fault, Records};
use super::{MAX_COLUMNS, MAX_ROWS, did_you_mean, text_to_time};

/// What programs write for a missing value.
const NULL_WORDS: &[&str] = &[
    "NA", "N/A", "n/a", "#N/A", "null", "NULL", "Null", "None", "none", "\\N", "-", "?", ".", "nil",
];

/// How often the way to the pool is asked whether to go on.
const ROWS_A_LOOK: u64 = 65_536;

/// How a source's files are written.
pub(crate) struct Dialect<'a> {
    pub(crate) separator: u8,
    pub(crate) nulls: &'a [String],
    pub(crate) types: &'a BTreeMap<String, ColumnType>,
}

/// One column of a source's files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CsvColumn {
    pub(crate) name: String,
    pub(crate) guess: Guess,
    is_declared: bool,
    /// What the type would be if [`NULL_WORDS`] were missing values.
    without_words: Guess,
    /// The first of [`NULL_WORDS`] and its line.
    word: Option<(&'static str, u64)>,
}

/// One of a source's files, as it was found.
#[derive(Debug)]
pub(crate) struct Surveyed {
    /// Its columns, in its own order.
    pub(crate) names: Vec<String>,
    pub(crate) rows: u64,
    /// True if there are empty lines that are no rows, which Polars would make rows of.
    pub(crate) has_blank_lines: bool,
}

/// What is known of a source's files after they were looked through.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// In the order of the first file.
    pub(crate) columns: Vec<CsvColumn>,
    pub(crate) rows: u64,
}

impl Survey {
    /// Looks through one more file. `go_on` is asked now and then. An empty line is no row, unless the file has a single
    /// column: that is how a missing value is written there.
    pub(crate) fn add<R: BufRead>(
        &mut self,
        file: R,
        dialect: &Dialect<'_>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Surveyed, Fault> {
        let mut records = Records::new(file, dialect.separator);
        if !records.read()? {
            return Err(Fault::Whole("it is empty".into()));
        }
        let names = header(&records)?;
        let places = self.places(&names, dialect)?;
        let rows_before = self.rows;
        let mut has_blank_lines = false;
        while records.read()? {
            if records.is_blank() && places.len() > 1 {
                has_blank_lines = true;
                continue;
            }
            let found = records.fields().len();
            if found != places.len() {
                return Err(Fault::at(
                    records.line(),
                    format!(
                        "{found} fields where the header has {}: mend the line, or put fields that hold the separator into quotes",
                        places.len()
                    ),
                ));
            }
            self.rows += 1;
            if self.rows.is_multiple_of(ROWS_A_LOOK) && !go_on() {
                // Whoever asked finds out by itself.
                break;
            }
            for (text, place) in records.fields().zip(&places) {
                self.columns[*place].see(text, self.rows, records.line(), dialect)?;
            }
        }
        if self.rows == rows_before {
            return Err(Fault::Whole("it has a header and no rows".into()));
        }
        if self.rows > MAX_ROWS {
            return Err(Fault::Whole(format!(
                "there are more than {MAX_ROWS} rows: split the data"
            )));
        }
        Ok(Surveyed {
            names,
            rows: self.rows - rows_before,
            has_blank_lines,
        })
    }

    /// Where each of a file's columns is among all columns.
    fn places(&mut self, names: &[String], dialect: &Dialect<'_>) -> Result<Vec<usize>, Fault> {
        if self.columns.is_empty() {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            if let Some(unknown) = dialect.types.keys().find(|name| !names.contains(name)) {
                return Err(Fault::Whole(format!(
                    "`types` names column {unknown:?}, which it does not have{}",
                    did_you_mean(unknown, &known)
                )));
            }
            self.columns = names
                .iter()
                .map(|name| {
                    let declared = dialect.types.get(name).copied();
                    CsvColumn {
                        name: name.clone(),
                        guess: declared.map_or(Guess::Nothing, Guess::from),
                        is_declared: declared.is_some(),
                        without_words: Guess::Nothing,
                        word: None,
                    }
                })
                .collect();
        }
        let mine: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if let Some(missing) = self.columns.iter().find(|c| !mine.contains(c.name.as_str())) {
            return Err(Fault::Whole(format!(
                "it has no column {:?}, which the files before it have: the files of a source have the same columns",
                missing.name
            )));
        }
        names
            .iter()
            .map(|name| {
                self.columns.iter().position(|c| c.name == *name).ok_or_else(|| {
                    Fault::Whole(format!(
                        "it has a column {name:?}, which the files before it do not have: the files of a source have the same columns"
                    ))
                })
            })
            .collect()
    }

    /// Refuses columns that are texts only because of words for a missing value.
    pub(crate) fn check_words(&self) -> Result<(), Fault> {
        let Some((column, (word, line))) = self
            .columns
            .iter()
            .find_map(|c| c.spoiling_word().map(|w| (c, w)))
        else {
            return Ok(());
        };
        Err(Fault::at(
            line,
            format!(
                "column {:?} has {word:?} among {}: write nulls = [{word:?}] if that is a missing value, or types = {{ {:?} = \"text\" }}",
                column.name,
                column.without_words.words(),
                column.name
            ),
        ))
    }
}

impl CsvColumn {
    fn see(&mut self, text: &[u8], row: u64, line: u64, dialect: &Dialect<'_>) -> Result<(), Fault> {
        let is_guessing = !self.is_declared && row <= GUESS_ROWS;
        // A text holds everything; while guessing goes on, words for a missing value are still looked for.
        if self.guess == Guess::Text && !is_guessing {
            return Ok(());
        }
        if text.is_empty() || dialect.nulls.iter().any(|null| null.as_bytes() == text) {
            return Ok(());
        }
        let like = Guess::of(text);
        if is_guessing {
            self.guess = self.guess.with(like);
            match NULL_WORDS.iter().find(|word| word.as_bytes() == text) {
                Some(word) => {
                    self.word.get_or_insert((word, line));
                }
                None => self.without_words = self.without_words.with(like),
            }
            return Ok(());
        }
        if self.guess.holds(like) {
            return Ok(());
        }
        let wider = self.guess.with(like);
        if !self.is_declared && (self.guess == Guess::Nothing || wider != Guess::Text) {
            self.guess = wider;
            return Ok(());
        }
        let name = &self.name;
        Err(Fault::at(
            line,
            if self.is_declared {
                format!(
                    "column {name:?} should hold {}, and this value is none: mend it, or say otherwise in `types`",
                    self.guess.words()
                )
            } else {
                format!(
                    "column {name:?} holds {} in the first {GUESS_ROWS} rows, and this value is none: mend it, add it to `nulls`, or write types = {{ {name:?} = \"text\" }}",
                    self.guess.words()
                )
            },
        ))
    }

    /// The word for a missing value that makes the column a text, and its line.
    pub(crate) fn spoiling_word(&self) -> Option<(&'static str, u64)> {
        let is_spoilt = !self.is_declared
            && self.guess == Guess::Text
            && !matches!(self.without_words, Guess::Text | Guess::Nothing);
        self.word.filter(|_| is_spoilt)
    }
}

fn header<R: BufRead>(records: &Records<R>) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> = Vec::new();
    for (i, field) in records.fields().enumerate() {
        let written = String::from_utf8_lossy(field).replace("\"\"", "\"");
        // The index that some programs write beside the data has no name.
        let name = match written.is_empty() {
            true => format!("column_{}", i + 1),
            false => written,
        };
        names.push(name);
    }
    if names.len() > MAX_COLUMNS {
        return Err(Fault::Whole(format!(
            "it has {} columns; at most {MAX_COLUMNS} are read",
            names.len()
        )));
    }
    let mut seen = BTreeMap::new();
    for (i, name) in names.iter().enumerate() {
        if let Some(before) = seen.insert(name.as_str(), i) {
            return Err(Fault::at(
                1,
                format!(
                    "fields {} and {} of the header are both called {name:?}: rename one",
                    before + 1,
                    i + 1
                ),
            ));
        }
    }
    Ok(names)
}

/// One file as a table with the source's columns, in the source's order. `names` are in the file's order.
pub(crate) fn scan(
    path: &Path,
    names: &[String],
    columns: &[CsvColumn],
    dialect: &Dialect<'_>,
) -> PolarsResult<LazyFrame> {
    let mut schema = Schema::with_capacity(names.len());
    for name in names {
        let guess = columns
            .iter()
            .find(|c| c.name == *name)
            .map_or(Guess::Text, |c| c.guess);
        let kind = match guess.column_type() {
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Integer => DataType::Int64,
            ColumnType::Float => DataType::Float64,
            // Times are parsed by ourselves, below.
            ColumnType::Text | ColumnType::Date | ColumnType::Datetime => DataType::String,
        };
        schema.insert(name.as_str().into(), kind);
    }
    let nulls = dialect.nulls.iter().map(|null| null.as_str().into()).collect();
    let table = LazyCsvReader::new(PlRefPath::try_from_path(path)?)
        .with_glob(false)
        .with_has_header(true)
        .with_schema(Some(Arc::new(schema)))
        .with_separator(dialect.separator)
        .with_null_values(Some(NullValues::AllColumns(nulls)))
        .with_missing_is_null(true)
        .finish()?;
    let select: Vec<Expr> = columns
        .iter()
        .map(|column| match column.guess.column_type() {
            ColumnType::Text => not_empty(&column.name),
            kind => text_to_time(&column.name, kind),
        })
        .collect();
    Ok(table.select(select))
}

/// A column of texts in which an empty one is a missing value. Polars makes a difference between a field of nothing and
/// one of two quotes, which programs that write CSV do not.
fn not_empty(name: &str) -> Expr {
    let text = col(name);
    when(text.clone().neq(lit("")))
        .then(text)
        .otherwise(lit(NULL).cast(DataType::String))
        .alias(name)
}

#[cfg(test)]
mod tests;
