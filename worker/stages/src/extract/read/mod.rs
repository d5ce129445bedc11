//! Reads sources: local files that were found, allowed and digested by the pool. Nothing else is ever opened.
//!
//! Text formats are looked through once before Polars reads them: that costs one more pass over the text, and gives
//! types that hold for all of it and errors that name a line.

mod blank;
mod csv;
mod guess;
mod ndjson;
mod opened;
mod pages;
mod parquet;
mod records;
mod stack;
mod unpack;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use pipeline::spec::stages::{ColumnType, Format, Source};
use pipeline::stage::{SourceFile, StageError};
use polars::prelude::*;

use self::csv::Dialect;
use self::opened::Opened;
use self::records::Fault;
use self::stack::{counted, difference, stacked};
use super::moments;
use crate::flow::permanent;

/// The most columns of a source or a result.
pub(crate) const MAX_COLUMNS: usize = 4_096;
/// The most rows of a source or a result.
pub(crate) const MAX_ROWS: u64 = 1 << 31;

/// How much of a file is looked at for its separator.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// How far packed files may grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// All files of an attempt together, unpacked.
    pub(crate) unpacked_bytes: u64,
    /// One file's unpacked size by its packed one.
    pub(crate) ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unpacked_bytes: 64 << 30,
            ratio: 1_000,
        }
    }
}

/// Where and how sources are read.
pub(crate) struct Reading<'a> {
    /// A folder for unpacked files, which dies with the attempt.
    scratch: PathBuf,
    limits: Limits,
    /// False once the work is to stop.
    go_on: &'a dyn Fn() -> bool,
    unpacked_bytes: Cell<u64>,
    /// How many files without empty lines were written.
    copies: Cell<usize>,
}

/// A source's rows, not yet read.
pub(crate) struct Table {
    pub(crate) frame: LazyFrame,
    pub(crate) columns: Vec<String>,
    /// Columns that are not read, because they hold lists or objects.
    pub(crate) left_out: Vec<String>,
}

impl<'a> Reading<'a> {
    /// Unpacked files go into `scratch`, which is made if it does not exist.
    pub(crate) fn new(scratch: &Path, go_on: &'a dyn Fn() -> bool) -> Self {
        Self {
            scratch: scratch.to_owned(),
            limits: Limits::default(),
            go_on,
            unpacked_bytes: Cell::new(0),
            copies: Cell::new(0),
        }
    }

    fn checkpoint(&self) -> Result<(), StageError> {
        match (self.go_on)() {
            true => Ok(()),
            false => Err(StageError::Interrupted),
        }
    }

    /// The files of the source called `name` as one table.
    pub(crate) fn table(
        &self,
        name: &str,
        source: &Source,
        files: &[SourceFile],
    ) -> Result<Table, StageError> {
        let Some(first) = files.first() else {
            return Err(permanent(format!(
                "source {name:?}: no file was found under {:?}",
                source.path
            )));
        };
        let format = match source.format {
            Some(format) => format,
            None => format_of(&first.uri).ok_or_else(|| {
                permanent(format!(
                    "source {name:?}: what format {} has cannot be told from its name: write format = \"csv\", \"parquet\" or \"ndjson\"",
                    first.uri
                ))
            })?,
        };
        let files = files
            .iter()
            .map(|file| self.opened(name, file))
            .collect::<Result<Vec<_>, _>>()?;
        match format {
            Format::Csv => self.csv(name, source, &files),
            Format::Ndjson => self.ndjson(name, &files),
            Format::Parquet => self.parquet(name, &files),
        }
    }

    /// What is known of CSV files before they are read as a table.
    fn csv_survey(
        &self,
        name: &str,
        dialect: &Dialect<'_>,
        files: &[Opened<'_>],
        asks_about_words: bool,
    ) -> Result<(csv::Survey, Vec<csv::Surveyed>), StageError> {
        let mut survey = csv::Survey::default();
        let mut surveyed = Vec::with_capacity(files.len());
        for file in files {
            let reader = file.reader(name)?;
            let found = survey
                .add(reader, dialect, self.go_on)
                .map_err(|e| file.fault(name, e))?;
            self.checkpoint()?;
            if asks_about_words {
                survey.check_words().map_err(|e| file.fault(name, e))?;
            }
            surveyed.push(found);
        }
        Ok((survey, surveyed))
    }

    /// Finds out how CSV files are written: their separator, and the words for missing values that would make texts of
    /// numbers. Other formats say so themselves.
    pub(crate) fn adapt(
        &self,
        name: &str,
        source: &mut Source,
        files: &[SourceFile],
    ) -> Result<(), StageError> {
        let Some(first) = files.first() else {
            return Ok(());
        };
        if format_of(&first.uri) != Some(Format::Csv) {
            return Ok(());
        }
        let file = self.opened(name, first)?;
        let mut header = Vec::new();
        Read::take(file.reader(name)?, MAX_HEADER_BYTES)
            .read_until(b'\n', &mut header)
            .map_err(|e| file.fault(name, Fault::Io(e)))?;
        let count = |separator: u8| header.iter().filter(|b| **b == separator).count();
        // The comma is last: of equal counts, the last is the largest.
        let separator = [b'|', b'\t', b';', b','].into_iter().max_by_key(|s| count(*s));
        source.separator = separator.filter(|s| *s != b',').map(char::from);
        let dialect = Dialect {
            separator: separator_of(name, source)?,
            nulls: &source.nulls,
            types: &source.types,
        };
        let (survey, _) = self.csv_survey(name, &dialect, std::slice::from_ref(&file), false)?;
        let words = survey.columns.iter().filter_map(csv::CsvColumn::spoiling_word);
        let words: BTreeSet<&str> = words.map(|(word, _)| word).collect();
        source.nulls = words.into_iter().map(str::to_owned).collect();
        Ok(())
    }

    fn csv(&self, name: &str, source: &Source, files: &[Opened<'_>]) -> Result<Table, StageError> {
        let separator = separator_of(name, source)?;
        let dialect = Dialect {
            separator,
            nulls: &source.nulls,
            types: &source.types,
        };
        let (survey, surveyed) = self.csv_survey(name, &dialect, files, true)?;
        let tables = files
            .iter()
            .zip(&surveyed)
            .map(|(file, found)| {
                let copy = match found.has_blank_lines {
                    true => Some(self.without_blank_lines(name, file, separator)?),
                    false => None,
                };
                let path = copy.as_ref().unwrap_or(&file.path);
                csv::scan(path, &found.names, &survey.columns, &dialect)
                    .and_then(|table| counted(table, found.rows))
                    .map_err(|e| file.polars(name, &e))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let columns = survey.columns.iter().map(|c| c.name.clone()).collect();
        stacked(name, tables, columns, Vec::new())
    }

    /// A copy of the file, in the folder of unpacked ones.
    fn without_blank_lines(
        &self,
        name: &str,
        file: &Opened<'_>,
        separator: u8,
    ) -> Result<PathBuf, StageError> {
        std::fs::create_dir_all(&self.scratch).map_err(|e| file.fault(name, Fault::Io(e)))?;
        let count = self.copies.replace(self.copies.get() + 1);
        let to = self.scratch.join(format!("without-blank-lines-{count}"));
        blank::copy_without(file.reader(name)?, separator, &to, self.go_on)
            .map_err(|e| file.fault(name, e))?;
        self.checkpoint()?;
        Ok(to)
    }

    fn ndjson(&self, name: &str, files: &[Opened<'_>]) -> Result<Table, StageError> {
        let mut survey = ndjson::Survey::default();
        let mut rows = Vec::with_capacity(files.len());
        for file in files {
            let before = survey.rows;
            survey
                .add(file.reader(name)?, self.go_on)
                .map_err(|e| file.fault(name, e))?;
            self.checkpoint()?;
            rows.push(survey.rows - before);
        }
        let columns = survey.columns();
        let tables = files
            .iter()
            .zip(rows)
            .map(|(file, rows)| {
                ndjson::scan(&file.path, &columns)
                    .and_then(|table| counted(table, rows))
                    .map_err(|e| file.polars(name, &e))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let names = columns.into_iter().map(|(name, _)| name).collect();
        stacked(name, tables, names, survey.left_out())
    }

    fn parquet(&self, name: &str, files: &[Opened<'_>]) -> Result<Table, StageError> {
        let mut first: Option<(&Opened<'_>, parquet::Footer)> = None;
        let mut tables = Vec::with_capacity(files.len());
        for file in files {
            let footer = parquet::footer(&file.path, &self.limits).map_err(|e| file.fault(name, e))?;
            if let Some((before, known)) = &first {
                if let Some(difference) = difference(&known.columns, &footer.columns) {
                    return Err(permanent(format!(
                        "source {name:?}: {} and {} have different columns ({difference}): the files of a source have the same columns and types",
                        before.uri, file.uri
                    )));
                }
            } else {
                first = Some((file, footer));
            }
            tables.push(parquet::scan(&file.path).map_err(|e| file.polars(name, &e))?);
        }
        let columns: Vec<String> = first
            .map(|(_, footer)| footer.columns.into_iter().map(|(name, _)| name).collect())
            .unwrap_or_default();
        let select: Vec<Expr> = columns.iter().map(|name| col(name.as_str())).collect();
        let tables = tables.into_iter().map(|t| t.select(&select)).collect();
        stacked(name, tables, columns, Vec::new())
    }
}

fn separator_of(name: &str, source: &Source) -> Result<u8, StageError> {
    let separator = source.separator.unwrap_or(',');
    u8::try_from(separator)
        .ok()
        .filter(|b| b.is_ascii() && !matches!(b, b'"' | b'\n' | b'\r'))
        .ok_or_else(|| {
            permanent(format!(
                "source {name:?}: separator {separator:?} cannot be used: it must be one ASCII character, and no quote or line break"
            ))
        })
}

/// The format that a file's name tells.
pub(crate) fn format_of(uri: &str) -> Option<Format> {
    let name = uri.to_ascii_lowercase();
    let name = name
        .strip_suffix(".gz")
        .or(name.strip_suffix(".zst"))
        .unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "csv" | "tsv" | "txt" => Some(Format::Csv),
        "parquet" | "pq" => Some(Format::Parquet),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        _ => None,
    }
}

/// A column of texts as what they say: dates and times by [`moments`], everything else as it is. The files were looked
/// through before, so every text is one.
fn text_to_time(name: &str, kind: ColumnType) -> Expr {
    let text = col(name);
    match kind {
        ColumnType::Date => text.map(
            |column| {
                let days: Int32Chunked = column
                    .str()?
                    .iter()
                    .map(|t| t.and_then(|t| moments::date(t.as_bytes())))
                    .collect();
                Ok(days.with_name(column.name().clone()).into_date().into_column())
            },
            |_, field| Ok(Field::new(field.name().clone(), DataType::Date)),
        ),
        ColumnType::Datetime => text.map(
            |column| {
                let us: Int64Chunked = column
                    .str()?
                    .iter()
                    .map(|t| t.and_then(|t| moments::datetime(t.as_bytes())))
                    .collect();
                let us = us.with_name(column.name().clone());
                Ok(us.into_datetime(TimeUnit::Microseconds, None).into_column())
            },
            |_, field| {
                Ok(Field::new(
                    field.name().clone(),
                    DataType::Datetime(TimeUnit::Microseconds, None),
                ))
            },
        ),
        ColumnType::Boolean | ColumnType::Integer | ColumnType::Float | ColumnType::Text => text,
    }
}

/// What Polars says, without its explanations of the plan and without the values that it quotes.
pub(crate) fn first_line(error: &PolarsError) -> String {
    let text = error.to_string();
    without_values(text.lines().next().unwrap_or_default().trim())
}

fn without_values(line: &str) -> String {
    // "conversion from `str` to `i64` failed in column 'c' for 2 out of 300 values: [...]"
    if let Some((before, _)) = line.split_once(" values: ") {
        return format!("{before} values");
    }
    for quoting in [
        "could not parse `",
        "could not parse '",
        "cannot parse '",
        "error deserializing ",
    ] {
        if let Some((before, _)) = line.split_once(quoting) {
            return format!("{before}a value is not of the type of its column");
        }
    }
    line.to_owned()
}

/// `; did you mean "x"?`, or nothing.
pub(crate) fn did_you_mean(wrong: &str, names: &[&str]) -> String {
    let near = names
        .iter()
        .map(|name| {
            (
                strsim::osa_distance(&wrong.to_lowercase(), &name.to_lowercase()),
                *name,
            )
        })
        .filter(|(distance, name)| *distance <= 2 && *distance * 2 <= name.chars().count().max(2))
        .min();
    match near {
        Some((_, name)) => format!("; did you mean {name:?}?"),
        None if names.len() <= 30 => format!("; there are {}", names.join(", ")),
        None => String::new(),
    }
}
