//! The report for people.

mod curves;
mod leaderboard;
mod parts;
mod verdict;

use ml::dataset::Task;
use ml::metrics::Interval;
use ml::report::{Page, Tile, Tone, count, number};

use super::Job;
use super::candidate::Candidate;
use super::document::{Curves, Evaluation, Measured, Verdict, task_name};

/// What people call a metric.
fn title(metric: &str) -> String {
    match metric {
        "auc" => "AUC".into(),
        "pr_auc" => "PR AUC".into(),
        "brier" => "Brier".into(),
        "f1" => "F1".into(),
        "macro_f1" => "macro F1".into(),
        "mcc" => "MCC".into(),
        "ece" => "ECE".into(),
        "rmse" => "RMSE".into(),
        "mae" => "MAE".into(),
        "r2" => "R\u{b2}".into(),
        "mape" => "MAPE".into(),
        other => other.replace('_', " "),
    }
}

pub(super) fn render(
    job: &Job<'_>,
    evaluation: &Evaluation,
    verdict: &Verdict,
    candidates: &[Candidate],
) -> String {
    let report = Report {
        job,
        evaluation,
        verdict,
        candidates,
    };
    report.page().render()
}

struct Report<'a> {
    job: &'a Job<'a>,
    evaluation: &'a Evaluation,
    verdict: &'a Verdict,
    candidates: &'a [Candidate],
}

impl Report<'_> {
    fn page(&self) -> Page {
        let Evaluation { task, rows, .. } = self.evaluation;
        let (badge, tone) = match (self.verdict.passed, self.verdict.promote) {
            (false, _) => ("gates not passed", Tone::Bad),
            (true, false) => ("not to be promoted", Tone::Warning),
            (true, true) => ("passed", Tone::Good),
        };
        let mut page = Page::new(format!(
            "Evaluation of {}",
            self.job.context.assignment.spec.pipeline
        ))
        .subtitle(format!(
            "{} predicts {} \u{b7} {} \u{b7} chosen on {} rows of validation, judged on {} of test",
            self.verdict.winner.name,
            self.job.dataset.label,
            task_name(*task),
            count(rows.validation),
            count(rows.test)
        ))
        .badge(badge, tone);
        for tile in self.tiles() {
            page = page.tile(tile);
        }
        let sections = [
            self.verdict_section(),
            self.leaderboard(),
            self.curves(),
            self.classes(),
            self.slices(),
            self.training(),
        ];
        sections
            .into_iter()
            .filter(|section| !section.is_empty())
            .fold(page, Page::section)
    }

    fn winner(&self) -> &Measured {
        let ordinal = self.verdict.winner.ordinal;
        self.evaluation
            .candidates
            .iter()
            .find(|c| c.ordinal == ordinal)
            .expect("the winner is one of the candidates")
    }

    fn winner_curves(&self) -> &Curves {
        &self.evaluation.curves[&self.verdict.winner.ordinal]
    }

    fn tiles(&self) -> Vec<Tile> {
        let (winner, chooser) = (self.winner(), self.job.metric);
        let value = |metric: &str| winner.test.get(metric).copied().flatten().unwrap_or(f64::NAN);
        let mut tiles = vec![
            Tile::new("Winner", &winner.name).note(match self.candidates.len() {
                1 => "the only candidate".to_owned(),
                n => format!("best of {n} candidates"),
            }),
        ];
        let others = match self.evaluation.task {
            Task::Binary => ["auc", "pr_auc", "log_loss"],
            Task::Multiclass => ["log_loss", "accuracy", "macro_f1"],
            Task::Regression => ["rmse", "mae", "r2"],
        };
        let others = others.into_iter().filter(|name| *name != chooser.name).take(2);
        for name in [chooser.name].into_iter().chain(others) {
            let tile = Tile::new(format!("{} on test", title(name)), number(value(name)));
            tiles.push(match winner.intervals.get(name) {
                Some(interval) => tile.note(format!("95 %: {}", range(*interval))),
                None => tile,
            });
        }
        if !self.verdict.gates.is_empty() {
            let passed = self.verdict.gates.iter().filter(|g| g.passed).count();
            let tone = if self.verdict.passed {
                Tone::Good
            } else {
                Tone::Bad
            };
            tiles.push(
                Tile::new("Gates", format!("{passed} of {}", self.verdict.gates.len()))
                    .note("passed")
                    .tone(tone),
            );
        }
        tiles
    }
}

fn range(Interval { low, high }: Interval) -> String {
    format!("{} to {}", number(low), number(high))
}
