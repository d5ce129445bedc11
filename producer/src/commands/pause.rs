//! `producer pause`: a stage's workers take nothing new.

use pipeline::StageName;
use pipeline::ports::Pause;

use crate::commands::stage_names;
use crate::commands::workers::PauseView;
use crate::exit::{Exit, Failure};
use crate::session::Session;

/// Let a stage's workers take nothing new.
///
/// What they are at is finished; messages wait.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer pause train --reason 'bad deploy'
  producer unpause train

JSON: {stage, since, reason}.")]
pub struct Args {
    /// The stage
    #[arg(value_name = "STAGE", value_parser = stage_names(), hide_possible_values = true)]
    stage: String,
    /// Why, for people
    #[arg(long, default_value = "paused by hand", value_name = "TEXT")]
    reason: String,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let pause = Pause {
        stage: StageName::new(&args.stage).map_err(|e| Failure::Usage(e.to_string()))?,
        since: session.now(),
        reason: pipeline::item::clip(args.reason),
    };
    session.backend.fleet.pause(&pause).await?;
    let stage = &pause.stage;
    session.output.say(&format!(
        "stage {stage} is paused; `producer unpause {stage}` ends that"
    ));
    if session.output.is_json() {
        session.output.json(&PauseView::of(&pause))?;
    }
    Ok(Exit::Done)
}
