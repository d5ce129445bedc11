//! All candidates by all metrics.

use ml::metrics::{self, Interval};
use ml::report::{Axis, Bar, Cell, Figure, Section, Table, Tone};

use super::super::document::Measured;
use super::{Report, range, title};
use crate::flow::Split;

impl Report<'_> {
    pub(super) fn leaderboard(&self) -> Section {
        let chooser = self.job.metric;
        let table = |split: Split| {
            let metrics = || metrics::metrics_of(self.evaluation.task);
            let head = ["Candidate".to_owned()]
                .into_iter()
                .chain(metrics().map(|m| title(m.name)));
            let mut table = Table::new(head).caption(match split {
                Split::Test => "On test, with 95 % intervals",
                Split::Train | Split::Validation => "On validation, by which the winner is chosen",
            });
            for candidate in self.by_rank() {
                let values = match split {
                    Split::Test => &candidate.test,
                    Split::Train | Split::Validation => &candidate.validation,
                };
                let row = [name_cell(candidate)].into_iter().chain(metrics().map(|metric| {
                    let cell = Cell::optional(values.get(metric.name).copied().flatten());
                    match candidate
                        .intervals
                        .get(metric.name)
                        .filter(|_| split == Split::Test)
                    {
                        Some(interval) => cell.note(range(*interval)),
                        None => cell,
                    }
                }));
                table = match candidate.ordinal == self.verdict.winner.ordinal {
                    true => table.highlighted(row),
                    false => table.row(row),
                };
            }
            table
        };
        let direction = if chooser.higher_is_better { "more" } else { "less" };
        let bars = self.by_rank().into_iter().filter_map(|candidate| {
            let value = candidate.test.get(chooser.name).copied().flatten()?;
            let bar = Bar::new(&candidate.name, value);
            Some(match candidate.intervals.get(chooser.name) {
                Some(Interval { low, high }) => bar.interval(*low, *high),
                None => bar,
            })
        });
        let mut section = Section::new("Leaderboard")
            .text(format!(
                "Chosen by {} on validation ({direction} is better). Test is only reported, so its figures are of rows \
                 that no choice has seen.",
                title(chooser.name)
            ))
            .table(table(Split::Validation))
            .table(table(Split::Test));
        if self.candidates.len() > 1 {
            let axis = Axis::new(title(chooser.name));
            section = section.figure(
                Figure::bars(format!("{} on test", title(chooser.name)), axis)
                    .all(bars)
                    .about("with 95 % intervals"),
            );
        }
        match self.undefined() {
            Some(note) => section.note(Tone::Warning, note),
            None => section,
        }
    }

    /// The candidates, best on validation first.
    pub(super) fn by_rank(&self) -> Vec<&Measured> {
        let value = |c: &Measured| c.validation.get(self.job.metric.name).copied().flatten();
        let mut ranked: Vec<&Measured> = self.evaluation.candidates.iter().collect();
        ranked.sort_by(|a, b| {
            let is_winner = |c: &Measured| c.ordinal == self.verdict.winner.ordinal;
            let by_value = match (value(a), value(b)) {
                (Some(a), Some(b)) => self.job.metric.advantage(b, a).total_cmp(&0.0),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            is_winner(b).cmp(&is_winner(a)).then(by_value)
        });
        ranked
    }

    /// Says which metrics test does not define, and why that mostly is.
    fn undefined(&self) -> Option<String> {
        let winner = self.winner();
        let missing: Vec<String> = winner
            .test
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| title(name))
            .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "Test does not define {} for {}: it holds one class only, or nothing is predicted to be the class that \
                 is asked for.",
                missing.join(", "),
                winner.name
            )
        })
    }
}

fn name_cell(candidate: &Measured) -> Cell {
    let cell = Cell::from(candidate.name.as_str());
    match (candidate.kind == candidate.name, candidate.iterations) {
        (true, 0) => cell,
        (true, n) => cell.note(format!("{n} iterations")),
        (false, 0) => cell.note(&candidate.kind),
        (false, n) => cell.note(format!("{}, {n} iterations", candidate.kind)),
    }
}
