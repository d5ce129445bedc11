//! The simulation itself: a queue, a fleet and a policy, moved from event to event.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::fleet::{Billed, Fleet, Life, TaskKind};
use super::policy::{Datapoint, Policy, PolicyError, Scaler};
use super::trace::{Stream, Trace, random};
use super::{Micros, seconds};

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Setting {
    /// How the service scales.
    pub policy: Policy,
    /// What its tasks are like.
    pub task: TaskKind,
}

/// Why a simulation cannot be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SimulationError {
    /// The policy cannot be.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A task that takes nothing.
    #[error("a task needs at least one permit")]
    Permits,
    /// A job that is interrupted for ever.
    #[error(
        "a message of {seconds:.0} s was interrupted {times} times: tasks do not live long enough to finish it. Use less \
         Spot, keep scale-in protection, or divide the work"
    )]
    NeverEnds {
        /// How long its work takes.
        seconds: f64,
        /// How often it was begun.
        times: u32,
    },
}

/// How often a job is begun anew before the simulation gives up.
const MAX_INTERRUPTIONS: u32 = 1_000;

/// What became of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobOutcome {
    /// When the attempt began that finished it.
    pub started: Micros,
    /// When it was finished.
    pub ended: Micros,
    /// How many attempts were interrupted.
    pub interruptions: u32,
    /// The task that finished it.
    pub task: u32,
}

/// One minute of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Micros,
    /// What the metrics say of it.
    pub seen: Datapoint,
    /// How many tasks are wanted.
    pub desired: u32,
}

/// Sums over time, kept event by event and apart from the jobs' own times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Integrals {
    /// Waiting messages × time.
    pub waiting: u128,
    /// Messages at work × time.
    pub busy: u128,
    /// Tasks that receive × time.
    pub running: u128,
    /// Tasks with nothing to do × time.
    pub idle: u128,
}

/// All that a simulation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What became of each job, in the order of the trace.
    pub jobs: Vec<JobOutcome>,
    /// Minute by minute.
    pub moments: Vec<Moment>,
    /// Sums over time.
    pub integrals: Integrals,
    /// Task time to pay for.
    pub billed: Billed,
    /// How many tasks were launched.
    pub launched: usize,
    /// Work that was thrown away by interruptions.
    pub lost: Micros,
    /// When it ended: at the horizon, or with the last job.
    pub ended: Micros,
}

/// What happens. Events of one time happen in the order in which they were foreseen; their own order only serves the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Finish { job: u32, attempt: u32 },
    Up { task: u32 },
    Deadline { task: u32 },
    TakenBack { task: u32 },
    Sample,
    Evaluate { seen: Datapoint },
}

struct Simulation<'a> {
    setting: &'a Setting,
    trace: &'a Trace,
    fleet: Fleet<'a>,
    scaler: Scaler<'a>,
    events: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    pushed: u64,
    queue: VecDeque<u32>,
    jobs: Vec<JobOutcome>,
    finished: usize,
    next_arrival: usize,
    now: Micros,
    /// Since when there was neither a message nor anybody who asked for one.
    quiet_since: Option<Micros>,
    /// Until when the queue has no metrics.
    blind_until: Micros,
    integrals: Integrals,
    moments: Vec<Moment>,
    lost: Micros,
}

/// Plays the trace against the setting, beginning with the policy's fewest tasks. `seed` and `replication` decide what
/// happens to tasks.
pub fn simulate(
    setting: &Setting,
    trace: &Trace,
    seed: u64,
    replication: u32,
) -> Result<Outcome, SimulationError> {
    setting.policy.check()?;
    if setting.task.permits == 0 {
        return Err(SimulationError::Permits);
    }
    let of_tasks = random(seed, replication, Stream::Tasks);
    let mut simulation = Simulation {
        setting,
        trace,
        fleet: Fleet::new(&setting.task, of_tasks),
        scaler: Scaler::new(&setting.policy, setting.policy.min),
        events: BinaryHeap::new(),
        pushed: 0,
        queue: VecDeque::new(),
        jobs: vec![JobOutcome::default(); trace.jobs.len()],
        finished: 0,
        next_arrival: 0,
        now: 0,
        quiet_since: None,
        blind_until: 0,
        integrals: Integrals::default(),
        moments: Vec::new(),
        lost: 0,
    };
    simulation.begin();
    while simulation.step()? {}
    Ok(simulation.end())
}

impl Simulation<'_> {
    fn begin(&mut self) {
        for _ in 0..self.setting.policy.min {
            // They are there when the simulation begins.
            if let (task, Some(taken_back_at)) = self.fleet.begin() {
                self.at(taken_back_at, Event::TakenBack { task });
            }
        }
        self.note_quiet();
        self.at(0, Event::Sample);
    }

    fn at(&mut self, when: Micros, event: Event) {
        self.pushed += 1;
        self.events.push(Reverse((when, self.pushed, event)));
    }

    /// The next thing that happens; false if all is over.
    fn step(&mut self) -> Result<bool, SimulationError> {
        let is_done = self.finished == self.jobs.len();
        let arrival = self.trace.jobs.get(self.next_arrival).map(|job| job.arrival);
        let next = self.events.peek().map(|Reverse((when, _, _))| *when);
        let when = match (arrival, next) {
            (Some(arrival), Some(next)) => arrival.min(next),
            (Some(when), None) | (None, Some(when)) => when,
            (None, None) => return Ok(false),
        };
        if is_done && when > self.trace.horizon {
            self.advance(self.now.max(self.trace.horizon));
            return Ok(false);
        }
        self.advance(when);
        if next == Some(when) {
            if let Some(Reverse((_, _, event))) = self.events.pop() {
                self.happens(event)?;
            }
        } else {
            let job = index(self.next_arrival);
            self.next_arrival += 1;
            self.notice_use();
            self.queue.push_back(job);
        }
        self.hand_out();
        self.note_quiet();
        Ok(true)
    }

    fn advance(&mut self, when: Micros) {
        let passed = u128::from(when - self.now);
        self.integrals.waiting += passed * self.queue.len() as u128;
        self.integrals.busy += passed * u128::from(self.fleet.busy_permits());
        self.integrals.running += passed * u128::from(self.fleet.running());
        self.integrals.idle += passed * u128::from(self.fleet.idle());
        self.now = when;
    }

    fn happens(&mut self, event: Event) -> Result<(), SimulationError> {
        match event {
            Event::Finish { job, attempt } => self.finish(job, attempt),
            Event::Up { task } => self.comes_up(task),
            Event::TakenBack { task } => {
                self.stop(task);
                self.reconcile();
            }
            Event::Deadline { task } => self.give_up(task)?,
            Event::Sample => self.sample(),
            Event::Evaluate { seen } => {
                let before = self.scaler.desired();
                if self.scaler.see(self.now, seen) != before {
                    self.reconcile();
                }
            }
        }
        Ok(())
    }

    fn sample(&mut self) {
        let seen = Datapoint {
            visible: index(self.queue.len()),
            in_flight: self.fleet.busy_permits(),
            running: self.fleet.running(),
        };
        self.moments.push(Moment {
            at: self.now,
            seen,
            desired: self.scaler.desired(),
        });
        let policy = &self.setting.policy;
        if !policy.is_fixed() && self.now >= self.blind_until {
            self.at(self.now + policy.delay, Event::Evaluate { seen });
        }
        self.at(self.now + policy.period, Event::Sample);
    }

    fn comes_up(&mut self, task: u32) {
        if let Some(taken_back_at) = self.fleet.comes_up(task, self.now) {
            self.at(taken_back_at, Event::TakenBack { task });
        }
    }

    fn stop(&mut self, task: u32) {
        if let Some(deadline) = self.fleet.stop(task, self.now) {
            self.at(deadline, Event::Deadline { task });
        }
    }

    /// Starts what is missing and stops what may go.
    fn reconcile(&mut self) {
        while self.fleet.alive() < self.scaler.desired() {
            let (task, up_at) = self.fleet.launch(self.now);
            self.at(up_at, Event::Up { task });
        }
        while self.fleet.alive() > self.scaler.desired() {
            let Some(task) = self.fleet.dispensable() else {
                break;
            };
            self.stop(task);
        }
    }

    fn hand_out(&mut self) {
        while let Some(job) = self.queue.front().copied() {
            let Some(task) = self.fleet.take(job) else { break };
            self.queue.pop_front();
            let outcome = &mut self.jobs[job as usize];
            outcome.started = self.now;
            outcome.task = task;
            let attempt = outcome.interruptions;
            let work = self.trace.jobs[job as usize].work;
            self.at(self.now + work, Event::Finish { job, attempt });
        }
    }

    fn finish(&mut self, job: u32, attempt: u32) {
        let outcome = &mut self.jobs[job as usize];
        if outcome.interruptions != attempt {
            return;
        }
        outcome.ended = self.now;
        let task = outcome.task;
        self.finished += 1;
        self.fleet.give_back(task, job, self.now);
        // A protected task that finds more work stays; one that finds none may be what is too much.
        if self.queue.is_empty() && self.fleet.alive() > self.scaler.desired() {
            self.reconcile();
        }
    }

    /// The task's time to drain is over: what it still works on goes back to the queue, before what came later.
    fn give_up(&mut self, task: u32) -> Result<(), SimulationError> {
        if self.fleet.task(task).life != Life::Stopping {
            return Ok(());
        }
        let mut left = self.fleet.task(task).jobs.clone();
        left.sort_unstable();
        for job in left.into_iter().rev() {
            let outcome = &mut self.jobs[job as usize];
            outcome.interruptions += 1;
            if outcome.interruptions > MAX_INTERRUPTIONS {
                return Err(SimulationError::NeverEnds {
                    seconds: seconds(self.trace.jobs[job as usize].work),
                    times: outcome.interruptions,
                });
            }
            self.lost += self.now - outcome.started;
            self.fleet.give_back(task, job, self.now);
            self.queue.push_front(job);
        }
        Ok(())
    }

    /// A message comes to a queue that may have been out of use for so long that it has no metrics.
    fn notice_use(&mut self) {
        let policy = &self.setting.policy;
        let is_inactive = self
            .quiet_since
            .is_some_and(|since| self.now - since >= policy.inactive_after);
        if is_inactive {
            self.blind_until = self.now + policy.reactivation;
        }
    }

    fn note_quiet(&mut self) {
        let is_quiet = self.queue.is_empty() && self.fleet.is_empty();
        self.quiet_since = is_quiet.then(|| self.quiet_since.unwrap_or(self.now));
    }

    fn end(self) -> Outcome {
        Outcome {
            launched: self.fleet.launched(),
            billed: self.fleet.bill(self.now),
            jobs: self.jobs,
            moments: self.moments,
            integrals: self.integrals,
            lost: self.lost,
            ended: self.now,
        }
    }
}

/// The numbers of jobs fit: whoever makes traces bounds them.
fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
