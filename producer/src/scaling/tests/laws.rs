//! Laws that hold for any work: random traces, and random policies.

use proptest::prelude::*;

use super::*;
use crate::scaling::policy::{ScaleIn, WakeOn};
use crate::scaling::{MINUTE, SECOND};

/// Bunched and spread arrivals, and work from a moment to some minutes; ties are common.
fn traces() -> impl Strategy<Value = Trace> {
    let gap = prop_oneof![
        Just(0),
        1..5 * SECOND,
        (0..40_u64).prop_map(|s| s * SECOND),
        Just(30 * MINUTE)
    ];
    let work = prop_oneof![1..3 * SECOND, (1..300_u64).prop_map(|s| s * SECOND)];
    proptest::collection::vec((gap, work), 1..120).prop_map(|jobs| trace(&jobs))
}

fn policies() -> impl Strategy<Value = Setting> {
    let bounds = (0..4_u32, 1..12_u32).prop_map(|(min, more)| (min, min + more));
    let ways = (any::<bool>(), any::<bool>());
    (bounds, 0.1..8.0, ways, 1..4_u32, 0..180_u64, 0..3_u64).prop_map(
        |((min, max), target, (steps, wake), permits, start, cooldown)| Setting {
            policy: Policy {
                min,
                max,
                target,
                scale_in: if steps { ScaleIn::Steps } else { ScaleIn::Tracking },
                wake_on: if wake { WakeOn::Desired } else { WakeOn::Running },
                // Quick to scale in, so that it happens while there is work.
                in_datapoints: 3,
                surplus_datapoints: 2,
                rest_datapoints: 3,
                in_cooldown: cooldown * MINUTE,
                ..Policy::default()
            },
            task: TaskKind {
                permits,
                start: Durations::constant(start * SECOND),
                ..TaskKind::default()
            },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn fixed_servers_are_those_of_the_oracle(trace in traces(), servers in 1..8_u32) {
        let outcome = run(&fixed(servers), &trace);
        prop_assert_eq!(waits(&trace, &outcome), kiefer_wolfowitz(&trace, servers as usize));
    }

    #[test]
    fn more_servers_never_let_anybody_wait_longer(trace in traces(), servers in 1..8_u32) {
        let (fewer, more) = (run(&fixed(servers), &trace), run(&fixed(servers + 1), &trace));
        let both = waits(&trace, &fewer).into_iter().zip(waits(&trace, &more));
        for (nth, (fewer, more)) in both.enumerate() {
            prop_assert!(more <= fewer, "job {nth}: {more} instead of {fewer}");
        }
    }

    #[test]
    fn under_any_policy_each_job_is_worked_on_once_and_whole(trace in traces(), setting in policies()) {
        let outcome = run(&setting, &trace);
        let works: u128 = trace.work();
        for (job, became) in trace.jobs.iter().zip(&outcome.jobs) {
            prop_assert!(became.started >= job.arrival, "{became:?} began before {job:?} came");
            // A protected task is never taken away from its work: every attempt is the first and lasts to its end.
            prop_assert_eq!(became.ended - became.started, job.work);
            prop_assert_eq!(became.interruptions, 0);
            prop_assert!(became.ended <= outcome.ended);
        }
        prop_assert_eq!(outcome.lost, 0);
        prop_assert_eq!(outcome.integrals.busy, works);
        let waited: u128 = waits(&trace, &outcome).into_iter().map(u128::from).sum();
        prop_assert_eq!(outcome.integrals.waiting, waited);
        never_too_many(&setting, &trace, &outcome)?;
        for moment in &outcome.moments {
            let policy = &setting.policy;
            prop_assert!((policy.min..=policy.max).contains(&moment.desired), "{moment:?}");
            prop_assert!(moment.seen.in_flight <= moment.seen.running * setting.task.permits, "{moment:?}");
        }
        // Paid for is at least what was worked, and no task is there for nothing.
        let billed = u128::from(outcome.billed.on_demand) * u128::from(setting.task.permits);
        prop_assert!(billed >= works);
    }

    #[test]
    fn what_is_interrupted_is_done_in_the_end(
        trace in traces(), mut setting in policies(), rate in 1.0..20.0_f64, is_protected in any::<bool>(),
    ) {
        setting.task.spot_share = 1.0;
        setting.task.interruptions_per_hour = rate;
        setting.task.is_protected = is_protected;
        let outcome = run(&setting, &trace);
        let mut begun_anew = 0;
        for (job, became) in trace.jobs.iter().zip(&outcome.jobs) {
            prop_assert_eq!(became.ended - became.started, job.work);
            prop_assert!(became.started >= job.arrival);
            begun_anew += became.interruptions;
        }
        prop_assert_eq!(outcome.lost == 0, begun_anew == 0);
        prop_assert_eq!(outcome.integrals.busy, trace.work() + u128::from(outcome.lost));
        prop_assert_eq!(outcome.billed.on_demand, 0);
        let again = run(&setting, &trace);
        prop_assert_eq!(outcome, again, "equal seeds give equal results");
    }
}

/// No task works on more jobs at a time than it has permits.
fn never_too_many(setting: &Setting, trace: &Trace, outcome: &Outcome) -> Result<(), TestCaseError> {
    let mut changes: Vec<(u32, Micros, i32)> = Vec::new();
    for became in &outcome.jobs[..trace.jobs.len()] {
        changes.push((became.task, became.started, 1));
        changes.push((became.task, became.ended, -1));
    }
    // At one time, ends come first.
    changes.sort_unstable();
    let (mut task, mut at_work) = (u32::MAX, 0);
    for (of, when, change) in changes {
        if of != task {
            (task, at_work) = (of, 0);
        }
        at_work += change;
        prop_assert!(
            at_work <= i32::try_from(setting.task.permits).unwrap_or(i32::MAX),
            "task {of} at {when}"
        );
    }
    Ok(())
}
