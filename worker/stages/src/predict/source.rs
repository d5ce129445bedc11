//! Where the rows come from: read as `extract` reads them, with the types that the model was trained on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ml::package::Scorer;
use pipeline::Sha256Digest;
use pipeline::spec::stages::{ColumnType, Source};
use pipeline::stage::{SourceFile, StageError};
use polars::prelude::*;
use polars::sql::SQLContext;

use crate::extract::check_sql;
use crate::extract::query::nature;
use crate::extract::read::{Reading, Table};
use crate::extract::sql::{caught, collect, engine};
use crate::flow::{permanent, transient};

/// Why rows cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
}

/// The rows of a file, for whoever has no pool that looks for files. Packed ones are unpacked into `scratch`.
///
/// # Errors
///
/// [`SourceError`] that names the file, and the column and the line where there is one.
pub fn scan(
    file: &Path,
    source: &Source,
    scorer: &Scorer,
    scratch: &Path,
    go_on: &dyn Fn() -> bool,
) -> Result<LazyFrame, SourceError> {
    let failed = |message: String| SourceError { message };
    let metadata = std::fs::metadata(file).map_err(|e| failed(format!("{}: {e}", file.display())))?;
    let files = [SourceFile {
        uri: file.display().to_string(),
        path: file.to_owned(),
        // Nothing is cached by it here, so the file is not read a second time.
        sha256: Sha256Digest::of(&[]),
        size_bytes: metadata.len(),
    }];
    let reading = Reading::new(scratch, go_on);
    typed(&reading, "input", source, &files, scorer)
        .map(|table| table.frame)
        .map_err(|e| failed(e.to_string()))
}

/// The rows of the query over the sources, or all of the only source. Rows that a query joins, groups or stacks without
/// an ORDER BY come in no order that could be relied on: they are sorted by what is kept of them and by what the model
/// reads, for which all of them must fit into memory.
pub(super) fn frame(
    sources: &BTreeMap<String, Source>,
    found: &BTreeMap<String, Vec<SourceFile>>,
    sql: Option<&str>,
    scorer: &Scorer,
    keep: &[String],
    scratch: PathBuf,
    go_on: &dyn Fn() -> bool,
) -> Result<LazyFrame, StageError> {
    let reading = Reading::new(&scratch, go_on);
    let mut tables = BTreeMap::new();
    for (name, source) in sources {
        let files = found.get(name).map_or(&[][..], Vec::as_slice);
        let table = match sql {
            // The query may rename columns, so only it can say what they are.
            Some(_) => reading.table(name, source, files)?,
            None => typed(&reading, name, source, files, scorer)?,
        };
        tables.insert(name.clone(), table);
    }
    let Some(sql) = sql else {
        let mut frames = tables.into_values();
        return match (frames.next(), frames.next()) {
            (Some(only), None) => Ok(only.frame),
            _ => Err(permanent(
                "there are several sources: say in `sql` how they are joined",
            )),
        };
    };
    let names: Vec<&str> = tables.keys().map(String::as_str).collect();
    check_sql(sql, &names).map_err(|e| permanent(format!("sql: {e}")))?;
    let columns: Vec<String> = tables.values().flat_map(|t| t.columns.iter().cloned()).collect();
    let mut context = SQLContext::new();
    for (name, table) in tables {
        context.register(&name, table.frame);
    }
    let (mut rows, schema) = caught(
        || {
            let mut rows = context.execute(sql)?;
            let schema = rows.collect_schema()?;
            Ok((rows, schema))
        },
        &columns,
    )?;
    let nature = nature(sql).map_err(|e| permanent(format!("sql: {e}")))?;
    if !nature.has_order {
        let mut by: Vec<String> = Vec::new();
        for name in keep.iter().cloned().chain(scorer.input_names()) {
            if schema.contains(&name) && !by.contains(&name) {
                by.push(name);
            }
        }
        rows = rows.sort(by, SortMultipleOptions::default());
    }
    Ok(match nature.adds_up {
        // Only so do sums have the same digits each time.
        true => collect(rows, &columns, engine(sql)?)?.lazy(),
        false => rows,
    })
}

/// A source whose texts are read once more where the values alone look like another type than the model's: a text of
/// digits must stay a text.
fn typed(
    reading: &Reading<'_>,
    name: &str,
    source: &Source,
    files: &[SourceFile],
    scorer: &Scorer,
) -> Result<Table, StageError> {
    let table = reading.table(name, source, files)?;
    let schema = table
        .frame
        .clone()
        .collect_schema()
        .map_err(|e| transient(format!("source {name:?}: {e}")))?;
    let mut source = source.clone();
    let mut is_other = false;
    for input in &scorer.signature().inputs {
        let Some(found) = schema.get(&input.name) else {
            continue;
        };
        if !source.types.contains_key(&input.name) && !fits(input.kind, found) {
            source.types.insert(input.name.clone(), told(input.kind));
            is_other = true;
        }
    }
    // The other formats say what their columns are; where that is wrong, the model's program says so.
    let is_text = is_csv(&source, files);
    match is_other && is_text {
        true => reading.table(name, &source, files),
        false => Ok(table),
    }
}

fn is_csv(source: &Source, files: &[SourceFile]) -> bool {
    use pipeline::spec::stages::Format;
    let format = source
        .format
        .or_else(|| crate::extract::read::format_of(&files.first()?.uri));
    format == Some(Format::Csv)
}

/// True if values of that type can be what the model reads. The feature program refuses those that are not.
fn fits(wanted: ml::dataset::ColumnType, found: &DataType) -> bool {
    use ml::dataset::ColumnType as Wanted;
    match (wanted, found) {
        (_, DataType::Null) => true,
        // Some programs write 1 and 0 for true and false, and 44.0 as soon as one value of the column is missing.
        (Wanted::Boolean, found) => *found == DataType::Boolean || found.is_primitive_numeric(),
        (Wanted::Integer | Wanted::Float, found) => found.is_primitive_numeric(),
        (Wanted::Text, found) => *found == DataType::String,
        (Wanted::Date, found) => *found == DataType::Date,
        (Wanted::Datetime, found) => matches!(found, DataType::Datetime(..)),
    }
}

fn told(kind: ml::dataset::ColumnType) -> ColumnType {
    use ml::dataset::ColumnType as Wanted;
    match kind {
        Wanted::Boolean => ColumnType::Boolean,
        Wanted::Integer => ColumnType::Integer,
        Wanted::Float => ColumnType::Float,
        Wanted::Text => ColumnType::Text,
        Wanted::Date => ColumnType::Date,
        Wanted::Datetime => ColumnType::Datetime,
    }
}
