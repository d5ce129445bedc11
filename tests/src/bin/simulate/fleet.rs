//! The processes of a simulated fleet: the real worker, over simulated ports.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::channel::oneshot;
use pipeline::spec::{Kind, kind};
use pipeline::{MemoryClass, WorkerId};
use sim::host::{Surroundings, Toil};
use sim::{ProcessId, Seeded, World};
use worker::config::{Layer, Machine, Mode, Settings, resolve};
use worker::demand::Room;
use worker::metrics::Metrics;
use worker::worker::{Rhythm, Worker};
use worker::{fleet, worker as shared};

use crate::scenario::{Member, Scenario};

/// What the processes of one world share.
pub(crate) struct Fleet {
    /// The world.
    pub(crate) world: Arc<World>,
    seed: u64,
    settings: Settings,
    metrics: Arc<Metrics>,
    lease: Duration,
    is_deadly: bool,
    is_long: bool,
    /// True while things go wrong.
    pub(crate) is_stormy: Arc<AtomicBool>,
    born: AtomicU64,
}

impl Fleet {
    /// A fleet without processes. Attempts' folders are made in `scratch`.
    pub(crate) fn new(
        world: Arc<World>,
        seed: u64,
        scenario: &Scenario,
        scratch: &Path,
        metrics: Arc<Metrics>,
    ) -> Self {
        let machine = Machine {
            cores: 2,
            memory_bytes: Some(1 << 32),
            temp_dir: scratch.to_owned(),
        };
        let defaults = resolve(Layer::default(), Layer::default(), Mode::Run, &machine);
        let mut settings = defaults.expect("defaults are no mistake");
        settings.lease = scenario.lease;
        settings.sweep_interval = Duration::from_secs(120);
        Self {
            world,
            seed,
            settings,
            metrics,
            lease: scenario.lease,
            is_deadly: scenario.is_deadly,
            is_long: scenario.is_long,
            is_stormy: Arc::default(),
            born: AtomicU64::new(0),
        }
    }

    /// A new process, whose surroundings follow from the seed and from how many there were before.
    pub(crate) fn process(&self, skew_ms: i64) -> (ProcessId, Surroundings, Seeded) {
        let nth = self.born.fetch_add(1, Ordering::Relaxed);
        let process = self.world.simulation.process();
        let work = {
            let (seeded, lease) = (Seeded::new(self.seed, 1_000_000 + nth), self.lease);
            let (is_stormy, deadly) = (self.is_stormy.clone(), if self.is_deadly { 25 } else { 1 });
            let is_long = self.is_long;
            Arc::new(move || {
                if is_long && seeded.chance(1, 6) {
                    return Toil::Takes(Duration::from_secs(seeded.between(10, 14) * 3_600));
                }
                let deadly = if is_stormy.load(Ordering::Relaxed) {
                    deadly
                } else {
                    0
                };
                toil(&seeded, lease, deadly)
            })
        };
        let surroundings = Surroundings::new(self.world.simulation.clone(), process, work);
        surroundings.skew(skew_ms);
        (process, surroundings, Seeded::new(self.seed, 2_000_000 + nth))
    }

    /// Starts a worker that serves these stages, or the intake if there are none.
    pub(crate) fn start(&self, stages: &[&str], permits: usize, skew_ms: i64) -> Process {
        let (process, surroundings, seeded) = self.process(skew_ms);
        let host = surroundings.host(seeded);
        let id = WorkerId::new(format!("worker-{}", process.0)).expect("a valid id");
        let settings = Settings {
            permits,
            ..self.settings.clone()
        };
        let backend = self.world.link(process).backend();
        let room = Room::Here(MemoryClass::ALL.map(|class| settings.memory_limit_bytes(class)));
        let built = fleet::build(
            &settings,
            id,
            (backend, RHYTHM, room),
            host.clone(),
            self.metrics.clone(),
            None,
            None,
        );
        let mut worker = built.expect("the scratch folder is there");
        let own: &mut shared::Worker = Arc::get_mut(&mut worker).expect("nobody else has it yet");
        own.children = false;
        let (started, intake) = (worker.clone(), stages.is_empty());
        let (tell, ended) = oneshot::channel();
        let kinds: Vec<&'static Kind> = stages.iter().filter_map(|name| kind(name)).collect();
        host.spawn.spawn(Box::pin(async move {
            let running = match intake {
                true => fleet::start_intake(&started, &settings).await,
                false => fleet::start(&started, fleet::queues_of(&kinds, &[]), &settings).await,
            };
            match running {
                Ok(running) => running.ended(&started).await,
                Err(e) => panic!("the worker does not start: {e}"),
            }
            // Whoever waited for it may have given up.
            let _ = tell.send(());
        }));
        Process {
            id: process,
            worker,
            surroundings,
            ended,
        }
    }

    /// Starts the member of a scenario.
    pub(crate) fn start_member(&self, member: &Member) -> Process {
        self.start(&member.stages, member.permits, member.skew_ms)
    }
}

/// A process that was started.
pub(crate) struct Process {
    /// Its id.
    pub(crate) id: ProcessId,
    /// The worker in it.
    pub(crate) worker: Arc<Worker>,
    /// Its clock.
    pub(crate) surroundings: Surroundings,
    /// Told once its last pool has ended.
    pub(crate) ended: oneshot::Receiver<()>,
}

/// Rare enough that hours cost little: most of what is asked besides the work changes nothing.
const RHYTHM: Rhythm = Rhythm {
    poll: Duration::from_secs(300),
    pauses: Duration::from_secs(120),
    presence: Duration::from_secs(900),
    gauges: Duration::from_secs(1_800),
    clock: Duration::from_secs(240),
    hears_ends: true,
};

/// How long a stage's work takes: little, or somewhat, or longer than a lease. Of sixty, so many kill their process.
fn toil(seeded: &Seeded, lease: Duration, deadly: u64) -> Toil {
    let lease_ms = pipeline::time::millis(lease);
    let most_ms = match seeded.below(20) {
        0 => lease_ms * 4,
        1..4 => lease_ms,
        _ => 1_000,
    };
    let takes = Duration::from_millis(seeded.below(most_ms));
    match seeded.chance(deadly, 60) {
        true => Toil::Dies(takes),
        false => Toil::Takes(takes),
    }
}
