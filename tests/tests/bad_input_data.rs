//! Bad data and bad specifications: each ends in a clear error that names file, column or line, and in no panic.

use std::fmt::Write as _;
use std::path::Path;

use e2e::harness::{Fleet, RunReport, Said, side_by_side};

const ROWS: usize = 300;

/// A small table of four columns: `id`, a number `x`, a category `c`, a label `y` that follows from `x`, loosely.
fn table(cell: impl Fn(usize, &str) -> Option<String>) -> String {
    let mut text = "id,x,c,y\n".to_owned();
    for row in 0..ROWS {
        let x = (row * 37 % 101) as f64 / 10.0;
        let default = |column: &str| match column {
            "id" => row.to_string(),
            "x" => x.to_string(),
            "c" => ["a", "b", "c"][row * 7 % 3].to_owned(),
            _ => (if (x > 5.0) != (row % 9 == 0) { "yes" } else { "no" }).to_owned(),
        };
        let cells = ["id", "x", "c", "y"].map(|column| cell(row, column).unwrap_or_else(|| default(column)));
        writeln!(text, "{}", cells.join(",")).expect("a text can be written to");
    }
    text
}

fn good() -> String {
    table(|_, _| None)
}

/// One line of a good table in other words.
fn with_line(line: usize, new: &str) -> String {
    let mut lines: Vec<String> = good().lines().map(str::to_owned).collect();
    new.clone_into(&mut lines[line - 1]);
    lines.join("\n") + "\n"
}

fn run(fleet: &Fleet, folder: &Path, source: &str, more: &str) -> Said {
    let spec =
        format!("pipeline = \"t\"\n[data]\nsource = {source}\nlabel = \"y\"\nkey = [\"id\"]\n{more}\n");
    let path = folder.join("spec.toml");
    std::fs::write(&path, spec).expect("writes");
    fleet.worker(&["run", &path.to_string_lossy(), "--json"])
}

/// What the run of a specification over one file ended with.
fn end_of(content: &[u8], source: &str, more: &str) -> (i32, RunReport) {
    let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    std::fs::write(folder.path().join("in.csv"), content).expect("writes");
    let said = run(&fleet, folder.path(), source, more);
    assert!(!said.stderr.contains("panicked"), "{said:?}");
    (said.code, said.report())
}

/// What is wrong, the file, its source and more lines of the specification, and what the reason says.
type Case<'a> = (&'a str, Vec<u8>, &'a str, &'a str, &'a [&'a str]);

#[test]
fn bad_files_are_told_with_file_column_and_line() {
    let in_csv = "\"in.csv\"";
    let with_date = table(|row, column| {
        (column == "c").then(|| if row == 70 { "2013-02-30" } else { "2013-02-11" }.to_owned())
    });
    let cases: Vec<Case<'_>> = vec![
        ("empty", Vec::new(), in_csv, "", &["in.csv", "it is empty"]),
        (
            "header only",
            b"id,x,c,y\n".to_vec(),
            in_csv,
            "",
            &["in.csv", "a header and no rows"],
        ),
        (
            "a field too many",
            with_line(52, "50,1.0,a,yes,more").into(),
            in_csv,
            "",
            &["in.csv, line 52", "5 fields where the header has 4"],
        ),
        (
            "fields too few",
            with_line(52, "50,1.0").into(),
            in_csv,
            "",
            &["in.csv, line 52", "2 fields where the header has 4"],
        ),
        (
            "not UTF-8",
            [good().as_bytes(), b"300,1.0,\xe9,no\n"].concat(),
            in_csv,
            "",
            &["in.csv, line 302", "not UTF-8"],
        ),
        (
            "a quote that never closes",
            with_line(102, "\"100,1.0,a,no").into(),
            in_csv,
            "",
            &["in.csv, line 102", "never closes"],
        ),
        (
            "two columns of one name",
            good().replacen("id,x,c,y", "id,x,x,y", 1).into(),
            in_csv,
            "",
            &["in.csv, line 1", "both called \"x\""],
        ),
        (
            "a label of one value",
            table(|_, c| (c == "y").then(|| "no".into())).into(),
            in_csv,
            "",
            &["column \"y\"", "same value in all rows"],
        ),
        (
            "a label with gaps",
            table(|r, c| (c == "y" && r % 10 == 0).then(String::new)).into(),
            in_csv,
            "",
            &["column \"y\"", "30 of 300 rows", "row 1"],
        ),
        (
            "a date that is none",
            with_date.into(),
            "{ path = \"in.csv\", types = { c = \"date\" } }",
            "",
            &["in.csv, line 72", "column \"c\"", "dates"],
        ),
        (
            "a class that validation and test never see",
            table(|r, c| (c == "y").then(|| if r < 150 && r % 2 == 0 { "no" } else { "yes" }.into())).into(),
            in_csv,
            "[split]\nby = \"time\"\ncolumn = \"id\"\n",
            &["auc is not defined", "validation", "one class"],
        ),
        (
            "no label",
            good().into(),
            in_csv,
            "sql = \"SELECT id, x FROM data\"\n",
            &["no column \"y\""],
        ),
        (
            "SQL that is none",
            good().into(),
            in_csv,
            "sql = \"SELEC * FROM data\"\n",
            &["sql", "Line: 1"],
        ),
        (
            "SQL that names no column",
            good().into(),
            in_csv,
            "sql = \"SELECT idd, y FROM data\"\n",
            &["no column \"idd\"", "did you mean \"id\"?"],
        ),
        (
            "SQL that reads a file",
            good().into(),
            in_csv,
            "sql = \"SELECT * FROM read_csv('/etc/passwd')\"\n",
            &["read_csv", "cannot be used"],
        ),
        (
            "no file",
            good().into(),
            "\"nothing.csv\"",
            "",
            &["there is no file", "nothing.csv"],
        ),
        (
            "no file of a glob",
            good().into(),
            "\"nothing-*.csv\"",
            "",
            &["no file is named like", "nothing-*.csv"],
        ),
        (
            "a file elsewhere",
            good().into(),
            "\"/etc/passwd\"",
            "",
            &["/etc/passwd may not be read", "--source-folders"],
        ),
    ];
    side_by_side(2, cases, |(what, content, source, more, words)| {
        let (code, report) = end_of(&content, source, more);
        let reason = report.text("reason");
        println!("{what}: {reason}");
        assert_eq!((code, report.text("status")), (5, "FAILED"), "{what}: {report:?}");
        for word in words {
            assert!(reason.contains(word), "{what}: {word:?} is not in {reason:?}");
        }
    });
}

#[test]
fn odd_data_is_no_error() {
    let cases: Vec<(&str, String)> = vec![
        (
            "a column without a value",
            good()
                .lines()
                .enumerate()
                .map(|(i, line)| format!("{line},{}\n", if i == 0 { "z" } else { "" }))
                .collect(),
        ),
        (
            "a category of its own in every row",
            table(|r, c| (c == "c").then(|| format!("k{r}"))),
        ),
        (
            "no numbers and infinite ones",
            table(|r, c| (c == "x" && r % 3 > 0).then(|| ["nan", "inf", "-inf"][r / 3 % 3].into())),
        ),
    ];
    side_by_side(2, cases, |(what, content)| {
        let (code, report) = end_of(content.as_bytes(), "\"in.csv\"", "");
        assert_eq!(
            (code, report.text("status")),
            (0, "SUCCEEDED"),
            "{what}: {report:?}"
        );
    });
}

#[test]
fn ten_thousand_categories_are_no_error() {
    let mut text = "c,x,y\n".to_owned();
    for row in 0..20_000u32 {
        let y = if (row % 7) * 3 % 10 > 4 { "yes" } else { "no" };
        writeln!(text, "k{},{},{y}", row % 10_000, row % 7).expect("a text can be written to");
    }
    let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    std::fs::write(folder.path().join("in.csv"), text).expect("writes");
    let spec = "pipeline = \"t\"\n[data]\nsource = \"in.csv\"\nlabel = \"y\"\n[[candidates]]\nmodel = \"boosting\"\nrounds = 20\n";
    std::fs::write(folder.path().join("spec.toml"), spec).expect("writes");
    let path = folder.path().join("spec.toml");
    let said = fleet
        .worker(&["run", &path.to_string_lossy(), "--json"])
        .expect_code(0);
    assert!(said.report().on_test("boosting", "auc") > 0.99);
}

#[test]
fn t03_a_link_does_not_lead_out_of_the_allowed_folders() {
    let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("in.csv")).expect("links");
    let report = run(&fleet, folder.path(), "\"in.csv\"", "")
        .expect_code(5)
        .report();
    assert!(report.text("reason").contains("may not be read"), "{report:?}");
}

#[test]
fn a_gate_that_is_not_passed_halts_with_the_report() {
    let gate = "[[gates]]\nmetric = \"auc\"\nat_least = 1.0\n";
    let (code, report) = end_of(good().as_bytes(), "\"in.csv\"", gate);
    assert_eq!((code, report.text("status")), (6, "HALTED"), "{report:?}");
    let reason = report.text("reason");
    assert!(
        reason.contains("auc on test is") && reason.contains("at least 1"),
        "{reason}"
    );
    assert_eq!(report.step("evaluate")["state"], "COMMITTED");
    assert_eq!(report.step("deploy")["attempts"], 0);
}

#[test]
fn bad_specifications_are_told_with_their_lines_before_anything_runs() {
    let fleet = Fleet::new();
    let folder = tempfile::tempdir().expect("makes a folder");
    std::fs::write(folder.path().join("in.csv"), good()).expect("writes");
    for (source, more, words) in [
        (
            "\"in.csv\"",
            "tsk = \"binary\"",
            "line 6, data.tsk: unknown key; did you mean `task`?",
        ),
        (
            "\"in.csv\"",
            "[split]\nby = \"random\"\ntest = \"much\"",
            "line 8",
        ),
        (
            "\"in.csv\"",
            "[[gates]]\nmetric = \"auc\"\nat_least = 1.1",
            "line 8, gates[0].at_least: auc is never above 1",
        ),
        (
            "\"http://169.254.169.254/in.csv\"",
            "",
            "line 3, data.source.path: only paths and s3://",
        ),
    ] {
        let said = run(&fleet, folder.path(), source, more).expect_code(2);
        assert!(said.stderr.contains(words), "{words:?} is not in {}", said.stderr);
        assert!(said.stderr.contains("spec.toml"), "{}", said.stderr);
    }
}
