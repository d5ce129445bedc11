//! One simulated life of a fleet: a storm, the calm after it, and the judgement.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{Either, select};
use pipeline::item::RunStatus;
use sim::fault::{Coverage, Weather};
use sim::ledger::{Expected, Violation, overdue};
use sim::{SCRIPT, Seeded, Simulation, Trace, World};
use worker::drain::Phase;
use worker::metrics::Metrics;

use crate::fleet::{Fleet, Process};
use crate::people::{Notes, People};
use crate::plan::STAGES;
use crate::scenario::{DROUGHT, Member, Scenario};

/// What came of a life.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    /// The hash of everything that happened.
    pub(crate) hash: u64,
    /// What was broken.
    pub(crate) violations: Vec<Violation>,
    /// What was called, and what became of it.
    pub(crate) coverage: Coverage,
    /// How many runs ended how.
    pub(crate) ended: BTreeMap<&'static str, u64>,
    /// How many attempts were made.
    pub(crate) attempts: u64,
    /// How many processes there were.
    pub(crate) processes: u64,
    /// How long it took, in the world's time.
    pub(crate) virtual_time: Duration,
    /// What happened, if it was recorded.
    pub(crate) lines: Vec<String>,
}

/// How long after its deadline a run may be open: the sweeper looks every two to three minutes, and a run's own
/// next look is at most ten away.
const GRACE: Duration = Duration::from_secs(20 * 60);
/// How long a run may be open in the calm if only redeliveries drive it on. Pauses between attempts are the longest
/// part: up to five minutes each.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);
/// How long a run may take in the calm, whatever the storm left: the longest is the sweeper's pause before it sends what it
/// sent before, and sent before that.
const AMPLE: Duration = Duration::from_secs(6 * 3600);
/// How long messages may lie about once every run has ended.
const CLEARED: Duration = Duration::from_secs(3 * 3600);
/// How often the script looks around in the calm.
const LOOK: Duration = Duration::from_secs(60);
/// How often a message may be sent while nobody takes any for two hours.
const MOST_IN_DROUGHT: u32 = 5;

/// Lives the life of that seed. Attempts' folders are made in `scratch`.
pub(crate) fn live(seed: u64, records: bool, scratch: &Path, metrics: &Arc<Metrics>) -> Verdict {
    let scenario = Scenario::drawn(seed);
    let trace = if records {
        Trace::recording()
    } else {
        Trace::hashing()
    };
    let simulation = Simulation::new(seed, trace);
    let world = World::new(simulation.clone(), seed, scenario.lease, scenario.can_tell);
    if records {
        simulation
            .trace()
            .event(Duration::ZERO, SCRIPT, &format!("{scenario:#?}"));
    }
    let fleet = Arc::new(Fleet::new(
        world.clone(),
        seed,
        &scenario,
        scratch,
        metrics.clone(),
    ));
    let people = People::new(fleet.clone(), seed, scratch);
    let script = Script {
        scenario: Arc::new(scenario),
        world: world.clone(),
        fleet,
        people,
        notes: Notes::default(),
        processes: Arc::default(),
        seeded: Arc::new(Seeded::new(seed, 12)),
    };
    let lived = catch_unwind(AssertUnwindSafe(|| simulation.block_on(script.play())));
    if let Err(panic) = lived {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let mut stores = world.stores();
        stores
            .ledger
            .broken("panic", text.unwrap_or_else(|| "without a message".to_owned()));
    }
    let verdict = script.verdict();
    drop(script);
    simulation.end();
    verdict
}

struct Script {
    scenario: Arc<Scenario>,
    world: Arc<World>,
    fleet: Arc<Fleet>,
    people: People,
    notes: Notes,
    /// Every process that was started.
    processes: Arc<Mutex<Vec<(sim::ProcessId, sim::host::Surroundings)>>>,
    seeded: Arc<Seeded>,
}

impl Script {
    async fn play(&self) {
        let (scenario, simulation) = (&self.scenario, &self.world.simulation);
        self.world.stores().items.index_is_lost = !scenario.sweeps;
        self.people.set_out(scenario, &self.notes);
        if scenario.drought {
            self.drought().await;
        }
        self.fleet.is_stormy.store(true, Ordering::Relaxed);
        self.world.set_weather(scenario.weather.clone());
        for nth in 0..scenario.workers.len() {
            let life = self.member(nth);
            simulation.spawn(SCRIPT, Box::pin(life));
        }
        simulation.sleep(scenario.storm).await;
        self.calm().await;
    }

    /// Two hours in which sweepers look and nobody works.
    async fn drought(&self) {
        let sweepers = [0, 0].map(|skew_ms| self.fleet.start(&[], 1, skew_ms));
        self.world.simulation.sleep(DROUGHT).await;
        for sweeper in &sweepers {
            self.world.simulation.kill(sweeper.id);
        }
        let mut stores = self.world.stores();
        let most = stores
            .ledger
            .most_sent()
            .map(|(body, times)| (body.to_owned(), times));
        if let Some((body, times)) = most.filter(|(_, times)| *times > MOST_IN_DROUGHT) {
            let what = format!("{body} was sent {times} times in two hours without a worker");
            stores.ledger.broken("W3", what);
        }
    }

    /// A worker that comes again whenever it died or left, until the storm is over.
    fn member(&self, nth: usize) -> impl Future<Output = ()> + Send + 'static {
        let (scenario, fleet, seeded) = (self.scenario.clone(), self.fleet.clone(), self.seeded.clone());
        let (processes, simulation) = (self.processes.clone(), self.world.simulation.clone());
        async move {
            let member: &Member = &scenario.workers[nth];
            let came = simulation.now();
            simulation.sleep(member.at).await;
            let mut leaves = member.drain.map(|at| came + at);
            while fleet.is_stormy.load(Ordering::Relaxed) {
                let process = fleet.start_member(member);
                let (id, clock) = (process.id, process.surroundings.clone());
                processes.lock().expect("never poisoned").push((id, clock));
                let until = leaves.filter(|at| *at > simulation.now());
                let died = std::pin::pin!(simulation.died(id));
                match until {
                    None => died.await,
                    Some(at) => {
                        let left = simulation.sleep(at.saturating_sub(simulation.now()));
                        if let Either::Right(_) = select(died, left).await {
                            leaves = None;
                            drain(&simulation, &seeded, process).await;
                        }
                    }
                }
                if scenario.is_leaky && seeded.chance(1, 2) {
                    // Those of others, too: a queue that loses messages does not ask whose they are.
                    let intake = pipeline::intake::queue();
                    let mut stores = fleet.world.stores();
                    stores
                        .queues
                        .lose(|queue, message| message.is_held && *queue != intake);
                }
                simulation
                    .sleep(Duration::from_millis(seeded.below(90_000)))
                    .await;
            }
        }
    }

    /// Nothing goes wrong any more, and workers are there for everything.
    async fn calm(&self) {
        let (world, scenario) = (&self.world, &self.scenario);
        self.fleet.is_stormy.store(false, Ordering::Relaxed);
        world.set_weather(Weather::FAIR);
        world
            .simulation
            .trace()
            .event(world.simulation.now(), SCRIPT, "the storm is over");
        for (process, clock) in self.processes.lock().expect("never poisoned").iter() {
            clock.skew(0);
            if scenario.ends_clean && !world.simulation.is_dead(*process) {
                world.simulation.kill(*process);
            }
        }
        let _fresh: Vec<Process> = [&STAGES[..], &STAGES[..], &[]]
            .into_iter()
            .map(|stages| self.fleet.start(stages, 4, 0))
            .collect();
        let quiet_since = world.now();
        // What takes half a day holds its permit also when its run has ended, and messages wait for permits.
        let cleared = if scenario.is_long { CLEARED * 24 } else { CLEARED };
        let mut cleared_since = None;
        loop {
            world.simulation.sleep(LOOK).await;
            let expected = self.expected(quiet_since);
            let now = world.now();
            let mut stores = world.stores();
            if !stores.ledger.violations().is_empty() {
                return;
            }
            let late = overdue(&stores.items, &expected, now);
            if !late.is_empty() {
                for (invariant, what) in late {
                    stores.ledger.broken(invariant, what);
                }
                return;
            }
            let is_open = stores
                .items
                .runs
                .values()
                .any(|run| run.status == RunStatus::Open);
            if is_open || !self.people.are_done() {
                cleared_since = None;
                continue;
            }
            let since = *cleared_since.get_or_insert(now);
            if stores.queues.all().next().is_none() || now > since.plus(cleared) {
                stores.judge_ending(&expected);
                return;
            }
        }
    }

    fn expected(&self, quiet_since: pipeline::Timestamp) -> Expected {
        Expected {
            grace: GRACE,
            quiet_since,
            ample: (self.scenario.sweeps && !self.scenario.is_long).then_some(AMPLE),
            without_sweeper: (!self.scenario.sweeps).then_some(PATIENCE),
            ..self.notes.expected()
        }
    }

    fn verdict(&self) -> Verdict {
        let simulation = &self.world.simulation;
        let stores = self.world.stores();
        let mut ended = BTreeMap::new();
        for run in stores.items.runs.values() {
            *ended.entry(run.status.as_str()).or_default() += 1;
        }
        let steps = stores.items.runs.values().flat_map(|run| run.steps.values());
        let branches = stores.items.branches.values().map(|branch| &branch.work);
        let mut trace = simulation.trace();
        Verdict {
            hash: trace.hash(),
            violations: stores.ledger.violations().to_vec(),
            coverage: self.world.coverage(),
            ended,
            attempts: steps.chain(branches).map(|work| u64::from(work.attempt)).sum(),
            processes: u64::try_from(self.processes.lock().expect("never poisoned").len()).unwrap_or(0),
            virtual_time: simulation.now(),
            lines: trace.take_lines(),
        }
    }
}

/// A worker leaves as it does when its process is told to end.
async fn drain(simulation: &Simulation, seeded: &Seeded, process: Process) {
    simulation
        .trace()
        .event(simulation.now(), process.id, "is told to leave");
    process.worker.drain.advance(Phase::Draining);
    let patience = Duration::from_millis(seeded.below(60_000));
    let mut ended = process.ended;
    let died = std::pin::pin!(simulation.died(process.id));
    let mut gone = select(&mut ended, died);
    if let Either::Right((_, _)) = select(&mut gone, simulation.sleep(patience)).await {
        process.worker.drain.advance(Phase::Interrupting);
        gone.await;
    }
    if !simulation.is_dead(process.id) {
        simulation.kill(process.id);
    }
}
