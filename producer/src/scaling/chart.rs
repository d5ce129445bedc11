//! A simulation over time: cut into spans for charts, and drawn in characters.

use super::engine::Outcome;
use super::summary::percentile;
use super::trace::Trace;
use super::{Micros, seconds};

/// A simulation cut into spans of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Spans {
    /// How long each is.
    pub length: Micros,
    /// The most messages that waited.
    pub waiting: Vec<f64>,
    /// The most tasks that ran.
    pub running: Vec<f64>,
    /// The most tasks that were wanted.
    pub desired: Vec<f64>,
    /// The 95th percentile of the waits of messages that came in it, in seconds; none if none came.
    pub wait_p95: Vec<Option<f64>>,
}

impl Spans {
    /// At most `count` of them, none shorter than a minute.
    pub fn cut(trace: &Trace, outcome: &Outcome, count: usize) -> Self {
        let minutes = usize::try_from(outcome.ended / super::MINUTE)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let count = count.clamp(1, minutes);
        let length = outcome.ended / count as u64 + 1;
        let at = |when: Micros| {
            usize::try_from(when / length)
                .unwrap_or(usize::MAX)
                .min(count - 1)
        };
        let mut spans = Self {
            length,
            waiting: vec![0.0; count],
            running: vec![0.0; count],
            desired: vec![0.0; count],
            wait_p95: vec![None; count],
        };
        for moment in &outcome.moments {
            let (at, seen) = (at(moment.at), moment.seen);
            let raise = |values: &mut Vec<f64>, to: u32| values[at] = values[at].max(f64::from(to));
            raise(&mut spans.waiting, seen.visible);
            raise(&mut spans.running, seen.running);
            raise(&mut spans.desired, moment.desired);
        }
        let mut waits = vec![Vec::new(); count];
        for (job, became) in trace.jobs.iter().zip(&outcome.jobs) {
            waits[at(job.arrival)].push(seconds(became.started - job.arrival));
        }
        for (wait, mut of_span) in spans.wait_p95.iter_mut().zip(waits) {
            of_span.sort_unstable_by(f64::total_cmp);
            *wait = (!of_span.is_empty()).then(|| percentile(&of_span, 0.95));
        }
        spans
    }
}

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The values as columns of a chart of so many rows, the highest row first. Anything above zero is seen.
pub fn columns(values: &[f64], rows: usize) -> Vec<String> {
    let most = values.iter().copied().fold(0.0, f64::max);
    let steps = rows * (BLOCKS.len() - 1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a few dozen steps"
    )]
    let height = |value: &f64| match most > 0.0 && *value > 0.0 {
        true => ((value / most * steps as f64).round() as usize).clamp(1, steps),
        false => 0,
    };
    let heights: Vec<usize> = values.iter().map(height).collect();
    (0..rows)
        .rev()
        .map(|row| {
            let below = row * (BLOCKS.len() - 1);
            let line = heights
                .iter()
                .map(|h| BLOCKS[h.saturating_sub(below).min(BLOCKS.len() - 1)]);
            line.collect::<String>().trim_end().to_owned()
        })
        .collect()
}

/// A number with as many digits as one can use.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        v if v >= 0.0995 => format!("{value:.2}"),
        0.0 => "0".into(),
        _ => format!("{value:.4}"),
    }
}

/// A number at an axis: as [`short`], without zeros that say nothing.
pub fn tick(value: f64) -> String {
    let text = short(value);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Lines of a chart: a title with the largest value, the columns, and the time below.
pub fn text(title: &str, unit: &str, values: &[f64], length: Micros) -> Vec<String> {
    let most = values.iter().copied().fold(0.0, f64::max);
    let mut lines = vec![format!("{title} (most: {}{unit})", tick(most))];
    lines.extend(columns(values, 4).into_iter().map(|row| format!("  │{row}")));
    let end = clock(length.saturating_mul(values.len() as u64));
    lines.push(format!("  └{}", "─".repeat(values.len())));
    let pad = values.len().saturating_sub(end.len() + 1);
    lines.push(format!("   0{:pad$}{end}", ""));
    lines
}

/// Hours, or minutes if there are few.
pub fn clock(at: Micros) -> String {
    let minutes = (seconds(at) / 60.0).round();
    match minutes {
        0.0 => "0".into(),
        m if m < 120.0 => format!("{m:.0} min"),
        m => format!("{} h", tick((m / 6.0).round() / 10.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_proportion() {
        assert_eq!(columns(&[0.0, 1.0, 2.0, 4.0], 1), [" ▂▄█"]);
        assert_eq!(columns(&[0.0, 1.0, 2.0, 4.0], 2), ["   █", " ▄██"]);
        assert_eq!(columns(&[0.0, 0.001, 4.0], 1), [" ▁█"], "what is there is seen");
        assert_eq!(columns(&[0.0, 0.0], 1), [""]);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.00123, "0.0012"),
            (0.5, "0.50"),
            (12.34, "12.3"),
            (1234.5, "1234"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(clock(90 * super::super::MINUTE), "90 min");
        assert_eq!(clock(super::super::DAY), "24 h");
        assert_eq!(
            (tick(2.5), tick(50.0), tick(200.0)),
            ("2.5".into(), "50".into(), "200".into())
        );
    }
}
