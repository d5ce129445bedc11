//! `extract`: reads the sources, joins them by SQL, splits the rows and describes the columns.
//!
//! Rows of a query come in no order that could be relied on, so they are put into one that depends on their content
//! only. Without a query they keep the order of their files.

pub(crate) mod columns;
pub(crate) mod moments;
mod order;
pub(crate) mod query;
pub(crate) mod read;
mod roles;
mod shares;
mod split;
pub(crate) mod sql;
mod starter;

pub(crate) use order::row_hashes;
pub(crate) use read::did_you_mean;
pub(crate) use split::times;
pub use sql::check_sql;
pub use starter::starter;

use std::collections::{BTreeMap, BTreeSet};

use ml::dataset::{ColumnType, Dataset, Role, SplitRows};
use ml::statistics;
use pipeline::StageName;
use pipeline::item::Demand;
use pipeline::spec::stages::Extract as Params;
use pipeline::spec::{Spec, StageParams};
use pipeline::stage::{Assignment, Needs, Outcome, Read, Stage, StageContext, StageError};
use polars::prelude::*;

use self::read::{Reading, first_line};
use crate::assigned::{own_params, stage_name};
use crate::demand;
use crate::flow::{self, LeftOut, Split, permanent};

/// Where packed files are unpacked: below the attempt's own folder of inputs, which dies with it.
const SCRATCH: &str = ".unpacked";

pub(crate) struct Extract;

impl Stage for Extract {
    fn name(&self) -> StageName {
        stage_name("extract")
    }

    fn needs(&self, assignment: &Assignment) -> Result<Needs, StageError> {
        let params = own_params!(assignment, Extract)?;
        let sources = params.sources.iter();
        Ok(Needs {
            sources: sources
                .map(|(name, source)| (name.clone(), source.path.clone()))
                .collect(),
            model: None,
        })
    }

    fn reads(&self, _: &Assignment) -> Vec<Read> {
        Vec::new()
    }

    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        demand::of_sources(assignment)
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Extract)?;
        let frame = rows(context, params)?;
        context.progress(0.5);
        context.checkpoint()?;
        write(context, params, frame)?;
        Ok(Outcome::Advance)
    }
}

/// The rows of the query over the sources, with the types of artifacts.
fn rows(context: &StageContext<'_>, params: &Params) -> Result<DataFrame, StageError> {
    let go_on = || context.checkpoint().is_ok();
    let reading = Reading::new(&context.inputs.join(SCRATCH), &go_on);
    let mut tables = BTreeMap::new();
    let mut left_out = Vec::new();
    for (name, source) in &params.sources {
        let files = context
            .assignment
            .found
            .sources
            .get(name)
            .map_or(&[][..], Vec::as_slice);
        let table = reading.table(name, source, files)?;
        left_out.extend(table.left_out.iter().map(|column| LeftOut {
            source: name.clone(),
            column: column.clone(),
        }));
        tables.insert(name.clone(), table);
        context.checkpoint()?;
    }
    if !left_out.is_empty() {
        flow::write_json(context, flow::LEFT_OUT, &left_out)?;
    }
    context.progress(0.2);
    columns::normalised(sql::run(params.sql.as_deref(), tables)?)
}

/// A type as it is written in a specification.
pub(crate) fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean => "boolean",
        ColumnType::Integer => "integer",
        ColumnType::Float => "float",
        ColumnType::Text => "text",
        ColumnType::Date => "date",
        ColumnType::Datetime => "datetime",
    }
}

/// Splits the rows, and writes all artifacts.
fn write(context: &StageContext<'_>, params: &Params, mut frame: DataFrame) -> Result<(), StageError> {
    let failed = |e: PolarsError| permanent(first_line(&e));
    let columns = roles::columns(&frame, params)?;
    roles::check_weight(&frame, params)?;
    let label = frame.column(&params.label).map_err(failed)?;
    let (task, classes, label) = roles::task(label, params.task)?;
    let classes = roles::positive_last(task, classes, params)?;
    if let Some(label) = label {
        frame.with_column(label).map_err(failed)?;
    }
    let times = split::times(&frame, &params.split)?;
    let order = match (&params.sql, &times) {
        (Some(_), times) => order::by_content(&frame, times.as_deref()).map_err(failed)?,
        (None, Some(times)) => order::by_keys(times),
        (None, None) => order::indices(frame.height()),
    };
    let seed = context.assignment.spec.seed;
    let parts = split::divide(&frame, &params.split, &order, times.as_deref(), seed)?;
    drop((order, times));
    // The label may have another type now.
    let columns = match frame
        .column(&params.label)
        .map(|label| columns::column_type(label.dtype()))
    {
        Ok(kind) => columns
            .into_iter()
            .map(|column| match column.role {
                Role::Label => ml::dataset::Column { kind, ..column },
                _ => column,
            })
            .collect(),
        Err(_) => columns,
    };
    let dataset = Dataset {
        label: params.label.clone(),
        task,
        classes,
        columns,
        rows: SplitRows {
            train: parts.train.len(),
            validation: parts.validation.len(),
            test: parts.test.len(),
        },
    };
    flow::write_json(context, flow::DATASET, &dataset)?;
    // One split after the other, train last: it is described as well, and the whole is no longer needed then.
    for (i, split) in [Split::Test, Split::Validation].into_iter().enumerate() {
        context.checkpoint()?;
        let mut part = take(&frame, parts.of(split)).map_err(failed)?;
        flow::write_frame(context, split.rows(), &mut part)?;
        #[expect(clippy::cast_precision_loss, reason = "a progress bar does not mind")]
        context.progress(0.6 + 0.1 * i as f64);
    }
    let mut train = take(&frame, &parts.train).map_err(failed)?;
    drop((frame, parts));
    check_classes(&train, &dataset)?;
    flow::write_frame(context, Split::Train.rows(), &mut train)?;
    context.checkpoint()?;
    context.progress(0.8);
    let statistics = statistics::describe(
        &train,
        &dataset.columns,
        &private(&context.assignment.spec, params),
    )
    .map_err(permanent)?;
    flow::write_json(context, flow::STATISTICS, &statistics)
}

fn take(frame: &DataFrame, rows: &[IdxSize]) -> PolarsResult<DataFrame> {
    frame.take(&IdxCa::from_slice("rows".into(), rows))
}

/// A class that train does not have cannot be learned.
fn check_classes(train: &DataFrame, dataset: &Dataset) -> Result<(), StageError> {
    if dataset.classes.is_empty() {
        return Ok(());
    }
    let label = train
        .column(&dataset.label)
        .map_err(|e| permanent(first_line(&e)))?;
    let found = label.n_unique().map_err(|e| permanent(first_line(&e)))?;
    match found < dataset.classes.len() {
        true => Err(permanent(format!(
            "split: {} of the {} classes of label {:?} do not occur in train: split in another way, or leave them out in `sql`",
            dataset.classes.len() - found,
            dataset.classes.len(),
            dataset.label
        ))),
        false => Ok(()),
    }
}

/// Columns of which no value may come into the statistics: what validation calls private, and keys.
fn private(spec: &Spec, params: &Params) -> BTreeSet<String> {
    let named = spec.steps.iter().flat_map(|step| match &step.params {
        StageParams::Validate(validate) => validate.private.as_slice(),
        _ => &[],
    });
    named.chain(&params.key).cloned().collect()
}

#[cfg(test)]
mod tests;
