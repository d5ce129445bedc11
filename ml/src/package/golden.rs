//! Golden rows: some rows of test, and what was predicted for them when the package was made.

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::{PackageError, Scorer};

/// The most golden rows.
pub const GOLDEN_ROWS: usize = 50;

/// What was proved of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// How many golden rows it predicts as it did when it was made, to the bit.
    pub rows: usize,
}

/// At most [`GOLDEN_ROWS`] of the rows, evenly spread.
pub(super) fn sample(rows: &DataFrame) -> Result<DataFrame, PackageError> {
    let (height, wanted) = (rows.height(), rows.height().min(GOLDEN_ROWS));
    let indices: Vec<IdxSize> = (0..wanted)
        .map(|i| IdxSize::try_from(i * height / wanted).expect("row numbers of a frame are IdxSize"))
        .collect();
    let mut sample = rows
        .take(&IdxCa::from_vec(PlSmallStr::EMPTY, indices))
        .map_err(|e| PackageError::Rows(e.to_string()))?;
    sample.rechunk_mut();
    Ok(sample)
}

/// Predicts the rows and compares with what is wanted, all at once and one by one.
pub(super) fn prove(scorer: &Scorer, rows: &DataFrame, wanted: &DataFrame) -> Result<Proof, PackageError> {
    let height = rows.height();
    if height == 0 || height != wanted.height() {
        return Err(PackageError::Golden(format!(
            "there are {height} golden rows and {} predictions",
            wanted.height()
        )));
    }
    compare(&scorer.predict(rows)?, wanted, 0)?;
    for row in 0..height {
        let offset = i64::try_from(row).expect("there are few golden rows");
        compare(
            &scorer.predict(&rows.slice(offset, 1))?,
            &wanted.slice(offset, 1),
            row,
        )?;
    }
    Ok(Proof { rows: height })
}

/// Equal names, types and bits; `first` is the number of the first row.
fn compare(found: &DataFrame, wanted: &DataFrame, first: usize) -> Result<(), PackageError> {
    if found.schema() != wanted.schema() {
        return Err(PackageError::Golden(
            "the columns of predictions are others".into(),
        ));
    }
    for (found, wanted) in found.columns().iter().zip(wanted.columns()) {
        let (a, b) = (found.as_materialized_series(), wanted.as_materialized_series());
        let differs = match (a.f64(), b.f64()) {
            (Ok(a), Ok(b)) => a
                .iter()
                .zip(b.iter())
                .position(|(a, b)| a.map(f64::to_bits) != b.map(f64::to_bits)),
            _ => (0..a.len()).find(|row| a.get(*row).ok() != b.get(*row).ok()),
        };
        if let Some(row) = differs {
            return Err(PackageError::Golden(format!(
                "column {} of golden row {} is another",
                found.name(),
                first + row
            )));
        }
    }
    Ok(())
}
