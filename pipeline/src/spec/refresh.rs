//! Which steps of a run do not look for an earlier result.

use crate::id::StepName;

use super::Spec;
use super::load::nearest;

/// What stands for every step.
const ALL: &str = "all";

impl Spec {
    /// Has these steps (`all` for every one) do their work anew instead of taking an earlier result from the cache. It
    /// is a part of the specification that people do not write into the file: `--refresh STEP` asks for it.
    pub fn set_refresh(&mut self, names: &[String]) -> Result<(), String> {
        let mut chosen = Vec::new();
        for step in &self.steps {
            if names.iter().any(|name| name == ALL || name == step.step.as_str()) {
                chosen.push(step.step.clone());
            }
        }
        let steps: Vec<&str> = self.steps.iter().map(|step| step.step.as_str()).collect();
        for name in names.iter().filter(|name| *name != ALL) {
            if !steps.contains(&name.as_str()) {
                let near = nearest(name, &steps).map_or_else(
                    || format!("there are {} and {ALL}", steps.join(", ")),
                    |near| format!("did you mean {near}?"),
                );
                return Err(format!("--refresh: there is no step {name:?}; {near}"));
            }
        }
        self.refresh = chosen;
        Ok(())
    }

    /// True if that step is to be done anew.
    pub fn refreshes(&self, step: &StepName) -> bool {
        self.refresh.contains(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Overrides, load};

    fn spec() -> Spec {
        let text = "pipeline = \"p\"\n[[steps]]\nstep = \"a\"\nstage = \"noop\"\n[[steps]]\nstep = \"bee\"\nstage = \"noop\"\n";
        load(text, &Overrides::new()).expect("good")
    }

    #[test]
    fn steps_are_chosen_by_name_or_all_and_others_are_refused() {
        let mut chosen = spec();
        chosen.set_refresh(&["bee".into(), "bee".into()]).expect("known");
        let [a, bee] = ["a", "bee"].map(|name| StepName::new(name).expect("valid"));
        assert!(chosen.refreshes(&bee) && !chosen.refreshes(&a));
        assert_ne!(chosen.digest(), spec().digest(), "it is another specification");
        assert_eq!(
            Spec::from_canonical(&chosen.canonical()).expect("reads back"),
            chosen
        );
        chosen.set_refresh(&["all".into()]).expect("known");
        assert_eq!(chosen.refresh, [a, bee]);
        let error = chosen.set_refresh(&["bees".into()]).expect_err("unknown");
        assert!(error.contains("did you mean bee?"), "{error}");
        let error = chosen.set_refresh(&["train".into()]).expect_err("unknown");
        assert!(error.contains("there are a, bee and all"), "{error}");
        chosen.set_refresh(&[]).expect("nothing");
        assert_eq!(chosen.digest(), spec().digest());
    }
}
