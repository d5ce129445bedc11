//! What a person sees while a run is under way: a bar for each step on a terminal, a line for each change elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pipeline::protocol::Work;
use pipeline::{RunItem, StepItem, StepName, StepState};

use crate::output;
use crate::worker::ProgressSink;

/// How finely a bar is divided: stages say how far they are as a fraction.
const TICKS: u64 = 1000;

/// The view of one run.
pub struct Progress {
    view: View,
    seen: BTreeMap<StepName, (StepState, u32, u32)>,
    fractions: Arc<Mutex<BTreeMap<StepName, f64>>>,
}

enum View {
    Bars {
        all: MultiProgress,
        bars: BTreeMap<StepName, ProgressBar>,
    },
    Lines,
    Nothing,
}

impl Progress {
    /// A view that fits standard error, or none.
    pub fn new(is_quiet: bool) -> Self {
        let view = if is_quiet {
            View::Nothing
        } else if std::io::stderr().is_terminal() {
            View::Bars {
                all: MultiProgress::new(),
                bars: BTreeMap::new(),
            }
        } else {
            View::Lines
        };
        Self {
            view,
            seen: BTreeMap::new(),
            fractions: Arc::default(),
        }
    }

    /// Where attempts of this process tell how far they are.
    pub fn sink(&self) -> ProgressSink {
        let fractions = self.fractions.clone();
        Arc::new(move |work: &Work, fraction| {
            if work.branch.is_none() {
                fractions
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(work.step.clone(), fraction);
            }
        })
    }

    /// Shows the run as it is now.
    pub fn show(&mut self, run: &RunItem) {
        let fractions = self
            .fractions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (name, step) in run.steps_in_order() {
            match &mut self.view {
                View::Nothing => {}
                View::Bars { all, bars } => {
                    let bar = bars.entry(name.clone()).or_insert_with(|| new_bar(all, name));
                    show_bar(bar, run, name, step, fractions.get(name).copied());
                }
                View::Lines => {
                    let now = (step.state, step.attempt, run.done_count(name));
                    let is_waiting = step.state == StepState::Pending && step.attempt == 0 && now.2 == 0;
                    if self.seen.insert(name.clone(), now) != Some(now) && !is_waiting {
                        output::tell(format_args!("{name}: {}", describe(run, name, step)));
                    }
                }
            }
        }
    }

    /// Ends the view; what it showed stays on the screen.
    pub fn finish(&mut self) {
        if let View::Bars { bars, .. } = &self.view {
            for bar in bars.values().filter(|b| !b.is_finished()) {
                bar.abandon();
            }
        }
    }
}

fn new_bar(all: &MultiProgress, name: &StepName) -> ProgressBar {
    let bar = all.add(ProgressBar::new(TICKS));
    let style = ProgressStyle::with_template("{spinner} {prefix:<16} {bar:24} {elapsed:>5} {msg}");
    bar.set_style(style.expect("the template is a constant that a test renders"));
    bar.set_prefix(name.to_string());
    bar
}

fn show_bar(bar: &ProgressBar, run: &RunItem, name: &StepName, step: &StepItem, fraction: Option<f64>) {
    if bar.is_finished() {
        return;
    }
    bar.set_message(describe(run, name, step));
    let fraction = match step.state {
        StepState::Committed => 1.0,
        StepState::Running => fraction.unwrap_or(0.0),
        StepState::Pending | StepState::Failed => match step.branches {
            Some(n) => f64::from(run.done_count(name)) / f64::from(n.max(1)),
            None => 0.0,
        },
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction of 0 to 1 times a thousand"
    )]
    bar.set_position((fraction.clamp(0.0, 1.0) * TICKS as f64) as u64);
    let is_under_way = step.ready_at.is_some() && !step.state.is_settled();
    match step.state {
        StepState::Committed => bar.finish(),
        StepState::Failed => bar.abandon(),
        StepState::Pending | StepState::Running if is_under_way => {
            if bar.position() == 0 && step.attempt <= 1 {
                bar.enable_steady_tick(Duration::from_millis(120));
            }
        }
        StepState::Pending | StepState::Running => bar.reset_elapsed(),
    }
}

fn describe(run: &RunItem, name: &StepName, step: &StepItem) -> String {
    let attempt = if step.attempt > 1 {
        format!(", attempt {}", step.attempt)
    } else {
        String::new()
    };
    let branches = step.branches.map_or_else(String::new, |n| {
        format!(", {} of {n} branches", run.done_count(name))
    });
    let fault = step
        .fault
        .as_ref()
        .map_or_else(String::new, |f| format!(" ({})", f.message));
    let state = match step.state {
        StepState::Pending if step.ready_at.is_none() => "waits for the step before it",
        StepState::Pending if step.attempt > 0 => "waits for another attempt",
        StepState::Pending => "waits for a worker",
        StepState::Running => "runs",
        StepState::Committed => {
            let is_cached = step.measured.as_ref().is_some_and(|m| m.cached);
            let cached = if is_cached { ", from the cache" } else { "" };
            return format!("committed{branches}{attempt}{cached}");
        }
        StepState::Failed => "failed",
    };
    format!("{state}{branches}{attempt}{fault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_renders() {
        let all = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        new_bar(&all, &StepName::new("train").expect("valid")).finish();
    }
}
