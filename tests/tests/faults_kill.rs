//! `kill -9` at every moment of a delivery, and at random ones: another worker finishes the run, nothing is lost, and
//! nothing is committed twice.

use std::sync::OnceLock;
use std::time::Duration;

use e2e::harness::{Fleet, Results, Stopwatch, side_by_side};
use pipeline::RunStatus;

/// Each step reads what the one before it wrote, so a lost or wrong artifact shows in everything after it.
const LINEAR: &str = r#"
pipeline = "linear"
seed = 7
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 3000 }
[[steps]]
step = "middle"
stage = "noop"
params = { write_bytes = 5000 }
[[steps]]
step = "last"
stage = "noop"
params = { write_bytes = 100 }
"#;

/// A step says into how many branches the next one is fanned out; the last one reads what all of them wrote.
const FANNED: &str = r#"
pipeline = "fanned"
seed = 8
[[steps]]
step = "split"
stage = "fan-out"
params = { branches = 3 }
[[steps]]
step = "part"
stage = "noop"
branches = "from-predecessor"
params = { write_bytes = 2000 }
[[steps]]
step = "join"
stage = "noop"
params = { write_bytes = 100 }
"#;

/// Fails once in passing before it succeeds.
const FLAKY: &str = r#"
pipeline = "flaky"
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 3000 }
[[steps]]
step = "unsteady"
stage = "flaky"
params = { attempts = 1 }
[[steps]]
step = "last"
stage = "noop"
params = { write_bytes = 100 }
"#;

const STAGES: &str = "noop,fan-out,flaky";

/// What a run of that specification commits when nobody disturbs it.
fn undisturbed(spec: &str) -> Results {
    let fleet = Fleet::new();
    let run = fleet.submit(spec);
    let _pool = fleet.pool(STAGES).start();
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    fleet.assert_whole(&run)
}

/// Stops a worker at a moment, kills it there, and sees that another one finishes the run with the same results. The
/// other one is there already when the first is killed, or comes afterwards.
fn kill_at(moment: &str, spec: &str, step: &str, expected: &Results, is_other_there: bool) {
    let fleet = Fleet::new();
    let run = fleet.submit(spec);
    let mut victim = fleet
        .pool(STAGES)
        .called("victim")
        .with(&["--test-pause-at", &format!("{moment}@{step}")])
        .launch();
    let stopped = victim.output().wait_for("stopped at ");
    let start = || fleet.pool(STAGES).called("survivor").start();
    let survivor = is_other_there.then(start);
    println!("{stopped}: kill -9 of process {}", victim.id());
    let killed_at = Stopwatch::start();
    victim.kill();
    let _survivor = survivor.unwrap_or_else(start);
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    println!(
        "  {moment} of {step}: recovered in {}; attempts {:?}",
        killed_at,
        ended
            .steps_in_order()
            .map(|(_, step)| step.attempt)
            .collect::<Vec<_>>()
    );
    assert_eq!(
        fleet.assert_whole(&run),
        *expected,
        "{moment} of {step}: other results"
    );
    fleet.assert_committed_once(&run);
    fleet.wait_until_empty("noop");
    assert_eq!(
        fleet.depth("noop").dead,
        0,
        "{moment} of {step} left a dead letter"
    );
}

fn expected(spec: &str) -> Results {
    static LINEAR_RESULTS: OnceLock<Results> = OnceLock::new();
    static FANNED_RESULTS: OnceLock<Results> = OnceLock::new();
    match spec {
        LINEAR => LINEAR_RESULTS.get_or_init(|| undisturbed(spec)).clone(),
        FANNED => FANNED_RESULTS.get_or_init(|| undisturbed(spec)).clone(),
        _ => undisturbed(spec),
    }
}

fn kill_at_each(moments: &[&str], spec: &str, step: &str) {
    let expected = expected(spec);
    let scenarios = moments.iter().enumerate().collect();
    side_by_side(5, scenarios, |(nth, moment)| {
        kill_at(moment, spec, step, &expected, nth % 2 == 0)
    });
}

/// The moments are those of `worker/src/moments.rs`, in the order of a delivery.
const OF_EVERY_DELIVERY: [&str; 9] = [
    "received",
    "claimed",
    "fetched",
    "ran",
    "put",
    "published",
    "committed",
    "sent",
    "acknowledged",
];

#[test]
fn killed_at_every_moment_of_a_linear_step() {
    kill_at_each(&OF_EVERY_DELIVERY, LINEAR, "middle");
}

#[test]
fn killed_at_every_moment_of_a_branch() {
    kill_at_each(&[&OF_EVERY_DELIVERY[..], &["joined"]].concat(), FANNED, "part");
}

#[test]
fn killed_around_a_fan_out() {
    kill_at_each(&["committed", "sent"], FANNED, "split");
}

#[test]
fn killed_in_the_last_step() {
    kill_at_each(&["published", "committed", "sent"], LINEAR, "last");
}

#[test]
fn killed_after_a_failure_was_recorded() {
    kill_at_each(&["recorded"], FLAKY, "unsteady");
}

/// Small, and good enough to choose moments by: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// As [`FANNED`], with children that take a while. A step may be hit often here: its crash budget is large.
const RESTLESS: &str = r#"
pipeline = "restless"
seed = 9
[retry]
crash = 40
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 200000 }
[[steps]]
step = "nap"
stage = "sleep"
params = { ms = 60 }
branches = 2
[[steps]]
step = "unsteady"
stage = "flaky"
params = { attempts = 1 }
[[steps]]
step = "last"
stage = "noop"
params = { write_bytes = 1000 }
"#;

/// Twenty times: two runs are submitted, and the only worker is killed after a random time.
#[test]
#[allow(clippy::disallowed_methods, reason = "the random moment is a time")]
fn killed_at_twenty_random_moments() {
    const SEED: u64 = 20_261_123;
    const KILLS: u32 = 20;
    let mut dice = Dice(SEED);
    let fleet = Fleet::new();
    let start = || fleet.pool("noop,sleep,flaky").with(&["--lease", "600ms"]);
    println!("seed {SEED}");
    let mut runs = Vec::new();
    for kill in 1..=KILLS {
        runs.extend([fleet.submit(RESTLESS), fleet.submit(RESTLESS)]);
        let mut victim = start().called("victim").start();
        let after = Duration::from_millis(dice.below(300));
        std::thread::sleep(after);
        victim.kill();
        let open = runs
            .iter()
            .filter(|run| fleet.run(run).status == RunStatus::Open)
            .count();
        println!(
            "kill {kill} of {KILLS}: {after:?} after it took work; {open} of {} runs are open",
            runs.len()
        );
    }
    let began = Stopwatch::start();
    let _survivor = start().called("survivor").start();
    let (mut attempts, mut results) = (0, Vec::new());
    for run in &runs {
        let item = fleet.wait_for_end(run, RunStatus::Succeeded);
        fleet.assert_committed_once(run);
        let of_branches: u32 = fleet.branches(run).iter().map(|branch| branch.work.attempt).sum();
        attempts += of_branches + item.steps.values().map(|step| step.attempt).sum::<u32>();
        results.push(fleet.assert_whole(run));
    }
    println!("the last worker finished the rest in {}", began);
    assert!(
        results.iter().all(|one| *one == results[0]),
        "equal specifications, other results"
    );
    // Undisturbed, a run takes six attempts: the flaky step two, the others and each branch one.
    let undisturbed = 6 * u32::try_from(runs.len()).expect("few");
    println!("{attempts} attempts; undisturbed, there would have been {undisturbed}");
    assert!(
        attempts > undisturbed,
        "no kill hit any work: this test tests nothing"
    );
}
