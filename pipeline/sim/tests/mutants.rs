//! Negative controls: every mistake is caught, by the invariant that it ought to break.

use sim::model::Protocol;
use sim::model::invariant::Invariant::{self, I1, I2, I3, I4, I5, I6, L2, P1, Q1, Q2, R1};
use sim::model::mutant::Mutant;
use sim::model::scenario::Scenario;
use sim::model::search::search;

/// Searches `scenario` with the mistake in it, and asserts what it breaks first.
fn caught(mutant: Mutant, scenario: Scenario, by: Invariant) {
    let protocol = Protocol::new(scenario, Some(mutant));
    let found = search(&protocol, usize::MAX, |_| ());
    let Some(example) = found.broken else {
        panic!(
            "mutant {mutant} is not caught in {} after {} states",
            protocol.scenario.name, found.states
        );
    };
    let trace = protocol.narrate(&example.actions).join("\n  ");
    assert_eq!(
        example.invariant, by,
        "mutant {mutant} is caught by another invariant:\n  {trace}"
    );
    println!(
        "mutant {mutant}: caught by {by} after {} states, trace of {} actions",
        found.states,
        example.actions.len()
    );
}

macro_rules! mutants {
    ($($name:ident: $mutant:ident in $scenario:expr, breaks $invariant:ident;)*) => {
        $(#[test]
        fn $name() {
            caught(Mutant::$mutant, $scenario, $invariant);
        })*

        #[test]
        fn every_mutant_has_a_test() {
            let tested = [$(Mutant::$mutant),*];
            for mutant in Mutant::ALL {
                assert!(tested.contains(&mutant), "mutant {mutant} has no test");
            }
        }
    };
}

mutants! {
    // Without a cancel, so that nothing but the fence is missing.
    commit_unguarded: CommitUnguarded in Scenario { may_cancel: false, ..Scenario::zombies() }, breaks I1;
    key_shared_by_attempts: KeySharedByAttempts in Scenario::zombies(), breaks I2;
    commit_before_put: CommitBeforePut in Scenario::promotion(), breaks I2;
    // No message is early that the protocol itself sends: any message must come for this to matter.
    claim_without_predecessor: ClaimWithoutPredecessor in Scenario::anything(), breaks I3;
    fan_in_counter: FanInCounter in Scenario::fan(), breaks I3;
    unconditional_rescuer: UnconditionalRescuer in Scenario::zombies(), breaks I1;
    commit_ignores_cancel: CommitIgnoresCancel in Scenario::promotion(), breaks I5;
    // The sweeper is a second defence against each of the next three, by design, and so it is left out.
    send_before_commit: SendBeforeCommit in Scenario::redelivery(), breaks L2;
    delete_before_send: DeleteBeforeSend in Scenario::redelivery(), breaks L2;
    no_redrive: NoRedrive in Scenario::redelivery(), breaks L2;
    send_early_and_claim_without_predecessor:
        SendBeforeCommitAndClaimWithoutPredecessor in Scenario::redelivery(), breaks I3;
    no_sweeper: NoSweeper in Scenario::promotion(), breaks L2;
    sweeper_forgets_branches: SweeperForgetsBranches in Scenario::fan(), breaks L2;
    attempt_refunded: AttemptRefunded in Scenario::zombies(), breaks I2;
    promotion_outside_commit: PromotionOutsideCommit in Scenario::promotion(), breaks P1;
    promotion_ignores_revision: PromotionIgnoresRevision in Scenario::promotion(), breaks P1;
    claim_ignores_budget: ClaimIgnoresBudget in Scenario::redelivery(), breaks I6;
    commit_ends_run: CommitEndsRun in Scenario::promotion(), breaks I4;
    close_not_full: CloseNotFull in Scenario::fan(), breaks I3;
    dead_letter_without_reason: DeadLetterWithoutReason in Scenario::anything(), breaks Q1;
    end_without_reason: EndWithoutReason in Scenario::promotion(), breaks Q2;
    lease_never_over: LeaseNeverOver in Scenario::redelivery(), breaks R1;
}
