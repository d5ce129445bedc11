//! An executor of one thread whose time is virtual: the seed chooses which ready task goes on, and time moves only when
//! no task can.
//!
//! Tasks belong to processes. A process dies by [`Simulation::kill`]: its tasks are dropped where they stand. It is
//! frozen by [`Simulation::freeze`]: its tasks are not looked at for a while, whatever wakes them.

mod sleep;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::future::BoxFuture;

pub use self::sleep::Sleep;
use crate::random::Seeded;
use crate::trace::Trace;

/// Names a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub usize);

/// The process that the simulation's own script runs in. It never dies.
pub const SCRIPT: ProcessId = ProcessId(0);

type TaskId = u64;
/// The task that [`Simulation::block_on`] is given.
const ROOT: TaskId = 0;
/// A simulation that takes more steps than this goes round in circles.
const MOST_POLLS: u64 = 30_000_000;

/// A simulated world's time and tasks. Copies are of one and the same.
#[derive(Clone)]
pub struct Simulation(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    order: Seeded,
    trace: Mutex<Trace>,
}

struct State {
    now: Duration,
    tasks: BTreeMap<TaskId, Task>,
    next_task: TaskId,
    /// In the order of their ids: some primitives wake those who wait in an order that differs from time to time
    /// (tokio's `watch` draws it), which must not matter.
    ready: Vec<TaskId>,
    timers: BTreeMap<(Duration, u64), Due>,
    next_timer: u64,
    processes: Vec<Process>,
    /// Futures of processes that died, to be dropped when nothing is borrowed.
    graveyard: Vec<BoxFuture<'static, ()>>,
    polls: u64,
}

struct Task {
    process: ProcessId,
    /// None while it is being polled, and always for the root.
    future: Option<BoxFuture<'static, ()>>,
    is_ready: bool,
    waker: Waker,
}

#[derive(Default)]
struct Process {
    is_dead: bool,
    frozen_until: Duration,
    /// What was woken while it was frozen.
    parked: Vec<TaskId>,
    mourners: Vec<Waker>,
}

enum Due {
    Wake(Waker),
    Thaw(ProcessId),
    Do(Box<dyn FnOnce() + Send>),
}

struct TaskWaker {
    id: TaskId,
    inner: std::sync::Weak<Inner>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(inner) = self.inner.upgrade() {
            inner.state().make_ready(self.id);
        }
    }
}

impl State {
    fn make_ready(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(&id)
            && !task.is_ready
        {
            task.is_ready = true;
            let at = self.ready.partition_point(|other| *other < id);
            self.ready.insert(at, id);
        }
    }

    fn at(&mut self, when: Duration, due: Due) -> (Duration, u64) {
        let key = (when, self.next_timer);
        self.next_timer += 1;
        self.timers.insert(key, due);
        key
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // One thread: a poisoned lock is a panic that is on its way out anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Next {
    Root,
    Poll(TaskId, Waker, BoxFuture<'static, ()>),
    Advance,
}

impl Simulation {
    /// A world at time zero. `trace` keeps what happens in it.
    pub fn new(seed: u64, trace: Trace) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                now: Duration::ZERO,
                tasks: BTreeMap::new(),
                next_task: ROOT + 1,
                ready: Vec::new(),
                timers: BTreeMap::new(),
                next_timer: 0,
                processes: vec![Process::default()],
                graveyard: Vec::new(),
                polls: 0,
            }),
            order: Seeded::new(seed, 1),
            trace: Mutex::new(trace),
        }))
    }

    /// Time since the world began.
    pub fn now(&self) -> Duration {
        self.0.state().now
    }

    /// How many times a task was polled.
    pub fn polls(&self) -> u64 {
        self.0.state().polls
    }

    /// What happened so far.
    pub fn trace(&self) -> MutexGuard<'_, Trace> {
        self.0.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new process.
    pub fn process(&self) -> ProcessId {
        let mut state = self.0.state();
        state.processes.push(Process::default());
        ProcessId(state.processes.len() - 1)
    }

    /// Runs a task of the process to its end, in the background. Does nothing if the process is dead.
    pub fn spawn(&self, process: ProcessId, future: BoxFuture<'static, ()>) {
        let mut state = self.0.state();
        if state.processes[process.0].is_dead {
            state.graveyard.push(future);
            return;
        }
        let id = state.next_task;
        state.next_task += 1;
        self.add(&mut state, id, process, Some(future));
    }

    fn add(
        &self,
        state: &mut State,
        id: TaskId,
        process: ProcessId,
        future: Option<BoxFuture<'static, ()>>,
    ) -> Waker {
        let inner = Arc::downgrade(&self.0);
        let waker = Waker::from(Arc::new(TaskWaker { id, inner }));
        let task = Task {
            process,
            future,
            is_ready: false,
            waker: waker.clone(),
        };
        state.tasks.insert(id, task);
        state.make_ready(id);
        waker
    }

    /// Ends a process here and now: none of its tasks goes on, and nothing of it is left but what its backend has.
    pub fn kill(&self, process: ProcessId) {
        assert_ne!(process, SCRIPT, "the script never dies");
        let mourners = {
            let mut guard = self.0.state();
            let state = &mut *guard;
            let dying = &mut state.processes[process.0];
            dying.is_dead = true;
            let mourners = std::mem::take(&mut dying.mourners);
            let graveyard = &mut state.graveyard;
            state.tasks.retain(|_, task| {
                let stays = task.process != process;
                if !stays {
                    graveyard.extend(task.future.take());
                }
                stays
            });
            mourners
        };
        mourners.into_iter().for_each(Waker::wake);
    }

    /// Keeps a process from doing anything for a while.
    pub fn freeze(&self, process: ProcessId, duration: Duration) {
        let mut state = self.0.state();
        let until = state.now.saturating_add(duration);
        if until > state.processes[process.0].frozen_until {
            state.processes[process.0].frozen_until = until;
            state.at(until, Due::Thaw(process));
        }
    }

    /// True if the process was killed.
    pub fn is_dead(&self, process: ProcessId) -> bool {
        self.0.state().processes[process.0].is_dead
    }

    /// Returns once the process was killed.
    pub async fn died(&self, process: ProcessId) {
        futures::future::poll_fn(|context| {
            let mut state = self.0.state();
            let dying = &mut state.processes[process.0];
            if dying.is_dead {
                return Poll::Ready(());
            }
            dying.mourners.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Does something at a later time, whoever is alive then.
    pub fn after(&self, delay: Duration, deed: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state();
        let when = state.now.saturating_add(delay);
        state.at(when, Due::Do(Box::new(deed)));
    }

    /// Returns after `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.clone(), self.now().saturating_add(duration))
    }

    /// Runs everything until `root` is done. Panics if nothing can happen any more and it is not.
    pub fn block_on<T>(&self, root: impl Future<Output = T>) -> T {
        let mut root = pin!(root);
        let waker = {
            let mut state = self.0.state();
            self.add(&mut state, ROOT, SCRIPT, None)
        };
        loop {
            match self.next() {
                Next::Root => {
                    if let Poll::Ready(done) = root.as_mut().poll(&mut Context::from_waker(&waker)) {
                        self.0.state().tasks.remove(&ROOT);
                        return done;
                    }
                }
                Next::Poll(id, waker, mut future) => {
                    let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                    self.put_back(id, polled.is_pending().then_some(future));
                }
                Next::Advance => self.advance(),
            }
            let dead = std::mem::take(&mut self.0.state().graveyard);
            drop(dead);
        }
    }

    /// Drops every task and everything that is due. Tasks hold the world, and the world holds them.
    pub fn end(&self) {
        let (tasks, timers, dead) = {
            let mut state = self.0.state();
            state
                .processes
                .iter_mut()
                .for_each(|process| process.is_dead = true);
            let tasks = std::mem::take(&mut state.tasks);
            let timers = std::mem::take(&mut state.timers);
            (tasks, timers, std::mem::take(&mut state.graveyard))
        };
        drop((tasks, timers, dead));
        // What was dropped may have spawned.
        let dead = std::mem::take(&mut self.0.state().graveyard);
        drop(dead);
    }

    fn next(&self) -> Next {
        let mut guard = self.0.state();
        let state = &mut *guard;
        loop {
            if state.ready.is_empty() {
                return Next::Advance;
            }
            let length = u64::try_from(state.ready.len()).unwrap_or(u64::MAX);
            let at = usize::try_from(self.0.order.below(length)).unwrap_or(0);
            let id = state.ready.remove(at);
            let Some(task) = state.tasks.get_mut(&id) else {
                continue;
            };
            let process = &mut state.processes[task.process.0];
            if process.frozen_until > state.now {
                process.parked.push(id);
                continue;
            }
            task.is_ready = false;
            state.polls += 1;
            assert!(state.polls < MOST_POLLS, "tasks go on and on, at {:?}", state.now);
            self.trace().polled(id, state.now);
            if id == ROOT {
                return Next::Root;
            }
            // A task that is being polled is in nobody's hands but ours.
            if let Some(future) = task.future.take() {
                return Next::Poll(id, task.waker.clone(), future);
            }
        }
    }

    /// A future goes back to its task, unless it is done, or was killed while it was polled.
    fn put_back(&self, id: TaskId, future: Option<BoxFuture<'static, ()>>) {
        let mut state = self.0.state();
        match future {
            None => drop(state.tasks.remove(&id)),
            Some(future) => match state.tasks.get_mut(&id) {
                Some(task) => task.future = Some(future),
                None => state.graveyard.push(future),
            },
        }
    }

    fn advance(&self) {
        let due = {
            let mut guard = self.0.state();
            let state = &mut *guard;
            let Some(((when, _), due)) = state.timers.pop_first() else {
                panic!("nothing can happen any more, and the script is not at its end");
            };
            state.now = state.now.max(when);
            due
        };
        match due {
            Due::Wake(waker) => waker.wake(),
            Due::Do(deed) => deed(),
            Due::Thaw(process) => {
                let mut guard = self.0.state();
                let state = &mut *guard;
                let thawing = &mut state.processes[process.0];
                if thawing.frozen_until <= state.now {
                    state.ready.append(&mut thawing.parked);
                    state.ready.sort_unstable();
                }
            }
        }
    }
}
