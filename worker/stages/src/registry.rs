//! Every stage that there is.

use pipeline::StageName;
use pipeline::stage::Stage;

use crate::allocate::Allocate;
use crate::crash::Crash;
use crate::deploy::Deploy;
use crate::evaluate::Evaluate;
use crate::explain::Explain;
use crate::extract::Extract;
use crate::fan_out::FanOut;
use crate::flaky::Flaky;
use crate::noop::Noop;
use crate::predict::Predict;
use crate::sleep::Sleep;
use crate::train::Train;
use crate::transform::Transform;
use crate::validate::Validate;

/// All stages, in the order of [`pipeline::spec::CATALOGUE`]. A new stage is a line here.
pub fn registry() -> &'static [&'static dyn Stage] {
    &[
        &Extract, &Validate, &Transform, &Train, &Evaluate, &Explain, &Deploy, &Predict, &Noop, &Sleep,
        &Crash, &Allocate, &Flaky, &FanOut,
    ]
}

/// The stage of that name.
pub fn find(name: &StageName) -> Option<&'static dyn Stage> {
    registry().iter().copied().find(|stage| stage.name() == *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::spec::CATALOGUE;

    #[test]
    fn holds_exactly_the_stages_of_the_catalogue() {
        let registered: Vec<String> = registry().iter().map(|stage| stage.name().to_string()).collect();
        let known: Vec<&str> = CATALOGUE.iter().map(|kind| kind.name).collect();
        assert_eq!(registered, known);
    }

    #[test]
    fn finds_each_by_its_name() {
        for kind in CATALOGUE {
            let name = StageName::new(kind.name).expect("an id");
            assert_eq!(find(&name).map(|stage| stage.name()), Some(name));
        }
        assert!(find(&StageName::new("nobody").expect("an id")).is_none());
    }
}
