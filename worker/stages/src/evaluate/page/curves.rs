//! Curves, confusion and residuals.

use ml::dataset::Task;
use ml::metrics::RocPoint;
use ml::report::{Axis, Cell, Figure, Section, Series, Table, share};

use super::super::document::{Curves, Measured};
use super::Report;

/// More lines than these in one figure cannot be told apart.
const MOST_LINES: usize = 6;

/// More classes than these make a matrix too small to read.
const MOST_CLASSES: usize = 20;

/// A line's points.
type Points = Vec<(f64, f64)>;

impl Report<'_> {
    pub(super) fn curves(&self) -> Section {
        let mut section = Section::new("Curves on test");
        let best: Vec<&Measured> = self.by_rank().into_iter().take(MOST_LINES).collect();
        let lines = |points: &dyn Fn(&Curves) -> Option<Points>| -> Vec<Series> {
            best.iter()
                .filter_map(|c| Some(Series::new(&c.name, points(&self.evaluation.curves[&c.ordinal])?)))
                .collect()
        };
        if self.evaluation.task == Task::Binary {
            let positive = self.job.dataset.classes.get(1).map_or("positive", String::as_str);
            let label = format!("{} = {positive}", self.job.dataset.label);
            let roc = lines(&|c| Some(roc_points(c.roc.as_ref()?)));
            let chart = Figure::line(
                "ROC",
                Axis::new("False positive rate").share(),
                Axis::new("True positive rate").share(),
            );
            section = section.figure(
                roc.into_iter()
                    .fold(chart, |chart, s| chart.series(s))
                    .diagonal("by chance"),
            );
            let pr = lines(&|c| {
                let points = c.precision_recall.as_ref()?;
                Some(points.iter().map(|p| (p.recall, p.precision)).collect())
            });
            let chart = Figure::line(
                "Precision and recall",
                Axis::new("Recall").share(),
                Axis::new("Precision").share(),
            );
            let chart = pr.into_iter().fold(chart, |chart, s| chart.series(s));
            section = section.figure(match self.base_rate() {
                Some(rate) => chart.level(format!("share of {label}"), rate),
                None => chart,
            });
            let calibration = lines(&|c| {
                let bins = c.calibration.as_ref()?;
                Some(bins.iter().map(|b| (b.predicted, b.observed)).collect())
            });
            let chart = Figure::line(
                "Calibration",
                Axis::new("Predicted probability").share(),
                Axis::new(format!("Share of {label}")).share(),
            );
            section = section.figure(
                calibration
                    .into_iter()
                    .fold(chart, |chart, s| chart.series(s.dots()))
                    .diagonal("as predicted"),
            );
            section = self.score_histogram(section);
        }
        section = self.confusion(section);
        if let Some(residuals) = &self.winner_curves().residuals {
            let name = &self.winner().name;
            section = section
                .figure(
                    Figure::scatter(
                        "Predicted and actual",
                        Axis::new("predicted"),
                        Axis::new("actual"),
                    )
                    .points(name, residuals.pairs.iter().copied())
                    .diagonal("equal"),
                )
                .figure(
                    Figure::histogram(
                        "Residuals",
                        Axis::new("actual \u{2212} predicted"),
                        &residuals.edges,
                    )
                    .counts(name, &residuals.counts)
                    .mark(0.0)
                    .about("the outermost bars hold all that lies beyond"),
                );
        }
        if let Some(rows) = &self.winner_curves().thresholds {
            let mut table = Table::new(["Threshold", "Predicted positive", "Precision", "Recall", "F1"])
                .caption(format!("{} on test", self.winner().name));
            for row in rows {
                table = table.row([
                    Cell::right(format!("{:.2}", row.threshold)),
                    Cell::right(share(row.predicted_positive)),
                    Cell::optional(row.precision),
                    Cell::optional(row.recall),
                    Cell::optional(row.f1),
                ]);
            }
            section = section.folded("What other thresholds would give", table);
        }
        section
    }

    /// The (weighted) share of positives on test.
    fn base_rate(&self) -> Option<f64> {
        let c = self.winner_curves().confusion.as_ref()?;
        let positives = c.true_positives + c.false_negatives;
        let all = positives + c.false_positives + c.true_negatives;
        (all > 0.0).then(|| positives / all)
    }

    fn score_histogram(&self, section: Section) -> Section {
        let Some(bins) = &self.winner_curves().calibration else {
            return section;
        };
        let mut counts = [0.0; 10];
        for bin in bins {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the first bin begins at 0, the last at 0.9"
            )]
            let at = ((bin.from * 10.0).round() as usize).min(9);
            counts[at] = bin.rows;
        }
        let edges: Vec<f64> = (0..=10).map(|edge| f64::from(edge) / 10.0).collect();
        section.figure(
            Figure::histogram(
                "Predicted probabilities",
                Axis::new("Probability").share(),
                &edges,
            )
            .counts(&self.winner().name, &counts)
            .about(&self.winner().name),
        )
    }

    fn confusion(&self, section: Section) -> Section {
        let Some(matrix) = &self.winner_curves().confusion_matrix else {
            return section;
        };
        let classes = &self.job.dataset.classes;
        if classes.len() > MOST_CLASSES || classes.len() != matrix.len() {
            return section;
        }
        let about = match self.evaluation.task {
            Task::Binary => format!("{}, from a probability of 0.5 on", self.winner().name),
            Task::Multiclass | Task::Regression => self.winner().name.clone(),
        };
        section.figure(
            Figure::heatmap(
                "Confusion",
                classes,
                classes,
                matrix.iter().map(|row| row.iter().copied()),
            )
            .axes("actual", "predicted")
            .by_row()
            .about(about),
        )
    }

    pub(super) fn classes(&self) -> Section {
        let section = Section::new("Classes");
        let Some(figures) = &self.winner_curves().classes else {
            return section;
        };
        let mut table = Table::new([
            "Class",
            "Rows",
            "Precision",
            "Recall",
            "F1",
            "AUC against all others",
        ])
        .caption(format!("{} on test", self.winner().name));
        for (class, figures) in self.job.dataset.classes.iter().zip(figures) {
            table = table.row([
                Cell::from(class.as_str()),
                Cell::number(figures.support),
                Cell::optional(figures.precision),
                Cell::optional(figures.recall),
                Cell::optional(figures.f1),
                Cell::optional(figures.auc),
            ]);
        }
        section.table(table)
    }
}

fn roc_points(points: &[RocPoint]) -> Vec<(f64, f64)> {
    points
        .iter()
        .map(|p| (p.false_positive_rate, p.true_positive_rate))
        .collect()
}
