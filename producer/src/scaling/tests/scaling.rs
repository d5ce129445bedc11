//! What a policy does, minute by minute, on work whose outcome can be told beforehand.

use super::*;
use pipeline::components::Architecture;

use crate::prices::Prices;
use crate::scaling::policy::{ScaleIn, WakeOn};
use crate::scaling::search::{Fixed, Search};
use crate::scaling::summary::{Bill, figures};
use crate::scaling::{HOUR, MINUTE, SECOND};

fn at_once(count: usize, arrival: Micros, work: Micros, horizon: Micros) -> Trace {
    Trace {
        jobs: vec![Job { arrival, work }; count],
        horizon,
    }
}

fn bill() -> Bill {
    Bill {
        prices: Prices::built_in(),
        architecture: Architecture::X86,
        vcpu: 1.0,
        memory_gb: 4.0,
        requests: crate::cost::StepRequests::default(),
    }
}

#[test]
fn a_sleeping_service_is_woken_and_scales_out() {
    let setting = Setting {
        policy: Policy {
            target: 5.0,
            max: 50,
            ..Policy::default()
        },
        task: TaskKind::default(),
    };
    // They come half a minute after a datapoint: the next one is at minute 1, its alarm at 2, the task is up at 3.
    let outcome = run(&setting, &at_once(100, 30 * SECOND, 30 * SECOND, HOUR));
    assert_eq!(outcome.jobs[0].started, 3 * MINUTE);
    // Datapoints with a running task are those of minutes 3 to 5; the alarm of the third is at 6: 1 × (96 / 1) / 5, rounded
    // up. At 7 the metrics still show one task; the cooldown keeps the twenty from being ordered again.
    let desired = |minute: usize| outcome.moments[minute].desired;
    assert_eq!(
        (desired(1), desired(2), desired(5), desired(6), desired(7)),
        (0, 1, 1, 20, 20)
    );
    let most = |outcome: &Outcome| outcome.moments.iter().map(|m| m.seen.running).max();
    assert_eq!(most(&outcome), Some(20));
    let mut hasty = setting.clone();
    hasty.policy.out_cooldown = MINUTE;
    let outcome_of_hasty = run(&hasty, &at_once(100, 30 * SECOND, 30 * SECOND, HOUR));
    assert_eq!(
        most(&outcome_of_hasty),
        Some(50),
        "a cooldown that is over too early orders what is on its way"
    );
    // Fifteen quiet minutes later there is none.
    let last_work = outcome.jobs.iter().map(|job| job.ended).max().expect("jobs");
    let gone = outcome
        .moments
        .iter()
        .find(|m| m.at > last_work && m.seen.running == 0)
        .expect("it sleeps");
    let after = gone.at - last_work;
    assert!((15 * MINUTE..20 * MINUTE).contains(&after), "{after}");
}

#[test]
fn a_queue_that_nobody_used_has_no_metrics_at_first() {
    let setting = Setting {
        policy: Policy {
            max: 5,
            ..Policy::default()
        },
        task: TaskKind::default(),
    };
    let begin = |hours: u64| {
        let arrival = hours * HOUR + 30 * SECOND;
        let outcome = run(&setting, &at_once(1, arrival, SECOND, arrival));
        outcome.jobs[0].started - arrival
    };
    assert_eq!(begin(5), 150 * SECOND);
    assert_eq!(begin(7), 150 * SECOND + 15 * MINUTE);
}

#[test]
fn a_task_that_works_on_keeps_an_alarm_on_running_tasks_quiet() {
    // Nothing waits for a quarter of an hour, so that none is wanted, while one task is still at a long job; then work
    // comes.
    let mut jobs = vec![Job {
        arrival: 0,
        work: 40 * MINUTE,
    }];
    jobs.extend(vec![
        Job {
            arrival: 25 * MINUTE,
            work: 5 * MINUTE
        };
        60
    ]);
    let trace = Trace { jobs, horizon: HOUR };
    let ended = |wake_on| {
        let policy = Policy {
            target: 5.0,
            wake_on,
            scale_in: ScaleIn::Tracking,
            ..Policy::default()
        };
        let setting = Setting {
            policy,
            task: TaskKind::default(),
        };
        run(&setting, &trace)
            .jobs
            .iter()
            .map(|job| job.ended)
            .max()
            .expect("jobs")
    };
    assert!(
        ended(WakeOn::Desired) < 90 * MINUTE,
        "{}",
        ended(WakeOn::Desired) / MINUTE
    );
    assert!(
        ended(WakeOn::Running) > 5 * HOUR,
        "one task alone: {}",
        ended(WakeOn::Running) / MINUTE
    );
}

#[test]
fn without_protection_long_work_is_cut_off() {
    let policy = Policy {
        min: 1,
        max: 10,
        target: 4.0,
        surplus: Some(2.0),
        ..Policy::default()
    };
    let work = 60 * MINUTE;
    let mut trace = at_once(40, 0, 10 * SECOND, 4 * HOUR);
    trace.jobs.extend(vec![
        Job {
            arrival: 8 * MINUTE,
            work
        };
        5
    ]);
    let cut_off = |is_protected| {
        let task = TaskKind {
            is_protected,
            ..TaskKind::default()
        };
        let outcome = run(
            &Setting {
                policy: policy.clone(),
                task,
            },
            &trace,
        );
        outcome.jobs.iter().map(|job| job.interruptions).sum::<u32>()
    };
    assert_eq!(cut_off(true), 0);
    assert!(
        cut_off(false) >= 3,
        "five at work look like a surplus until two tasks are left"
    );
}

#[test]
fn tasks_are_paid_for_by_the_minute_and_the_hour() {
    let trace = at_once(10, 0, SECOND, 2 * HOUR);
    let setting = fixed(3);
    let outcome = run(&setting, &trace);
    let found = figures(&setting, &trace, &outcome, &bill());
    assert!((found.task_hours - 6.0).abs() < 1e-9, "{}", found.task_hours);
    let dollars = 6.0 * (0.04048 + 4.0 * 0.004445);
    assert!((found.dollars_tasks - dollars).abs() < 1e-9);
    // Three idle tasks ask three times a minute for two hours, but for ten seconds of work.
    let polls = (6.0 * 3_600.0 - 10.0) / 20.0 * 0.40 / 1e6;
    let background = 6.0 * (90.0 * 0.40 + 45.0 * 0.625 + 585.0 * 0.125) / 1e6;
    assert!(
        (found.dollars_requests - polls - background).abs() < 1e-12,
        "{}",
        found.dollars_requests
    );
    let spot = Setting {
        task: TaskKind {
            spot_share: 1.0,
            interruptions_per_hour: 0.0,
            ..TaskKind::default()
        },
        ..setting
    };
    let found = figures(&spot, &trace, &run(&spot, &trace), &bill());
    assert!((found.dollars_tasks - dollars * 0.4).abs() < 1e-9);
}

#[test]
fn a_service_starts_so_many_tasks_a_minute() {
    let task = TaskKind {
        starts_per_minute: 60,
        start: Durations::constant(SECOND),
        ..TaskKind::default()
    };
    let policy = Policy {
        min: 1,
        max: 200,
        target: 1.0,
        ..Policy::default()
    };
    let outcome = run(&Setting { policy, task }, &at_once(5_000, 0, 10 * MINUTE, 1));
    let running: Vec<u32> = outcome.moments.iter().map(|m| m.seen.running).collect();
    let most = running
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .max();
    assert_eq!(most, Some(60), "{:?}", &running[..12]);
}

#[test]
fn the_search_finds_what_holds_and_says_when_nothing_does() {
    let arrivals =
        crate::scaling::arrivals::Arrivals::Patterns(vec!["poisson:600/h".parse().expect("a pattern")]);
    let draw = |nth| Trace::draw(&arrivals, &law("exp:20s"), 6 * HOUR, 5, nth);
    let traces = [draw(0), draw(1), draw(2)];
    let of = |wait_p95, max| {
        let policy = Policy {
            max,
            ..Policy::default()
        };
        let fixed = Fixed {
            max: true,
            ..Fixed::default()
        };
        let search = Search {
            setting: Setting {
                policy,
                task: TaskKind::default(),
            },
            wait_p95,
            fixed,
        };
        let mut last = (0, 0);
        let found = search
            .run(&traces, 5, &bill(), &mut |done, of| last = (done, of))
            .expect("it can be searched");
        assert_eq!(last.0, found.simulations);
        assert!(last.0 <= last.1);
        found
    };
    let found = of(60.0, 12);
    let cheapest = found.cheapest.expect("twelve tasks are plenty for 3.3");
    assert!(cheapest.figures.wait_p95.upper() <= 60.0 && cheapest.policy.max == 12);
    for tried in &found.tried {
        let is_cheaper = tried.figures.dollars.mean < cheapest.figures.dollars.mean;
        assert!(!is_cheaper || !tried.holds(60.0), "{tried:?}");
    }
    // More patience costs no more.
    let patient = of(600.0, 12).cheapest.expect("it holds");
    assert!(patient.figures.dollars.mean <= cheapest.figures.dollars.mean * 1.001);
    let none = of(1.0, 3);
    assert!(
        none.cheapest.is_none() && !none.tried.is_empty(),
        "three tasks are too few"
    );
}
