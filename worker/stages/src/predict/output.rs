//! The file of predictions: written batch by batch, in groups of a fixed number of rows.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars::prelude::*;

/// Rows of a row group. Batches come as the reader likes; equal predictions must give equal bytes.
const GROUP_ROWS: usize = 131_072;

/// In which form predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header line.
    Csv,
}

impl Form {
    /// What the name of a file says.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// The file of predictions cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot write {}: {message}", path.display())]
pub struct OutputError {
    path: PathBuf,
    message: String,
}

/// A file that is being written.
pub(super) struct Output {
    path: PathBuf,
    form: Form,
    file: Option<File>,
    writer: Option<Writer>,
    /// What is not a whole group yet.
    pending: Option<DataFrame>,
}

#[expect(clippy::large_enum_variant, reason = "there is one for a file")]
enum Writer {
    Parquet(polars::io::parquet::write::BatchedWriter<BufWriter<File>>),
    Csv(polars::io::csv::write::BatchedWriter<BufWriter<File>>),
}

impl Output {
    /// Makes the file, which must not be there.
    pub(super) fn create(path: &Path, form: Form) -> Result<Self, OutputError> {
        let file = File::create_new(path).map_err(|e| OutputError {
            path: path.to_owned(),
            message: e.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            form,
            file: Some(file),
            writer: None,
            pending: None,
        })
    }

    fn failed(&self, cause: impl std::fmt::Display) -> OutputError {
        OutputError {
            path: self.path.clone(),
            message: cause.to_string(),
        }
    }

    /// Writes rows. All must have the same columns.
    pub(super) fn push(&mut self, rows: DataFrame) -> Result<(), OutputError> {
        let mut rows = match self.pending.take() {
            None => rows,
            Some(mut pending) => {
                pending.vstack_mut(&rows).map_err(|e| self.failed(e))?;
                pending
            }
        };
        while rows.height() >= GROUP_ROWS {
            let (group, rest) = rows.split_at(i64::try_from(GROUP_ROWS).expect("it is small"));
            self.write(group)?;
            rows = rest;
        }
        self.pending = Some(rows);
        Ok(())
    }

    /// Writes what is left, and ends the file.
    pub(super) fn finish(mut self) -> Result<(), OutputError> {
        if let Some(rest) = self.pending.take()
            && (rest.height() > 0 || self.writer.is_none())
        {
            self.write(rest)?;
        }
        let ended = match &mut self.writer {
            None => Ok(()),
            Some(Writer::Parquet(writer)) => writer.finish().map(drop),
            Some(Writer::Csv(writer)) => writer.finish(),
        };
        ended.map_err(|e| self.failed(e))
    }

    fn write(&mut self, mut group: DataFrame) -> Result<(), OutputError> {
        group.rechunk_mut();
        if self.writer.is_none() {
            let file = self
                .file
                .take()
                .ok_or_else(|| self.failed("it is open already"))?;
            let writer = self.open(file, group.schema()).map_err(|e| self.failed(e))?;
            self.writer = Some(writer);
        }
        let written = match &mut self.writer {
            None => Ok(()),
            Some(Writer::Parquet(writer)) => writer.write_batch(&group),
            Some(Writer::Csv(writer)) => writer.write_batch(&group),
        };
        written.map_err(|e| self.failed(e))
    }

    fn open(&self, file: File, schema: &Schema) -> PolarsResult<Writer> {
        let file = BufWriter::new(file);
        Ok(match self.form {
            Form::Parquet => Writer::Parquet(
                ParquetWriter::new(file)
                    .with_compression(ParquetCompression::Zstd(None))
                    .with_row_group_size(Some(GROUP_ROWS))
                    .batched(schema)?,
            ),
            Form::Csv => Writer::Csv(CsvWriter::new(file).include_header(true).batched(schema)?),
        })
    }
}
