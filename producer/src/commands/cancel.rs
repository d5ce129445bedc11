//! `producer cancel`: ends a run.

use pipeline::protocol;
use pipeline::update::Applied;
use pipeline::{RunId, RunStatus};

use crate::exit::{Exit, Failure};
use crate::session::{Session, no_such_run};
use crate::view::RunView;

/// End a run.
///
/// Workers that are at it notice within a third of their lease and stop. Cancelling a cancelled run is fine; a run that ended otherwise stays as it is (exit code 4).
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer cancel nightly-2026-11-23 --reason 'wrong data'

JSON: the run, as in list.")]
pub struct Args {
    /// The run's id
    #[arg(value_name = "RUN")]
    run: RunId,
    /// Why, for people
    #[arg(long, default_value = "cancelled by hand", value_name = "TEXT")]
    reason: String,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let update = protocol::cancel(&args.run, &args.reason, session.now());
    let (run, message) = match session.backend.runs.apply(&update).await? {
        Applied::Done(item) => (item.into_run(), "cancelled; workers that are at it stop soon"),
        Applied::Refused(item) => (item.and_then(pipeline::Item::into_run), "was cancelled already"),
        Applied::AliasMoved(_) => (None, ""),
    };
    let run = run.ok_or_else(|| no_such_run(&args.run))?;
    if run.status != RunStatus::Cancelled {
        return Err(Failure::Conflict(format!(
            "run {} is {} already, which does not change any more",
            run.id, run.status
        )));
    }
    session.output.say(&format!("run {} {message}", run.id));
    if session.output.is_json() {
        session.output.json(&RunView::of(&run))?;
    }
    Ok(Exit::Done)
}
