//! What people, scripts and pages get of a simulation.

use clap::ValueEnum;
use serde::Serialize;

use super::{Args, Plan, Searched, Simulated};
use crate::commands::cost::dollars;
use crate::exit::Failure;
use crate::render::{Cell, Output, Table, count};
use crate::scaling::chart::{Spans, clock, short, text};
use crate::scaling::picture;
use crate::scaling::policy::Policy;
use crate::scaling::seconds;
use crate::scaling::summary::{Estimate, Figures};
use crate::scaling::trace::Trace;

/// How many columns the charts of a terminal have, and those of a picture.
const COLUMNS: usize = 72;
const PICTURE_COLUMNS: usize = 288;

#[derive(Serialize)]
struct View<'a> {
    estimate: String,
    component: &'a str,
    class: &'static str,
    seed: u64,
    replications: u32,
    policy: PolicyView,
    task: TaskView,
    figures: &'a Figures<Estimate>,
    timeline: Vec<MomentView>,
    search: Option<SearchView<'a>>,
}

#[derive(Serialize)]
struct PolicyView {
    target: f64,
    min: u32,
    max: u32,
    scale_in: String,
    surplus: Option<f64>,
    scale_out_cooldown_seconds: f64,
    scale_in_cooldown_seconds: f64,
    metric_delay_seconds: f64,
    wake_to: u32,
    wake_on: String,
}

impl PolicyView {
    fn of(policy: &Policy) -> Self {
        Self {
            target: policy.target,
            min: policy.min,
            max: policy.max,
            scale_in: word(&policy.scale_in),
            surplus: policy.surplus,
            scale_out_cooldown_seconds: seconds(policy.out_cooldown),
            scale_in_cooldown_seconds: seconds(policy.in_cooldown),
            metric_delay_seconds: seconds(policy.delay),
            wake_to: policy.wake_to,
            wake_on: word(&policy.wake_on),
        }
    }
}

/// A choice as the command line has it.
fn word(choice: &impl ValueEnum) -> String {
    choice
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

#[derive(Serialize)]
struct TaskView {
    permits: u32,
    vcpu: f64,
    memory_gb: f64,
    architecture: pipeline::components::Architecture,
    spot_share: f64,
}

#[derive(Serialize)]
struct MomentView {
    seconds: f64,
    waiting: u32,
    at_work: u32,
    running: u32,
    desired: u32,
}

#[derive(Serialize)]
struct SearchView<'a> {
    latency_p95_seconds: f64,
    found: bool,
    simulations: usize,
    tried: Vec<TriedView<'a>>,
}

#[derive(Serialize)]
struct TriedView<'a> {
    policy: PolicyView,
    figures: &'a Figures<Estimate>,
}

pub(super) fn write(
    args: &Args,
    plan: &Plan,
    trace: &Trace,
    simulated: &Simulated,
    searched: Option<&Searched>,
    output: Output,
) -> Result<(), Failure> {
    if let Some(path) = &args.picture {
        let spans = Spans::cut(trace, &simulated.first, PICTURE_COLUMNS);
        let svg = picture::draw(&title(args), &about(plan, simulated), &spans);
        std::fs::write(path, svg).map_err(Failure::file(format!("write {}", path.display())))?;
        output.say(&format!("the picture is in {}", path.display()));
    }
    if output.is_json() {
        return output.json(&view(args, plan, simulated, searched));
    }
    if let Some(searched) = searched {
        tried(searched, output)?;
    }
    let task = &simulated.setting.task;
    output.line(&title(args))?;
    output.line(&about(plan, simulated))?;
    output.line(&format!(
        "tasks of {} vCPU, {} GB, {}; mean duration {} s; seed {}, {}",
        plan.bill.vcpu,
        plan.bill.memory_gb,
        count(task.permits as usize, "permit"),
        short(plan.durations.mean_seconds()),
        args.seed,
        count(args.replications as usize, "replication"),
    ))?;
    output.line("")?;
    output.table(&figures(&simulated.figures))?;
    output.line(&format!("dollars are {}", plan.bill.prices.label()))?;
    let spans = Spans::cut(trace, &simulated.first, COLUMNS);
    let waits: Vec<f64> = spans.wait_p95.iter().map(|wait| wait.unwrap_or(0.0)).collect();
    for (title, unit, values) in [
        ("messages that wait", "", &spans.waiting),
        ("tasks that run", "", &spans.running),
        ("wait by time of arrival, p95", " s", &waits),
    ] {
        output.line("")?;
        for line in text(title, unit, values, spans.length) {
            output.line(&line)?;
        }
    }
    Ok(())
}

fn view<'a>(
    args: &'a Args,
    plan: &Plan,
    simulated: &'a Simulated,
    searched: Option<&'a Searched>,
) -> View<'a> {
    let moments = simulated.first.moments.iter();
    let timeline = moments.map(|moment| MomentView {
        seconds: seconds(moment.at),
        waiting: moment.seen.visible,
        at_work: moment.seen.in_flight,
        running: moment.seen.running,
        desired: moment.desired,
    });
    let search = searched.map(|searched| SearchView {
        latency_p95_seconds: searched.wait_p95,
        found: searched.found.cheapest.is_some(),
        simulations: searched.found.simulations,
        tried: searched
            .found
            .tried
            .iter()
            .map(|tried| TriedView {
                policy: PolicyView::of(&tried.policy),
                figures: &tried.figures,
            })
            .collect(),
    });
    View {
        estimate: plan.bill.prices.label(),
        component: &args.component,
        class: args.class.as_str(),
        seed: args.seed,
        replications: args.replications,
        policy: PolicyView::of(&simulated.setting.policy),
        task: TaskView {
            permits: simulated.setting.task.permits,
            vcpu: plan.bill.vcpu,
            memory_gb: plan.bill.memory_gb,
            architecture: plan.bill.architecture,
            spot_share: simulated.setting.task.spot_share,
        },
        figures: &simulated.figures,
        timeline: timeline.collect(),
        search,
    }
}

fn title(args: &Args) -> String {
    format!("{} ({}), simulated", args.component, args.class)
}

fn about(plan: &Plan, simulated: &Simulated) -> String {
    let Policy {
        target,
        min,
        max,
        out_cooldown,
        in_cooldown,
        ..
    } = simulated.setting.policy;
    format!(
        "{min} to {max} tasks, target {} waiting a task, cooldowns {} s out and {} s in, over {}",
        short(target),
        seconds(out_cooldown),
        seconds(in_cooldown),
        clock(plan.horizon.max(simulated.first.ended)),
    )
}

fn interval(estimate: Estimate, show: impl Fn(f64) -> String) -> [Cell; 2] {
    let plus_minus = estimate.plus_minus.map(&show);
    [
        Cell::new(show(estimate.mean)).right(),
        Cell::maybe(plus_minus).right(),
    ]
}

fn figures(figures: &Figures<Estimate>) -> Table {
    let mut table = Table::new(&["FIGURE", "MEAN", "±"]);
    let mut row = |name: &str, estimate: Estimate, show: &dyn Fn(f64) -> String| {
        let [mean, plus_minus] = interval(estimate, show);
        table.row([Cell::new(name), mean, plus_minus]);
    };
    let in_seconds = |value: f64| format!("{} s", short(value));
    let in_percent = |value: f64| format!("{:.1} %", value * 100.0);
    let of_a_thousand = |estimate: Estimate| Estimate {
        mean: estimate.mean / figures.messages.mean * 1e3,
        plus_minus: estimate.plus_minus.map(|half| half / figures.messages.mean * 1e3),
    };
    let of_a_day = |estimate: Estimate| Estimate {
        mean: estimate.mean / figures.hours.mean * 24.0,
        plus_minus: estimate.plus_minus.map(|half| half / figures.hours.mean * 24.0),
    };
    row("messages", figures.messages, &short);
    row("wait, mean", figures.wait_mean, &in_seconds);
    row("wait, p50", figures.wait_p50, &in_seconds);
    row("wait, p95", figures.wait_p95, &in_seconds);
    row("wait, p99", figures.wait_p99, &in_seconds);
    row("wait, longest", figures.wait_max, &in_seconds);
    row("utilisation", figures.utilisation, &in_percent);
    row("tasks, mean", figures.tasks_mean, &short);
    row("tasks, most", figures.tasks_max, &short);
    row("tasks launched", figures.launched, &short);
    row("task-hours", figures.task_hours, &short);
    if figures.spot_hours.mean > 0.0 {
        row("  of them Spot", figures.spot_hours, &short);
    }
    if figures.interruptions.mean > 0.0 {
        row("attempts cut off", figures.interruptions, &short);
        row("hours lost by that", figures.lost_hours, &short);
    }
    row("dollars, tasks", figures.dollars_tasks, &dollars);
    row("dollars, requests", figures.dollars_requests, &dollars);
    row("dollars", figures.dollars, &dollars);
    row("dollars a day", of_a_day(figures.dollars), &dollars);
    row(
        "dollars for 1,000 messages",
        of_a_thousand(figures.dollars),
        &dollars,
    );
    table
}

fn tried(searched: &Searched, output: Output) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "TARGET",
        "MIN",
        "MAX",
        "OUT",
        "IN",
        "WAIT P95",
        "±",
        "UTILISATION",
        "DOLLARS",
        "HOLDS",
    ]);
    for tried in &searched.found.tried {
        let (policy, figures) = (&tried.policy, &tried.figures);
        let is_held = tried.holds(searched.wait_p95);
        let [wait, plus_minus] = interval(figures.wait_p95, |value| format!("{} s", short(value)));
        table.row([
            Cell::new(short(policy.target)).right(),
            Cell::new(policy.min.to_string()).right(),
            Cell::new(policy.max.to_string()).right(),
            Cell::new(format!("{} s", seconds(policy.out_cooldown))).right(),
            Cell::new(format!("{} s", seconds(policy.in_cooldown))).right(),
            wait,
            plus_minus,
            Cell::new(format!("{:.1} %", figures.utilisation.mean * 100.0)).right(),
            Cell::new(dollars(figures.dollars.mean)).right(),
            Cell::new(if is_held { "yes" } else { "no" }),
        ]);
    }
    output.table(&table)?;
    output.line(&format!(
        "{} simulations; a wait is held if its p95 and the interval around it are at most {} s",
        searched.found.simulations, searched.wait_p95
    ))?;
    output.line("")
}
