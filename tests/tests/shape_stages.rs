//! A stage is known by the same name everywhere: to the catalogue, to the registry, to the schema that editors read,
//! and, unless it is for tests, to people.

use pipeline::spec::{CATALOGUE, Kind};
use serde_json::Value;

fn names<'a>(kinds: impl Iterator<Item = &'a Kind>) -> Vec<String> {
    kinds.map(|kind| kind.name.to_owned()).collect()
}

#[test]
fn registry_and_catalogue_hold_the_same_stages() {
    let registered: Vec<String> = stages::registry()
        .iter()
        .map(|stage| stage.name().to_string())
        .collect();
    assert_eq!(registered, names(CATALOGUE.iter()));
}

#[test]
fn the_published_schema_knows_every_stage() {
    let schema = pipeline::schema::spec();
    let known = schema
        .pointer("/$defs/Step/properties/stage/anyOf/0/enum")
        .and_then(Value::as_array);
    let known: Vec<&str> = known
        .expect("steps name a stage")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(known, names(CATALOGUE.iter()));
    let told = schema
        .pointer("/$defs/Step/allOf")
        .and_then(Value::as_array)
        .map(Vec::len);
    assert_eq!(
        told,
        Some(CATALOGUE.len()),
        "stages whose parameters the schema knows"
    );
}

/// People find every stage in a page; what only tests use is at least in the folder of the stages.
#[test]
fn every_stage_is_documented() {
    let files = e2e::repository::files();
    let mentions = |is_page: &dyn Fn(&str) -> bool, name: &str| {
        let name = format!("`{name}`");
        files
            .iter()
            .any(|(path, text)| is_page(path) && text.as_ref().is_some_and(|text| text.contains(&name)))
    };
    for kind in CATALOGUE {
        if kind.for_tests {
            let is_source = |path: &str| path.starts_with("worker/stages/src/");
            assert!(
                mentions(&is_source, kind.name),
                "no module of the stages describes `{}`",
                kind.name
            );
        } else {
            let is_page = |path: &str| path.ends_with(".md");
            assert!(
                mentions(&is_page, kind.name),
                "no page describes the stage `{}`",
                kind.name
            );
        }
        assert!(
            kind.about.ends_with('.'),
            "{}: say what it does in a sentence",
            kind.name
        );
    }
}
