//! `package.json`: what the package is, where it comes from, and what its other files are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DESCRIPTION, PackageError, files};
use crate::dataset::Task;

/// The version of packages that is written, and the newest that is read.
pub const FORMAT_VERSION: u32 = 1;

/// The longest `package.json` that is read.
pub(super) const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The most files of a package.
const MAX_FILES: usize = 64;

/// How every `package.json` begins: then come the 64 digits of the digest of everything behind them.
const HEAD: &str = "{\n  \"sha256\": \"";

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// The version of the program that wrote it.
    pub fleetline: String,
    /// What kind of prediction.
    pub task: Task,
    /// The column that is predicted.
    pub label: String,
    /// The classes as texts, by their indices; none for regression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// `linear`, `boosting` or `forest`.
    pub model_kind: String,
    /// Where it comes from: the run, its pipeline and specification, the candidate. Opaque here.
    pub lineage: BTreeMap<String, String>,
    /// What it was made of: digests of artifacts by `step/name`. Opaque here.
    pub artifacts: BTreeMap<String, String>,
    /// How good it was on test, by metric.
    pub metrics: BTreeMap<String, f64>,
    /// How its rows were written, if they came from one file of CSV.
    #[serde(default, skip_serializing_if = "CsvDialect::is_usual")]
    pub csv: CsvDialect,
    /// The other files, by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// How a file of CSV is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvDialect {
    /// What separates the fields, if it is no comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<char>,
    /// Texts that stand for a missing value, besides the empty one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nulls: Vec<String>,
}

impl CsvDialect {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What a file of the package must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Of its content, in 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Of its content.
    pub size_bytes: u64,
}

/// The file: the digest first, so that it can be checked before the rest is parsed.
#[derive(Serialize)]
struct Written<'a> {
    sha256: String,
    #[serde(flatten)]
    description: &'a Description,
}

#[derive(Deserialize)]
struct JustVersion {
    format_version: u32,
}

impl Description {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, PackageError> {
        let written = Written {
            sha256: "0".repeat(64),
            description: self,
        };
        let mut text =
            serde_json::to_string_pretty(&written).map_err(|e| PackageError::file(DESCRIPTION, e))?;
        text.push('\n');
        let behind = HEAD.len() + 64;
        let digest = files::digest(&text.as_bytes()[behind..]);
        text.replace_range(HEAD.len()..behind, &digest);
        Ok(text.into_bytes())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, PackageError> {
        let damaged = |what: &str| PackageError::damaged(DESCRIPTION, what);
        let (digest, rest) = bytes
            .strip_prefix(HEAD.as_bytes())
            .and_then(|rest| rest.split_at_checked(64))
            .ok_or_else(|| damaged("it does not begin like a package's description"))?;
        if files::digest(rest).as_bytes() != digest {
            return Err(damaged(
                "its digest is not the one it names: at least one bit is wrong",
            ));
        }
        let failed = |e: serde_json::Error| PackageError::damaged(DESCRIPTION, e);
        let JustVersion { format_version } = serde_json::from_slice(bytes).map_err(failed)?;
        if format_version == 0 || format_version > FORMAT_VERSION {
            return Err(PackageError::Version {
                found: format_version,
                newest: FORMAT_VERSION,
            });
        }
        let mut object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(failed)?;
        object.remove("sha256");
        let description: Self = serde_json::from_value(serde_json::Value::Object(object)).map_err(failed)?;
        if description.files.len() > MAX_FILES {
            return Err(damaged("it names too many files"));
        }
        if let Some(name) = description.files.keys().find(|name| !files::is_name(name)) {
            return Err(PackageError::damaged(
                DESCRIPTION,
                format!("{name:?} is no name of a file of a package"),
            ));
        }
        Ok(description)
    }
}
