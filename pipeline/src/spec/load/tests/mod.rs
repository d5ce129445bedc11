//! What loads, what is refused, and how that is said.

mod checks;
mod random;
mod sections;
mod steps;
mod together;

use super::*;
use crate::spec::Sleep;

const GOOD: &str = r#"
pipeline = "nightly"
deadline = "2h"

[parameters]
date = "2026-11-23"
ms = 5

[[steps]]
stage = "noop"

[[steps]]
step = "nap"
stage = "sleep"
params = { ms = "${ms}" }
branches = 3

[[steps]]
step = "end"
stage = "noop"
params = { halt = "no data for ${date}" }
"#;

#[test]
fn a_good_one_loads_and_its_canonical_form_reads_back() {
    let spec = load(GOOD, &Overrides::new()).expect("good");
    assert_eq!(
        spec.steps[1].params,
        StageParams::Sleep(Sleep {
            ms: 5,
            stubborn: false
        })
    );
    assert_eq!(Spec::from_canonical(&spec.canonical()).expect("reads back"), spec);
    let same = load(&format!("# a remark\n{GOOD}"), &Overrides::new()).expect("good");
    assert_eq!(same.digest(), spec.digest());
    let other = load(
        GOOD,
        &Overrides::from([("date".into(), Parameter::Text("2026-11-24".into()))]),
    )
    .expect("good");
    assert_ne!(other.digest(), spec.digest());
    assert!(
        String::from_utf8(other.canonical())
            .expect("JSON is text")
            .contains("no data for 2026-11-24")
    );
}

#[test]
fn all_mistakes_are_said_at_once_with_their_lines() {
    let text = "pipelin = \"x\"\ndeadline = \"soon\"\n[[steps]]\nstage = \"nop\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = \"${sm}\" }\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 1, typo = 2 }\n[parameters]\nms = 1\n";
    let problems = load(text, &Overrides::new())
        .expect_err("five mistakes")
        .to_string();
    for part in [
        "line 1, pipelin: unknown key; did you mean `pipeline`?",
        "`pipeline` is missing",
        "line 2, deadline: \"soon\" is no duration",
        "line 4, steps[0].stage: there is no stage \"nop\"; did you mean \"noop\"?",
        "line 7, steps[1].params.ms: there is no parameter `sm`; did you mean `${ms}`?",
        "line 10, steps[2].params.typo: unknown key; known are ms, stubborn",
    ] {
        assert!(problems.contains(part), "{part:?} is not in:\n{problems}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let problems = load("pipeline = \"x\"\nsteps = [\n", &Overrides::new())
        .expect_err("unclosed")
        .0;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].line.is_some_and(|l| l >= 2), "{problems:?}");
    assert!(load(&" ".repeat(MAX_SPEC_BYTES + 1), &Overrides::new()).is_err());
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(
        load(&deep, &Overrides::new()).is_err(),
        "deep nesting is refused, not overflowed"
    );
}

#[test]
fn parameters_from_outside_must_exist() {
    let set = Overrides::from([("dat".into(), Parameter::Text("x".into()))]);
    let problems = load(GOOD, &set).expect_err("a typing mistake").to_string();
    assert!(problems.contains("did you mean `date`?"), "{problems}");
}
