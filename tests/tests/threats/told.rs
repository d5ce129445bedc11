//! 8: what is told. Nobody is told cell values or secrets.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use e2e::harness::{Fleet, Said, Stopwatch, side_by_side};

use super::run;

/// A text that is in the data, and nowhere else.
const CANARY: &str = "canary";
/// A number of the data, as it would be shown.
const NUMBER: &str = "31337.4242";

/// 300 rows with a canary in every cell that could be told of: key, category, text, number, label.
fn table(odd: impl Fn(usize, &str) -> Option<String>) -> String {
    let mut text = "id,x,c,note,y\n".to_owned();
    for row in 0..300 {
        let x = if row == 7 {
            NUMBER.to_owned()
        } else {
            format!("{}.5", row * 37 % 101)
        };
        let y = if (row * 37 % 101 > 50) != (row % 9 == 0) {
            "yes"
        } else {
            "no"
        };
        let cells = [
            ("id", format!("{CANARY}-id-{row}")),
            ("x", x),
            ("c", format!("{CANARY}-c-{}", row % 3)),
            ("note", format!("{CANARY} note {row}")),
            ("y", y.to_owned()),
        ];
        let cells: Vec<String> = cells
            .into_iter()
            .map(|(column, cell)| odd(row, column).unwrap_or(cell))
            .collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

/// Everything that a fleet told anybody of a run, by where: output, items, dead letters, logs, and every artifact that
/// is no data.
pub(crate) fn told(fleet: &Fleet, said: &Said) -> BTreeMap<String, String> {
    let mut told = BTreeMap::from([
        ("standard output".to_owned(), said.stdout.clone()),
        ("standard error".to_owned(), said.stderr.clone()),
    ]);
    let page = fleet.block_on(fleet.backend().runs.list(&Default::default(), None, 10));
    for run in page.expect("lists").runs {
        told.insert(
            "the run's item".into(),
            serde_json::to_string(&fleet.run(&run.id)).expect("JSON"),
        );
        told.insert("its branches".into(), format!("{:?}", fleet.branches(&run.id)));
        told.insert("its logs".into(), fleet.logs(&run.id).join("\n"));
        for arguments in [
            ["show", run.id.as_str(), "--json"],
            ["show", run.id.as_str(), "--color=never"],
        ] {
            let arguments = if arguments[2] == "--json" {
                &arguments[..]
            } else {
                &arguments[..2]
            };
            let shown = fleet.producer(arguments);
            told.insert(format!("producer {arguments:?}"), shown.stdout + &shown.stderr);
        }
        files(
            &fleet.folder().join("artifacts").join("r").join(run.id.as_str()),
            &mut told,
        );
    }
    for queue in [
        "extract",
        "validate",
        "transform",
        "train",
        "evaluate",
        "explain",
        "deploy",
    ] {
        told.insert(
            format!("dead letters of {queue}"),
            format!("{:?}", fleet.dead_letters(queue)),
        );
    }
    told
}

/// What is data by what it is for, and holds cells: rows, what was learned of them, and packages of both.
const DATA: [&str; 3] = [".parquet", "features.bin", "model.bin"];

fn files(folder: &Path, told: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("lists").path();
        if path.is_dir() {
            files(&path, told);
        } else if !DATA.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).expect("reads")).into_owned();
            told.insert(path.display().to_string(), text);
        }
    }
}

fn assert_untold(what: &str, told: &BTreeMap<String, String>) {
    let mut found = Vec::new();
    for (place, text) in told {
        for canary in [CANARY, NUMBER] {
            if let Some(at) = text.find(canary) {
                let from = text[..at].char_indices().rev().nth(60).map_or(0, |(i, _)| i);
                let to = text[at..]
                    .char_indices()
                    .nth(60)
                    .map_or(text.len(), |(i, _)| at + i);
                found.push(format!("{place}: …{}…", &text[from..to]));
            }
        }
    }
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

const PRIVATE: &str = "key = [\"id\"]\n[validate]\nprivate = [\"id\", \"x\", \"c\", \"note\"]\n";

/// A whole pipeline over columns that are called private: all of its reports, logs and items are searched.
#[test]
fn t08_canaries_of_a_pipeline_that_succeeds() {
    let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    let rules = format!(
        "{PRIVATE}[validate.columns]\nx = {{ max = 1000, on_failure = \"warn\" }}\n\
         c = {{ pattern = \"x\", on_failure = \"warn\" }}\nnote = {{ unique = true, allowed = [\"a\"], on_failure = \"warn\" }}\n"
    );
    let said = run(
        &fleet,
        folder.path(),
        "in.csv",
        table(|_, _| None).as_bytes(),
        &rules,
    )
    .expect_code(0);
    let told = told(&fleet, &said);
    let reports = told.keys().filter(|place| place.ends_with(".html")).count();
    let documents = told.keys().filter(|place| place.ends_with(".json")).count();
    println!(
        "{} places were searched, {reports} reports and {documents} documents among them",
        told.len()
    );
    assert!(reports >= 3 && documents >= 8, "{:?}", told.keys());
    assert!(told["its logs"].contains("committed"), "the logs are there");
    assert_untold("a run that succeeds", &told);
}

/// Whatever is wrong with a cell, the error names column and row and not what stands there.
#[test]
fn t08_canaries_of_data_that_is_refused() {
    let odd = |row: usize, wanted: &'static str, cell: &str| {
        let cell = cell.to_owned();
        table(move |r, column| (r == row && column == wanted).then(|| cell.clone()))
    };
    let typed = |kind: &str| format!("{{ path = \"in.csv\", types = {{ x = \"{kind}\" }} }}");
    let plain = || "\"in.csv\"".to_owned();
    let cases: Vec<(&str, String, String, String)> = vec![
        (
            "no number",
            odd(200, "x", "canary-x"),
            typed("float"),
            PRIVATE.into(),
        ),
        (
            "no integer",
            odd(200, "x", "31337.4242"),
            typed("integer"),
            PRIVATE.into(),
        ),
        (
            "no date",
            odd(200, "x", "canary-x"),
            typed("date"),
            PRIVATE.into(),
        ),
        (
            "no time",
            odd(200, "x", "2013-02-30T31337.4242"),
            typed("datetime"),
            PRIVATE.into(),
        ),
        (
            "no truth",
            odd(200, "x", "canary-x"),
            typed("boolean"),
            PRIVATE.into(),
        ),
        (
            "a number too many",
            odd(200, "x", "1,canary"),
            plain(),
            PRIVATE.into(),
        ),
        ("a quote", odd(200, "x", "\"canary"), plain(), PRIVATE.into()),
        (
            "text behind a quote",
            odd(200, "x", "\"1\"canary"),
            plain(),
            PRIVATE.into(),
        ),
        ("many labels", odd(200, "y", ""), plain(), PRIVATE.into()),
        (
            "a label of texts that are all different",
            table(|r, c| (c == "y").then(|| format!("canary-{r}"))),
            plain(),
            PRIVATE.into(),
        ),
        (
            "a key twice",
            odd(200, "id", "canary-id-7"),
            plain(),
            format!("{PRIVATE}[validate.columns]\nid = {{ unique = true }}\n"),
        ),
        (
            "a rule that is broken",
            table(|_, _| None),
            plain(),
            format!("{PRIVATE}[validate.columns]\nx = {{ max = 1000 }}\nc = {{ allowed = [\"a\"] }}\n"),
        ),
        (
            "rows that are put aside",
            table(|_, _| None),
            plain(),
            format!(
                "{PRIVATE}[validate.columns]\nc = {{ pattern = \".*-0\", on_failure = \"quarantine\" }}\n"
            ),
        ),
        (
            "SQL that casts",
            table(|_, _| None),
            plain(),
            format!("sql = \"SELECT id, CAST(c AS INTEGER) AS x, y FROM data\"\n{PRIVATE}"),
        ),
        (
            "SQL that reads dates",
            table(|_, _| None),
            plain(),
            format!("sql = \"SELECT id, CAST(note AS DATE) AS x, y FROM data\"\n{PRIVATE}"),
        ),
        (
            "SQL that does sums with texts",
            table(|_, _| None),
            plain(),
            format!("sql = \"SELECT id, note * 2 AS x, y FROM data\"\n{PRIVATE}"),
        ),
    ];
    side_by_side(2, cases, |(what, file, source, more)| {
        let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
        std::fs::write(folder.path().join("in.csv"), &file).expect("writes");
        let said = super::run_there(&fleet, folder.path(), &source, &more);
        println!(
            "{what}: exit code {}: {}",
            said.code,
            said.report().text("reason")
        );
        assert_untold(what, &told(&fleet, &said));
    });
}

/// A secret has no place in a specification; where somebody writes one into an address, nobody repeats it.
#[test]
fn t08_secrets_in_addresses_and_in_the_environment() {
    let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    for address in [
        "https://user:canary@example.org/hooks/canary?token=canary",
        "s3://canary:canary@bucket/in.csv",
        "https://hooks.example.org/services/T0/canary",
    ] {
        let said = super::run_there(&fleet, folder.path(), &format!("\"{address}\""), "");
        println!("{}{}", said.stdout, said.stderr);
        assert_ne!(said.code, 0);
        assert_untold(address, &told(&fleet, &said));
    }
    // What AWS is asked with is in the environment of every process. Nothing listens there.
    let nowhere = "http://127.0.0.1:9";
    for program in [e2e::harness::producer(), e2e::harness::worker()] {
        let arguments: &[&str] = if program == e2e::harness::producer() {
            &["list", "--backend", "aws:fleet@123456789012"]
        } else {
            &[
                "pool",
                "--stages",
                "extract",
                "--backend",
                "aws:fleet@123456789012",
            ]
        };
        let mut command = std::process::Command::new(program);
        command.args(arguments);
        let environment = [
            // Its name is no secret, and the SDK tells it at the level `trace`.
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
            ("AWS_SESSION_TOKEN", "canary-token"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", nowhere),
            ("FLEETLINE_LOG", "trace"),
            ("RUST_LOG", "trace"),
        ];
        let mut process = e2e::harness::Process::start("without AWS", &mut command, &environment);
        let watch = Stopwatch::start();
        while process.ended().is_none() && watch.elapsed() < Duration::from_secs(8) {
            std::thread::yield_now();
        }
        let text = process.output().text();
        assert!(!text.is_empty(), "it says what is wrong");
        assert!(!text.contains(CANARY), "{text}");
    }
}

/// So that nothing here passes because nobody looked: a canary that is told is found.
#[test]
#[should_panic(expected = "standard output: …it is canary-1…")]
fn t08_a_canary_that_is_told_is_found() {
    let said = Said {
        code: 0,
        stdout: "it is canary-1".into(),
        stderr: String::new(),
    };
    let fleet = Fleet::new();
    assert_untold("this test", &told(&fleet, &said));
}
