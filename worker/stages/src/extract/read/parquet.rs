//! Parquet: the footer and the headers of the pages are looked at before Polars reads anything else.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use polars::prelude::*;

use super::records::Fault;
use super::{Limits, MAX_COLUMNS, MAX_ROWS, pages};

const MAGIC: &[u8; 4] = b"PAR1";
/// The longest footer that is decoded: 64 MiB.
const MAX_FOOTER_BYTES: u64 = 64 << 20;

/// What a file says of itself.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(crate) columns: Vec<(String, DataType)>,
}

/// Reads and checks the footer.
pub(crate) fn footer(path: &Path, limits: &Limits) -> Result<Footer, Fault> {
    let whole = |what: &str| Fault::Whole(what.to_owned());
    let mut file = File::open(path).map_err(Fault::Io)?;
    let size_bytes = file.metadata().map_err(Fault::Io)?.len();
    if size_bytes < 12 {
        return Err(whole("it is too short to be Parquet: it is empty or cut off"));
    }
    let mut ends = [[0; 4]; 3];
    for (from, end) in [SeekFrom::Start(0), SeekFrom::End(-8), SeekFrom::End(-4)]
        .into_iter()
        .zip(&mut ends)
    {
        file.seek(from).map_err(Fault::Io)?;
        file.read_exact(end).map_err(Fault::Io)?;
    }
    let [first, length, last] = ends;
    if first != *MAGIC {
        return Err(whole("it does not begin like Parquet: is it another format?"));
    }
    let footer_bytes = u64::from(u32::from_le_bytes(length));
    if last != *MAGIC || footer_bytes > size_bytes - 12 {
        return Err(whole("it does not end like Parquet: it is cut off or damaged"));
    }
    if footer_bytes > MAX_FOOTER_BYTES {
        return Err(whole("its footer is longer than 64 MiB"));
    }
    // Some damage makes the decoder panic: it must not look like a crash that is worth another attempt.
    catch_unwind(AssertUnwindSafe(|| decoded(file, size_bytes, limits)))
        .unwrap_or_else(|_| Err(whole("its footer is damaged")))
}

/// The footer of a file that begins and ends as it should.
fn decoded(file: File, size_bytes: u64, limits: &Limits) -> Result<Footer, Fault> {
    let whole = |what: &str| Fault::Whole(what.to_owned());
    let pages_of = file.try_clone().map_err(Fault::Io)?;
    let mut reader = ParquetReader::new(file);
    let read = reader.get_metadata().cloned();
    let (Ok(metadata), Ok(schema)) = (read, reader.schema()) else {
        return Err(whole("its footer is damaged"));
    };
    let (mut rows, mut packed_bytes, mut unpacked_bytes) = (0u64, 0u64, 0u64);
    for group in &metadata.row_groups {
        rows = rows.saturating_add(group.num_rows() as u64);
        unpacked_bytes = unpacked_bytes.saturating_add(group.total_byte_size() as u64);
        for range in group.byte_ranges_iter() {
            if range.end > size_bytes || range.start > range.end {
                return Err(whole(
                    "its footer names bytes that it does not have: it is damaged",
                ));
            }
            packed_bytes = packed_bytes.saturating_add(range.end - range.start);
        }
    }
    if packed_bytes > size_bytes {
        return Err(whole(
            "its footer says it holds more bytes than it has: it is damaged",
        ));
    }
    if unpacked_bytes > size_bytes.saturating_mul(limits.ratio) || unpacked_bytes > limits.unpacked_bytes {
        return Err(Fault::Whole(format!(
            "it unpacks to {unpacked_bytes} bytes, which is more than {} times its size or more than {} GiB",
            limits.ratio,
            limits.unpacked_bytes >> 30
        )));
    }
    if rows > MAX_ROWS {
        return Err(Fault::Whole(format!(
            "it has more than {MAX_ROWS} rows: split the data"
        )));
    }
    if rows == 0 {
        return Err(whole("it has no rows"));
    }
    if schema.len() > MAX_COLUMNS {
        return Err(Fault::Whole(format!(
            "it has {} columns; at most {MAX_COLUMNS} are read",
            schema.len()
        )));
    }
    pages::check(pages_of, &metadata, limits)?;
    let columns = schema
        .iter_values()
        .map(|field| (field.name.to_string(), DataType::from_arrow_field(field)))
        .collect();
    Ok(Footer { columns })
}

/// One file as a table.
pub(crate) fn scan(path: &Path) -> PolarsResult<LazyFrame> {
    let options = ScanArgsParquet {
        glob: false,
        ..ScanArgsParquet::default()
    };
    LazyFrame::scan_parquet(PlRefPath::try_from_path(path)?, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("writes");
        path
    }

    #[test]
    fn a_good_file_is_described_and_damaged_ones_are_refused() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let path = folder.path().join("good");
        let mut frame = df!("n" => [1i64, 2], "t" => ["a", "b"]).expect("a frame");
        ml::frame::write(&path, &mut frame).expect("writes");
        let footer_ = footer(&path, &Limits::default()).expect("good");
        assert_eq!(
            footer_.columns,
            [
                ("n".to_owned(), DataType::Int64),
                ("t".to_owned(), DataType::String)
            ]
        );
        let good = std::fs::read(&path).expect("reads");
        let refused = |name: &str, bytes: &[u8]| {
            let path = file(folder.path(), name, bytes);
            match footer(&path, &Limits::default()) {
                Err(Fault::Whole(what)) => what,
                other => panic!("{name}: {other:?}"),
            }
        };
        assert!(refused("empty", b"").contains("too short"));
        assert!(refused("text", b"a,b\n1,2\n3,4\n5,6\n").contains("does not begin"));
        assert!(refused("cut", &good[..good.len() - 3]).contains("cut off"));
        let mut long = good.clone();
        let at = long.len() - 8;
        long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(refused("long", &long).contains("cut off or damaged"));
    }

    #[test]
    fn t04_no_flipped_byte_of_the_footer_panics() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let path = folder.path().join("good");
        let mut frame = df!("n" => [1i64, 2], "t" => ["a", "b"]).expect("a frame");
        ml::frame::write(&path, &mut frame).expect("writes");
        let good = std::fs::read(&path).expect("reads");
        let length =
            u32::from_le_bytes(good[good.len() - 8..good.len() - 4].try_into().expect("four")) as usize;
        for at in good.len() - 8 - length..good.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= mask;
                let _ = footer(&file(folder.path(), "bad", &bytes), &Limits::default());
            }
        }
    }
}
