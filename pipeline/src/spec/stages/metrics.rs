//! The metrics that there are, so that a specification that asks for another one is refused before anything runs.

use super::TaskName;

/// What is known of a metric without its code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricKind {
    /// Its name in specifications and reports.
    pub name: &'static str,
    /// For which tasks it is defined.
    pub tasks: &'static [TaskName],
    /// True if more is better.
    pub higher_is_better: bool,
    /// The lowest value that it can have.
    pub lowest: f64,
    /// The highest value that it can have.
    pub highest: f64,
}

const fn metric(
    name: &'static str,
    tasks: &'static [TaskName],
    higher_is_better: bool,
    lowest: f64,
    highest: f64,
) -> MetricKind {
    MetricKind {
        name,
        tasks,
        higher_is_better,
        lowest,
        highest,
    }
}

const BINARY: &[TaskName] = &[TaskName::Binary];
const MULTICLASS: &[TaskName] = &[TaskName::Multiclass];
const CLASSES: &[TaskName] = &[TaskName::Binary, TaskName::Multiclass];
const REGRESSION: &[TaskName] = &[TaskName::Regression];

/// Every metric, the one that chooses the winner unless another is asked for first in each task.
pub const METRICS: &[MetricKind] = &[
    metric("auc", BINARY, true, 0.0, 1.0),
    metric("log_loss", CLASSES, false, 0.0, f64::INFINITY),
    metric("accuracy", CLASSES, true, 0.0, 1.0),
    metric("pr_auc", BINARY, true, 0.0, 1.0),
    metric("brier", BINARY, false, 0.0, 1.0),
    metric("f1", BINARY, true, 0.0, 1.0),
    metric("precision", BINARY, true, 0.0, 1.0),
    metric("recall", BINARY, true, 0.0, 1.0),
    metric("ece", BINARY, false, 0.0, 1.0),
    metric("mcc", BINARY, true, -1.0, 1.0),
    metric("macro_f1", MULTICLASS, true, 0.0, 1.0),
    metric("balanced_accuracy", MULTICLASS, true, 0.0, 1.0),
    metric("rmse", REGRESSION, false, 0.0, f64::INFINITY),
    metric("mae", REGRESSION, false, 0.0, f64::INFINITY),
    metric("r2", REGRESSION, true, f64::NEG_INFINITY, 1.0),
    metric("median_absolute_error", REGRESSION, false, 0.0, f64::INFINITY),
    metric("mape", REGRESSION, false, 0.0, f64::INFINITY),
];

impl MetricKind {
    /// The metric of that name.
    pub fn of(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|m| m.name == name)
    }

    /// The metric that chooses the winner unless another is asked for.
    pub fn chooser(task: TaskName) -> &'static Self {
        METRICS
            .iter()
            .find(|m| m.is_for(task))
            .expect("every task has a metric in the table; a test holds it")
    }

    /// True if it is defined for that task.
    pub fn is_for(&self, task: TaskName) -> bool {
        self.tasks.contains(&task)
    }
}

impl TaskName {
    /// As it is written in specifications.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Regression => "regression",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_the_chooser_that_is_documented() {
        for (task, name) in [
            (TaskName::Binary, "auc"),
            (TaskName::Multiclass, "log_loss"),
            (TaskName::Regression, "rmse"),
        ] {
            assert_eq!(MetricKind::chooser(task).name, name);
        }
    }
}
