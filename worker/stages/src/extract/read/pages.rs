//! The pages of a Parquet file: Polars makes room for what a page's header and a column's length say before it looks at
//! the bytes behind it, so a file of a few hundred bytes can ask for gigabytes. What they say is added up here first.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use polars::io::parquet::read::FileMetadata;
use polars_parquet::parquet::schema::types::PhysicalType;
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{PageHeader, PageType};

use super::Limits;
use super::records::Fault;

/// The longest header of a page: it holds two values of the column, as statistics.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// The values of a file may need this much memory at any rate: equal ones take next to nothing on disk.
const ANY_VALUES_BYTES: u64 = 1 << 30;

/// Looks through the headers of all pages. The column chunks are known to lie within the file.
pub(super) fn check(file: File, metadata: &FileMetadata, limits: &Limits) -> Result<(), Fault> {
    let size_bytes = file.metadata().map_err(Fault::Io)?.len();
    let mut pages = Pages {
        file: BufReader::with_capacity(1 << 12, file),
        left_bytes: size_bytes.saturating_mul(limits.ratio).min(limits.unpacked_bytes),
    };
    let mut values_bytes = 0u64;
    let most = size_bytes.saturating_mul(limits.ratio).max(ANY_VALUES_BYTES);
    for group in &metadata.row_groups {
        for column in group.parquet_columns() {
            let values = u64::try_from(column.num_values()).map_err(|_| damaged())?;
            let of_one = width_bytes(column.physical_type());
            values_bytes = values_bytes.saturating_add(values.saturating_mul(of_one));
            if values_bytes > most {
                return Err(Fault::Whole(format!(
                    "its values need more than {most} bytes of memory, which is too much for a file of {size_bytes} bytes"
                )));
            }
            pages.of_chunk(column.byte_range(), values, of_one, limits)?;
        }
    }
    Ok(())
}

/// How much memory a value takes.
fn width_bytes(kind: PhysicalType) -> u64 {
    match kind {
        PhysicalType::Boolean => 1,
        PhysicalType::Int32 | PhysicalType::Float => 4,
        PhysicalType::Int64 | PhysicalType::Double => 8,
        PhysicalType::Int96 => 12,
        PhysicalType::ByteArray => 16,
        PhysicalType::FixedLenByteArray(bytes) => bytes as u64,
    }
}

struct Pages {
    file: BufReader<File>,
    /// How much the pages that are still to come may unpack to.
    left_bytes: u64,
}

impl Pages {
    fn of_chunk(
        &mut self,
        range: std::ops::Range<u64>,
        values: u64,
        of_one: u64,
        limits: &Limits,
    ) -> Result<(), Fault> {
        let (mut at, mut seen) = (range.start, 0u64);
        while seen < values {
            self.seek(at)?;
            let within = range.end.saturating_sub(at).min(MAX_HEADER_BYTES);
            let mut limited = (&mut self.file).take(within);
            let mut protocol = TCompactInputProtocol::new(&mut limited, MAX_HEADER_BYTES as usize);
            let header = PageHeader::read_from_in_protocol(&mut protocol).map_err(|_| damaged())?;
            let header_bytes = within - limited.limit();
            let packed = u64::try_from(header.compressed_page_size).map_err(|_| damaged())?;
            let unpacked = u64::try_from(header.uncompressed_page_size).map_err(|_| damaged())?;
            at = at.saturating_add(header_bytes).saturating_add(packed);
            if at > range.end {
                return Err(damaged());
            }
            self.left_bytes = self.left_bytes.checked_sub(unpacked).ok_or_else(|| {
                Fault::Whole(format!(
                    "its pages unpack to more than {} times its size or more than {} GiB",
                    limits.ratio,
                    limits.unpacked_bytes >> 30
                ))
            })?;
            let in_page = u64::try_from(values_of(&header).ok_or_else(damaged)?).map_err(|_| damaged())?;
            match header.type_ {
                // Each value of a dictionary is written out; of texts at least their lengths are.
                PageType::DICTIONARY_PAGE if in_page.saturating_mul(of_one.min(4)) > unpacked => {
                    return Err(damaged());
                }
                PageType::DICTIONARY_PAGE => {}
                _ => seen = seen.saturating_add(in_page),
            }
        }
        match seen > values {
            true => Err(damaged()),
            false => Ok(()),
        }
    }

    /// Within what is read already if it is there.
    fn seek(&mut self, to: u64) -> Result<(), Fault> {
        let at = self.file.stream_position().map_err(Fault::Io)?;
        match i64::try_from(i128::from(to) - i128::from(at)) {
            Ok(by) => self.file.seek_relative(by).map_err(Fault::Io),
            Err(_) => self.file.seek(SeekFrom::Start(to)).map(drop).map_err(Fault::Io),
        }
    }
}

/// How many values a page says it holds; none of a page that is of no known kind.
fn values_of(header: &PageHeader) -> Option<i32> {
    match header.type_ {
        PageType::DATA_PAGE => header.data_page_header.as_ref().map(|data| data.num_values),
        PageType::DATA_PAGE_V2 => header.data_page_header_v2.as_ref().map(|data| data.num_values),
        PageType::DICTIONARY_PAGE => header.dictionary_page_header.as_ref().map(|data| data.num_values),
        _ => None,
    }
}

fn damaged() -> Fault {
    Fault::Whole("the header of one of its pages is damaged".to_owned())
}
