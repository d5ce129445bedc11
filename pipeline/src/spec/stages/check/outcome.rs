//! What the winner must pass, and what is said of it.

use super::super::super::load::nearest;
use super::super::{Evaluate, Explain, Gate, METRICS, MetricKind};
use super::Findings;

pub(super) fn evaluate(params: &Evaluate, found: &mut Findings<'_>) {
    let Evaluate {
        metric: chooser,
        slices,
        gates,
        champion,
        model: _,
        alias: _,
    } = params;
    if let Some(name) = chooser {
        metric(name, "metric", found);
    }
    found.columns(slices, "slices");
    for (at, one) in gates.iter().enumerate() {
        gate(one, &format!("gates[{at}]"), slices, found);
    }
    found.not_negative(champion.tolerance, "champion.tolerance");
}

pub(super) fn explain(params: &Explain, found: &mut Findings<'_>) {
    let Explain {
        rows,
        permutation_rows,
        permutation_repeats,
        partial_dependence,
    } = *params;
    found.whole(rows, 1..=1_000_000, "rows");
    found.whole(permutation_rows, 1..=10_000_000, "permutation_rows");
    found.whole(permutation_repeats, 0..=100, "permutation_repeats");
    found.whole(partial_dependence, 0..=100, "partial_dependence");
}

fn metric(name: &str, path: &str, found: &mut Findings<'_>) -> Option<&'static MetricKind> {
    let metric = MetricKind::of(name);
    if metric.is_none() {
        let names: Vec<&str> = METRICS.iter().map(|m| m.name).collect();
        let advice = match nearest(name, &names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", names.join(", ")),
        };
        found.say(path, format!("there is no metric {name:?}; {advice}"));
    }
    metric
}

fn gate(gate: &Gate, at: &str, slices: &[String], found: &mut Findings<'_>) {
    let Gate {
        metric: name,
        at_least,
        at_most,
        slice,
    } = gate;
    let metric = metric(name, &format!("{at}.metric"), found);
    if at_least.is_none() && at_most.is_none() {
        let example = match metric.is_some_and(|m| !m.higher_is_better) {
            true => "at_most",
            false => "at_least",
        };
        found.say(at, format!("has no threshold: write for example {example} = 0.7"));
    }
    if let (Some(least), Some(most)) = (at_least, at_most) {
        found.expect(
            least <= most,
            &format!("{at}.at_most"),
            format!("is below at_least ({least}), so nothing could pass"),
        );
    }
    if let Some(MetricKind { lowest, highest, .. }) = metric {
        if let Some(least) = at_least {
            found.expect(
                least <= highest,
                &format!("{at}.at_least"),
                format!("{name} is never above {highest}, so nothing could pass"),
            );
        }
        if let Some(most) = at_most {
            found.expect(
                most >= lowest,
                &format!("{at}.at_most"),
                format!("{name} is never below {lowest}, so nothing could pass"),
            );
        }
    }
    if let Some(slice) = slice {
        found.expect(
            !slice.trim().is_empty(),
            &format!("{at}.slice"),
            "is empty: write a value of a column of `slices`, or leave it out",
        );
        found.expect(
            !slices.is_empty(),
            &format!("{at}.slice"),
            "there are no slices: name the column in `slices` of [evaluate]",
        );
    }
}
