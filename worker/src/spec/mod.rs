//! `worker spec`: what a specification says, and what one can say.

mod check;
mod docs;
mod init;
mod kinds;
mod told;

use std::process::ExitCode;

pub use check::CheckArgs;
pub use docs::{EXAMPLE, reference};
pub use init::InitArgs;

use crate::output;

/// Commands about specifications that run nothing.
#[derive(Debug, clap::Subcommand)]
pub enum SpecCommand {
    /// Says what a specification will do, or everything that is wrong with it
    #[command(after_help = "\
Examples:
  worker spec check pipeline.toml
  worker spec check pipeline.toml --set from=2013-02-01 --json

Exit codes: 0 it is right, 2 it is wrong or cannot be read.")]
    Check(CheckArgs),
    /// Prints the reference of specifications, in Markdown
    #[command(after_help = "\
Example:
  worker spec docs > specification.md")]
    Docs,
    /// Prints a commented specification to start from, written for a file of data
    #[command(after_help = "\
Examples:
  worker spec init flights.csv.gz --label late > flights.toml
  worker spec init data/sales.parquet --label amount --pipeline sales

Exit codes: 0 it is written, 2 the data cannot be read or the label cannot be predicted.")]
    Init(InitArgs),
}

/// Carries the command out.
pub fn perform(command: &SpecCommand) -> ExitCode {
    match command {
        SpecCommand::Check(args) => check::perform(args),
        SpecCommand::Docs => output::end_with(reference(), ExitCode::SUCCESS),
        SpecCommand::Init(args) => init::perform(args),
    }
}
