//! What people do to runs: cancel, extend, resume.

use crate::change::Change;
use crate::digest::Sha256Digest;
use crate::guard::Guard;
use crate::id::RunId;
use crate::item::{BranchItem, RunItem, RunStatus, StepItem, StepState};
use crate::plan::CHECK_INTERVAL;
use crate::time::Timestamp;
use crate::update::GuardedUpdate;

/// Ends an open run. Workers learn of it when they renew or commit.
pub fn cancel(run: &RunId, reason: &str, now: Timestamp) -> GuardedUpdate {
    let reason = Some(crate::item::clip(reason.to_owned()));
    GuardedUpdate::run(
        run,
        vec![Guard::RunOpen],
        vec![Change::End {
            status: RunStatus::Cancelled,
            reason,
            now,
        }],
    )
}

/// Moves an open run's deadline.
pub fn extend(run: &RunId, deadline: Timestamp) -> GuardedUpdate {
    GuardedUpdate::run(run, vec![Guard::RunOpen], vec![Change::Deadline(deadline)])
}

/// Fails an open run whose deadline has passed.
pub fn fail_overdue(run: &RunItem, now: Timestamp) -> GuardedUpdate {
    let at = run
        .frontier()
        .map_or_else(String::new, |(step, _)| format!(", at step {step}"));
    let reason = Some(format!("its deadline {} passed{at}", run.deadline));
    GuardedUpdate::run(
        &run.id,
        vec![Guard::RunOpen, Guard::DeadlineOver(now)],
        vec![Change::End {
            status: RunStatus::Failed,
            reason,
            now,
        }],
    )
}

/// A new run that goes on where a failed or cancelled one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// To be created last.
    pub run: RunItem,
    /// To be created before the run: branches whose results are taken over.
    pub branches: Vec<BranchItem>,
}

/// The `n`th resumption of `parent`: its committed steps and branches are taken over as references to the parent's
/// artifacts, everything else starts anew with full budgets. `branches` are all branch items of the parent.
///
/// The id is made of the parent's and `n`, so that doing it twice makes one run.
pub fn resume(parent: &RunItem, branches: &[BranchItem], n: u32, now: Timestamp) -> Resumed {
    let id = resumed_id(&parent.id, n);
    let allowed = parent.deadline.since(parent.created_at);
    let is_committed = |step: &StepItem| step.state == StepState::Committed;
    let mut run = RunItem {
        id: id.clone(),
        parent: Some(parent.id.clone()),
        status: RunStatus::Open,
        reason: None,
        created_at: now,
        ended_at: None,
        deadline: now.plus(allowed),
        next_check: Some(now.plus(CHECK_INTERVAL.min(allowed))),
        registered: None,
        done: std::collections::BTreeMap::new(),
        lost: std::collections::BTreeMap::new(),
        ..parent.clone()
    };
    for step in run.steps.values_mut().filter(|step| !is_committed(step)) {
        *step = StepItem {
            branches: step.branches,
            min_succeeded: step.min_succeeded,
            class: step.class,
            ..StepItem::new(step.stage.clone(), step.after.clone(), step.largest)
        };
    }
    let frontier = run.frontier().map(|(name, _)| name.clone());
    if let Some(work) = frontier.and_then(|name| run.steps.get_mut(&name)) {
        work.ready_at = Some(now);
    }
    let mut taken = Vec::new();
    for branch in branches {
        // A branch that failed for good is tried again, unless the join went on without it.
        let is_closed = run.steps.get(&branch.step).is_some_and(is_committed);
        let is_taken_over = match branch.work.state {
            StepState::Committed => true,
            StepState::Failed => is_closed,
            StepState::Pending | StepState::Running => false,
        };
        if !is_taken_over {
            continue;
        }
        taken.push(BranchItem {
            run: id.clone(),
            ..branch.clone()
        });
        run.done
            .entry(branch.step.clone())
            .or_default()
            .insert(branch.ordinal);
        if branch.work.state == StepState::Failed {
            run.lost
                .entry(branch.step.clone())
                .or_default()
                .insert(branch.ordinal);
        }
    }
    Resumed { run, branches: taken }
}

fn resumed_id(parent: &RunId, n: u32) -> RunId {
    let digest = Sha256Digest::of(format!("resume\n{parent}\n{n}").as_bytes()).to_string();
    // Keep the pipeline's part of the parent's id readable; 40 + 1 + 12 characters are within the limit of ids.
    let stem: String = parent.as_str().chars().take(40).collect();
    RunId::new(format!("{stem}-{}", &digest[..12])).expect("a shortened id and hexadecimal digits make an id")
}
