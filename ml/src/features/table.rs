//! Features in memory, column by column.

/// The code of a category that is missing.
pub const MISSING: u32 = u32::MAX;

/// The values of one feature.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureColumn {
    /// Numbers; NaN is missing, infinities do not occur.
    Numeric(Vec<f32>),
    /// Codes below the number of levels, or [`MISSING`].
    Category(Vec<u32>),
}

impl FeatureColumn {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Numeric(values) => values.len(),
            Self::Category(codes) => codes.len(),
        }
    }

    /// True if it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The features of some rows, in the program's order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeatureTable {
    /// How many rows every column has.
    pub rows: usize,
    /// By the program's order.
    pub columns: Vec<FeatureColumn>,
}

impl FeatureTable {
    /// The rows with these indices, in their order.
    ///
    /// # Panics
    ///
    /// If an index is not below [`FeatureTable::rows`].
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        let columns = self
            .columns
            .iter()
            .map(|column| match column {
                FeatureColumn::Numeric(values) => {
                    FeatureColumn::Numeric(indices.iter().map(|i| values[*i]).collect())
                }
                FeatureColumn::Category(codes) => {
                    FeatureColumn::Category(indices.iter().map(|i| codes[*i]).collect())
                }
            })
            .collect();
        Self {
            rows: indices.len(),
            columns,
        }
    }
}
