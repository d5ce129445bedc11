//! Lines of logs, as far as more than their writer must understand them: JSON objects that say in themselves, in their
//! fields or in one of their spans which run and step they are about.

use serde_json::Value;

use crate::id::{RunId, StepName};

/// If the line is about the run (and the step), when it was written, as it says: text that sorts by time, empty if it says
/// nothing. A line that is no JSON object is about nothing.
pub fn about(line: &str, run: &RunId, step: Option<&StepName>) -> Option<String> {
    // Cheap, and true of nearly every line that is dropped.
    if !line.contains(run.as_str()) {
        return None;
    }
    let Ok(entry @ Value::Object(_)) = serde_json::from_str(line) else {
        return None;
    };
    let is_wanted =
        says(&entry, "run.id", run.as_str()) && step.is_none_or(|step| says(&entry, "step", step.as_str()));
    let timestamp = entry.get("timestamp").and_then(Value::as_str).unwrap_or_default();
    is_wanted.then(|| timestamp.to_owned())
}

/// True if the entry, one of its spans, or its fields say `key: value`.
fn says(entry: &Value, key: &str, value: &str) -> bool {
    let says = |object: &Value| object.get(key).and_then(Value::as_str) == Some(value);
    let in_spans = || {
        let spans = entry.get("spans").and_then(Value::as_array);
        spans.is_some_and(|spans| spans.iter().any(says))
    };
    says(entry)
        || ["span", "fields"]
            .iter()
            .any(|part| entry.get(part).is_some_and(says))
        || in_spans()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_they_are_about() {
        let run = RunId::new("run-1").expect("valid");
        let train = StepName::new("train").expect("valid");
        let spans = r#"{"timestamp":"2026","spans":[{"run.id":"run-1","step":"train"}]}"#;
        assert_eq!(about(spans, &run, Some(&train)).as_deref(), Some("2026"));
        let other = StepName::new("deploy").expect("valid");
        assert_eq!(about(spans, &run, Some(&other)), None);
        let fields = r#"{"fields":{"run.id":"run-1"}}"#;
        assert_eq!(about(fields, &run, None).as_deref(), Some(""));
        for line in ["run-1", r#"{"message":"run-1"}"#, "[\"run-1\"]", ""] {
            assert_eq!(about(line, &run, None), None, "{line}");
        }
    }
}
