//! How far the columns have moved: from the champion's training data, and from split to split.

use ml::dataset::{Column, Dataset, Role};
use ml::statistics::{self, Statistics};
use pipeline::spec::stages::{OnFailure, Validate as Params};
use pipeline::stage::{StageContext, StageError};

use super::champion::{Champion, is_alike};
use super::report::{Move, Report, RuleResult};
use crate::extract::type_name as words;
use crate::flow::{self, Split, permanent};

/// Compares with the champion's training data, and the splits with each other.
pub(super) fn compare(
    context: &StageContext<'_>,
    params: &Params,
    dataset: &Dataset,
    champion: Option<&Champion>,
    train: &Statistics,
    report: &mut Report,
) -> Result<(), StageError> {
    if let Some(champion) = champion {
        report.champion = Some(champion.version.clone());
        report
            .rules
            .extend(champion.schema(dataset, params.champion_columns.unwrap_or(params.on_failure)));
        if let Some(before) = &champion.statistics {
            report.rules.extend(incomparable(dataset, before));
            report.drift = moves(context, params, dataset, before, Split::Train, params.drift.stop)?;
        }
    }
    for split in [Split::Validation, Split::Test] {
        report
            .skew
            .extend(moves(context, params, dataset, train, split, None)?);
    }
    Ok(())
}

/// The columns whose distributions are looked at.
fn compared(dataset: &Dataset) -> impl Iterator<Item = &Column> {
    let is_seen = |column: &&Column| matches!(column.role, Role::Feature | Role::Label);
    dataset.columns.iter().filter(is_seen)
}

/// Columns that were something else when the champion was trained. Whether that stops the run is for `champion_type` to
/// say; but nobody may think that they were compared.
fn incomparable<'a>(dataset: &'a Dataset, before: &'a Statistics) -> impl Iterator<Item = RuleResult> + 'a {
    compared(dataset).filter_map(|column| {
        let before = before.column(&column.name)?;
        let (now, then) = (words(column.kind), words(before.kind));
        let detail = format!("it is {now}, and {then} for the champion: how far it has moved cannot be told");
        (!is_alike(before.kind, column.kind))
            .then(|| RuleResult::note(&column.name, "drift", OnFailure::Warn, detail))
    })
}

/// One column at a time: memory is bounded by the longest.
fn moves(
    context: &StageContext<'_>,
    params: &Params,
    dataset: &Dataset,
    before: &Statistics,
    split: Split,
    stop: Option<f64>,
) -> Result<Vec<Move>, StageError> {
    let mut moves = Vec::new();
    for column in compared(dataset) {
        context.checkpoint()?;
        let Some(described) = before
            .column(&column.name)
            .filter(|before| is_alike(before.kind, column.kind))
        else {
            continue;
        };
        let frame = flow::rows(context, split, Some(std::slice::from_ref(&column.name)))?;
        let values = frame.column(&column.name).map_err(permanent)?;
        if let Some(psi) = statistics::drift(described, values).map_err(permanent)? {
            let severity = match stop {
                Some(stop) if psi >= stop => Some(OnFailure::Stop),
                _ if psi >= params.drift.warn => Some(OnFailure::Warn),
                _ => None,
            };
            moves.push(Move {
                column: column.name.clone(),
                split: split.name().to_owned(),
                psi,
                severity,
            });
        }
    }
    Ok(moves)
}
