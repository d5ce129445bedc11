//! What changes in a run while somebody watches: as lines, and as bars.

use std::fmt;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pipeline::item::{RunItem, StepItem, StepState};
use pipeline::{RunStatus, StepName, Timestamp};
use serde::Serialize;

use crate::render::{count, duration, printable};
use crate::view::{BranchesView, state};

/// One change of a run, or of one of its steps. The names are part of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeView {
    /// When it was seen.
    pub at: String,
    /// Of which run.
    pub run: String,
    /// The run's status.
    pub status: RunStatus,
    /// Which step; none if the run itself changed.
    pub step: Option<String>,
    /// The step's state.
    pub state: Option<StepState>,
    /// The step's attempt.
    pub attempt: Option<u32>,
    /// Of a fanned-out step: how its branches stand.
    pub branches: Option<BranchesView>,
    /// More of it, for people.
    pub message: String,
}

impl fmt::Display for ChangeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The time of day is enough: who watches knows the day.
        let time = self.at.split(['T', '.']).nth(1).unwrap_or(&self.at);
        match (&self.step, self.state) {
            (Some(step), Some(at)) => write!(f, "{time}  {step}  {}", state(at))?,
            _ => write!(f, "{time}  run {}  {}", self.run, self.status)?,
        }
        match self.message.as_str() {
            "" => Ok(()),
            message => write!(f, "  {message}"),
        }
    }
}

/// What changed from `before` (nothing was seen yet) to `after`: the steps in the plan's order, then the run, if it
/// is new or ended.
pub fn changes(before: Option<&RunItem>, after: &RunItem, now: Timestamp) -> Vec<ChangeView> {
    let change = |step: Option<&StepName>, work: Option<&StepItem>, message| ChangeView {
        at: now.to_string(),
        run: after.id.to_string(),
        status: after.status,
        step: step.map(ToString::to_string),
        state: work.map(|w| w.state),
        attempt: work.map(|w| w.attempt),
        branches: step
            .zip(work)
            .and_then(|(step, work)| branches(after, step, work)),
        message,
    };
    let mut changes = Vec::new();
    if before.is_none() && after.status == RunStatus::Open {
        changes.push(change(None, None, count(after.order.len(), "step")));
    }
    for (name, work) in after.steps_in_order() {
        let old = before.and_then(|run| run.steps.get(name));
        let was = old.map_or((StepState::Pending, 0, 0), |w| {
            key(before.unwrap_or(after), name, w)
        });
        if was != key(after, name, work) {
            changes.push(change(Some(name), Some(work), describe(after, name, work)));
        }
    }
    if after.status != RunStatus::Open && before.is_none_or(|run| run.status == RunStatus::Open) {
        let took = duration(after.ended_at.unwrap_or(now).since(after.created_at));
        let why = after
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {reason}"));
        changes.push(change(None, None, format!("after {took}{why}")));
    }
    changes
}

/// What makes two states of a step different to who watches.
fn key(run: &RunItem, name: &StepName, work: &StepItem) -> (StepState, u32, u32) {
    (work.state, work.attempt, run.done_count(name))
}

fn branches(run: &RunItem, name: &StepName, work: &StepItem) -> Option<BranchesView> {
    work.is_fanned().then(|| BranchesView {
        total: work.branches,
        settled: run.done_count(name),
        failed: run.lost_count(name),
    })
}

/// What there is to say of a step beside its state.
fn describe(run: &RunItem, name: &StepName, work: &StepItem) -> String {
    if let Some(b) = branches(run, name, work) {
        let total = b.total.map_or("?".into(), |n| n.to_string());
        let failed = if b.failed > 0 {
            format!(", {} failed", b.failed)
        } else {
            String::new()
        };
        return format!("{}/{total} branches{failed}", b.settled);
    }
    match (work.state, &work.measured, &work.fault) {
        (StepState::Running, ..) => format!("attempt {}, class {}", work.attempt, work.class),
        (StepState::Committed, Some(measured), _) => {
            let cached = if measured.cached { " (cached)" } else { "" };
            let artifacts = work.manifest.as_ref().map_or(0, |m| m.artifacts.len());
            let took = duration(std::time::Duration::from_millis(measured.duration_ms));
            format!("{took}{cached}, {}", count(artifacts, "artifact"))
        }
        (StepState::Pending | StepState::Failed, _, Some(fault)) => {
            format!("{}: {}", fault.class.as_str(), fault.message)
        }
        (StepState::Pending | StepState::Committed | StepState::Failed, ..) => String::new(),
    }
}

/// One living line per step, on standard error.
pub struct Bars {
    all: MultiProgress,
    steps: Vec<(StepName, ProgressBar)>,
    note: ProgressBar,
}

impl Bars {
    /// Lines for every step of the run.
    pub fn new(run: &RunItem) -> Self {
        let all = MultiProgress::new();
        let width = run.order.iter().map(|s| s.as_str().len()).max().unwrap_or(0);
        let add = |name: &StepName| {
            let bar = all.add(ProgressBar::no_length().with_prefix(format!("{name:width$}")));
            (name.clone(), bar)
        };
        let steps = run.order.iter().map(add).collect();
        let note = all.add(ProgressBar::no_length());
        note.set_style(style("  {wide_msg:.yellow}"));
        Self { all, steps, note }
    }

    /// Draws the run as it is now; `note` stands below.
    pub fn draw(&self, run: &RunItem, note: Option<String>, now: Timestamp) {
        for (name, bar) in &self.steps {
            let Some(work) = run.steps.get(name) else { continue };
            let is_at_work = work.state == StepState::Running || run.done_count(name) > 0;
            let mark = match work.state {
                StepState::Committed => "{prefix:.green} ✓ {wide_msg}",
                StepState::Failed => "{prefix:.red} ✗ {wide_msg}",
                _ if work.is_fanned() && is_at_work => "{prefix:.cyan} {spinner} [{bar:24}] {wide_msg}",
                StepState::Running => "{prefix:.cyan} {spinner} {wide_msg}",
                StepState::Pending => "{prefix:.dim}   {wide_msg:.dim}",
            };
            bar.set_style(style(mark).progress_chars("=> "));
            if let Some(b) = branches(run, name, work) {
                bar.set_length(u64::from(b.total.unwrap_or(0)));
                bar.set_position(u64::from(b.settled));
            }
            let mut message = describe(run, name, work);
            if let (StepState::Running, Some(since)) = (work.state, work.started_at) {
                message.push_str(&format!(", for {}", duration(now.since(since))));
            }
            bar.set_message(printable(&message));
            bar.tick();
        }
        self.note
            .set_message(note.map_or_else(String::new, |n| printable(&n)));
        self.note.tick();
    }

    /// Draws the run as it ended and leaves the lines where they are.
    pub fn finish(self, run: &RunItem, now: Timestamp) {
        self.draw(run, None, now);
        for (_, bar) in &self.steps {
            bar.abandon();
        }
        self.note.finish_and_clear();
        drop(self.all);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well-formed; a test draws each")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::item::{Fault, FaultClass};
    use pipeline::spec::{Overrides, load};

    fn run() -> RunItem {
        let text = "pipeline = \"p\"\n[[steps]]\nstep = \"a\"\nstage = \"noop\"\nbranches = 2\n[[steps]]\nstep = \"b\"\nstage = \"noop\"\n";
        let spec = load(text, &Overrides::new()).expect("good");
        pipeline::plan::Birth {
            id: pipeline::RunId::new("r").expect("an id"),
            pipeline: spec.pipeline.clone(),
            spec: spec.digest(),
            max: spec.max(),
            now: Timestamp(0),
            deadline: spec.deadline,
        }
        .item(&spec.plan().expect("good"))
    }

    fn step(name: &str) -> StepName {
        StepName::new(name).expect("an id")
    }

    fn lines(before: Option<&RunItem>, after: &RunItem) -> Vec<String> {
        changes(before, after, Timestamp(3_661_000))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_change_is_one_line_and_nothing_else_is() {
        let old = run();
        assert_eq!(lines(None, &old), ["01:01:01  run r  OPEN  2 steps"]);
        assert_eq!(lines(Some(&old), &old), [] as [&str; 0]);

        let mut new = old.clone();
        new.done.insert(step("a"), [0].into());
        new.lost.insert(step("a"), [0].into());
        assert_eq!(
            lines(Some(&old), &new),
            ["01:01:01  a  PENDING  1/2 branches, 1 failed"]
        );

        let work = new.steps.get_mut(&step("b")).expect("a step");
        work.state = StepState::Failed;
        work.attempt = 1;
        work.fault = Some(Fault::new(
            FaultClass::Permanent,
            "no such column",
            1,
            Timestamp(0),
        ));
        new.status = RunStatus::Failed;
        new.reason = Some("step b failed".into());
        new.ended_at = Some(Timestamp(2_000));
        assert_eq!(
            lines(Some(&old), &new)[1..],
            [
                "01:01:01  b  FAILED  permanent: no such column",
                "01:01:01  run r  FAILED  after 2.0 s: step b failed"
            ]
        );
        assert_eq!(lines(Some(&new), &new), [] as [&str; 0]);
    }

    #[test]
    fn every_state_can_be_drawn() {
        let mut item = run();
        let bars = Bars::new(&item);
        bars.all.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        for at in [
            StepState::Pending,
            StepState::Running,
            StepState::Committed,
            StepState::Failed,
        ] {
            for work in item.steps.values_mut() {
                work.state = at;
                work.started_at = Some(Timestamp(0));
            }
            item.done.insert(step("a"), [0].into());
            bars.draw(&item, Some("a note".into()), Timestamp(10));
            assert!(
                bars.steps[0].1.message().starts_with("1/2 branches"),
                "{}",
                bars.steps[0].1.message()
            );
        }
        bars.finish(&item, Timestamp(20));
    }
}
