//! Features in files: one Parquet file for a split, with the features in the program's order, the target and the
//! weights.

use std::path::Path;

use polars::prelude::*;

use super::{Feature, FeatureColumn, FeatureTable, FeatureValues, MISSING};
use crate::frame::{self, FrameError};

/// The column with the target. No feature may have this name.
pub const TARGET: &str = "__target";
/// The column with the weights. No feature may have this name.
pub const WEIGHT: &str = "__weight";

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFeatures {
    /// The features.
    pub features: FeatureTable,
    /// By row: the class' index, or the number to predict.
    pub target: Vec<f32>,
    /// By row: how much it counts, if the data says so.
    pub weights: Option<Vec<f32>>,
}

/// Why features could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file, or what is in it, is none that can be read or written.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A feature has a name that is kept for something else.
    #[error("a column may not be named {TARGET} or {WEIGHT}: rename it in the query")]
    Reserved,
    /// It does not hold what the program says.
    #[error("{file} does not hold these features: {problem}")]
    Mismatch {
        /// The file's name, without its folder.
        file: String,
        /// What is different.
        problem: String,
    },
}

/// Writes one split's features. Categories are codes, null where they are missing; numbers are NaN there.
pub fn write(path: &Path, features: &[Feature], stored: StoredFeatures) -> Result<(), StoreError> {
    let StoredFeatures {
        features: table,
        target,
        weights,
    } = stored;
    let mismatch = |problem: &str| StoreError::Mismatch {
        file: file_name(path),
        problem: problem.to_owned(),
    };
    if features.iter().any(|f| f.name == TARGET || f.name == WEIGHT) {
        return Err(StoreError::Reserved);
    }
    if table.columns.len() != features.len() {
        return Err(mismatch("it has another number of columns"));
    }
    let rows = table.rows;
    let mut columns: Vec<Column> = Vec::with_capacity(features.len() + 2);
    for (feature, values) in features.iter().zip(table.columns) {
        let name = PlSmallStr::from_str(&feature.name);
        columns.push(match values {
            FeatureColumn::Numeric(values) => Float32Chunked::from_vec(name, values).into_column(),
            FeatureColumn::Category(codes) if codes.contains(&MISSING) => {
                let codes = codes.iter().map(|code| (*code != MISSING).then_some(*code));
                UInt32Chunked::from_iter_options(name, codes).into_column()
            }
            FeatureColumn::Category(codes) => UInt32Chunked::from_vec(name, codes).into_column(),
        });
    }
    columns.push(Float32Chunked::from_vec(TARGET.into(), target).into_column());
    if let Some(weights) = weights {
        columns.push(Float32Chunked::from_vec(WEIGHT.into(), weights).into_column());
    }
    let mut frame = DataFrame::new(rows, columns).map_err(|e| mismatch(&e.to_string()))?;
    Ok(frame::write(path, &mut frame)?)
}

/// Reads what [`write()`] wrote for a program with these features.
pub fn read(path: &Path, features: &[Feature]) -> Result<StoredFeatures, StoreError> {
    let mismatch = |problem: String| StoreError::Mismatch {
        file: file_name(path),
        problem,
    };
    let frame = frame::read(path, None)?;
    let rows = frame.height();
    let names = frame.get_column_names_owned();
    let wanted = features.iter().map(|f| f.name.as_str()).chain([TARGET, WEIGHT]);
    let same = names.iter().zip(wanted).all(|(name, wanted)| name == wanted);
    if !same || names.len() < features.len() + 1 || names.len() > features.len() + 2 {
        return Err(mismatch("its columns are not the program's".into()));
    }
    // One by one, so that the frame's memory goes as the table's grows.
    let mut columns = frame.into_columns().into_iter();
    let mut table = Vec::with_capacity(features.len());
    for (feature, column) in features.iter().zip(columns.by_ref()) {
        let values = match &feature.values {
            FeatureValues::Numeric { .. } => numbers(column).map(FeatureColumn::Numeric),
            FeatureValues::Category { levels, .. } => {
                codes(column, levels.len()).map(FeatureColumn::Category)
            }
        };
        table.push(values.map_err(|problem| mismatch(format!("column {}: {problem}", feature.name)))?);
    }
    let mut finite = |name: &str| {
        let Some(column) = columns.next() else {
            return Ok(None);
        };
        match numbers(column) {
            Ok(values) if values.iter().all(|v| v.is_finite()) => Ok(Some(values)),
            Ok(_) => Err(mismatch(format!("column {name}: a number is missing"))),
            Err(problem) => Err(mismatch(format!("column {name}: {problem}"))),
        }
    };
    Ok(StoredFeatures {
        target: finite(TARGET)?.unwrap_or_default(),
        weights: finite(WEIGHT)?,
        features: FeatureTable { rows, columns: table },
    })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.display().to_string())
}

fn numbers(column: Column) -> Result<Vec<f32>, &'static str> {
    let series = column.take_materialized_series();
    let array = series.f32().map_err(|_| "it holds no numbers of 32 bits")?;
    if array.null_count() > 0 {
        return Err("it has nulls");
    }
    let mut values = Vec::with_capacity(array.len());
    for chunk in array.downcast_iter() {
        values.extend_from_slice(chunk.values());
    }
    match values.iter().any(|v| v.is_infinite()) {
        true => Err("a number is infinite"),
        false => Ok(values),
    }
}

fn codes(column: Column, levels: usize) -> Result<Vec<u32>, &'static str> {
    let series = column.take_materialized_series();
    let array = series.u32().map_err(|_| "it holds no codes")?;
    let codes: Vec<u32> = array.iter().map(|code| code.unwrap_or(MISSING)).collect();
    match codes
        .iter()
        .all(|code| *code == MISSING || (*code as usize) < levels)
    {
        true => Ok(codes),
        false => Err("a code is none of its categories'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Vec<Feature> {
        let feature = |name: &str, values| Feature {
            name: name.into(),
            column: name.into(),
            values,
        };
        vec![
            feature(
                "n",
                FeatureValues::Numeric {
                    fill: 0.0,
                    center: 0.0,
                    scale: 1.0,
                    indicator: false,
                },
            ),
            feature("c", category(&["a", "b"])),
            feature("d", category(&["x"])),
        ]
    }

    fn category(levels: &[&str]) -> FeatureValues {
        FeatureValues::Category {
            levels: levels.iter().map(|l| (*l).to_owned()).collect(),
            other: None,
            indicator: false,
        }
    }

    fn stored(weights: Option<Vec<f32>>) -> StoredFeatures {
        StoredFeatures {
            features: FeatureTable {
                rows: 3,
                columns: vec![
                    FeatureColumn::Numeric(vec![0.1, f32::NAN, -0.0]),
                    FeatureColumn::Category(vec![1, MISSING, 0]),
                    FeatureColumn::Category(vec![0, 0, 0]),
                ],
            },
            target: vec![0.0, 1.0, 1.0],
            weights,
        }
    }

    fn bits(column: &FeatureColumn) -> Vec<u32> {
        match column {
            FeatureColumn::Numeric(values) => values.iter().map(|v| v.to_bits()).collect(),
            FeatureColumn::Category(codes) => codes.clone(),
        }
    }

    #[test]
    fn what_is_written_reads_back_to_the_bit() {
        let folder = tempfile::tempdir().expect("makes a folder");
        for (name, weights) in [("with", Some(vec![1.0, 0.5, 2.0])), ("without", None)] {
            let path = folder.path().join(name);
            let wanted = stored(weights);
            write(&path, &features(), wanted.clone()).expect("writes");
            let found = read(&path, &features()).expect("reads");
            assert_eq!((found.target, found.weights), (wanted.target, wanted.weights));
            assert_eq!(found.features.rows, 3);
            let pairs = found.features.columns.iter().zip(&wanted.features.columns);
            for (found, wanted) in pairs {
                assert_eq!(bits(found), bits(wanted));
            }
        }
    }

    #[test]
    fn another_programs_features_are_refused() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let path = folder.path().join("file");
        write(&path, &features(), stored(None)).expect("writes");
        let mut renamed = features();
        renamed[0].name = "m".into();
        let mut narrower = features();
        narrower[1].values = category(&["a"]);
        let mut swapped = features();
        swapped[0].values = category(&["a"]);
        let mut more = features();
        more.push(more[0].clone());
        for (features, problem) in [
            (renamed, "its columns are not the program's"),
            (narrower, "column c: a code is none of its categories'"),
            (swapped, "column n: it holds no codes"),
            (features()[..2].to_vec(), "its columns are not the program's"),
            (more, "its columns are not the program's"),
        ] {
            let error = read(&path, &features).expect_err(problem).to_string();
            assert_eq!(error, format!("file does not hold these features: {problem}"));
        }
    }

    #[test]
    fn kept_names_are_refused() {
        let folder = tempfile::tempdir().expect("makes a folder");
        let mut features = features();
        features[0].name = TARGET.into();
        let error = write(&folder.path().join("file"), &features, stored(None));
        assert!(matches!(error, Err(StoreError::Reserved)), "{error:?}");
    }
}
