//! What types alone do not say of parameters: ranges, names, and what goes together. Every part of a specification is
//! looked at, so that all that is wrong is told at once.

mod across;
mod data;
mod features;
mod models;
mod outcome;
mod validate;

use super::super::{StageParams, Step};

/// A parameter that no stage could do anything sensible with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The ordinal of the step that has it.
    pub step: usize,
    /// Where in the step's parameters, such as `candidates[0].rounds`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// What was found so far of one step.
struct Findings<'a> {
    step: usize,
    all: &'a mut Vec<Finding>,
}

impl Findings<'_> {
    fn say(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.all.push(Finding {
            step: self.step,
            path: path.into(),
            message: message.into(),
        });
    }

    /// Says so unless `is_good`.
    fn expect(&mut self, is_good: bool, path: &str, message: impl Into<String>) {
        if !is_good {
            self.say(path, message);
        }
    }

    /// `number` must be from 0 to 1.
    fn share(&mut self, number: f64, path: &str) {
        self.expect(
            (0.0..=1.0).contains(&number),
            path,
            format!("must be a share from 0 to 1, not {number}"),
        );
    }

    /// `number` must be above 0 and at most 1.
    fn positive_share(&mut self, number: f64, path: &str) {
        self.expect(
            number > 0.0 && number <= 1.0,
            path,
            format!("must be above 0 and at most 1, not {number}"),
        );
    }

    /// `number` must be 0 or more.
    fn not_negative(&mut self, number: f64, path: &str) {
        self.expect(
            number >= 0.0 && number.is_finite(),
            path,
            format!("must be 0 or more, not {number}"),
        );
    }

    /// `number` must be in that range.
    fn whole(&mut self, number: u32, range: std::ops::RangeInclusive<u32>, path: &str) {
        let (least, most) = (range.start(), range.end());
        self.expect(
            range.contains(&number),
            path,
            format!("must be from {least} to {most}, not {number}"),
        );
    }

    /// A column's name.
    fn column(&mut self, name: &str, path: &str) {
        self.expect(
            !name.trim().is_empty(),
            path,
            "is empty: write the name of a column",
        );
    }

    /// Names of columns: none empty, none twice.
    fn columns(&mut self, names: &[String], path: &str) {
        for (at, name) in names.iter().enumerate() {
            let path = format!("{path}[{at}]");
            self.column(name, &path);
            if names[..at].contains(name) {
                self.say(path, format!("column {name:?} is there twice; take one out"));
            }
        }
    }
}

/// All that is wrong with the parameters of these steps.
pub(in crate::spec) fn check(steps: &[Step]) -> Vec<Finding> {
    let mut all = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let found = &mut Findings {
            step: at,
            all: &mut all,
        };
        match &step.params {
            StageParams::Extract(params) => data::extract(params, found),
            StageParams::Validate(params) => validate::validate(params, found),
            StageParams::Transform(params) => features::transform(params, found),
            StageParams::Train(params) => {
                models::train(params, found);
                models::branches(params, step.branches, at + 1 == steps.len(), found);
            }
            StageParams::Evaluate(params) => outcome::evaluate(params, found),
            StageParams::Explain(params) => outcome::explain(params, found),
            StageParams::Predict(params) => data::predict(params, found),
            // Their types say it all.
            StageParams::Deploy(_)
            | StageParams::Noop(_)
            | StageParams::Sleep(_)
            | StageParams::Crash(_)
            | StageParams::Allocate(_)
            | StageParams::Flaky(_)
            | StageParams::FanOut(_) => {}
        }
    }
    across::steps(steps, &mut all);
    all
}

/// True if a text begins like `2013-11-01`; what may follow is left to whoever reads the data.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_day = |b: &[u8]| {
        b.iter().enumerate().all(|(at, b)| match at {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        })
    };
    bytes.len() >= 10
        && is_day(&bytes[..10])
        && matches!(bytes.get(10), None | Some(b'T' | b' '))
        && ("01"..="12").contains(&&text[5..7])
        && ("01"..="31").contains(&&text[8..10])
}
