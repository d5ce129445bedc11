//! How linear models see features: numbers filled and scaled, one column for each category, and indicators of what was
//! missing.
//!
//! The columns of a category are 0 but for one in each row. [`LinearDesign::margin`], [`LinearDesign::sums`] and
//! [`LinearDesign::contributions`] look that one up instead of multiplying by zeros, so that they need no matrix;
//! [`LinearDesign::matrix`] is for solvers that want one.

#[cfg(test)]
mod tests;

use std::ops::Range;

use ndarray::{Array2, ShapeBuilder};

use super::{Feature, FeatureColumn, FeatureTable, FeatureValues, MISSING};

/// One column of a linear model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesignColumn {
    /// Its name: the feature's, with the category (`carrier=UA`) or `(missing)` if it is an indicator.
    pub name: String,
    /// The index of the feature that it is computed from.
    pub feature: usize,
    /// The raw column that this is computed from.
    pub column: String,
}

/// How one feature becomes columns. `at` is the first one's index.
#[derive(Debug, Clone, Copy)]
enum View {
    Numeric {
        at: usize,
        fill: f32,
        center: f32,
        scale: f32,
        /// Whether a column follows that is 1 where the number is missing.
        indicator: bool,
    },
    Category {
        at: usize,
        levels: usize,
        /// Whether a column follows the levels' that is 1 where the category is missing.
        indicator: bool,
    },
}

/// The columns of a linear model over some features.
#[derive(Debug, Clone)]
pub struct LinearDesign {
    columns: Vec<DesignColumn>,
    views: Vec<View>,
}

impl LinearDesign {
    /// The columns for these features, in their order: of a number `(value or fill - center) / scale`, of a category
    /// one for each level, and behind either its indicator if it has one.
    pub fn new(features: &[Feature]) -> Self {
        let mut columns: Vec<DesignColumn> = Vec::new();
        let mut views = Vec::with_capacity(features.len());
        for (index, feature) in features.iter().enumerate() {
            let at = columns.len();
            let mut push = |name| {
                columns.push(DesignColumn {
                    name,
                    feature: index,
                    column: feature.column.clone(),
                });
            };
            let (view, indicator) = match &feature.values {
                FeatureValues::Numeric {
                    fill,
                    center,
                    scale,
                    indicator,
                } => {
                    push(feature.name.clone());
                    let view = View::Numeric {
                        at,
                        fill: *fill,
                        center: *center,
                        scale: *scale,
                        indicator: *indicator,
                    };
                    (view, *indicator)
                }
                FeatureValues::Category {
                    levels, indicator, ..
                } => {
                    for level in levels {
                        push(format!("{}={level}", feature.name));
                    }
                    let view = View::Category {
                        at,
                        levels: levels.len(),
                        indicator: *indicator,
                    };
                    (view, *indicator)
                }
            };
            if indicator {
                push(format!("{} (missing)", feature.name));
            }
            views.push(view);
        }
        Self { columns, views }
    }

    /// The columns, in their order.
    pub fn columns(&self) -> &[DesignColumn] {
        &self.columns
    }

    /// The matrix, rows by columns, stored column by column. It takes 4 bytes × rows × columns, categories included:
    /// prefer the other methods where they do.
    ///
    /// # Panics
    ///
    /// If `table` is not of this design's features.
    pub fn matrix(&self, table: &FeatureTable) -> Array2<f32> {
        let mut matrix = Array2::zeros((table.rows, self.columns.len()).f());
        let whole = 0..table.rows;
        self.cells(table, whole, &mut |row, column, value| {
            matrix[(row, column)] = value;
        });
        matrix
    }

    /// By row: the intercept and the sum of its cells times the columns' coefficients.
    ///
    /// # Panics
    ///
    /// If `table` is not of this design's features, or `coefficients` is not one for each column.
    pub fn margin(&self, table: &FeatureTable, coefficients: &[f64], intercept: f64) -> Vec<f64> {
        let mut margins = vec![intercept; table.rows];
        self.add_margin(table, 0..table.rows, coefficients, &mut margins);
        margins
    }

    /// Adds to each of `margins`, which stand for these `rows`, the sum of its cells times the columns' coefficients.
    ///
    /// # Panics
    ///
    /// If `table` is not of this design's features, `coefficients` is not one for each column, or `margins` not one
    /// for each row.
    pub fn add_margin(
        &self,
        table: &FeatureTable,
        rows: Range<usize>,
        coefficients: &[f64],
        margins: &mut [f64],
    ) {
        assert_eq!(coefficients.len(), self.columns.len(), "one for each column");
        assert_eq!(margins.len(), rows.len(), "one for each row");
        let start = rows.start;
        self.cells(table, rows, &mut |row, column, value| {
            margins[row - start] += f64::from(value) * coefficients[column];
        });
    }

    /// By column: the sum of its cells times the rows' weights. With residuals for weights this is the gradient of a
    /// linear model's loss.
    ///
    /// # Panics
    ///
    /// If `table` is not of this design's features, or `weights` is not one for each row.
    pub fn sums(&self, table: &FeatureTable, weights: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.columns.len()];
        self.add_sums(table, 0..table.rows, weights, &mut sums);
        sums
    }

    /// Adds to each of `sums` the column's cells of these `rows` times the rows' weights.
    ///
    /// # Panics
    ///
    /// If `table` is not of this design's features, `weights` is not one for each of these rows, or `sums` not one for
    /// each column.
    pub fn add_sums(&self, table: &FeatureTable, rows: Range<usize>, weights: &[f64], sums: &mut [f64]) {
        assert_eq!(weights.len(), rows.len(), "one for each row");
        assert_eq!(sums.len(), self.columns.len(), "one for each column");
        let start = rows.start;
        self.cells(table, rows, &mut |row, column, value| {
            sums[column] += f64::from(value) * weights[row - start];
        });
    }

    /// By column: the mean of its cells.
    ///
    /// # Panics
    ///
    /// If `table` is not of this design's features.
    #[expect(clippy::cast_precision_loss, reason = "tables have fewer than 2^53 rows")]
    pub fn means(&self, table: &FeatureTable) -> Vec<f64> {
        let mut sums = vec![0.0; self.columns.len()];
        self.cells(table, 0..table.rows, &mut |_, column, value| {
            sums[column] += f64::from(value);
        });
        for sum in &mut sums {
            *sum /= table.rows.max(1) as f64;
        }
        sums
    }

    /// By row, then feature: the sum of `coefficient × (cell - mean)` over the feature's columns. With the columns'
    /// means over a background these are a linear model's Shapley values where features are independent (Lundberg and
    /// Lee, A unified approach to interpreting model predictions, 2017, corollary 1).
    ///
    /// # Panics
    ///
    /// If `table` is not of this design's features, or `coefficients` or `means` is not one for each column.
    pub fn contributions(&self, table: &FeatureTable, coefficients: &[f64], means: &[f64]) -> Vec<f64> {
        assert_eq!(coefficients.len(), self.columns.len(), "one for each column");
        assert_eq!(means.len(), self.columns.len(), "one for each column");
        let features = self.views.len();
        // What a row of zeros would give: every cell that is not 0 adds to it.
        let mut zero = vec![0.0; features];
        for ((column, coefficient), mean) in self.columns.iter().zip(coefficients).zip(means) {
            zero[column.feature] -= coefficient * mean;
        }
        let mut contributions = zero.repeat(table.rows);
        self.cells(table, 0..table.rows, &mut |row, column, value| {
            contributions[row * features + self.columns[column].feature] +=
                f64::from(value) * coefficients[column];
        });
        contributions
    }

    /// Visits the cells of these rows that may be other than 0 (row, column, value): feature by feature, row by row.
    pub(crate) fn cells(
        &self,
        table: &FeatureTable,
        rows: Range<usize>,
        visit: &mut impl FnMut(usize, usize, f32),
    ) {
        assert_eq!(
            table.columns.len(),
            self.views.len(),
            "the table is of these features"
        );
        for (view, column) in self.views.iter().zip(&table.columns) {
            match (*view, column) {
                (
                    View::Numeric {
                        at,
                        fill,
                        center,
                        scale,
                        indicator,
                    },
                    FeatureColumn::Numeric(values),
                ) => {
                    for row in rows.clone() {
                        let missing = values[row].is_nan();
                        let value = if missing { fill } else { values[row] };
                        visit(row, at, scaled(value, center, scale));
                        if missing && indicator {
                            visit(row, at + 1, 1.0);
                        }
                    }
                }
                (
                    View::Category {
                        at,
                        levels,
                        indicator,
                    },
                    FeatureColumn::Category(codes),
                ) => {
                    for row in rows.clone() {
                        match codes[row] {
                            MISSING if indicator => visit(row, at + levels, 1.0),
                            MISSING => {}
                            code => {
                                let code = code as usize;
                                assert!(code < levels, "codes are below the number of levels");
                                visit(row, at + code, 1.0);
                            }
                        }
                    }
                }
                _ => panic!("the table's columns are of these features' kinds"),
            }
        }
    }
}

/// Finite for all finite numbers, also where a new row is far beyond what train had.
#[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
fn scaled(value: f32, center: f32, scale: f32) -> f32 {
    let scaled = (f64::from(value) - f64::from(center)) / f64::from(scale);
    scaled.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
