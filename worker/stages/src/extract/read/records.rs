//! The records of CSV text, by RFC 4180: strict where other readers guess, so that what is wrong is told with its line.

use std::io::{BufRead, Read};

/// The longest record, line breaks within quotes included: 16 MiB.
const MAX_RECORD_BYTES: usize = 16 << 20;

/// What is wrong with a text file, and where.
#[derive(Debug)]
pub(crate) enum Fault {
    /// In the text.
    Text {
        /// Counted from 1.
        line: u64,
        /// For people.
        what: String,
    },
    /// Of the file as a whole.
    Whole(String),
    /// It cannot be read.
    Io(std::io::Error),
}

impl Fault {
    pub(crate) fn at(line: u64, what: impl Into<String>) -> Self {
        Self::Text {
            line,
            what: what.into(),
        }
    }
}

/// One field: where it is within its record, without its quotes.
#[derive(Debug, Clone, Copy)]
struct Field {
    start: usize,
    end: usize,
}

/// Reads one record after the other.
pub(crate) struct Records<R> {
    from: R,
    separator: u8,
    /// Lines read so far.
    lines: u64,
    /// Bytes before the record.
    offset_bytes: u64,
    record: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Clone, Copy)]
enum Within {
    /// At the start of a field.
    Start,
    /// An unquoted field.
    Plain,
    /// A quoted field that was opened in this line.
    Quoted { opened_line: u64 },
    /// Behind a quote within a quoted field.
    Quote { opened_line: u64 },
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(from: R, separator: u8) -> Self {
        Self {
            from,
            separator,
            lines: 0,
            offset_bytes: 0,
            record: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// The line in which the record ends, counted from 1.
    pub(crate) fn line(&self) -> u64 {
        self.lines
    }

    /// The fields of the record that was read last.
    pub(crate) fn fields(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.fields
            .iter()
            .map(|field| &self.record[field.start..field.end])
    }

    /// The record that was read last as it stands in the file, with its line break.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.record
    }

    /// True if the record that was read last is an empty line.
    pub(crate) fn is_blank(&self) -> bool {
        self.fields.len() == 1 && self.record.iter().all(|b| matches!(b, b'\r' | b'\n'))
    }

    /// Reads the next record; false at the end.
    pub(crate) fn read(&mut self) -> Result<bool, Fault> {
        self.offset_bytes += self.record.len() as u64;
        self.record.clear();
        self.fields.clear();
        let mut within = Within::Start;
        let (mut at, mut start) = (0, 0);
        loop {
            let room = (MAX_RECORD_BYTES + 1).saturating_sub(self.record.len());
            let read = Read::take(&mut self.from, room as u64)
                .read_until(b'\n', &mut self.record)
                .map_err(Fault::Io)?;
            if read == 0 {
                return match within {
                    Within::Quoted { opened_line } => Err(unclosed(opened_line)),
                    Within::Start | Within::Plain | Within::Quote { .. } => Ok(false),
                };
            }
            self.lines += 1;
            if self.lines == 1 && self.record.starts_with(b"\xef\xbb\xbf") {
                (at, start) = (3, 3);
            }
            if self.record.len() > MAX_RECORD_BYTES {
                return Err(match within {
                    Within::Quoted { opened_line } => unclosed(opened_line),
                    Within::Start | Within::Plain | Within::Quote { .. } => Fault::at(
                        self.lines,
                        format!(
                            "the line is longer than {} MiB: is it CSV?",
                            MAX_RECORD_BYTES >> 20
                        ),
                    ),
                });
            }
            let length = self.record.len();
            let end = length - usize::from(self.record[length - 1] == b'\n');
            let end = end - usize::from(end > at && self.record[end - 1] == b'\r');
            while at < end {
                let byte = self.record[at];
                within = match within {
                    Within::Start if byte == b'"' => {
                        start = at + 1;
                        Within::Quoted {
                            opened_line: self.lines,
                        }
                    }
                    Within::Start | Within::Plain if byte == self.separator => {
                        self.fields.push(Field { start, end: at });
                        start = at + 1;
                        Within::Start
                    }
                    Within::Plain if byte == b'"' => {
                        return Err(Fault::at(
                            self.lines,
                            format!(
                                "field {} has a quote in the middle: put the whole field into quotes and write the quote twice",
                                self.fields.len() + 1
                            ),
                        ));
                    }
                    Within::Start | Within::Plain => Within::Plain,
                    Within::Quoted { opened_line } if byte == b'"' => Within::Quote { opened_line },
                    Within::Quoted { .. } => within,
                    Within::Quote { opened_line } if byte == b'"' => Within::Quoted { opened_line },
                    Within::Quote { .. } if byte == self.separator => {
                        self.fields.push(Field { start, end: at - 1 });
                        start = at + 1;
                        Within::Start
                    }
                    Within::Quote { .. } => {
                        return Err(Fault::at(
                            self.lines,
                            format!(
                                "field {} goes on behind its closing quote: write a quote within quotes twice",
                                self.fields.len() + 1
                            ),
                        ));
                    }
                };
                at += 1;
            }
            match within {
                Within::Start | Within::Plain => self.fields.push(Field { start, end }),
                Within::Quote { .. } => self.fields.push(Field { start, end: end - 1 }),
                Within::Quoted { .. } => {
                    // The line break belongs to the field.
                    at = length;
                    continue;
                }
            }
            return self.check_encoding().map(|()| true);
        }
    }

    fn check_encoding(&self) -> Result<(), Fault> {
        let Err(wrong) = std::str::from_utf8(&self.record) else {
            return Ok(());
        };
        let before = &self.record[..wrong.valid_up_to()];
        let lines_after = self.record[wrong.valid_up_to()..]
            .iter()
            .filter(|b| **b == b'\n')
            .count() as u64;
        let is_ended = self.record.last() == Some(&b'\n');
        let line = self.lines + u64::from(is_ended) - lines_after;
        Err(Fault::at(
            line.min(self.lines),
            format!(
                "the byte at offset {} is not UTF-8: save the file as UTF-8",
                self.offset_bytes + before.len() as u64
            ),
        ))
    }
}

fn unclosed(opened_line: u64) -> Fault {
    Fault::at(opened_line, "a quote opens here and never closes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Result<Vec<Vec<String>>, Fault> {
        let mut records = Records::new(text, b',');
        let mut all = Vec::new();
        while records.read()? {
            all.push(
                records
                    .fields()
                    .map(|f| String::from_utf8(f.to_vec()).expect("checked"))
                    .collect(),
            );
        }
        Ok(all)
    }

    fn fault(text: &[u8]) -> (u64, String) {
        match read(text) {
            Err(Fault::Text { line, what }) => (line, what),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_fields_with_and_without_quotes() {
        let rows =
            read(b"\xef\xbb\xbfa,b\r\n1,\"x, y\"\n\"\",\"two\nlines\"\n,\"say \"\"so\"\"\"").expect("reads");
        assert_eq!(
            rows,
            [
                ["a", "b"],
                ["1", "x, y"],
                ["", "two\nlines"],
                ["", "say \"\"so\"\""]
            ]
        );
    }

    #[test]
    fn says_in_which_line_what_is_wrong() {
        assert_eq!(fault(b"a,b\n1,\"x\n2,3\n").0, 2, "where the quote opens");
        assert_eq!(fault(b"a,b\n1,2\n1,5\" pipe\n").0, 3);
        assert_eq!(fault(b"a,b\n1,\"x\"y\n").0, 2);
        let (line, what) = fault(b"a,b\n1,caf\xe9\n");
        assert_eq!(line, 2);
        assert!(what.contains("offset 9 ") && what.contains("UTF-8"), "{what}");
        assert_eq!(
            fault(b"a\n\"x\ny\xe9\nz\"\n").0,
            3,
            "within a record of several lines"
        );
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut text = b"a\n".to_vec();
        text.resize(MAX_RECORD_BYTES + 10, b'x');
        assert!(fault(&text).1.contains("longer than 16 MiB"));
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(rows in proptest::collection::vec(proptest::collection::vec("[a-z\", \n]{0,6}", 2), 1..6)) {
            let text: String = rows.iter().map(|row| {
                let quoted: Vec<String> = row.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
                quoted.join(",") + "\n"
            }).collect();
            let back: Vec<Vec<String>> = read(text.as_bytes()).expect("reads").into_iter()
                .map(|row| row.into_iter().map(|f| f.replace("\"\"", "\"")).collect()).collect();
            prop_assert_eq!(back, rows);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&bytes);
        }
    }
}
