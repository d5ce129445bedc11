//! `producer list`: runs, newest first.

use pipeline::ports::ListFilter;
use pipeline::{PipelineName, RunItem, RunStatus, Timestamp};

use crate::exit::{Exit, Failure};
use crate::render::{Cell, Table, ago, duration};
use crate::session::Session;
use crate::view::{RunView, committed, status_colour};

/// List runs, newest first.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer list
  producer list --pipeline nightly --status failed
  producer list --all --json | jq -r '.[] | select(.status == \"OPEN\") | .run'

JSON: an array of {run, pipeline, status, reason, step, steps_committed, steps_total, created_at, \
ended_at, deadline, spec, parent, registered}; step is where the run stands or ended, \
registered the {model, promoted, reason} of its last commit.")]
pub struct Args {
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pipeline: Option<PipelineName>,
    /// Only runs with this status: open, succeeded, halted, failed or cancelled
    #[arg(long, value_name = "STATUS")]
    status: Option<RunStatus>,
    /// At most this many
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// How many runs are asked for at once.
const PAGE: usize = 500;

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let filter = ListFilter {
        pipeline: args.pipeline,
        status: args.status,
    };
    let most = if args.all { usize::MAX } else { args.limit as usize };
    let (runs, are_more) = collect(session, &filter, most).await?;
    if session.output.is_json() {
        session
            .output
            .json(&runs.iter().map(RunView::of).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let now = session.now();
    let mut table = Table::new(&["RUN", "STATUS", "STEPS", "AT", "CREATED", "TOOK"]);
    for run in &runs {
        table.row([
            Cell::new(run.id.as_str()),
            Cell::new(run.status.as_str()).coloured(status_colour(run.status)),
            Cell::new(format!("{}/{}", committed(run), run.order.len())).right(),
            Cell::maybe(run.frontier().map(|(step, _)| step.as_str())),
            Cell::new(ago(now, run.created_at)).right(),
            Cell::new(took(run, now)).right(),
        ]);
    }
    if table.is_empty() {
        session.output.say("no runs");
    } else {
        session.output.table(&table)?;
    }
    if are_more {
        session.output.say(&format!(
            "the newest {most} are shown; --all shows all, --limit N another number"
        ));
    }
    Ok(Exit::Done)
}

/// Up to `most` runs, and whether there are more.
pub(super) async fn collect(
    session: &Session,
    filter: &ListFilter,
    most: usize,
) -> Result<(Vec<RunItem>, bool), Failure> {
    let mut runs = Vec::new();
    let mut next = None;
    loop {
        let wanted = (most - runs.len()).min(PAGE);
        let page = session.backend.runs.list(filter, next.as_deref(), wanted).await?;
        runs.extend(page.runs);
        next = page.next;
        if next.is_none() || runs.len() >= most {
            return Ok((runs, next.is_some()));
        }
    }
}

/// How long the run took, or takes so far.
pub(super) fn took(run: &RunItem, now: Timestamp) -> String {
    duration(run.ended_at.unwrap_or(now).since(run.created_at))
}
