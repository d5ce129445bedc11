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
