//! What serde says, in words for people.

/// What serde complains of.
pub(super) enum Complaint {
    /// A key that nobody knows.
    Unknown { field: String, known: Vec<String> },
    /// A key that must be there.
    Missing { field: String },
    /// Anything else, in our words.
    Other { message: String },
}

impl Complaint {
    pub(super) fn of(message: &str) -> Self {
        if let Some(rest) = message.strip_prefix("unknown field `") {
            let (field, rest) = rest.split_once('`').unwrap_or((rest, ""));
            return Self::Unknown {
                field: field.to_owned(),
                known: quoted(rest),
            };
        }
        if let Some(field) = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'))
        {
            return Self::Missing {
                field: field.to_owned(),
            };
        }
        let other = if let Some(rest) = message.strip_prefix("unknown variant `") {
            let (variant, rest) = rest.split_once("`, expected").unwrap_or((rest, ""));
            choice(variant, &quoted(rest))
        } else {
            let mistyped = ["invalid type: ", "invalid value: "]
                .iter()
                .find_map(|start| message.strip_prefix(start))
                .and_then(|rest| rest.rsplit_once(", expected "));
            match mistyped {
                Some((found, wanted)) => {
                    format!("must be {}, not {}", kind(wanted), found_in_words(found))
                }
                None => message.to_owned(),
            }
        };
        Self::Other { message: other }
    }
}

/// What is said of a key that is none of `known`.
pub(super) fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None if known.is_empty() => "unknown key; nothing can be written here".to_owned(),
        None => format!("unknown key; known are {}", known.join(", ")),
    }
}

fn choice(given: &str, choices: &[String]) -> String {
    let names: Vec<&str> = choices.iter().map(String::as_str).collect();
    match nearest(given, &names) {
        Some(near) => format!("there is no {given:?}; did you mean {near:?}?"),
        None => {
            let quoted: Vec<String> = choices.iter().map(|name| format!("{name:?}")).collect();
            format!("there is no {given:?}; there are {}", quoted.join(", "))
        }
    }
}

/// The names between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn kind(wanted: &str) -> String {
    match wanted {
        "f64" | "f32" => "a number".into(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "a boolean" => "true or false".into(),
        "a string" | "string" | "a borrowed string" => "a text".into(),
        "a sequence" => "a list in [ ]".into(),
        "a character" => "one character".into(),
        "a map" => "a table".into(),
        enumeration if enumeration.contains("enum") => "a text".into(),
        structure if structure.starts_with("struct ") => "a table".into(),
        other => other.to_owned(),
    }
}

fn found_in_words(found: &str) -> String {
    match found.split_once(' ') {
        Some(("integer" | "floating", rest)) => {
            rest.trim_start_matches("point ").trim_matches('`').to_owned()
        }
        Some(("string", text)) => format!("the text {text}"),
        Some(("boolean", rest)) => rest.trim_matches('`').to_owned(),
        _ => match found {
            "map" => "a table".into(),
            "sequence" => "a list".into(),
            "null" => "nothing".into(),
            other => other.to_owned(),
        },
    }
}

/// The name among `names` that `text` was probably meant to be: at most two edits away, and at most
/// half its letters.
pub(in crate::spec) fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .filter(|name| name.len().abs_diff(text.len()) <= 8)
        .map(|name| (strsim::osa_distance(text, name), *name))
        .filter(|(distance, name)| *distance <= 2 && *distance * 2 <= name.len())
        .min()
        .map(|(_, name)| name)
}
