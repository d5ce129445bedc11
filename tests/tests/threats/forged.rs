//! 4: Parquet whose footer, page headers and values ask for far more than the file holds.

use std::io::Cursor;

use e2e::harness::side_by_side;
use polars::prelude::*;
use polars_parquet_format::thrift::protocol::{TCompactInputProtocol, TCompactOutputProtocol};
use polars_parquet_format::{FileMetaData, PageHeader};

use super::fails_at_once;

/// A small file: its column `y` first, so that its first page begins behind the magic word.
fn good(packing: ParquetCompression) -> Vec<u8> {
    let rows = 1_000i64;
    let mut frame = df!(
        "y" => (0..rows).map(|i| if i % 2 == 0 { "no" } else { "yes" }).collect::<Vec<_>>(),
        "x" => (0..rows).collect::<Vec<_>>(),
    )
    .expect("a frame");
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(packing)
        .finish(&mut frame)
        .expect("writes");
    bytes
}

struct Parts {
    header: PageHeader,
    /// Behind the first header and before the footer.
    body: Vec<u8>,
    footer: FileMetaData,
    header_bytes: i64,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let mut first = Cursor::new(&bytes[4..]);
        let mut protocol = TCompactInputProtocol::new(&mut first, 1 << 20);
        let header = PageHeader::read_from_in_protocol(&mut protocol).expect("a page");
        let header_bytes = usize::try_from(first.position()).expect("small");
        let at = bytes.len() - 8;
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
        let mut protocol = TCompactInputProtocol::new(&bytes[at - length..at], 1 << 20);
        Self {
            header,
            body: bytes[4 + header_bytes..at - length].to_vec(),
            footer: FileMetaData::read_from_in_protocol(&mut protocol).expect("a footer"),
            header_bytes: header_bytes as i64,
        }
    }

    /// The file again, with all its offsets right.
    fn write(mut self) -> Vec<u8> {
        let mut out = b"PAR1".to_vec();
        let mut protocol = TCompactOutputProtocol::new(&mut out);
        self.header.write_to_out_protocol(&mut protocol).expect("writes");
        let longer = out.len() as i64 - 4 - self.header_bytes;
        out.extend(&self.body);
        for (at, chunk) in self.footer.row_groups[0].columns.iter_mut().enumerate() {
            let meta = chunk.meta_data.as_mut().expect("it has one");
            match (at, meta.dictionary_page_offset.as_mut()) {
                (0, None) => {}
                (0, Some(_)) => meta.data_page_offset += longer,
                (_, dictionary) => {
                    if let Some(offset) = dictionary {
                        *offset += longer;
                    }
                    meta.data_page_offset += longer;
                }
            }
            if at == 0 {
                meta.total_compressed_size += longer;
            }
        }
        let begin = out.len();
        let mut protocol = TCompactOutputProtocol::new(&mut out);
        self.footer.write_to_out_protocol(&mut protocol).expect("writes");
        let length = u32::try_from(out.len() - begin).expect("small");
        out.extend(length.to_le_bytes());
        out.extend(b"PAR1");
        out
    }
}

fn forged(packing: ParquetCompression, forge: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = Parts::of(&good(packing));
    forge(&mut parts);
    parts.write()
}

fn all_values(parts: &mut Parts, values: i64) {
    parts.footer.num_rows = values;
    parts.footer.row_groups[0].num_rows = values;
    for chunk in &mut parts.footer.row_groups[0].columns {
        chunk.meta_data.as_mut().expect("it has one").num_values = values;
    }
}

#[test]
fn t04_forged_parquet() {
    const DAMAGED: &str = "damaged";
    let packed = ParquetCompression::Zstd(None);
    let plain = ParquetCompression::Uncompressed;
    // What is not forged is read, so it is the forging that is refused.
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = folder.path().join("good.parquet");
    std::fs::write(&path, forged(packed, |_| ())).expect("writes");
    let file = std::fs::File::open(&path).expect("opens");
    assert_eq!(ParquetReader::new(file).finish().expect("reads").height(), 1_000);

    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "a page of two gigabytes",
            forged(packed, |parts| parts.header.uncompressed_page_size = i32::MAX),
            "its pages unpack to more than 1000 times its size",
        ),
        (
            "a page of two gigabytes, not packed",
            forged(plain, |parts| parts.header.uncompressed_page_size = i32::MAX),
            "its pages unpack to more than 1000 times its size",
        ),
        (
            "a page of less than nothing",
            forged(packed, |parts| parts.header.uncompressed_page_size = -1),
            DAMAGED,
        ),
        (
            "a page that goes on behind the file",
            forged(packed, |parts| parts.header.compressed_page_size = i32::MAX),
            DAMAGED,
        ),
        (
            "a dictionary of two billion values",
            forged(packed, |parts| {
                let dictionary = parts.header.dictionary_page_header.as_mut();
                dictionary.expect("texts that repeat have one").num_values = i32::MAX;
            }),
            DAMAGED,
        ),
        (
            "two billion rows",
            forged(packed, |parts| all_values(parts, 2_000_000_000)),
            "its values need more than",
        ),
        (
            "more rows than can be",
            forged(packed, |parts| all_values(parts, i64::MAX)),
            "more than 2147483648 rows",
        ),
        (
            "rows that pages do not have",
            forged(packed, |parts| all_values(parts, 1_000_000)),
            DAMAGED,
        ),
        (
            "a column of less than nothing",
            forged(packed, |parts| all_values(parts, -1)),
            DAMAGED,
        ),
        (
            "a footer that says it unpacks to a petabyte",
            forged(packed, |parts| {
                parts.footer.row_groups[0].total_byte_size = 1 << 50
            }),
            "it unpacks to",
        ),
        (
            "a thousand groups of rows that are one",
            forged(packed, |parts| {
                let group = parts.footer.row_groups[0].clone();
                parts.footer.row_groups = vec![group; 1_000];
                parts.footer.num_rows *= 1_000;
            }),
            DAMAGED,
        ),
    ];
    side_by_side(2, cases, |(what, bytes, reason)| {
        fails_at_once(what, "in.parquet", &bytes, &[reason]);
    });
}
