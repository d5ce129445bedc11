//! `worker spec docs`: the reference of specifications, made of the published JSON Schema, which is made of the code.

use std::fmt::Write as _;

use pipeline::spec::CATALOGUE;
use pipeline::spec::stages::METRICS;
use serde_json::Value;

use super::kinds::{Kind, Schema, line};

/// A specification that says everything that one usually says.
pub const EXAMPLE: &str = include_str!("example.toml");

const SCHEMA: &str = include_str!("../../../pipeline/schemas/spec.schema.json");

/// What stands above all sections.
const HEAD: [&str; 6] = [
    "pipeline",
    "description",
    "deadline",
    "seed",
    "retry",
    "parameters",
];

/// Sections, in the order in which things happen.
const SECTIONS: [&str; 12] = [
    "data",
    "split",
    "validate",
    "features",
    "candidates",
    "evaluate",
    "gates",
    "explain",
    "deploy",
    "limits",
    "intake",
    "predict",
];

const INTRODUCTION: &str = "\
# Specifications

A specification says in TOML what a pipeline does. `worker spec check FILE` says what one will do, or everything that is
wrong with it, with lines; `worker run FILE` and `producer submit FILE` do it. This page is made of the code: it is what
`worker spec docs` prints.

Three keys are enough; everything else has a default:

```toml
pipeline = \"flights\"

[data]
source = \"flights.csv\"
label = \"late\"
```

That reads the file, checks it, makes features, trains a linear model and boosted trees, chooses the better one, explains
it and registers it as the champion of the model `flights`. An example that says more:
";

const PARAMETERS: &str = "\
Every value may be `${name}`, and every text may have `${name}` in it, where `name` is one of `[parameters]`. A value that
is only `${name}` takes the parameter's type. Paths are relative to the specification's own folder.
";

const STEPS: &str = "\
Sections are turned into steps, which are what is stored and done. They can be written themselves instead of all
sections: to leave a stage out, to have one twice, or to give a step a name. The `params` of a stage are the keys of its
section; `evaluate` has its `gates` in them, `train` its `candidates`, and `extract` its `split` and always `sources`.
";

/// The reference, in Markdown.
pub fn reference() -> String {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the published schema is JSON; a test reads it");
    let mut page = Page {
        schema: Schema(&schema),
        text: INTRODUCTION.to_owned(),
    };
    page.put(&format!("\n```toml\n{EXAMPLE}```\n\n{PARAMETERS}"));
    page.put("\n## Above all sections\n\n");
    page.keys(&schema, &HEAD);
    page.nested(&schema, "", &HEAD);
    for name in SECTIONS {
        page.section(&schema["properties"][name], name, 2);
        if name == "gates" {
            page.metrics();
        }
    }
    page.put("\n## `[[steps]]`\n\n");
    page.put(STEPS);
    page.put("\n");
    let step = &schema["$defs"]["Step"];
    page.keys(step, &[]);
    page.put("\nStages:\n\n");
    for stage in CATALOGUE.iter().filter(|stage| !stage.for_tests) {
        page.put(&format!("- `{}`: {}\n", stage.name, stage.about));
    }
    page.text
}

struct Page<'a> {
    schema: Schema<'a>,
    text: String,
}

impl Page<'_> {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A value that has keys of its own, under a heading, with what is nested in it.
    fn section(&mut self, node: &Value, path: &str, level: usize) {
        let (kind, heading) = self.schema.table_in(node, path);
        let Some(kind) = kind else { return };
        let hashes = "#".repeat(level.min(4));
        let _ = write!(self.text, "\n{hashes} `{heading}`\n\n");
        let path = heading.trim_matches(['[', ']']).to_owned();
        let about = line(node).or_else(|| line(self.schema.resolved(node)));
        if let Some(about) = about {
            let _ = write!(self.text, "{about}\n\n");
        }
        match kind {
            Kind::Table(table) => {
                self.keys(table, &[]);
                self.nested(table, &path, &[]);
            }
            Kind::Variants(variants) => {
                for variant in variants {
                    let (key, value) = self.schema.tag(variant);
                    let about = line(variant).unwrap_or_default();
                    let _ = write!(self.text, "`{key} = \"{value}\"`: {about}\n\n");
                    self.keys(variant, &[]);
                    self.put("\n");
                }
            }
            Kind::ByName(each) => {
                let _ = writeln!(
                    self.text,
                    "Each key is a name; its value: {}.",
                    self.schema.words(each)
                );
            }
            _ => {}
        }
    }

    /// The keys of a table, or only these, as a table of Markdown.
    fn keys(&mut self, table: &Value, only: &[&str]) {
        self.put("| key | value | default | what |\n|---|---|---|---|\n");
        for (name, property) in self.schema.properties(table, only) {
            let is_tag = self.schema.tag(table).0 == name;
            if is_tag {
                continue;
            }
            let what = line(property).or_else(|| line(self.schema.resolved(property)));
            let mut what = what.unwrap_or_default();
            if let Kind::Choice(choices) = self.schema.kind(self.schema.innermost(property)) {
                for (value, about) in choices {
                    let _ = write!(what, " `{value}`: {about}");
                }
            }
            let default = match (self.schema.is_required(table, name), property.get("default")) {
                (true, _) => "**required**".to_owned(),
                (false, Some(default)) => format!("`{}`", toml(default)),
                (false, None) => String::new(),
            };
            let words = self.schema.words(property);
            let row = [format!("`{name}`"), words, default, what].map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
    }

    /// Sections for what is nested in a table.
    fn nested(&mut self, table: &Value, path: &str, only: &[&str]) {
        let nested: Vec<(&str, &Value)> = self.schema.properties(table, only);
        for (name, property) in nested {
            let path = match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            // `parameters` and the like say all in their own row.
            if !matches!(
                self.schema.table_in(property, &path).0,
                None | Some(Kind::ByName(_))
            ) {
                self.section(property, &path, 3);
            }
        }
    }

    fn metrics(&mut self) {
        self.put("\n### Metrics\n\n| metric | tasks | better | range |\n|---|---|---|---|\n");
        for metric in METRICS {
            let tasks: Vec<&str> = metric.tasks.iter().map(|task| task.as_str()).collect();
            let better = if metric.higher_is_better {
                "higher"
            } else {
                "lower"
            };
            let bound = |bound: f64| match bound.is_finite() {
                true => bound.to_string(),
                false => "∞".to_owned(),
            };
            let lowest = match metric.lowest.is_finite() {
                true => metric.lowest.to_string(),
                false => "-∞".to_owned(),
            };
            let _ = writeln!(
                self.text,
                "| `{}` | {} | {better} | {lowest} to {} |",
                metric.name,
                tasks.join(", "),
                bound(metric.highest)
            );
        }
    }
}

/// A JSON value as one writes it in TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let keys: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml(value)))
                .collect();
            match keys.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", keys.join(", ")),
            }
        }
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use pipeline::spec::{Overrides, load};

    use super::*;

    #[test]
    fn the_example_and_the_shortest_one_are_right() {
        load(EXAMPLE, &Overrides::new()).unwrap_or_else(|problems| panic!("{problems}"));
        let short = INTRODUCTION
            .split("```toml\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        load(short.expect("an example"), &Overrides::new()).unwrap_or_else(|problems| panic!("{problems}"));
    }

    /// Every key that the schema has is on the page, with a description and a readable type.
    #[test]
    fn every_key_has_its_row() {
        let page = reference();
        let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
        let top = schema["properties"].as_object().expect("keys");
        for name in top.keys().filter(|name| *name != "steps") {
            assert!(
                HEAD.contains(&name.as_str()) || SECTIONS.contains(&name.as_str()),
                "{name}"
            );
        }
        for key in [
            "sources",
            "nulls",
            "columns",
            "max_nulls",
            "pattern",
            "on_failure",
            "max_categories",
            "learning_rate",
            "time_budget",
            "folds",
            "slices",
            "tolerance",
            "at_least",
            "permutation_repeats",
            "alias",
            "promote",
            "keep",
            "time_limit",
        ] {
            assert!(
                page.contains(&format!("| `{key}` |")),
                "no row for {key}:\n{page}"
            );
        }
        for row in page.lines().filter(|row| row.starts_with("| `")) {
            assert!(!row.ends_with("|  |"), "no description: {row}");
            assert!(
                !row.contains('$') || row.contains("${name}"),
                "not readable: {row}"
            );
        }
    }
}
