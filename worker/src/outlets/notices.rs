//! Who is told of runs that ended badly: a webhook, by one POST for each.
//!
//! Told is by whoever ended the run, and at least once: the message of the work that ended it is acknowledged only afterwards.
//! If the process dies before, the message comes again, and whoever takes it finds the run ended by that work and tells. A run
//! that the sweeper failed has no message: of that one nobody may be told, if its process dies at that moment.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use pipeline::ports::Host;
use pipeline::protocol::Work;
use pipeline::{RunId, RunItem, RunStatus};
use serde::Serialize;
use tokio::sync::watch;

use crate::client::Destination;
use crate::config::NotifyOn;

/// How often it is tried, with how long for each try and between them: less in all than a message stays hidden.
const TRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the process may take for it. What is not told then is told by whoever gets the message.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// A message that comes again after its process died comes within minutes. One of a run that ended long ago is a duplicate.
const RECENT: Duration = Duration::from_secs(15 * 60);
/// Of how many runs a process remembers that they were told of.
const REMEMBERED: usize = 1_024;

/// What is posted. `run` and `status` together are the same whenever it is told again.
#[derive(Debug, Serialize)]
struct Notice<'a> {
    version: &'static str,
    event: &'static str,
    run: &'a str,
    pipeline: &'a str,
    status: &'a str,
    step: Option<&'a str>,
    reason: Option<&'a str>,
    created_at: String,
    ended_at: Option<String>,
    /// All of it in a line, for receivers that show no more.
    text: String,
}

impl<'a> Notice<'a> {
    fn of(run: &'a RunItem) -> Self {
        let ended_it = run
            .steps_in_order()
            .find(|(_, step)| step.ended_at.is_some() && step.ended_at == run.ended_at);
        let step = ended_it.or_else(|| run.frontier()).map(|(name, _)| name.as_str());
        let at = step.map_or_else(String::new, |step| format!(" at step {step}"));
        let why = run
            .reason
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        Self {
            version: "1",
            event: "run_ended",
            run: run.id.as_str(),
            pipeline: run.pipeline.as_str(),
            status: run.status.as_str(),
            step,
            reason: run.reason.as_deref(),
            created_at: run.created_at.to_string(),
            ended_at: run.ended_at.map(|at| at.to_string()),
            text: format!("run {} of {} {}{at}{why}", run.id, run.pipeline, run.status),
        }
    }
}

/// Who is told, and of what.
pub struct Notices {
    receiver: Destination,
    on: NotifyOn,
    host: Host,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is being told; the sender is dropped when that is over.
    under_way: HashMap<RunId, watch::Receiver<()>>,
    told: VecDeque<RunId>,
}

impl Notices {
    /// To the webhook at this address.
    pub fn to(receiver: Uri, on: NotifyOn, host: &Host) -> Result<Self, String> {
        Ok(Self {
            receiver: Destination::new(receiver)?,
            on,
            host: host.clone(),
            state: Mutex::default(),
        })
    }

    /// Tells of a run's end, in the background; not if it is no end to be told of, or was told by this process.
    pub fn tell(self: &Arc<Self>, run: &RunItem) {
        let is_wanted = match run.status {
            RunStatus::Failed => true,
            RunStatus::Halted => self.on == NotifyOn::FailedAndHalted,
            RunStatus::Open | RunStatus::Succeeded | RunStatus::Cancelled => false,
        };
        if !is_wanted {
            return;
        }
        let over = {
            let mut state = self.lock();
            if state.under_way.contains_key(&run.id) || state.told.contains(&run.id) {
                return;
            }
            let (over, under_way) = watch::channel(());
            state.under_way.insert(run.id.clone(), under_way);
            over
        };
        let (notices, id) = (Arc::clone(self), run.id.clone());
        let body = serde_json::to_string(&Notice::of(run)).expect("texts always serialise");
        self.host.spawn.spawn(Box::pin(async move {
            match notices.post(&body).await {
                Ok(()) => tracing::debug!(run.id = %id, "told {} of the run's end", notices.receiver),
                // No error: somebody else's receiver must not have a deployment taken back.
                Err(why) => tracing::warn!(
                    run.id = %id, "nobody was told of the run's end: {} does not take it: {why}", notices.receiver
                ),
            }
            let mut state = notices.lock();
            state.under_way.remove(&id);
            if state.told.len() >= REMEMBERED {
                state.told.pop_front();
            }
            state.told.push_back(id);
            drop((state, over));
        }));
    }

    /// The message of an ended run came: tells of the end if it was this work that ended it, a moment ago. Whoever did it may
    /// have died before it told.
    pub fn tell_again(self: &Arc<Self>, run: &RunItem, work: &Work) {
        let Some(ended_at) = run.ended_at else { return };
        let ended_it = run.steps.get(&work.step).and_then(|step| step.ended_at) == Some(ended_at);
        if ended_it && self.host.clock.now().since(ended_at) < RECENT {
            self.tell(run);
        }
    }

    /// Returns once nothing is being told of that run; none if nothing is.
    pub fn under_way(&self, run: &RunId) -> Option<impl Future<Output = ()> + Send + use<>> {
        let mut under_way = self.lock().under_way.get(run).cloned()?;
        Some(async move {
            // An error is what is waited for: the sender is gone.
            while under_way.changed().await.is_ok() {}
        })
    }

    async fn post(&self, body: &str) -> Result<(), String> {
        let clock = &*self.host.clock;
        let mut n = 0;
        loop {
            let asked = self
                .receiver
                .ask(clock, Method::POST, "application/json", body.to_owned(), PATIENCE);
            let why = match asked.await {
                Ok((status, _)) if status.is_success() => return Ok(()),
                Ok((status, _))
                    if status.is_client_error()
                        && status != StatusCode::REQUEST_TIMEOUT
                        && status != StatusCode::TOO_MANY_REQUESTS =>
                {
                    return Err(format!("status {status}"));
                }
                Ok((status, _)) => format!("status {status}"),
                Err(why) => why,
            };
            n += 1;
            if n >= TRIES {
                return Err(why);
            }
            clock.sleep(PAUSE * n + self.host.random.up_to(PAUSE)).await;
        }
    }

    /// Waits for what is being told, within bounds.
    pub async fn flush(&self) {
        let under_way: Vec<_> = self.lock().under_way.values().cloned().collect();
        let all = futures::future::join_all(
            under_way
                .into_iter()
                .map(|mut one| async move { while one.changed().await.is_ok() {} }),
        );
        tokio::select! {
            biased;
            _ = all => {}
            () = self.host.clock.sleep(LAST_PATIENCE) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Adding to it and taking from it leave it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
