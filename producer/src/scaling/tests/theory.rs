//! Fixed numbers of tasks, for which the mean wait is known.

use super::*;
use crate::scaling::arrivals::{Arrivals, Pattern};
use crate::scaling::from_seconds;

/// Erlang C: how likely a job waits at `servers`, if `load` servers would be enough for the work alone.
fn erlang_c(servers: u32, load: f64) -> f64 {
    // By Erlang B's recursion, which does not overflow.
    let blocked = (1..=servers).fold(1.0, |b, n| load * b / (f64::from(n) + load * b));
    blocked / (1.0 - load / f64::from(servers) * (1.0 - blocked))
}

/// The mean wait of M/M/c, in seconds.
fn mmc(rate: f64, mean: f64, servers: u32) -> f64 {
    erlang_c(servers, rate * mean) * mean / (f64::from(servers) - rate * mean)
}

/// The mean wait of M/G/1 by Pollaczek and Khinchine, `cv` being standard deviation over mean of the work.
fn mg1(rate: f64, mean: f64, cv: f64) -> f64 {
    rate * mean * mean * (1.0 + cv * cv) / (2.0 * (1.0 - rate * mean))
}

fn simulated(rate: f64, durations: &str, setting: &Setting, jobs: f64) -> (Trace, Outcome) {
    let arrivals = Arrivals::Patterns(vec![Pattern::Poisson { rate }]);
    let trace = Trace::draw(
        &arrivals,
        &law(durations),
        from_seconds(jobs / rate),
        20_261_125,
        0,
    );
    let outcome = run(setting, &trace);
    (trace, outcome)
}

fn assert_within_5_percent(what: &str, found: f64, wanted: f64) {
    let off = found / wanted - 1.0;
    println!(
        "{what}: {found:.4} s, theory {wanted:.4} s ({:+.2} %)",
        off * 100.0
    );
    assert!(off.abs() < 0.05, "{what}: {found} instead of {wanted}");
}

#[test]
fn erlang_c_is_that_of_the_tables() {
    // M/M/1 waits with probability rho; two servers at load 1: 1/3; ten at load 8: 0.4092.
    assert!((erlang_c(1, 0.7) - 0.7).abs() < 1e-12);
    assert!((erlang_c(2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
    assert!((erlang_c(10, 8.0) - 0.4092).abs() < 1e-4);
}

#[test]
fn mmc_waits_as_erlang_says() {
    for (servers, rate) in [(1, 0.7), (2, 1.6), (5, 4.0), (20, 18.0)] {
        let (trace, outcome) = simulated(rate, "exp:1s", &fixed(servers), 400_000.0);
        let found = mean_seconds(&waits(&trace, &outcome));
        assert_within_5_percent(
            &format!("M/M/{servers}, rate {rate}"),
            found,
            mmc(rate, 1.0, servers),
        );
    }
}

#[test]
fn permits_are_servers_like_tasks() {
    let mut setting = fixed(3);
    setting.task.permits = 4;
    let (trace, outcome) = simulated(10.0, "exp:1s", &setting, 400_000.0);
    let found = mean_seconds(&waits(&trace, &outcome));
    assert_within_5_percent("M/M/12 as three tasks of four permits", found, mmc(10.0, 1.0, 12));
}

#[test]
fn one_server_waits_as_pollaczek_and_khinchine_say() {
    for (durations, cv) in [
        ("const:1s", 0.0),
        ("uniform:500ms,1500ms", 1.0 / 12.0_f64.sqrt()),
        ("lognormal:1s,cv=0.5", 0.5),
        ("lognormal:1s,cv=1.5", 1.5),
    ] {
        for rate in [0.5, 0.75] {
            let (trace, outcome) = simulated(rate, durations, &fixed(1), 400_000.0);
            let found = mean_seconds(&waits(&trace, &outcome));
            assert_within_5_percent(&format!("{durations}, rate {rate}"), found, mg1(rate, 1.0, cv));
        }
    }
}

/// L = λW, of what waits and of what is worked on. The left side is summed up from event to event, the right one is of
/// the jobs' own times: they are two books of the same.
#[test]
#[expect(clippy::cast_precision_loss, reason = "a comparison of some digits")]
fn littles_law_holds() {
    let (trace, outcome) = simulated(4.2, "lognormal:1s,cv=1", &fixed(5), 100_000.0);
    let time = seconds(outcome.ended);
    let rate = trace.jobs.len() as f64 / time;
    let waiting = outcome.integrals.waiting as f64 / 1e6 / time;
    let of_waits = rate * mean_seconds(&waits(&trace, &outcome));
    assert!(
        (waiting / of_waits - 1.0).abs() < 1e-9,
        "{waiting} and {of_waits}"
    );
    let works: Vec<Micros> = trace.jobs.iter().map(|job| job.work).collect();
    let busy = outcome.integrals.busy as f64 / 1e6 / time;
    assert!(
        (busy / (rate * mean_seconds(&works)) - 1.0).abs() < 1e-9,
        "{busy}"
    );
    // And against theory, where the sum itself is known: M/M/1 at 0.8 holds rho^2 / (1 - rho) waiting jobs.
    let (_, outcome) = simulated(0.8, "exp:1s", &fixed(1), 1_000_000.0);
    let found = outcome.integrals.waiting as f64 / outcome.ended as f64;
    assert_within_5_percent("M/M/1, waiting jobs", found, 0.64 / 0.2);
}

#[test]
fn patterns_have_the_rates_that_they_say() {
    for text in [
        "poisson:3600/h",
        "daily:600/h,09:00x6,14:00x4,width=1h",
        "daily:600/h,23:45x20,width=30m",
        "burst:5000@00:05,over=2m",
        "poisson:60/h+burst:500@12:00",
    ] {
        let Ok(crate::scaling::arrivals::Source::Patterns(patterns)) = text.parse() else {
            panic!("{text}")
        };
        let arrivals = Arrivals::Patterns(patterns);
        let trace = Trace::draw(&arrivals, &law("const:1s"), crate::scaling::DAY - 1, 3, 0);
        let (found, wanted) = (
            trace.jobs.len() as f64,
            arrivals.expected(crate::scaling::DAY - 1),
        );
        // Four standard deviations of a Poisson number.
        assert!(
            (found - wanted).abs() < 4.0 * wanted.sqrt() + 1.0,
            "{text}: {found} instead of {wanted}"
        );
        assert!(trace.jobs.is_sorted_by_key(|job| job.arrival), "{text}");
    }
    let near_midnight = "daily:600/h,23:45x20,width=30m"
        .parse::<Pattern>()
        .expect("a pattern");
    let arrivals = Arrivals::Patterns(vec![near_midnight]);
    let trace = Trace::draw(&arrivals, &law("const:1s"), crate::scaling::DAY - 1, 3, 0);
    let in_hour = |hour: u64| {
        let of_hour = trace
            .jobs
            .iter()
            .filter(|job| job.arrival / crate::scaling::HOUR == hour);
        of_hour.count()
    };
    assert!(in_hour(0) > 3 * in_hour(12), "a peak reaches over midnight");
}
