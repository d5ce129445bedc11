//! What becomes of an attempt: its result is committed and the next step driven, or its failure is recorded.

use pipeline::item::Placement;
use pipeline::item::{Fault, Measured};
use pipeline::protocol::{self, Drive, Ending, Next};
use pipeline::{Item, RunStatus, StepState};

use super::ask::{Answer, Question};
use super::invariant::Event;
use super::items::{ItemId, NOW};
use super::mutant::Mutant;
use super::protocol::Protocol;
use super::state::{End, FaultRank, Lease, Messages, Msg, Place, Worker};

impl Protocol {
    pub(super) fn commit(
        &self,
        q: Question,
        stored: Option<&Item>,
        msg: Msg,
        lease: Lease,
        end: End,
        saw: u8,
    ) -> Answer {
        let held = self.held(lease);
        let manifest = self.manifest(lease);
        let claimed = self.items.get(lease.item).expect("a lease holds its item");
        // A branch's commit reads nothing of its run.
        let run = claimed.as_run().unwrap_or(&self.birth);
        let ending = self.ending(lease.place, end, saw);
        let update = protocol::commit(&held, run, manifest.clone(), &ending, Measured::default(), NOW);
        let (answer, register, broken) = self.evaluate(update, stored);
        let moved = register.as_ref().and_then(|declared| declared.moved_alias());
        if answer.is_ok()
            && let Some(declared) = &register
            && let Some(promotion) = &declared.registration.promote
            && !promotion.holds(self.alias(q.alias).as_ref())
            && !self.is(Mutant::PromotionIgnoresRevision)
        {
            let next = Worker::Committing {
                msg,
                lease,
                end: End::Register,
                saw,
            };
            return Answer::new(next, q.stored);
        }
        match answer {
            Ok(after) => {
                let item = self.items.get(after).expect("it was just interned");
                let mut answer = Answer {
                    broken,
                    ..Answer::new(self.after_commit(msg, lease, &item), after)
                };
                let is_first = self.birth.order.first() == Some(&self.work(lease.place).step);
                answer.evaluated = (is_first && self.scenario.promotes).then_some(saw);
                answer.promoted = moved.map(|alias| (q.alias, alias.revision as u8));
                if end == End::Register {
                    answer.events.note(Event::RegisteredOnly);
                }
                answer
            }
            Err(item) if protocol::commit_was_mine(&held, &manifest, item.as_ref()) => {
                let next = item
                    .as_ref()
                    .map_or(Worker::Idle, |item| self.after_commit(msg, lease, item));
                Answer::new(next, q.stored).seen(Event::CommitWasMine)
            }
            Err(_) => Answer::new(Worker::Idle, q.stored).seen(Event::Discarded),
        }
    }

    fn ending(&self, place: Place, end: End, saw: u8) -> Ending {
        let placement = Placement::default();
        let next = self
            .birth
            .successor(&self.work(place).step)
            .and_then(|next| self.birth.steps.get(next));
        match end {
            End::Advance if next.is_some_and(|next| next.is_fanned() && next.branches.is_none()) => {
                Ending::FanOut(placement, self.scenario.fan_out)
            }
            End::Advance => Ending::Advance(placement),
            End::Halt => Ending::Halt("a gate said no".into()),
            End::Promote => Ending::Register(self.registration(saw)),
            End::Register => Ending::Register(protocol::register_only(&self.registration(saw))),
        }
    }

    fn after_commit(&self, msg: Msg, lease: Lease, item: &Item) -> Worker {
        let next = match item {
            Item::Branch(_) => Worker::Joining { msg, lost: false },
            Item::Run(_) if self.mutant.is_some_and(Mutant::sends_early) => Worker::Acking { msg },
            Item::Run(run) => self.drive_after(msg, run, self.work(lease.place)),
        };
        match next {
            Worker::Sending { msg, out, .. } if self.is(Mutant::CommitBeforePut) => {
                Worker::PublishingLate { msg, lease, out }
            }
            Worker::Acking { msg } if self.is(Mutant::CommitBeforePut) => Worker::PublishingLate {
                msg,
                lease,
                out: Messages::default(),
            },
            next => next,
        }
    }

    pub(super) fn fail(
        &self,
        q: Question,
        stored: Option<&Item>,
        msg: Msg,
        lease: Lease,
        rank: FaultRank,
    ) -> Answer {
        let class = rank.class();
        let held = self.held(lease);
        let claimed = self.items.get(lease.item).expect("a lease holds its item");
        let Some(step) = claimed.slot(&held.work.slot()) else {
            return Answer::new(Worker::Idle, q.stored);
        };
        let fault = Fault::new(class, "it failed", held.attempt, NOW);
        match protocol::after_failure(step, claimed.max(), class) {
            Next::Retry(charge, larger) => {
                let update = protocol::release(&held, charge, larger, fault, NOW);
                let next = larger.map_or(Worker::Idle, |class| {
                    self.sending(msg, self.letter_to(lease.place, class))
                });
                let answer = self.record(q, stored, update, |_| next);
                if larger.is_some() {
                    answer.seen_if_changed(q.stored, Event::Escalated)
                } else {
                    answer
                }
            }
            Next::GiveUp(_) => {
                let next = match held.work.branch {
                    None => Worker::Acking { msg },
                    Some(_) => Worker::Joining { msg, lost: true },
                };
                self.record(q, stored, protocol::fail(&held, fault), |_| next)
            }
        }
    }

    pub(super) fn join(&self, q: Question, stored: Option<&Item>, msg: Msg, lost: bool) -> Answer {
        let work = self.work(self.place(msg));
        let state = if lost {
            StepState::Failed
        } else {
            StepState::Committed
        };
        let update = protocol::join_branch(work, work.branch.unwrap_or(0), state);
        let (answer, _, broken) = self.evaluate(update, stored);
        let Ok(after) = answer else {
            return Answer::new(Worker::Acking { msg }, q.stored);
        };
        let item = self.items.get(after).expect("it was just interned");
        let next = match item.as_run() {
            None => Worker::Acking { msg },
            Some(_) if self.is(Mutant::CloseNotFull) => Worker::Closing { msg, run: after },
            Some(run) => match protocol::drive(run) {
                Drive::FanIn(full) if full == work.step => Worker::Closing { msg, run: after },
                _ => self.drive_after(msg, run, work),
            },
        };
        let answer = Answer {
            broken,
            ..Answer::new(next, after)
        };
        if lost {
            answer.seen(Event::JoinedLost)
        } else {
            answer
        }
    }

    pub(super) fn close(&self, q: Question, stored: Option<&Item>, msg: Msg, read: ItemId) -> Answer {
        let read = self.items.get(read).expect("closing holds the run that it read");
        let work = self.work(self.place(msg));
        let update = read
            .as_run()
            .and_then(|run| protocol::fan_in(run, &work.step, &Placement::default(), NOW));
        let Some(update) = update else {
            return Answer::new(Worker::Acking { msg }, q.stored);
        };
        let (answer, _, broken) = self.evaluate(update, stored);
        match answer {
            Ok(after) => {
                let item = self.items.get(after).expect("it was just interned");
                let next = match item
                    .as_run()
                    .filter(|run| run.status == RunStatus::Open)
                    .map(protocol::drive)
                {
                    Some(Drive::Send(messages)) => self.sending(msg, self.numbers(&messages)),
                    _ => Worker::Acking { msg },
                };
                Answer {
                    broken,
                    ..Answer::new(next, after)
                }
            }
            // Somebody else closed it and may have died before it sent.
            Err(item) => {
                let next = match item
                    .as_ref()
                    .and_then(Item::as_run)
                    .map(|run| protocol::drive_after(run, &work.step))
                {
                    Some(Drive::Send(messages)) => self.sending(msg, self.numbers(&messages)),
                    _ => Worker::Acking { msg },
                };
                Answer::new(next, q.stored)
            }
        }
    }
}
