//! The people's binary as a library: what people do to runs, and what they see of them.
//!
//! It knows the ports of [`pipeline::ports`] and no stage. Only [`backend`] names a backend, only [`cli`] reads the
//! environment, only [`host`] touches the clock. It stays small: it starts in milliseconds.

pub mod backend;
pub mod cli;
pub mod commands;
pub mod cost;
pub mod dates;
pub mod diff;
pub mod doctor;
pub mod exit;
pub mod garbage;
pub mod host;
pub mod prices;
pub mod queues;
pub mod render;
pub mod requests;
pub mod scaling;
pub mod session;
pub mod sizing;
pub mod timings;
pub mod view;
pub mod waiting;
pub mod watching;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::exit::{Exit, Failure};

/// Parses the command line, does what it says, and says how that ended.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to be done if even this cannot be written.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(Exit::Usage.into(), ExitCode::from);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::complain(&format!("cannot start: {error}"));
            return Exit::Error.into();
        }
    };
    let exit = match runtime.block_on(run(cli)) {
        Ok(exit) => exit,
        Err(failure) => {
            if !matches!(failure, Failure::ReaderGone) {
                render::complain(&failure.to_string());
            }
            failure.exit()
        }
    };
    exit.into()
}

async fn run(mut cli: cli::Cli) -> Result<Exit, Failure> {
    let host = host::real();
    cli.command.prepare(host.clock.now())?;
    let output = render::Output::new(cli.global.json, cli.global.is_coloured());
    if let cli::Command::SimulateScaling(args) = &cli.command {
        return commands::simulate_scaling::perform(args, output);
    }
    if let cli::Command::Doctor(args) = cli.command {
        return commands::doctor::perform(&cli.global.backend, &host, output, args).await;
    }
    #[cfg(feature = "aws")]
    if let cli::Command::Setup(args) = cli.command {
        return commands::setup::perform(&cli.global.backend, &host, output, args).await;
    }
    let backend = backend::open(&cli.global.backend, cli.command.access(), &host).await?;
    let session = session::Session {
        backend,
        host,
        output,
    };
    commands::perform(&session, cli.command).await
}
