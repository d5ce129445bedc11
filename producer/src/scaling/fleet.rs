//! The tasks of a service: they start, take work by permits, and stop.

use std::collections::VecDeque;

use rand_distr::{Distribution as _, Exp};
use rand_pcg::Pcg64;

use super::durations::Durations;
use super::{HOUR, MINUTE, Micros, SECOND, from_seconds, seconds};

/// What a task of the component is like.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskKind {
    /// How many messages it works on at a time. What one message takes does not change with the others: the task's
    /// processors must be enough for all of them.
    pub permits: u32,
    /// From the order of a task to its first receive.
    pub start: Durations,
    /// True if a task that works is not taken away (scale-in protection).
    pub is_protected: bool,
    /// How long a task that is told to stop may finish what it began.
    pub drain: Micros,
    /// The part of the tasks that run on Fargate Spot, from 0 to 1.
    pub spot_share: f64,
    /// How often AWS takes one Spot task back, on average in an hour. AWS publishes none: what you see.
    pub interruptions_per_hour: f64,
    /// How many tasks a service may start in a minute.
    pub starts_per_minute: u32,
}

impl Default for TaskKind {
    fn default() -> Self {
        Self {
            permits: 1,
            start: Durations::constant(MINUTE),
            is_protected: true,
            drain: 110 * SECOND,
            spot_share: 0.0,
            interruptions_per_hour: 0.05,
            starts_per_minute: 500,
        }
    }
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Ordered, and not there yet.
    Starting,
    /// It receives messages.
    Up,
    /// It receives nothing more and finishes what it began.
    Stopping,
    /// It is no more.
    Gone,
}

/// One task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Where it is in its life.
    pub life: Life,
    /// The jobs that it works on.
    pub jobs: Vec<u32>,
    /// True if it runs on Fargate Spot.
    pub is_spot: bool,
    launched_at: Micros,
}

/// What is paid for: from launch to stop, at least a minute each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Billed {
    /// Of tasks on demand.
    pub on_demand: Micros,
    /// Of tasks on Fargate Spot.
    pub spot: Micros,
}

/// All tasks of one service.
#[derive(Debug)]
pub struct Fleet<'a> {
    kind: &'a TaskKind,
    tasks: Vec<Task>,
    /// Those that start or are up, oldest first.
    alive: Vec<u32>,
    up: u32,
    stopping: u32,
    /// Tasks that are up and have nothing to do.
    idle: u32,
    busy_permits: u32,
    /// A task for each free permit, the longest free first; those of tasks that stopped are left in it.
    free: VecDeque<u32>,
    next_start: Micros,
    billed: Billed,
    random: Pcg64,
}

impl<'a> Fleet<'a> {
    /// A service without tasks.
    pub fn new(kind: &'a TaskKind, random: Pcg64) -> Self {
        Self {
            kind,
            tasks: Vec::new(),
            alive: Vec::new(),
            up: 0,
            stopping: 0,
            idle: 0,
            busy_permits: 0,
            free: VecDeque::new(),
            next_start: 0,
            billed: Billed::default(),
            random,
        }
    }

    /// Tasks that receive messages.
    pub fn running(&self) -> u32 {
        self.up
    }

    /// Tasks that exist in any way.
    pub fn is_empty(&self) -> bool {
        self.alive.is_empty() && self.stopping == 0
    }

    /// Tasks that are up and have nothing to do.
    pub fn idle(&self) -> u32 {
        self.idle
    }

    /// Messages that are worked on.
    pub fn busy_permits(&self) -> u32 {
        self.busy_permits
    }

    /// How many tasks were ever launched.
    pub fn launched(&self) -> usize {
        self.tasks.len()
    }

    /// Tasks that start or are up.
    pub fn alive(&self) -> u32 {
        u32::try_from(self.alive.len()).unwrap_or(u32::MAX)
    }

    /// The task of that number.
    pub fn task(&self, task: u32) -> &Task {
        &self.tasks[task as usize]
    }

    /// A task that is there from the beginning; when AWS takes it back, if it is one of Spot.
    pub fn begin(&mut self) -> (u32, Option<Micros>) {
        let (task, _) = self.launch(0);
        self.next_start = 0;
        (task, self.comes_up(task, 0))
    }

    /// Orders a task at `now`; its number, and when it is up.
    pub fn launch(&mut self, now: Micros) -> (u32, Micros) {
        let at = now.max(self.next_start);
        self.next_start = at + MINUTE / u64::from(self.kind.starts_per_minute.max(1));
        let spot = self
            .alive
            .iter()
            .filter(|t| self.tasks[**t as usize].is_spot)
            .count();
        let (spot, alive) = (spot + 1, self.alive.len() + 1);
        #[expect(clippy::cast_precision_loss, reason = "numbers of tasks")]
        let is_spot = spot as f64 <= self.kind.spot_share * alive as f64 + 1e-9;
        let up_at = at + self.kind.start.draw(&mut self.random);
        let number = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        self.tasks.push(Task {
            life: Life::Starting,
            jobs: Vec::new(),
            is_spot,
            launched_at: at,
        });
        self.alive.push(number);
        (number, up_at)
    }

    /// The task is up; when AWS takes it back, if it is one of Spot. Nothing happens to one that was stopped before.
    pub fn comes_up(&mut self, task: u32, now: Micros) -> Option<Micros> {
        let one = &mut self.tasks[task as usize];
        if one.life != Life::Starting {
            return None;
        }
        one.life = Life::Up;
        let is_spot = one.is_spot;
        self.up += 1;
        self.idle += 1;
        self.free
            .extend(std::iter::repeat_n(task, self.kind.permits as usize));
        let rate = self.kind.interruptions_per_hour / seconds(HOUR);
        let lives = Exp::new(rate).ok().filter(|_| is_spot && rate > 0.0)?;
        Some(now + from_seconds(lives.sample(&mut self.random)))
    }

    /// The task whose permit is free the longest gets the job; none if no permit is free.
    pub fn take(&mut self, job: u32) -> Option<u32> {
        while let Some(number) = self.free.pop_front() {
            let task = &mut self.tasks[number as usize];
            if task.life == Life::Up {
                self.idle -= u32::from(task.jobs.is_empty());
                self.busy_permits += 1;
                task.jobs.push(job);
                return Some(number);
            }
        }
        None
    }

    /// The task is done with the job, or gives it up.
    pub fn give_back(&mut self, number: u32, job: u32, now: Micros) {
        let task = &mut self.tasks[number as usize];
        task.jobs.retain(|other| *other != job);
        self.busy_permits -= 1;
        let is_idle = task.jobs.is_empty();
        match task.life {
            Life::Up => {
                self.idle += u32::from(is_idle);
                self.free.push_back(number);
            }
            Life::Stopping if is_idle => {
                self.stopping -= 1;
                self.end(number, now);
            }
            Life::Stopping | Life::Starting | Life::Gone => {}
        }
    }

    /// The task that goes next because fewer are wanted: one that starts, then one that is not protected; the newest first.
    pub fn dispensable(&self) -> Option<u32> {
        let newest = |wanted: &dyn Fn(&Task) -> bool| {
            let mut found = self.alive.iter().rev();
            found.find(|t| wanted(&self.tasks[**t as usize])).copied()
        };
        // Protection is all that tells ECS which tasks are at work.
        newest(&|t| t.life == Life::Starting).or_else(|| match self.kind.is_protected {
            true => newest(&|t| t.jobs.is_empty()).filter(|_| self.idle > 0),
            false => newest(&|_| true),
        })
    }

    /// Tells the task to stop; when what it still works on is given up, if there is such. None for one that stops or
    /// is gone already.
    pub fn stop(&mut self, number: u32, now: Micros) -> Option<Micros> {
        let task = &mut self.tasks[number as usize];
        let was = task.life;
        if matches!(was, Life::Stopping | Life::Gone) {
            return None;
        }
        self.alive.retain(|other| *other != number);
        let is_idle = task.jobs.is_empty();
        if was == Life::Up {
            self.up -= 1;
            self.idle -= u32::from(is_idle);
        }
        if is_idle {
            self.end(number, now);
            return None;
        }
        task.life = Life::Stopping;
        self.stopping += 1;
        Some(now + self.kind.drain)
    }

    fn end(&mut self, number: u32, now: Micros) {
        let task = &mut self.tasks[number as usize];
        task.life = Life::Gone;
        // One that is stopped while its launch still waits for its turn costs nothing.
        let lived = now
            .checked_sub(task.launched_at)
            .map_or(0, |lived| lived.max(MINUTE));
        if task.is_spot {
            self.billed.spot += lived;
        } else {
            self.billed.on_demand += lived;
        }
    }

    /// What is to be paid if everything stops at `now`.
    pub fn bill(mut self, now: Micros) -> Billed {
        for number in 0..u32::try_from(self.tasks.len()).unwrap_or(u32::MAX) {
            if self.tasks[number as usize].life != Life::Gone {
                self.end(number, now);
            }
        }
        self.billed
    }
}
