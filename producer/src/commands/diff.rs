//! `producer diff`: how two runs differ.

use std::time::Duration;

use pipeline::RunId;

use crate::commands::show::branches_of;
use crate::diff::{Changed, Side, StepDiff, compare};
use crate::exit::{Exit, Failure};
use crate::render::{Cell, Colour, Table, duration, printable};
use crate::session::Session;

/// Compare two runs: what they were told, and what came out, step by step.
///
/// Artifacts are compared by their digests. The first step whose artifacts differ is where to look: all before it is
/// equal to the byte.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer diff nightly-2026-11-22 nightly-2026-11-23
  producer diff nightly-2026-11-22 nightly-2026-11-23 --json | jq -r .first_difference

JSON: {spec: [{key, left, right}], steps: [{step, state, version, duration_ms, artifacts_equal, artifacts: \
[{key, left, right}]}], first_difference}; state, version and duration_ms are [left, right], left and \
right of artifacts are digests.")]
pub struct Args {
    /// One run's id
    #[arg(value_name = "LEFT")]
    left: RunId,
    /// The other's
    #[arg(value_name = "RIGHT")]
    right: RunId,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let (left, right) = (
        side(session, &args.left).await?,
        side(session, &args.right).await?,
    );
    let difference = compare(&left, &right);
    let output = &session.output;
    if output.is_json() {
        output.json(&difference)?;
        return Ok(Exit::Done);
    }
    if !difference.spec.is_empty() {
        let mut table = Table::new(&["SPECIFICATION", args.left.as_str(), args.right.as_str()]);
        for Changed { key, left, right } in &difference.spec {
            table.row([
                Cell::new(key),
                Cell::maybe(left.as_ref()),
                Cell::maybe(right.as_ref()),
            ]);
        }
        output.table(&table)?;
        output.line("")?;
    }
    let mut table = Table::new(&["STEP", "STATE", "VERSION", "TOOK", "ARTIFACTS"]);
    for step in &difference.steps {
        let took = step
            .duration_ms
            .map(|ms| ms.map(|ms| duration(Duration::from_millis(ms))));
        let colour = if step.artifacts.is_empty() {
            None
        } else {
            Some(Colour::Yellow)
        };
        table.row([
            Cell::new(&step.step),
            Cell::new(both(step.state.clone())),
            Cell::new(both(step.version.clone())),
            Cell::new(both(took)),
            Cell::new(artifacts(step)).coloured(colour),
        ]);
    }
    output.table(&table)?;
    output.line("")?;
    let equal: usize = difference.steps.iter().map(|step| step.artifacts_equal).sum();
    output.line(&match &difference.first_difference {
        Some(step) => printable(&format!("step {step} is the first whose artifacts differ")),
        None if equal == 0 => "neither run has artifacts to compare".into(),
        None => "all artifacts are equal to the byte".into(),
    })?;
    Ok(Exit::Done)
}

async fn side(session: &Session, id: &RunId) -> Result<Side, Failure> {
    let run = session.run(id).await?;
    Ok(Side {
        branches: branches_of(session, &run).await?,
        spec: session.spec(&run).await?,
        run,
    })
}

/// One word if both sides say the same, `left → right` if not.
fn both([left, right]: [Option<String>; 2]) -> String {
    if left == right {
        return left.unwrap_or_default();
    }
    let or_dash = |side: Option<String>| side.unwrap_or_else(|| "-".into());
    format!("{} → {}", or_dash(left), or_dash(right))
}

fn artifacts(step: &StepDiff) -> String {
    let names: Vec<&str> = step.artifacts.iter().map(|a| a.key.as_str()).collect();
    match (step.artifacts_equal, names.len()) {
        (0, 0) => String::new(),
        (n, 0) => format!("{n} equal"),
        (n, _) => format!("{n} equal, other: {}", names.join(" ")),
    }
}
