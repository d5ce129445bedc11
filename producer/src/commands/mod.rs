//! One file per command: its arguments with their help, and what it does.

pub mod artifacts;
pub mod cancel;
pub mod cost;
pub mod dead_letters;
pub mod diff;
pub mod doctor;
pub mod export_timings;
pub mod extend;
pub mod gc;
pub mod list;
pub mod logs;
pub mod models;
pub mod pause;
pub mod pipelines;
mod results;
pub mod resume;
#[cfg(feature = "aws")]
pub mod setup;
pub mod show;
pub mod simulate_scaling;
pub mod submit;
pub mod unpause;
pub mod watch;
pub mod workers;

use clap::builder::PossibleValuesParser;
use pipeline::spec::CATALOGUE;

use crate::cli::Command;
use crate::exit::{Exit, Failure};
use crate::session::Session;

/// Does what the command says.
pub async fn perform(session: &Session, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Submit(args) => submit::perform(session, args).await,
        Command::Watch(args) => {
            watch::perform(session, &args.run, args.made_within.unwrap_or_default()).await
        }
        Command::List(args) => list::perform(session, args).await,
        Command::Show(args) => show::perform(session, args).await,
        Command::Logs(args) => logs::perform(session, args).await,
        Command::Cancel(args) => cancel::perform(session, args).await,
        Command::Resume(args) => resume::perform(session, args).await,
        Command::Extend(args) => extend::perform(session, args).await,
        Command::Pause(args) => pause::perform(session, args).await,
        Command::Unpause(args) => unpause::perform(session, args).await,
        Command::Workers(args) => workers::perform(session, args).await,
        Command::Diff(args) => diff::perform(session, args).await,
        Command::DeadLetters(command) => dead_letters::perform(session, command).await,
        Command::Artifacts(command) => artifacts::perform(session, command).await,
        Command::Models(command) => models::perform(session, command).await,
        Command::Pipelines(command) => pipelines::perform(session, command).await,
        Command::ExportTimings(args) => export_timings::perform(session, args).await,
        Command::Cost(args) => cost::perform(session, args).await,
        Command::SimulateScaling(_) => unreachable!("it needs no session: nothing of a fleet is asked"),
        Command::Gc(args) => gc::perform(session, args).await,
        Command::Doctor(_) => unreachable!("it opens the backend by itself, however broken that is"),
        #[cfg(feature = "aws")]
        Command::Setup(_) => unreachable!("it is done before a session is opened: nothing may be there yet"),
    }
}

/// The names of all stages, and of the intake: a wrong one is answered with its nearest.
fn stage_names() -> PossibleValuesParser {
    let stages = CATALOGUE.iter().map(|kind| kind.name);
    PossibleValuesParser::new(stages.chain([pipeline::intake::QUEUE]))
}
