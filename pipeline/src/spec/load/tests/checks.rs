//! Values that are refused.

use super::sections::{FULL, MINIMAL};
use crate::spec::load::*;

#[test]
fn a_split_by_time_may_begin_at_a_number() {
    let split = |validation: &str, test: &str| {
        let text = FULL
            .replace("2013-09-01", validation)
            .replace("test = \"2013-11-01\"", &format!("test = {test}"));
        load(&text, &Overrides::new())
            .map(drop)
            .map_err(|e| e.to_string())
    };
    assert_eq!(split("\"9\"", "\"10.5\""), Ok(()), "as numbers, not as texts");
    let refused = split("\"10\"", "\"9\"").expect_err("in the wrong order");
    assert!(refused.contains("must begin after"), "{refused}");
    let refused = split("2015", "2017").expect_err("no shares");
    assert!(refused.contains("write \"2015\" in quotes"), "{refused}");
}

/// Every value that no stage could work with is refused, at its line.
#[test]
fn every_check_refuses_what_it_is_for() {
    for (from, to, key, says) in [
        ("label = \"late\"", "label = \"\"", "data.label", "is empty"),
        (
            "task = \"binary\"",
            "task = \"multiclass\"\npositive = true",
            "data.positive",
            "the task is multiclass",
        ),
        ("task = \"binary\"", "positive = [1]", "data.positive", ""),
        (
            "[\"flight_id\"]",
            "[\"late\"]",
            "data.key[0]",
            "is the label already",
        ),
        ("[\"flight_id\"]", "[\"a\", \"a\"]", "data.key[1]", "twice"),
        (
            "weight = \"w\"",
            "weight = \"late\"",
            "data.weight",
            "is the label",
        ),
        (
            "weight = \"w\"",
            "weight = \"flight_id\"",
            "data.weight",
            "is also in `key`",
        ),
        (
            "[\"time_hour\"]",
            "[\"late\"]",
            "data.exclude[0]",
            "is the label already",
        ),
        (
            "flights = {",
            "\"f-1\" = {",
            "data.sources.f-1",
            "cannot be the name of a table",
        ),
        (
            "flights = {",
            "order = {",
            "data.sources.order",
            "cannot be the name of a table",
        ),
        (
            "data/flights-*.csv.gz",
            "http://x/y.csv",
            "data.sources.flights.path",
            "only paths and s3",
        ),
        (
            "data/flights-*.csv.gz",
            "file:///y.csv",
            "data.sources.flights.path",
            "only paths and s3",
        ),
        (
            "data/flights-*.csv.gz",
            "",
            "data.sources.flights.path",
            "is empty",
        ),
        (
            "s3://bucket/",
            "s3://user@bucket/",
            "data.sources.weather.path",
            "s3://BUCKET/KEY",
        ),
        (
            "nulls =",
            "format = \"parquet\", nulls =",
            "data.sources.flights.nulls",
            "only for CSV",
        ),
        (
            "nulls =",
            "separator = \"ä\", nulls =",
            "data.sources.flights.separator",
            "ASCII",
        ),
        (
            "column = \"time_hour\"",
            "column = \"late\"",
            "split.column",
            "is the label",
        ),
        ("2013-09-01", "0", "split.validation", "above 0 and below 1"),
        ("2013-09-01", "\"September\"", "split.validation", "is no date"),
        (
            "2013-09-01",
            "2013",
            "split.validation",
            "write \"2013\" in quotes",
        ),
        ("2013-09-01", "2013-12-01", "split.test", "must begin after"),
        (
            "rows = { min = 1000 }",
            "rows = { min = 2, max = 1 }",
            "validate.rows.max",
            "below rows.min",
        ),
        (
            "stop = 0.5",
            "stop = 0.05",
            "validate.drift.stop",
            "below drift.warn",
        ),
        ("warn = 0.1", "warn = -0.1", "validate.drift.warn", "0 or more"),
        (
            "max_nulls = 0",
            "max_nulls = 1.5",
            "validate.columns.origin.max_nulls",
            "from 0 to 1",
        ),
        (
            "[\"EWR\", \"JFK\", \"LGA\"]",
            "[]",
            "validate.columns.origin.allowed",
            "is empty",
        ),
        (
            "\"LGA\"]",
            "3]",
            "validate.columns.origin.allowed[2]",
            "must be a text",
        ),
        (
            "max_nulls = 0",
            "min = 1",
            "validate.columns.origin.min",
            "only numbers",
        ),
        (
            "max = 10_000",
            "max = 0",
            "validate.columns.distance.max",
            "not above min",
        ),
        (
            "max = 10_000",
            "pattern = \"1.*\"",
            "validate.columns.distance.pattern",
            "only texts",
        ),
        ("scale = \"minmax\"", "only = []", "features.only", "no features"),
        (
            "scale = \"minmax\"",
            "only = [\"carrier\", \"late\"]",
            "features.only[1]",
            "is the label",
        ),
        (
            "scale = \"minmax\"",
            "max_categories = 1",
            "features.max_categories",
            "from 2 to",
        ),
        (
            "scale = \"minmax\"",
            "calendar = [\"hour\", \"hour\"]",
            "features.calendar[1]",
            "twice",
        ),
        (
            "columns.carrier",
            "columns.flight_id",
            "features.columns.flight_id",
            "in `key`",
        ),
        (
            "encode = \"onehot\"",
            "order = [\"a\"]",
            "features.columns.carrier.order",
            "ordinal",
        ),
        (
            "encode = \"onehot\"",
            "kind = \"numeric\"",
            "features.columns.carrier.min_rows",
            "numeric column has none",
        ),
        (
            "rounds = \"${rounds}\"",
            "rounds = 0",
            "candidates[1].rounds",
            "from 1 to",
        ),
        ("folds = 5", "folds = 1", "candidates[1].folds", "2 to 20"),
        (
            "folds = 5",
            "max_leaves = 1",
            "candidates[1].max_leaves",
            "from 2 to",
        ),
        (
            "folds = 5",
            "subsample = 0.0",
            "candidates[1].subsample",
            "above 0",
        ),
        (
            "time_budget = \"5m\"",
            "time_budget = \"0s\"",
            "candidates[1].time_budget",
            "longer than nothing",
        ),
        (
            "learning_rate = 0.03",
            "learning_rate = 1.5",
            "candidates[2].learning_rate",
            "at most 1",
        ),
        (
            "name = \"slow\"",
            "name = \"linear\"",
            "candidates[2].name",
            "a `name` of its own",
        ),
        (
            "model = \"forest\"",
            "model = \"forest\"\ntrees = 0",
            "candidates[3].trees",
            "from 1 to",
        ),
        (
            "model = \"linear\"",
            "model = \"linear\"\nl2 = -1",
            "candidates[0].l2",
            "0 or more",
        ),
        (
            "metric = \"auc\"\nslices",
            "metric = \"aucc\"\nslices",
            "evaluate.metric",
            "did you mean \"auc\"?",
        ),
        (
            "metric = \"auc\"\nslices",
            "metric = \"rmse\"\nslices",
            "evaluate.metric",
            "the task is binary",
        ),
        (
            "slices = [\"origin\"]",
            "slices = [\"late\"]",
            "evaluate.slices[0]",
            "is the label",
        ),
        (
            "tolerance = 0.002",
            "tolerance = -1",
            "evaluate.champion.tolerance",
            "0 or more",
        ),
        (
            "slices = [\"origin\"]",
            "slices = [\"origin\", \"tailnum\"]",
            "evaluate.slices[1]",
            "is private",
        ),
        ("at_least = 0.65", "", "gates[0]", "has no threshold"),
        (
            "at_least = 0.65",
            "at_least = 1.1",
            "gates[0].at_least",
            "never above 1",
        ),
        (
            "at_most = 0.6",
            "at_most = -1",
            "gates[1].at_most",
            "never below 0",
        ),
        (
            "at_least = 0.65",
            "at_least = 0.7\nat_most = 0.6",
            "gates[0].at_most",
            "below at_least",
        ),
        ("rows = 500", "rows = 0", "explain.rows", "from 1 to"),
        (
            "train = \"10m\"",
            "train = \"0s\"",
            "limits.train",
            "longer than nothing",
        ),
        (
            "train = \"10m\"",
            "trian = \"10m\"",
            "limits.trian",
            "did you mean `train`?",
        ),
        (
            "task = \"binary\"",
            "task = \"regression\"",
            "candidates[0].class_weights",
            "regression",
        ),
    ] {
        let bad = FULL.replacen(from, to, 1);
        assert_ne!(bad, FULL, "{from:?} is not there");
        let problems = load(&bad, &Overrides::new()).expect_err(to);
        let found = problems.0.iter().find(|p| p.key == key);
        let found = found.unwrap_or_else(|| panic!("{to:?}: nothing is said of {key}:\n{problems}"));
        assert!(found.message.contains(says), "{to:?}: {found}");
        assert!(found.line.is_some(), "{to:?}: {found}");
    }
    let twice = MINIMAL.replace("[data]", "[data]\nsql = \" \"")
        + "[split]\nby = \"hash\"\ncolumns = []\nvalidation = 0.5\ntest = 0.5\n";
    let problems = load(&twice, &Overrides::new()).expect_err("three mistakes").0;
    let keys: Vec<&str> = problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["data.sql", "split.columns", "split.test"]);
}
