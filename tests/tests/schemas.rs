//! The published JSON Schemas: they are those of the code, they take what the code takes, and they refuse mistakes.

use std::path::PathBuf;

use jsonschema::Validator;
use pipeline::Envelope;
use pipeline::spec::{self, Overrides};
use serde_json::Value;

fn committed(name: &str) -> String {
    let path = e2e::repository().join("pipeline/schemas").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}; run: make schema", path.display()))
}

fn validator(name: &str) -> Validator {
    let schema: Value = serde_json::from_str(&committed(name)).expect("a schema is JSON");
    jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|e| panic!("{name} is no schema: {e}"));
    jsonschema::draft202012::new(&schema).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![e2e::repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a folder that opened can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    assert!(
        !found.is_empty(),
        "{folder} has no {ending}: this test would hold nothing"
    );
    found
}

fn spec_as_json(toml: &str) -> Value {
    let table: toml::Table = toml.parse().unwrap_or_else(|e| panic!("{toml}\n{e}"));
    serde_json::to_value(table).expect("TOML without dates is JSON")
}

#[test]
fn what_is_committed_is_what_the_code_says() {
    for (name, text) in e2e::schemas() {
        assert!(
            committed(name) == text,
            "{name} is not what the code says; run: make schema"
        );
    }
    let published = files("pipeline/schemas", ".json").len();
    assert_eq!(
        published,
        e2e::schemas().len(),
        "a file in pipeline/schemas that nothing writes"
    );
}

#[test]
fn every_message_that_was_ever_sent_is_valid() {
    let validator = validator("envelope.schema.json");
    for path in files("pipeline/fixtures/envelope", ".json") {
        let text = std::fs::read_to_string(&path).expect("a fixture can be read");
        let message = serde_json::from_str(&text).expect("a fixture is JSON");
        if let Err(e) = validator.validate(&message) {
            panic!("{}: {e}", path.display());
        }
    }
}

/// Sender and reader agree: the schema takes a body if and only if a worker reads it. Two things lie outside a
/// schema's reach and are tested in `envelope.rs`: the body's length, and a field given twice.
#[test]
fn the_schema_and_the_reader_of_messages_agree() {
    let validator = validator("envelope.schema.json");
    let long = "x".repeat(65);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let good = [
        r#"{"version":"1","run":"r","step":"s"}"#.to_owned(),
        r#"{"step":"s","run":"r","version":"1"}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"s","after":null,"branch":null,"traceparent":null}"#.to_owned(),
        r#"{"version":"1","run":"r_-9","step":"s","after":"q","branch":4294967295}"#.to_owned(),
        format!(
            r#"{{"version":"1","run":"{}","step":"s","traceparent":"{trace}"}}"#,
            &long[..64]
        ),
    ];
    let bad = [
        "null".to_owned(),
        "[]".to_owned(),
        "\"1\"".to_owned(),
        "{}".to_owned(),
        r#"{"run":"r","step":"s"}"#.to_owned(),
        r#"{"version":"2","run":"r","step":"s"}"#.to_owned(),
        r#"{"version":1,"run":"r","step":"s"}"#.to_owned(),
        r#"{"version":"1","step":"s"}"#.to_owned(),
        r#"{"version":"1","run":"r"}"#.to_owned(),
        r#"{"version":"1","run":null,"step":"s"}"#.to_owned(),
        r#"{"version":"1","run":"","step":"s"}"#.to_owned(),
        r#"{"version":"1","run":"../r","step":"s"}"#.to_owned(),
        r#"{"version":"1","run":"r\n","step":"s"}"#.to_owned(),
        r#"{"version":"1","run":"R","step":"s"}"#.to_owned(),
        r#"{"version":"1","run":"ä","step":"s"}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"a.b"}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"s","after":""}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"s","branch":-1}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"s","branch":4294967296}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"s","branch":1.5}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"s","branch":"1"}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"s","priority":3}"#.to_owned(),
        r#"{"version":"1","run":"r","step":"s","traceparent":"00-x"}"#.to_owned(),
        format!(
            r#"{{"version":"1","run":"r","step":"s","traceparent":"{}"}}"#,
            trace.to_uppercase()
        ),
        format!(r#"{{"version":"1","run":"r","step":"s","traceparent":"{trace}\n"}}"#),
        format!(r#"{{"version":"1","run":"{long}","step":"s"}}"#),
    ];
    for (bodies, expected) in [(&good[..], true), (&bad[..], false)] {
        for body in bodies {
            let value: Value = serde_json::from_str(body).expect("these bodies are JSON");
            assert_eq!(Envelope::parse(body).is_ok(), expected, "the reader, of {body}");
            assert_eq!(validator.is_valid(&value), expected, "the schema, of {body}");
        }
    }
}

#[test]
fn every_example_is_valid() {
    let validator = validator("spec.schema.json");
    for path in files("examples", "pipeline.toml") {
        let text = std::fs::read_to_string(&path).expect("an example can be read");
        if let Err(e) = validator.validate(&spec_as_json(&text)) {
            panic!("{}: {e}, at {}", path.display(), e.instance_path());
        }
        if let Err(problems) = spec::load(&text, &Overrides::new()) {
            panic!("{}: {problems}", path.display());
        }
    }
}

const GOOD: &str = r#"
pipeline = "${name}-daily"
deadline = "1h 30m"
seed = "${seed}"

[retry]
crash = 1

[parameters]
name = "flights"
seed = 7
bytes = 64
loud = true
ratio = 0.5

[[steps]]
stage = "noop"
params = { write_bytes = "${bytes}" }

[[steps]]
step = "candidates"
stage = "fan-out"
params = { branches = 3 }
time_limit = "90s"

[[steps]]
step = "train"
stage = "sleep"
params = { ms = 5 }
branches = "from-predecessor"
min_succeeded = 2

[[steps]]
step = "end"
stage = "noop"
params = { halt = "no ${name}" }
"#;

const SECTIONS: &str = r#"
pipeline = "flights"
seed = "${seed}"
deploy = false

[parameters]
seed = 7
day = "2013-11-01"
rounds = 50

[data]
sources = { flights = "f.csv", weather = { path = "w.csv", nulls = ["NA"] } }
sql = "SELECT * FROM flights JOIN weather USING (hour) WHERE day < '${day}'"
label = "late"
task = "binary"
key = ["id"]

[split]
by = "time"
column = "day"
validation = 0.2
test = "${day}"

[validate]
rows = { min = 100 }

[validate.columns.origin]
allowed = ["EWR", "JFK"]
max_nulls = 0.1

[features]
impute = "mean"

[features.columns.carrier]
kind = "categorical"

[[candidates]]
model = "boosting"
rounds = "${rounds}"
learning_rate = 0.1
folds = 5

[[candidates]]
model = "linear"
l2 = 2

[evaluate]
metric = "auc"

[[gates]]
metric = "auc"
at_least = 0.6

[explain]
rows = 100

[limits]
train = "10m"
"#;

#[test]
fn a_specification_that_uses_everything_is_valid() {
    let example = e2e::repository().join("worker/src/spec/example.toml");
    let example = std::fs::read_to_string(example).expect("the example of the reference can be read");
    for good in [GOOD, SECTIONS, &example] {
        spec::load(good, &Overrides::new()).unwrap_or_else(|problems| panic!("{problems}"));
        if let Err(e) = validator("spec.schema.json").validate(&spec_as_json(good)) {
            panic!("{e}, at {}", e.instance_path());
        }
    }
}

/// What the schema refuses, the loader refuses too; so an editor never complains of what would have run.
#[test]
fn mistakes_are_refused_by_the_schema_and_by_the_loader() {
    let validator = validator("spec.schema.json");
    for (what, from, to) in [
        ("an unknown key", "deadline =", "deadlin ="),
        ("a missing name", "pipeline = \"${name}-daily\"", ""),
        ("a bad name", "${name}-daily", "Flights"),
        ("a deadline that is none", "1h 30m", "soon"),
        ("a negative seed", "\"${seed}\"", "-1"),
        ("no crash allowed", "crash = 1", "crash = 0"),
        ("an unknown retry", "crash = 1", "crashes = 1"),
        ("a parameter that is a list", "loud = true", "loud = [true]"),
        ("a bad step name", "step = \"train\"", "step = \"a.b\""),
        ("an unknown key in a step", "time_limit =", "timelimit ="),
        ("an unknown stage", "stage = \"sleep\"", "stage = \"slep\""),
        ("a missing stage", "stage = \"sleep\"", ""),
        (
            "an unknown parameter of a stage",
            "{ ms = 5 }",
            "{ ms = 5, typo = 1 }",
        ),
        ("a missing parameter of a stage", "{ ms = 5 }", "{}"),
        ("missing parameters of a stage", "params = { ms = 5 }", ""),
        ("another stage's parameter", "{ ms = 5 }", "{ branches = 5 }"),
        ("a text for a number", "{ ms = 5 }", "{ ms = \"5\" }"),
        ("text around a number", "\"${bytes}\"", "\"${bytes}0\""),
        ("a word for branches", "from-predecessor", "many"),
        ("no branches", "\"from-predecessor\"", "0"),
        ("too many branches", "\"from-predecessor\"", "257"),
        (
            "no branch that must succeed",
            "min_succeeded = 2",
            "min_succeeded = 0",
        ),
    ] {
        let bad = GOOD.replacen(from, to, 1);
        assert_ne!(bad, GOOD, "{what}: nothing was planted");
        assert!(
            !validator.is_valid(&spec_as_json(&bad)),
            "the schema takes {what}"
        );
        assert!(
            spec::load(&bad, &Overrides::new()).is_err(),
            "the loader takes {what}"
        );
    }
    for (what, from, to) in [
        ("an unknown section", "[split]", "[splitt]"),
        ("an unknown key of a section", "label =", "lable ="),
        ("no label", "label = \"late\"", ""),
        ("two forms of a source", "sql =", "source = \"a.csv\"\nsql ="),
        ("an unknown key of a source", "nulls =", "null ="),
        ("a word that is no task", "\"binary\"", "\"binry\""),
        ("a text for a list", "key = [\"id\"]", "key = \"id\""),
        ("a word that is no split", "\"time\"", "\"times\""),
        ("another split's key", "column = \"day\"", "columns = [\"day\"]"),
        ("an unknown rule of a column", "max_nulls =", "max_null ="),
        ("a share above 1", "max_nulls = 0.1", "max_nulls = 1.1"),
        ("a word that is no imputation", "\"mean\"", "\"average\""),
        ("an unknown setting of a column", "kind =", "type ="),
        ("an unknown model", "\"boosting\"", "\"boostin\""),
        ("another model's hyperparameter", "l2 = 2", "rounds = 2"),
        (
            "a hyperparameter out of its range",
            "learning_rate = 0.1",
            "learning_rate = 0",
        ),
        (
            "a gate without its metric",
            "metric = \"auc\"\nat_least",
            "at_least",
        ),
        ("gates in another place", "[[gates]]", "[[evaluate.gates]]"),
        ("a number for a section", "deploy = false", "deploy = 3"),
        ("a limit that is no duration", "train = \"10m\"", "train = 10"),
        (
            "steps beside sections",
            "deploy = false",
            "steps = [{ stage = \"noop\" }]",
        ),
        (
            "training beside prediction",
            "deploy = false",
            "predict = { model = \"m\", source = \"a.csv\" }",
        ),
    ] {
        let bad = SECTIONS.replacen(from, to, 1);
        assert_ne!(bad, SECTIONS, "{what}: nothing was planted");
        assert!(
            !validator.is_valid(&spec_as_json(&bad)),
            "the schema takes {what}"
        );
        assert!(
            spec::load(&bad, &Overrides::new()).is_err(),
            "the loader takes {what}"
        );
    }
    let no_steps = "pipeline = \"p\"\nsteps = []\n";
    assert!(!validator.is_valid(&spec_as_json(no_steps)) && spec::load(no_steps, &Overrides::new()).is_err());
}
