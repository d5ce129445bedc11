//! The worker processes of a run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use e2e::harness::Pool;
use rustix::process::Signal;
use serde_json::{Value, json};
use sim::Seeded;
use worker::moments::Moment;

use crate::Arguments;
use crate::ground::{Ground, set_clock};
use crate::history::{History, Phase};
use crate::runs::STAGES;

/// What is heard of a worker.
#[derive(Default)]
struct Heard {
    /// Claims that it told of and whose end it did not.
    busy: AtomicI64,
    /// It takes work.
    is_ready: AtomicBool,
    /// It stands at the moment at which it was to stop.
    has_stopped: AtomicBool,
}

/// A process.
pub(crate) struct Worker {
    pub(crate) name: String,
    pool: Pool,
    heard: Arc<Heard>,
    /// What its clock follows.
    clock: Option<PathBuf>,
    is_to_stop: bool,
    is_frozen: bool,
    is_leaving: bool,
}

impl Worker {
    pub(crate) fn is_busy(&self) -> bool {
        self.heard.busy.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.heard.is_ready.load(Ordering::Relaxed)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.heard.has_stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }
}

/// All of them.
pub(crate) struct Workers<'a> {
    ground: &'a Ground,
    arguments: &'a Arguments,
    seeded: Seeded,
    started: u32,
    pub(crate) alive: Vec<Worker>,
}

impl<'a> Workers<'a> {
    pub(crate) fn new(ground: &'a Ground, arguments: &'a Arguments) -> Self {
        Self {
            ground,
            arguments,
            seeded: Seeded::new(arguments.seed(), 2),
            started: 0,
            alive: Vec::new(),
        }
    }

    /// How many could take work.
    pub(crate) fn at_work(&self) -> usize {
        let is_at_work = |w: &&Worker| !w.is_frozen && !w.has_stopped() && !w.is_leaving;
        self.alive.iter().filter(is_at_work).count()
    }

    /// Starts one. While there is a nemesis, some are to stop at a moment, and the clocks of some can be moved.
    pub(crate) fn start(&mut self, is_stormy: bool) {
        self.started += 1;
        let name = format!("w-{}", self.started);
        let moment = (is_stormy && self.seeded.chance(1, 2)).then(|| self.seeded.pick(&Moment::ALL).1);
        let has_clock = self.seeded.chance(1, 3) && is_stormy;
        let library = self.ground.faketime.as_ref().filter(|_| has_clock);
        let clock = library.map(|_| self.ground.folder.path().join(format!("{name}.clock")));
        let heard = Arc::new(Heard::default());
        let permits = ["--permits", "4", "--heavy-permits", "2", "--sweep-interval", "2s"];
        let lease = humantime::format_duration(self.arguments.lease).to_string();
        let mut pool = self
            .ground
            .fleet
            .pool(STAGES)
            .called(&name)
            .with(&permits)
            .with(&["--lease", &lease.replace(' ', ""), "--worker-id", &name])
            .with(&["--log", "info,worker=debug", "--drain-timeout", "10s"]);
        for (name, value) in &self.arguments.env {
            pool = pool.env(name, value);
        }
        if let Some(moment) = moment {
            pool = pool.with(&["--test-pause-at", moment]);
        }
        if let Some(proxy) = &self.ground.proxy {
            pool = pool.through(&proxy.endpoint());
        }
        if let Some(disk) = self
            .ground
            .disk
            .as_ref()
            .filter(|_| self.ground.emulator.is_some())
        {
            pool = pool.scratch_at(&disk.path().join("scratch"));
        }
        if let Some((library, clock)) = library.zip(clock.as_ref()) {
            set_clock(clock, 0);
            pool = pool
                .env("LD_PRELOAD", &library.to_string_lossy())
                .env("FAKETIME_TIMESTAMP_FILE", &clock.to_string_lossy())
                .env("FAKETIME_CACHE_DURATION", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("DONT_FAKE_MONOTONIC", "1")
                .env("FAKETIME_DISABLE_SHM", "1")
                .env("NO_FAKE_STAT", "1");
        }
        let detail = json!({ "stops_at": moment, "clock": clock.is_some() });
        let history = &self.ground.history;
        history.record("nemesis", "start", &name, Phase::Invoked, detail);
        let pool = pool.heard_by(hears(history, &name, &heard)).launch();
        let pid = pool.id();
        history.record("nemesis", "start", &name, Phase::Ok, json!({ "process": pid }));
        self.alive.push(Worker {
            name,
            pool,
            heard,
            clock,
            is_to_stop: moment.is_some(),
            is_frozen: false,
            is_leaving: false,
        });
    }

    /// Takes those out that ended by themselves, as one does that finds no room on the disk.
    pub(crate) fn look(&mut self) {
        let history = &self.ground.history;
        self.alive.retain_mut(|worker| match worker.pool.ended() {
            None => true,
            Some(status) => {
                let detail = json!({ "status": status.to_string() });
                history.record(&worker.name, "ended", &worker.name, Phase::Told, detail);
                tidy(worker.pool.id());
                false
            }
        });
    }

    pub(crate) fn kill(&mut self, at: usize) {
        let mut worker = self.alive.swap_remove(at);
        let detail = json!({ "stopped": worker.has_stopped(), "frozen": worker.is_frozen });
        let history = &self.ground.history;
        history.record("nemesis", "kill", &worker.name, Phase::Invoked, Value::Null);
        worker.pool.kill();
        history.record("nemesis", "kill", &worker.name, Phase::Ok, detail);
        tidy(worker.pool.id());
    }

    pub(crate) fn freeze(&mut self, at: usize) -> String {
        let worker = &mut self.alive[at];
        worker.is_frozen = true;
        worker.pool.signal(Signal::STOP);
        let history = &self.ground.history;
        history.record("nemesis", "freeze", &worker.name, Phase::Ok, Value::Null);
        worker.name.clone()
    }

    pub(crate) fn thaw(&mut self, name: &str) {
        // It may have been killed meanwhile.
        if let Some(worker) = self.alive.iter_mut().find(|worker| worker.name == name) {
            worker.is_frozen = false;
            worker.pool.signal(Signal::CONT);
            let history = &self.ground.history;
            history.record("nemesis", "thaw", name, Phase::Ok, Value::Null);
        }
    }

    pub(crate) fn skew(&self, name: &str, ahead_ms: i64) {
        let worker = self.alive.iter().find(|worker| worker.name == name);
        if let Some(clock) = worker.and_then(|worker| worker.clock.as_ref()) {
            set_clock(clock, ahead_ms);
            let detail = json!({ "ahead_ms": ahead_ms });
            self.ground
                .history
                .record("nemesis", "skew", name, Phase::Ok, detail);
        }
    }

    /// Somebody who can leave: who stands at a moment could not.
    pub(crate) fn who_may_leave(&self) -> Option<usize> {
        let may = |worker: &Worker| !worker.is_to_stop && !worker.is_frozen && !worker.is_leaving;
        self.alive.iter().position(may)
    }

    /// Asks one to leave, and does not wait.
    pub(crate) fn drain(&mut self, at: usize) {
        let worker = &mut self.alive[at];
        worker.is_leaving = true;
        worker.pool.signal(Signal::TERM);
        let history = &self.ground.history;
        history.record("nemesis", "drain", &worker.name, Phase::Ok, Value::Null);
    }

    /// Those that may stop at a moment for good are of no use when all is to end well.
    pub(crate) fn who_may_stop(&self) -> Option<usize> {
        self.alive.iter().position(|worker| worker.is_to_stop)
    }

    /// Tells all to leave, and waits for it.
    pub(crate) fn leave(&mut self) {
        for worker in &self.alive {
            worker.pool.signal(Signal::TERM);
        }
        for mut worker in self.alive.drain(..) {
            let (status, _) = worker.pool.wait();
            let detail = json!({ "status": status.to_string() });
            self.ground
                .history
                .record(&worker.name, "ended", &worker.name, Phase::Told, detail);
        }
    }
}

/// What the library that fakes clocks keeps for a process, which a killed one leaves behind.
fn tidy(pid: u32) {
    for name in ["sem.faketime_sem_", "faketime_shm_"] {
        // There is none for most of them.
        let _ = std::fs::remove_file(format!("/dev/shm/{name}{pid}"));
    }
}

fn hears(history: &Arc<History>, name: &str, heard: &Arc<Heard>) -> e2e::harness::Hears {
    let (history, name, heard) = (Arc::clone(history), name.to_owned(), Arc::clone(heard));
    Arc::new(move |line| {
        let said: BTreeMap<String, Value> = serde_json::from_str(line).unwrap_or_else(|_| {
            if line.starts_with("stopped at ") {
                heard.has_stopped.store(true, Ordering::Relaxed);
            }
            BTreeMap::from([("text".to_owned(), Value::from(line))])
        });
        match said.get("message").and_then(Value::as_str) {
            Some("claimed") => drop(heard.busy.fetch_add(1, Ordering::Relaxed)),
            Some("attempt ended") => drop(heard.busy.fetch_sub(1, Ordering::Relaxed)),
            Some(said) if said.starts_with("serves ") => heard.is_ready.store(true, Ordering::Relaxed),
            _ => {}
        }
        let about = said.get("run.id").and_then(Value::as_str).unwrap_or_default();
        history.record(&name, "log", about, Phase::Told, json!(said));
    })
}
