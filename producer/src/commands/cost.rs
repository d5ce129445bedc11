//! `producer cost`: what runs cost on AWS, estimated.

use std::path::PathBuf;

use pipeline::components::Architecture;
use pipeline::{PipelineName, RunId, Timestamp};
use serde::Serialize;

use crate::commands::export_timings::Selection;
use crate::commands::show::branches_of;
use crate::cost::{Basis, Costs, Part, Traffic};
use crate::dates::parse_time;
use crate::exit::{Exit, Failure};
use crate::prices::{self, Prices};
use crate::render::{Cell, Table, count, size};
use crate::session::Session;
use crate::timings::Timing;

/// Estimate what runs cost on AWS, wherever they ran.
///
/// Tasks are reckoned by the size of each component in deploy/components.toml and the time for which its steps held a
/// permit, one permit a task; queues and table by the requests that a linear step was measured to need; objects by the
/// artifacts in the manifests. AWS does not tell which request was of which run, and no run counts its own. Not in it:
/// logs, metrics, the network, images, taxes, discounts.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer cost nightly-2026-11-23
  producer cost --pipeline nightly --since 2026-11-01 --utilisation 0.6
  producer cost --pipeline nightly --traffic batched --spot-share 0.7 --json | jq .dollars_per_run

Objects read are counted as all artifacts of the steps before, once each: no step reads more. Write units of the table \
follow from the size of the run's item half way between its birth and its end.

JSON: {estimate, region, read_on, runs, dollars_per_run, dollars_per_million_executions, total, components: [{component, \
executions, held_seconds, dollars_tasks, dollars_queues, dollars_table, dollars_objects, dollars_storage, dollars, \
artifacts, artifact_bytes}]}; total has the fields of a component, and estimate says what the figures are.")]
pub struct Args {
    /// Only these runs [default: all]
    #[arg(value_name = "RUN")]
    runs: Vec<RunId>,
    /// Only of this pipeline
    #[arg(long, value_name = "NAME", conflicts_with = "runs")]
    pipeline: Option<PipelineName>,
    /// Only runs made since then (UTC unless it says otherwise)
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "runs")]
    since: Option<Timestamp>,
    /// The part of paid task time that is worked; simulate-scaling tells it
    #[arg(long, value_name = "PART", default_value_t = 1.0, value_parser = part_of_one)]
    utilisation: f64,
    /// How many runs are in flight: one, or a hundred, of which ten messages share a request
    #[arg(long, value_enum, default_value_t = Traffic::Single, value_name = "TRAFFIC")]
    traffic: Traffic,
    /// The part of the tasks on Fargate Spot, from 0 to 1 [default: of each component, else 0]
    #[arg(long, value_name = "PART", value_parser = share)]
    spot_share: Option<f64>,
    /// Of the tasks' processors [default: of each component, else x86_64]
    #[arg(long, value_parser = prices::architecture(), value_name = "ARCHITECTURE")]
    architecture: Option<Architecture>,
    /// For how many months artifacts are kept
    #[arg(long, value_name = "MONTHS", default_value_t = 1.0, value_parser = months)]
    keep_months: f64,
    /// Prices of another region or day: a file like producer/src/prices.toml
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

/// Above 0, up to 1.
pub(super) fn part_of_one(text: &str) -> Result<f64, String> {
    let part: Option<f64> = text.parse().ok().filter(|part| *part > 0.0 && *part <= 1.0);
    part.ok_or_else(|| format!("{text:?} is no part above 0 and up to 1"))
}

/// From 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let part: Option<f64> = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| format!("{text:?} is no part from 0 to 1"))
}

fn months(text: &str) -> Result<f64, String> {
    let months: Option<f64> = text
        .parse()
        .ok()
        .filter(|months| (0.0..=1_200.0).contains(months));
    months.ok_or_else(|| format!("{text:?} is no number of months from 0 to 1200"))
}

#[derive(Serialize)]
struct View<'a> {
    estimate: String,
    region: &'a str,
    read_on: &'a str,
    runs: usize,
    dollars_per_run: f64,
    dollars_per_million_executions: f64,
    total: &'a Part,
    components: Vec<ComponentView<'a>>,
}

#[derive(Serialize)]
struct ComponentView<'a> {
    component: &'a str,
    #[serde(flatten)]
    part: &'a Part,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let basis = Basis {
        prices: Prices::load(args.prices.as_deref())?,
        traffic: args.traffic,
        utilisation: args.utilisation,
        spot_share: args.spot_share,
        architecture: args.architecture,
        months_kept: args.keep_months,
    };
    let selection = Selection {
        runs: args.runs,
        pipeline: args.pipeline,
        since: args.since,
    };
    let mut costs = Costs::default();
    selection
        .visit(session, async |run| {
            let timings = Timing::all(run, &branches_of(session, run).await?);
            costs.add(run, &timings, &basis).map_err(Failure::Usage)
        })
        .await?;
    if session.output.is_json() {
        let components = costs.components.iter();
        session.output.json(&View {
            estimate: basis.prices.label(),
            region: &basis.prices.region,
            read_on: &basis.prices.read_on,
            runs: costs.runs,
            dollars_per_run: costs.dollars_per_run(),
            dollars_per_million_executions: costs.dollars_per_million(),
            total: &costs.total,
            components: components
                .map(|(stage, part)| ComponentView {
                    component: stage.as_str(),
                    part,
                })
                .collect(),
        })?;
        return Ok(Exit::Done);
    }
    if costs.total.executions == 0 {
        session.output.say("no step was claimed yet in these runs");
        return Ok(Exit::Done);
    }
    print(session, &costs, &basis)?;
    Ok(Exit::Done)
}

/// Dollars with four digits that say something.
pub(super) fn dollars(value: f64) -> String {
    match value {
        v if v >= 99.995 => format!("${v:.0}"),
        v if v >= 0.9995 => format!("${v:.2}"),
        v if v >= 0.000_999_5 => format!("${v:.5}"),
        0.0 => "$0".into(),
        v => format!("${v:.8}"),
    }
}

fn print(session: &Session, costs: &Costs, basis: &Basis) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "COMPONENT",
        "EXECUTIONS",
        "TASK S",
        "TASKS",
        "QUEUES",
        "TABLE",
        "OBJECTS",
        "STORAGE",
        "ALL",
        "WRITTEN",
    ]);
    let all = costs
        .components
        .iter()
        .map(|(stage, part)| (stage.as_str(), part));
    for (name, part) in all.chain([("all", &costs.total)]) {
        table.row([
            Cell::new(name),
            Cell::new(part.executions.to_string()).right(),
            Cell::new(format!("{:.2}", part.held_seconds)).right(),
            Cell::new(dollars(part.dollars_tasks)).right(),
            Cell::new(dollars(part.dollars_queues)).right(),
            Cell::new(dollars(part.dollars_table)).right(),
            Cell::new(dollars(part.dollars_objects)).right(),
            Cell::new(dollars(part.dollars_storage)).right(),
            Cell::new(dollars(part.dollars)).right(),
            Cell::new(size(part.artifact_bytes)).right(),
        ]);
    }
    session.output.table(&table)?;
    session.output.line("")?;
    session.output.line(&format!(
        "{}: {} a run, {} a million executions of stages",
        count(costs.runs, "run"),
        dollars(costs.dollars_per_run()),
        dollars(costs.dollars_per_million()),
    ))?;
    session.output.line(&basis.prices.label())
}
