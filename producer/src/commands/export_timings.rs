//! `producer export-timings`: what each step of runs took, for whoever reckons with it.

use pipeline::item::StepState;
use pipeline::ports::ListFilter;
use pipeline::{PipelineName, RunId, RunItem, Timestamp};

use crate::commands::show::branches_of;
use crate::commands::stage_names;
use crate::dates::parse_time;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::timings::Timing;

/// Write what each step of runs took, one row for each.
///
/// A row is a step, or a branch of a fanned-out step, that was claimed at least once; newest runs come first, steps in
/// the plan's order. What a resumed run took over from its parent is a row of the parent only. simulate-scaling reads
/// the rows as arrivals (ready_at) and as durations (held_ms).
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer export-timings > timings.csv
  producer export-timings --pipeline nightly --since 2026-11-01 --stage train --worked > train.csv
  producer export-timings --json | jq -s 'map(.held_ms) | add'

Output: CSV with a line of headings; with --json one document per line. Columns are run, pipeline, step, ordinal, stage, \
class, state, attempts, cached, cache (hit, miss, or off), ready_at, started_at, ended_at, wait_ms (from ready to claimed), held_ms (from claimed to \
settled: so long it held a permit), duration_ms (the stage's own work), cpu_ms, peak_memory_bytes, artifacts (that it \
published itself), artifact_bytes. What is not known is empty, and null in JSON.")]
pub struct Args {
    /// Only of these runs [default: all]
    #[arg(value_name = "RUN")]
    runs: Vec<RunId>,
    /// Only of this pipeline
    #[arg(long, value_name = "NAME", conflicts_with = "runs")]
    pipeline: Option<PipelineName>,
    /// Only of runs made since then (UTC unless it says otherwise)
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "runs")]
    since: Option<Timestamp>,
    /// Only of this stage
    #[arg(long, value_name = "STAGE", value_parser = stage_names())]
    stage: Option<String>,
    /// Only what was worked on to its end: committed, and not taken from the cache
    #[arg(long)]
    worked: bool,
}

/// How many runs are asked for at once.
const PAGE: usize = 500;

/// Which runs are meant.
pub(super) struct Selection {
    pub(super) runs: Vec<RunId>,
    pub(super) pipeline: Option<PipelineName>,
    pub(super) since: Option<Timestamp>,
}

impl Selection {
    /// Calls `each` with every run that is meant, page by page: there may be more of them than fit into memory.
    pub(super) async fn visit(
        &self,
        session: &Session,
        mut each: impl AsyncFnMut(&RunItem) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for id in &self.runs {
            each(&session.run(id).await?).await?;
        }
        if !self.runs.is_empty() {
            return Ok(());
        }
        let filter = ListFilter {
            pipeline: self.pipeline.clone(),
            status: None,
        };
        let mut next = None;
        loop {
            let page = session.backend.runs.list(&filter, next.as_deref(), PAGE).await?;
            for run in &page.runs {
                // The list is newest first.
                if self.since.is_some_and(|since| run.created_at < since) {
                    return Ok(());
                }
                each(run).await?;
            }
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let Args { stage, worked, .. } = args;
    let selection = Selection {
        runs: args.runs,
        pipeline: args.pipeline,
        since: args.since,
    };
    let is_json = session.output.is_json();
    let mut has_heading = false;
    let mut rows = 0_usize;
    selection
        .visit(session, async |run| {
            let branches = branches_of(session, run).await?;
            let mut timings = Timing::all(run, &branches);
            timings.retain(|row| {
                stage.as_ref().is_none_or(|stage| row.stage.as_str() == stage)
                    && (!worked || row.state == StepState::Committed && !row.cached)
            });
            rows += timings.len();
            if is_json {
                return timings.iter().try_for_each(|row| session.output.json(row));
            }
            let mut writer = csv::WriterBuilder::new()
                .has_headers(!has_heading)
                .from_writer(Vec::new());
            for row in &timings {
                writer.serialize(row).map_err(|e| Failure::Output(e.into()))?;
                has_heading = true;
            }
            let text = writer.into_inner().map_err(|e| Failure::Output(e.into_error()))?;
            session.output.raw(&text)
        })
        .await?;
    session.output.say(&match rows {
        0 => "no step was claimed yet in these runs".to_owned(),
        rows => crate::render::count(rows, "row"),
    });
    Ok(Exit::Done)
}
