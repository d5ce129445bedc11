//! Parts of test, and how the candidates were trained.

use ml::metrics::{self, Interval, Metric};
use ml::report::{Axis, Bar, Cell, Figure, Section, Series, Table, Tone, count};

use super::{Report, title};
use crate::train::{By, CrossValidation};

/// How folds were made, in a sentence. It is the same for all candidates.
fn folds(found: &CrossValidation) -> String {
    let columns = found.columns.join(", ");
    match found.by {
        By::Random => "Folds are drawn at random, like the splits.".to_owned(),
        By::Group => {
            format!("Rows of the same {columns} are in one fold, as they are in one split.")
        }
        By::Time => format!(
            "Folds follow each other by {columns}, like the splits: each is predicted by what was learned before it."
        ),
    }
}

impl Report<'_> {
    pub(super) fn slices(&self) -> Section {
        let mut section = Section::new("Slices of test");
        let metric = self.job.metric;
        let shown = self.slice_metrics();
        for column in &self.job.params.slices {
            let slices: Vec<_> = self
                .evaluation
                .slices
                .iter()
                .filter(|s| s.column == *column)
                .collect();
            let head = [column.clone(), "Rows".into()]
                .into_iter()
                .chain(shown.iter().map(|m| title(m.name)));
            let mut table = Table::new(head);
            let mut chart = Figure::bars(
                format!("{} by {column}", title(metric.name)),
                Axis::new(title(metric.name)),
            );
            for slice in slices {
                let value = |name: &str| slice.metrics.get(name).copied().flatten();
                let row = [Cell::from(slice.value.as_str()), Cell::right(count(slice.rows))];
                table = table.row(
                    row.into_iter()
                        .chain(shown.iter().map(|m| Cell::optional(value(m.name)))),
                );
                if let Some(found) = value(metric.name) {
                    let bar = Bar::new(&slice.value, found).note(format!("{} rows", count(slice.rows)));
                    chart = chart.bar(match slice.interval {
                        Some(Interval { low, high }) => bar.interval(low, high),
                        None => bar,
                    });
                }
            }
            if let Some(whole) = self.winner().test.get(metric.name).copied().flatten() {
                chart = chart.mark(whole);
            }
            section = section
                .figure(chart.about("the dotted line is all of test; whiskers are 95 % intervals"))
                .table(table);
        }
        section
    }

    /// The metric that chose, and a few that people compare slices by.
    fn slice_metrics(&self) -> Vec<&'static Metric> {
        let wanted = ["auc", "log_loss", "accuracy", "f1", "rmse", "mae", "macro_f1"];
        let others = metrics::metrics_of(self.evaluation.task)
            .filter(|m| wanted.contains(&m.name) && m.name != self.job.metric.name);
        [self.job.metric].into_iter().chain(others).collect()
    }

    pub(super) fn training(&self) -> Section {
        let mut section = Section::new("Training");
        let records = || self.candidates.iter().map(|c| &c.record);
        for record in records() {
            let Some(curve) = record.curve.as_ref().filter(|c| c.validation.len() > 1) else {
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "a few thousand rounds")]
            let points = (1..)
                .zip(&curve.validation)
                .map(|(round, loss): (usize, &f64)| (round as f64, *loss));
            let chart = Figure::line(
                format!("{}: loss on validation", record.name),
                Axis::new("round"),
                Axis::new(title(&curve.loss)),
            )
            .series(Series::new(&record.name, points));
            section = section.figure(chart.mark("kept", f64::from(record.iterations)));
        }
        let mut table = Table::new(["Candidate", "Metric", "Mean", "Standard deviation", "Folds"])
            .caption("Cross-validation on train");
        for record in records() {
            for (name, figure) in record.cross_validation.iter().flat_map(|c| &c.metrics) {
                table = table.row([
                    Cell::from(record.name.as_str()),
                    Cell::from(title(name)),
                    Cell::number(figure.mean),
                    Cell::number(figure.sd),
                    Cell::right(figure.by_fold.len().to_string()),
                ]);
            }
        }
        if !table.is_empty() {
            section = section.table(table);
        }
        let validated = || records().filter_map(|r| Some((r, r.cross_validation.as_ref()?)));
        if let Some((_, found)) = validated().next() {
            section = section.text(folds(found));
        }
        for (record, found) in validated().filter(|(_, found)| !found.left_out.is_empty()) {
            section = section.note(
                Tone::Warning,
                format!(
                    "{} of {} folds of {} are left out: {}.",
                    found.left_out.len(),
                    found.folds,
                    record.name,
                    found.left_out.join("; ")
                ),
            );
        }
        let limited: Vec<&str> = records()
            .filter(|r| r.time_limited)
            .map(|r| r.name.as_str())
            .collect();
        if !limited.is_empty() {
            section = section.note(
                Tone::Warning,
                format!(
                    "The time budget ended the training of {}: on a faster machine it may come out better.",
                    limited.join(", ")
                ),
            );
        }
        section
    }
}
