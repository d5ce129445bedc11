//! Log lines of workers, readable.

use serde_json::{Map, Value};

use crate::render::{Colour, Output, printable};

/// One JSON log line as people read it: time, level, message, then the other fields as `key=value`. What is not a
/// JSON object is shown as it is.
pub fn log_line(line: &str, output: &Output) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else {
        return printable(line);
    };
    let time = take(&mut fields, "timestamp").unwrap_or_default();
    let level = take(&mut fields, "level").unwrap_or_default();
    fields.remove("target");
    // Fields stand beside the message, in an object of their own, or in the spans around the line.
    let spans = match fields.remove("spans") {
        Some(Value::Array(spans)) => spans,
        _ => Vec::new(),
    };
    let span = fields.remove("span");
    for mut inner in spans.into_iter().chain(span).chain(fields.remove("fields")) {
        if let Value::Object(inner) = &mut inner {
            inner.remove("name");
            fields.append(inner);
        }
    }
    let message = take(&mut fields, "message").unwrap_or_default();
    let colour = match level.as_str() {
        "ERROR" => Some(Colour::Red),
        "WARN" => Some(Colour::Yellow),
        "DEBUG" | "TRACE" => Some(Colour::Dim),
        _ => None,
    };
    let mut out = format!(
        "{} {} {}",
        output.paint(&printable(&time), Some(Colour::Dim)),
        output.paint(&printable(&format!("{level:5}")), colour),
        printable(&message),
    );
    // Sorted: whether JSON's maps keep their order is decided by what else the binary is built with.
    for (key, value) in std::collections::BTreeMap::from_iter(fields) {
        let value = match value {
            Value::Null => continue,
            Value::String(text) if !text.is_empty() && !text.contains(' ') => text,
            other => other.to_string(),
        };
        let pair = printable(&format!("{key}={value}"));
        out.push(' ');
        out.push_str(&output.paint(&pair, Some(Colour::Dim)));
    }
    out
}

fn take(fields: &mut Map<String, Value>, key: &str) -> Option<String> {
    match fields.remove(key)? {
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_becomes_text_and_other_lines_stay() {
        let output = Output::new(false, false);
        let line = r#"{"timestamp":"2026-11-23T10:00:00Z","level":"INFO","target":"worker::pool","fields":{"message":"step committed","duration_ms":12},"spans":[{"name":"attempt","run.id":"r-1"}],"error":"disk full"}"#;
        assert_eq!(
            log_line(line, &output),
            "2026-11-23T10:00:00Z INFO  step committed duration_ms=12 error=\"disk full\" run.id=r-1"
        );
        assert_eq!(log_line("plain \u{1b}[31m", &output), "plain \u{fffd}[31m");
        assert_eq!(log_line("[1]", &output), "[1]");
    }
}
