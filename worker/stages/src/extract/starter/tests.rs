//! What a starter says of data.

use pipeline::spec::{Overrides, StageParams, load};

use super::*;

fn written(name: &str, text: &str, label: &str) -> String {
    let folder = tempfile::tempdir().expect("makes a folder");
    let file = folder.path().join(name);
    std::fs::write(&file, text).expect("writes");
    starter(
        &file,
        &format!("data/{name}"),
        label,
        "trips",
        &folder.path().join("s"),
    )
    .expect("writes a specification")
}

fn extract(text: &str) -> Extract {
    let spec = load(text, &Overrides::new()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    match &spec.steps[0].params {
        StageParams::Extract(extract) => extract.clone(),
        other => panic!("{other:?}"),
    }
}

fn csv() -> String {
    let rows: String = (0..60)
        .map(|i| {
            let delay = if i % 9 == 0 {
                "NA".to_owned()
            } else {
                format!("{}.5", i)
            };
            format!(
                "{i};2013-{:02}-{:02};{delay};k{};{}\n",
                i / 28 + 1,
                i % 28 + 1,
                i % 3,
                i % 4 / 3
            )
        })
        .collect();
    format!("trip_id;day;delay;kind \"\"of\"\";late\n{rows}")
        .replace("kind \"\"of\"\"", "\"kind \"\"of\"\"\"")
}

#[test]
fn what_is_written_loads_and_says_what_was_found() {
    let text = written("trips.csv", &csv(), "late");
    let extract = extract(&text);
    let source = &extract.sources["data"];
    assert_eq!(
        (source.path.as_str(), source.separator),
        ("data/trips.csv", Some(';'))
    );
    assert_eq!(source.nulls, ["NA"]);
    assert_eq!(
        (extract.key, extract.exclude),
        (vec!["trip_id".to_owned()], vec!["day".to_owned()])
    );
    assert!(matches!(extract.split, Split::Time { column, .. } if column == "day"));
    assert!(text.contains("# allowed = [\"k0\", \"k1\", \"k2\"]"), "{text}");
    assert!(text.contains("0.25 is chance"), "{text}");
}

#[test]
fn rules_load_when_their_marks_are_taken_away() {
    let text = written("trips.csv", &csv(), "late");
    let begin = text.find("# [validate.columns").expect("has rules");
    let end = text.find("[[candidates]]").expect("has candidates");
    let rules = text[begin..end].replace("# ", "");
    extract(&format!("{}{rules}{}", &text[..begin], &text[end..]));
}

#[test]
fn a_label_with_holes_is_filtered_and_other_tasks_are_told() {
    let rows: String = (0..50)
        .map(|i| {
            if i == 7 {
                ",1\n".to_owned()
            } else {
                format!("{i}.5,{i}\n")
            }
        })
        .collect();
    let text = written("a.csv", &format!("price,x\n{rows}"), "price");
    assert!(
        text.contains("task = \"regression\"") && text.contains("metric = \"r2\""),
        "{text}"
    );
    assert_eq!(
        extract(&text).sql.as_deref(),
        Some("SELECT * FROM data WHERE \"price\" IS NOT NULL")
    );
}

#[test]
fn says_why_there_is_nothing_to_start_from() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, "a,b\n1,2\n").expect("writes");
    let told = |label: &str| {
        starter(&file, "a.csv", label, "p", folder.path())
            .expect_err("refused")
            .to_string()
    };
    assert!(told("c").contains("there is no column \"c\""));
    assert!(told("b").contains("the same value in all rows"));
}
