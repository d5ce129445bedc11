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
