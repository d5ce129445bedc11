//! Comparing with a champion, and what is only warned of.

use super::*;

/// The champion's description of `x` as whole numbers.
fn of_whole_numbers(kind: ColumnType) -> Statistics {
    let mut described = described(&plain);
    for column in &mut described.columns {
        if column.name == "x" {
            column.kind = kind;
        }
    }
    described
}

#[test]
fn whole_numbers_that_become_fractions_are_compared_with_the_champion() {
    let moved = |i: i64| (plain(i).0.map(|x| x + 5_000.5), plain(i).1);
    let told = Case::with("drift = { stop = 0.25 }", &moved)
        .champion(SIGNATURE, Some(&of_whole_numbers(ColumnType::Integer)))
        .halts();
    assert!(told.contains("x.drift (PSI"), "{told}");
}

#[test]
fn a_column_that_cannot_be_compared_is_warned_of() {
    let report = Case::new("drift = { stop = 0.25 }")
        .champion(SIGNATURE, Some(&of_whole_numbers(ColumnType::Date)))
        .advances();
    assert!(report.drift.iter().all(|m| m.column != "x"));
    let rule = report
        .rules
        .iter()
        .find(|rule| rule.id == "x.drift")
        .expect("told");
    assert_eq!((rule.severity, rule.failed), (OnFailure::Warn, 1));
    assert!(
        rule.detail
            .as_deref()
            .is_some_and(|d| d.contains("it is float, and date")),
        "{rule:?}"
    );
}

#[test]
fn columns_that_extract_left_out_are_warned_of() {
    let mut case = Case::new("");
    case.notes(br#"[{"source":"data","column":"tags"}]"#);
    let report = case.advances();
    let rule = report
        .rules
        .iter()
        .find(|rule| rule.id == "tags.left_out")
        .expect("told");
    assert_eq!((rule.severity, rule.failed), (OnFailure::Warn, 1));
}

#[test]
fn the_champion_is_found_as_evaluate_finds_it() {
    let need = |params: &str, deploy: &str| {
        let bench = Bench::new(&format!(
            "{deploy}[[steps]]\nstage = \"validate\"\nparams = {{ {params} }}\n"
        ));
        let needs = Validate.needs(&bench.assignment).expect("its own step");
        needs.model.map(|need| format!("{}@{}", need.model, need.alias))
    };
    let deploy = "[[steps]]\nstage = \"deploy\"\nparams = { model = \"d\", alias = \"staging\" }\n";
    assert_eq!(need("model = \"m\"", ""), Some("m@champion".into()));
    assert_eq!(need("model = \"m\"", deploy), Some("m@staging".into()));
    assert_eq!(need("", deploy), Some("d@staging".into()));
    assert_eq!(need("", ""), None);
}

#[test]
fn columns_are_those_that_the_champion_reads() {
    let other = r#"{"inputs":[{"name":"x","type":"integer"},{"name":"t","type":"date"},{"name":"gone","type":"float"}]}"#;
    let told = Case::new("").champion(other, None).halts();
    assert!(
        told.contains("gone.champion_reads")
            && told.contains("t.champion_type (it is text, and date for the champion; if that is meant"),
        "{told}"
    );
    assert!(!told.contains("x.champion"), "numbers are numbers: {told}");
    let report = Case::new("champion_columns = \"warn\"")
        .champion(other, None)
        .advances();
    let broken = report.rules.iter().filter(|r| r.failed > 0);
    let ids: Vec<&str> = broken.map(|r| r.id.as_str()).collect();
    assert!(
        ids.contains(&"gone.champion_reads") && ids.contains(&"t.champion_type"),
        "{ids:?}"
    );
    let only_x = r#"{"inputs":[{"name":"x","type":"float"}]}"#;
    let report = Case::new("").champion(only_x, None).advances();
    let new: Vec<&str> = report
        .rules
        .iter()
        .filter(|r| r.failed > 0)
        .map(|r| r.id.as_str())
        .collect();
    assert_eq!(new, ["t.champion_knows"]);
}
