//! Sections that do not go together, and too many mistakes at once.

use super::sections::MINIMAL;
use super::*;

#[test]
fn what_does_not_go_together_is_told() {
    for (text, says) in [
        ("", "nothing is to be done"),
        ("[split]\nby = \"random\"\n", "data: is missing"),
        ("steps = 3\n", "steps: must be a list"),
        ("steps = []\n", "steps: there are none"),
        ("[data]\nlabel = \"y\"\n", "line 2, data.source: is missing"),
        (
            "[data]\nsource = \"a.csv\"\nlabel = \"y\"\n[[steps]]\nstage = \"noop\"\n",
            "either [[steps]] or sections",
        ),
        (
            "[data]\nsource = \"a.csv\"\nlabel = \"y\"\n[predict]\nmodel = \"m\"\n",
            "make two of it",
        ),
        (
            "[predict]\nmodel = \"m\"\nsource = \"a.csv\"\n[deploy]\n",
            "line 5, deploy: a specification with [predict]",
        ),
        (
            "[data]\nsource = \"a.csv\"\nsources = { b = \"b.csv\" }\nlabel = \"y\"\n",
            "not both",
        ),
        (
            "[data]\nsources = { a = \"a.csv\", b = \"b.csv\" }\nlabel = \"y\"\n",
            "data.sql: is missing: there are 2 sources",
        ),
        (
            "candidates = []\n[data]\nsource = \"a.csv\"\nlabel = \"y\"\n",
            "line 2, candidates: there are 0",
        ),
        (
            "explain = 1\n[data]\nsource = \"a.csv\"\nlabel = \"y\"\n",
            "or false to leave it out",
        ),
        (
            "[data]\nsource = \"a.csv\"\nlabel = \"y\"\n[[gates]]\nmetric = \"auc\"\nat_least = 0.5\n[[gates]]\nmetric = \"rmse\"\nat_most = 1\n",
            "another task",
        ),
        (
            "[data]\nsource = \"${file}\"\nlabel = \"y\"\n",
            "line 3, data.source: there is no parameter `file`",
        ),
    ] {
        let problems = load(&format!("pipeline = \"p\"\n{text}"), &Overrides::new())
            .expect_err(text)
            .to_string();
        assert!(problems.contains(says), "{text}: {says:?} is not in:\n{problems}");
        assert_eq!(problems.lines().count(), 1, "{text}:\n{problems}");
    }
}

#[test]
fn a_thousand_mistakes_are_told_in_a_hundred_lines() {
    let mut text = MINIMAL.to_owned();
    for at in 0..1_000 {
        text.push_str(&format!("[validate.columns.c{at}]\nmax_nulls = 2\n"));
    }
    let problems = load(&text, &Overrides::new()).expect_err("a thousand").0;
    assert_eq!(problems.len(), MAX_PROBLEMS + 1);
    assert!(problems.iter().any(|p| p.message.contains("900 more")));
}
