//! Which objects make runs of a pipeline, and how many of its runs may be open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Created;

/// The section `[intake]` of a specification.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// How many runs that upstream systems asked for may be open at a time; what more they ask for waits. Runs that people
    /// submit do not count. Any number unless given; 1 keeps daily runs from overlapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))]
    pub max_open: Option<u32>,
    /// Objects that make runs, each kind under `[[intake.objects]]`; the first that takes an object makes the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectRule>,
}

/// One kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectRule {
    /// In which bucket.
    pub bucket: String,
    /// How its key begins.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// How its key ends.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
    /// Values of parameters, in which `{uri}`, `{bucket}`, `{key}` and `{name}` (the key's last part) stand for the object's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
}

impl Rules {
    /// The most that `max_open` can be.
    const MOST_OPEN: u32 = 1000;

    /// The rules of a specification, which is checked elsewhere; none of them if it says nothing.
    pub fn of(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Text {
            #[serde(default)]
            intake: Rules,
        }
        let text: Text = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        Ok(text.intake)
    }

    /// The first rule that takes the object.
    pub fn of_object(&self, object: &Created) -> Option<&ObjectRule> {
        self.objects.iter().find(|rule| rule.takes(object))
    }

    /// What is wrong with them, by key.
    pub(crate) fn mistakes(&self, parameters: &[&str]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.max_open.is_some_and(|n| !(1..=Self::MOST_OPEN).contains(&n)) {
            let message = format!("must be 1 to {}", Self::MOST_OPEN);
            found.push(("max_open".to_owned(), message));
        }
        for (at, rule) in self.objects.iter().enumerate() {
            for (name, value) in &rule.set {
                let key = format!("objects[{at}].set.{name}");
                if !parameters.contains(&name.as_str()) {
                    let message = "the specification has no such parameter: add it to [parameters]";
                    found.push((key.clone(), message.to_owned()));
                }
                if let Some(unknown) = unknown_part(value) {
                    let message =
                        format!("there is no {{{unknown}}}; write {{uri}}, {{bucket}}, {{key}} or {{name}}");
                    found.push((key, message));
                }
            }
        }
        found
    }
}

impl ObjectRule {
    fn takes(&self, object: &Created) -> bool {
        object.bucket == self.bucket
            && object.key.starts_with(&self.prefix)
            && object.key.ends_with(&self.suffix)
            && object.key.len() >= self.prefix.len() + self.suffix.len()
    }
}

/// The parts of a value that stand for something of the object.
const PARTS: [&str; 4] = ["uri", "bucket", "key", "name"];

fn unknown_part(value: &str) -> Option<&str> {
    let named = value.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    named.map(|(name, _)| name).find(|name| !PARTS.contains(name))
}

impl Created {
    /// `value` with what it says of the object.
    pub(super) fn fill(&self, value: &str) -> String {
        let mut filled = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                filled.push('{');
                rest = after;
                continue;
            };
            match name {
                "uri" => filled.push_str(&self.uri()),
                "bucket" => filled.push_str(&self.bucket),
                "key" => filled.push_str(&self.key),
                "name" => filled.push_str(self.key.rsplit('/').next().unwrap_or_default()),
                other => filled.push_str(&format!("{{{other}}}")),
            }
            rest = behind;
        }
        filled + rest
    }
}
