//! `producer workers`: who is there.

use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::render::{Cell, Table, ago, until};
use crate::session::Session;

/// List the workers that are there, and which stages are paused.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer workers
  producer workers --json | jq '.workers | length'

JSON: {workers: [{worker, queues, version, since, expires_at}], pauses: [{stage, since, reason}]}.")]
pub struct Args {}

#[derive(Serialize)]
struct View {
    workers: Vec<WorkerView>,
    pauses: Vec<PauseView>,
}

#[derive(Serialize)]
struct WorkerView {
    worker: String,
    queues: Vec<String>,
    version: String,
    since: String,
    expires_at: String,
}

/// A paused stage as scripts read it.
#[derive(Serialize)]
pub(super) struct PauseView {
    stage: String,
    since: String,
    reason: String,
}

impl PauseView {
    /// The view of a pause.
    pub(super) fn of(pause: &pipeline::ports::Pause) -> Self {
        Self {
            stage: pause.stage.to_string(),
            since: pause.since.to_string(),
            reason: pause.reason.clone(),
        }
    }
}

pub(super) async fn perform(session: &Session, _: Args) -> Result<Exit, Failure> {
    let now = session.now();
    let workers = session.backend.fleet.workers(now).await?;
    let pauses = session.backend.fleet.pauses().await?;
    let output = &session.output;
    if output.is_json() {
        let workers = workers.iter().map(|w| WorkerView {
            worker: w.worker.to_string(),
            queues: w.queues.clone(),
            version: w.version.clone(),
            since: w.since.to_string(),
            expires_at: w.expires_at.to_string(),
        });
        output.json(&View {
            workers: workers.collect(),
            pauses: pauses.iter().map(PauseView::of).collect(),
        })?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["WORKER", "VERSION", "THERE SINCE", "EXPIRES", "QUEUES"]);
    for w in &workers {
        table.row([
            Cell::new(w.worker.as_str()),
            Cell::new(&w.version),
            Cell::new(ago(now, w.since)).right(),
            Cell::new(until(now, w.expires_at)).right(),
            Cell::new(w.queues.join(" ")),
        ]);
    }
    if table.is_empty() {
        output.say("no workers are there");
    } else {
        output.table(&table)?;
    }
    for pause in pauses {
        let since = ago(now, pause.since);
        output.say(&format!(
            "stage {} is paused since {since}: {}",
            pause.stage, pause.reason
        ));
    }
    Ok(Exit::Done)
}
