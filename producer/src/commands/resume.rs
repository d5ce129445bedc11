//! `producer resume`: goes on with a run that failed or was cancelled.

use pipeline::operate::{self, Resumption};
use pipeline::{RunId, RunStatus};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::session::{Session, no_such_run};

/// Go on with a failed or cancelled run, as a new run that takes over what is done.
///
/// Prints the new run's id. Steps that were committed are taken over; everything else starts anew with full budgets.
/// Resuming twice makes one run: while the first resumption is open or when it went well, its id is printed again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer resume nightly-2026-11-23
  producer watch $(producer resume nightly-2026-11-23)

JSON: {run, parent, outcome, status}; outcome is new or again.")]
pub struct Args {
    /// The run's id
    #[arg(value_name = "RUN")]
    run: RunId,
}

#[derive(Serialize)]
struct View {
    run: String,
    parent: String,
    outcome: &'static str,
    status: RunStatus,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let parent = &args.run;
    let (run, outcome) = match operate::resume(&session.backend, parent, session.now()).await? {
        Resumption::New(run) => {
            let from = run
                .frontier()
                .map_or_else(String::new, |(step, _)| format!(" from step {step} on"));
            session.output.say(&format!(
                "run {} goes on with {parent}{from}; `producer watch {}` follows it",
                run.id, run.id
            ));
            (run, "new")
        }
        Resumption::Already(run) => {
            session.output.say(&format!(
                "{parent} was resumed before, as run {}, which is {}",
                run.id, run.status
            ));
            (run, "again")
        }
        Resumption::NotEnded(status) => {
            return Err(Failure::Conflict(format!(
                "run {parent} is {status}; only failed and cancelled runs can be resumed"
            )));
        }
        Resumption::Unknown => return Err(no_such_run(parent)),
    };
    if session.output.is_json() {
        session.output.json(&View {
            run: run.id.to_string(),
            parent: parent.to_string(),
            outcome,
            status: run.status,
        })?;
    } else {
        session.output.line(run.id.as_str())?;
    }
    Ok(Exit::Done)
}
