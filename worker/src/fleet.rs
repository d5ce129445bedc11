//! One process put together: from settings to pools, and back out in good order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pipeline::intake;
use pipeline::ports::{Backend, Host, PortError};
use pipeline::spec::{Kind, Weight};
use pipeline::{MemoryClass, QueueName, StageName, WorkerId};
use tokio::sync::{Semaphore, watch};

use crate::agent::{Agent, Protection};
use crate::background;
use crate::config::Settings;
use crate::demand::Room;
use crate::drain::{Drain, Phase};
use crate::http::{Endpoint, EndpointError, Obstacle, Readiness};
use crate::metrics::Metrics;
use crate::moments::Moments;
use crate::outlets::{Notices, Outlets, Spans, watched};
use crate::pool;
use crate::scratch::ScratchRoot;
use crate::telemetry::Gathered;
use crate::worker::{Capacity, Gate, ProgressSink, Rhythm, Specs, Timing, Worker};

/// How much of the drain's time is kept for interrupting and for releasing what was interrupted.
const LAST_PART: Duration = Duration::from_secs(10);

/// How long a pool may receive that shares its permits with others.
const TURN: Duration = Duration::from_secs(1);

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The backend cannot be opened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A test hook names no moment.
    #[error("test_pause_at: {0}")]
    Moment(String),
    /// ECS says where its agent is in a way that we do not understand.
    #[error("ECS_AGENT_URI: {0}")]
    Agent(String),
    /// Somebody cannot be told what the settings say.
    #[error("{0}: {1}")]
    Outlet(&'static str, String),
    /// Metrics cannot be shown.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Attempts cannot have their folders.
    #[error("scratch: {} cannot be used: {source}", path.display())]
    Scratch {
        /// Which folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Puts a worker together. Nothing runs yet.
pub fn build(
    settings: &Settings,
    id: WorkerId,
    (backend, rhythm, room): (Backend, Rhythm, Room),
    host: Host,
    metrics: Arc<Metrics>,
    logs: Option<Gathered>,
    progress: Option<ProgressSink>,
) -> Result<Arc<Worker>, StartError> {
    let scratch = ScratchRoot::new(settings.scratch.clone()).map_err(|source| StartError::Scratch {
        path: settings.scratch.clone(),
        source,
    })?;
    let agent = settings.ecs_agent.as_deref().map(Agent::at).transpose();
    let protection = Protection::new(host.clone(), agent.map_err(StartError::Agent)?);
    let version = settings.build.clone();
    let outlets = outlets(settings, &id, &version, &host)?;
    let backend = Backend {
        runs: watched(backend.runs, &outlets),
        ..backend
    };
    Ok(Arc::new(Worker {
        id,
        version,
        backend,
        host,
        readiness: Arc::new(Readiness::new()),
        metrics,
        protection,
        drain: Drain::default(),
        gate: Gate::default(),
        capacity: Capacity {
            light: settings.permits,
            heavy: Arc::new(Semaphore::new(settings.heavy_permits)),
            memory: Arc::new(Semaphore::new(pool::mib(settings.memory_budget_bytes) as usize)),
            memory_limit_bytes: MemoryClass::ALL.map(|class| settings.memory_limit_bytes(class)),
            room,
            scratch_limit_bytes: settings.scratch_limit_bytes,
        },
        timing: Timing {
            lease: settings.lease,
            retry_base: (settings.lease / 30).max(Duration::from_millis(50)),
            retry_cap: Duration::from_secs(300),
            rhythm,
        },
        specs: Specs::default(),
        moments: settings
            .test_pause_at
            .as_deref()
            .unwrap_or("")
            .parse::<Moments>()
            .map_err(StartError::Moment)?,
        scratch,
        children: true,
        logs,
        progress,
        outlets,
    }))
}

/// Who is told something, as the settings say.
fn outlets(settings: &Settings, id: &WorkerId, version: &str, host: &Host) -> Result<Outlets, StartError> {
    let spans = settings.otlp_endpoint.as_ref();
    let spans = spans.map(|endpoint| Spans::to(endpoint, id, version)).transpose();
    let notices = settings.notify_url.clone();
    let notices = notices
        .map(|url| Notices::to(url.0, settings.notify_on, host))
        .transpose();
    Ok(Outlets {
        spans: spans
            .map_err(|e| StartError::Outlet("otlp_endpoint", e))?
            .map(Arc::new),
        notices: notices
            .map_err(|e| StartError::Outlet("notify_url", e))?
            .map(Arc::new),
    })
}

/// The queues of these stages, in every class that they are deployed in, or in one of `classes` only.
pub fn queues_of(kinds: &[&'static Kind], classes: &[MemoryClass]) -> Vec<(QueueName, &'static Kind)> {
    let is_wanted = |class: &MemoryClass| classes.is_empty() || classes.contains(class);
    let mut queues = Vec::new();
    for kind in kinds {
        let stage = StageName::new(kind.name).expect("names in the catalogue are ids; a test holds it");
        for class in MemoryClass::ALL
            .into_iter()
            .filter(|c| *c <= kind.largest)
            .filter(is_wanted)
        {
            queues.push((
                QueueName {
                    stage: stage.clone(),
                    class,
                },
                *kind,
            ));
        }
    }
    queues
}

/// A process whose pools run.
pub struct Running {
    open_pools: watch::Receiver<usize>,
}

impl Running {
    /// Returns once every pool has ended, and the worker has said that it left.
    pub async fn ended(mut self, worker: &Worker) {
        // The senders are the pools: when the last one ends, the count is zero.
        let _ = self.open_pools.wait_for(|n| *n == 0).await;
        worker.scratch.remove_idle();
        worker.protection.leave().await;
        worker.outlets.flush(&worker.host).await;
        background::store_logs(worker).await;
        if let Err(e) = worker.backend.fleet.leave(&worker.id).await {
            tracing::debug!("cannot say that this worker leaves: {e}");
        }
    }
}

/// Starts everything: the first look at clock, backend and pauses, the pools, the work in the background, and, if an
/// address is given, metrics and health.
///
/// What stands in the way at first, such as a wrong clock, only keeps the gate shut: it may pass, and `/readyz` says it.
pub async fn start(
    worker: &Arc<Worker>,
    queues: Vec<(QueueName, &'static Kind)>,
    settings: &Settings,
) -> Result<Running, StartError> {
    look_around(worker, settings).await?;
    let names: Vec<QueueName> = queues.iter().map(|(queue, _)| queue.clone()).collect();
    background::start(worker, &names, settings.sweep_interval);
    let (sender, open_pools) = watch::channel(queues.len());
    let sender = Arc::new(sender);
    // Heavy pools hold a permit while they receive, and share their permits: where the backend cannot tell whether there is
    // something to be received, they take turns, and an idle one must not keep the others waiting for a long poll.
    let heavy = queues
        .iter()
        .filter(|(_, kind)| kind.weight == Weight::Heavy)
        .count();
    for (queue, kind) in queues {
        let poll = match kind.weight {
            Weight::Heavy if heavy > 1 => worker.timing.rhythm.poll.min(TURN),
            Weight::Heavy | Weight::Light => worker.timing.rhythm.poll,
        };
        let (worker, sender) = (worker.clone(), sender.clone());
        let spawn = worker.host.spawn.clone();
        spawn.spawn(Box::pin(async move {
            pool::consume(worker, queue, kind, poll).await;
            sender.send_modify(|n| *n -= 1);
        }));
    }
    worker.readiness.clear(Obstacle::Starting);
    Ok(Running { open_pools })
}

/// The same for the process that serves upstream systems instead of stages.
pub async fn start_intake(worker: &Arc<Worker>, settings: &Settings) -> Result<Running, StartError> {
    look_around(worker, settings).await?;
    background::start(worker, &[intake::queue()], settings.sweep_interval);
    let (sender, open_pools) = watch::channel(1);
    let consumer = worker.clone();
    worker.host.spawn.spawn(Box::pin(async move {
        crate::intake::consume(consumer).await;
        sender.send_modify(|n| *n -= 1);
    }));
    worker.readiness.clear(Obstacle::Starting);
    Ok(Running { open_pools })
}

/// The first look at clock, backend and pauses; and metrics and health, if an address is given.
async fn look_around(worker: &Arc<Worker>, settings: &Settings) -> Result<(), StartError> {
    background::check_clock(worker).await;
    // Before the first receive: a stage that is paused already is not touched.
    background::read_pauses(worker).await;
    let protection = worker.protection.clone();
    let release = async move { protection.release_when_idle().await };
    worker.host.spawn.spawn(Box::pin(release));
    if let Some(address) = settings.metrics_addr {
        let endpoint = match Endpoint::bind(address).await {
            // Several pools on one machine are the usual case, and only one of them has the usual port.
            Err(EndpointError::InUse(_)) if !settings.metrics_addr_is_given => {
                Endpoint::bind(SocketAddr::new(address.ip(), 0)).await?
            }
            bound => bound?,
        };
        tracing::info!("metrics and health on http://{}", endpoint.address());
        // They are shown to the very end of the process: a drain is worth watching.
        let serving = endpoint.serve(
            worker.metrics.clone(),
            worker.readiness.clone(),
            std::future::pending(),
        );
        worker.host.spawn.spawn(Box::pin(serving));
    }
    Ok(())
}

/// Leaves when told to: at the first signal nothing new is taken, and when most of the time is over, or at the second
/// signal, what still runs is interrupted and released.
pub fn drain_on_signals(worker: &Arc<Worker>, drain_timeout: Duration) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let worker = worker.clone();
    let spawn = worker.host.spawn.clone();
    spawn.spawn(Box::pin(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = worker.drain.reached(Phase::Draining) => {}
        }
        tracing::info!("draining: nothing new is taken, what runs may finish; a second signal interrupts it");
        worker.readiness.block(Obstacle::Draining, "draining");
        worker.drain.advance(Phase::Draining);
        let patience = drain_timeout.saturating_sub(LAST_PART.min(drain_timeout / 2));
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = worker.host.clock.sleep(patience) => {}
        }
        worker.drain.advance(Phase::Interrupting);
    }));
    Ok(())
}
