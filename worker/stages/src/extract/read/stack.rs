//! Files of one source as one table.

use pipeline::stage::StageError;
use polars::prelude::*;

use super::{Table, first_line};
use crate::flow::permanent;

/// The table, if Polars makes as many rows of the file as were found in it: nothing may come in that nobody looked at,
/// and no row be lost.
pub(super) fn counted(table: LazyFrame, rows: u64) -> PolarsResult<LazyFrame> {
    let read = table
        .clone()
        .select([len().cast(DataType::UInt64)])
        .collect_with_engine(Engine::Streaming)?
        .unwrap_single();
    let read = read.columns()[0].u64()?.get(0).unwrap_or_default();
    polars_ensure!(
        read == rows,
        ComputeError: "it has {rows} rows, and {read} would be read: write it as Parquet, and tell us of it"
    );
    Ok(table)
}

pub(super) fn stacked(
    name: &str,
    mut tables: Vec<LazyFrame>,
    columns: Vec<String>,
    left_out: Vec<String>,
) -> Result<Table, StageError> {
    if columns.is_empty() {
        return Err(permanent(format!(
            "source {name:?} has no columns with plain values"
        )));
    }
    let frame = match tables.len() {
        1 => tables.remove(0),
        _ => concat(
            tables,
            UnionArgs {
                maintain_order: true,
                ..UnionArgs::default()
            },
        )
        .map_err(|e| permanent(format!("source {name:?}: {}", first_line(&e))))?,
    };
    Ok(Table {
        frame,
        columns,
        left_out,
    })
}

/// The first thing in which two files' columns differ.
pub(super) fn difference(a: &[(String, DataType)], b: &[(String, DataType)]) -> Option<String> {
    let of = |columns: &[(String, DataType)], name: &str| {
        columns
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, kind)| kind.clone())
    };
    a.iter()
        .find_map(|(name, kind)| match of(b, name) {
            None => Some(format!("only the first has {name:?}")),
            Some(other) if other != *kind => Some(format!(
                "{name:?} is {kind} in the first and {other} in the second"
            )),
            Some(_) => None,
        })
        .or_else(|| {
            b.iter()
                .find(|(name, _)| of(a, name).is_none())
                .map(|(name, _)| format!("only the second has {name:?}"))
        })
}
