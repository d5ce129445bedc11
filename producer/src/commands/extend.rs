//! `producer extend`: gives a run more time.

use std::time::Duration;

use pipeline::spec::MAX_DEADLINE;
use pipeline::update::Applied;
use pipeline::{RunId, RunStatus, Timestamp, protocol};

use crate::dates::{parse_duration, parse_time};
use crate::exit::{Exit, Failure};
use crate::render::until;
use crate::session::{Session, no_such_run};
use crate::view::RunView;

/// Give an open run more time before it fails.
///
/// A deadline only moves back. Unless its specification says otherwise a run has a week, waiting included.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer extend nightly-2026-11-23 --by 2h
  producer extend nightly-2026-11-23 --until 2026-11-30T18:00:00Z

JSON: the run, as in list.")]
#[command(group(clap::ArgGroup::new("how").required(true).args(["by", "until"])))]
pub struct Args {
    /// The run's id
    #[arg(value_name = "RUN")]
    run: RunId,
    /// So much longer than its present deadline (or than now, if that has passed)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    by: Option<Duration>,
    /// Until that time (UTC unless it says otherwise)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let run = session.run(&args.run).await?;
    let now = session.now();
    let deadline = match (args.by, args.until) {
        (Some(by), _) => run.deadline.max(now).plus(by),
        (None, Some(until)) => until,
        (None, None) => run.deadline,
    };
    if run.status == RunStatus::Open && deadline <= run.deadline.max(now) {
        return Err(Failure::Usage(format!(
            "{deadline} is not later than {}; a deadline only moves back",
            if run.deadline > now {
                format!("the deadline {}", run.deadline)
            } else {
                "now".into()
            }
        )));
    }
    if deadline.since(now) > MAX_DEADLINE {
        return Err(Failure::Usage(format!(
            "{deadline} is more than {} from now, which is the most that a run may take",
            humantime::format_duration(MAX_DEADLINE)
        )));
    }
    let applied = session
        .backend
        .runs
        .apply(&protocol::extend(&args.run, deadline))
        .await?;
    let run = match applied {
        Applied::Done(item) => item.into_run(),
        Applied::Refused(Some(item)) => {
            let status = item.as_run().map_or("another item", |run| run.status.as_str());
            return Err(Failure::Conflict(format!(
                "run {} is {status}; only open runs have a deadline to move",
                args.run
            )));
        }
        Applied::Refused(None) | Applied::AliasMoved(_) => None,
    };
    let run = run.ok_or_else(|| no_such_run(&args.run))?;
    session.output.say(&format!(
        "run {} may take until {} ({})",
        run.id,
        run.deadline,
        until(now, run.deadline)
    ));
    if session.output.is_json() {
        session.output.json(&RunView::of(&run))?;
    }
    Ok(Exit::Done)
}
