//! A scenario: who does what when, as a seed draws it.

use std::time::Duration;

use pipeline::{RunId, Spec};
use sim::Seeded;
use sim::fault::{Fault, Weather};

use crate::plan::{self, STAGES};

/// Everything that is drawn before the world begins.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// For how long workers hold what they claim.
    pub(crate) lease: Duration,
    /// What goes wrong how often.
    pub(crate) weather: Weather,
    /// For how long.
    pub(crate) storm: Duration,
    /// False if the index of open runs is lost, so that redeliveries alone must drive runs on.
    pub(crate) sweeps: bool,
    /// Every process of the storm ends with it; if not, those that are frozen come back when nobody expects them.
    pub(crate) ends_clean: bool,
    /// True if pools can ask for messages without receiving them.
    pub(crate) can_tell: bool,
    /// Work kills its process as often as not.
    pub(crate) is_deadly: bool,
    /// Some work takes longer than a message can be hidden.
    pub(crate) is_long: bool,
    /// No worker is there for two hours.
    pub(crate) drought: bool,
    /// Runs that people submit.
    pub(crate) runs: Vec<Wish>,
    /// What upstream systems post.
    pub(crate) posts: Posts,
    /// Workers, each of which comes again when it died or left.
    pub(crate) workers: Vec<Member>,
    /// Pauses of stages: which, when and for how long.
    pub(crate) pauses: Vec<(&'static str, Duration, Duration)>,
    /// When somebody moves the champion by hand.
    pub(crate) hands: Vec<Duration>,
    /// When messages are lost that were sent.
    pub(crate) losses: Vec<Duration>,
    /// Messages that a process holds may be lost when it dies.
    pub(crate) is_leaky: bool,
    /// When messages come that nobody of the fleet sent.
    pub(crate) strays: Vec<Duration>,
}

/// One run, and what people do to it.
#[derive(Debug)]
pub(crate) struct Wish {
    /// Its id.
    pub(crate) id: RunId,
    /// What it does.
    pub(crate) spec: Spec,
    /// When it is submitted.
    pub(crate) at: Duration,
    /// When it is cancelled.
    pub(crate) cancel: Option<Duration>,
    /// When somebody asks for its resumption, in vain or not.
    pub(crate) resumes: Vec<Duration>,
    /// When its deadline is moved.
    pub(crate) extend: Option<Duration>,
}

/// Messages to the intake.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    /// The pipeline that they name.
    pub(crate) spec: Option<Spec>,
    /// How many open runs it may have.
    pub(crate) max_open: Option<u32>,
    /// When a run of which key is asked for. A key may stand here more than once.
    pub(crate) requests: Vec<(RunId, Duration)>,
    /// When an object with which name is created. A name may stand here more than once.
    pub(crate) objects: Vec<(String, Duration)>,
    /// When what nobody can read is posted.
    pub(crate) garbage: Vec<Duration>,
}

/// One worker.
#[derive(Debug)]
pub(crate) struct Member {
    /// The stages that it serves; none: the intake.
    pub(crate) stages: Vec<&'static str>,
    /// When it comes.
    pub(crate) at: Duration,
    /// When it is told to leave.
    pub(crate) drain: Option<Duration>,
    /// By how much its wall clock is wrong.
    pub(crate) skew_ms: i64,
    /// How many attempts of light stages it does at once.
    pub(crate) permits: usize,
}

const MINUTE: u64 = 60_000;

fn ms(seeded: &Seeded, from: u64, to: u64) -> Duration {
    Duration::from_millis(seeded.between(from, to))
}

/// How long a drought lasts.
pub(crate) const DROUGHT: Duration = Duration::from_secs(2 * 3600);

impl Scenario {
    /// The scenario of that seed.
    pub(crate) fn drawn(seed: u64) -> Self {
        let seeded = &Seeded::new(seed, 10);
        let lease = Duration::from_secs(*seeded.pick(&[10, 20, 30]));
        let drought = seeded.chance(1, 12);
        let sweeps = drought || seeded.chance(4, 5);
        let is_long = !drought && sweeps && seeded.chance(1, 100);
        let storm = ms(
            seeded,
            MINUTE,
            *seeded.pick(&[5 * MINUTE, 20 * MINUTE, 90 * MINUTE]),
        );
        let mut weather = match seeded.chance(1, 10) {
            true => Weather::FAIR,
            false => Weather::drawn(seeded),
        };
        if !sweeps {
            // Nobody but the sweeper can know of a message that vanished.
            weather = weather.without(Fault::Vanishes);
        }
        let within = |most: Duration| Duration::from_millis(seeded.below(pipeline::time::millis(most)));
        let early = if drought {
            Duration::from_secs(30)
        } else {
            storm / 2
        };
        let runs = (0..seeded.between(1, 4))
            .map(|n| {
                let deadline = match sweeps {
                    // Nobody but the sweeper ends what is overdue.
                    false => Duration::from_secs(30 * 86_400),
                    true if is_long => Duration::from_secs(5 * 86_400),
                    true if drought => ms(seeded, 240 * MINUTE, 1_000 * MINUTE),
                    true if seeded.chance(1, 5) => ms(seeded, 20 * MINUTE, 60 * MINUTE),
                    true => ms(seeded, 180 * MINUTE, 720 * MINUTE),
                };
                Wish {
                    id: RunId::new(format!("run-{n}")).expect("a valid id"),
                    spec: plan::spec(seeded, "sim", deadline),
                    at: within(early),
                    cancel: (!drought && seeded.chance(1, 4)).then(|| within(storm)),
                    resumes: (0..seeded.below(3)).map(|_| within(storm)).collect(),
                    extend: (!drought && seeded.chance(1, 8)).then(|| within(storm)),
                }
            })
            .collect();
        let posts = match !drought && seeded.chance(1, 3) {
            true => Posts::drawn(seeded, storm, sweeps),
            false => Posts::default(),
        };
        let mut workers: Vec<Member> = (0..seeded.between(1, 4))
            .map(|n| Member {
                stages: match n {
                    // Somebody is there for everything, most of the time.
                    0 if seeded.chance(3, 4) => STAGES.to_vec(),
                    _ => {
                        let some: Vec<&str> = STAGES.into_iter().filter(|_| seeded.chance(1, 2)).collect();
                        if some.is_empty() { vec!["noop"] } else { some }
                    }
                },
                at: within(early),
                drain: seeded.chance(1, 3).then(|| within(storm)),
                skew_ms: skew(seeded, lease),
                permits: usize::try_from(seeded.between(1, 4)).unwrap_or(1),
            })
            .collect();
        if posts.spec.is_some() || seeded.chance(1, 4) {
            workers.push(Member {
                stages: Vec::new(),
                at: within(early),
                drain: seeded.chance(1, 3).then(|| within(storm)),
                skew_ms: skew(seeded, lease),
                permits: 1,
            });
        }
        let times = |n, of, most| -> Vec<Duration> {
            (0..most)
                .filter(|_| seeded.chance(n, of))
                .map(|_| within(storm))
                .collect()
        };
        let (hands, strays, pause_times) = (times(1, 4, 2), times(1, 4, 4), times(1, 6, 2));
        // As what vanishes: only the sweeper can know of it.
        let losses = if sweeps && !drought {
            times(1, 6, 3)
        } else {
            Vec::new()
        };
        let pauses = pause_times
            .into_iter()
            .map(|at| (*seeded.pick(&STAGES), at, within(storm)))
            .collect();
        Self {
            lease,
            weather,
            storm,
            sweeps,
            ends_clean: seeded.chance(1, 2),
            can_tell: !seeded.chance(1, 50),
            is_deadly: seeded.chance(1, 6),
            is_long,
            drought,
            runs,
            posts,
            workers,
            pauses,
            hands,
            is_leaky: sweeps && !drought && seeded.chance(1, 4),
            losses,
            // A claim by a message that came too early may take effect late, when the step is ready: nobody holds the
            // work then, its message is gone, and only the sweeper knows (seen: one life in 25,000).
            strays: if drought || !sweeps { Vec::new() } else { strays },
        }
    }
}

impl Posts {
    fn drawn(seeded: &Seeded, storm: Duration, sweeps: bool) -> Self {
        let within = || Duration::from_millis(seeded.below(pipeline::time::millis(storm)));
        let deadline = if sweeps {
            120 * MINUTE
        } else {
            30 * 24 * 60 * MINUTE
        };
        let requests = (0..seeded.between(1, 4))
            .map(|_| {
                let key = format!("order-{}", seeded.below(3));
                (RunId::new(key).expect("a valid id"), within())
            })
            .collect();
        Self {
            spec: Some(plan::spec(seeded, "posted", Duration::from_millis(deadline))),
            max_open: seeded.chance(2, 3).then_some(1),
            requests,
            objects: (0..seeded.below(4))
                .map(|_| (format!("in/{}.csv", seeded.below(2)), within()))
                .collect(),
            garbage: (0..seeded.below(2)).map(|_| within()).collect(),
        }
    }
}

/// Mostly right, often a little wrong, sometimes so wrong that the worker must see it.
fn skew(seeded: &Seeded, lease: Duration) -> i64 {
    let lease = pipeline::time::millis(lease);
    let most = match seeded.below(8) {
        0..4 => return 0,
        4..7 => lease / 3,
        _ => 3_600_000,
    };
    let size = i64::try_from(seeded.below(most)).unwrap_or(0);
    if seeded.chance(1, 2) { size } else { -size }
}
