//! Claims, and what a refused one means for its message.

use pipeline::protocol::{self, Refusal};
use pipeline::{Item, RunItem, StepState, Timestamp};

use super::ask::{Answer, LEASE, Question};
use super::invariant::{Event, Invariant};
use super::items::{ItemId, NOW};
use super::mutant::Mutant;
use super::protocol::Protocol;
use super::state::{Lease, Msg, Worker};

impl Protocol {
    pub(super) fn claim(
        &self,
        q: Question,
        stored: Option<&Item>,
        now: Timestamp,
        msg: Msg,
        read: ItemId,
        won: u8,
    ) -> Answer {
        let letter = self.letter(msg);
        let (work, after) = (&letter.work, letter.after.as_ref());
        let fresh = q.claims + 1;
        let asks = self.claimant(&letter.queue, fresh);
        let read = self.items.get(read);
        let run = read.as_deref().and_then(Item::as_run);
        let update = match run {
            None if work.branch.is_some() => Err(Refusal::Unknown(format!("there is no run {}", work.run))),
            None => Ok(protocol::claim(work, after, &asks, now, LEASE)),
            Some(run) => protocol::claim_branch(run, work, after, &asks, now, LEASE),
        };
        let update = match update {
            Ok(update) => update,
            Err(refusal) => return self.refused(q, msg, run, None, refusal),
        };
        let (answer, _, broken) = self.evaluate(update, stored);
        let refused_by = match answer {
            Ok(after) => {
                let Some(place) = letter.place else {
                    let mut answer = Answer::new(Worker::Idle, after);
                    answer.broken.note(Invariant::R2, true);
                    return answer;
                };
                let lease = Lease {
                    place,
                    claim: fresh,
                    item: after,
                };
                let was_live = stored
                    .and_then(|i| i.slot(&work.slot()))
                    .is_some_and(|w| !w.lease_is_over(NOW));
                let answer = Answer {
                    won: Some(place),
                    broken,
                    ..Answer::new(Worker::Working { msg, lease }, after)
                };
                return if was_live {
                    answer.seen(Event::Stolen)
                } else {
                    answer
                };
            }
            Err(item) => item,
        };
        // A nonce that was never stored is as good as any other such nonce.
        let who = self.claimant(&letter.queue, if won > 0 { won } else { fresh });
        let refusal = match run {
            None => protocol::why_refused(work, after, &who, now, refused_by.as_ref()),
            Some(run) => protocol::why_branch_refused(run.max.crash, &who, now, refused_by.as_ref()),
        };
        match refusal {
            Refusal::Mine(_) => {
                let lease = Lease {
                    place: self.place(msg),
                    claim: won,
                    item: q.stored,
                };
                Answer::new(Worker::Working { msg, lease }, q.stored).seen(Event::ClaimWasMine)
            }
            refusal => self.refused(q, msg, run, refused_by.as_ref(), refusal),
        }
    }

    /// What a refused claim means for the message. `read` is the run of a branch, `stored` the refusing item.
    fn refused(
        &self,
        q: Question,
        msg: Msg,
        read: Option<&RunItem>,
        stored: Option<&Item>,
        refusal: Refusal,
    ) -> Answer {
        let work = &self.letter(msg).work;
        let ack = Answer::new(Worker::Acking { msg }, q.stored);
        match refusal {
            Refusal::Unknown(reason) => {
                let reason = if self.is(Mutant::DeadLetterWithoutReason) {
                    String::new()
                } else {
                    reason
                };
                let mut answer = Answer::new(Worker::Idle, q.stored).seen(Event::DeadLetter);
                answer.is_dead = true;
                answer.broken.note(Invariant::Q1, reason.is_empty());
                answer
            }
            Refusal::Ended(_) | Refusal::Mismatch(_) => ack,
            Refusal::OtherClass(class) => {
                let next = self.sending(msg, self.letter_to(self.place(msg), class));
                Answer::new(next, q.stored).seen(Event::OtherClass)
            }
            Refusal::Leased { .. } => Answer::new(Worker::Idle, q.stored).seen(Event::Leased),
            Refusal::Settled(_) if self.is(Mutant::NoRedrive) => ack,
            Refusal::Settled(state) => {
                let next = match (work.branch, read.or_else(|| stored.and_then(Item::as_run))) {
                    (Some(_), _) => Worker::Joining {
                        msg,
                        lost: state == StepState::Failed,
                    },
                    (None, Some(run)) => self.drive_after(msg, run, work),
                    (None, None) => Worker::Acking { msg },
                };
                let answer = Answer::new(next, q.stored);
                if matches!(next, Worker::Acking { .. }) {
                    answer
                } else {
                    answer.seen(Event::DrivenAgain)
                }
            }
            Refusal::LargerClass(class, attempt) => Answer::new(
                Worker::Escalating {
                    msg,
                    class,
                    attempt: attempt as u8,
                },
                q.stored,
            ),
            Refusal::BudgetSpent(_) => Answer::new(Worker::FailingSpent { msg, item: q.stored }, q.stored),
            Refusal::Mine(_) => Answer::new(Worker::Idle, q.stored),
            Refusal::Again => {
                let mut answer = Answer::new(Worker::Idle, q.stored);
                answer.broken.note(Invariant::R1, true);
                answer
            }
        }
    }
}
