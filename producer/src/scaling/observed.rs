//! Files of what was seen: `producer export-timings` writes them, as CSV or as JSON lines; a plain list will do.

use std::path::Path;

use serde_json::Value;

/// What is read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// When messages came: the column `ready_at`, in seconds since 1970.
    Arrival,
    /// For how long they held a permit: the column `held_ms`, else `duration_ms`, in seconds.
    Duration,
}

impl Observed {
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Arrival => &["ready_at"],
            Self::Duration => &["held_ms", "duration_ms"],
        }
    }

    /// A field of a column, in seconds.
    fn field(self, text: &str) -> Option<f64> {
        match self {
            Self::Arrival => plain(self, text),
            Self::Duration => text.parse::<f64>().ok().map(|ms| ms / 1e3).filter(|s| *s >= 0.0),
        }
    }
}

/// A line of a plain list, in seconds: a number of seconds, a point in time, or a duration with a unit.
fn plain(what: Observed, text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(number).filter(|n| n.is_finite() && *n >= 0.0);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit into 53 bits for 285,000 years"
    )]
    match what {
        Observed::Arrival => crate::dates::parse_time(text).ok().map(|at| at.0 as f64 / 1e3),
        Observed::Duration => humantime::parse_duration(text).ok().map(|d| d.as_secs_f64()),
    }
}

/// All values of the file, at least one; where it names stages, those of `component` only.
pub fn read(path: &Path, what: Observed, component: &str) -> Result<Vec<f64>, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {name}: {e}"))?;
    let values = parse(&text, what, component).map_err(|e| format!("{name}: {e}"))?;
    if values.is_empty() {
        return Err(format!(
            "{name} has no row of {component} with {}",
            what.columns().join(" or ")
        ));
    }
    Ok(values)
}

fn parse(text: &str, what: Observed, component: &str) -> Result<Vec<f64>, String> {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim();
    let columns = what.columns();
    if first.starts_with('{') {
        json_lines(text, what, component)
    } else if plain(what, first).is_some() {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(nr, line)| plain(what, line.trim()).ok_or_else(|| wrong(nr + 1, line.trim(), columns[0])))
            .collect()
    } else {
        csv(text, what, component)
    }
}

fn wrong(line: usize, text: &str, column: &str) -> String {
    format!("line {line}: {text:?} is no value of {column}")
}

fn json_lines(text: &str, what: Observed, component: &str) -> Result<Vec<f64>, String> {
    let mut values = Vec::new();
    for (nr, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let row: Value = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", nr + 1))?;
        if row
            .get("stage")
            .and_then(Value::as_str)
            .is_some_and(|stage| stage != component)
        {
            continue;
        }
        let Some(field) = what
            .columns()
            .iter()
            .find_map(|c| row.get(c).filter(|v| !v.is_null()))
        else {
            continue;
        };
        let text = field.as_str().map_or_else(|| field.to_string(), str::to_owned);
        values.push(
            what.field(&text)
                .ok_or_else(|| wrong(nr + 1, &text, what.columns()[0]))?,
        );
    }
    Ok(values)
}

fn csv(text: &str, what: Observed, component: &str) -> Result<Vec<f64>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings = reader.headers().map_err(|e| e.to_string())?.clone();
    let at = |name: &str| headings.iter().position(|heading| heading.trim() == name);
    let columns: Vec<usize> = what.columns().iter().filter_map(|name| at(name)).collect();
    if columns.is_empty() {
        return Err(format!("there is no column {}", what.columns().join(" or ")));
    }
    let stage = at("stage");
    let mut values = Vec::new();
    for (nr, row) in reader.records().enumerate() {
        let row = row.map_err(|e| e.to_string())?;
        if stage
            .and_then(|at| row.get(at))
            .is_some_and(|stage| stage != component)
        {
            continue;
        }
        // A step that never got so far has nothing there.
        let Some(field) = columns
            .iter()
            .find_map(|at| row.get(*at).filter(|f| !f.is_empty()))
        else {
            continue;
        };
        values.push(
            what.field(field)
                .ok_or_else(|| wrong(nr + 2, field, what.columns()[0]))?,
        );
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_say_the_same() {
        let csv = "run,stage,ready_at,held_ms,duration_ms\n\
                   a,train,2026-11-25T10:00:00.500Z,1500,9\n\
                   a,deploy,2026-11-25T10:00:01Z,7,7\n\
                   b,train,2026-11-25T10:00:02Z,,250\n\
                   c,train,2026-11-25T10:00:03Z,,\n";
        let json = "{\"stage\":\"train\",\"ready_at\":\"2026-11-25T10:00:00.500Z\",\"held_ms\":1500,\"duration_ms\":9}\n\
                    {\"stage\":\"deploy\",\"ready_at\":\"2026-11-25T10:00:01Z\",\"held_ms\":7}\n\
                    {\"stage\":\"train\",\"ready_at\":\"2026-11-25T10:00:02Z\",\"held_ms\":null,\"duration_ms\":250}\n\
                    {\"stage\":\"train\",\"ready_at\":\"2026-11-25T10:00:03Z\"}\n";
        let plain = ["1.5s\n250ms\n", "1.5\n0.25\n"];
        let wanted = vec![1.5, 0.25];
        for text in [csv, json, plain[0], plain[1]] {
            assert_eq!(
                parse(text, Observed::Duration, "train"),
                Ok(wanted.clone()),
                "{text}"
            );
        }
        let day = parse("2026-11-25T00:00:00Z\n", Observed::Arrival, "x").expect("a time")[0];
        let times: Vec<f64> = [0.5, 2.0, 3.0].iter().map(|s| day + 36_000.0 + s).collect();
        for text in [
            csv,
            json,
            "2026-11-25T10:00:00.500Z\n2026-11-25T10:00:02Z\n\n2026-11-25 10:00:03\n",
        ] {
            assert_eq!(
                parse(text, Observed::Arrival, "train"),
                Ok(times.clone()),
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_rows_are_named() {
        for (text, part) in [
            ("1.5\nx\n", "line 2"),
            ("stage,held_ms\ntrain,-1\n", "line 2"),
            ("stage,ready\ntrain,1\n", "no column held_ms or duration_ms"),
            ("{\"held_ms\":1}\n{\"held_ms\":\n", "line 2"),
            ("-3\n", "no column"),
        ] {
            let error = parse(text, Observed::Duration, "train").expect_err(text);
            assert!(error.contains(part), "{error}");
        }
    }
}
