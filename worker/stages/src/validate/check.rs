//! All rules on all splits.

use std::collections::{BTreeMap, BTreeSet};

use ml::dataset::{Dataset, Role};
use pipeline::spec::stages::{OnFailure, Validate as Params};
use pipeline::stage::{StageContext, StageError};
use polars::prelude::*;

use super::report::{Example, MAX_EXAMPLES, Report, RuleResult};
use super::rules::{self, Rules, WholeRule};
use crate::flow::{self, LeftOut, Split, permanent};

/// What was found row by row.
pub(super) struct Checked {
    pub(super) report: Report,
    /// Ids of rules that are rows' own.
    of_rows: BTreeSet<String>,
    /// By split: rows to put aside, with the rules that they break.
    pub(super) aside: [BTreeMap<usize, Vec<usize>>; 3],
}

pub(super) fn index(split: Split) -> usize {
    match split {
        Split::Train => 0,
        Split::Validation => 1,
        Split::Test => 2,
    }
}

/// Checks all rules on all splits, reading the columns that rules are about and no others.
pub(super) fn check(
    context: &StageContext<'_>,
    params: &Params,
    dataset: &Dataset,
) -> Result<Checked, StageError> {
    let failed = |e: PolarsError| permanent(e);
    let mut rules = Rules::new(params, dataset)?;
    let keys = shown_keys(params, dataset);
    let mut columns = rules.columns(dataset);
    columns.extend(keys.iter().cloned());
    let columns: Vec<String> = columns.into_iter().collect();
    let mut results: Vec<RuleResult> = rules
        .rows
        .iter()
        .map(|rule| RuleResult {
            id: rule.id.clone(),
            column: Some(rule.column.clone()),
            severity: rule.severity,
            checked: 0,
            failed: 0,
            detail: None,
            examples: Vec::new(),
        })
        .collect();
    let mut missing: BTreeMap<String, u64> = BTreeMap::new();
    let mut aside: [BTreeMap<usize, Vec<usize>>; 3] = Default::default();
    let rows = dataset.rows.train + dataset.rows.validation + dataset.rows.test;
    if !columns.is_empty() {
        for split in Split::ALL {
            context.checkpoint()?;
            let frame = flow::rows(context, split, Some(&columns))?;
            for rule in &rules.whole {
                if matches!(rule.rule, WholeRule::MaxNulls(_)) {
                    let column = frame.column(&rule.column).map_err(failed)?;
                    *missing.entry(rule.column.clone()).or_default() +=
                        rules::missing(column).map_err(failed)?;
                }
            }
            for (i, (rule, result)) in rules.rows.iter_mut().zip(&mut results).enumerate() {
                context.checkpoint()?;
                let (broken, checked) = rule.broken(&frame).map_err(failed)?;
                result.checked += checked;
                result.failed += broken.len() as u64;
                for row in broken
                    .iter()
                    .take(MAX_EXAMPLES.saturating_sub(result.examples.len()))
                {
                    result
                        .examples
                        .push(example(&frame, split, *row, &keys).map_err(failed)?);
                }
                if rule.severity == OnFailure::Quarantine {
                    for row in broken {
                        aside[index(split)].entry(row).or_default().push(i);
                    }
                }
            }
        }
    }
    let of_rows = results.iter().map(|result| result.id.clone()).collect();
    let quarantined = aside.iter().map(BTreeMap::len).sum::<usize>() as u64;
    results.extend(whole_results(&rules, &missing, rows as u64));
    results.extend(table_results(params, dataset, rows as u64 - quarantined));
    Ok(Checked {
        report: Report {
            passed: true,
            rows: rows as u64,
            quarantined,
            rules: results,
            champion: None,
            drift: Vec::new(),
            skew: Vec::new(),
        },
        of_rows,
        aside,
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn whole_results(rules: &Rules, missing: &BTreeMap<String, u64>, rows: u64) -> Vec<RuleResult> {
    rules
        .whole
        .iter()
        .map(|rule| {
            let (holds, detail) = match &rule.rule {
                WholeRule::Settled { holds, detail } => (*holds, detail.clone()),
                WholeRule::MaxNulls(share) => {
                    let count = missing.get(&rule.column).copied().unwrap_or_default();
                    let found = count as f64 / rows.max(1) as f64;
                    let detail = format!("{count} of {rows} rows have no value, a share of {found:.4}; at most {share} is allowed");
                    (found <= *share, detail)
                }
            };
            RuleResult {
                id: rule.id.clone(),
                column: Some(rule.column.clone()),
                severity: rule.severity,
                checked: 1,
                failed: u64::from(!holds),
                detail: (!holds).then_some(detail),
                examples: Vec::new(),
            }
        })
        .collect()
}

/// The rules on the data as a whole. `rows` are those that are left.
fn table_results(params: &Params, dataset: &Dataset, rows: u64) -> Vec<RuleResult> {
    let rule = |id: &str, holds: bool, detail: String| RuleResult {
        id: id.to_owned(),
        column: None,
        severity: params.on_failure,
        checked: 1,
        failed: u64::from(!holds),
        detail: (!holds).then_some(detail),
        examples: Vec::new(),
    };
    let min = params.rows.min;
    let mut results = vec![rule(
        "rows.min",
        rows >= min,
        format!("there are {rows} rows; at least {min} are asked for"),
    )];
    if let Some(max) = params.rows.max {
        results.push(rule(
            "rows.max",
            rows <= max,
            format!("there are {rows} rows; at most {max} are allowed"),
        ));
    }
    if params.only_known_columns {
        let unknown: Vec<&str> = dataset
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|name| !params.columns.contains_key(*name))
            .collect();
        results.push(rule(
            "columns.known",
            unknown.is_empty(),
            format!(
                "no rule knows {}",
                unknown.iter().take(10).copied().collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    results
}

/// The columns of sources that were not read. Nobody asked for a rule on them, so each is only worth a note.
pub(super) fn left_out(context: &StageContext<'_>) -> Result<Vec<RuleResult>, StageError> {
    let Ok(path) = flow::input(context, "extract", flow::LEFT_OUT) else {
        return Ok(Vec::new());
    };
    let columns: Vec<LeftOut> = flow::read_json(&path)?;
    let notes = columns.into_iter().map(|LeftOut { source, column }| {
        let detail = format!("source {source:?}: it holds lists or objects, so it is left out");
        RuleResult::note(&column, "left_out", OnFailure::Warn, detail)
    });
    Ok(notes.collect())
}

/// Keys that may be shown.
pub(super) fn shown_keys(params: &Params, dataset: &Dataset) -> Vec<String> {
    let keys = dataset.of_role(Role::Key).map(|column| column.name.clone());
    keys.filter(|name| !params.private.contains(name)).collect()
}

fn example(frame: &DataFrame, split: Split, row: usize, keys: &[String]) -> PolarsResult<Example> {
    let mut key = BTreeMap::new();
    for name in keys {
        let value = frame
            .column(name)?
            .slice(i64::try_from(row).unwrap_or(i64::MAX), 1)
            .cast(&DataType::String)?;
        key.extend(value.str()?.get(0).map(|text| (name.clone(), text.to_owned())));
    }
    Ok(Example {
        split: split.name().to_owned(),
        row: row as u64 + 1,
        key,
    })
}

impl Checked {
    /// Why the run must stop; empty if it need not.
    pub(super) fn reasons(&self, params: &Params, dataset: &Dataset) -> Vec<String> {
        let rules = self.report.rules.iter();
        let mut reasons: Vec<String> = rules
            .filter(|rule| rule.stops(self.of_rows.contains(&rule.id)))
            .map(RuleResult::words)
            .collect();
        let moved = self
            .report
            .drift
            .iter()
            .filter(|m| m.severity == Some(OnFailure::Stop));
        reasons.extend(moved.map(|m| {
            format!(
                "{}.drift (PSI {:.3}, from {} on it stops)",
                m.column,
                m.psi,
                params.drift.stop.unwrap_or_default()
            )
        }));
        let rows = [dataset.rows.train, dataset.rows.validation, dataset.rows.test];
        for split in Split::ALL {
            if rows[index(split)] > 0 && self.aside[index(split)].len() == rows[index(split)] {
                reasons.push(format!("all rows of {} would be put aside", split.name()));
            }
        }
        reasons
    }
}
