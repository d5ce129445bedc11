//! Candidates and their hyperparameters.

use super::super::super::Branches;
use super::super::{Boosting, Candidate, Forest, Linear, ModelKind, Train, Training};
use super::Findings;

const MAX_CANDIDATES: usize = 64;
const MAX_TREES: u32 = 100_000;
const MAX_DEPTH: u32 = 64;

pub(super) fn train(params: &Train, found: &mut Findings<'_>) {
    let candidates = &params.candidates;
    if !(1..=MAX_CANDIDATES).contains(&candidates.len()) {
        found.say(
            "candidates",
            format!(
                "there are {}: 1 to {MAX_CANDIDATES} models can be tried",
                candidates.len()
            ),
        );
    }
    for (at, one) in candidates.iter().enumerate() {
        let path = format!("candidates[{at}]");
        if candidates[..at].iter().any(|other| other.name() == one.name()) {
            found.say(
                format!("{path}.name"),
                format!(
                    "another candidate is called {:?}, too; give each a `name` of its own",
                    one.name()
                ),
            );
        }
        candidate(one, &path, found);
    }
}

/// A branch trains one candidate: fewer would leave candidates out without a word, and whoever chooses among them looks
/// at branches. Only a last step, whose branches nothing could join, trains its one candidate without.
pub(super) fn branches(params: &Train, branches: Option<Branches>, is_last: bool, found: &mut Findings<'_>) {
    let wanted = params.candidates.len();
    let are = match branches {
        // There must be a candidate, which was told.
        _ if wanted == 0 => return,
        None if wanted == 1 && is_last => return,
        Some(Branches::Known(n)) if n as usize == wanted => return,
        Some(Branches::Known(n)) => format!("is {n}"),
        Some(Branches::FromPredecessor) => "is not for train".to_owned(),
        None => "is missing".to_owned(),
    };
    let candidates = match wanted {
        1 => "there is 1 candidate".to_owned(),
        n => format!("there are {n} candidates"),
    };
    found.say(
        "branches",
        format!("{are}, and {candidates}: write branches = {wanted}, one for each"),
    );
}

fn candidate(candidate: &Candidate, at: &str, found: &mut Findings<'_>) {
    let path = |key: &str| format!("{at}.{key}");
    if let Some(name) = &candidate.name {
        found.expect(
            !name.trim().is_empty() && name.len() <= 64 && !name.chars().any(char::is_control),
            &path("name"),
            "must have 1 to 64 characters, and no line break",
        );
    }
    let Training {
        class_weights: _,
        folds,
        time_budget,
    } = candidate.training;
    if folds != 0 {
        found.expect(
            (2..=20).contains(&folds),
            &path("folds"),
            format!("must be 0 (no cross-validation) or from 2 to 20, not {folds}"),
        );
    }
    found.expect(
        time_budget.is_none_or(|budget| !budget.is_zero()),
        &path("time_budget"),
        "must be longer than nothing",
    );
    match &candidate.model {
        ModelKind::Linear(Linear { l2, max_iterations }) => {
            found.not_negative(*l2, &path("l2"));
            found.whole(*max_iterations, 1..=100_000, &path("max_iterations"));
        }
        ModelKind::Boosting(Boosting {
            rounds,
            learning_rate,
            max_leaves,
            max_depth,
            min_child_weight,
            l2,
            subsample,
            feature_fraction,
            early_stopping,
        }) => {
            found.whole(*rounds, 1..=MAX_TREES, &path("rounds"));
            found.positive_share(*learning_rate, &path("learning_rate"));
            found.whole(*max_leaves, 2..=65_536, &path("max_leaves"));
            found.whole(*max_depth, 0..=MAX_DEPTH, &path("max_depth"));
            found.not_negative(*min_child_weight, &path("min_child_weight"));
            found.not_negative(*l2, &path("l2"));
            found.positive_share(*subsample, &path("subsample"));
            found.positive_share(*feature_fraction, &path("feature_fraction"));
            found.whole(*early_stopping, 0..=MAX_TREES, &path("early_stopping"));
        }
        ModelKind::Forest(Forest {
            trees,
            max_depth,
            subsample,
            feature_fraction,
        }) => {
            found.whole(*trees, 1..=10_000, &path("trees"));
            found.whole(*max_depth, 1..=MAX_DEPTH, &path("max_depth"));
            found.positive_share(*subsample, &path("subsample"));
            found.positive_share(*feature_fraction, &path("feature_fraction"));
        }
    }
}
