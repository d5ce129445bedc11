//! Specifications, as people write them and as they are stored.

use pipeline::spec::{Overrides, Spec, load};

/// A specification in TOML is told what is wrong with it, or can be stored, reads back and has a plan. One in JSON, as
/// it is stored, is checked before it is believed.
pub fn spec(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        match load(text, &Overrides::new()) {
            Ok(spec) => {
                stored(&spec);
                assert!(spec.check().is_empty(), "what loads is checked");
                spec.plan().expect("what loads has a plan");
            }
            Err(problems) => assert!(!problems.to_string().is_empty(), "it says why not"),
        }
    }
    if let Ok(spec) = Spec::from_canonical(bytes) {
        stored(&spec);
        // Whether it is any good is asked of it by whoever did not load it.
        let _ = (spec.check(), spec.plan());
    }
}

fn stored(spec: &Spec) {
    let again = Spec::from_canonical(&spec.canonical()).expect("own text reads back");
    assert_eq!(&again, spec);
    assert_eq!(again.digest(), spec.digest());
}
