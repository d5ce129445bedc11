//! What a worker's request does to the one item that it speaks of, and what the worker does with the answer.
//!
//! This is the pool's code of one delivery, cut at every point at which something can come between. Every decision is
//! taken by `pipeline::protocol`; nothing here looks into an item. A request depends on little, so its answers are
//! kept: most transitions are then one look-up.

use std::time::Duration;

use pipeline::item::Fault;
use pipeline::protocol::{self, Drive};
use pipeline::{Item, MemoryClass, RunItem, StepState};

use super::invariant::{Broken, Event, Events};
use super::items::{ItemId, LATE, LEASE_END, NOW, is_over};
use super::mutant::Mutant;
use super::protocol::Protocol;
use super::state::{End, Messages, Msg, Place, State, Worker};

/// How long every lease is.
pub(super) const LEASE: Duration = Duration::from_millis(LEASE_END.0 - NOW.0);

/// Everything that the answer to a request depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// Who asks, and so what.
    pub(super) worker: Worker,
    /// Whether every lease is over when the request takes effect.
    pub(super) is_late: bool,
    /// The item that the request speaks of.
    pub(super) stored: ItemId,
    /// How many claims its place has seen.
    pub(super) claims: u8,
    /// The alias' revision, where that matters.
    pub(super) alias: u8,
}

/// What a request did, and what its worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Answer {
    /// What the worker is about to do, if the answer reaches it.
    pub(super) next: Worker,
    /// What lies in the item's place afterwards.
    pub(super) stored: ItemId,
    /// Where a claim was won, so that it can be judged.
    pub(super) won: Option<Place>,
    /// What was written into the artifact store.
    pub(super) put: Option<(Place, u32, u8)>,
    /// The alias' revision that the commit moved it from, and to.
    pub(super) promoted: Option<(u8, u8)>,
    /// The revision that the committed evaluation saw.
    pub(super) evaluated: Option<u8>,
    /// Whether the message became a dead letter.
    pub(super) is_dead: bool,
    pub(super) events: Events,
    pub(super) broken: Broken,
}

impl Answer {
    pub(super) fn new(next: Worker, stored: ItemId) -> Self {
        Self {
            next,
            stored,
            won: None,
            put: None,
            promoted: None,
            evaluated: None,
            is_dead: false,
            events: Events::default(),
            broken: Broken::default(),
        }
    }

    pub(super) fn seen(mut self, event: Event) -> Self {
        self.events.note(event);
        self
    }
}

impl Protocol {
    /// Which item the worker's request speaks of, if it has one to make.
    pub(super) fn question(&self, state: &State, worker: Worker, is_late: bool) -> Option<Question> {
        let place = match worker {
            Worker::Idle
            | Worker::Working { .. }
            | Worker::Sending { .. }
            | Worker::Acking { .. }
            | Worker::SendingEarly { .. } => return None,
            Worker::Rescuing { place } => Some(place),
            _ => self.letter(worker.msg()?).place,
        };
        let is_run = match worker {
            Worker::Joining { .. } | Worker::Closing { .. } => true,
            Worker::Claiming { msg, .. } => self.letter(msg).work.branch.is_none(),
            _ => place.is_none_or(|place| self.work(place).branch.is_none()),
        };
        let is_known = worker
            .msg()
            .is_none_or(|msg| self.letter(msg).work.run == self.birth.id);
        let stored = if !is_known {
            ItemId::NONE
        } else if is_run {
            state.run
        } else {
            place
                .and_then(|place| self.work(place).branch)
                .map_or(ItemId::NONE, |o| state.branches[o as usize])
        };
        let claims = match (worker, place) {
            (Worker::Claiming { .. }, Some(place)) => state.claims[place.0 as usize],
            _ => 0,
        };
        let alias = match worker {
            Worker::Committing { .. } | Worker::Promoting { .. } => state.alias,
            _ => 0,
        };
        Some(Question {
            worker,
            is_late,
            stored,
            claims,
            alias,
        })
    }

    /// The answer to a question, which is always the same.
    pub(super) fn answer(&self, question: Question) -> Answer {
        self.answers.get(question, || self.ask(question))
    }

    fn ask(&self, q: Question) -> Answer {
        let stored = self.items.get(q.stored);
        let stored = stored.as_deref();
        let now = if q.is_late { LATE } else { NOW };
        match q.worker {
            Worker::Claiming { msg, read, won } => self.claim(q, stored, now, msg, read, won),
            Worker::Publishing { msg, lease, end, saw } => {
                let put = Some((lease.place, self.key_of(self.attempt(lease)), lease.claim));
                let next = if self.is(Mutant::PromotionOutsideCommit) && end == End::Promote {
                    Worker::Promoting { msg, lease, saw }
                } else if self.mutant.is_some_and(Mutant::sends_early) && !self.is_last(lease.place) {
                    Worker::SendingEarly { msg, lease, end, saw }
                } else {
                    Worker::Committing { msg, lease, end, saw }
                };
                Answer {
                    put,
                    ..Answer::new(next, q.stored)
                }
            }
            Worker::PublishingLate { msg, lease, out } => {
                let put = Some((lease.place, self.key_of(self.attempt(lease)), lease.claim));
                Answer {
                    put,
                    ..Answer::new(
                        Worker::Sending {
                            msg,
                            out,
                            acked: false,
                        },
                        q.stored,
                    )
                }
            }
            Worker::Promoting { msg, lease, saw } => {
                let next = Worker::Committing {
                    msg,
                    lease,
                    end: End::Promote,
                    saw,
                };
                Answer {
                    promoted: Some((q.alias, q.alias + 1)),
                    ..Answer::new(next, q.stored)
                }
            }
            Worker::Committing { msg, lease, end, saw } => self.commit(q, stored, msg, lease, end, saw),
            Worker::Failing { msg, lease, class } => self.fail(q, stored, msg, lease, class),
            Worker::Escalating { msg, class, attempt } => {
                let place = self.place(msg);
                let update = protocol::escalate(self.work(place), class, u32::from(attempt), now);
                let sending = self.sending(msg, self.letter_to(place, class));
                self.record(q, stored, update, |_| sending)
                    .seen_if_changed(q.stored, Event::Escalated)
            }
            Worker::FailingSpent { msg, item } => {
                let work = self.work(self.place(msg));
                let seen = self.items.get(item).expect("a refused claim shows an item");
                let Some(step) = seen.slot(&work.slot()) else {
                    return Answer::new(Worker::Idle, q.stored);
                };
                let next = match work.branch {
                    None => Worker::Acking { msg },
                    Some(_) => Worker::Joining { msg, lost: true },
                };
                let update = protocol::fail_spent(work, step, now);
                self.record(q, stored, update, |_| next)
                    .seen_if_changed(q.stored, Event::BudgetSpent)
            }
            Worker::Joining { msg, lost } => self.join(q, stored, msg, lost),
            Worker::Closing { msg, run } => self.close(q, stored, msg, run),
            Worker::Rescuing { place } => {
                let work = self.work(place);
                let fault = Fault::new(pipeline::item::FaultClass::Interrupted, "rescued", 0, NOW);
                let update = pipeline::GuardedUpdate {
                    key: work.key(),
                    birth: None,
                    guards: Vec::new(),
                    changes: vec![pipeline::change::Change::Release {
                        slot: work.slot(),
                        charge: pipeline::change::Charge::Nothing,
                        fault,
                        ready_at: NOW,
                    }],
                    register: None,
                };
                self.record(q, stored, update, |_| Worker::Idle)
            }
            Worker::Idle
            | Worker::Working { .. }
            | Worker::Sending { .. }
            | Worker::Acking { .. }
            | Worker::SendingEarly { .. } => Answer::new(q.worker, q.stored),
        }
    }

    /// An update whose refusal only means that the message comes again.
    pub(super) fn record(
        &self,
        q: Question,
        stored: Option<&Item>,
        update: pipeline::GuardedUpdate,
        then: impl FnOnce(ItemId) -> Worker,
    ) -> Answer {
        let (answer, _, broken) = self.evaluate(update, stored);
        match answer {
            Ok(after) => Answer {
                broken,
                ..Answer::new(then(after), after)
            },
            Err(_) => Answer::new(Worker::Idle, q.stored),
        }
    }

    /// What comes after the commit of `work`, as far as nobody took it.
    pub(super) fn drive_after(&self, msg: Msg, run: &RunItem, work: &protocol::Work) -> Worker {
        match protocol::drive_after(run, &work.step) {
            Drive::Send(messages) => self.sending(msg, self.numbers(&messages)),
            Drive::Nothing => Worker::Acking { msg },
            Drive::FanIn(_) => Worker::Closing {
                msg,
                run: self.items.intern(Item::Run(Box::new(run.clone()))),
            },
        }
    }

    pub(super) fn sending(&self, msg: Msg, out: Messages) -> Worker {
        Worker::Sending {
            msg,
            out,
            acked: false,
        }
    }

    /// The message of a place in the queue of a class.
    pub(super) fn letter_to(&self, place: Place, class: MemoryClass) -> Messages {
        let work = self.work(place);
        match self.birth.steps.get(&work.step) {
            Some(step) => self.numbers(&[protocol::message(
                &self.birth,
                &work.step,
                step,
                work.branch,
                class,
            )]),
            None => Messages::default(),
        }
    }

    /// What is sent too early by the mutants that do.
    pub(super) fn early_messages(&self, place: Place) -> Messages {
        let next = self
            .birth
            .successor(&self.work(place).step)
            .map(|next| next.as_str());
        let is_next = |p: &Place| Some(self.work(*p).step.as_str()) == next;
        let places = (0..self.places.len() as u8).map(Place).filter(is_next);
        places.fold(Messages::default(), |set, place| {
            Messages(set.0 | self.letter_to(place, MemoryClass::Standard).0)
        })
    }

    /// True if the run is open.
    pub(super) fn is_open(&self, state: &State) -> bool {
        self.items
            .get(state.run)
            .is_some_and(|item| item.as_run().is_some_and(|run| !is_over(run)))
    }

    /// True if somebody works on the place, or did.
    pub(super) fn is_running(&self, state: &State, place: Place) -> bool {
        let work = self.work(place);
        let id = work.branch.map_or(state.run, |o| state.branches[o as usize]);
        let slot = work.slot();
        self.items
            .get(id)
            .is_some_and(|item| item.slot(&slot).is_some_and(|w| w.state == StepState::Running))
    }
}

impl Answer {
    pub(super) fn seen_if_changed(self, before: ItemId, event: Event) -> Self {
        if self.stored == before {
            self
        } else {
            self.seen(event)
        }
    }
}
