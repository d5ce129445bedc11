//! Blocking work, on as few threads as will do.
//!
//! The runtime's own pool wakes a thread for each piece of work, and two switches between threads cost many times what
//! a small stage does. Here a thread that is at it takes the next piece too. Nobody waits for a thread that takes long:
//! what has waited for a moment gets further threads, up to one for each piece of work.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How often it is looked whether somebody waits. A thread that began nothing between two looks is not waited for.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How a piece of work ended: well, or in a panic.
pub(super) type Ended = Result<(), Box<dyn Any + Send>>;

struct Piece {
    work: Box<dyn FnOnce() + Send>,
    ended: oneshot::Sender<Ended>,
}

/// The work of one process.
#[derive(Clone)]
pub(super) struct Blocking {
    runtime: Handle,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Piece>,
    /// Threads that will take what waits as soon as they are done with what they have.
    threads: Vec<Thread>,
    next_thread: u64,
    /// Somebody looks after those who wait.
    is_watched: bool,
    /// How many threads the last look started.
    started: usize,
}

struct Thread {
    id: u64,
    /// It has come for work. Until then the system is about to start it, which takes as long as it takes.
    has_come: bool,
    /// It began a piece of work since the last look.
    has_begun: bool,
}

impl Blocking {
    pub(super) fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            state: Arc::default(),
        }
    }

    /// Runs `work`, whether or not anybody waits for the answer.
    pub(super) fn run(&self, work: Box<dyn FnOnce() + Send>) -> oneshot::Receiver<Ended> {
        let (ended, answer) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push_back(Piece { work, ended });
        if state.threads.is_empty() {
            self.start(&mut state);
        }
        if !state.is_watched {
            state.is_watched = true;
            self.watch();
        }
        answer
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is part of the implementation of the `Spawn` port"
    )]
    fn start(&self, state: &mut State) {
        let id = state.next_thread;
        state.next_thread += 1;
        state.threads.push(Thread {
            id,
            has_come: false,
            has_begun: false,
        });
        let this = self.clone();
        drop(self.runtime.spawn_blocking(move || {
            while let Some(Piece { work, ended }) = this.next(id) {
                // Whoever waited may be gone.
                let _ = ended.send(catch_unwind(AssertUnwindSafe(work)));
            }
        }));
    }

    /// What this thread is to do next; it ends if that is nothing, or if others were started in its place.
    fn next(&self, id: u64) -> Option<Piece> {
        let mut state = self.lock();
        let at = state.threads.iter().position(|thread| thread.id == id)?;
        let Some(piece) = state.waiting.pop_front() else {
            state.threads.swap_remove(at);
            return None;
        };
        let thread = &mut state.threads[at];
        (thread.has_come, thread.has_begun) = (true, true);
        Some(piece)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is part of the implementation of the `Spawn` port"
    )]
    fn watch(&self) {
        let this = self.clone();
        drop(self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if !this.look() {
                    break;
                }
            }
        }));
    }

    /// Starts threads for those who have waited; false if there is nothing to look after.
    fn look(&self) -> bool {
        let mut state = self.lock();
        state
            .threads
            .retain_mut(|thread| std::mem::take(&mut thread.has_begun) || !thread.has_come);
        if state.waiting.is_empty() {
            state.started = 0;
        } else if state.threads.iter().all(|thread| thread.has_come) {
            // Small work is soon done by few; if it is not small, twice as many each time are soon enough.
            state.started = (2 * state.started).clamp(1, state.waiting.len());
            for _ in 0..state.started {
                self.start(&mut state);
            }
        }
        state.is_watched = !state.threads.is_empty();
        state.is_watched
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No work runs while it is locked, and every change leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_that_waits_for_other_work_gets_threads() {
        let blocking = Blocking::new(Handle::current());
        let all = Arc::new(Barrier::new(40));
        let answers: Vec<_> = (0..40)
            .map(|_| {
                let all = Arc::clone(&all);
                blocking.run(Box::new(move || {
                    all.wait();
                }))
            })
            .collect();
        for answer in answers {
            answer.await.expect("answered").expect("no panic");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_thread_that_takes_long_holds_nobody_up() {
        let blocking = Blocking::new(Handle::current());
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let long = blocking.run(Box::new(move || gone.recv().unwrap_or_default()));
        for _ in 0..100 {
            blocking
                .run(Box::new(|| {}))
                .await
                .expect("answered")
                .expect("no panic");
        }
        drop(go);
        long.await.expect("answered").expect("no panic");
    }

    /// A thread for each piece would be a thousand of them (or as many as the runtime allows).
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn small_work_shares_few_threads() {
        let blocking = Blocking::new(Handle::current());
        let threads = Arc::new(Mutex::new(std::collections::HashSet::new()));
        let answers: Vec<_> = (0..1_000)
            .map(|_| {
                let threads = Arc::clone(&threads);
                blocking.run(Box::new(move || {
                    threads.lock().expect("whole").insert(std::thread::current().id());
                }))
            })
            .collect();
        for answer in answers {
            answer.await.expect("answered").expect("no panic");
        }
        let threads = threads.lock().expect("whole").len();
        assert!(threads < 100, "{threads} threads");
    }

    #[tokio::test]
    async fn a_panic_is_its_own_answer_and_no_thread_is_lost_by_it() {
        let blocking = Blocking::new(Handle::current());
        let answers: Vec<_> = (0..50_usize)
            .map(|n| blocking.run(Box::new(move || std::panic::resume_unwind(Box::new(n)))))
            .collect();
        for (n, answer) in answers.into_iter().enumerate() {
            let payload = answer.await.expect("answered").expect_err("all panic");
            assert_eq!(payload.downcast_ref::<usize>(), Some(&n));
        }
    }
}
