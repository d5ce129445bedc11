//! What cannot be extracted, and what is said of it.

use super::*;

#[test]
fn bad_files_are_told_with_file_and_line() {
    for (source, name, bytes, words) in [
        (NULLS, "a.csv", "", "data/a.csv: it is empty"),
        (NULLS, "a.csv", "a,late\n", "it has a header and no rows"),
        (
            NULLS,
            "a.csv",
            "a,late\n1,0\n2\n",
            "data/a.csv, line 3: 1 fields where the header has 2",
        ),
        (
            NULLS,
            "a.csv",
            "a,late\n1,0\n\"2,1\n",
            "line 3: a quote opens here",
        ),
        (NULLS, "a.csv", "a,a\n1,0\n", "both called \"a\""),
        ("\"a.csv\"", "a.csv", "a,late\n1,0\nNA,1\n", "nulls = [\"NA\"]"),
        (
            "{ path = \"a.csv\", types = { a = \"date\" } }",
            "a.csv",
            "a,late\n2013-02-30,0\n",
            "line 2: column \"a\" should hold dates",
        ),
        (
            "\"a.csv.gz\"",
            "a.csv.gz",
            "a,late\n1,0\n",
            "is not packed although its name ends in .gz",
        ),
        ("\"a.dat\"", "a.dat", "a,late\n1,0\n", "write format = "),
        (
            "\"a.parquet\"",
            "a.parquet",
            "a,late\n1,0\n1,0\n1,0\n",
            "does not begin like Parquet",
        ),
        (
            "\"a.ndjson\"",
            "a.ndjson",
            "{\"a\":1,\"late\":0}\n{",
            "line 2: no JSON object",
        ),
    ] {
        let refused = Case::new(&[("data", source)], "label = \"late\"")
            .file("data", name, bytes.as_bytes())
            .refused();
        assert!(refused.contains(words), "{refused}");
    }
    let latin = Case::new(&[("data", NULLS)], "label = \"late\"")
        .file("data", "a.csv", b"a,late\ncaf\xe9,0\n")
        .refused();
    assert!(
        latin.contains("line 2: the byte at offset 10 is not UTF-8"),
        "{latin}"
    );
}

#[test]
fn files_of_one_source_that_differ_are_both_named() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let bytes = |name: &str, mut frame: DataFrame| {
        let path = folder.path().join(name);
        ml::frame::write(&path, &mut frame).expect("writes");
        std::fs::read(&path).expect("reads")
    };
    let one = bytes("1", df!("a" => [1i64], "late" => [0i64]).expect("a frame"));
    let two = bytes("2", df!("a" => ["x"], "late" => [0i64]).expect("a frame"));
    let refused = Case::new(&[("data", "\"*.parquet\"")], "label = \"late\"")
        .file("data", "1.parquet", &one)
        .file("data", "2.parquet", &two)
        .refused();
    assert!(
        refused
            .contains("data/1.parquet and data/2.parquet have different columns (\"a\" is i64 in the first"),
        "{refused}"
    );
    let refused = Case::new(&[("data", "\"*.csv\"")], "label = \"late\"")
        .file("data", "1.csv", b"a,late\n1,0\n")
        .file("data", "2.csv", b"b,late\n1,0\n")
        .refused();
    assert!(
        refused.contains("data/2.csv: it has no column \"a\""),
        "{refused}"
    );
}

#[test]
fn bad_roles_queries_and_splits_are_told() {
    for (params, words) in [
        (
            "label = \"lat\"",
            "label: there is no column \"lat\"; did you mean \"late\"?",
        ),
        (
            "label = \"late\"\nexclude = [\"idd\"]",
            "exclude: there is no column \"idd\"",
        ),
        (
            "label = \"late\"\nweight = \"t\"",
            "weight: column \"t\" does not hold numbers",
        ),
        (
            "label = \"late\"\nweight = \"n\"",
            "weight: 10 rows of column \"n\" have no weight",
        ),
        (
            "label = \"n\"",
            "label: column \"n\" has no value in 10 of 100 rows, the first of them row 4",
        ),
        (
            "label = \"late\"\nsql = \"SELECT * FROM data WHERE id > 1000\"",
            "no rows are left",
        ),
        (
            "label = \"late\"\nsql = \"SELECT * FROM daat\"",
            "sql: there is no source \"daat\"; did you mean \"data\"?",
        ),
        (
            "label = \"late\"\nsql = \"SELECT latte FROM data\"",
            "sql: there is no column \"latte\"; did you mean \"late\"?",
        ),
        (
            "label = \"late\"\nsql = \"SELECT * FROM read_csv('/etc/passwd')\"",
            "read_csv(…) cannot be used as a table",
        ),
        (
            "label = \"late\"\nsql = \"SELECT late FROM data\"",
            "no column is left to predict from",
        ),
        ("label = \"day\"", "holds points in time"),
    ] {
        let refused = Case::new(&[("data", NULLS)], params)
            .file("data", "a.csv", csv().as_bytes())
            .refused();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn the_positive_class_that_is_named_is_the_second() {
    let case = Case::new(
        &[("data", NULLS)],
        "label = \"late\"\nkey = [\"id\"]\npositive = 0",
    )
    .file("data", "a.csv", csv().as_bytes());
    case.advances();
    assert_eq!(case.dataset().classes, ["1", "0"]);
    let target = ml::features::target(&case.part(Split::Test), &case.dataset()).expect("classes");
    let late = case.part(Split::Test).column("late").expect("is there").clone();
    let late = late.i64().expect("whole numbers").iter().flatten();
    assert!(
        late.zip(target)
            .all(|(late, index)| (late == 0) == (index == 1.0))
    );
}

#[test]
fn a_class_that_train_does_not_have_is_told() {
    let text = "x,day,kind\n1,2013-01-01,a\n2,2013-01-02,b\n3,2013-01-03,a\n4,2013-01-04,c\n";
    let params = "label = \"kind\"\n[steps.params.split]\nby = \"time\"\ncolumn = \"day\"\nvalidation = \"2013-01-03\"\ntest = \"2013-01-04\"";
    let refused = Case::new(&[("data", "\"a.csv\"")], params)
        .file("data", "a.csv", text.as_bytes())
        .refused();
    assert!(
        refused.contains("1 of the 3 classes of label \"kind\" do not occur in train"),
        "{refused}"
    );
}
