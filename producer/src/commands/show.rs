//! `producer show`: one run, its steps, and why it waits.

use std::time::Duration;

use pipeline::item::{BranchItem, RunItem, StepState};
use pipeline::results::Results;
use pipeline::{RunId, RunStatus, Timestamp};
use serde::Serialize;

use crate::commands::list::took;
use crate::commands::results::{self, results_of};
use crate::exit::{Exit, Failure};
use crate::prices::Prices;
use crate::render::{Cell, Table, ago, duration, printable, size, until};
use crate::requests::RequestsView;
use crate::session::Session;
use crate::view::{CacheView, RunView, StepView, state, state_colour, status_colour};
use crate::waiting::{self, Reason, ReasonView, Surroundings, why_waits};

/// Show a run: its steps, why it waits, and what came out.
///
/// SPENT is how many crashes, passing failures and deaths of memory the step has used up of what it may. The row of a
/// fanned-out step sums up its branches: all attempts, the longest duration, the largest memory, all artifacts. A
/// branch has a row of its own while it is tried and when it failed for good. STOPPED is what was RUNNING (so in the
/// JSON) when the run ended. CACHE says whether the result is an
/// earlier one that depended on the same, and if not, what changed since the step's latest result. MEMORY is the largest
/// that the work took, of what it was estimated to take before, which decided its class.
///
/// On AWS, the requests are those of the attempts that committed, from the receive of their message to its
/// acknowledgement. Not counted are failed attempts, receives that found nothing, the submission, and what processes ask
/// whether there is work or not. What follows a commit is counted as it is when nothing goes wrong and no other run
/// shares a request. The price is an estimate: `producer cost` has the rest of it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer show nightly-2026-11-23
  producer show nightly-2026-11-23 --branches
  producer show nightly-2026-11-23 --json | jq '.waits'

JSON: {run: {…, as in list}, steps: [{step, ordinal, stage, state, class, attempts, spent, branches, \
duration_ms, peak_memory_bytes, demand, cached, cache, cpu_ms, version, ready_at, started_at, lease_until, ended_at, artifacts, \
fault}], waits: [{kind, text}], requests: {sqs, dynamodb_reads, dynamodb_writes, s3_reads, s3_writes, estimated_dollars, region, prices_of}, metric, winner, candidates: [{name, kind, validation, test}], warnings: [{step, text}], \
reports: [{step, path}]}; metric, winner and candidates are there once candidates are measured. Steps come in the plan's order, each followed by its branches, which have \
an ordinal. spent is {crash, transient, memory}, branches {total, settled, failed}, an artifact {name, \
sha256, size_bytes, table: {rows, columns, decoded_bytes}}, demand {memory_bytes, scratch_bytes, reason}, cache {answer, differs, text} with the answers hit, miss and off, fault {class, message, attempt, at}. A waiting kind is one of working, worker_lost, \
backing_off, joining, paused, no_worker, queued, message_lost, larger_class, overdue, deadline. requests is null where \
none were counted, as on one machine.")]
pub struct Args {
    /// The run's id
    #[arg(value_name = "RUN")]
    run: RunId,
    /// Show every branch of fanned-out steps
    #[arg(long)]
    branches: bool,
}

#[derive(Serialize)]
struct View {
    run: RunView,
    steps: Vec<StepView>,
    waits: Vec<ReasonView>,
    requests: Option<RequestsView>,
    #[serde(flatten)]
    results: Results,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let run = session.run(&args.run).await?;
    let branches = branches_of(session, &run).await?;
    let around = surroundings(session, &run, &branches).await?;
    let reasons = why_waits(&run, &branches, &around);
    let steps = StepView::all(&run, &branches);
    let requests = RequestsView::of(&run, &branches, &Prices::built_in());
    let results = results_of(session, &run, &branches).await;
    if session.output.is_json() {
        let waits = reasons.iter().map(|reason| ReasonView {
            kind: reason.kind(),
            text: reason.text(around.now),
        });
        session.output.json(&View {
            run: RunView::of(&run),
            steps,
            waits: waits.collect(),
            requests,
            results,
        })?;
    } else {
        print(session, &run, &steps, &reasons, args.branches, around.now)?;
        let told = requests.map(|requests| format!("  {}", requests.text()));
        section(session, "Requests to AWS", told.as_slice())?;
        results::print(session, &results)?;
    }
    Ok(Exit::Done)
}

/// All branches of a run; nothing is asked for if no step is fanned out.
pub(super) async fn branches_of(session: &Session, run: &RunItem) -> Result<Vec<BranchItem>, Failure> {
    if run.steps.values().any(pipeline::StepItem::is_fanned) {
        Ok(session.backend.runs.load_branches(&run.id, None).await?)
    } else {
        Ok(Vec::new())
    }
}

/// Everything that [`why_waits`] looks at.
pub(super) async fn surroundings(
    session: &Session,
    run: &RunItem,
    branches: &[BranchItem],
) -> Result<Surroundings, Failure> {
    let now = session.now();
    let mut around = Surroundings {
        now,
        ..Surroundings::default()
    };
    let queues = waiting::queues(run, branches);
    if queues.is_empty() {
        return Ok(around);
    }
    around.pauses = session.backend.fleet.pauses().await?;
    around.workers = session.backend.fleet.workers(now).await?;
    for queue in queues {
        let depth = session.backend.queue.depth(&queue).await?;
        around.depths.insert(queue, depth);
    }
    Ok(around)
}

fn print(
    session: &Session,
    run: &RunItem,
    steps: &[StepView],
    reasons: &[Reason],
    all_branches: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    let output = &session.output;
    let field = |name: &str, value: &str| output.line(&format!("{name:10}{}", printable(value)));
    field("run", run.id.as_str())?;
    field("pipeline", run.pipeline.as_str())?;
    output.line(&format!(
        "{:10}{}",
        "status",
        output.paint(run.status.as_str(), status_colour(run.status))
    ))?;
    if let Some(reason) = &run.reason {
        field("reason", reason)?;
    }
    field(
        "created",
        &format!("{} ({})", run.created_at, ago(now, run.created_at)),
    )?;
    match run.ended_at {
        Some(at) => field(
            "ended",
            &format!("{at} ({}, after {})", ago(now, at), took(run, now)),
        )?,
        None => field(
            "deadline",
            &format!("{} ({})", run.deadline, until(now, run.deadline)),
        )?,
    }
    if let Some(parent) = &run.parent {
        field("resumes", parent.as_str())?;
    }
    if let Some(registered) = &run.registered {
        let alias = registered
            .promoted
            .as_ref()
            .map_or("no alias".into(), ToString::to_string);
        field(
            "model",
            &format!("{} ({alias}): {}", registered.model, registered.reason),
        )?;
    }
    field("spec", &run.spec.to_string())?;
    output.line("")?;

    let shown = |view: &&StepView| {
        view.ordinal.is_none() || all_branches || view.state != StepState::Committed && view.attempts > 0
    };
    let mut table = Table::new(&HEADINGS);
    for view in steps.iter().filter(shown) {
        table.row(row(view, steps, run));
    }
    output.table(&table)?;

    let faults: Vec<String> = steps
        .iter()
        .filter(shown)
        .filter_map(|view| view.fault.as_ref().map(|fault| (view.label(), fault)))
        .map(|(label, f)| {
            format!(
                "  {label}, attempt {}, {} ({}): {}",
                f.attempt, f.at, f.class, f.message
            )
        })
        .collect();
    section(session, "Last faults", &faults)?;
    let placed: Vec<String> = steps
        .iter()
        .filter(|view| view.class != pipeline::MemoryClass::Standard.as_str())
        .filter_map(|view| Some((view, view.demand.as_ref()?)))
        .map(|(view, demand)| {
            let (label, class) = (view.label(), view.class);
            format!(
                "  {label}, {class}: {} by {}",
                size(demand.memory_bytes),
                demand.reason
            )
        })
        .collect();
    section(session, "Larger memory classes", &placed)?;
    let waits: Vec<String> = reasons
        .iter()
        .map(|reason| format!("  {}", reason.text(now)))
        .collect();
    section(session, "Waiting", &waits)
}

const HEADINGS: [&str; 11] = [
    "STEP",
    "STAGE",
    "STATE",
    "ATTEMPTS",
    "SPENT",
    "CLASS",
    "TOOK",
    "CACHE",
    "MEMORY",
    "ARTIFACTS",
    "FAULT",
];

/// The row of a step or branch. A fanned-out step does nothing itself: its row sums up its branches.
fn row(view: &StepView, steps: &[StepView], run: &RunItem) -> [Cell; HEADINGS.len()] {
    let is_fanned = view.branches.is_some();
    let parts: Vec<&StepView> = if is_fanned {
        steps
            .iter()
            .filter(|v| v.step == view.step && v.ordinal.is_some())
            .collect()
    } else {
        vec![view]
    };
    let attempts: u32 = parts.iter().map(|v| v.attempts).sum();
    let took = parts.iter().filter_map(|v| v.duration_ms).max();
    let memory = parts.iter().filter_map(|v| v.peak_memory_bytes).max();
    let memory = match (memory, &view.demand) {
        (Some(took), Some(demand)) => Some(format!("{} of {}", size(took), size(demand.memory_bytes))),
        (None, Some(demand)) => Some(format!("? of {}", size(demand.memory_bytes))),
        (took, None) => took.map(size),
    };
    let artifacts = parts.iter().flat_map(|v| &v.artifacts);
    let (n, size_bytes) = artifacts.fold((0u32, 0u64), |(n, sum), a| {
        (n + 1, sum.saturating_add(a.size_bytes))
    });
    let of_branches = view.branches.as_ref().map_or_else(String::new, |b| {
        format!(" {}/{}", b.settled, b.total.map_or("?".into(), |n| n.to_string()))
    });
    [
        Cell::new(if view.ordinal.is_some() {
            format!("  {}", view.label())
        } else {
            view.label()
        }),
        Cell::new(&view.stage),
        shown_state(view, run, &of_branches),
        Cell::new(attempts.to_string()).right(),
        Cell::maybe(spent(view, run)),
        Cell::new(view.class),
        Cell::maybe(took.map(|ms| duration(Duration::from_millis(ms)))).right(),
        Cell::maybe(cached(&parts)),
        Cell::maybe(memory).right(),
        Cell::maybe((n > 0).then(|| format!("{n}, {}", size(size_bytes)))).right(),
        Cell::maybe(view.fault.as_ref().map(|f| f.class)),
    ]
}

/// What a run's end cut short stays as it was: nobody works on it.
fn shown_state(view: &StepView, run: &RunItem, of_branches: &str) -> Cell {
    if run.status != RunStatus::Open && view.state == StepState::Running {
        return Cell::new(format!("STOPPED{of_branches}")).coloured(status_colour(run.status));
    }
    Cell::new(format!("{}{of_branches}", state(view.state))).coloured(state_colour(view.state))
}

/// What the cache said: of all branches the same, or how many hits there were.
fn cached(parts: &[&StepView]) -> Option<String> {
    let notes: Vec<&CacheView> = parts.iter().filter_map(|v| v.cache.as_ref()).collect();
    let (first, rest) = notes.split_first()?;
    if rest.iter().all(|note| note == first) {
        return Some(first.text.clone());
    }
    let hits = notes.iter().filter(|note| note.answer == "hit").count();
    Some(format!("{hits} of {} hit", notes.len()))
}

/// `2 of 3 crashes` and the like; none if nothing was spent.
fn spent(view: &StepView, run: &RunItem) -> Option<String> {
    let budgets = [
        ("crash", view.spent.crash, run.max.crash),
        ("transient", view.spent.transient, run.max.transient),
        ("memory", view.spent.memory, run.max.memory),
    ];
    // A step that is being worked on has its claim charged as a crash until it ends.
    let is_at_work = view.state == StepState::Running;
    let parts: Vec<String> = budgets
        .iter()
        .map(|(name, spent, max)| {
            (
                name,
                spent.saturating_sub(u32::from(is_at_work && *name == "crash")),
                max,
            )
        })
        .filter(|(_, spent, _)| *spent > 0)
        .map(|(name, spent, max)| format!("{name} {spent}/{max}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn section(session: &Session, heading: &str, lines: &[String]) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    session.output.line(&format!("\n{heading}"))?;
    lines
        .iter()
        .try_for_each(|line| session.output.line(&printable(line)))
}
