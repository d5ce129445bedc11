//! `producer unpause`: ends a stage's pause.

use pipeline::StageName;
use serde::Serialize;

use crate::commands::stage_names;
use crate::exit::{Exit, Failure};
use crate::session::Session;

/// End a stage's pause.
///
/// Its workers take messages again. One that is not paused stays so.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer unpause train

JSON: {stage, was_paused}.")]
pub struct Args {
    /// The stage
    #[arg(value_name = "STAGE", value_parser = stage_names(), hide_possible_values = true)]
    stage: String,
}

#[derive(Serialize)]
struct View {
    stage: StageName,
    was_paused: bool,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let stage = StageName::new(&args.stage).map_err(|e| Failure::Usage(e.to_string()))?;
    let was_paused = session.backend.fleet.unpause(&stage).await?;
    session.output.say(&if was_paused {
        format!("stage {stage} goes on")
    } else {
        format!("stage {stage} was not paused")
    });
    if session.output.is_json() {
        session.output.json(&View { stage, was_paused })?;
    }
    Ok(Exit::Done)
}
