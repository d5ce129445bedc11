//! Newton's method (Boyd, Vandenberghe: Convex optimization, section 9.5) for one output and not too many columns.
//!
//! A look at all rows gives the whole Hessian. Of a table of numbers and categories that costs little, for in each row
//! but one column of a category is not 0; and half a dozen steps are all it takes, where a method that knows gradients
//! alone looks at the rows a hundred times.

use std::ops::Range;

use linfa_linalg::cholesky::SolveC;
use ndarray::Array2;
use rayon::prelude::*;

use super::Minimum;
use super::loss::Loss;
use super::search::{self, Method};
use crate::dataset::Task;
use crate::features::{DesignColumn, FeatureValues, LinearDesign};
use crate::models::{Examples, ModelError, Problem, Watch, outputs, sigmoid};

/// The most columns: their Hessian takes 2 MiB, and its factors 0.1 s.
const MAX_COLUMNS: usize = 512;
/// Doubles that the Hessians of all parts may take together: 32 MiB.
const MAX_PARTIAL: usize = 4 << 20;
/// The fewest rows of a part.
const MIN_PART_ROWS: usize = 8_192;
/// Rows that are laid out at a time.
const BLOCK_ROWS: usize = 512;
/// Ends when twice the expected decrease is below this share of the loss.
const TOLERANCE: f64 = 1e-12;

/// None where L-BFGS is to do it: for several outputs, on many columns, and where the Hessian need not have an inverse
/// (without a penalty: the columns of categories depend on each other).
pub(super) fn fit(
    l2: f64,
    max_iterations: u32,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    design: &LinearDesign,
    watch: &dyn Watch,
) -> Result<Option<Minimum>, ModelError> {
    let columns = design.columns().len();
    if l2 <= 0.0 || outputs(problem.task, problem.classes) > 1 || columns > MAX_COLUMNS {
        return Ok(None);
    }
    let loss = Loss::new(l2, problem, train, design);
    let hessian = Hessian::new(&loss, problem);
    search::minimum(hessian, &loss, (problem, train), max_iterations, watch)
}

/// The Hessian at a point, in the order of points.
#[cfg(test)]
pub(super) fn second_derivatives(loss: &Loss<'_>, problem: &Problem<'_>, point: &[f64]) -> Array2<f64> {
    let hessian = Hessian::new(loss, problem);
    hessian.whole(&hessian.at(point))
}

/// Where a column of the design stands in a Hessian.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Among the numbers, which all rows have.
    Dense(usize),
    /// Among the columns that are 1 in a few rows and 0 in the others.
    Sparse(usize),
}

/// Second derivatives of a loss, by blocks: numbers and the intercept (the last of them) among themselves, sparse
/// columns with those, and sparse columns among themselves.
struct Hessian<'a> {
    loss: &'a Loss<'a>,
    places: Vec<Place>,
    dense: usize,
    sparse: usize,
    /// The most sparse columns that are 1 in one row: at most one of each feature's.
    sparse_in_row: usize,
}

/// The sums of some rows. Of symmetric blocks only what is not below the diagonal.
struct Blocks {
    dense: Vec<f64>,
    mixed: Vec<f64>,
    sparse: Vec<f64>,
}

impl Blocks {
    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.dense, &other.dense),
            (&mut self.mixed, &other.mixed),
            (&mut self.sparse, &other.sparse),
        ];
        for (sums, more) in pairs {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }
}

impl Method for Hessian<'_> {
    const TOLERANCE: f64 = TOLERANCE;

    /// To where the gradient would be 0 if the loss were a parabola; none if there is not one such place.
    fn direction(&mut self, point: &[f64], gradient: &[f64]) -> Option<Vec<f64>> {
        let mut matrix = self.whole(&self.at(point));
        let against = Array2::from_shape_fn((gradient.len(), 1), |(row, _)| -gradient[row]);
        let step = matrix.solvec(&against).ok()?;
        step.iter()
            .all(|step| step.is_finite())
            .then(|| step.into_raw_vec_and_offset().0)
    }
}

impl<'a> Hessian<'a> {
    fn new(loss: &'a Loss<'a>, problem: &Problem<'_>) -> Self {
        let (mut dense, mut sparse) = (0, 0);
        let next = |count: &mut usize| std::mem::replace(count, *count + 1);
        let mut previous = None;
        let place = |column: &DesignColumn| {
            let is_first = previous.replace(column.feature) != Some(column.feature);
            match problem.features[column.feature].values {
                FeatureValues::Numeric { .. } if is_first => Place::Dense(next(&mut dense)),
                // Categories, and the indicators of missing numbers.
                FeatureValues::Numeric { .. } | FeatureValues::Category { .. } => {
                    Place::Sparse(next(&mut sparse))
                }
            }
        };
        let places = loss.design.columns().iter().map(place).collect();
        Self {
            loss,
            places,
            dense: dense + 1,
            sparse,
            sparse_in_row: problem.features.len(),
        }
    }

    /// The rows are cut into parts by their number alone, as those of the loss are.
    fn at(&self, point: &[f64]) -> Blocks {
        let rows = self.loss.examples.features.rows;
        let parts = rows
            .div_ceil(MIN_PART_ROWS)
            .min((MAX_PARTIAL / (point.len() * point.len())).max(1));
        let part_rows = rows.div_ceil(parts);
        let sums: Vec<Blocks> = (0..parts)
            .into_par_iter()
            .map(|part| {
                let start = (part * part_rows).min(rows);
                self.part(point, start..(start + part_rows).min(rows))
            })
            .collect();
        let mut sums = sums.into_iter();
        let mut all = sums.next().expect("there is a part, if only of no rows");
        sums.for_each(|part| all.add(&part));
        all
    }

    fn part(&self, point: &[f64], rows: Range<usize>) -> Blocks {
        let (dense, sparse, in_row) = (self.dense, self.sparse, self.sparse_in_row);
        let (table, design) = (self.loss.examples.features, self.loss.design);
        let (weights, intercept) = point.split_at(point.len() - 1);
        let mut sums = Blocks {
            dense: vec![0.0; dense * dense],
            mixed: vec![0.0; sparse * dense],
            sparse: vec![0.0; sparse * sparse],
        };
        // Row by row: its numbers, and which of the sparse columns are 1.
        let mut numbers = vec![0.0; BLOCK_ROWS * dense];
        let mut ones = vec![0; BLOCK_ROWS * in_row];
        let mut counts = vec![0; BLOCK_ROWS];
        let mut weighted = vec![0.0; dense];
        let mut margins = Vec::with_capacity(BLOCK_ROWS);
        for start in rows.clone().step_by(BLOCK_ROWS) {
            let block = start..(start + BLOCK_ROWS).min(rows.end);
            margins.clear();
            margins.resize(block.len(), intercept[0]);
            counts.fill(0);
            design.cells(table, block.clone(), &mut |row, column, value| {
                let row = row - start;
                let value = f64::from(value);
                margins[row] += value * weights[column];
                match self.places[column] {
                    Place::Dense(at) => numbers[row * dense + at] = value,
                    Place::Sparse(at) => {
                        ones[row * in_row + counts[row]] = at;
                        counts[row] += 1;
                    }
                }
            });
            for (at, row) in block.enumerate() {
                let curvature = self.loss.weight(row) * self.curvature(margins[at]);
                let numbers = &mut numbers[at * dense..(at + 1) * dense];
                numbers[dense - 1] = 1.0;
                for (to, number) in weighted.iter_mut().zip(&*numbers) {
                    *to = curvature * number;
                }
                for (first, value) in weighted.iter().enumerate() {
                    let sums = &mut sums.dense[first * dense + first..(first + 1) * dense];
                    let others = &numbers[first..];
                    sums.iter_mut().zip(others).for_each(|(sum, n)| *sum += value * n);
                }
                let ones = &ones[at * in_row..at * in_row + counts[at]];
                for (nth, one) in ones.iter().enumerate() {
                    let sums_of_one = &mut sums.mixed[one * dense..(one + 1) * dense];
                    sums_of_one
                        .iter_mut()
                        .zip(&weighted)
                        .for_each(|(sum, w)| *sum += w);
                    let sums_of_one = &mut sums.sparse[one * sparse..(one + 1) * sparse];
                    ones[nth..]
                        .iter()
                        .for_each(|other| sums_of_one[*other] += curvature);
                }
            }
        }
        sums
    }

    /// The second derivative of a row's loss by its margin.
    fn curvature(&self, margin: f64) -> f64 {
        match self.loss.task {
            Task::Regression => 1.0,
            Task::Binary | Task::Multiclass => {
                let p = sigmoid(margin);
                p * (1.0 - p)
            }
        }
    }

    /// The whole matrix, in the order of points, with the penalty.
    fn whole(&self, blocks: &Blocks) -> Array2<f64> {
        let (dense, sparse) = (self.dense, self.sparse);
        let last = self.places.len();
        let place = |column: usize| match column == last {
            true => Place::Dense(dense - 1),
            false => self.places[column],
        };
        Array2::from_shape_fn((last + 1, last + 1), |(row, column)| {
            let sum = match (place(row), place(column)) {
                (Place::Dense(a), Place::Dense(b)) => blocks.dense[a.min(b) * dense + a.max(b)],
                (Place::Sparse(a), Place::Sparse(b)) => blocks.sparse[a.min(b) * sparse + a.max(b)],
                (Place::Sparse(one), Place::Dense(number)) | (Place::Dense(number), Place::Sparse(one)) => {
                    blocks.mixed[one * dense + number]
                }
            };
            let penalty = if row == column && row < last {
                self.loss.l2
            } else {
                0.0
            };
            sum + penalty
        })
    }
}
