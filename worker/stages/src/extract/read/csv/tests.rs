//! What is found in CSV before it is read, and what is read of it.

use super::*;

fn survey(text: &str, nulls: &[&str], types: &[(&str, ColumnType)]) -> Result<Survey, Fault> {
    let nulls: Vec<String> = nulls.iter().map(|n| (*n).to_owned()).collect();
    let types = types.iter().map(|(n, t)| ((*n).to_owned(), *t)).collect();
    let dialect = Dialect {
        separator: b',',
        nulls: &nulls,
        types: &types,
    };
    let mut survey = Survey::default();
    survey.add(text.as_bytes(), &dialect, &|| true)?;
    survey.check_words()?;
    Ok(survey)
}

fn guesses(survey: &Survey) -> Vec<Guess> {
    survey.columns.iter().map(|c| c.guess).collect()
}

fn fault(result: Result<Survey, Fault>) -> (u64, String) {
    match result {
        Err(Fault::Text { line, what }) => (line, what),
        Err(Fault::Whole(what)) => (0, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tells_the_types_of_columns() {
    let survey = survey(
        "i,f,t,d,m,b,n\n1,1,x,2013-01-01,2013-01-01,true,\n2,1.5,2,2013-01-02,2013-01-01T00:00:00Z,,NA\n\n",
        &["NA"],
        &[],
    )
    .expect("reads");
    use Guess::{Boolean, Date, Datetime, Float, Integer, Nothing, Text};
    assert_eq!(
        guesses(&survey),
        [Integer, Float, Text, Date, Datetime, Boolean, Nothing]
    );
    assert_eq!(survey.rows, 2);
}

#[test]
fn a_late_value_widens_a_number_and_is_told_where_it_is_none() {
    let many = |last: &str| format!("a,b\n{}{last},x\n", "1,x\n".repeat(10_000));
    assert_eq!(
        guesses(&survey(&many("1.5"), &[], &[]).expect("reads"))[0],
        Guess::Float
    );
    let (line, what) = fault(survey(&many("late"), &[], &[]));
    assert_eq!(line, 10_002);
    assert!(
        what.contains("column \"a\"") && what.contains("types = { \"a\" = \"text\" }"),
        "{what}"
    );
    assert!(!what.contains("late"), "no values in errors: {what}");
}

#[test]
fn words_for_missing_values_are_asked_about() {
    let (line, what) = fault(survey("a,b\n1,x\nNA,NA\n2,y\n", &[], &[]));
    assert_eq!(line, 3);
    assert!(
        what.contains("column \"a\"") && what.contains("nulls = [\"NA\"]"),
        "{what}"
    );
    survey("a\n1\nNA\n", &[], &[("a", ColumnType::Text)]).expect("declared");
    survey("a\nx\nNA\n", &[], &[]).expect("a text anyway");
}

#[test]
fn says_what_is_wrong_with_a_file() {
    for (text, line, words) in [
        ("", 0, "is empty"),
        ("a,b\n", 0, "no rows"),
        (
            "a,b,a\n1,2,3\n",
            1,
            "fields 1 and 3 of the header are both called \"a\"",
        ),
        ("a,b\n1,2\n3\n", 3, "1 fields where the header has 2"),
        ("a,b\n1,2\n3,4,5\n", 3, "3 fields where the header has 2"),
    ] {
        let (at, what) = fault(survey(text, &[], &[]));
        assert_eq!(at, line, "{what}");
        assert!(what.contains(words), "{what}");
    }
}

#[test]
fn a_declared_type_is_held() {
    let (line, what) = fault(survey(
        "day\n2013-01-01\n2013-02-30\n",
        &[],
        &[("day", ColumnType::Date)],
    ));
    assert_eq!(line, 3);
    assert!(what.contains("column \"day\" should hold dates"), "{what}");
    let (_, what) = fault(survey("day\n2013-01-01\n", &[], &[("dya", ColumnType::Date)]));
    assert!(what.contains("did you mean \"day\""), "{what}");
}

#[test]
fn files_of_one_source_have_the_same_columns() {
    let types = BTreeMap::new();
    let dialect = Dialect {
        separator: b',',
        nulls: &[],
        types: &types,
    };
    let mut survey = Survey::default();
    survey
        .add("a,b\n1,2\n".as_bytes(), &dialect, &|| true)
        .expect("reads");
    let order = survey
        .add("b,a\nx,2.5\n".as_bytes(), &dialect, &|| true)
        .expect("another order");
    assert_eq!(order.names, ["b", "a"]);
    assert_eq!(
        guesses(&survey),
        [Guess::Float, Guess::Text],
        "b is a text in the second"
    );
    for text in ["a\n1\n", "a,b,c\n1,2,3\n"] {
        assert!(survey.add(text.as_bytes(), &dialect, &|| true).is_err());
    }
}
