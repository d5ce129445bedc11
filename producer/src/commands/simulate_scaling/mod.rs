//! `producer simulate-scaling`: what a component's scaling settings would do, without AWS.

mod prepare;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pipeline::MemoryClass;
use pipeline::components::Architecture;

use crate::commands::cost::share;
use crate::commands::stage_names;
use crate::cost::Traffic;
use crate::dates::parse_duration;
use crate::exit::{Exit, Failure};
use crate::prices;
use crate::render::Output;
use crate::scaling::engine::{Outcome, Setting, SimulationError, simulate};
use crate::scaling::policy::{ScaleIn, WakeOn};
use crate::scaling::search::{Found, Search};
use crate::scaling::summary::{Estimate, Figures, figures, over_replications};
use crate::scaling::trace::Trace;
use crate::scaling::{arrivals, durations};
use prepare::Plan;

/// Simulate how a component scales on AWS: waits, utilisation, task-hours, dollars.
///
/// Messages arrive and are worked on by the tasks of a service that target tracking holds at a backlog a task, as the
/// deployment does: one-minute metrics that come late, three minutes above the target to scale out, ten with a surplus
/// to scale in, cooldowns, an alarm that wakes a service without tasks, tasks that need time to start, protection of tasks
/// that work. Nothing of AWS is asked. Equal seeds give equal results; nothing is warmed up, and patterns begin at
/// midnight.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Arrivals:
  poisson:120/h                         independent of each other; rates are /s, /m, /h or /d
  daily:100/h,09:00x6,14:00x4,width=1h  a base rate, and peaks of times of day, so many times it
  burst:5000@00:05,over=2m              so many at a time of day, within a while
  poisson:10/h+burst:5000@00:05         all of them together
  FILE                                  column ready_at of export-timings, or one time a line

Durations:
  const:2s  exp:2s  uniform:1s,3s       the mean, or the ends
  lognormal:2s,cv=1.5                   the mean, and standard deviation over mean
  FILE                                  column held_ms of export-timings, or one duration a line

Examples:
  producer simulate-scaling --component train --arrivals poisson:120/h --durations lognormal:20s,cv=0.5
  producer export-timings --pipeline nightly --worked > timings.csv
  producer simulate-scaling --component train --arrivals timings.csv --durations timings.csv --max 8
  producer simulate-scaling --component explain --arrivals burst:2000@00:05 --durations timings.csv \
--find-cheapest --latency-p95 10m --replications 5 --picture burst.svg

Waits are from the moment a message can be received to the start of the attempt that finishes it. Settings that \
deploy/components.toml has for the component are the defaults. Intervals (±) are of 95 % over the replications. Exit \
code 4: --find-cheapest found no settings that hold the latency.

JSON: {estimate, component, class, seed, replications, policy, task: {permits, vcpu, memory_gb, architecture, \
spot_share}, figures, timeline: [{seconds, waiting, at_work, running, desired}] (of the first replication), search: \
{latency_p95_seconds, found, simulations, tried: [{policy, figures}]}}; search is null without --find-cheapest. policy \
is {target, min, max, scale_in, surplus, scale_out_cooldown_seconds, scale_in_cooldown_seconds, metric_delay_seconds, wake_to, wake_on}. \
figures are messages, wait_p50, wait_p95, wait_p99, wait_max, wait_mean (seconds), utilisation, tasks_mean, tasks_max, \
launched, task_hours, spot_hours, interruptions, lost_hours, dollars_tasks, dollars_requests, dollars and hours, each {mean, \
plus_minus}.")]
pub struct Args {
    /// Whose settings
    #[arg(long, value_name = "COMPONENT", value_parser = stage_names())]
    component: String,
    /// In which memory class: standard, large or xlarge
    #[arg(long, value_name = "CLASS", default_value = "standard", value_parser = parse_class)]
    class: MemoryClass,
    /// When messages arrive: a pattern or a file (see below)
    #[arg(long, value_name = "ARRIVALS")]
    arrivals: arrivals::Source,
    /// How long each holds a permit: a distribution or a file [default: exp: of the component's stage_seconds]
    #[arg(long, value_name = "DURATIONS")]
    durations: Option<durations::Source>,
    /// For how long [default: a day; of a file: as long as it is]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    horizon: Option<Duration>,
    /// What is drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many times, with other draws of the same seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    replications: u32,

    /// Waiting messages a running task that target tracking aims at [default: acceptable latency × permits / mean duration]
    #[arg(long, value_name = "MESSAGES", help_heading = "Policy")]
    target: Option<f64>,
    /// How long a message may wait: the target follows from it [default: of the component]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Policy")]
    acceptable_latency: Option<Duration>,
    /// The fewest tasks [default: of the component]
    #[arg(long, value_name = "TASKS", help_heading = "Policy")]
    min: Option<u32>,
    /// The most tasks [default: of the component]
    #[arg(long, value_name = "TASKS", help_heading = "Policy")]
    max: Option<u32>,
    /// After scaling out only a larger number is obeyed for so long, until the new tasks are in the metrics [default: 180s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Policy")]
    scale_out_cooldown: Option<Duration>,
    /// After scaling in nothing more is taken away for so long [default: 300s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Policy")]
    scale_in_cooldown: Option<Duration>,
    /// What takes tasks away
    #[arg(long, value_enum, default_value_t = ScaleIn::Steps, value_name = "WAY", help_heading = "Policy")]
    scale_in: ScaleIn,
    /// Messages a running task, waiting and at work, below which a quarter is taken away
    /// [default: 1, or half of the target if that is fewer]
    #[arg(long, value_name = "MESSAGES", value_parser = positive, help_heading = "Policy")]
    surplus: Option<f64>,
    /// From a minute to the alarm that sees its metrics
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration, help_heading = "Policy")]
    metric_delay: Duration,
    /// How many tasks the alarm asks for that sees messages and no task
    #[arg(long, value_name = "TASKS", default_value_t = 1, help_heading = "Policy")]
    wake_to: u32,
    /// Which tasks that alarm looks at: those that are wanted, or those that run
    #[arg(long, value_enum, default_value_t = WakeOn::Desired, value_name = "TASKS", help_heading = "Policy")]
    wake_on: WakeOn,

    /// How many messages a task works on at a time
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Tasks", value_parser = clap::value_parser!(u32).range(1..=1000))]
    permits: u32,
    /// From the order of a task to its first receive, as --durations
    #[arg(
        long,
        value_name = "DURATIONS",
        default_value = "const:60s",
        help_heading = "Tasks"
    )]
    task_start: durations::Durations,
    /// Tasks that work may be taken away, as without scale-in protection
    #[arg(long, help_heading = "Tasks")]
    unprotected: bool,
    /// How long a task that is told to stop may finish what it began
    #[arg(long, value_name = "DURATION", default_value = "110s", value_parser = parse_duration, help_heading = "Tasks")]
    drain_timeout: Duration,
    /// The part of the tasks on Fargate Spot, from 0 to 1 [default: of the component]
    #[arg(long, value_name = "PART", value_parser = share, help_heading = "Tasks")]
    spot_share: Option<f64>,
    /// How often AWS takes one Spot task back, on average in an hour; AWS publishes none
    #[arg(long, value_name = "N", default_value_t = 0.05, value_parser = interruptions, help_heading = "Tasks")]
    interruptions_per_hour: f64,

    /// Virtual processors of a task [default: of the component]
    #[arg(long, value_name = "VCPU", help_heading = "Price")]
    cpu: Option<f64>,
    /// Memory of a task, as 4GiB [default: of the component]
    #[arg(long, value_name = "SIZE", value_parser = memory, help_heading = "Price")]
    memory: Option<f64>,
    /// Of its processors [default: of the component]
    #[arg(long, value_parser = prices::architecture(), value_name = "ARCHITECTURE", help_heading = "Price")]
    architecture: Option<Architecture>,
    /// How many runs are in flight: one, or a hundred, of which ten messages share a request
    #[arg(long, value_enum, default_value_t = Traffic::Single, value_name = "TRAFFIC", help_heading = "Price")]
    traffic: Traffic,
    /// Prices of another region or day: a file like producer/src/prices.toml
    #[arg(long, value_name = "FILE", help_heading = "Price")]
    prices: Option<PathBuf>,

    /// Search the cheapest target, bounds and cooldowns that hold a latency; what is given stays
    #[arg(long, requires = "latency_p95", help_heading = "Search")]
    find_cheapest: bool,
    /// What 95 in a hundred messages may wait at most
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "find_cheapest", help_heading = "Search")]
    latency_p95: Option<Duration>,

    /// Draw the first replication into this file, as SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

fn parse_class(text: &str) -> Result<MemoryClass, String> {
    let class = MemoryClass::ALL.into_iter().find(|class| class.as_str() == text);
    class.ok_or_else(|| format!("{text:?} is none of standard, large and xlarge"))
}

fn memory(text: &str) -> Result<f64, String> {
    crate::sizing::gigabytes(text)
        .ok_or_else(|| format!("{text:?} is no size of memory; write for example 4GiB"))
}

fn positive(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    number.ok_or_else(|| format!("{text:?} is no number above 0"))
}

fn interruptions(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok().filter(|rate| (0.0..=1_000.0).contains(rate));
    rate.ok_or_else(|| format!("{text:?} is no number of interruptions from 0 to 1000"))
}

/// All that was simulated of one setting.
struct Simulated {
    setting: Setting,
    figures: Figures<Estimate>,
    /// Of the first replication.
    first: Outcome,
}

/// A search, and what it was for.
struct Searched {
    wait_p95: f64,
    found: Found,
}

pub(crate) fn perform(args: &Args, output: Output) -> Result<Exit, Failure> {
    let plan = Plan::of(args)?;
    let mut traces = Vec::new();
    for replication in 0..args.replications {
        traces.push(plan.draw(args.seed, replication));
    }
    if traces.iter().any(|trace| trace.jobs.is_empty()) {
        return Err(Failure::Usage(
            "nothing arrives in that time: take a longer one (--for) or a higher rate".into(),
        ));
    }
    let searched = match args.latency_p95 {
        Some(wait) if args.find_cheapest => Some(search(args, &plan, &traces, wait, output)?),
        _ => None,
    };
    let best = searched
        .as_ref()
        .and_then(|s| s.found.cheapest.as_ref().or_else(|| s.found.tried.first()));
    let setting = Setting {
        policy: best.map_or_else(|| plan.setting.policy.clone(), |tried| tried.policy.clone()),
        task: plan.setting.task.clone(),
    };
    let simulated = replicate(args, &plan, &traces, setting, output)?;
    report::write(args, &plan, &traces[0], &simulated, searched.as_ref(), output)?;
    match searched {
        Some(Searched { wait_p95, found }) if found.cheapest.is_none() => Err(Failure::Conflict(format!(
            "none of the settings that were tried holds {wait_p95} s for 95 in a hundred messages; shown is the best of \
             them. More tasks (--max), tasks that are always there (--min) or a longer wait may do"
        ))),
        _ => Ok(Exit::Done),
    }
}

fn failed(error: SimulationError) -> Failure {
    Failure::Usage(error.to_string())
}

/// A bar on standard error, if somebody watches.
fn bar(length: u64, what: &'static str, output: Output) -> ProgressBar {
    if !output.is_live() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} {eta}")
        .expect("the template is a constant, and the tests draw it")
        .progress_chars("=> ");
    ProgressBar::new(length).with_style(style).with_prefix(what)
}

fn replicate(
    args: &Args,
    plan: &Plan,
    traces: &[Trace],
    setting: Setting,
    output: Output,
) -> Result<Simulated, Failure> {
    let bar = bar(traces.len() as u64, "simulating", output);
    let (mut all, mut first) = (Vec::new(), None);
    for (nth, trace) in (0_u32..).zip(traces) {
        let outcome = simulate(&setting, trace, args.seed, nth).map_err(failed)?;
        all.push(figures(&setting, trace, &outcome, &plan.bill));
        first = first.or(Some(outcome));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Simulated {
        figures: over_replications(&all),
        first: first.expect("there is at least one replication: the command line has a range"),
        setting,
    })
}

fn search(
    args: &Args,
    plan: &Plan,
    traces: &[Trace],
    wait: Duration,
    output: Output,
) -> Result<Searched, Failure> {
    let wait_p95 = wait.as_secs_f64();
    let search = Search {
        setting: plan.setting.clone(),
        wait_p95,
        fixed: plan.fixed,
    };
    let bar = bar(1, "searching", output);
    let found = search.run(traces, args.seed, &plan.bill, &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok(Searched {
        wait_p95,
        found: found.map_err(failed)?,
    })
}
