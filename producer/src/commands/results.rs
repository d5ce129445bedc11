//! What a run's stages found out, as `show` and `watch` tell it.

use pipeline::ArtifactRef;
use pipeline::item::{BranchItem, RunItem};
use pipeline::results::{Results, read};

use crate::exit::Failure;
use crate::render::{Cell, Table, complain};
use crate::session::Session;

/// Reads what there is so far, and complains of what cannot be read.
pub(super) async fn results_of(session: &Session, run: &RunItem, branches: &[BranchItem]) -> Results {
    let bytes = async |artifact: &ArtifactRef| session.bytes(artifact).await;
    let results = read(&*session.backend.artifacts, run, branches, bytes).await;
    for unread in &results.unread {
        complain(&format!("not shown: {unread}"));
    }
    results
}

/// Prints a table of each kind that there is something of.
pub(super) fn print(session: &Session, results: &Results) -> Result<(), Failure> {
    if let Some(evaluation) = &results.evaluation {
        let metric = &evaluation.metric;
        let (validation, test) = (format!("VALIDATION {metric}"), format!("TEST {metric}"));
        let mut table = Table::new(&["CANDIDATE", "MODEL", &validation, &test, "WINNER"]);
        for candidate in &evaluation.candidates {
            let figure = |metrics: &std::collections::BTreeMap<String, Option<f64>>| {
                let value = metrics.get(metric).copied().flatten();
                Cell::maybe(value.map(|value| format!("{value:.4}"))).right()
            };
            let is_winner = evaluation.winner == candidate.name;
            table.row([
                Cell::new(&candidate.name),
                Cell::new(&candidate.kind),
                figure(&candidate.validation),
                figure(&candidate.test),
                Cell::maybe(is_winner.then_some("winner")),
            ]);
        }
        session.output.line("")?;
        session.output.table(&table)?;
    }
    let warnings = results
        .warnings
        .iter()
        .map(|w| [Cell::new(&w.step), Cell::new(&w.text)]);
    pairs(session, ["WARNING OF", "WHAT"], warnings.collect())?;
    let reports = results
        .reports
        .iter()
        .map(|r| [Cell::new(&r.step), Cell::new(&r.path)]);
    pairs(session, ["REPORT OF", "PATH"], reports.collect())
}

fn pairs(session: &Session, headings: [&str; 2], rows: Vec<[Cell; 2]>) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&headings);
    rows.into_iter().for_each(|row| table.row(row));
    session.output.line("")?;
    session.output.table(&table)
}
