//! From a text to a checked specification, or to all that is wrong with it, with lines.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{MAX_DEADLINE, Parameter, RawStep, Spec, Step};

/// The largest specification that is read, in bytes.
pub const MAX_SPEC_BYTES: usize = 1024 * 1024;

/// What `--set name=value` and the like put in the place of a specification's own parameters.
pub type Overrides = BTreeMap<String, Parameter>;

/// One thing that is wrong with a specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In which line, from 1, if it can be said.
    pub line: Option<usize>,
    /// At which key, such as `steps[2].params`.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.key.as_str()) {
            (Some(line), "") => write!(f, "line {line}: {}", self.message),
            (Some(line), key) => write!(f, "line {line}, {key}: {}", self.message),
            (None, "") => f.write_str(&self.message),
            (None, key) => write!(f, "{key}: {}", self.message),
        }
    }
}

/// All that is wrong with a specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// Reads a specification in TOML. `overrides` take the place of its own parameters of the same names.
pub fn load(text: &str, overrides: &Overrides) -> Result<Spec, Problems> {
    if text.len() > MAX_SPEC_BYTES {
        let message = format!(
            "a specification of {} bytes: at most {MAX_SPEC_BYTES} are read",
            text.len()
        );
        return Err(Problems(vec![Problem {
            line: None,
            key: String::new(),
            message,
        }]));
    }
    let document = DeTable::parse(text).map_err(|e| {
        let line = e.span().map(|span| line_of(text, span.start));
        Problems(vec![Problem {
            line,
            key: String::new(),
            message: e.message().trim().to_owned(),
        }])
    })?;
    let mut loader = Loader {
        text,
        document: document.get_ref(),
        problems: Vec::new(),
    };
    let spec = loader.spec(overrides);
    match spec {
        Some(spec) if loader.problems.is_empty() => Ok(spec),
        _ => {
            loader.problems.sort_by_key(|p| p.line);
            Err(Problems(loader.problems))
        }
    }
}

struct Loader<'a> {
    text: &'a str,
    document: &'a DeTable<'a>,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn problem(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let key = key.into();
        let line = self.line_at(&key);
        self.problems.push(Problem {
            line,
            key,
            message: message.into(),
        });
    }

    fn spec(&mut self, overrides: &Overrides) -> Option<Spec> {
        let mut top = to_object(self.document);
        let parameters = self.parameters(top.remove("parameters"), overrides);
        let steps = self.steps(top.remove("steps"), &parameters);
        let known = [
            "pipeline",
            "description",
            "deadline",
            "seed",
            "retry",
            "parameters",
            "steps",
        ];
        for key in top.keys().filter(|k| !known.contains(&k.as_str())) {
            let near = nearest(key, &known).map_or_else(
                || format!("known are {}", known.join(", ")),
                |n| format!("did you mean `{n}`?"),
            );
            self.problem(key.clone(), format!("unknown key; {near}"));
        }
        top.retain(|key, _| known.contains(&key.as_str()));
        if !top.contains_key("pipeline") {
            self.problem(
                "",
                "`pipeline` is missing; write pipeline = \"a-name\" in the first line",
            );
            top.insert("pipeline".into(), "unnamed".into());
        }
        // One key at a time, so that one mistake does not hide another.
        let mut good = Map::from_iter([
            ("pipeline".to_owned(), Value::from("unnamed")),
            ("steps".to_owned(), Value::Array(Vec::new())),
        ]);
        for (key, mut value) in top {
            self.substitute(&key, &mut value, &parameters);
            let mut probe = good.clone();
            probe.insert(key.clone(), value);
            match serde_json::from_value::<Spec>(Value::Object(probe.clone())) {
                Ok(_) => good = probe,
                Err(e) => self.problem(key, e.to_string()),
            }
        }
        let mut spec: Spec = serde_json::from_value(Value::Object(good)).ok()?;
        spec.parameters = parameters;
        spec.steps = steps?;
        if spec.deadline > MAX_DEADLINE || spec.deadline.is_zero() {
            self.problem(
                "deadline",
                format!(
                    "must be longer than nothing and at most {}",
                    humantime::format_duration(MAX_DEADLINE)
                ),
            );
        }
        if spec.retry.crash == 0 {
            self.problem(
                "retry.crash",
                "must be at least 1: the first attempt already counts as a crash until it ends",
            );
        }
        if let Err(errors) = spec.plan() {
            for error in errors {
                self.problem("steps", error.to_string());
            }
        }
        Some(spec)
    }

    fn parameters(&mut self, own: Option<Value>, overrides: &Overrides) -> Overrides {
        let mut parameters = Overrides::new();
        match own {
            None => {}
            Some(Value::Object(map)) => {
                for (name, value) in map {
                    match serde_json::from_value(value) {
                        Ok(parameter) => {
                            parameters.insert(name, parameter);
                        }
                        Err(_) => self.problem(
                            format!("parameters.{name}"),
                            "must be a text, a number, true or false",
                        ),
                    }
                }
            }
            Some(_) => self.problem(
                "parameters",
                "must be a table: write [parameters] and under it name = value",
            ),
        }
        let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
        let mut unknown = Vec::new();
        for name in overrides.keys().filter(|n| !parameters.contains_key(*n)) {
            let near = nearest(name, &names).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
            unknown.push(format!(
                "`{name}` is set from outside, but the specification has no such parameter{near}"
            ));
        }
        for message in unknown {
            self.problem("parameters", message);
        }
        parameters.extend(overrides.iter().map(|(k, v)| (k.clone(), v.clone())));
        parameters
    }

    fn steps(&mut self, steps: Option<Value>, parameters: &Overrides) -> Option<Vec<Step>> {
        let Some(Value::Array(steps)) = steps else {
            self.problem(
                "steps",
                "a specification needs steps; write [[steps]] and under it stage = \"…\"",
            );
            return None;
        };
        let (mut checked, mut is_complete) = (Vec::new(), true);
        for (at, mut step) in steps.into_iter().enumerate() {
            let key = format!("steps[{at}]");
            let before = self.problems.len();
            self.substitute(&key, &mut step, parameters);
            if self.problems.len() > before {
                // What was left unfilled would only be complained of a second time.
                is_complete = false;
                continue;
            }
            match serde_json::from_value::<RawStep>(step)
                .map_err(|e| e.to_string())
                .and_then(Step::try_from)
            {
                Ok(step) => checked.push(step),
                Err(message) => {
                    is_complete = false;
                    self.problem(key, message);
                }
            }
        }
        is_complete.then_some(checked)
    }

    /// Puts parameters' values in the places of `${name}`. A text that is nothing else takes the value's type.
    fn substitute(&mut self, key: &str, value: &mut Value, parameters: &Overrides) {
        match value {
            Value::String(text) if text.contains("${") => match expand(text, parameters) {
                Ok(new) => *value = new,
                Err(message) => self.problem(key, message),
            },
            Value::Array(values) => {
                for (at, value) in values.iter_mut().enumerate() {
                    self.substitute(&format!("{key}[{at}]"), value, parameters);
                }
            }
            Value::Object(map) => {
                for (name, value) in map.iter_mut() {
                    self.substitute(&format!("{key}.{name}"), value, parameters);
                }
            }
            _ => {}
        }
    }

    /// The line of the innermost part of `key` that the text has.
    fn line_at(&self, key: &str) -> Option<usize> {
        let mut line = None;
        let mut at: Option<&DeValue<'_>> = None;
        for part in key.split(['.', '[', ']']).filter(|p| !p.is_empty()) {
            let next = match at {
                None => self.document.get(part),
                Some(DeValue::Table(table)) => table.get(part),
                Some(DeValue::Array(values)) => part.parse::<usize>().ok().and_then(|i| values.get(i)),
                Some(_) => None,
            };
            let Some(next) = next else { break };
            line = Some(line_of(self.text, next.span().start));
            at = Some(next.get_ref());
        }
        line
    }
}

fn expand(text: &str, parameters: &Overrides) -> Result<Value, String> {
    let find = |name: &str| {
        parameters.get(name).ok_or_else(|| {
            let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
            let near = nearest(name, &names).map_or_else(
                || format!("add it under [parameters], or set it with --set {name}=…"),
                |n| format!("did you mean `${{{n}}}`?"),
            );
            format!("there is no parameter `{name}`; {near}")
        })
    };
    if let Some(name) = text
        .strip_prefix("${")
        .and_then(|t| t.strip_suffix('}'))
        .filter(|n| !n.contains("${"))
    {
        return serde_json::to_value(find(name)?).map_err(|e| e.to_string());
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("`${` without `}`")?;
        out.push_str(before);
        out.push_str(&find(name)?.to_string());
        rest = after;
    }
    out.push_str(rest);
    Ok(Value::String(out))
}

fn to_object(table: &DeTable<'_>) -> Map<String, Value> {
    table
        .iter()
        .map(|(k, v)| (k.get_ref().clone().into_owned(), to_json(v.get_ref())))
        .collect()
}

fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
            .map_or_else(|_| Value::String(n.as_str().to_owned()), Value::from),
        DeValue::Float(n) => n
            .as_str()
            .parse::<f64>()
            .map_or_else(|_| Value::String(n.as_str().to_owned()), Value::from),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(values) => values.iter().map(|v| to_json(v.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(to_object(table)),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|b| **b == b'\n')
        .count()
        + 1
}

/// The name among `names` that `text` was probably meant to be: at most two edits away, and at most
/// half its letters.
pub(super) fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (strsim::osa_distance(text, name), *name))
        .filter(|(distance, name)| *distance <= 2 && *distance * 2 <= name.len())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
pipeline = "nightly"
deadline = "2h"

[parameters]
date = "2026-11-23"
ms = 5

[[steps]]
stage = "noop"

[[steps]]
step = "nap"
stage = "sleep"
params = { ms = "${ms}" }
branches = 3

[[steps]]
step = "end"
stage = "noop"
params = { halt = "no data for ${date}" }
"#;

    #[test]
    fn a_good_one_loads_and_its_canonical_form_reads_back() {
        let spec = load(GOOD, &Overrides::new()).expect("good");
        assert_eq!(
            spec.steps[1].params,
            super::super::StageParams::Sleep(super::super::Sleep {
                ms: 5,
                stubborn: false
            })
        );
        assert_eq!(Spec::from_canonical(&spec.canonical()).expect("reads back"), spec);
        let same = load(&format!("# a remark\n{GOOD}"), &Overrides::new()).expect("good");
        assert_eq!(same.digest(), spec.digest());
        let other = load(
            GOOD,
            &Overrides::from([("date".into(), Parameter::Text("2026-11-24".into()))]),
        )
        .expect("good");
        assert_ne!(other.digest(), spec.digest());
        assert!(
            String::from_utf8(other.canonical())
                .expect("JSON is text")
                .contains("no data for 2026-11-24")
        );
    }

    #[test]
    fn all_mistakes_are_said_at_once_with_their_lines() {
        let text = "pipelin = \"x\"\ndeadline = \"soon\"\n[[steps]]\nstage = \"nop\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = \"${sm}\" }\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 1, typo = 2 }\n[parameters]\nms = 1\n";
        let problems = load(text, &Overrides::new())
            .expect_err("five mistakes")
            .to_string();
        for part in [
            "line 1, pipelin: unknown key; did you mean `pipeline`?",
            "`pipeline` is missing",
            "line 2, deadline: \"soon\" is no duration",
            "line 3, steps[0]: stage: there is no stage \"nop\"; did you mean \"noop\"?",
            "steps[1].params.ms: there is no parameter `sm`; did you mean `${ms}`?",
            "steps[2]: params of stage sleep: unknown field `typo`",
        ] {
            assert!(problems.contains(part), "{part:?} is not in:\n{problems}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let problems = load("pipeline = \"x\"\nsteps = [\n", &Overrides::new())
            .expect_err("unclosed")
            .0;
        assert_eq!(problems.len(), 1);
        assert!(problems[0].line.is_some_and(|l| l >= 2), "{problems:?}");
        assert!(load(&" ".repeat(MAX_SPEC_BYTES + 1), &Overrides::new()).is_err());
        let deep = format!("a = {}", "[".repeat(100_000));
        assert!(
            load(&deep, &Overrides::new()).is_err(),
            "deep nesting is refused, not overflowed"
        );
    }

    #[test]
    fn parameters_from_outside_must_exist() {
        let set = Overrides::from([("dat".into(), Parameter::Text("x".into()))]);
        let problems = load(GOOD, &set).expect_err("a typing mistake").to_string();
        assert!(problems.contains("did you mean `date`?"), "{problems}");
    }
}
