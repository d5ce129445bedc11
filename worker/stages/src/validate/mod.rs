//! `validate`: checks the splits against the rules and against what the champion was trained on.

mod champion;
mod moves;
mod page;
mod report;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use ml::dataset::{Dataset, Role};
use ml::statistics::Statistics;
use pipeline::StageName;
use pipeline::spec::stages::{OnFailure, Validate as Params};
use pipeline::stage::{Assignment, Needs, Outcome, Read, Stage, StageContext, StageError};
use polars::prelude::*;

use self::champion::Champion;
use self::report::{Example, MAX_EXAMPLES, Report, RuleResult};
use self::rules::{Rules, WholeRule};
use crate::assigned::{champion_need, own_params, stage_name};
use crate::flow::{self, LeftOut, Split, permanent};

/// The most broken rules that a reason names.
const MAX_NAMED: usize = 3;

pub(crate) struct Validate;

impl Stage for Validate {
    fn name(&self) -> StageName {
        stage_name("validate")
    }

    fn needs(&self, assignment: &Assignment) -> Result<Needs, StageError> {
        let params = own_params!(assignment, Validate)?;
        Ok(Needs {
            model: champion_need(assignment, params.model.as_ref(), params.alias.as_ref())?,
            ..Needs::default()
        })
    }

    fn reads(&self, assignment: &Assignment) -> Vec<Read> {
        let mut reads = flow::row_reads(assignment, &Split::ALL);
        reads.extend(flow::reads(
            assignment,
            "extract",
            &[flow::STATISTICS, flow::LEFT_OUT],
        ));
        reads.extend(champion::reads(assignment));
        reads
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Validate)?;
        let dataset = flow::dataset(context)?;
        let champion = Champion::read(context)?;
        let mut checked = check(context, params, &dataset)?;
        checked.report.rules.extend(left_out(context)?);
        context.progress(0.6);
        let statistics: Statistics = flow::read_json(&flow::input(context, "extract", flow::STATISTICS)?)?;
        moves::compare(
            context,
            params,
            &dataset,
            champion.as_ref(),
            &statistics,
            &mut checked.report,
        )?;
        context.progress(0.8);
        let reasons = checked.reasons(params, &dataset);
        checked.report.passed = reasons.is_empty();
        if reasons.is_empty() && checked.report.quarantined > 0 {
            write_kept(context, &dataset, &checked)?;
        }
        if checked.report.quarantined > 0 {
            write_quarantine(context, params, &dataset, &checked)?;
        }
        flow::write_json(context, flow::REPORT_JSON, &checked.report)?;
        if reasons.is_empty() {
            flow::write_warnings(context, checked.report.warnings())?;
        }
        let page = page::render(&checked.report, &reasons);
        flow::write_bytes(context, flow::REPORT_HTML, page.as_bytes())?;
        match reasons.is_empty() {
            true => Ok(Outcome::Advance),
            false => Ok(Outcome::Halt {
                reason: reason(&reasons),
            }),
        }
    }
}

/// What was found row by row.
struct Checked {
    report: Report,
    /// Ids of rules that are rows' own.
    of_rows: BTreeSet<String>,
    /// By split: rows to put aside, with the rules that they break.
    aside: [BTreeMap<usize, Vec<usize>>; 3],
}

fn index(split: Split) -> usize {
    match split {
        Split::Train => 0,
        Split::Validation => 1,
        Split::Test => 2,
    }
}

/// Checks all rules on all splits, reading the columns that rules are about and no others.
fn check(context: &StageContext<'_>, params: &Params, dataset: &Dataset) -> Result<Checked, StageError> {
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
fn left_out(context: &StageContext<'_>) -> Result<Vec<RuleResult>, StageError> {
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
fn shown_keys(params: &Params, dataset: &Dataset) -> Vec<String> {
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
    fn reasons(&self, params: &Params, dataset: &Dataset) -> Vec<String> {
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

fn reason(reasons: &[String]) -> String {
    let named = reasons
        .iter()
        .take(MAX_NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    let more = match reasons.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more, see the report"),
    };
    let are = if reasons.len() == 1 {
        "1 rule is"
    } else {
        &format!("{} rules are", reasons.len())
    };
    format!("{are} broken: {named}{more}")
}

/// Writes the splits without the rows that were put aside, and how many are left.
fn write_kept(context: &StageContext<'_>, dataset: &Dataset, checked: &Checked) -> Result<(), StageError> {
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
fn write_quarantine(
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

#[cfg(test)]
mod tests;
