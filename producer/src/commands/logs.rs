//! `producer logs`: what workers logged about a run.

use std::collections::HashSet;
use std::time::Duration;

use pipeline::{RunId, RunStatus, StepName};

use crate::exit::{Exit, Failure};
use crate::render::log_line;
use crate::session::Session;

/// Show what workers logged about a run, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer logs nightly-2026-11-23
  producer logs nightly-2026-11-23 --step train -n 50
  producer logs nightly-2026-11-23 --follow
  producer logs nightly-2026-11-23 --json | jq -r 'select(.level == \"ERROR\")'

JSON: the lines as workers wrote them, one object each.")]
pub struct Args {
    /// The run's id
    #[arg(value_name = "RUN")]
    run: RunId,
    /// Only lines about this step
    #[arg(long, value_name = "STEP")]
    step: Option<StepName>,
    /// Go on with new lines until the run ends
    #[arg(long, short)]
    follow: bool,
    /// At most this many of the newest lines
    #[arg(long = "lines", short = 'n', default_value_t = 200, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    lines: u32,
}

/// How often one looks for new lines.
const LOOK: Duration = Duration::from_millis(300);

/// How many lines one looks through for new ones.
const WINDOW: usize = 1000;

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let run = session.run(&args.run).await?;
    if let Some(step) = args.step.as_ref().filter(|step| !run.steps.contains_key(*step)) {
        let steps: Vec<&str> = run.order.iter().map(StepName::as_str).collect();
        return Err(Failure::NotFound(format!(
            "run {} has no step {step}; it has {}",
            run.id,
            steps.join(", ")
        )));
    }
    let most = args.lines as usize;
    let lines = read(session, &args, most).await?;
    show(session, &lines)?;
    if args.follow {
        follow(session, &args, lines, most.max(WINDOW)).await?;
    } else if lines.is_empty() {
        session
            .output
            .say(&format!("no worker logged anything about run {}", args.run));
    }
    Ok(Exit::Done)
}

async fn read(session: &Session, args: &Args, most: usize) -> Result<Vec<String>, Failure> {
    let fleet = &session.backend.fleet;
    Ok(fleet.read_logs(&args.run, args.step.as_ref(), most).await?)
}

/// Shows what comes after `shown`, until the run ends.
async fn follow(session: &Session, args: &Args, shown: Vec<String>, most: usize) -> Result<(), Failure> {
    // Lines of several workers may come late and in between, so a line's place says nothing; but what is older than
    // the oldest line that was shown was left out on purpose.
    let oldest = shown.first().cloned();
    let mut seen: HashSet<String> = shown.into_iter().collect();
    loop {
        // The status first: what was logged before the end is then read below.
        let has_ended = session.run(&args.run).await?.status != RunStatus::Open;
        let lines = read(session, args, most).await?;
        let from = lines
            .iter()
            .position(|line| Some(line) == oldest.as_ref())
            .unwrap_or(0);
        let new: Vec<String> = lines[from..]
            .iter()
            .filter(|line| !seen.contains(*line))
            .cloned()
            .collect();
        show(session, &new)?;
        if has_ended {
            return Ok(());
        }
        // What is not read any more need not be remembered.
        seen = lines.into_iter().collect();
        session.backend.runs.wait_for_end(&args.run, LOOK).await;
    }
}

fn show(session: &Session, lines: &[String]) -> Result<(), Failure> {
    lines.iter().try_for_each(|line| {
        if session.output.is_json() {
            session.output.line(line)
        } else {
            session.output.line(&log_line(line, &session.output))
        }
    })
}
