//! A component as ECS keeps it: so many tasks of one build, replaced by those of another without a gap.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::{Fleet, Pool, Stopwatch, worker};

/// What a task definition is, to a test: a program, and with what it is started.
#[derive(Debug, Clone)]
pub struct Build {
    /// What it calls itself in the runs.
    pub name: String,
    /// What is started.
    pub program: PathBuf,
    /// With these arguments besides.
    pub arguments: Vec<String>,
}

impl Build {
    /// The worker under test, by that name.
    pub fn of_worker(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            program: worker(),
            arguments: Vec::new(),
        }
    }
}

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// Every task is of the new build.
    Completed,
    /// So many tasks in a row did not come up: the old ones were never touched.
    RolledBack {
        /// How many.
        failures: usize,
    },
}

/// How many tasks may fail to come up before the circuit breaker takes the deployment back: ECS's least
/// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html>).
const MOST_FAILURES: usize = 3;

/// How long a task has for being ready.
const GRACE: Duration = Duration::from_secs(5);

/// How long a task has after SIGTERM before ECS would kill it.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A component with its tasks.
pub struct Service<'a> {
    fleet: &'a Fleet,
    stages: String,
    desired: usize,
    tasks: Vec<Pool>,
}

impl<'a> Service<'a> {
    /// A component that is deployed for the first time.
    pub fn start(fleet: &'a Fleet, stages: &str, desired: usize, build: &Build) -> Self {
        let mut service = Self {
            fleet,
            stages: stages.to_owned(),
            desired,
            tasks: Vec::new(),
        };
        assert_eq!(service.deploy(build), Rollout::Completed, "{}", fleet.told());
        service
    }

    /// Its tasks.
    pub fn tasks(&mut self) -> &mut [Pool] {
        &mut self.tasks
    }

    /// Replaces its tasks by those of `build`, with all of them healthy throughout: as ECS does with a minimum of 100 % and
    /// a maximum of 200 %. Old tasks are told to stop only when new ones are ready, and must be gone in time.
    pub fn deploy(&mut self, build: &Build) -> Rollout {
        let mut fresh: Vec<Pool> = Vec::new();
        let mut failures = 0;
        while fresh.len() < self.desired {
            match self.come_up(build) {
                Some(task) => {
                    failures = 0;
                    fresh.push(task);
                }
                None => failures += 1,
            }
            if failures == MOST_FAILURES {
                // Whichever came up goes before it was needed.
                fresh.into_iter().for_each(stop);
                return Rollout::RolledBack { failures };
            }
        }
        let old = std::mem::replace(&mut self.tasks, fresh);
        for task in &old {
            task.signal(Signal::TERM);
        }
        old.into_iter().for_each(stop);
        Rollout::Completed
    }

    /// A task of that build; none if it ended, or was not ready in time.
    fn come_up(&self, build: &Build) -> Option<Pool> {
        let arguments: Vec<&str> = build.arguments.iter().map(String::as_str).collect();
        let mut task = self
            .fleet
            .pool(&self.stages)
            .program(&build.program)
            .called(&format!("{} {}", self.stages, build.name))
            .env("FLEETLINE_BUILD", &build.name)
            .with(&arguments)
            .launch();
        let watch = Stopwatch::start();
        while task.ended().is_none() && watch.elapsed() < GRACE {
            if task.is_ready() {
                return Some(task);
            }
            std::thread::sleep(super::LOOK_EVERY);
        }
        if task.ended().is_none() {
            stop(task);
        }
        None
    }
}

/// Tells a task to stop, and sees that it is gone in good order before it would be killed.
fn stop(mut task: Pool) {
    task.signal(Signal::TERM);
    let (status, took) = task.wait();
    assert_eq!(
        status.code(),
        Some(0),
        "a task that is told to stop ends in good order"
    );
    assert!(took < STOP_TIMEOUT, "it took {took:?}");
}
