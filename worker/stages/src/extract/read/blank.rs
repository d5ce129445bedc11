//! CSV without its empty lines, of which Polars would make rows.

use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::path::Path;

use super::records::{Fault, Records};

/// How often is asked whether to go on.
const RECORDS_A_LOOK: u64 = 65_536;

/// Copies all records but empty lines into the new file `to`. Not whole if `go_on` said no: whoever asked finds out by
/// itself.
pub(crate) fn copy_without<R: BufRead>(
    file: R,
    separator: u8,
    to: &Path,
    go_on: &dyn Fn() -> bool,
) -> Result<(), Fault> {
    let mut target = BufWriter::with_capacity(1 << 18, File::create_new(to).map_err(Fault::Io)?);
    let mut records = Records::new(file, separator);
    let mut count = 0u64;
    while records.read()? {
        count += 1;
        if count.is_multiple_of(RECORDS_A_LOOK) && !go_on() {
            return Ok(());
        }
        if !records.is_blank() {
            target.write_all(records.bytes()).map_err(Fault::Io)?;
        }
    }
    target.flush().map_err(Fault::Io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_lines_go() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let copy = |name: &str, text: &str| {
            let to = folder.path().join(name);
            copy_without(text.as_bytes(), b',', &to, &|| true).expect("copies");
            std::fs::read_to_string(to).expect("reads")
        };
        assert_eq!(copy("lf", "a,b\n\n1,2\n\n\n,\n\n"), "a,b\n1,2\n,\n");
        assert_eq!(
            copy("crlf", "a,b\r\n\r\n1,\"x\r\n\r\ny\"\r\n\r\n"),
            "a,b\r\n1,\"x\r\n\r\ny\"\r\n"
        );
        assert_eq!(copy("end", "a,b\n\n1,2"), "a,b\n1,2");
    }
}
