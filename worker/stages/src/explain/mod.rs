//! `explain`: why the winner predicts as it does, on rows of test that it has never seen.
//!
//! Attributions ([`ml::explain::attribute`]) are checked on every explained row: if one of them does not add up, the
//! stage fails instead of showing figures that describe another model. All is told by raw column.

mod document;
mod grid;
mod metric;
mod page;
#[cfg(test)]
mod tests;

use ml::dataset::Dataset;
use ml::explain::{self, Attributions, ExplainError, Importance, PartialDependence, Permutation, RawColumn};
use ml::features::{self, FeatureProgram, FeatureTable};
use ml::models::Model;
use pipeline::StageName;
use pipeline::item::Demand;
use pipeline::spec::stages::Explain as Params;
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};
use polars::prelude::{DataFrame, IdxCa, IdxSize, PlSmallStr};

use self::document::Explanation;
use self::metric::Chooser;
use crate::assigned::{own_params, stage_name};
use crate::demand;
use crate::flow::{self, EXPLANATION, PROGRAM, REPORT_HTML, Split, permanent};
use crate::winner::{self, read_bytes};

/// Rows that partial dependence is averaged over. A curve of twenty points is twenty predictions of all of them.
const DEPENDENCE_ROWS: usize = 1_000;

pub(crate) struct Explain;

impl Stage for Explain {
    fn name(&self) -> StageName {
        stage_name("explain")
    }

    fn reads(&self, assignment: &Assignment) -> Vec<Read> {
        let mut reads = winner::reads(assignment);
        reads.extend(flow::reads(assignment, "transform", &[PROGRAM]));
        reads.extend(flow::row_reads(assignment, &[Split::Test]));
        reads
    }

    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        demand::EXPLAIN.of(&self.reads(assignment))
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Explain)?;
        let verdict = winner::verdict(context)?;
        let model = verdict.winner.model(context)?;
        let rows = Rows::read(context, params)?;
        context.checkpoint()?;
        context.progress(0.1);

        let wanted = first(rows.table.rows, params.rows);
        let affordable = explain::affordable_rows(&model, wanted.len());
        let shown = rows.table.take(&wanted[..affordable]);
        let attributions = explain::attribute(&model, &rows.columns, &shown, &mut part(context, 0.1, 0.4))
            .map_err(failed)?;
        drop(shown);
        let permutation = match params.permutation_repeats {
            0 => Permutations::NotWanted,
            repeats => permute(context, &model, &rows, params, repeats, &verdict.metric)?,
        };
        let dependence = dependence(context, &model, &rows, &attributions, params)?;

        let explanation = Explanation::new(
            &verdict,
            &rows.dataset,
            (attributions, wanted.len()),
            &permutation,
            dependence,
        );
        flow::write_json(context, EXPLANATION, &explanation.document)?;
        flow::write_bytes(context, REPORT_HTML, page::render(&explanation).as_bytes())?;
        if let Permutations::Undefined(why) = permutation {
            flow::write_warnings(context, vec![why])?;
        }
        Ok(Outcome::Advance)
    }
}

/// What permutation importance gave.
struct Permuted {
    metric: String,
    /// On the rows as they are.
    value: f64,
    rows: usize,
    repeats: u32,
    /// By the order of [`Rows::columns`].
    columns: Vec<(String, Importance)>,
}

/// What became of permutation importance.
enum Permutations {
    NotWanted,
    Found(Permuted),
    /// The rows do not define the metric; why that is, for people.
    Undefined(String),
}

/// A sample of test, in a random order.
struct Rows {
    dataset: Dataset,
    program: FeatureProgram,
    columns: Vec<RawColumn>,
    /// The raw columns.
    raw: DataFrame,
    /// Their features.
    table: FeatureTable,
}

impl Rows {
    fn read(context: &StageContext<'_>, params: &Params) -> Result<Self, StageError> {
        let program = read_bytes(&flow::input(context, "transform", PROGRAM)?)?;
        let program =
            FeatureProgram::from_bytes(&program).map_err(|e| permanent(format!("{PROGRAM}: {e}")))?;
        let dataset = flow::dataset(context)?;
        let weight = dataset.of_role(ml::dataset::Role::Weight).map(|c| c.name.clone());
        let wanted: Vec<String> = program
            .inputs()
            .iter()
            .map(|input| input.name.clone())
            .chain([dataset.label.clone()])
            .chain(weight)
            .collect();
        let test = flow::rows(context, Split::Test, Some(&wanted))?;
        if test.height() == 0 {
            return Err(permanent(
                "test has no rows, so there is nothing to explain: give it a share in the split",
            ));
        }
        let most = params
            .rows
            .max(if params.permutation_repeats > 0 {
                params.permutation_rows
            } else {
                0
            })
            .max(1);
        let sample = sample(
            &test,
            &dataset,
            usize::try_from(most).unwrap_or(usize::MAX),
            context.assignment.spec.seed,
        )?;
        let indices = sample
            .iter()
            .map(|row| IdxSize::try_from(*row).expect("row numbers of a frame are IdxSize"))
            .collect();
        let mut raw = test
            .take(&IdxCa::from_vec(PlSmallStr::EMPTY, indices))
            .map_err(permanent)?;
        drop(test);
        raw.rechunk_mut();
        let table = program.apply(&raw).map_err(permanent)?;
        let columns = explain::raw_columns(program.features());
        Ok(Self {
            dataset,
            program,
            columns,
            raw,
            table,
        })
    }

    /// The first of them, which are a sample as well.
    fn head(&self, rows: usize) -> DataFrame {
        self.raw.head(Some(rows))
    }
}

/// The numbers of the rows that are looked at. Of classes each is among them, for without its rare class a sample
/// defines no metric that tells classes apart.
fn sample(test: &DataFrame, dataset: &Dataset, wanted: usize, seed: u64) -> Result<Vec<usize>, StageError> {
    if dataset.classes.is_empty() {
        return Ok(explain::sample(test.height(), wanted, seed));
    }
    let target = features::target(test, dataset).map_err(permanent)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "targets are indices of classes"
    )]
    let class_of: Vec<usize> = target.into_iter().map(|class| class as usize).collect();
    Ok(explain::sample_of_classes(&class_of, wanted, seed))
}

/// The indices of at most so many rows.
fn first(rows: usize, wanted: u32) -> Vec<usize> {
    (0..rows.min(usize::try_from(wanted.max(1)).unwrap_or(usize::MAX))).collect()
}

fn permute(
    context: &StageContext<'_>,
    model: &Model,
    rows: &Rows,
    params: &Params,
    repeats: u32,
    metric: &str,
) -> Result<Permutations, StageError> {
    let indices = first(rows.table.rows, params.permutation_rows);
    let chooser = Chooser::new(metric, &rows.dataset, &rows.head(indices.len()))?;
    let how = Permutation {
        metric,
        higher_is_better: chooser.higher_is_better(),
        measure: &|predictions| chooser.measure(predictions),
        repeats,
        seed: context.assignment.spec.seed,
    };
    let found = explain::importance(
        model,
        &rows.columns,
        &rows.table.take(&indices),
        &how,
        &mut part(context, 0.4, 0.85),
    );
    let (value, importances) = match found {
        Ok(found) => found,
        // All else that explains the model is there without it.
        Err(error @ ExplainError::Metric(_)) => {
            return Ok(Permutations::Undefined(format!(
                "{error}, so permutation importance is left out: give test more rows, or choose by another metric"
            )));
        }
        Err(error) => return Err(failed(error)),
    };
    Ok(Permutations::Found(Permuted {
        metric: metric.to_owned(),
        value,
        rows: indices.len(),
        repeats,
        columns: rows
            .columns
            .iter()
            .map(|column| column.name.clone())
            .zip(importances)
            .collect(),
    }))
}

/// The curves of the columns that matter most. Private columns have none: a curve shows values.
fn dependence(
    context: &StageContext<'_>,
    model: &Model,
    rows: &Rows,
    attributions: &Attributions,
    params: &Params,
) -> Result<Vec<PartialDependence>, StageError> {
    let private = flow::private_columns(context.assignment);
    let wanted = usize::try_from(params.partial_dependence).unwrap_or(usize::MAX);
    let chosen: Vec<&str> = attributions
        .columns
        .iter()
        .filter(|attribution| attribution.mean_abs_shap > 0.0)
        .map(|attribution| attribution.column.as_str())
        .filter(|column| !private.contains(column))
        .take(wanted)
        .collect();
    let indices: Vec<usize> = (0..rows.table.rows.min(DEPENDENCE_ROWS)).collect();
    let (table, raw) = (rows.table.take(&indices), rows.head(indices.len()));
    let mut curves = Vec::new();
    for (number, name) in chosen.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a share of the work")]
        let at = |n: usize| 0.85 + 0.1 * n as f64 / chosen.len() as f64;
        let Some(column) = rows.columns.iter().find(|column| column.name == *name) else {
            continue;
        };
        for grid in grid::grids(column, rows.program.features(), &raw, &table)? {
            let mut go_on = part(context, at(number), at(number + 1));
            let curve = explain::dependence(
                model,
                &grid.column,
                &table,
                grid.is_numeric,
                &grid.values,
                &mut go_on,
            )
            .map_err(failed)?;
            curves.push(curve);
        }
    }
    Ok(curves)
}

/// Tells the pool of progress from `from` to `to`, and asks it whether to go on.
fn part<'a>(context: &'a StageContext<'_>, from: f64, to: f64) -> impl FnMut(f64) -> bool + 'a {
    move |share| {
        context.progress(from + (to - from) * share);
        !context.control.is_interrupted()
    }
}

fn failed(error: ExplainError) -> StageError {
    match error {
        ExplainError::Stopped => StageError::Interrupted,
        ExplainError::Model(_)
        | ExplainError::NotAdditive { .. }
        | ExplainError::Shape { .. }
        | ExplainError::Metric(_)
        | ExplainError::Empty => permanent(error),
    }
}
