//! What the tests of the whole share. The tests themselves are in `tests/tests`, the benches in `tests/src/bin`.

pub mod harness;
pub mod repository;

pub use repository::repository;

/// The published JSON Schemas: file names in `pipeline/schemas`, and texts.
pub fn schemas() -> [(&'static str, String); 3] {
    [
        ("envelope.schema.json", pipeline::schema::envelope()),
        ("run-request.schema.json", pipeline::schema::run_request()),
        ("spec.schema.json", pipeline::schema::spec()),
    ]
    .map(|(name, schema)| {
        let mut text = serde_json::to_string_pretty(&schema).expect("a JSON value always serialises");
        text.push('\n');
        (name, text)
    })
}
