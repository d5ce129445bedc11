//! A simulated world: its stores, its weather, and the links by which processes reach the stores.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use pipeline::ports::{ErrorKind, PortError, PortResult};
use pipeline::{QueueName, RunId, Timestamp};

use crate::executor::{ProcessId, SCRIPT, Simulation};
use crate::fault::{Call, Coverage, Fault, Weather};
use crate::host::right_time;
use crate::random::Seeded;
use crate::stores::Stores;

/// See the module.
pub struct World {
    /// Its time and tasks.
    pub simulation: Simulation,
    stores: Mutex<Stores>,
    weather: Mutex<Weather>,
    coverage: Mutex<Coverage>,
    waiting: Mutex<BTreeMap<Topic, Vec<Waiting>>>,
    /// Draws what goes wrong.
    pub(crate) seeded: Seeded,
    /// A process that is frozen is so for longer than this.
    lease: Duration,
    /// False if nobody can tell whether a queue has messages without receiving them.
    pub(crate) can_tell: bool,
}

/// Who waits, and whether it was woken.
type Waiting = (Arc<AtomicBool>, Waker);

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    Queue(QueueName),
    Run(RunId),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // One thread: a poisoned lock is a panic that is on its way out anyway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world in which nothing goes wrong yet. `lease` is how long its workers' leases are.
    pub fn new(simulation: Simulation, seed: u64, lease: Duration, can_tell: bool) -> Arc<Self> {
        Arc::new(Self {
            simulation,
            stores: Mutex::default(),
            weather: Mutex::new(Weather::FAIR),
            coverage: Mutex::default(),
            waiting: Mutex::default(),
            seeded: Seeded::new(seed, 2),
            lease,
            can_tell,
        })
    }

    /// What is stored. Nobody may wait while this is held.
    pub fn stores(&self) -> MutexGuard<'_, Stores> {
        lock(&self.stores)
    }

    /// Changes the weather.
    pub fn set_weather(&self, weather: Weather) {
        *lock(&self.weather) = weather;
    }

    /// What was called, and what became of it.
    pub fn coverage(&self) -> Coverage {
        lock(&self.coverage).clone()
    }

    /// The time by a clock that is right.
    pub fn now(&self) -> Timestamp {
        right_time(&self.simulation)
    }

    /// A process's way to the stores.
    pub fn link(self: &Arc<Self>, process: ProcessId) -> Link {
        Link {
            world: self.clone(),
            process,
        }
    }

    /// Does something to the stores, and wakes whom it concerns.
    fn perform<T>(&self, deed: impl FnOnce(&mut Stores, Timestamp) -> T) -> T {
        let now = self.now();
        let (done, queues, runs) = {
            let mut stores = self.stores();
            let done = deed(&mut stores, now);
            let queues = std::mem::take(&mut stores.woken_queues);
            let runs = std::mem::take(&mut stores.woken_runs);
            (done, queues, runs)
        };
        for queue in queues {
            self.wake(&Topic::Queue(queue));
        }
        for run in runs {
            self.wake(&Topic::Run(run));
        }
        done
    }

    fn wake(&self, topic: &Topic) {
        let waiting = lock(&self.waiting).remove(topic).unwrap_or_default();
        for (is_woken, waker) in waiting {
            is_woken.store(true, Ordering::Relaxed);
            waker.wake();
        }
    }

    /// Returns when something happened about the topic, or after `at_most`.
    pub(crate) async fn wait(&self, topic: Topic, at_most: Duration) {
        let is_woken = Arc::new(AtomicBool::new(false));
        let mut is_told = false;
        let mut sleep = pin!(self.simulation.sleep(at_most));
        std::future::poll_fn(|context| {
            if is_woken.load(Ordering::Relaxed) || sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut is_told, true) {
                let entry = (is_woken.clone(), context.waker().clone());
                lock(&self.waiting).entry(topic.clone()).or_default().push(entry);
            }
            Poll::Pending
        })
        .await;
    }

    fn draw(&self, process: ProcessId, call: Call) -> Option<Fault> {
        let fault = match process {
            SCRIPT => None,
            _ => lock(&self.weather).draw(call, &self.seeded),
        };
        lock(&self.coverage).count(call, fault);
        fault
    }

    fn told(&self, process: ProcessId, call: Call, detail: &str, fault: Option<Fault>, answer: &str) {
        let text = match fault {
            None => format!("{call} {detail} -> {answer}"),
            Some(fault) => format!("{call} {detail} [{fault}] -> {answer}"),
        };
        self.simulation
            .trace()
            .event(self.simulation.now(), process, &text);
    }
}

/// A process's way to the stores.
#[derive(Clone)]
pub struct Link {
    pub(crate) world: Arc<World>,
    pub(crate) process: ProcessId,
}

/// What a deed answers, in a word, for the trace.
pub(crate) type Tell<T> = fn(&T) -> String;

pub(crate) fn done<T>(_: &T) -> String {
    "ok".to_owned()
}

fn failed(kind: ErrorKind, call: Call) -> PortError {
    PortError::new(kind, format!("{call} failed, as it sometimes does"))
}

impl Link {
    /// What becomes of a call.
    pub(crate) fn draw(&self, call: Call) -> Option<Fault> {
        self.world.draw(self.process, call)
    }

    /// Performs a call with whatever the weather makes of it.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: Call,
        detail: String,
        tell: Tell<T>,
        deed: impl FnOnce(&mut Stores, Timestamp) -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let fault = self.draw(call);
        self.call_with(call, detail, fault, tell, deed).await
    }

    /// Performs a call of which that becomes.
    pub(crate) async fn call_with<T: Send + 'static>(
        &self,
        call: Call,
        detail: String,
        fault: Option<Fault>,
        tell: Tell<T>,
        deed: impl FnOnce(&mut Stores, Timestamp) -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let (world, process) = (self.world.clone(), self.process);
        let simulation = &world.simulation;
        let perform = {
            let (world, detail) = (world.clone(), detail.clone());
            move || {
                let answer = world.perform(deed);
                let text = match &answer {
                    Ok(answer) => tell(answer),
                    Err(e) => format!("{:?}", e.kind()),
                };
                world.told(process, call, &detail, fault, &text);
                answer
            }
        };
        let refuse = |kind, text: &str| {
            world.told(process, call, &detail, fault, text);
            Err(failed(kind, call))
        };
        simulation.sleep(self.latency()).await;
        match fault {
            None
            | Some(Fault::Vanishes | Fault::Doubled | Fault::Delayed | Fault::Partial | Fault::Stale) => {
                let answer = perform();
                simulation.sleep(self.latency()).await;
                answer
            }
            Some(Fault::Refused | Fault::DiskFull) => refuse(ErrorKind::Unavailable, "not applied"),
            Some(Fault::Throttled) => {
                let wait = Duration::from_millis(world.seeded.below(3_000));
                refuse(ErrorKind::Throttled, "not applied").map_err(|e| e.with_retry_after(wait))
            }
            Some(Fault::Unanswered) => {
                drop(perform());
                Err(failed(ErrorKind::Unavailable, call))
            }
            Some(Fault::Late) => {
                let delay = self.long();
                simulation.after(delay, move || drop(perform()));
                refuse(ErrorKind::Unavailable, &format!("applied in {delay:?}"))
            }
            Some(Fault::DiesBefore) => {
                world.told(process, call, &detail, fault, "not applied");
                self.die().await
            }
            Some(Fault::DiesAfter) => {
                drop(perform());
                self.die().await
            }
            Some(Fault::FrozenBefore) => {
                self.freeze(call, &detail, fault).await;
                perform()
            }
            Some(Fault::FrozenAfter) => {
                let answer = perform();
                self.freeze(call, &detail, fault).await;
                answer
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.world.simulation.kill(self.process);
        std::future::pending().await
    }

    async fn freeze(&self, call: Call, detail: &str, fault: Option<Fault>) {
        let world = &self.world;
        let lease = pipeline::time::millis(world.lease);
        let most = *world.seeded.pick(&[2, 4, 40]);
        let duration = Duration::from_millis(world.seeded.between(lease / 2, lease * most));
        world.told(
            self.process,
            call,
            detail,
            fault,
            &format!("frozen for {duration:?}"),
        );
        world.simulation.freeze(self.process, duration);
        // Whoever is frozen goes on when that is over, and so does this.
        world.simulation.sleep(Duration::ZERO).await;
    }

    /// How long one way of a request takes.
    fn latency(&self) -> Duration {
        let seeded = &self.world.seeded;
        let most_ms = match seeded.below(100) {
            0 => 4_000,
            1..10 => 200,
            _ => 10,
        };
        Duration::from_millis(seeded.below(most_ms))
    }

    /// How late what comes late comes.
    pub(crate) fn long(&self) -> Duration {
        let seeded = &self.world.seeded;
        let most_ms = *seeded.pick(&[1_000, 60_000, 1_800_000]);
        Duration::from_millis(seeded.below(most_ms))
    }
}
