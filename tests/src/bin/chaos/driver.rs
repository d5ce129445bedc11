//! Those who submit, cancel and resume runs, and those who look at them meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use pipeline::operate::{self, Resumption};
use pipeline::ports::{Backend, PortResult};
use pipeline::protocol;
use pipeline::update::Applied;
use pipeline::{RunId, RunItem, RunStatus, Timestamp};
use serde_json::{Value, json};
use sim::Seeded;

use crate::Arguments;
use crate::ground::Ground;
use crate::history::{History, Phase};
use crate::runs::{ALIAS, Kind, MODEL, Wish, wishes, write};

/// How many runs are being submitted at once.
const AT_ONCE: usize = 16;
/// And how many may be open: what waits for others is hit by no blow, and recovers no sooner than its turn comes.
const MOST_OPEN: usize = 40;
/// Somebody whose request fails asks again, for so long.
const INSISTS: Duration = Duration::from_secs(120);
/// And waits so long between.
const PAUSE: Duration = Duration::from_millis(150);
/// How often runs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Of those that have ended, so many are looked at again each time.
const ENDED_AGAIN: usize = 5;

/// See the module.
pub(crate) struct Driver<'a> {
    ground: &'a Ground,
    arguments: &'a Arguments,
    specs: PathBuf,
    /// How many runs may be submitted by now.
    released: AtomicUsize,
    /// Accepted runs, and what was last seen of them.
    book: Mutex<BTreeMap<RunId, Option<RunItem>>>,
    is_done: AtomicBool,
    is_over: AtomicBool,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(ground: &'a Ground, arguments: &'a Arguments) -> Self {
        let specs = ground.folder.path().join("specs");
        std::fs::create_dir(&specs).expect("our own folder can be written to");
        Self {
            ground,
            arguments,
            specs,
            released: AtomicUsize::new(0),
            book: Mutex::default(),
            is_done: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    /// So many runs may be submitted by now.
    pub(crate) fn release(&self, runs: usize) {
        self.released.store(runs, Ordering::Relaxed);
    }

    /// How many runs may be submitted by now and are not yet: more are open than the workers can keep up with.
    pub(crate) fn is_behind(&self) -> usize {
        let submitted = self.book().len();
        self.released.load(Ordering::Relaxed).saturating_sub(submitted)
    }

    /// How many accepted runs have not ended yet, as far as is known, and how many there are.
    pub(crate) fn open(&self) -> (usize, usize) {
        let book = self.book();
        let is_open = |item: &&Option<RunItem>| item.as_ref().is_none_or(|run| run.status == RunStatus::Open);
        (book.values().filter(is_open).count(), book.len())
    }

    /// True once everything is submitted, cancelled and resumed.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    /// Nobody asks for anything or looks any more.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn book(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, Option<RunItem>>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> &History {
        &self.ground.history
    }

    fn backend(&self) -> &Backend {
        &self.ground.backend
    }

    fn now(&self) -> Timestamp {
        self.ground.fleet.now()
    }

    /// Both, to the end.
    pub(crate) async fn work(&self) {
        futures::join!(self.drive(), self.observe());
    }

    async fn drive(&self) {
        let is_calm = self.arguments.kills + self.arguments.zombies() == 0;
        let wishes = wishes(self.arguments.seed(), self.arguments.runs, is_calm);
        let released = futures::stream::iter(wishes.into_iter().enumerate()).then(|(n, wish)| async move {
            while !self.may_submit(n) && !self.is_over() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            wish
        });
        released
            .for_each_concurrent(AT_ONCE, |wish| async move { self.fulfil(wish).await })
            .await;
        self.is_done.store(true, Ordering::Relaxed);
    }

    fn may_submit(&self, nth: usize) -> bool {
        nth < self.released.load(Ordering::Relaxed) && self.open().0 < MOST_OPEN
    }

    /// Asks until there is an answer. Nothing that is asked does harm when it is done twice.
    async fn insist<T>(
        &self,
        op: &str,
        target: &str,
        detail: Value,
        ask: impl AsyncFn() -> PortResult<T>,
    ) -> Option<T> {
        let give_up = Instant::now() + INSISTS;
        loop {
            self.history()
                .record("driver", op, target, Phase::Invoked, detail.clone());
            let error = match ask().await {
                Ok(answer) => {
                    self.history()
                        .record("driver", op, target, Phase::Ok, detail.clone());
                    return Some(answer);
                }
                Err(error) => error,
            };
            let is = if error.kind().is_transient() {
                Phase::Unknown
            } else {
                Phase::Failed
            };
            let why = json!({ "error": error.to_string() });
            self.history().record("driver", op, target, is, why);
            if is == Phase::Failed || Instant::now() > give_up || self.is_over() {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn fulfil(&self, wish: Wish) {
        if self.is_over() {
            return;
        }
        let (backend, id) = (self.backend(), wish.id.as_str());
        let revision = match wish.kind {
            Kind::Promote => {
                let (model, alias) = (MODEL.parse().expect("a name"), ALIAS.parse().expect("a name"));
                let asked = self
                    .insist("resolve", MODEL, Value::Null, async || {
                        backend.registry.resolve(&model, &alias).await
                    })
                    .await;
                let Some(found) = asked else { return };
                found.map_or(0, |alias| alias.revision)
            }
            _ => 0,
        };
        let spec = wish.kind.spec(revision);
        let file = write(&spec, &self.specs);
        let detail = json!({ "kind": wish.kind.name(), "spec": spec.digest(), "declares": wish.kind.declares(revision) });
        for _ in 0..1 + u32::from(wish.again) {
            let submitted = self
                .insist("submit", id, detail.clone(), async || {
                    operate::submit_spec(backend, &spec, wish.id.clone(), self.now(), &file, None).await
                })
                .await;
            if submitted.is_none() {
                return;
            }
            self.book().entry(wish.id.clone()).or_default();
        }
        if let Some(after_ms) = wish.cancel_after_ms {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            self.cancel(&wish).await;
        }
    }

    async fn cancel(&self, wish: &Wish) {
        let (backend, id) = (self.backend(), wish.id.as_str());
        let applied = self
            .insist("cancel", id, Value::Null, async || {
                let update = protocol::cancel(&wish.id, "the driver wants it", self.now());
                backend.runs.apply(&update).await
            })
            .await;
        // It may have ended by itself, or by a request whose answer was lost.
        let is_cancelled = applied.is_some_and(|applied| matches!(applied, Applied::Done(_)));
        if !wish.resume || !is_cancelled {
            return;
        }
        let resumed = self
            .insist("resume", id, Value::Null, async || {
                operate::resume(backend, &wish.id, self.now()).await
            })
            .await;
        if let Some(Resumption::New(run) | Resumption::Already(run)) = resumed {
            let detail = json!({ "parent": id });
            self.history()
                .record("driver", "resumed", run.id.as_str(), Phase::Ok, detail);
            self.book().entry(run.id).or_default();
        }
    }

    /// Looks at open runs, and again at some that have ended, and writes down what changed.
    async fn observe(&self) {
        let seeded = Seeded::new(self.arguments.seed(), 4);
        while !self.is_over() {
            let (mut wanted, mut ended) = (Vec::new(), Vec::new());
            for (id, item) in self.book().iter() {
                let is_open = item.as_ref().is_none_or(|run| run.status == RunStatus::Open);
                (if is_open { &mut wanted } else { &mut ended }).push(id.clone());
            }
            for _ in 0..ENDED_AGAIN.min(ended.len()) {
                wanted.push(seeded.pick(&ended).clone());
            }
            for id in &wanted {
                self.look(id).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self, id: &RunId) {
        match self.backend().runs.load(id).await {
            Ok(found) => {
                let mut book = self.book();
                let last = book.entry(id.clone()).or_default();
                if *last != found {
                    let detail = serde_json::to_value(&found).expect("an item serialises");
                    self.history()
                        .record("observer", "look", id.as_str(), Phase::Ok, detail);
                    *last = found;
                }
            }
            Err(e) => {
                let detail = json!({ "error": e.to_string() });
                self.history()
                    .record("observer", "look", id.as_str(), Phase::Failed, detail);
            }
        }
    }
}
