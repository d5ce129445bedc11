//! The command line. Together with [`crate::commands`] it is the manual; the texts are frozen in `tests/help`.

use std::io::IsTerminal as _;

use clap::{Args, ColorChoice, Parser, Subcommand};
use pipeline::Timestamp;

use pipeline::Address;

use crate::backend::Access;
#[cfg(feature = "aws")]
use crate::commands::setup;
use crate::commands::{
    artifacts, cancel, cost, dead_letters, diff, doctor, export_timings, extend, gc, list, logs, models,
    pause, pipelines, resume, show, simulate_scaling, submit, unpause, watch, workers,
};
use crate::exit::{EXIT_CODES, Failure};

/// Submit pipelines, see how their runs do, and step in.
///
/// A specification (a TOML file) says what a pipeline does. `submit` makes a run of it; the fleet's workers carry
/// the run out step by step; everything else here looks at runs or steps in.
#[derive(Debug, Parser)]
#[command(name = "producer", version, max_term_width = 100, after_long_help = top_help())]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn top_help() -> String {
    format!(
        "Examples:
  producer submit pipeline.toml --watch
  producer submit pipeline.toml --date yesterday
  producer list --status failed
  producer show RUN
  producer resume RUN

Data go to standard output, messages to standard error. With --json there is one document per command \
(one per line for watch and logs), whose fields each command's --help names; times are RFC 3339 in UTC.

{EXIT_CODES}"
    )
}

/// What holds for every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Where the fleet keeps its state: local:FOLDER, or aws:NAME
    #[arg(
        long,
        global = true,
        env = "FLEETLINE_BACKEND",
        default_value = "local:.fleetline",
        value_name = "BACKEND"
    )]
    #[arg(hide_env_values = true, help_heading = "Global options")]
    pub backend: Address,
    /// Write JSON for scripts instead of text for people
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    #[arg(help_heading = "Global options")]
    pub color: ColorChoice,
}

impl Global {
    /// True if data are to be written in colour.
    #[allow(
        clippy::disallowed_methods,
        reason = "this file is the configuration; the convention is https://no-color.org"
    )]
    pub fn is_coloured(&self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let is_refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
                !is_refused && std::io::stdout().is_terminal()
            }
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
#[allow(
    missing_docs,
    reason = "the documentation of each command's arguments is its help; one here would hide it"
)]
pub enum Command {
    Submit(submit::Args),
    Watch(watch::Args),
    List(list::Args),
    Show(show::Args),
    Logs(logs::Args),
    Cancel(cancel::Args),
    Resume(resume::Args),
    Extend(extend::Args),
    Pause(pause::Args),
    Unpause(unpause::Args),
    Workers(workers::Args),
    Diff(diff::Args),
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    #[command(subcommand)]
    Artifacts(artifacts::Command),
    #[command(subcommand)]
    Models(models::Command),
    #[command(subcommand)]
    Pipelines(pipelines::Command),
    ExportTimings(export_timings::Args),
    Cost(cost::Args),
    SimulateScaling(Box<simulate_scaling::Args>),
    Gc(gc::Args),
    Doctor(doctor::Args),
    #[cfg(feature = "aws")]
    Setup(setup::Args),
}

impl Command {
    /// Checks what can be checked before the backend is opened, or made.
    pub fn prepare(&mut self, now: Timestamp) -> Result<(), Failure> {
        match self {
            Self::Submit(args) => args.prepare(now),
            _ => Ok(()),
        }
    }

    /// What it does to the backend.
    pub fn access(&self) -> Access {
        match self {
            Self::Submit(_) => Access::Create,
            Self::Watch(_)
            | Self::List(_)
            | Self::Show(_)
            | Self::Logs(_)
            | Self::Workers(_)
            | Self::Diff(_)
            | Self::ExportTimings(_)
            | Self::Cost(_)
            | Self::SimulateScaling(_)
            | Self::Doctor(_)
            | Self::Artifacts(_) => Access::Look,
            Self::Cancel(_) | Self::Resume(_) | Self::Extend(_) | Self::Pause(_) | Self::Unpause(_) => {
                Access::Change
            }
            Self::DeadLetters(command) => command.access(),
            Self::Models(command) => command.access(),
            Self::Pipelines(command) => command.access(),
            Self::Gc(args) => args.access(),
            #[cfg(feature = "aws")]
            Self::Setup(_) => Access::Create,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
