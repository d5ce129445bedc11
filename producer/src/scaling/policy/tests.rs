use super::*;

const AT: Datapoint = Datapoint {
    visible: 0,
    in_flight: 0,
    running: 2,
};

fn wanted(scaler: &mut Scaler<'_>, minutes: std::ops::Range<u64>, at: Datapoint) -> Vec<u32> {
    minutes.map(|minute| scaler.see(minute * MINUTE, at)).collect()
}

#[test]
fn three_datapoints_above_scale_out_in_proportion() {
    let policy = Policy {
        target: 10.0,
        ..Policy::default()
    };
    let mut scaler = Scaler::new(&policy, 2);
    let high = Datapoint { visible: 50, ..AT };
    // 2 × (50 / 2) / 10 = 5; then the tasks are on their way and the cooldown ends after a minute.
    assert_eq!(wanted(&mut scaler, 1..4, high), [2, 2, 5]);
    let mut scaler = Scaler::new(&policy, 2);
    assert_eq!(wanted(&mut scaler, 1..3, high), [2, 2]);
    let low = Datapoint { visible: 20, ..AT };
    assert_eq!(
        scaler.see(3 * MINUTE, low),
        2,
        "at the target the row begins anew"
    );
    assert_eq!(wanted(&mut scaler, 4..7, high), [2, 2, 5]);
}

#[test]
fn during_the_cooldown_only_more_is_obeyed() {
    let policy = Policy {
        target: 10.0,
        out_cooldown: 5 * MINUTE,
        max: 100,
        ..Policy::default()
    };
    let mut scaler = Scaler::new(&policy, 2);
    let high = Datapoint { visible: 50, ..AT };
    assert_eq!(wanted(&mut scaler, 1..8, high), [2, 2, 5, 5, 5, 5, 5]);
    let higher = Datapoint { visible: 80, ..AT };
    assert_eq!(
        scaler.see(8 * MINUTE, higher),
        20,
        "cooldown is over: 5 × 4, though tasks are on their way"
    );
    let mut scaler = Scaler::new(&policy, 2);
    wanted(&mut scaler, 1..4, high);
    assert_eq!(scaler.see(4 * MINUTE, higher), 8, "from 2, not from 5");
}

#[test]
fn a_surplus_goes_by_quarters_and_an_empty_queue_takes_the_rest() {
    let policy = Policy {
        target: 4.0,
        surplus: Some(2.0),
        ..Policy::default()
    };
    let at = |in_flight: u32| Datapoint {
        visible: 0,
        in_flight,
        running: 10,
    };
    let mut scaler = Scaler::new(&policy, 10);
    assert!(
        wanted(&mut scaler, 1..40, at(20)).iter().all(|n| *n == 10),
        "as many as are no surplus are at work"
    );
    let seen = wanted(&mut scaler, 40..60, at(19));
    assert_eq!(seen[..10], [[10; 9].as_slice(), &[8]].concat());
    assert!(
        seen[10..14].iter().all(|n| *n == 8),
        "five minutes of cooldown: {seen:?}"
    );
    assert_eq!(
        seen[14..],
        [6, 6, 6, 6, 6, 5],
        "a quarter of 8, and a quarter of 6 rounded down"
    );
    // The last task is no surplus; it goes when nothing came for a quarter of an hour.
    let seen = wanted(&mut scaler, 60..140, at(1));
    assert_eq!(seen.last(), Some(&1));
    let seen = wanted(&mut scaler, 140..155, at(0));
    assert_eq!(seen, [[1; 14].as_slice(), &[0]].concat());
}

#[test]
fn a_surplus_may_be_less_than_all_at_work() {
    let at_work = |in_flight: u32| Datapoint {
        visible: 0,
        in_flight,
        running: 10,
    };
    let policy = Policy {
        target: 6.0,
        surplus: Some(0.8),
        ..Policy::default()
    };
    let mut scaler = Scaler::new(&policy, 10);
    assert!(wanted(&mut scaler, 1..40, at_work(8)).iter().all(|n| *n == 10));
    assert_eq!(wanted(&mut scaler, 40..50, at_work(7)).last(), Some(&8));
    // Unless told otherwise: one each, so that a fleet that is all at work is none, or half of the target.
    for (target, least) in [(6.0, 10), (1.0, 5)] {
        let usual = Policy {
            target,
            surplus: None,
            ..policy.clone()
        };
        let mut scaler = Scaler::new(&usual, 10);
        assert!(
            wanted(&mut scaler, 1..40, at_work(least))
                .iter()
                .all(|n| *n == 10)
        );
        assert_eq!(wanted(&mut scaler, 40..50, at_work(least - 1)).last(), Some(&8));
    }
}

#[test]
fn tracking_takes_a_busy_fleet_away() {
    let policy = Policy {
        target: 4.0,
        min: 1,
        scale_in: ScaleIn::Tracking,
        ..Policy::default()
    };
    let mut scaler = Scaler::new(&policy, 10);
    let at = |visible: u32| Datapoint {
        visible,
        in_flight: 10,
        running: 10,
    };
    assert!(
        wanted(&mut scaler, 1..40, at(36)).iter().all(|n| *n == 10),
        "nine tenths of the target wait"
    );
    let seen = wanted(&mut scaler, 40..60, at(16));
    assert_eq!(seen[..15], [[10; 14].as_slice(), &[4]].concat());
    assert_eq!(
        seen[15..],
        [4, 4, 4, 4, 2],
        "a cooldown of five minutes, then 4 × 0.4, rounded up"
    );
    let mut scaler = Scaler::new(&policy, 10);
    assert_eq!(
        wanted(&mut scaler, 1..16, at(0)).last(),
        Some(&1),
        "all of them are at work"
    );
}

#[test]
fn without_tasks_only_the_alarm_wakes() {
    let policy = Policy::default();
    let mut scaler = Scaler::new(&policy, 0);
    let none = Datapoint {
        visible: 0,
        in_flight: 0,
        running: 0,
    };
    assert_eq!(scaler.see(MINUTE, none), 0);
    assert_eq!(
        scaler.see(
            2 * MINUTE,
            Datapoint {
                visible: 1_000,
                ..none
            }
        ),
        1
    );
    assert_eq!(scaler.see(3 * MINUTE, none), 1, "missing data take nothing away");
    // One protected task still works when none is wanted: zero times anything is zero.
    let alone = Datapoint {
        visible: 500,
        in_flight: 1,
        running: 1,
    };
    for (on, then) in [(WakeOn::Desired, 20), (WakeOn::Running, 0)] {
        let policy = Policy {
            wake_on: on,
            ..policy.clone()
        };
        let mut scaler = Scaler::new(&policy, 0);
        assert_eq!(wanted(&mut scaler, 1..9, alone).last(), Some(&then));
    }
}

#[test]
fn impossible_policies_are_explained() {
    let good = Policy::default();
    assert_eq!(good.check(), Ok(()));
    for (policy, error) in [
        (
            Policy {
                max: 0,
                ..good.clone()
            },
            PolicyError::Bounds,
        ),
        (
            Policy {
                min: 21,
                ..good.clone()
            },
            PolicyError::Bounds,
        ),
        (
            Policy {
                target: f64::NAN,
                ..good.clone()
            },
            PolicyError::Target,
        ),
        (
            Policy {
                target: 0.0,
                ..good.clone()
            },
            PolicyError::Target,
        ),
        (
            Policy {
                wake_to: 0,
                ..good.clone()
            },
            PolicyError::Wake,
        ),
        (
            Policy {
                in_datapoints: 0,
                ..good.clone()
            },
            PolicyError::Datapoints,
        ),
    ] {
        assert_eq!(policy.check(), Err(error));
    }
}
