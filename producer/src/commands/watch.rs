//! `producer watch`: a run, live, until it ends.

use std::time::Duration;

use pipeline::{RunId, RunItem};

use crate::commands::results::{self, results_of};
use crate::commands::show::{branches_of, surroundings};
use crate::dates::parse_duration;
use crate::exit::{Exit, Failure};
use crate::render::{complain, printable};
use crate::session::{Session, no_such_run};
use crate::waiting::{Reason, why_waits};
use crate::watching::{Bars, changes};

/// Follow a run until it ends.
///
/// On a terminal every step has a line that lives; otherwise there is one line per change. The exit code says how
/// the run ended: 0 SUCCEEDED, 5 FAILED, 6 HALTED, 7 CANCELLED. Ctrl-C ends the watching (130), not the run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer watch nightly-2026-11-23
  producer watch nightly-2026-11-23 && echo it succeeded
  producer watch order-4711 --made-within 1m
  producer watch nightly-2026-11-23 --json | jq -r .state

JSON: one line per change, {at, run, status, step, state, attempt, branches, message}; step, state, attempt \
and branches ({total, settled, failed}) are null in lines about the run itself, and the last line carries \
the status that it ended with.")]
pub struct Args {
    /// The run's id
    #[arg(value_name = "RUN")]
    pub run: RunId,
    /// Wait so long for the run to be made: after a message was posted to the intake, that takes a moment
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub made_within: Option<Duration>,
}

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How often one looks whether the run is there.
const LOOK_WHETHER_MADE: Duration = Duration::from_millis(500);

/// How often one asks why it waits, in looks: that costs several requests.
const ASK_EVERY: u32 = 10;

/// Follows a run that is there, or is made within that time.
pub(super) async fn perform(session: &Session, run: &RunId, made_within: Duration) -> Result<Exit, Failure> {
    let watched = tokio::select! {
        biased;
        signal = tokio::signal::ctrl_c() => {
            signal.map_err(Failure::file("listen for Ctrl-C"))?;
            complain(&format!("stopped watching; run {run} goes on (`producer cancel {run}` ends it)"));
            return Ok(Exit::Interrupted);
        }
        watched = Box::pin(follow(session, run, made_within)) => watched,
    };
    match watched {
        // Zero would say that the run succeeded.
        Err(Failure::ReaderGone) => Ok(Exit::ReaderGone),
        other => other,
    }
}

/// The run, as soon as it is made.
async fn made(session: &Session, id: &RunId, within: Duration) -> Result<RunItem, Failure> {
    let clock = &session.host.clock;
    let end = clock.monotonic().saturating_add(within);
    loop {
        match session.backend.runs.load(id).await? {
            Some(run) => return Ok(run),
            None if clock.monotonic() >= end => return Err(no_such_run(id)),
            None => clock.sleep(LOOK_WHETHER_MADE).await,
        }
    }
}

async fn follow(session: &Session, id: &RunId, made_within: Duration) -> Result<Exit, Failure> {
    let mut run = made(session, id, made_within).await?;
    let bars = session.output.is_live().then(|| Bars::new(&run));
    let mut seen: Option<RunItem> = None;
    let mut stuck = Vec::new();
    for look in 0u32.. {
        let now = session.now();
        for change in changes(seen.as_ref(), &run, now) {
            if session.output.is_json() {
                session.output.json(&change)?;
            } else if bars.is_none() {
                session.output.line(&printable(&change.to_string()))?;
            }
        }
        if let Some(exit) = Exit::of_run(run.status) {
            if let Some(bars) = bars {
                bars.finish(&run, now);
                for change in changes(None, &run, now).into_iter().filter(|c| c.step.is_none()) {
                    session.output.line(&printable(&change.to_string()))?;
                }
            }
            if !session.output.is_json() {
                let branches = branches_of(session, &run).await?;
                results::print(session, &results_of(session, &run, &branches).await)?;
            }
            return Ok(exit);
        }
        // The first look is too early: a worker may be about to take it.
        if look % ASK_EVERY == ASK_EVERY / 2 {
            let now_stuck = why_stuck(session, &run).await?;
            if bars.is_none() {
                for reason in now_stuck.iter().filter(|r| !stuck.contains(*r)) {
                    session.output.say(&format!("waiting: {}", reason.text(now)));
                }
            }
            stuck = now_stuck;
        }
        if let Some(bars) = &bars {
            bars.draw(&run, stuck.first().map(|reason| reason.text(now)), now);
        }
        session.backend.runs.wait_for_end(id, LOOK).await;
        seen = Some(std::mem::replace(&mut run, session.run(id).await?));
    }
    Ok(Exit::Done)
}

/// Why nothing moves, if nothing does.
async fn why_stuck(session: &Session, run: &RunItem) -> Result<Vec<Reason>, Failure> {
    let branches = match run.frontier() {
        Some((step, work)) if work.is_fanned() => {
            session.backend.runs.load_branches(&run.id, Some(step)).await?
        }
        _ => Vec::new(),
    };
    let around = surroundings(session, run, &branches).await?;
    Ok(why_waits(run, &branches, &around)
        .into_iter()
        .filter(Reason::is_stuck)
        .collect())
}
