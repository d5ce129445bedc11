//! How a package is made.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::DataFrame;

use super::{
    CsvDialect, DATASET, DESCRIPTION, Description, FORMAT_VERSION, FileEntry, GOLDEN, GOLDEN_PREDICTIONS,
    MODEL, PROGRAM, PackageError, SIGNATURE, STATISTICS, Scorer, Signature, files, golden,
};
use crate::dataset::Dataset;
use crate::features::FeatureProgram;
use crate::frame;
use crate::models::Model;

/// What a package is made of.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// The model's file, as it was trained.
    pub model: &'a [u8],
    /// The feature program's file, as it was fitted.
    pub program: &'a [u8],
    /// The data that it was trained on.
    pub dataset: &'a Dataset,
    /// The file of train's statistics, if there is one.
    pub statistics: Option<&'a [u8]>,
    /// Rows of test with the raw columns; some of them become the golden rows.
    pub test: &'a DataFrame,
    /// See [`Description::lineage`].
    pub lineage: BTreeMap<String, String>,
    /// See [`Description::artifacts`].
    pub artifacts: BTreeMap<String, String>,
    /// See [`Description::metrics`].
    pub metrics: BTreeMap<String, f64>,
    /// See [`Description::csv`].
    pub csv: CsvDialect,
}

/// Writes a package into that folder, which must have none. Equal contents give equal bytes.
///
/// # Errors
///
/// [`PackageError`] if the model or the program cannot be read, if they do not fit the data, or if a file cannot be
/// written.
pub fn write(folder: &Path, contents: Contents<'_>) -> Result<Description, PackageError> {
    let dataset = contents.dataset;
    let program =
        FeatureProgram::from_bytes(contents.program).map_err(|e| PackageError::damaged(PROGRAM, e))?;
    let model = Model::from_bytes(contents.model).map_err(|e| PackageError::damaged(MODEL, e))?;
    let (kind, export) = (
        model.kind(),
        model.export().map_err(|e| PackageError::Parts(e.to_string()))?,
    );
    let signature = Signature::of(&program, dataset)?;
    let scorer = Scorer::new(program, model, signature)?;
    if contents.test.height() == 0 {
        return Err(PackageError::Rows("test has no rows".into()));
    }

    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).map_err(|e| PackageError::file(name, e))
    };
    put(MODEL, contents.model)?;
    put(PROGRAM, contents.program)?;
    json(folder, SIGNATURE, scorer.signature())?;
    json(folder, DATASET, dataset)?;
    let mut names = vec![MODEL.to_owned(), PROGRAM.into(), SIGNATURE.into(), DATASET.into()];
    if let Some(statistics) = contents.statistics {
        put(STATISTICS, statistics)?;
        names.push(STATISTICS.into());
    }
    if let Some((ending, bytes)) = export {
        let name = format!("model.{ending}");
        put(&name, &bytes)?;
        names.push(name);
    }
    let mut rows = golden::sample(&scorer.select(contents.test)?)?;
    let mut predictions = scorer.predict(&rows)?;
    parquet(folder, GOLDEN, &mut rows)?;
    parquet(folder, GOLDEN_PREDICTIONS, &mut predictions)?;
    names.extend([GOLDEN.into(), GOLDEN_PREDICTIONS.into()]);

    let mut entries = BTreeMap::new();
    for name in names {
        let entry = entry(folder, &name)?;
        entries.insert(name, entry);
    }
    let description = Description {
        format_version: FORMAT_VERSION,
        fleetline: env!("CARGO_PKG_VERSION").into(),
        task: dataset.task,
        label: dataset.label.clone(),
        classes: dataset.classes.clone(),
        model_kind: kind.into(),
        lineage: contents.lineage,
        artifacts: contents.artifacts,
        metrics: contents.metrics,
        csv: contents.csv,
        files: entries,
    };
    put(DESCRIPTION, &description.to_bytes()?)?;
    Ok(description)
}

fn json<T: serde::Serialize>(folder: &Path, name: &str, value: &T) -> Result<(), PackageError> {
    frame::write_json(&folder.join(name), value).map_err(|e| PackageError::file(name, e))
}

fn parquet(folder: &Path, name: &str, rows: &mut DataFrame) -> Result<(), PackageError> {
    frame::write(&folder.join(name), rows).map_err(|e| PackageError::file(name, e))
}

fn entry(folder: &Path, name: &str) -> Result<FileEntry, PackageError> {
    let bytes = std::fs::read(folder.join(name)).map_err(|e| PackageError::file(name, e))?;
    Ok(FileEntry {
        sha256: files::digest(&bytes),
        size_bytes: bytes.len() as u64,
    })
}
