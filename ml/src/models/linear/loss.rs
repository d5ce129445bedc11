//! The loss of a linear model over its rows, with its gradient.

use std::ops::Range;

use rayon::prelude::*;

use crate::dataset::Task;
use crate::features::LinearDesign;
use crate::models::{Examples, Problem, outputs, sigmoid, softmax};

/// Doubles that all gradients of parts may take together: 64 MiB.
const MAX_PARTIAL: usize = 8 << 20;
/// The most parts that the rows are cut into.
const MAX_PARTS: usize = 64;
/// The fewest rows of a part.
const MIN_PART_ROWS: usize = 4_096;
/// The most margins that are held at a time.
const BLOCK_MARGINS: usize = 16_384;

/// The summed loss of some rows, and of the penalty.
pub(super) struct Loss<'a> {
    pub(super) design: &'a LinearDesign,
    pub(super) examples: &'a Examples<'a>,
    pub(super) task: Task,
    pub(super) outputs: usize,
    pub(super) l2: f64,
}

impl<'a> Loss<'a> {
    pub(super) fn new(
        l2: f64,
        problem: &Problem<'_>,
        examples: &'a Examples<'a>,
        design: &'a LinearDesign,
    ) -> Self {
        Self {
            design,
            examples,
            task: problem.task,
            outputs: outputs(problem.task, problem.classes),
            l2,
        }
    }

    fn columns(&self) -> usize {
        self.design.columns().len()
    }

    pub(super) fn weight(&self, row: usize) -> f64 {
        self.examples.weights.map_or(1.0, |w| f64::from(w[row]))
    }

    /// The loss at a point and, in `gradient`, its gradient. A point is the weights by output and column, and then the
    /// intercepts by output.
    ///
    /// The rows are cut into parts by their number alone, and the parts are added up in their order: the sum does not
    /// depend on how many threads work on them.
    pub(super) fn at(&self, point: &[f64], gradient: &mut [f64]) -> f64 {
        let rows = self.examples.features.rows;
        let parts = rows
            .div_ceil(MIN_PART_ROWS)
            .min(MAX_PARTS)
            .min((MAX_PARTIAL / point.len()).max(1));
        let part_rows = rows.div_ceil(parts);
        let sums: Vec<(f64, Vec<f64>)> = (0..parts)
            .into_par_iter()
            .map(|part| {
                let start = (part * part_rows).min(rows);
                self.part(point, start..(start + part_rows).min(rows))
            })
            .collect();
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (part_loss, part_gradient) in sums {
            loss += part_loss;
            for (sum, part) in gradient.iter_mut().zip(part_gradient) {
                *sum += part;
            }
        }
        for (slope, weight) in gradient.iter_mut().zip(&point[..self.outputs * self.columns()]) {
            *slope += self.l2 * weight;
            loss += 0.5 * self.l2 * weight * weight;
        }
        loss
    }

    fn part(&self, point: &[f64], rows: Range<usize>) -> (f64, Vec<f64>) {
        let (outputs, columns) = (self.outputs, self.columns());
        let table = self.examples.features;
        let (weights, intercepts) = point.split_at(outputs * columns);
        let mut gradient = vec![0.0; point.len()];
        let mut loss = 0.0;
        let block_rows = (BLOCK_MARGINS / outputs).max(16);
        // By output, then row.
        let mut margins: Vec<f64> = Vec::new();
        let mut row_margins = vec![0.0; outputs];
        for start in rows.clone().step_by(block_rows) {
            let block = start..(start + block_rows).min(rows.end);
            let count = block.len();
            margins.clear();
            for (output, intercept) in intercepts.iter().enumerate() {
                margins.resize((output + 1) * count, *intercept);
                let of = &weights[output * columns..(output + 1) * columns];
                let into = &mut margins[output * count..];
                self.design.add_margin(table, block.clone(), of, into);
            }
            for (at, row) in block.clone().enumerate() {
                let strided = margins.iter().skip(at).step_by(count);
                row_margins
                    .iter_mut()
                    .zip(strided)
                    .for_each(|(m, from)| *m = *from);
                loss += self.weight(row) * self.row(row, &mut row_margins);
                for (output, slope) in row_margins.iter().enumerate() {
                    margins[output * count + at] = self.weight(row) * slope;
                }
            }
            let (of_weights, of_intercepts) = gradient.split_at_mut(outputs * columns);
            for (output, slopes) in margins.chunks_exact(count).enumerate() {
                let sums = &mut of_weights[output * columns..(output + 1) * columns];
                self.design.add_sums(table, block.clone(), slopes, sums);
                of_intercepts[output] += slopes.iter().sum::<f64>();
            }
        }
        (loss, gradient)
    }

    /// The loss of a row; its margins become the loss' slopes.
    fn row(&self, row: usize, margins: &mut [f64]) -> f64 {
        let target = self.examples.target[row];
        match self.task {
            Task::Regression => {
                let residual = margins[0] - f64::from(target);
                margins[0] = residual;
                0.5 * residual * residual
            }
            Task::Binary => {
                let margin = margins[0];
                let positive = f64::from(target);
                margins[0] = sigmoid(margin) - positive;
                // ln(1 + e^m) - y m, without overflow.
                margin.max(0.0) + (-margin.abs()).exp().ln_1p() - positive * margin
            }
            Task::Multiclass => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked to be the index of a class"
                )]
                let class = target as usize;
                let of_class = margins[class];
                let most = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = margins.iter().map(|m| (m - most).exp()).sum();
                softmax(margins);
                margins[class] -= 1.0;
                most + sum.ln() - of_class
            }
        }
    }
}
