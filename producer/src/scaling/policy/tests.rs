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
fn fifteen_datapoints_below_scale_in() {
    let policy = Policy {
        target: 1.0,
        min: 1,
        ..Policy::default()
    };
    let mut scaler = Scaler::new(&policy, 10);
    let busy = Datapoint {
        visible: 0,
        in_flight: 9,
        running: 10,
    };
    assert!(
        wanted(&mut scaler, 1..40, busy).iter().all(|n| *n == 10),
        "nine of ten are at work"
    );
    let quiet = Datapoint { in_flight: 4, ..busy };
    let seen = wanted(&mut scaler, 40..60, quiet);
    assert_eq!(seen[..15], [[10; 14].as_slice(), &[4]].concat());
    assert!(
        seen[15..19].iter().all(|n| *n == 4),
        "five minutes of cooldown: {seen:?}"
    );
    assert_eq!(seen[19], 2, "4 × 0.4, rounded up");
    // A single quiet minute counts only if the latest datapoint decides.
    for (by, then) in [(ScaleInBy::Highest, 4), (ScaleInBy::Latest, 1)] {
        let policy = Policy {
            scale_in_by: by,
            ..policy.clone()
        };
        let mut scaler = Scaler::new(&policy, 10);
        wanted(&mut scaler, 1..15, quiet);
        assert_eq!(
            scaler.see(
                15 * MINUTE,
                Datapoint {
                    in_flight: 0,
                    ..quiet
                }
            ),
            then
        );
    }
    // On visible messages alone the busy fleet would have been taken away.
    let visible = Policy {
        scale_in_on: ScaleInOn::Visible,
        ..policy
    };
    let mut scaler = Scaler::new(&visible, 10);
    assert_eq!(wanted(&mut scaler, 1..16, busy).last(), Some(&1));
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
