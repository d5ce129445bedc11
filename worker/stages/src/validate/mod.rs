//! `validate`: checks the splits against the rules and against what the champion was trained on.

mod aside;
mod champion;
mod check;
mod moves;
mod page;
mod report;
mod rules;

use ml::statistics::Statistics;
use pipeline::StageName;
use pipeline::item::Demand;
use pipeline::stage::{Assignment, Needs, Outcome, Read, Stage, StageContext, StageError};

use self::champion::Champion;
use self::check::{check, left_out};
use crate::assigned::{champion_need, own_params, stage_name};
use crate::demand;
use crate::flow::{self, Split};

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

    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        demand::VALIDATE.of(&self.reads(assignment))
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
            aside::write_kept(context, &dataset, &checked)?;
        }
        if checked.report.quarantined > 0 {
            aside::write_quarantine(context, params, &dataset, &checked)?;
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

#[cfg(test)]
mod tests;
