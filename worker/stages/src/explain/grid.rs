//! At which values of a column partial dependence is looked at.

use ml::explain::{GridValue, RawColumn, category_grid, numeric_grid};
use ml::features::{Feature, FeatureColumn, FeatureTable};
use pipeline::stage::StageError;
use polars::prelude::{DataFrame, DataType};

use crate::flow::permanent;

/// One curve's values, and what is changed to them.
pub(super) struct Grid {
    pub(super) column: RawColumn,
    pub(super) is_numeric: bool,
    pub(super) values: Vec<GridValue>,
}

/// The curves of one raw column: one, over its raw values, however it is encoded; of a date or time one for each of
/// its parts, for a single date means nothing.
pub(super) fn grids(
    column: &RawColumn,
    features: &[Feature],
    raw: &DataFrame,
    table: &FeatureTable,
) -> Result<Vec<Grid>, StageError> {
    let series = raw
        .column(&column.name)
        .map_err(permanent)?
        .as_materialized_series();
    let one = |is_numeric: bool, values: Vec<GridValue>| {
        vec![Grid {
            column: column.clone(),
            is_numeric,
            values,
        }]
    };
    let grids = match series.dtype() {
        DataType::Date | DataType::Datetime(..) => parts(column, features, table),
        DataType::String => one(false, category_grid(series.str().map_err(permanent)?.iter())),
        kind if kind.is_primitive_numeric() && !is_category(column, table) => {
            let numbers = series.cast(&DataType::Float64).map_err(permanent)?;
            one(true, numeric_grid(numbers.f64().map_err(permanent)?.iter()))
        }
        // Booleans, and numbers that are taken for categories.
        _ => {
            let texts = series.cast(&DataType::String).map_err(permanent)?;
            one(false, category_grid(texts.str().map_err(permanent)?.iter()))
        }
    };
    // One value is no curve.
    Ok(grids.into_iter().filter(|grid| grid.values.len() > 1).collect())
}

fn is_category(column: &RawColumn, table: &FeatureTable) -> bool {
    column.features.len() > 1
        || column
            .features
            .iter()
            .any(|feature| matches!(table.columns.get(*feature), Some(FeatureColumn::Category(_))))
}

fn parts(column: &RawColumn, features: &[Feature], table: &FeatureTable) -> Vec<Grid> {
    column
        .features
        .iter()
        .filter_map(
            |index| match (features.get(*index)?, table.columns.get(*index)?) {
                (feature, FeatureColumn::Numeric(values)) => Some(Grid {
                    column: RawColumn {
                        name: feature.name.clone(),
                        features: vec![*index],
                    },
                    is_numeric: true,
                    values: numeric_grid(values.iter().map(|value| Some(f64::from(*value)))),
                }),
                (_, FeatureColumn::Category(_)) => None,
            },
        )
        .collect()
}
