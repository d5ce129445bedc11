//! What the tasks of one process share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pipeline::artifact::{ArtifactKey, ArtifactRef};
use pipeline::ports::{Backend, ErrorKind, Host, PortError, PortResult};
use pipeline::spec::MAX_SPEC_BYTES;
use pipeline::{MemoryClass, Nonce, Sha256Digest, Spec, WorkerId};
use tokio::sync::{Semaphore, watch};

use crate::agent::Protection;
use crate::demand::Room;
use crate::drain::Drain;
use crate::http::Readiness;
use crate::metrics::Metrics;
use crate::moments::Moments;
use crate::outlets::Outlets;
use crate::scratch::ScratchRoot;
use crate::telemetry::Gathered;

/// One process of the fleet, as its tasks see it.
pub struct Worker {
    /// Its id.
    pub id: WorkerId,
    /// The version of its components.
    pub version: String,
    /// Everything that outlives it.
    pub backend: Backend,
    /// What it gets from its surroundings.
    pub host: Host,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// What it tells those who ask whether it is ready.
    pub readiness: Arc<Readiness>,
    /// What keeps it from being chosen when its service scales in.
    pub protection: Arc<Protection>,
    /// Whether it is leaving.
    pub drain: Drain,
    /// Whether it may receive.
    pub gate: Gate,
    /// How much it does at once.
    pub capacity: Capacity,
    /// How long things take.
    pub timing: Timing,
    /// Specifications that it has read.
    pub specs: Specs,
    /// Where a test stops it.
    pub moments: Moments,
    /// The folder in which attempts have theirs.
    pub scratch: ScratchRoot,
    /// True if heavy stages run in processes of their own, as they should; false under simulation.
    pub children: bool,
    /// What was logged about runs and is to be stored, where the backend has no better place for it.
    pub logs: Option<Gathered>,
    /// Who wants to know how far a stage is.
    pub progress: Option<ProgressSink>,
    /// Who else is told something.
    pub outlets: Outlets,
}

/// Is told how far a step's work is, from 0 to 1.
pub type ProgressSink = Arc<dyn Fn(&pipeline::protocol::Work, f64) + Send + Sync>;

/// Durations that the protocol is run with.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For how long a claim holds without renewal.
    pub lease: Duration,
    /// The bound of the first pause after a passing failure; doubles with each.
    pub retry_base: Duration,
    /// The bound of the longest pause after a passing failure.
    pub retry_cap: Duration,
    /// How often the backend is asked other things.
    pub rhythm: Rhythm,
}

/// How often a process asks the backend what, besides its work.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// How long one receive waits for a message.
    pub poll: Duration,
    /// How often pauses are looked at, and so how soon a pause or its end is heeded.
    pub pauses: Duration,
    /// How often a process says that it is there; it is taken for gone after three times that.
    pub presence: Duration,
    /// How often queue gauges are read.
    pub gauges: Duration,
    /// How often the clock is compared with the backend's.
    pub clock: Duration,
    /// Whether work hears at once that its run ended. Where that costs a request each second, it is told at the next renewal.
    pub hears_ends: bool,
}

impl Rhythm {
    /// Of a backend on this machine: asking costs next to nothing.
    pub const NEAR: Self = Self {
        poll: Duration::from_secs(1),
        pauses: Duration::from_secs(1),
        presence: Duration::from_secs(10),
        gauges: Duration::from_secs(5),
        clock: Duration::from_secs(30),
        hears_ends: true,
    };
    /// Of a backend that is asked by requests, each of which is paid for: nothing is asked more often than a queue that is
    /// empty, which answers after the longest poll.
    pub const FAR: Self = Self {
        poll: Duration::from_secs(20),
        pauses: Duration::from_secs(20),
        presence: Duration::from_secs(60),
        gauges: Duration::from_secs(60),
        clock: Duration::from_secs(60),
        hears_ends: false,
    };
}

impl Timing {
    /// How long a message stays hidden while its work is under way: a little longer than the lease, so that a
    /// redelivery finds the lease over.
    pub fn visibility(&self) -> Duration {
        self.lease + Duration::from_secs(5)
    }
}

/// How much a process does at once.
pub struct Capacity {
    /// Attempts of light stages at once, for each pool.
    pub light: usize,
    /// Attempts of heavy stages at once, for all pools of the process.
    pub heavy: Arc<Semaphore>,
    /// Memory for heavy attempts, in MiB, for all pools of the process.
    pub memory: Arc<Semaphore>,
    /// How much one heavy attempt may have, by class.
    pub memory_limit_bytes: [u64; MemoryClass::ALL.len()],
    /// How much one heavy attempt has in the pools that the next steps go to.
    pub room: Room,
    /// How much scratch space one heavy attempt may take, if that is limited.
    pub scratch_limit_bytes: Option<u64>,
}

impl Capacity {
    /// How much a heavy attempt of that class may have, in bytes.
    pub fn memory_limit_bytes(&self, class: MemoryClass) -> u64 {
        self.memory_limit_bytes[class as usize]
    }
}

/// Reasons not to receive, from the checks in the background; open if there are none.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<GateState>);

/// What holds a process or some of its pools back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateState {
    /// Why no pool may receive: a skewed clock, a backend that does not answer.
    pub shut: Option<String>,
    /// Stages that people paused.
    pub paused: std::collections::BTreeSet<pipeline::StageName>,
}

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(GateState::default()))
    }
}

impl Gate {
    /// Changes the reasons; true if that changed anything.
    pub fn set(&self, change: impl FnOnce(&mut GateState)) -> bool {
        self.0.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        })
    }

    /// True if the pools of `stage` may receive.
    pub fn is_open(&self, stage: &pipeline::StageName) -> bool {
        let state = self.0.borrow();
        state.shut.is_none() && !state.paused.contains(stage)
    }

    /// Why no pool may receive.
    pub fn shut(&self) -> Option<String> {
        self.0.borrow().shut.clone()
    }

    /// Returns once the pools of `stage` may receive.
    pub async fn opened(&self, stage: &pipeline::StageName) {
        let mut watch = self.0.subscribe();
        let is_open = |state: &GateState| state.shut.is_none() && !state.paused.contains(stage);
        // The sender lives as long as `self`.
        let _ = watch.wait_for(is_open).await;
    }
}

impl Worker {
    /// A name for one claim.
    pub fn nonce(&self) -> Nonce {
        Nonce::new(self.host.random.hex(8)).expect("hexadecimal digits are an id")
    }

    /// A pause after the `n`th passing failure: full jitter under a doubling bound
    /// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
    pub fn backoff(&self, n: u32) -> Duration {
        let bound = self
            .timing
            .retry_base
            .saturating_mul(2u32.saturating_pow(n))
            .min(self.timing.retry_cap);
        self.host.random.up_to(bound)
    }
}

/// Specifications by digest. They never change, so they are read once; the few that one process meets stay.
#[derive(Default)]
pub struct Specs(Mutex<HashMap<Sha256Digest, Arc<Spec>>>);

impl Specs {
    const MOST: usize = 256;

    /// The specification of that digest.
    pub async fn get(
        &self,
        backend: &Backend,
        scratch: &std::path::Path,
        digest: Sha256Digest,
    ) -> PortResult<Arc<Spec>> {
        if let Some(spec) = self.lock().get(&digest) {
            return Ok(spec.clone());
        }
        let spec = Arc::new(read_spec(backend, scratch, digest).await?);
        let mut specs = self.lock();
        if specs.len() >= Self::MOST {
            specs.clear();
        }
        specs.insert(digest, spec.clone());
        Ok(spec)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sha256Digest, Arc<Spec>>> {
        // A panic while the map was locked cannot have left half an entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read_spec(backend: &Backend, scratch: &std::path::Path, digest: Sha256Digest) -> PortResult<Spec> {
    let key = ArtifactKey::Spec(digest);
    let missing = || {
        PortError::new(
            ErrorKind::NotFound,
            format!("the run's specification {key} is not in the store"),
        )
    };
    let size_bytes = backend.artifacts.size_bytes(&key).await?.ok_or_else(missing)?;
    // The canonical form may be somewhat longer than what was written.
    if size_bytes > 4 * MAX_SPEC_BYTES as u64 {
        return Err(PortError::new(
            ErrorKind::Invalid,
            format!("specification {key} has {size_bytes} bytes, too many to be one"),
        ));
    }
    let io = |e: std::io::Error| {
        PortError::new(ErrorKind::Unavailable, "cannot use the scratch folder").with_source(e)
    };
    let folder = tempfile::tempdir_in(scratch).map_err(io)?;
    let file = folder.path().join("spec.json");
    backend
        .artifacts
        .fetch(
            &ArtifactRef {
                key: key.clone(),
                sha256: digest,
                size_bytes,
            },
            &file,
        )
        .await?;
    let bytes = std::fs::read(&file).map_err(io)?;
    Spec::from_canonical(&bytes).map_err(|e| {
        PortError::new(
            ErrorKind::Invalid,
            format!("specification {key} is not understood by this worker"),
        )
        .with_source(e)
    })
}
