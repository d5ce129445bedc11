//! Predictions of tables that differ in a few columns, as permutation importance and partial dependence ask for.

use super::{Body, Model, ModelError, Predictions, matrix};
use crate::features::{FeatureColumn, FeatureTable};

impl Model {
    /// The predictions of tables that differ from `table` in these `features` only: those of the first have the first of
    /// `variants`, a column for each of the features, and so on. They have the bits that [`Model::predict`] gives for
    /// each table; trees are walked once for all of them, and part ways only where they ask for one of the features.
    ///
    /// # Errors
    ///
    /// As for [`Model::predict`].
    ///
    /// # Panics
    ///
    /// If a variant has not one column for each of the features, or there is no such feature.
    pub fn predict_variants(
        &self,
        table: &FeatureTable,
        features: &[usize],
        variants: &[Vec<FeatureColumn>],
    ) -> Result<Vec<Predictions>, ModelError> {
        matrix::check_columns(&self.features, table)?;
        for variant in variants {
            assert_eq!(variant.len(), features.len(), "a column for each feature");
            for (feature, column) in features.iter().zip(variant) {
                matrix::check_column(&self.features[*feature], column, table.rows)?;
            }
        }
        let margins = match &self.body {
            Body::Linear(linear) => {
                let mut varied = table.clone();
                let mut of_variant = |variant: &Vec<FeatureColumn>| {
                    for (feature, column) in features.iter().zip(variant) {
                        varied.columns[*feature].clone_from(column);
                    }
                    linear.margins(&self.features, &varied)
                };
                variants
                    .iter()
                    .map(&mut of_variant)
                    .collect::<Result<Vec<_>, _>>()?
            }
            Body::Trees(trees) => trees.margins_of_variants(&self.features, table, features, variants)?,
        };
        Ok(margins
            .into_iter()
            .map(|margins| self.predictions(margins))
            .collect())
    }
}
