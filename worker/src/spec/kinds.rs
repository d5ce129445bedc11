//! What a schema says of a value, in words.

use serde_json::Value;

/// The published schema of specifications.
#[derive(Clone, Copy)]
pub(super) struct Schema<'a>(pub(super) &'a Value);

/// What a value can be.
pub(super) enum Kind<'a> {
    /// One of these texts, with what each means.
    Choice(Vec<(&'a str, String)>),
    /// A table with these keys.
    Table(&'a Value),
    /// A table of one of these forms, told apart by a key.
    Variants(&'a [Value]),
    /// A table from names to such values.
    ByName(&'a Value),
    /// A list of such values.
    List(&'a Value),
    /// One of several.
    Either(&'a [Value]),
    /// A text, a number, true or false.
    Simple(&'a Value),
}

/// What a node says of itself, in one line.
pub(super) fn line(node: &Value) -> Option<String> {
    node["description"]
        .as_str()
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

const REFERENCES: [&str; 2] = ["#/$defs/Reference", "#/$defs/TextWithReference"];

fn is_reference(node: &Value) -> bool {
    node["$ref"].as_str().is_some_and(|r| REFERENCES.contains(&r))
}

impl<'a> Schema<'a> {
    /// The node that `node` stands for: references followed, and without the `${name}` that every value may be.
    pub(super) fn resolved(self, node: &'a Value) -> &'a Value {
        let mut node = node;
        loop {
            let next = match node["$ref"].as_str() {
                Some(reference) => self.0.pointer(reference.trim_start_matches('#')),
                None => match node["anyOf"].as_array().map(Vec::as_slice) {
                    Some([value, other]) if is_reference(other) => Some(value),
                    _ => None,
                },
            };
            match next {
                Some(next) => node = next,
                None => return node,
            }
        }
    }

    pub(super) fn kind(self, node: &'a Value) -> Kind<'a> {
        let node = self.resolved(node);
        if let Some(choices) = node["oneOf"].as_array().filter(|_| node["properties"].is_null()) {
            let texts = choices
                .iter()
                .map(|c| Some((c["const"].as_str()?, line(c).unwrap_or_default())));
            if let Some(choices) = texts.collect() {
                return Kind::Choice(choices);
            }
        }
        if let Some(choices) = node["anyOf"].as_array() {
            return match choices.iter().all(|choice| !self.tag(choice).0.is_empty()) {
                true => Kind::Variants(choices),
                false => Kind::Either(choices),
            };
        }
        match (node["type"].as_str(), &node["additionalProperties"]) {
            (Some("array"), _) => Kind::List(&node["items"]),
            (Some("object"), each @ Value::Object(_)) if node["properties"].is_null() => Kind::ByName(each),
            (Some("object"), _) => Kind::Table(node),
            _ => Kind::Simple(node),
        }
    }

    /// The table that `node` has in it, if it has keys of its own to tell of, and the heading it is written under.
    pub(super) fn table_in(self, node: &'a Value, path: &str) -> (Option<Kind<'a>>, String) {
        match self.kind(node) {
            Kind::List(items) => {
                let (kind, _) = self.table_in(items, path);
                (kind, format!("[[{path}]]"))
            }
            Kind::ByName(each) => match self.table_in(each, &format!("{path}.NAME")) {
                (Some(kind), heading) => (Some(kind), heading),
                (None, _) => (Some(Kind::ByName(each)), format!("[{path}]")),
            },
            Kind::Either(choices) => choices
                .iter()
                .map(|choice| self.table_in(choice, path))
                .find(|(kind, _)| kind.is_some())
                .unwrap_or((None, String::new())),
            kind @ (Kind::Table(_) | Kind::Variants(_)) => (Some(kind), format!("[{path}]")),
            Kind::Choice(_) | Kind::Simple(_) => (None, String::new()),
        }
    }

    /// What a list, or a table by name, is made of.
    pub(super) fn innermost(self, node: &'a Value) -> &'a Value {
        match self.kind(node) {
            Kind::List(each) | Kind::ByName(each) => self.innermost(each),
            _ => self.resolved(node),
        }
    }

    /// The keys of a table and what they can be: all, or only these, in this order.
    pub(super) fn properties(self, table: &'a Value, only: &[&str]) -> Vec<(&'a str, &'a Value)> {
        let all = table["properties"].as_object().into_iter().flatten();
        let mut all: Vec<(&str, &Value)> = all.map(|(name, node)| (name.as_str(), node)).collect();
        if !only.is_empty() {
            all.retain(|(name, _)| only.contains(name));
            all.sort_by_key(|(name, _)| only.iter().position(|o| o == name));
        } else {
            // What must be given comes first.
            all.sort_by_key(|(name, _)| !self.is_required(table, name));
        }
        all
    }

    pub(super) fn is_required(self, table: &Value, name: &str) -> bool {
        table["required"]
            .as_array()
            .is_some_and(|required| required.iter().any(|r| r == name))
    }

    /// The key that tells a variant from others, and its value.
    pub(super) fn tag(self, variant: &'a Value) -> (&'a str, &'a str) {
        let properties = variant["properties"].as_object();
        properties
            .into_iter()
            .flatten()
            .find_map(|(name, node)| Some((name.as_str(), self.resolved(node)["const"].as_str()?)))
            .unwrap_or_default()
    }

    /// What can be written, in words.
    pub(super) fn words(self, node: &'a Value) -> String {
        match self.kind(node) {
            Kind::Choice(choices) => {
                let names: Vec<String> = choices.iter().map(|(name, _)| format!("`\"{name}\"`")).collect();
                names.join(", ")
            }
            Kind::Table(_) | Kind::Variants(_) => "table".to_owned(),
            Kind::ByName(each) => format!("table; by name: {}", self.words(each)),
            Kind::List(items) => format!("list of: {}", self.words(items)),
            Kind::Either(choices) => {
                let mut words: Vec<String> = choices.iter().map(|choice| self.words(choice)).collect();
                words.dedup();
                words.join(" or ")
            }
            Kind::Simple(node) => simple(node),
        }
    }
}

fn simple(node: &Value) -> String {
    if let Some(only) = node["const"].as_str() {
        return format!("`\"{only}\"`");
    }
    let pattern = node["pattern"].as_str();
    match node["type"].as_str() {
        Some("string") if node["maxLength"] == 1 => "one character".to_owned(),
        Some("string") if pattern.is_some_and(|p| p.contains("[0-9]+(")) => "duration".to_owned(),
        Some("string") if pattern.is_some() => "name of `a-z`, `0-9`, `_`, `-`".to_owned(),
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => format!("whole number{}", bounds(node)),
        Some("number") => format!("number{}", bounds(node)),
        _ => "any".to_owned(),
    }
}

fn bounds(node: &Value) -> String {
    let least = node["minimum"].as_f64();
    let above = node["exclusiveMinimum"].as_f64();
    // The bounds of the number's own type are nobody's concern.
    let most = node["maximum"]
        .as_f64()
        .filter(|most| *most < f64::from(u32::MAX));
    let from = match (least, above) {
        (_, Some(above)) => format!(" above {above}"),
        (Some(least), None) => format!(" from {least}"),
        (None, None) => String::new(),
    };
    match most {
        Some(most) => format!("{from} to {most}"),
        None => from,
    }
}
