//! The protocol: which guarded update moves a run from where it is to where it may go next.
//!
//! Pure functions. They are the only place where updates are made, so the pool, the simulator and the model checker
//! move runs in the very same way. The run's item is the truth; a message is only a hint that there may be work.
//! One delivery is: receive, [`claim()`], fetch, run, publish, [`commit()`], [`drive()`], acknowledge.

mod attempt;
mod claim;
mod drive;
mod lifecycle;
mod sweep;

pub use attempt::{
    Ending, Held, Next, after_failure, commit, commit_was_mine, fail, register_only, release, renew,
};
pub use claim::{
    Claimant, Refusal, Work, claim, claim_branch, escalate, fail_spent, why_branch_refused, why_refused,
};
pub use drive::{Drive, Outgoing, drive, drive_after, fan_in, join_branch, message};
pub use lifecycle::{Resumed, cancel, extend, fail_overdue, resume};
pub use sweep::{Sweep, next_check, sweep};
