//! What goes wrong, as a seed draws it.

use std::time::{Duration, Instant};

use e2e::harness::{Rule, Trouble, operations};
use serde_json::{Value, json};
use sim::Seeded;

use crate::Arguments;
use crate::driver::Driver;
use crate::ground::Ground;
use crate::history::Phase;
use crate::workers::{Worker, Workers};

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Kill,
    Freeze,
    Skew,
    Refuse,
    Cut,
    Fill,
    Restart,
}

/// What it ends by.
enum Cure {
    Thaw(String),
    SetClock(String),
    /// The proxy lets everything pass.
    Pass,
    /// This file filled the disk.
    Empty(std::path::PathBuf),
}

/// See the module.
pub(crate) struct Nemesis<'a> {
    ground: &'a Ground,
    arguments: &'a Arguments,
    driver: &'a Driver<'a>,
    seeded: Seeded,
    pub(crate) workers: Workers<'a>,
    due: Vec<(Instant, Cure)>,
    last_start: Option<Instant>,
    blows: usize,
}

/// How often it looks whether something is due.
const TICK: Duration = Duration::from_millis(20);
/// A process is not started sooner after another: on a full disk each ends at once.
const BETWEEN_STARTS: Duration = Duration::from_millis(100);
/// It strikes when the runs are submitted that were to be by then, or after this time.
const KEEPS_PACE: Duration = Duration::from_secs(20);
/// How long it waits for somebody to be at work who can be hit.
const AIM: Duration = Duration::from_millis(400);
/// And for somebody to be there at all.
const NOBODY: Duration = Duration::from_secs(10);

impl<'a> Nemesis<'a> {
    pub(crate) fn new(ground: &'a Ground, arguments: &'a Arguments, driver: &'a Driver<'a>) -> Self {
        Self {
            ground,
            arguments,
            driver,
            seeded: Seeded::new(arguments.seed(), 3),
            workers: Workers::new(ground, arguments),
            due: Vec::new(),
            last_start: None,
            blows: 0,
        }
    }

    /// Everything that the seed draws, in its order.
    fn plan(&self) -> Vec<Act> {
        let (kills, ground) = (self.arguments.kills, self.ground);
        let few = |is_possible: bool, of: usize| {
            let wanted = if kills == 0 { 0 } else { (kills / of).max(1) };
            if is_possible { wanted } else { 0 }
        };
        let has_endpoint = ground.proxy.is_some();
        let times = [
            (Act::Kill, kills),
            (Act::Freeze, self.arguments.zombies()),
            (Act::Skew, few(ground.faketime.is_some(), 10)),
            (Act::Refuse, few(has_endpoint, 10)),
            (Act::Cut, few(has_endpoint, 10)),
            (Act::Fill, few(ground.disk.is_some(), 25)),
            (Act::Restart, few(ground.emulator.is_some(), 25)),
        ];
        let mut left: Vec<Act> = times
            .into_iter()
            .flat_map(|(act, times)| std::iter::repeat_n(act, times))
            .collect();
        let mut plan = Vec::new();
        while !left.is_empty() {
            plan.push(left.swap_remove(self.below(left.len())));
        }
        plan
    }

    /// A number below that one.
    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.seeded.below(bound as u64)).unwrap_or(0)
    }

    fn between_ms(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.seeded.between(from, to))
    }

    /// Lets runs be submitted, some before each blow, and strikes.
    pub(crate) fn rage(&mut self, told: impl Fn(usize)) {
        let plan = self.plan();
        for _ in 0..self.arguments.workers {
            self.workers.start(!plan.is_empty());
        }
        for (n, act) in plan.iter().enumerate() {
            self.driver.release(self.arguments.runs * (n + 1) / plan.len());
            self.wait(self.between_ms(40, 500));
            let give_up = Instant::now() + KEEPS_PACE;
            while (self.driver.is_behind() > 0 || self.are_few()) && Instant::now() < give_up {
                self.tick();
            }
            self.strike(*act);
            self.blows = n + 1;
            told(self.blows);
        }
        self.driver.release(self.arguments.runs);
    }

    /// How often it has struck.
    pub(crate) fn blows(&self) -> usize {
        self.blows
    }

    /// True if less than half of the workers take work: where nobody is left, only their start is measured.
    fn are_few(&self) -> bool {
        let is_there = |worker: &&Worker| worker.is_ready() && !worker.is_frozen() && !worker.has_stopped();
        let there = self.workers.alive.iter().filter(is_there).count();
        2 * there < self.arguments.workers
    }

    fn strike(&mut self, act: Act) {
        match act {
            Act::Kill => {
                // Who stands at a moment that was drawn waits for nothing else.
                let stopped = self.workers.alive.iter().position(Worker::has_stopped);
                if let Some(at) = stopped.or_else(|| self.aim(|_| true)) {
                    self.workers.kill(at);
                }
            }
            Act::Freeze => {
                if let Some(at) = self.aim(|worker| !worker.has_stopped()) {
                    let name = self.workers.freeze(at);
                    let lease = pipeline::time::millis(self.arguments.lease);
                    let pause = self.between_ms(lease + lease / 5, lease + 8_000);
                    self.after(pause, Cure::Thaw(name));
                }
            }
            Act::Skew => {
                if let Some(at) = self.aim(Worker::has_clock) {
                    let name = self.workers.alive[at].name.clone();
                    let by = i64::try_from(self.seeded.between(500, 8_000)).unwrap_or(0);
                    self.workers
                        .skew(&name, if self.seeded.chance(1, 2) { by } else { -by });
                    // The library looks at its file each second.
                    self.after(self.between_ms(1_500, 4_000), Cure::SetClock(name));
                }
            }
            Act::Refuse => self.refuse(),
            Act::Cut => self.cut(),
            Act::Fill => self.fill(),
            Act::Restart => {
                if let Some(emulator) = self.ground.emulator {
                    self.record("restart", Phase::Invoked, Value::Null);
                    emulator.restart();
                    self.record("restart", Phase::Ok, Value::Null);
                }
            }
        }
    }

    /// Each service says in its own words that it has enough.
    fn refuse(&mut self) {
        let ways = [
            (
                &operations::DYNAMODB[..],
                400,
                "ProvisionedThroughputExceededException",
            ),
            (&operations::DYNAMODB[..], 500, "InternalServerError"),
            (&operations::SQS[..], 400, "RequestThrottled"),
            (&operations::SQS[..], 503, "ServiceUnavailable"),
            (&operations::S3[..], 503, "SlowDown"),
            (&operations::S3[..], 500, "InternalError"),
        ];
        let every = self.below(3) + 1;
        // One way of each service.
        let drawn = [0, 2, 4].map(|first| ways[first + self.below(2)]);
        let rules = drawn
            .into_iter()
            .flat_map(|(names, status, code)| names.iter().map(move |name| (*name, status, code)))
            .map(|(name, status, code)| rule(Some(name), every, usize::MAX, Trouble::Refusal(status, code)))
            .collect();
        let detail = json!({ "every": every, "codes": drawn.map(|(_, _, code)| code) });
        self.trouble("refuse", rules, detail);
    }

    fn cut(&mut self) {
        let trouble = *self.seeded.pick(&[
            Trouble::Reset,
            Trouble::DropAnswer,
            Trouble::CutAnswer,
            Trouble::HalfClose,
            Trouble::BlackHole,
            Trouble::Latency(Duration::from_millis(1_200)),
        ]);
        // What nobody answers is waited for until the patience of its request ends.
        let times = if trouble == Trouble::BlackHole {
            4
        } else {
            usize::MAX
        };
        let every = self.below(5) + 1;
        let detail = json!({ "every": every, "trouble": format!("{trouble:?}") });
        self.trouble("cut", vec![rule(None, every, times, trouble)], detail);
    }

    fn trouble(&mut self, name: &str, rules: Vec<Rule>, detail: Value) {
        if let Some(proxy) = &self.ground.proxy {
            proxy.follow(rules);
            self.record(name, Phase::Ok, detail);
            self.after(self.between_ms(500, 3_000), Cure::Pass);
        }
    }

    fn fill(&mut self) {
        let is_full = self.due.iter().any(|(_, cure)| matches!(cure, Cure::Empty(_)));
        if let Some(disk) = self.ground.disk.as_ref().filter(|_| !is_full) {
            self.record("fill", Phase::Invoked, Value::Null);
            let file = disk.fill();
            self.record("fill", Phase::Ok, Value::Null);
            self.after(self.between_ms(300, 2_000), Cure::Empty(file));
        }
    }

    fn after(&mut self, pause: Duration, cure: Cure) {
        self.due.push((Instant::now() + pause, cure));
    }

    fn record(&self, op: &str, is: Phase, detail: Value) {
        self.ground.history.record("nemesis", op, "", is, detail);
    }

    /// Somebody who is at work, if there is one soon; else somebody who could be.
    fn aim(&mut self, may: impl Fn(&Worker) -> bool) -> Option<usize> {
        let start = Instant::now();
        loop {
            let alive = self.workers.alive.iter().enumerate();
            let all: Vec<(usize, bool)> = alive
                .filter(|(_, worker)| worker.is_ready() && !worker.is_frozen() && may(worker))
                .map(|(at, worker)| (at, worker.is_busy()))
                .collect();
            let busy: Vec<usize> = all.iter().filter(|(_, busy)| *busy).map(|(at, _)| *at).collect();
            if !busy.is_empty() {
                return Some(busy[self.below(busy.len())]);
            }
            let waited = start.elapsed();
            if waited > AIM && !all.is_empty() {
                return Some(all[self.below(all.len())].0);
            }
            if waited > NOBODY {
                return None;
            }
            self.tick();
        }
    }

    fn wait(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            self.tick();
        }
    }

    /// What is due ends, and there are workers.
    fn tick(&mut self) {
        std::thread::sleep(TICK);
        self.workers.look();
        let now = Instant::now();
        let (over, due) = std::mem::take(&mut self.due)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.due = due;
        self.cure(over);
        let (at_work, wanted) = (self.workers.at_work(), self.arguments.workers);
        if at_work < wanted && self.last_start.is_none_or(|at| at + BETWEEN_STARTS <= now) {
            self.last_start = Some(now);
            self.workers.start(true);
        }
        // Zombies that are back: some leave in good order.
        if at_work > wanted + 2
            && let Some(at) = self.workers.who_may_leave()
        {
            self.workers.drain(at);
        }
    }

    fn cure(&mut self, over: Vec<(Instant, Cure)>) {
        for (_, cure) in over {
            match cure {
                Cure::Thaw(name) => self.workers.thaw(&name),
                Cure::SetClock(name) => self.workers.skew(&name, 0),
                Cure::Pass => {
                    if let Some(proxy) = &self.ground.proxy {
                        proxy.follow(Vec::new());
                    }
                    self.record("pass", Phase::Ok, Value::Null);
                }
                Cure::Empty(file) => {
                    std::fs::remove_file(&file).expect("nobody else removes it");
                    self.record("empty", Phase::Ok, Value::Null);
                }
            }
        }
    }

    /// Nothing goes wrong any more, and there are workers whom nothing stops.
    pub(crate) fn calm(&mut self) {
        let all = std::mem::take(&mut self.due);
        self.cure(all);
        while let Some(at) = self.workers.who_may_stop() {
            self.workers.kill(at);
        }
        self.keep_up();
        self.record("calm", Phase::Ok, Value::Null);
    }

    /// Sees that there are workers when nothing goes wrong any more.
    pub(crate) fn keep_up(&mut self) {
        self.workers.look();
        while self.workers.at_work() < self.arguments.workers {
            self.workers.start(false);
        }
    }
}

fn rule(operation: Option<&'static str>, every: usize, times: usize, trouble: Trouble) -> Rule {
    Rule {
        operation,
        pass: 0,
        every,
        times,
        trouble,
    }
}
