//! Rows in, predictions out, a batch at a time: memory does not grow with the data.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ml::package::{PackageError, Scorer};
use polars::prelude::*;

use super::output::{Form, Output, OutputError};
use crate::extract::columns::wide;
use crate::extract::read::first_line;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 65_536;

/// How often whoever waits for predictions looks how far they are.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How far a scoring is, and the word to stop it; shared with whoever waits for it.
#[derive(Debug, Default)]
pub struct Watch {
    rows: AtomicUsize,
    is_stopped: AtomicBool,
}

impl Watch {
    /// How many rows are predicted.
    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Ends the work after the present batch.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it is to end.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

/// What was predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scored {
    /// How many rows.
    pub rows: usize,
}

/// Why there are no predictions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// The rows cannot be read.
    #[error("cannot read the rows: {0}")]
    Read(String),
    /// A column that is to be kept is not there, or has the name of a prediction.
    #[error("column {column} cannot be kept: {why}")]
    Keep {
        /// Its name.
        column: String,
        /// Why.
        why: String,
    },
    /// The rows do not fit the model.
    #[error(transparent)]
    Model(PackageError),
    /// The file of predictions cannot be written.
    #[error(transparent)]
    Write(#[from] OutputError),
    /// It was told to stop.
    #[error("it was told to stop")]
    Stopped,
}

/// Predicts all rows in their order and writes the columns of `keep` and the predictions to a new file.
///
/// # Errors
///
/// [`ScoreError`]; what is in the file then is not whole.
pub fn score(
    scorer: Arc<Scorer>,
    mut rows: LazyFrame,
    keep: &[String],
    output: &Path,
    form: Form,
    watch: &Arc<Watch>,
) -> Result<Scored, ScoreError> {
    let read = |e: PolarsError| ScoreError::Read(first_line(&e));
    let schema = rows.collect_schema().map_err(read)?;
    check_keep(keep, &schema, &scorer)?;
    // Only what is needed is read.
    let inputs = scorer.input_names();
    let present = inputs.iter().filter_map(|name| {
        let kind = schema.get(name)?;
        Some(as_trained(name, kind))
    });
    let kept = keep.iter().filter(|name| !inputs.contains(name));
    let rows = rows.select(
        present
            .chain(kept.map(|name| col(name.as_str())))
            .collect::<Vec<_>>(),
    );

    let job = Arc::new(Mutex::new(Job {
        scorer,
        keep: keep.to_vec(),
        output: Some(Output::create(output, form)?),
        rows: 0,
        failure: None,
        watch: Arc::clone(watch),
    }));
    // No rows make no batch, and a file with columns all the same; and a column that is missing is told at once.
    let selected: SchemaRef = rows.clone().collect_schema().map_err(read)?;
    let nothing = DataFrame::empty_with_schema(&selected);
    lock(&job).push(&nothing);
    let batches = rows.sink_batches(
        PlanCallback::new({
            let job = Arc::clone(&job);
            move |batch: DataFrame| Ok(lock(&job).push(&batch))
        }),
        true,
        NonZeroUsize::new(BATCH_ROWS),
    );
    // Asked before and not in the `match`, whose whole length the lock would be held for.
    let has_failed = lock(&job).failure.is_some();
    let collected = match has_failed {
        true => Ok(()),
        false => {
            let work = AssertUnwindSafe(|| {
                batches
                    .and_then(|batches| batches.collect_with_engine(Engine::Streaming))
                    .map(drop)
            });
            match catch_unwind(work) {
                Ok(collected) => collected,
                // Our own work holds the lock: its panic is a fault of ours.
                Err(panic) if job.is_poisoned() => resume_unwind(panic),
                // What Polars does not support may end in a panic, which must not look like a crash that is worth
                // another attempt.
                Err(_) => Err(polars_err!(
                    ComputeError: "they or their query have something that is not supported: write it in another way"
                )),
            }
        }
    };
    let mut job = lock(&job);
    if let Some(failure) = job.failure.take() {
        return Err(failure);
    }
    collected.map_err(read)?;
    if let Some(output) = job.output.take() {
        output.finish()?;
    }
    Ok(Scored { rows: job.rows })
}

fn lock(job: &Mutex<Job>) -> std::sync::MutexGuard<'_, Job> {
    job.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the batches go through.
struct Job {
    scorer: Arc<Scorer>,
    keep: Vec<String>,
    output: Option<Output>,
    rows: usize,
    failure: Option<ScoreError>,
    watch: Arc<Watch>,
}

impl Job {
    /// Predicts and writes a batch; true if no more are wanted.
    fn push(&mut self, batch: &DataFrame) -> bool {
        if self.failure.is_none() {
            self.failure = self.try_push(batch).err();
        }
        self.failure.is_some()
    }

    fn try_push(&mut self, batch: &DataFrame) -> Result<(), ScoreError> {
        let watch = &self.watch;
        let predictions = self
            .scorer
            .predict_watched(batch, &mut |_| !watch.is_stopped())
            .map_err(|e| match e {
                PackageError::Stopped => ScoreError::Stopped,
                other => ScoreError::Model(other),
            })?;
        let mut out = batch
            .select(self.keep.iter().map(String::as_str))
            .map_err(|e| ScoreError::Read(first_line(&e)))?;
        let height = batch.height();
        let columns = out
            .columns()
            .iter()
            .chain(predictions.columns())
            .cloned()
            .collect();
        out = DataFrame::new(height, columns).map_err(|e| ScoreError::Read(first_line(&e)))?;
        if let Some(output) = &mut self.output {
            output.push(out)?;
        }
        self.rows += height;
        self.watch.rows.store(self.rows, Ordering::Relaxed);
        Ok(())
    }
}

/// A column as `extract` makes it for training. Whole numbers and columns of nothing are left to the feature program,
/// which reads them as they are.
fn as_trained(name: &str, kind: &DataType) -> Expr {
    let column = col(name);
    match wide(kind) {
        Some(to) if to != *kind && !kind.is_integer() && *kind != DataType::Null => column.strict_cast(to),
        _ => column,
    }
}

fn check_keep(keep: &[String], schema: &Schema, scorer: &Scorer) -> Result<(), ScoreError> {
    for (at, column) in keep.iter().enumerate() {
        let refuse = |why: String| {
            Err(ScoreError::Keep {
                column: column.clone(),
                why,
            })
        };
        if !schema.contains(column) {
            let names: Vec<&str> = schema.iter_names().map(PlSmallStr::as_str).collect();
            return refuse(format!("the rows have only {}", names.join(", ")));
        }
        if keep[..at].contains(column) {
            return refuse("it is named twice".into());
        }
        if scorer
            .signature()
            .outputs
            .iter()
            .any(|output| output.name == *column)
        {
            return refuse("a column of predictions has this name; rename it in the query".into());
        }
    }
    Ok(())
}
