//! What a finished run is shown as to people: its steps, its candidates, what became of the model.

use std::fmt;

use super::report::{Report, StepReport};
use pipeline::results::Candidate;

/// A cell that has nothing to say.
const NOTHING: &str = "-";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![
            [
                "STEP", "STAGE", "STATE", "ATTEMPTS", "SECONDS", "CPU S", "PEAK MIB", "CACHE",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        rows.extend(self.steps.iter().map(row));
        table(f, &rows, &[3, 4, 5, 6])?;
        self.candidates(f)?;
        if let Some(model) = &self.model {
            let promoted = match &model.alias {
                Some(alias) => format!("and promoted to {alias}"),
                None => "but not promoted".to_owned(),
            };
            writeln!(
                f,
                "\nmodel {} version {} registered {promoted}: {}",
                model.name, model.version, model.reason
            )?;
        }
        if !self.results.warnings.is_empty() {
            let mut rows = vec![vec!["WARNING".to_owned(), String::new()]];
            rows.extend(
                self.results
                    .warnings
                    .iter()
                    .map(|w| vec![w.step.clone(), w.text.clone()]),
            );
            writeln!(f)?;
            table(f, &rows, &[])?;
        }
        if !self.results.reports.is_empty() {
            let mut rows = vec![vec!["REPORT".to_owned(), String::new()]];
            rows.extend(
                self.results
                    .reports
                    .iter()
                    .map(|r| vec![r.step.clone(), r.path.clone()]),
            );
            writeln!(f)?;
            table(f, &rows, &[])?;
        }
        let seconds = self.seconds.map_or_else(String::new, |s| format!(" in {s:.2} s"));
        write!(f, "\nrun {} {}{seconds}", self.run, self.status)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl Report {
    /// The candidates, the winner marked, in the evaluation's order.
    fn candidates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(evaluation) = &self.results.evaluation else {
            return Ok(());
        };
        let metric = evaluation.metric.as_str();
        let mut rows = vec![vec![
            "CANDIDATE".to_owned(),
            "MODEL".to_owned(),
            format!("VALIDATION {metric}"),
            format!("TEST {metric}"),
            String::new(),
        ]];
        for candidate in &evaluation.candidates {
            let Candidate {
                name,
                kind,
                validation,
                test,
            } = candidate;
            let is_winner = evaluation.winner == *name;
            let figure = |metrics: &std::collections::BTreeMap<String, Option<f64>>| {
                let value = metrics.get(metric).copied().flatten();
                value.map_or_else(|| NOTHING.into(), |v| format!("{v:.4}"))
            };
            let mark = if is_winner { "winner" } else { "" };
            rows.push(vec![
                name.clone(),
                kind.clone(),
                figure(validation),
                figure(test),
                mark.into(),
            ]);
        }
        writeln!(f)?;
        table(f, &rows, &[2, 3])
    }
}

fn row(step: &StepReport) -> Vec<String> {
    let seconds = |s: Option<f64>| s.map_or_else(|| NOTHING.into(), |s| format!("{s:.2}"));
    let branches = step.branches.map_or_else(String::new, |b| {
        format!(" {}/{}", b.done.saturating_sub(b.lost), b.count)
    });
    vec![
        step.step.clone(),
        step.stage.clone(),
        format!("{:?}{branches}", step.state).to_uppercase(),
        step.attempts.to_string(),
        seconds(step.seconds),
        seconds(step.cpu_seconds),
        step.peak_memory_bytes
            .map_or_else(|| NOTHING.into(), |b| format!("{:.0}", b as f64 / 1_048_576.0)),
        step.cache.clone().unwrap_or_default(),
    ]
}

/// Rows in columns that are as wide as what stands in them; those of `right` end flush.
fn table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>], right: &[usize]) -> fmt::Result {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            line += &match right.contains(&at) {
                true => format!("{gap}{cell:>width$}"),
                false => format!("{gap}{cell:<width$}"),
            };
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pipeline::item::{CacheNote, Measured};
    use pipeline::registry::Registered;
    use pipeline::spec::{Overrides, load};
    use pipeline::{RunStatus, StepState, Timestamp};

    use super::*;
    use pipeline::results::{Evaluation, ReportPlace, Results, Warning};

    fn report() -> Report {
        let text = "pipeline = \"p\"\n[[steps]]\nstage = \"extract\"\nparams = { sources = { f = \"f.csv\" }, label = \"l\" }\n";
        let spec = load(text, &Overrides::new()).expect("good");
        let mut run = pipeline::plan::Birth {
            id: pipeline::RunId::new("p-1").expect("valid"),
            pipeline: spec.pipeline.clone(),
            spec: spec.digest(),
            max: spec.max(),
            now: Timestamp(0),
            deadline: spec.deadline,
        }
        .item(&spec.plan().expect("a plan"));
        (run.status, run.ended_at) = (RunStatus::Succeeded, Some(Timestamp(1_500)));
        run.registered = Some(Registered {
            model: "flights".parse().expect("valid"),
            promoted: Some("champion".parse().expect("valid")),
            reason: "there was no champion".into(),
        });
        for step in run.steps.values_mut() {
            (step.state, step.attempt) = (StepState::Committed, 1);
            step.measured = Some(Measured {
                duration_ms: 1_250,
                peak_memory_bytes: Some(64 << 20),
                cpu_ms: Some(2_500),
                cache: Some(CacheNote::Miss {
                    differs: vec!["source:f".into()],
                }),
                ..Measured::default()
            });
        }
        let candidate = |name: &str, auc: Option<f64>| Candidate {
            name: name.into(),
            kind: name.into(),
            validation: [("auc".to_owned(), auc)].into(),
            test: [("auc".to_owned(), Some(0.7))].into(),
        };
        let results = Results {
            evaluation: Some(Evaluation {
                winner: "boosting".into(),
                metric: "auc".into(),
                candidates: vec![candidate("boosting", Some(0.75)), candidate("linear", None)],
            }),
            warnings: vec![Warning {
                step: "transform".into(),
                text: "tail is left out: it is the same in all rows of train".into(),
            }],
            unread: Vec::new(),
            reports: vec![ReportPlace {
                step: "evaluate".into(),
                path: "/x/report.html".into(),
            }],
        };
        Report::new(&run, &[], results)
    }

    #[test]
    fn people_see_steps_candidates_model_and_reports() {
        let shown = report().to_string();
        let wanted = "\
STEP     STAGE    STATE      ATTEMPTS  SECONDS  CPU S  PEAK MIB  CACHE
extract  extract  COMMITTED         1     1.25   2.50        64  miss: source f changed

CANDIDATE  MODEL     VALIDATION auc  TEST auc
boosting   boosting          0.7500    0.7000  winner
linear     linear                 -    0.7000

model flights version p-1 registered and promoted to champion: there was no champion

WARNING
transform  tail is left out: it is the same in all rows of train

REPORT
evaluate  /x/report.html

run p-1 SUCCEEDED in 1.50 s";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn scripts_read_the_same() {
        let json = serde_json::to_value(report()).expect("serialises");
        assert_eq!(json["steps"][0]["cpu_seconds"], 2.5);
        assert_eq!(json["steps"][0]["cache"], "miss: source f changed");
        assert_eq!(json["winner"], "boosting");
        assert_eq!(json["candidates"][0]["validation"]["auc"], 0.75);
        assert_eq!(
            json["candidates"][1]["validation"]["auc"],
            serde_json::Value::Null
        );
        assert_eq!(json["model"]["promoted"], true);
        assert_eq!(json["model"]["version"], "p-1");
        assert_eq!(json["reports"][0]["path"], "/x/report.html");
    }
}
