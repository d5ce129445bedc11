//! Sections, and the steps that are made of them.

use std::path::Path;

use crate::plan::Branches;
use crate::spec::load::*;
use crate::spec::stages::{ModelKind, TaskName};

pub(super) const MINIMAL: &str = r#"
pipeline = "iris"

[data]
source = "iris.csv"
label = "species"
"#;

pub(super) const FULL: &str = r#"
pipeline = "flights"
description = "Will a flight be late?"
seed = 42
deadline = "2h"

[parameters]
from = "2013-01-01"
rounds = 300

[data]
sql = """
SELECT f.*, w.temp
FROM flights AS f LEFT JOIN weather AS w ON f.origin = w.origin
WHERE f.time_hour >= '${from}'
"""
label = "late"
task = "binary"
key = ["flight_id"]
weight = "w"
exclude = ["time_hour"]

[data.sources]
flights = { path = "data/flights-*.csv.gz", nulls = ["NA"], types = { flight_id = "text" } }
weather = "s3://bucket/weather.parquet"

[split]
by = "time"
column = "time_hour"
validation = 2013-09-01
test = "2013-11-01"

[validate]
rows = { min = 1000 }
drift = { warn = 0.1, stop = 0.5 }
on_failure = "quarantine"
private = ["tailnum"]

[validate.columns.origin]
type = "text"
allowed = ["EWR", "JFK", "LGA"]
max_nulls = 0

[validate.columns.distance]
type = "integer"
min = 1
max = 10_000

[features]
scale = "minmax"

[features.columns.carrier]
encode = "onehot"
min_rows = 50

[[candidates]]
model = "linear"
class_weights = "balanced"

[[candidates]]
model = "boosting"
rounds = "${rounds}"
time_budget = "5m"
folds = 5

[[candidates]]
name = "slow"
model = "boosting"
learning_rate = 0.03

[[candidates]]
model = "forest"

[evaluate]
metric = "auc"
slices = ["origin"]
champion = { tolerance = 0.002 }

[[gates]]
metric = "auc"
at_least = 0.65

[[gates]]
metric = "log_loss"
at_most = 0.6

[explain]
rows = 500

[deploy]
model = "late-flights"
promote = false

[limits]
train = "10m"
"#;

fn good(text: &str) -> Spec {
    load(text, &Overrides::new()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn stages(spec: &Spec) -> Vec<&'static str> {
    spec.steps.iter().map(|s| s.params.kind().name).collect()
}

#[test]
fn five_lines_are_a_whole_pipeline() {
    let spec = good(MINIMAL);
    let all = [
        "extract",
        "validate",
        "transform",
        "train",
        "evaluate",
        "explain",
        "deploy",
    ];
    assert_eq!(stages(&spec), all);
    assert_eq!(spec.plan().expect("a plan").steps().len(), all.len());
    for step in &spec.steps {
        assert_eq!(step.step.as_str(), step.params.kind().name);
    }
    assert_eq!(spec.steps[3].branches, Some(Branches::Known(2)));
    let StageParams::Extract(extract) = &spec.steps[0].params else {
        panic!("{:?}", spec.steps[0])
    };
    assert_eq!(extract.sources["data"].path, "iris.csv");
    // What is left out stands in the canonical form: a default that changes must not change a stored run.
    let StageParams::Evaluate(evaluate) = &spec.steps[4].params else {
        panic!("{:?}", spec.steps[4])
    };
    assert_eq!(evaluate.model.as_ref().map(|m| m.as_str()), Some("iris"));
    assert_eq!(evaluate.alias.as_ref().map(|a| a.as_str()), Some("champion"));
    let same = good(&format!(
        "# the same\n{MINIMAL}\n[explain]\n[[candidates]]\nmodel = \"linear\"\n[[candidates]]\nmodel = \"boosting\"\n"
    ));
    assert_eq!(same.digest(), spec.digest());
}

#[test]
fn everything_that_is_written_arrives() {
    let spec = good(FULL);
    assert_eq!(Spec::from_canonical(&spec.canonical()).expect("reads back"), spec);
    let StageParams::Extract(extract) = &spec.steps[0].params else {
        panic!("{:?}", spec.steps[0])
    };
    assert_eq!(extract.task, Some(TaskName::Binary));
    assert!(
        extract
            .sql
            .as_ref()
            .is_some_and(|sql| sql.contains("'2013-01-01'"))
    );
    assert_eq!(extract.sources["flights"].nulls, ["NA"]);
    let StageParams::Train(train) = &spec.steps[3].params else {
        panic!("{:?}", spec.steps[3])
    };
    let names: Vec<&str> = train.candidates.iter().map(|c| c.name()).collect();
    assert_eq!(names, ["linear", "boosting", "slow", "forest"]);
    assert!(
        matches!(&train.candidates[2].model, ModelKind::Boosting(b) if b.learning_rate == 0.03 && b.rounds == 300)
    );
    assert_eq!(spec.steps[3].branches, Some(Branches::Known(4)));
    assert_eq!(spec.steps[3].time_limit, Some(Duration::from_secs(600)));
    let StageParams::Evaluate(evaluate) = &spec.steps[4].params else {
        panic!("{:?}", spec.steps[4])
    };
    assert_eq!(evaluate.gates.len(), 2);
    let StageParams::Validate(validate) = &spec.steps[1].params else {
        panic!("{:?}", spec.steps[1])
    };
    for model in [&evaluate.model, &validate.model] {
        assert_eq!(model.as_ref().map(|m| m.as_str()), Some("late-flights"));
    }
    // Written as steps, it is the same.
    let mut steps: toml::Table = toml::Table::try_from(&spec).expect("a specification is a table");
    steps.remove("parameters");
    let mut same = good(&steps.to_string());
    same.parameters = spec.parameters.clone();
    assert_eq!(same, spec);
}

#[test]
fn steps_can_be_left_out_and_models_used() {
    let spec = good(&MINIMAL.replacen('\n', "\nexplain = false\ndeploy = false\n", 1));
    assert_eq!(
        stages(&spec),
        ["extract", "validate", "transform", "train", "evaluate"]
    );
    let spec = good(
        "pipeline = \"daily\"\n[predict]\nmodel = \"iris\"\nsource = \"new.csv\"\n[limits]\npredict = \"1h\"\n",
    );
    assert_eq!(stages(&spec), ["predict"]);
    assert_eq!(spec.steps[0].time_limit, Some(Duration::from_secs(3600)));
}

#[test]
fn sources_are_found_from_the_specifications_folder() {
    let mut spec = good(FULL);
    let written = spec.digest();
    spec.anchor(Path::new("/srv/flights"));
    let StageParams::Extract(extract) = &spec.steps[0].params else {
        panic!("{:?}", spec.steps[0])
    };
    assert_eq!(
        extract.sources["flights"].path,
        "/srv/flights/data/flights-*.csv.gz"
    );
    assert_eq!(extract.sources["weather"].path, "s3://bucket/weather.parquet");
    assert_ne!(spec.digest(), written);
    let again = spec.clone();
    spec.anchor(Path::new("/elsewhere"));
    assert_eq!(spec, again, "what is absolute stays");
}

#[test]
fn all_mistakes_in_sections_are_said_at_once_with_their_lines() {
    let text = r#"pipeline = "Flights"
[data]
source = { path = "https://example.org/x.csv", null = ["NA"] }
lable = "late"
key = "id"
[splitt]
by = "time"
[split]
by = "time"
colum = "t"
test = true
[validate.columns.origin]
typ = "text"
max_nulls = 1.5
[validate.columns."a.b"]
min = 3
max = 2
[features]
impute = "medain"
max_categories = -1
[[candidates]]
model = "boosting"
rounds = 0
learning_rate = nan
depth = 3
[[candidates]]
model = "boost"
[[candidates]]
model = "linear"
rounds = 5
[[gates]]
metric = "auk"
at_least = 1.1
[explain]
rows = "many"
[deploy]
promote = "yes"
alias = "The best"
[limits]
trian = "10m"
deploy = "soon"
"#;
    let problems = load(text, &Overrides::new())
        .expect_err("many mistakes")
        .to_string();
    for part in [
        "line 1, pipeline: pipeline name \"Flights\" is not valid",
        "line 3, data.source.null: unknown key; did you mean `nulls`?",
        "line 4, data.lable: unknown key; did you mean `label`?",
        "line 2, data.label: is missing",
        "line 5, data.key: must be a list in [ ], not the text \"id\"",
        "line 6, splitt: unknown key; did you mean `split`?",
        "line 10, split.colum: unknown key; did you mean `column`?",
        "line 11, split.test: must be a share such as 0.15, or a date, time or number in quotes, not true",
        "line 13, validate.columns.origin.typ: unknown key; did you mean `type`?",
        "line 19, features.impute: there is no \"medain\"; did you mean \"median\"?",
        "line 20, features.max_categories: must be a whole number, 0 or more, not -1",
        "line 24, candidates[0].learning_rate: must be a number, not the text \"nan\"",
        "line 25, candidates[0].depth: unknown key",
        "line 27, candidates[1].model: there is no \"boost\"; there are \"linear\", \"boosting\", \"forest\"",
        "line 14, validate.columns.origin.max_nulls: must be a share from 0 to 1",
        "line 17, validate.columns.a.b.max: is not above min",
        "line 23, candidates[0].rounds: must be from 1 to",
        "line 32, gates[0].metric: there is no metric \"auk\"; did you mean \"auc\"?",
        "line 40, limits.trian: unknown key; did you mean `train`?",
        "line 41, limits.deploy: \"soon\" is no duration",
        "line 30, candidates[2].rounds: a linear model has no such hyperparameter; it has l2, max_iterations",
        "line 35, explain.rows: must be a whole number, 0 or more, not the text \"many\"",
        "line 37, deploy.promote: must be true or false, not the text \"yes\"",
        "line 38, deploy.alias: alias \"The best\" is not valid",
    ] {
        assert!(problems.contains(part), "{part:?} is not in:\n{problems}");
    }
    for line in problems.lines() {
        for ugly in [
            ", expected",
            "untagged",
            "struct",
            "enum",
            "u32",
            "f64",
            "field `",
        ] {
            assert!(!line.contains(ugly), "{ugly:?} is in: {line}");
        }
    }
}

#[test]
fn parameters_of_steps_are_checked_like_sections() {
    let text = "pipeline = \"p\"\n[[steps]]\nstage = \"train\"\nbranches = 2\n[[steps.params.candidates]]\nmodel = \"forest\"\ntrees = 0\nrounds = 3\n\
                [[steps.params.candidates]]\nname = 3\n";
    let problems = load(text, &Overrides::new())
        .expect_err("four mistakes")
        .to_string();
    for part in [
        "line 8, steps[0].params.candidates[0].rounds: a forest model has no such hyperparameter",
        "line 10, steps[0].params.candidates[1].name: must be a text, not 3",
        "steps[0].params.candidates[1]: `model` is missing",
    ] {
        assert!(problems.contains(part), "{part:?} is not in:\n{problems}");
    }
    let text = text
        .replace("rounds = 3\n", "")
        .replace("name = 3", "model = \"linear\"");
    let problems = load(&text, &Overrides::new()).expect_err("a value").to_string();
    assert_eq!(
        problems,
        "line 7, steps[0].params.candidates[0].trees: must be from 1 to 10000, not 0"
    );
}
