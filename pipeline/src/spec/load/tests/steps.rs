//! What is refused of steps that do not go together.

use super::sections::MINIMAL;
use crate::spec::load::*;

/// A branch trains one candidate, so that fewer branches would leave candidates out without a word.
#[test]
fn a_step_of_train_has_a_branch_for_each_candidate() {
    let spec = |branches: &str, candidates: &str, more: &str| {
        format!(
            "pipeline = \"p\"\n[[steps]]\nstage = \"noop\"\n[[steps]]\nstage = \"train\"\n{branches}\n\
             params = {{ candidates = [{candidates}] }}\n{more}"
        )
    };
    let (one, two) = (
        "{ model = \"linear\" }",
        "{ model = \"linear\" }, { model = \"forest\" }",
    );
    let evaluate = "[[steps]]\nstage = \"evaluate\"\n";
    for (branches, candidates, says) in [
        (
            "branches = 1",
            two,
            "is 1, and there are 2 candidates: write branches = 2",
        ),
        (
            "branches = 3",
            two,
            "is 3, and there are 2 candidates: write branches = 2",
        ),
        (
            "",
            two,
            "is missing, and there are 2 candidates: write branches = 2",
        ),
        (
            "",
            one,
            "is missing, and there is 1 candidate: write branches = 1",
        ),
        (
            "branches = \"from-predecessor\"",
            two,
            "2 candidates: write branches = 2",
        ),
    ] {
        let problems = load(&spec(branches, candidates, evaluate), &Overrides::new()).expect_err(says);
        let found = problems.0.iter().find(|p| p.key == "steps[1].branches");
        let found = found.unwrap_or_else(|| panic!("{branches:?}: {problems}"));
        assert!(found.message.contains(says), "{found}");
    }
    load(&spec("branches = 2", two, evaluate), &Overrides::new()).expect("one for each");
    // Nothing joins the branches of a last step, so that its only candidate is trained without one.
    load(&spec("", one, ""), &Overrides::new()).expect("one");
}

/// The revision of one alias says nothing of another.
#[test]
fn deploy_moves_no_alias_that_evaluate_does_not_compare_with() {
    let spec = |evaluate: &str, deploy: &str| {
        format!(
            "pipeline = \"p\"\n[[steps]]\nstage = \"evaluate\"\nparams = {{ {evaluate} }}\n\
             [[steps]]\nstage = \"deploy\"\nparams = {{ {deploy} }}\n"
        )
    };
    let check = |evaluate: &str, deploy: &str| load(&spec(evaluate, deploy), &Overrides::new());
    for (evaluate, deploy, key) in [
        ("alias = \"staging\"", "", "steps[0].params.alias"),
        (
            "model = \"a\", alias = \"champion\"",
            "model = \"b\"",
            "steps[0].params.model",
        ),
    ] {
        let problems = check(evaluate, deploy).expect_err(evaluate);
        let found = problems.0.iter().find(|p| p.key == key);
        let found = found.unwrap_or_else(|| panic!("{evaluate}: {problems}"));
        assert!(found.message.contains("promote = false"), "{found}");
        let held_back = [deploy, "promote = false"].into_iter().filter(|p| !p.is_empty());
        let held_back = held_back.collect::<Vec<_>>().join(", ");
        check(evaluate, &held_back).expect("moves nothing");
    }
    let sections = MINIMAL.to_owned() + "[evaluate]\nalias = \"staging\"\n";
    let problems = load(&sections, &Overrides::new()).expect_err("another").0;
    assert_eq!(problems[0].key, "evaluate.alias");
    assert!(
        problems[0].message.contains("would move iris@champion"),
        "{}",
        problems[0]
    );
    check("", "alias = \"live\"").expect("evaluate looks where deploy does");
    check("alias = \"live\"", "alias = \"live\"").expect("the same");
}
