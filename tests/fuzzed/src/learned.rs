//! What was learned: feature programs and packages of models.
//!
//! Such a file is read only if its digest is right, and nobody guesses a digest. So it is put right here, and what is
//! behind it is what is tried.

use std::fs;

use ml::container;
use ml::dataset::ColumnType;
use ml::features::FeatureProgram;
use ml::package::{DESCRIPTION, MODEL, PROGRAM, Package};
use pipeline::Sha256Digest;
use polars::prelude::*;
use serde_json::{Value, json};

/// A small package that is whole: a model of the penguins' species (`fuzz/seeds/README.md` says how it was made).
const GOOD: [(&str, &[u8]); 8] = [
    (DESCRIPTION, include_bytes!("package/package.json")),
    (MODEL, include_bytes!("package/model.bin")),
    (PROGRAM, include_bytes!("package/features.bin")),
    ("signature.json", include_bytes!("package/signature.json")),
    ("dataset.json", include_bytes!("package/dataset.json")),
    ("statistics.json", include_bytes!("package/statistics.json")),
    ("golden.parquet", include_bytes!("package/golden.parquet")),
    (
        "golden.predictions.parquet",
        include_bytes!("package/golden.predictions.parquet"),
    ),
];

/// `bytes` in a container like the one of `like`.
fn sealed_like(like: &[u8], bytes: &[u8]) -> Vec<u8> {
    let kind = *like[8..].first_chunk::<4>().expect("a container has a kind");
    let version = *like[12..].first_chunk::<4>().expect("a container has a version");
    container::seal(kind, u32::from_le_bytes(version), bytes)
}

fn good(name: &str) -> &'static [u8] {
    let file = GOOD.iter().find(|(known, _)| *known == name);
    file.expect("a file of the package").1
}

/// A program as a file, and as what is within one, is an error, or reads back the same and turns rows into features.
pub fn program(bytes: &[u8]) {
    let _ = FeatureProgram::from_bytes(bytes);
    let Ok(program) = FeatureProgram::from_bytes(&sealed_like(good(PROGRAM), bytes)) else {
        return;
    };
    let written = program.to_bytes().expect("what was read is small enough");
    let again = FeatureProgram::from_bytes(&written).expect("own bytes read back");
    assert_eq!(again.to_bytes().as_ref(), Ok(&written));
    if let Ok(rows) = rows_for(&program) {
        let _ = program.apply(&rows);
    }
}

/// Three rows of the columns that a program reads: nothing, something, something extreme.
fn rows_for(program: &FeatureProgram) -> PolarsResult<DataFrame> {
    let columns = program
        .inputs()
        .iter()
        .map(|input| {
            let name = PlSmallStr::from_str(&input.name);
            Ok(match input.kind {
                ColumnType::Boolean => Column::new(name, [None, Some(true), Some(false)]),
                ColumnType::Integer => Column::new(name, [None, Some(1), Some(i64::MIN)]),
                ColumnType::Float => Column::new(name, [None, Some(0.5), Some(f64::INFINITY)]),
                ColumnType::Text => Column::new(name, [None, Some("a"), Some("")]),
                ColumnType::Date => {
                    Column::new(name, [None, Some(1), Some(i32::MAX)]).cast(&DataType::Date)?
                }
                ColumnType::Datetime => Column::new(name, [None, Some(1), Some(i64::MAX)])
                    .cast(&DataType::Datetime(TimeUnit::Microseconds, None))?,
            })
        })
        .collect::<PolarsResult<Vec<_>>>()?;
    DataFrame::new(3, columns)
}

/// A package of which one file is another is refused, or predicts. The first byte says which file, the rest is it.
pub fn package(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().expect("makes a folder");
    let name = GOOD[usize::from(*which) % GOOD.len()].0;
    let new = match name {
        DESCRIPTION => described(bytes),
        MODEL | PROGRAM => sealed_like(good(name), bytes),
        _ => bytes.to_vec(),
    };
    for (known, bytes) in GOOD {
        let bytes = match known {
            _ if known == name => new.clone(),
            DESCRIPTION => naming(name, &new),
            _ => bytes.to_vec(),
        };
        fs::write(folder.path().join(known), bytes).expect("writes");
    }
    // A damaged frame may make Polars panic, which the process of a stage survives; what is ours must not.
    let Ok(package) = Package::open(folder.path()) else {
        return;
    };
    let _ = package.description().to_owned();
    if package.scorer().is_ok() {
        let _ = package.prove();
    }
}

/// A description with its digest put right. `bytes` are what follows the digest's line.
fn described(bytes: &[u8]) -> Vec<u8> {
    let rest = [b"\",\n".as_slice(), bytes].concat();
    let digest = Sha256Digest::of(&rest).to_string();
    [b"{\n  \"sha256\": \"".as_slice(), digest.as_bytes(), &rest].concat()
}

/// The good package's description, but for one file, which is that one.
fn naming(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut description: Value = serde_json::from_slice(good(DESCRIPTION)).expect("good JSON");
    let object = description.as_object_mut().expect("an object");
    object.remove("sha256");
    object["files"][name] = json!({ "sha256": Sha256Digest::of(bytes), "size_bytes": bytes.len() });
    let text = serde_json::to_string_pretty(object).expect("JSON is written");
    described(text.strip_prefix("{\n").expect("a pretty object").as_bytes())
}
