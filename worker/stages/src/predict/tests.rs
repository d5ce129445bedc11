use std::collections::BTreeMap;
use std::path::PathBuf;

use ml::dataset::Task;
use ml::package::{Package, Scorer};
use pipeline::id::{AliasName, ModelName, RunId};
use pipeline::registry::ModelVersion;
use pipeline::stage::{FoundModel, SourceFile};
use pipeline::{Sha256Digest, Timestamp};
use polars::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::testing::{Bench, manifest};
use crate::testing_deployed::{bench as deploy_bench, linear, parquet, rows, verdict};

const FILES: [&str; 8] = [
    "package.json",
    "model.bin",
    "features.bin",
    "signature.json",
    "dataset.json",
    "statistics.json",
    "golden.parquet",
    "golden.predictions.parquet",
];

/// The files of a deployed model.
fn package(task: Task) -> Vec<(&'static str, Vec<u8>)> {
    let hyperparameters = linear();
    let step = "[[steps]]\nstage = \"deploy\"\nparams = { model = \"flights\" }";
    let bench = deploy_bench(task, &hyperparameters, &verdict("auc"), step);
    bench.run().expect("deploys");
    FILES.iter().map(|name| (*name, bench.output(name))).collect()
}

fn scorer(task: Task) -> (TempDir, Scorer) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in package(task) {
        std::fs::write(folder.path().join(name), bytes).expect("writes");
    }
    let scorer = Package::open(folder.path())
        .and_then(|package| package.scorer())
        .expect("loads");
    (folder, scorer)
}

/// A `predict` step over one file of rows.
fn bench(file: &str, bytes: &[u8], params: &str) -> (Bench, TempDir) {
    let mut bench = Bench::new(&format!(
        "[[steps]]\nstage = \"predict\"\nparams = {{ model = \"flights\", sources = {{ data = \"{file}\" }}, {params} }}"
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(file);
    std::fs::write(&path, bytes).expect("writes");
    let files = package(Task::Binary);
    for (name, bytes) in &files {
        bench.input(&format!("{PACKAGE}/{name}"), bytes);
    }
    let artifacts: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    bench.assignment.found.sources = [(
        "data".to_owned(),
        vec![SourceFile {
            uri: file.into(),
            path,
            sha256: Sha256Digest::of(bytes),
            size_bytes: bytes.len() as u64,
        }],
    )]
    .into();
    bench.assignment.found.model = Some(FoundModel {
        model: ModelName::new("flights").expect("valid"),
        alias: AliasName::new("champion").expect("valid"),
        revision: 1,
        version: Some(ModelVersion {
            model: ModelName::new("flights").expect("valid"),
            run: RunId::new("r").expect("valid"),
            package: manifest("deploy", 0, 1, &artifacts),
            registered_at: Timestamp(1),
        }),
    });
    (bench, folder)
}

fn predictions(bench: &Bench) -> DataFrame {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("predictions");
    std::fs::write(&path, bench.output(PREDICTIONS)).expect("writes");
    ml::frame::read(&path, None).expect("reads")
}

fn csv(frame: &mut DataFrame) -> Vec<u8> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(frame).expect("writes");
    bytes
}

fn ndjson(frame: &mut DataFrame) -> Vec<u8> {
    let mut bytes = Vec::new();
    JsonWriter::new(&mut bytes)
        .with_json_format(JsonFormat::JsonLines)
        .finish(frame)
        .expect("writes");
    bytes
}

#[test]
fn every_format_of_the_rows_gives_the_same_predictions() {
    let mut rows = rows(120);
    let (parquet, csv, ndjson) = (parquet(&mut rows), csv(&mut rows), ndjson(&mut rows));
    let mut found = Vec::new();
    for (file, bytes) in [
        ("rows.parquet", parquet),
        ("rows.csv", csv),
        ("rows.ndjson", ndjson),
    ] {
        let (bench, _folder) = bench(file, &bytes, "keep = [\"key\"]");
        assert_eq!(bench.run(), Ok(Outcome::Advance), "{file}");
        found.push(predictions(&bench));
    }
    let names: Vec<&str> = found[0]
        .get_column_names()
        .into_iter()
        .map(PlSmallStr::as_str)
        .collect();
    assert_eq!(names, ["key", "probability", "prediction"]);
    assert_eq!(found[0].height(), 120);
    assert_eq!(
        found[0].column("key").expect("kept"),
        rows.column("key").expect("is there")
    );
    assert!(found[0].equals(&found[1]) && found[0].equals(&found[2]));
    let (_folder, scorer) = scorer(Task::Binary);
    let direct = scorer.predict(&rows).expect("predicts");
    assert!(found[0].drop("key").expect("is there").equals(&direct));
}

#[test]
fn a_query_chooses_the_rows() {
    let (bench, _folder) = bench(
        "rows.parquet",
        &parquet(&mut rows(120)),
        "sql = \"SELECT * FROM data WHERE place = 'north'\"",
    );
    assert_eq!(bench.run(), Ok(Outcome::Advance));
    assert_eq!(predictions(&bench).height(), 30);
}

#[test]
fn what_is_wrong_with_the_rows_is_told() {
    for (file, bytes, params, part) in [
        (
            "rows.parquet",
            parquet(&mut rows(5).drop("place").expect("is there")),
            "keep = []",
            "place",
        ),
        (
            "rows.parquet",
            parquet(&mut rows(5)),
            "keep = [\"nobody\"]",
            "nobody",
        ),
        ("rows.parquet", b"PAR1 and no more".to_vec(), "keep = []", "rows"),
        (
            "rows.csv",
            b"key,number,place,nothing\na,many,north,1\n".to_vec(),
            "keep = []",
            "number",
        ),
    ] {
        let (bench, _folder) = bench(file, &bytes, params);
        let error = bench.run().expect_err("cannot be predicted");
        assert!(
            matches!(&error, StageError::Permanent(why) if why.contains(part)),
            "{part}: {error}"
        );
    }
}

#[test]
fn a_model_without_a_version_is_told() {
    let (mut bench, _folder) = bench("rows.parquet", &parquet(&mut rows(5)), "keep = []");
    if let Some(model) = &mut bench.assignment.found.model {
        model.version = None;
    }
    let error = bench.run().expect_err("there is no model").to_string();
    assert!(error.contains("no version under alias champion"), "{error}");
}

#[test]
fn it_needs_its_sources_and_its_model_and_reads_the_whole_package() {
    let (bench, _folder) = bench("rows.parquet", &parquet(&mut rows(5)), "keep = []");
    let needs = Predict.needs(&bench.assignment).expect("its own step");
    assert_eq!(
        needs.sources,
        BTreeMap::from([("data".to_owned(), "rows.parquet".to_owned())])
    );
    assert_eq!(
        needs.model.map(|need| need.model.to_string()),
        Some("flights".into())
    );
    let reads: Vec<PathBuf> = Predict
        .reads(&bench.assignment)
        .into_iter()
        .map(|read| read.path)
        .collect();
    assert_eq!(reads.len(), FILES.len());
    assert!(reads.contains(&PathBuf::from("model/package.json")));
}

#[test]
fn many_rows_are_written_in_groups_whatever_their_batches() {
    let (_folder, scorer) = scorer(Task::Binary);
    let scorer = Arc::new(scorer);
    let some = rows(1_000);
    let mut many = some.clone();
    for _ in 0..199 {
        many.vstack_mut(&some).expect("equal columns");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let score_to = |name: &str, rows: LazyFrame, form| {
        let path = folder.path().join(name);
        let scored = score(Arc::clone(&scorer), rows, &[], &path, form, &Arc::default()).expect("predicts");
        (scored.rows, std::fs::read(path).expect("reads"))
    };
    let (chunked, whole) = (many.clone(), {
        many.rechunk_mut();
        many
    });
    let (count, one) = score_to("one.parquet", chunked.lazy(), Form::Parquet);
    assert_eq!(count, 200_000);
    assert_eq!(score_to("two.parquet", whole.lazy(), Form::Parquet), (count, one));
    let (count, text) = score_to("three.csv", some.lazy(), Form::Csv);
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    assert_eq!((count, lines), (1_000, 1_001));
    let (count, text) = score_to("four.csv", rows(0).lazy(), Form::Csv);
    assert_eq!(
        (count, text.as_slice()),
        (0, b"probability,prediction\n".as_slice())
    );
}

#[test]
fn a_scoring_can_be_stopped_and_does_not_replace_a_file() {
    let (_folder, scorer) = scorer(Task::Binary);
    let scorer = Arc::new(scorer);
    let folder = tempfile::tempdir().expect("a folder");
    let watch = Arc::new(Watch::default());
    watch.stop();
    let path = folder.path().join("out.parquet");
    let go = |watch| {
        score(
            Arc::clone(&scorer),
            rows(10).lazy(),
            &[],
            &path,
            Form::Parquet,
            watch,
        )
    };
    assert_eq!(go(&watch), Err(ScoreError::Stopped));
    assert!(matches!(go(&Arc::default()), Err(ScoreError::Write(_))));
}

fn texts(frame: &DataFrame, column: &str) -> Vec<String> {
    let column = frame.column(column).expect("kept").str().expect("texts").clone();
    column.iter().flatten().map(str::to_owned).collect()
}

#[test]
fn a_query_that_joins_or_groups_gives_its_rows_in_one_order() {
    let bytes = parquet(&mut rows(20_000));
    for sql in [
        "SELECT a.* FROM data AS a JOIN data AS b ON a.key = b.key",
        "SELECT key, max(number) AS number, max(place) AS place, max(nothing) AS nothing FROM data GROUP BY key",
    ] {
        let (bench, _folder) = bench(
            "rows.parquet",
            &bytes,
            &format!("keep = [\"key\"], sql = \"{sql}\""),
        );
        assert_eq!(bench.run(), Ok(Outcome::Advance), "{sql}");
        let keys = texts(&predictions(&bench), "key");
        assert!(keys.len() == 20_000 && keys.is_sorted(), "{sql}");
    }
    let (bench, _folder) = bench(
        "rows.parquet",
        &bytes,
        "keep = [\"key\"], sql = \"WITH t AS (SELECT * FROM data) SELECT * FROM t WHERE nothing > 3\"",
    );
    assert_eq!(bench.run(), Ok(Outcome::Advance));
    let places: Vec<usize> = texts(&predictions(&bench), "key")
        .iter()
        .map(|key| key.trim_start_matches("key-").parse().expect("a number"))
        .collect();
    assert!(places.is_sorted(), "in the order of the file");
}

#[test]
fn whole_numbers_may_be_written_with_a_point_and_fractions_as_decimals() {
    let mut rows = rows(120);
    let (bench_, _folder) = bench("rows.parquet", &parquet(&mut rows), "keep = [\"key\"]");
    assert_eq!(bench_.run(), Ok(Outcome::Advance));
    let expected = predictions(&bench_);
    let cast = |rows: &DataFrame, column: &str, kind: DataType| {
        let mut rows = rows.clone();
        let other = rows.column(column).expect("there").cast(&kind).expect("casts");
        rows.with_column(other).expect("of equal length");
        rows
    };
    let text = csv(&mut cast(&rows, "nothing", DataType::Float64));
    assert!(std::str::from_utf8(&text).expect("a text").contains(".0,"));
    let decimals = parquet(&mut cast(&rows, "number", DataType::Decimal(12, 4)));
    for (file, bytes) in [("rows.csv", text), ("rows.parquet", decimals)] {
        let (bench, _folder) = bench(file, &bytes, "keep = [\"key\"]");
        assert_eq!(bench.run(), Ok(Outcome::Advance), "{file}");
        assert!(predictions(&bench).equals_missing(&expected), "{file}");
    }
}

#[test]
fn blank_lines_and_quoted_nothing_are_read_as_by_extract() {
    let text = |nothing: &str, end: &str| {
        let rows: String = (0..20)
            .map(|i| format!("k{i},1.5,{},{i}\n", if i % 2 == 0 { nothing } else { "north" }))
            .collect();
        format!("key,number,place,nothing\n{rows}{end}")
    };
    let (plain, _folder) = bench("rows.csv", text("", "").as_bytes(), "keep = []");
    assert_eq!(plain.run(), Ok(Outcome::Advance));
    let (other, _folder) = bench("rows.csv", text("\"\"", "\n\n").as_bytes(), "keep = []");
    assert_eq!(other.run(), Ok(Outcome::Advance));
    assert_eq!(predictions(&other).height(), 20);
    assert!(predictions(&other).equals(&predictions(&plain)));
}

#[test]
fn a_panic_of_the_query_is_no_crash() {
    let (_folder, scorer) = scorer(Task::Binary);
    let folder = tempfile::tempdir().expect("a folder");
    let panicking = col("number").map(|_| panic!("not supported"), |_, field| Ok(field.clone()));
    let scored = score(
        Arc::new(scorer),
        rows(10).lazy().with_column(panicking),
        &[],
        &folder.path().join("out.parquet"),
        Form::Parquet,
        &Arc::default(),
    );
    assert!(matches!(scored, Err(ScoreError::Read(_))), "{scored:?}");
}
