//! Boosted trees and forests. This folder alone names the boosting library; what was found of it, and why it is called
//! as it is here, stands in ARCHITECTURE.md.

mod grow;

use std::io::Read;
use std::ops::Range;

use hessboost::data::DMatrix;
use hessboost::error::HessboostError;
use hessboost::model::{BoostedModel, Iterations, ModelFormat, RowVariants};
use rayon::prelude::*;

pub(super) use grow::train;

#[cfg(test)]
use super::matrix::Input;
use super::{Contributions, ModelError, matrix};
use crate::dataset::Task;
use crate::features::{Feature, FeatureColumn, FeatureTable};
use crate::pool;

/// Rows that are laid out at a time for predictions.
const BLOCK_ROWS: usize = 16_384;

/// Rows whose variants a thread predicts before it takes others.
const PART_ROWS: usize = 512;

/// Rows up to which predicting on the caller's thread is faster than waking another; the library starts no threads of
/// its own for so few.
const ROWS_WITHOUT_THREADS: usize = 15;

/// The most nodes of a model that is exported: the library needs nearly 3 kB for each while it writes.
const MAX_EXPORTED_NODES: usize = 100_000;

/// The most bytes of a model's own form in a file, unpacked.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;

/// Trees.
#[derive(Debug, Clone)]
pub(super) struct Trees {
    model: BoostedModel,
    forest: bool,
    /// What is added to every margin: the mean of a regression's label in train, otherwise 0.
    offset: f32,
}

/// What a training of trees gave.
pub(super) struct Grown {
    pub(super) trees: Trees,
    /// Rounds of boosting, or trees of a forest, that were kept.
    pub(super) iterations: u32,
    pub(super) time_limited: bool,
    pub(super) curve: Vec<f64>,
}

/// Not `From`: whether the data or a file is to blame depends on where it happens.
fn refused(e: &HessboostError) -> ModelError {
    ModelError::Refused(format!("boosting: {e}"))
}

impl Trees {
    pub(super) fn is_forest(&self) -> bool {
        self.forest
    }

    /// What is added to every margin besides the trees.
    pub(super) fn offset(&self) -> f32 {
        self.offset
    }

    /// How many steps TreeSHAP takes for a row: of each tree, its leaves times its depth squared.
    pub(super) fn contribution_work(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let of_tree = |leaves: usize, depth: usize| leaves as f64 * (depth as f64).powi(2);
        let trees = self.model.trees().iter();
        trees.map(|tree| of_tree(tree.num_leaves(), tree.depth())).sum()
    }

    pub(super) fn outputs(&self) -> usize {
        self.model.n_outputs()
    }

    /// Margins, row by row.
    pub(super) fn margins(&self, features: &[Feature], table: &FeatureTable) -> Result<Vec<f64>, ModelError> {
        let inputs = matrix::inputs(features);
        let offset = f64::from(self.offset);
        let mut margins = Vec::with_capacity(table.rows * self.outputs());
        let mut work = || -> Result<(), ModelError> {
            let mut values = Vec::new();
            for start in (0..table.rows).step_by(BLOCK_ROWS) {
                let rows = start..(start + BLOCK_ROWS).min(table.rows);
                matrix::block(&mut values, &inputs, table, rows);
                let block = self
                    .model
                    .predict_margin_rows(&values, Iterations::Best)
                    .map_err(|e| refused(&e))?;
                margins.extend(block.as_slice().iter().map(|m| f64::from(*m) + offset));
            }
            Ok(())
        };
        if table.rows <= ROWS_WITHOUT_THREADS {
            work()?;
        } else {
            pool::shared(work)??;
        }
        Ok(margins)
    }

    /// Margins of tables that differ from `table` in `varied` only, by variant, row by row.
    pub(super) fn margins_of_variants(
        &self,
        features: &[Feature],
        table: &FeatureTable,
        varied: &[usize],
        variants: &[Vec<FeatureColumn>],
    ) -> Result<Vec<Vec<f64>>, ModelError> {
        let inputs = matrix::inputs(features);
        let (outputs, width) = (self.outputs(), inputs.len());
        let of_part = |rows: Range<usize>| -> Result<Vec<f32>, ModelError> {
            let mut bases = Vec::new();
            matrix::block(&mut bases, &inputs, table, rows.clone());
            // By row, then variant, then feature.
            let row_values = variants.len() * varied.len();
            let mut values = vec![0.0; rows.len() * row_values];
            for (at, (column, feature)) in variants.iter().flatten().zip(varied.iter().cycle()).enumerate() {
                let cells = values.iter_mut().skip(at).step_by(row_values);
                matrix::fill_column(cells, inputs[*feature], column, rows.clone());
            }
            let row_margins = variants.len() * outputs;
            let mut margins = vec![0.0; rows.len() * row_margins];
            let of_rows = bases.chunks_exact(width).zip(values.chunks_exact(row_values));
            for ((base, values), margins) in of_rows.zip(margins.chunks_exact_mut(row_margins)) {
                RowVariants::new(base, varied, values)
                    .and_then(|rows| {
                        self.model
                            .predict_margin_variants_into(&rows, Iterations::Best, margins)
                    })
                    .map_err(|e| refused(&e))?;
            }
            Ok(margins)
        };
        let starts: Vec<usize> = (0..table.rows).step_by(PART_ROWS).collect();
        let parts = pool::shared(|| {
            starts
                .par_iter()
                .map(|start| of_part(*start..(start + PART_ROWS).min(table.rows)))
                .collect::<Result<Vec<_>, _>>()
        })??;
        let offset = f64::from(self.offset);
        let mut margins = vec![Vec::with_capacity(table.rows * outputs); variants.len()];
        for row in parts
            .iter()
            .flat_map(|part| part.chunks_exact(variants.len() * outputs))
        {
            for (margins, row) in margins.iter_mut().zip(row.chunks_exact(outputs)) {
                margins.extend(row.iter().map(|margin| f64::from(*margin) + offset));
            }
        }
        Ok(margins)
    }

    /// Shapley values by TreeSHAP (Lundberg, Erion, Lee: Consistent individualized feature attribution for tree
    /// ensembles, 2018, algorithm 2: what a feature adds when it becomes known, averaged over the order in which features
    /// do, with the trees' own covers for those that are not yet known).
    pub(super) fn contributions(
        &self,
        features: &[Feature],
        table: &FeatureTable,
    ) -> Result<Contributions, ModelError> {
        let inputs = matrix::inputs(features);
        let (outputs, width) = (self.outputs(), features.len());
        let mut values = Vec::with_capacity(table.rows * outputs * width);
        let mut base = vec![0.0; outputs];
        pool::shared(|| -> Result<(), ModelError> {
            for start in (0..table.rows).step_by(BLOCK_ROWS) {
                let rows = start..(start + BLOCK_ROWS).min(table.rows);
                let mut cells = Vec::new();
                matrix::block(&mut cells, &inputs, table, rows.clone());
                let found = DMatrix::from_dense_vec(cells, rows.len(), width)
                    .and_then(|data| self.model.predict_contribs(&data, Iterations::Best))
                    .map_err(|e| refused(&e))?;
                for row in found.as_slice().chunks_exact(outputs * (width + 1)) {
                    for (output, cells) in row.chunks_exact(width + 1).enumerate() {
                        values.extend(cells[..width].iter().map(|v| f64::from(*v)));
                        // The same for every row.
                        base[output] = f64::from(cells[width]) + f64::from(self.offset);
                    }
                }
            }
            Ok(())
        })??;
        Ok(Contributions {
            rows: table.rows,
            outputs,
            features: width,
            values,
            base,
        })
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        self.model.encode(ModelFormat::Binary).map_err(|e| refused(&e))
    }

    /// Reads what [`Trees::to_bytes`] wrote. What it unpacks to is limited here, since the library lets a small file
    /// grow by a factor of thousands.
    pub(super) fn from_bytes(
        bytes: &[u8],
        (forest, offset): (bool, f32),
        task: Task,
        classes: usize,
        features: &[Feature],
    ) -> Result<Self, ModelError> {
        let corrupt = |what: &dyn std::fmt::Display| ModelError::Corrupt(format!("trees: {what}"));
        let mut unpacked = Vec::new();
        zstd::stream::read::Decoder::with_buffer(bytes)
            .map_err(|e| corrupt(&e))?
            .take(MAX_UNPACKED_BYTES + 1)
            .read_to_end(&mut unpacked)
            .map_err(|e| corrupt(&e))?;
        if unpacked.len() as u64 > MAX_UNPACKED_BYTES {
            return Err(corrupt(&"they unpack to more than 1 GiB"));
        }
        let model = BoostedModel::decode(&unpacked, ModelFormat::Binary).map_err(|e| corrupt(&e))?;
        let (objective, outputs) = match task {
            Task::Binary => ("binary:logistic", 1),
            Task::Multiclass => ("multi:softprob", classes),
            Task::Regression => ("reg:squarederror", 1),
        };
        if model.objective().name() != objective
            || model.n_outputs() != outputs
            || model.n_features() != features.len()
        {
            return Err(corrupt(&format_args!(
                "they are for {} of {} features with {} outputs, and not for {objective} of {} with {outputs}",
                model.objective().name(),
                model.n_features(),
                model.n_outputs(),
                features.len()
            )));
        }
        if model.linear().is_some() || model.has_vector_leaves() {
            return Err(corrupt(&"they are of a kind that is never trained here"));
        }
        if !offset.is_finite() || (offset != 0.0 && task != Task::Regression) {
            return Err(corrupt(&"no such number is added to their margins"));
        }
        Ok(Self {
            model,
            forest,
            offset,
        })
    }

    /// XGBoost's UBJSON, with what is added to every margin in its base score, for XGBoost 3.1 and newer; none of a model with more than [`MAX_EXPORTED_NODES`].
    pub(super) fn export(&self) -> Result<Option<Vec<u8>>, ModelError> {
        let nodes: usize = self.model.trees().iter().map(|tree| tree.nodes().len()).sum();
        if nodes > MAX_EXPORTED_NODES {
            return Ok(None);
        }
        let mut bytes = self
            .model
            .encode(ModelFormat::XgboostUbjson)
            .map_err(|e| refused(&e))?;
        let cannot = |e: String| ModelError::Refused(format!("cannot export: {e}"));
        super::ubjson::order_children(&mut bytes).map_err(cannot)?;
        if self.offset != 0.0 {
            super::ubjson::add_to_base_score(&mut bytes, self.offset).map_err(cannot)?;
        }
        Ok(Some(bytes))
    }
}

/// Margins of what [`Trees::export`] wrote, as the library itself reads it.
#[cfg(test)]
pub(super) fn margins_of_export(bytes: &[u8], table: &FeatureTable) -> Vec<f64> {
    let model = BoostedModel::decode(bytes, ModelFormat::XgboostUbjson).expect("reads");
    let inputs: Vec<Input> = table
        .columns
        .iter()
        .map(|column| match column {
            FeatureColumn::Numeric(_) => Input::Number,
            FeatureColumn::Category(_) => Input::Levels(u32::MAX),
        })
        .collect();
    let rows = matrix::rows(&inputs, table, None);
    let margins = model
        .predict_margin_rows(&rows, Iterations::Best)
        .expect("predicts");
    margins.as_slice().iter().map(|m| f64::from(*m)).collect()
}
