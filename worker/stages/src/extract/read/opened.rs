//! A source's file as it can be read: unpacked.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use pipeline::stage::{SourceFile, StageError};
use polars::prelude::PolarsError;

use super::records::Fault;
use super::unpack::{self, Packing, UnpackError};
use super::{Reading, first_line};
use crate::flow::{permanent, transient};

impl Reading<'_> {
    /// The file, unpacked into the scratch folder if it is packed.
    pub(super) fn opened<'f>(&self, name: &str, file: &'f SourceFile) -> Result<Opened<'f>, StageError> {
        let uri = file.uri.as_str();
        let io = |e: &dyn std::fmt::Display| transient(format!("source {name:?}: cannot read {uri}: {e}"));
        let packing = Packing::of(&file.path).map_err(|e| io(&e))?;
        let says_packed = [".gz", ".zst"]
            .iter()
            .find(|end| uri.to_ascii_lowercase().ends_with(*end));
        let path = match (packing, says_packed) {
            (None, None) => file.path.clone(),
            (None, Some(end)) => {
                return Err(permanent(format!(
                    "source {name:?}: {uri} is not packed although its name ends in {end}: it is empty, damaged or misnamed"
                )));
            }
            (Some(packing), _) => {
                std::fs::create_dir_all(&self.scratch).map_err(|e| io(&e))?;
                let mut unpacked_bytes = self.unpacked_bytes.get();
                let to = self.scratch.join(format!("{}-{unpacked_bytes}", file.sha256));
                let result = match to.exists() {
                    true => Ok(to),
                    false => unpack::unpack(
                        &file.path,
                        packing,
                        to,
                        &self.limits,
                        &mut unpacked_bytes,
                        self.go_on,
                    ),
                };
                self.unpacked_bytes.set(unpacked_bytes);
                result.map_err(|error| match error {
                    UnpackError::TooLarge(why) => permanent(format!(
                        "source {name:?}: {uri}: {why}: unpack it yourself if it is meant"
                    )),
                    UnpackError::Damaged => permanent(format!(
                        "source {name:?}: {uri} is damaged or cut off: it cannot be unpacked"
                    )),
                    UnpackError::Interrupted => StageError::Interrupted,
                    UnpackError::Write(e) => io(&e),
                })?
            }
        };
        Ok(Opened { uri, path })
    }
}

/// A file as it can be read: unpacked.
pub(super) struct Opened<'a> {
    pub(super) uri: &'a str,
    pub(super) path: PathBuf,
}

impl Opened<'_> {
    pub(super) fn reader(&self, source: &str) -> Result<BufReader<File>, StageError> {
        let file = File::open(&self.path)
            .map_err(|e| transient(format!("source {source:?}: cannot read {}: {e}", self.uri)))?;
        Ok(BufReader::with_capacity(1 << 18, file))
    }

    pub(super) fn fault(&self, source: &str, fault: Fault) -> StageError {
        let uri = self.uri;
        match fault {
            Fault::Text { line, what } => permanent(format!("source {source:?}: {uri}, line {line}: {what}")),
            Fault::Whole(what) => permanent(format!("source {source:?}: {uri}: {what}")),
            Fault::Io(e) => transient(format!("source {source:?}: cannot read {uri}: {e}")),
        }
    }

    pub(super) fn polars(&self, source: &str, error: &PolarsError) -> StageError {
        permanent(format!("source {source:?}: {}: {}", self.uri, first_line(error)))
    }
}
