//! `evaluate`: measures every candidate, chooses the winner on validation, and decides on test whether it passes its
//! gates and whether it may follow the champion.
//!
//! Test is never looked at to choose. What is decided is data ([`VERDICT`]): `deploy` obeys it. A threshold that is
//! not reached halts the run, with all reports written; a champion that is not beaten does not: the winner is
//! registered and not promoted.

mod candidate;
mod champion;
mod document;
mod gates;
mod page;
mod slices;
#[cfg(test)]
mod tests;

use ml::dataset::{Dataset, Task};
use ml::features::FeatureProgram;
use ml::metrics::{self, Metric};
use pipeline::StageName;
use pipeline::item::Demand;
use pipeline::spec::stages::Evaluate as Params;
use pipeline::stage::{Assignment, Needs, Outcome, Read, Stage, StageContext, StageError};

use self::candidate::{Candidate, Rows};
use self::champion::Champion;
use self::document::{Evaluation, SplitSizes, Verdict};
use crate::assigned::{champion_need, own_params, stage_name};
use crate::demand;
use crate::flow::{self, EVALUATION, MODEL, PROGRAM, REPORT_HTML, Split, TRAINING, VERDICT, permanent};

pub(crate) struct Evaluate;

impl Stage for Evaluate {
    fn name(&self) -> StageName {
        stage_name("evaluate")
    }

    fn needs(&self, assignment: &Assignment) -> Result<Needs, StageError> {
        let params = own_params!(assignment, Evaluate)?;
        Ok(Needs {
            model: champion_need(assignment, params.model.as_ref(), params.alias.as_ref())?,
            ..Needs::default()
        })
    }

    fn reads(&self, assignment: &Assignment) -> Vec<Read> {
        let files = [PROGRAM, Split::Validation.features(), Split::Test.features()];
        let mut reads = flow::reads(assignment, "transform", &files);
        reads.extend(flow::branch_reads(assignment, "train", &[MODEL, TRAINING]));
        reads.extend(flow::row_reads(assignment, &[Split::Test]));
        reads.extend(champion::reads(assignment));
        reads
    }

    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        demand::EVALUATE.of(&self.reads(assignment))
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Evaluate)?;
        let dataset = flow::dataset(context)?;
        let job = Job::new(context, params, &dataset)?;
        let (evaluation, verdict, page) = job.run()?;
        flow::write_json(context, EVALUATION, &evaluation)?;
        flow::write_json(context, VERDICT, &verdict)?;
        flow::write_bytes(context, REPORT_HTML, page.as_bytes())?;
        context.progress(1.0);
        Ok(match verdict.passed {
            true => Outcome::Advance,
            false => Outcome::Halt {
                reason: verdict.reason,
            },
        })
    }
}

/// One evaluation.
struct Job<'a> {
    context: &'a StageContext<'a>,
    params: &'a Params,
    dataset: &'a Dataset,
    program: FeatureProgram,
    metric: &'static Metric,
    seed: u64,
}

impl<'a> Job<'a> {
    fn new(
        context: &'a StageContext<'a>,
        params: &'a Params,
        dataset: &'a Dataset,
    ) -> Result<Self, StageError> {
        let name = params
            .metric
            .as_deref()
            .unwrap_or_else(|| metrics::default_metric(dataset.task));
        let metric = metric_of(dataset.task, name, "metric")?;
        for (at, gate) in params.gates.iter().enumerate() {
            metric_of(dataset.task, &gate.metric, &format!("gates[{at}].metric"))?;
        }
        slices::check(
            &params.slices,
            dataset,
            &flow::private_columns(context.assignment),
        )?;
        let path = flow::input(context, "transform", PROGRAM)?;
        let bytes =
            std::fs::read(&path).map_err(|e| flow::transient(format!("cannot read {PROGRAM}: {e}")))?;
        let program = FeatureProgram::from_bytes(&bytes).map_err(|e| permanent(format!("{PROGRAM}: {e}")))?;
        Ok(Self {
            context,
            params,
            dataset,
            program,
            metric,
            seed: context.assignment.spec.seed,
        })
    }

    fn run(&self) -> Result<(Evaluation, Verdict, String), StageError> {
        let mut candidates = candidate::found(self.context, self.dataset)?;
        // One split at a time: the features of both need not be in memory together.
        let validation = self.measure(&mut candidates, Split::Validation, 0.0)?;
        let winner = candidate::winner(&candidates, self.metric, &validation)?;
        let mut test = self.measure(&mut candidates, Split::Test, 0.3)?;
        self.context.progress(0.7);
        let best = &candidates[winner];
        let slices = slices::measure(self, best, &test)?;
        let gates = gates::judge(self.params, best, &slices)?;
        self.context.progress(0.8);
        let champion = Champion::compare(self, best, &test)?;
        let verdict = Verdict::new(self, best, gates, champion);
        test.forget_features();
        let sizes = SplitSizes {
            validation: validation.target.len(),
            test: test.target.len(),
        };
        let evaluation = Evaluation::new(self, &candidates, winner, sizes, slices.shown(), &test)?;
        let page = page::render(self, &evaluation, &verdict, &candidates);
        Ok((evaluation, verdict, page))
    }

    /// Predicts and measures one split by every candidate.
    fn measure(&self, candidates: &mut [Candidate], split: Split, progress: f64) -> Result<Rows, StageError> {
        let rows = Rows::read(self.context, self.dataset, split, &self.program)?;
        #[expect(clippy::cast_precision_loss, reason = "a few candidates")]
        let share = 0.3 / candidates.len() as f64;
        for (at, candidate) in candidates.iter_mut().enumerate() {
            self.context.checkpoint()?;
            candidate.measure(self.context, &rows, self.seed)?;
            #[expect(clippy::cast_precision_loss, reason = "a few candidates")]
            self.context.progress(progress + share * (at + 1) as f64);
        }
        Ok(rows)
    }
}

/// The metric of that name. Specifications are checked when they are loaded, but only where they name the task.
fn metric_of(task: Task, name: &str, place: &str) -> Result<&'static Metric, StageError> {
    metrics::find(task, name).ok_or_else(|| {
        let known: Vec<&str> = metrics::metrics_of(task).map(|m| m.name).collect();
        permanent(format!(
            "[evaluate] {place}: {name:?} is no metric of a {} task; there are {}",
            document::task_name(task),
            known.join(", ")
        ))
    })
}
