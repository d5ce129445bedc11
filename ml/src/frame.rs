//! Data frames in files: Parquet, the only format that stages hand to each other.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use polars::prelude::*;

/// Rows of a row group: small enough that a reader of one group stays small.
const ROW_GROUP_ROWS: usize = 131_072;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {file}: {message}")]
pub struct FrameError {
    /// `cannot read` or `cannot write`.
    doing: &'static str,
    /// The file's name, without its folder.
    file: String,
    /// Why.
    message: String,
}

impl FrameError {
    fn new(doing: &'static str, path: &Path, cause: impl std::fmt::Display) -> Self {
        let file = path
            .file_name()
            .map_or_else(String::new, |n| n.display().to_string());
        Self {
            doing,
            file,
            message: cause.to_string(),
        }
    }
}

/// Reads a Parquet file that a stage wrote: all columns, or only these.
pub fn read(path: &Path, columns: Option<&[String]>) -> Result<DataFrame, FrameError> {
    let failed = |e: &dyn std::fmt::Display| FrameError::new("cannot read", path, e);
    let file = File::open(path).map_err(|e| failed(&e))?;
    let mut frame = ParquetReader::new(file)
        .with_columns(columns.map(<[String]>::to_vec))
        .finish()
        .map_err(|e| failed(&e))?;
    frame.rechunk_mut();
    Ok(frame)
}

/// Writes a Parquet file. Equal frames give equal bytes.
pub fn write(path: &Path, frame: &mut DataFrame) -> Result<(), FrameError> {
    let failed = |e: &dyn std::fmt::Display| FrameError::new("cannot write", path, e);
    let file = BufWriter::new(File::create_new(path).map_err(|e| failed(&e))?);
    // One chunk, so that the bytes do not depend on how the frame came about.
    frame.rechunk_mut();
    ParquetWriter::new(file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_row_group_size(Some(ROW_GROUP_ROWS))
        .finish(frame)
        .map_err(|e| failed(&e))?;
    Ok(())
}

/// How large a table is once it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub columns: usize,
    /// Memory of its columns in bytes: rows times the width of their types, and for text what the file has of it, which
    /// is each text once where it repeats.
    pub decoded_bytes: u64,
}

/// How large the table of a Parquet file is, from its footer alone.
pub fn shape(path: &Path) -> Result<Shape, FrameError> {
    let failed = |e: &dyn std::fmt::Display| FrameError::new("cannot read", path, e);
    let file = File::open(path).map_err(|e| failed(&e))?;
    let mut reader = ParquetReader::new(file);
    let metadata = reader.get_metadata().map_err(|e| failed(&e))?.clone();
    let schema = reader.schema().map_err(|e| failed(&e))?;
    let rows = metadata.num_rows as u64;
    let is_flat = metadata
        .row_groups
        .iter()
        .all(|group| group.parquet_columns().len() == schema.len());
    let stored = |at: usize| -> u64 {
        let chunks = metadata.row_groups.iter().filter(|_| is_flat);
        chunks
            .filter_map(|group| group.parquet_columns().get(at))
            .map(|chunk| u64::try_from(chunk.uncompressed_size()).unwrap_or(0))
            .sum()
    };
    let decoded_bytes = schema
        .iter_values()
        .enumerate()
        .map(
            |(at, field)| match DataType::from_arrow_field(field).to_physical() {
                DataType::Boolean => rows.div_ceil(8),
                DataType::Int8 | DataType::UInt8 => rows,
                DataType::Int16 | DataType::UInt16 => 2 * rows,
                DataType::Int32 | DataType::UInt32 | DataType::Float32 => 4 * rows,
                // A view of each value, beside the texts themselves.
                DataType::String | DataType::Binary => 16 * rows + stored(at),
                _ => 8 * rows,
            },
        )
        .fold(0, u64::saturating_add);
    Ok(Shape {
        rows,
        columns: schema.len(),
        decoded_bytes,
    })
}

/// Reads a small file of JSON.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, FrameError> {
    let failed = |e: &dyn std::fmt::Display| FrameError::new("cannot read", path, e);
    let file = BufReader::new(File::open(path).map_err(|e| failed(&e))?);
    serde_json::from_reader(file).map_err(|e| failed(&e))
}

/// Writes a value as readable JSON. Equal values give equal bytes.
pub fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), FrameError> {
    let failed = |e: &dyn std::fmt::Display| FrameError::new("cannot write", path, e);
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| failed(&e))?;
    text.push(b'\n');
    std::fs::write(path, text).map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_equal_frames_give_equal_bytes() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let mut frame = df!("n" => [1i64, 2, 3], "t" => [Some("a"), None, Some("c")]).expect("a frame");
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        write(&one, &mut frame).expect("writes");
        let mut chunked = frame.head(Some(1));
        chunked.vstack_mut(&frame.tail(Some(2))).expect("stacks");
        write(&two, &mut chunked).expect("writes");
        assert_eq!(
            std::fs::read(&one).expect("reads"),
            std::fs::read(&two).expect("reads")
        );
        assert!(read(&one, None).expect("reads").equals_missing(&frame));
        let only = read(&one, Some(&["t".to_owned()])).expect("reads");
        assert_eq!(only.get_column_names(), ["t"]);
        // 2 × 3 numbers of 8 bytes; texts have a view of 16 bytes each, and what the file has of them.
        let shape = shape(&one).expect("reads");
        assert_eq!((shape.rows, shape.columns), (3, 2));
        assert!((72 + 2..400).contains(&shape.decoded_bytes), "{shape:?}");
        let missing = read(&folder.path().join("three"), None)
            .expect_err("is not there")
            .to_string();
        assert!(missing.starts_with("cannot read three: "), "{missing}");
    }
}
