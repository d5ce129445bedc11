//! The stage as a whole, on small files.

use std::io::Write;
use std::path::PathBuf;

use ml::dataset::{ColumnType, Task};
use ml::statistics::Statistics;
use pipeline::Sha256Digest;
use pipeline::stage::SourceFile;
use tempfile::TempDir;

use super::*;
use crate::testing::Bench;

mod parts;
mod refused;
mod rows;

/// A stage with files.
struct Case {
    bench: Bench,
    folder: TempDir,
}

impl Case {
    /// `params` as TOML, without the sources; `sources` as inline tables or paths.
    fn new(sources: &[(&str, &str)], params: &str) -> Self {
        let sources: String = sources
            .iter()
            .map(|(name, source)| format!("{name} = {source}\n"))
            .collect();
        let bench = Bench::new(&format!(
            "[[steps]]\nstage = \"extract\"\n[steps.params]\n{params}\n[steps.params.sources]\n{sources}"
        ));
        Self {
            bench,
            folder: tempfile::tempdir().expect("makes a folder"),
        }
    }

    fn file(mut self, source: &str, name: &str, bytes: &[u8]) -> Self {
        let path: PathBuf = self.folder.path().join(format!("{source}-{name}"));
        std::fs::write(&path, bytes).expect("writes");
        let files = self
            .bench
            .assignment
            .found
            .sources
            .entry(source.to_owned())
            .or_default();
        files.push(SourceFile {
            uri: format!("data/{name}"),
            path,
            sha256: Sha256Digest::of(bytes),
            size_bytes: bytes.len() as u64,
        });
        self
    }

    fn advances(&self) -> &Self {
        assert_eq!(self.bench.run(), Ok(Outcome::Advance));
        self
    }

    fn refused(&self) -> String {
        match self.bench.run() {
            Err(StageError::Permanent(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn dataset(&self) -> Dataset {
        serde_json::from_slice(&self.bench.output(flow::DATASET)).expect("reads")
    }

    fn statistics(&self) -> Statistics {
        serde_json::from_slice(&self.bench.output(flow::STATISTICS)).expect("reads")
    }

    fn part(&self, split: Split) -> DataFrame {
        let path = self.folder.path().join("read.parquet");
        std::fs::write(&path, self.bench.output(split.rows())).expect("writes");
        ml::frame::read(&path, None).expect("reads")
    }
}

/// 100 rows: a number, a text, a day, a label.
fn csv() -> String {
    let rows: String = (0..100)
        .map(|i| {
            let n = if i % 10 == 3 {
                "NA".to_owned()
            } else {
                format!("{}.5", i % 7)
            };
            format!("{i},{n},t{},2013-{:02}-01,{}\n", i % 5, i / 10 + 1, i % 2)
        })
        .collect();
    format!("id,n,t,day,late\n{rows}")
}

const NULLS: &str = "{ path = \"data/a.csv\", nulls = [\"NA\"] }";

#[test]
fn reads_splits_and_describes() {
    let case = Case::new(&[("data", NULLS)], "label = \"late\"\nkey = [\"id\"]").file(
        "data",
        "a.csv",
        csv().as_bytes(),
    );
    case.advances();
    let dataset = case.dataset();
    assert_eq!(
        (dataset.task, dataset.classes.as_slice()),
        (Task::Binary, &["0".to_owned(), "1".to_owned()][..])
    );
    let kinds: Vec<_> = dataset
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.kind, c.role))
        .collect();
    assert_eq!(
        kinds,
        [
            ("id", ColumnType::Integer, Role::Key),
            ("n", ColumnType::Float, Role::Feature),
            ("t", ColumnType::Text, Role::Feature),
            ("day", ColumnType::Date, Role::Feature),
            ("late", ColumnType::Integer, Role::Label),
        ]
    );
    assert_eq!(
        (dataset.rows.train, dataset.rows.validation, dataset.rows.test),
        (70, 15, 15)
    );
    let train = case.part(Split::Train);
    assert_eq!(train.height(), 70);
    let ids: Vec<i64> = train
        .column("id")
        .expect("there")
        .i64()
        .expect("whole")
        .iter()
        .flatten()
        .collect();
    assert!(ids.is_sorted(), "in the order of the file");
    let statistics = case.statistics();
    assert_eq!(statistics.rows, 70);
    let n = statistics.column("n").expect("described");
    assert!(n.missing > 0 && n.numbers.as_ref().is_some_and(|n| n.min == 0.5 && n.max == 6.5));
    assert!(
        statistics.column("id").expect("described").numbers.is_none(),
        "a key's values are not told"
    );
}

#[test]
fn a_query_joins_and_gives_equal_bytes_whatever_the_order_of_rows() {
    let params = "label = \"late\"\nsql = \"SELECT d.*, p.seats FROM d LEFT JOIN p ON d.t = p.t WHERE d.id < 90\"\n[steps.params.split]\nby = \"time\"\ncolumn = \"day\"\nvalidation = \"2013-08-01\"\ntest = 0.1";
    let sources = [("d", NULLS), ("p", "\"data/p.csv\"")];
    let planes = "t,seats\nt0,100\nt1,200\nt3,\n";
    let one = Case::new(&sources, params)
        .file("d", "a.csv", csv().as_bytes())
        .file("p", "p.csv", planes.as_bytes());
    one.advances();
    assert_eq!(
        one.dataset().rows,
        SplitRows {
            train: 70,
            validation: 10,
            test: 10
        }
    );
    let seats = one.part(Split::Test);
    assert_eq!(
        seats.column("seats").expect("joined").null_count(),
        6,
        "t2, t3 and t4 have none"
    );
    let text = csv();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].reverse();
    let other = Case::new(&sources, params)
        .file("d", "a.csv", lines.join("\r\n").as_bytes())
        .file("p", "p.csv", planes.as_bytes());
    other.advances();
    for name in [
        flow::DATASET,
        flow::STATISTICS,
        Split::Train.rows(),
        Split::Validation.rows(),
        Split::Test.rows(),
    ] {
        assert_eq!(one.bench.output(name), other.bench.output(name), "{name}");
    }
}

#[test]
fn every_format_and_packing_gives_the_same_rows() {
    let text = csv();
    let plain = Case::new(&[("data", NULLS)], "label = \"late\"").file("data", "a.csv", text.as_bytes());
    plain.advances();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).expect("packs");
    let zstd = zstd::encode_all(text.as_bytes(), 3).expect("packs");
    let json: String = text
        .lines()
        .skip(1)
        .map(|line| {
            let f: Vec<&str> = line.split(',').collect();
            let n = if f[1] == "NA" { "null" } else { f[1] };
            format!(
                "{{\"id\":{},\"n\":{n},\"t\":\"{}\",\"day\":\"{}\",\"late\":{}}}\n",
                f[0], f[2], f[3], f[4]
            )
        })
        .collect();
    // Two files, and Parquet of what the others read.
    let mut lines: Vec<&str> = text.lines().collect();
    let rest = lines.split_off(40).join("\n");
    let second = format!("{}\n{rest}\n", lines[0]);
    let first = lines.join("\n");
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = folder.path().join("p");
    let mut all = plain.part(Split::Train);
    for split in [Split::Validation, Split::Test] {
        all.vstack_mut(&plain.part(split)).expect("stacks");
    }
    let mut all = all.sort(["id"], SortMultipleOptions::default()).expect("sorts");
    ml::frame::write(&path, &mut all).expect("writes");
    let parquet = std::fs::read(&path).expect("reads");
    let other = |source: &str| Case::new(&[("data", source)], "label = \"late\"");
    for (case, what) in [
        (
            other(NULLS).file("data", "a.csv.gz", &gzip.finish().expect("packs")),
            "gzip",
        ),
        (other(NULLS).file("data", "a.csv.zst", &zstd), "zstd"),
        (
            other("\"data/a.ndjson\"").file("data", "a.ndjson", json.as_bytes()),
            "ndjson",
        ),
        (
            other(NULLS)
                .file("data", "1.csv", first.as_bytes())
                .file("data", "2.csv", second.as_bytes()),
            "two files",
        ),
        (
            other("\"data/a.parquet\"").file("data", "a.parquet", &parquet),
            "parquet",
        ),
        (
            other("{ path = \"x\", format = \"csv\", separator = \";\", nulls = [\"NA\"] }").file(
                "data",
                "x",
                text.replace(',', ";").as_bytes(),
            ),
            "semicolons",
        ),
    ] {
        case.advances();
        for name in [
            flow::DATASET,
            flow::STATISTICS,
            Split::Train.rows(),
            Split::Test.rows(),
        ] {
            assert_eq!(
                case.bench.output(name),
                plain.bench.output(name),
                "{what}: {name}"
            );
        }
    }
}

#[test]
fn ten_thousand_categories_infinities_and_an_empty_column_are_fine() {
    let rows: String = (0..20_000)
        .map(|i| {
            format!(
                "c{},{},,{}\n",
                i % 10_000,
                if i % 9 == 0 { "inf" } else { "1.5" },
                i % 2
            )
        })
        .collect();
    let case = Case::new(&[("data", "\"a.csv\"")], "label = \"late\"").file(
        "data",
        "a.csv",
        format!("c,x,empty,late\n{rows}").as_bytes(),
    );
    case.advances();
    let statistics = case.statistics();
    let empty = statistics.column("empty").expect("described");
    assert_eq!((empty.missing, empty.rows), (14_000, 14_000));
    assert!(statistics.column("x").expect("described").missing > 1_000);
}

#[test]
fn stops_when_it_is_told_to() {
    let case = Case::new(&[("data", NULLS)], "label = \"late\"").file("data", "a.csv", csv().as_bytes());
    case.bench
        .notes
        .interrupt_at_look
        .store(1, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(case.bench.run(), Err(StageError::Interrupted));
}

/// The example's own data and query: joins, date functions, packed files, a split by time.
#[test]
fn the_example_of_flights_is_extracted() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/flights"));
    let text = std::fs::read_to_string(folder.join("pipeline.toml")).expect("the example is there");
    let mut case = Case::new(&[("data", NULLS)], "label = \"late\"");
    let spec = pipeline::spec::load(&text, &pipeline::spec::Overrides::new()).expect("a good specification");
    case.bench.assignment.step = spec.steps[0].step.clone();
    case.bench.assignment.spec = spec;
    for source in ["flights", "weather", "planes"] {
        let name = format!("{source}.csv.zst");
        let bytes = std::fs::read(folder.join("data").join(&name)).expect("the data is there");
        case = case.file(source, &name, &bytes);
    }
    case.advances();
    let dataset = case.dataset();
    let SplitRows {
        train,
        validation,
        test,
    } = dataset.rows;
    // Flights with a known delay before September, to October, and after; counted with Python's csv module.
    assert_eq!((train, validation, test), (217_680, 55_601, 54_065));
    assert_eq!((dataset.task, dataset.classes.len()), (Task::Binary, 2));
    let statistics = case.statistics();
    let temp = statistics.column("temp").expect("joined");
    assert_eq!(temp.missing, 358, "hours of train whose weather is not known");
}
