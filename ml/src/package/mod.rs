//! What is deployed: a model, its feature program and its signature, in one folder.
//!
//! | file | what it is |
//! |---|---|
//! | [`DESCRIPTION`] | what the package is, where it comes from, digest and size of every other file |
//! | [`MODEL`] | the model, in our own form ([`crate::container`]) |
//! | [`PROGRAM`] | the feature program, in our own form |
//! | [`SIGNATURE`] | which columns go in, and which come out ([`Signature`]) |
//! | [`DATASET`] | all columns of the data that it was trained on ([`crate::dataset::Dataset`]) |
//! | [`STATISTICS`] | what those columns looked like in train ([`crate::statistics`]) |
//! | [`GOLDEN`], [`GOLDEN_PREDICTIONS`] | some rows of test and what is predicted for them, to the bit |
//! | `model.ubj` | the model for other libraries, where its kind has such a form |
//!
//! [`Package::open`] looks at digests and lengths before it reads what a file says; no bytes make it panic.
//! [`Scorer`] is the only way in which a deployed model predicts.

mod description;
mod files;
mod golden;
mod scorer;
mod signature;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

pub use description::{CsvDialect, Description, FORMAT_VERSION, FileEntry};
pub use golden::{GOLDEN_ROWS, Proof};
pub use scorer::Scorer;
pub use signature::{Input, Output, PREDICTION, PROBABILITY, Signature};
pub use write::{Contents, write};

use crate::features::FeatureProgram;
use crate::models::Model;

/// What the package is.
pub const DESCRIPTION: &str = "package.json";
/// The model.
pub const MODEL: &str = "model.bin";
/// The feature program.
pub const PROGRAM: &str = "features.bin";
/// Which columns go in, and which come out.
pub const SIGNATURE: &str = "signature.json";
/// All columns of the data that the model was trained on.
pub const DATASET: &str = "dataset.json";
/// What the columns of train looked like.
pub const STATISTICS: &str = "statistics.json";
/// Some raw rows of test.
pub const GOLDEN: &str = "golden.parquet";
/// What is predicted for [`GOLDEN`].
pub const GOLDEN_PREDICTIONS: &str = "golden.predictions.parquet";

/// Why a package cannot be written, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// A file is missing, or the system does not let it be read or written.
    #[error("package file {file}: {message}")]
    File {
        /// Its name.
        file: String,
        /// Why.
        message: String,
    },
    /// A file is not the one that was deployed.
    #[error("package file {file} is damaged: {what}. Fetch the package again, or deploy the model again")]
    Damaged {
        /// Its name.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// It was written by a newer program.
    #[error(
        "the package is of format version {found}; this program reads up to {newest}: use a newer fleetline"
    )]
    Version {
        /// What it says it is.
        found: u32,
        /// What is known.
        newest: u32,
    },
    /// Its parts do not belong together.
    #[error("the parts of the package do not fit: {0}")]
    Parts(String),
    /// The rows cannot be predicted.
    #[error("these rows cannot be predicted: {0}")]
    Rows(String),
    /// The golden rows are predicted otherwise than when the package was made.
    #[error("the package does not predict what it predicted when it was made: {0}")]
    Golden(String),
    /// It was told to stop.
    #[error("the prediction was told to stop")]
    Stopped,
}

impl PackageError {
    fn file(file: &str, cause: impl std::fmt::Display) -> Self {
        Self::File {
            file: file.to_owned(),
            message: cause.to_string(),
        }
    }

    fn damaged(file: &str, what: impl std::fmt::Display) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            what: what.to_string(),
        }
    }
}

/// A package whose files were all found as they were written.
#[derive(Debug, Clone)]
pub struct Package {
    folder: PathBuf,
    description: Description,
}

impl Package {
    /// Checks the package in that folder: what it says it is, and digest and size of every file.
    ///
    /// # Errors
    ///
    /// [`PackageError::File`] for a file that is missing, [`PackageError::Damaged`] for one that is another,
    /// [`PackageError::Version`] for a package from a newer program.
    pub fn open(folder: &Path) -> Result<Self, PackageError> {
        let bytes = files::read(folder, DESCRIPTION, description::MAX_BYTES)?;
        let description = Description::from_bytes(&bytes)?;
        for (name, entry) in &description.files {
            files::verify(folder, name, entry)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            description,
        })
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Loads what predicts.
    pub fn scorer(&self) -> Result<Scorer, PackageError> {
        let signature: Signature = self.json(SIGNATURE)?;
        let program = FeatureProgram::from_bytes(&self.bytes(PROGRAM)?)
            .map_err(|e| PackageError::damaged(PROGRAM, e))?;
        let model = Model::from_bytes(&self.bytes(MODEL)?).map_err(|e| PackageError::damaged(MODEL, e))?;
        Scorer::new(program, model, signature)
    }

    /// Predicts the golden rows, all at once and one by one, and compares with what was predicted when the package was
    /// made.
    ///
    /// # Errors
    ///
    /// [`PackageError::Golden`] if a single bit differs.
    pub fn prove(&self) -> Result<Proof, PackageError> {
        let rows = files::frame(&self.folder, GOLDEN, self.entry(GOLDEN)?)?;
        let wanted = files::frame(&self.folder, GOLDEN_PREDICTIONS, self.entry(GOLDEN_PREDICTIONS)?)?;
        golden::prove(&self.scorer()?, &rows, &wanted)
    }

    fn entry(&self, name: &str) -> Result<&FileEntry, PackageError> {
        self.description
            .files
            .get(name)
            .ok_or_else(|| PackageError::file(name, "package.json does not name it"))
    }

    /// The bytes of a file, once more checked: they may have been changed since the package was opened.
    fn bytes(&self, name: &str) -> Result<Vec<u8>, PackageError> {
        files::read_checked(&self.folder, name, self.entry(name)?)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, PackageError> {
        serde_json::from_slice(&self.bytes(name)?).map_err(|e| PackageError::damaged(name, e))
    }
}
