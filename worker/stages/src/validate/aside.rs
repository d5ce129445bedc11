//! Rows that are put aside, and the splits without them.

use ml::dataset::Dataset;
use pipeline::spec::stages::Validate as Params;
use pipeline::stage::{StageContext, StageError};
use polars::prelude::*;

use super::check::{Checked, index, shown_keys};
use crate::flow::{self, Split, permanent};

/// Writes the splits without the rows that were put aside, and how many are left.
pub(super) fn write_kept(
    context: &StageContext<'_>,
    dataset: &Dataset,
    checked: &Checked,
) -> Result<(), StageError> {
    let mut kept = dataset.clone();
    for split in Split::ALL {
        context.checkpoint()?;
        let aside = &checked.aside[index(split)];
        let frame = flow::rows(context, split, None)?;
        let mask: BooleanChunked = (0..frame.height())
            .map(|row| Some(!aside.contains_key(&row)))
            .collect();
        let mut frame = frame.filter(&mask).map_err(permanent)?;
        let rows = match split {
            Split::Train => &mut kept.rows.train,
            Split::Validation => &mut kept.rows.validation,
            Split::Test => &mut kept.rows.test,
        };
        *rows = frame.height();
        flow::write_frame(context, split.rows(), &mut frame)?;
    }
    flow::write_json(context, flow::DATASET, &kept)
}

/// One line for each row and rule that it breaks: split, row, rule, and the keys that may be shown.
pub(super) fn write_quarantine(
    context: &StageContext<'_>,
    params: &Params,
    dataset: &Dataset,
    checked: &Checked,
) -> Result<(), StageError> {
    let keys = shown_keys(params, dataset);
    let mut all: Option<DataFrame> = None;
    for split in Split::ALL {
        let aside = &checked.aside[index(split)];
        if aside.is_empty() {
            continue;
        }
        let lines: Vec<(usize, usize)> = aside
            .iter()
            .flat_map(|(row, rules)| rules.iter().map(|rule| (*row, *rule)))
            .collect();
        let ids: Vec<&str> = lines
            .iter()
            .map(|(_, rule)| checked.report.rules[*rule].id.as_str())
            .collect();
        let rows: Vec<i64> = lines.iter().map(|(row, _)| *row as i64 + 1).collect();
        let mut columns = vec![
            Column::new("split".into(), vec![split.name(); lines.len()]),
            Column::new("row".into(), rows),
            Column::new("rule".into(), ids),
        ];
        if !keys.is_empty() {
            #[expect(clippy::cast_possible_truncation, reason = "a frame has at most 2^32 rows")]
            let places: Vec<IdxSize> = lines.iter().map(|(row, _)| *row as IdxSize).collect();
            let frame = flow::rows(context, split, Some(&keys))?;
            let taken = frame
                .take(&IdxCa::from_vec("row".into(), places))
                .map_err(permanent)?;
            columns.extend(taken.columns().iter().map(|column| {
                let name = format!("key.{}", column.name());
                column.clone().with_name(name.into())
            }));
        }
        let part = DataFrame::new(lines.len(), columns).map_err(permanent)?;
        match &mut all {
            None => all = Some(part),
            Some(all) => {
                all.vstack_mut(&part).map_err(permanent)?;
            }
        }
    }
    match all {
        None => Ok(()),
        Some(mut all) => flow::write_frame(context, flow::QUARANTINE, &mut all),
    }
}
