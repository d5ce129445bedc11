//! What may happen in a state, and what it leads to.

use pipeline::protocol;
use stateright::{Model, Property};

use super::action::Action;
use super::ask::Answer;
use super::invariant::{Event, Events, Invariant};
use super::items::{ItemId, NOW};
use super::mutant::Mutant;
use super::protocol::Protocol;
use super::scenario::Delivery;
use super::state::{FaultRank, Messages, State, Worker};

/// A state that an action led to, and what was seen on the way.
#[derive(Debug, Clone)]
pub struct Step {
    /// The state.
    pub state: State,
    /// What was seen.
    pub events: Events,
}

impl Protocol {
    /// What `action` leads to; none if it is not possible in `state` or changes nothing.
    pub fn step(&self, state: &State, action: Action) -> Option<Step> {
        let mut step = Step {
            state: *state,
            events: Events::default(),
        };
        let next = &mut step.state;
        match action {
            Action::Receive(i, msg) => {
                next.workers[i] = Worker::Claiming {
                    msg,
                    read: ItemId::NONE,
                    won: 0,
                }
            }
            Action::Read(i) => {
                let Worker::Claiming { msg, won, .. } = state.workers[i] else {
                    return None;
                };
                let is_known = self.letter(msg).work.run == self.birth.id;
                let read = if is_known { state.run } else { ItemId::NONE };
                next.workers[i] = Worker::Claiming { msg, read, won };
            }
            Action::Ask { worker: i, late } => {
                let worker = state.workers[i];
                let answer = self.answer(self.question(state, worker, late)?);
                next.workers[i] = answer.next;
                if answer.is_dead
                    && let Some(msg) = worker.msg()
                {
                    next.queue = next.queue.without(msg);
                }
                self.take_effect(&mut step, worker, &answer);
            }
            Action::AskUnheard { worker: i, late } => {
                let worker = state.workers[i];
                let question = self.question(state, worker, late)?;
                let answer = self.answer(question);
                if answer.stored == question.stored && answer.put.is_none() {
                    return None;
                }
                // The worker that asks again knows no more than before; the claim that it won bears its nonce.
                if let Worker::Claiming { msg, read, .. } = worker
                    && answer.won.is_some()
                {
                    let read = if self.letter(msg).work.branch.is_some() {
                        ItemId::NONE
                    } else {
                        read
                    };
                    next.workers[i] = Worker::Claiming {
                        msg,
                        read,
                        won: question.claims + 1,
                    };
                }
                self.take_effect(&mut step, worker, &answer);
            }
            Action::GiveUp(i) => {
                let worker = state.workers[i];
                let answer = self.answer(self.question(state, worker, false)?);
                let msg = worker.msg().filter(|_| answer.events.has(Event::Leased))?;
                next.workers[i] = Worker::Idle;
                next.queue = next.queue.without(msg);
            }
            Action::Delay(i) => {
                let free = self.free_request(state)?;
                if state.under_way.contains(&state.workers[i]) {
                    return None;
                }
                next.under_way[free] = state.workers[i];
            }
            Action::Arrive { request, late } => {
                let worker = state.under_way[request];
                let question = self.question(state, worker, late)?;
                let answer = self.answer(question);
                next.under_way[request] = Worker::Idle;
                if answer.stored != question.stored || answer.put.is_some() {
                    step.events.note(Event::TookEffectLate);
                }
                self.take_effect(&mut step, worker, &answer);
            }
            Action::Finish(i, end) => {
                let Worker::Working { msg, lease } = state.workers[i] else {
                    return None;
                };
                let saw = match () {
                    () if !self.scenario.promotes => 0,
                    () if self.is_last(lease.place) => state.evaluated,
                    () => state.alias,
                };
                next.workers[i] = if self.is(Mutant::CommitBeforePut) {
                    Worker::Committing { msg, lease, end, saw }
                } else {
                    Worker::Publishing { msg, lease, end, saw }
                };
            }
            Action::Fault(i, class) => {
                let (Worker::Working { msg, lease } | Worker::Publishing { msg, lease, .. }) =
                    state.workers[i]
                else {
                    return None;
                };
                if class == FaultRank::Interrupted {
                    next.left.interrupts = state.left.interrupts.checked_sub(1)?;
                }
                next.workers[i] = Worker::Failing { msg, lease, class };
            }
            Action::Send(i) => self.send(next, i)?,
            Action::Ack(i) => {
                let Worker::Acking { msg } = state.workers[i] else {
                    return None;
                };
                next.queue = next.queue.without(msg);
                next.workers[i] = Worker::Idle;
            }
            Action::Crash(i) => next.workers[i] = Worker::Idle,
            Action::Lose(msg) => {
                next.queue = next.queue.without(msg);
                next.left.losses = state.left.losses.checked_sub(1)?;
            }
            Action::MoveAlias => {
                next.alias += 1;
                next.left.alias_moves = state.left.alias_moves.checked_sub(1)?;
            }
            Action::Rescue(place) => {
                let free = self.free_request(state)?;
                if !self.is_running(state, place) {
                    return None;
                }
                next.under_way[free] = Worker::Rescuing { place };
            }
            Action::Cancel => {
                let update = protocol::cancel(&self.birth.id, "enough", NOW);
                self.apply_to_run(&mut step, update)?;
                step.events.note(Event::Cancelled);
            }
            Action::SweepJoin(_) | Action::SweepClose | Action::SweepSend(_) | Action::Expire => {
                self.sweep(&mut step, action)?;
            }
        }
        self.tidy(&mut step.state);
        self.note_end(state, &mut step);
        (step.state != *state).then_some(step)
    }

    /// Where one more request can be under way.
    pub(super) fn free_request(&self, state: &State) -> Option<usize> {
        state.under_way[..self.scenario.under_way]
            .iter()
            .position(|request| *request == Worker::Idle)
    }

    /// What a request does to the stores, whoever hears of it.
    fn take_effect(&self, step: &mut Step, worker: Worker, answer: &Answer) {
        let state = &mut step.state;
        let place = match worker {
            Worker::Rescuing { place } => Some(place),
            _ => worker.msg().and_then(|msg| self.letter(msg).place),
        };
        match (worker, place.and_then(|place| self.work(place).branch)) {
            // What names nothing changed nothing, or R2 is broken.
            _ if place.is_none() => {}
            (Worker::Joining { .. } | Worker::Closing { .. }, _) | (_, None) => state.run = answer.stored,
            (_, Some(ordinal)) => state.branches[ordinal as usize] = answer.stored,
        }
        step.events.add(answer.events);
        state.broken.add(answer.broken);
        if let Some(place) = answer.won {
            state.claims[place.0 as usize] += 1;
            let is_early = !self.are_inputs_committed(state, place);
            state.broken.note(Invariant::I3, is_early);
        }
        if let Some((place, key, claim)) = answer.put {
            state.objects.put(place, key, claim);
        }
        if let Some(saw) = answer.evaluated {
            state.evaluated = saw;
        }
        if let Some((from, to)) = answer.promoted {
            state.alias = to;
            state.promotions += 1;
            state
                .broken
                .note(Invariant::P1, from != state.evaluated || state.promotions > 1);
            step.events.note(Event::Promoted);
        }
    }

    fn send(&self, state: &mut State, i: usize) -> Option<()> {
        let (msg, out, then) = match state.workers[i] {
            Worker::Sending {
                msg,
                out,
                acked: false,
            } if self.is(Mutant::DeleteBeforeSend) => {
                state.queue = state.queue.without(msg);
                state.workers[i] = Worker::Sending {
                    msg,
                    out,
                    acked: true,
                };
                return Some(());
            }
            Worker::Sending { msg, out, acked } => (
                msg,
                out,
                if acked {
                    Worker::Idle
                } else {
                    Worker::Acking { msg }
                },
            ),
            Worker::SendingEarly { msg, lease, end, saw } => {
                state.queue.0 |= self.early_messages(lease.place).0;
                state.workers[i] = Worker::Committing { msg, lease, end, saw };
                return Some(());
            }
            _ => return None,
        };
        let Some(first) = out.iter().next() else {
            state.workers[i] = then;
            return Some(());
        };
        state.queue = state.queue.with(first);
        let rest = out.without(first);
        let acked = then == Worker::Idle;
        state.workers[i] = if rest == Messages::default() {
            then
        } else {
            Worker::Sending {
                msg,
                out: rest,
                acked,
            }
        };
        Some(())
    }

    fn apply_to_run(&self, step: &mut Step, update: pipeline::GuardedUpdate) -> Option<()> {
        let stored = self.items.get(step.state.run)?;
        let (answer, _, broken) = self.evaluate(update, Some(&stored));
        step.state.broken.add(broken);
        step.state.run = answer.ok()?;
        Some(())
    }

    /// One thing that the sweeper does.
    fn sweep(&self, step: &mut Step, action: Action) -> Option<()> {
        let swept = self.swept(&step.state);
        let (run, event) = match action {
            Action::SweepJoin(n) => (*swept.joined.get(usize::from(n))?, Event::SweptJoin),
            Action::SweepClose => (swept.closed?, Event::SweptClose),
            Action::SweepSend(msg) => {
                step.state.queue = step.state.queue.with(msg);
                (swept.looked, Event::Resent)
            }
            Action::Expire => (swept.expired, Event::Expired),
            _ => return None,
        };
        step.state.run = run;
        step.events.note(event);
        Some(())
    }

    /// Leaves out what makes no difference: the order of workers and of requests under way; objects that no
    /// manifest names and none ever will; the queue, if any message may come anyway.
    fn tidy(&self, state: &mut State) {
        if self.scenario.delivery == Delivery::Anything {
            state.queue = Messages::default();
            for worker in &mut state.workers {
                if matches!(worker, Worker::Sending { .. } | Worker::Acking { .. }) {
                    *worker = Worker::Idle;
                }
            }
        }
        state.workers[..self.scenario.workers].sort_unstable();
        state.under_way[..self.scenario.under_way].sort_unstable();
        if state.objects != super::state::Objects::default() {
            let mut kept = super::state::Objects::default();
            let mut keep = |place, key| kept.put(place, key, state.objects.get(place, key));
            for id in state
                .branches
                .iter()
                .chain([&state.run])
                .filter(|id| id.is_some())
            {
                self.facts(*id)
                    .results
                    .iter()
                    .for_each(|(place, key, _)| keep(*place, *key));
            }
            for worker in state.workers.iter().chain(&state.under_way) {
                if let Some(lease) = worker.lease() {
                    keep(lease.place, self.key_of(self.attempt(lease)));
                }
            }
            state.objects = kept;
        }
    }

    fn note_end(&self, before: &State, step: &mut Step) {
        if step.state.run == before.run {
            return;
        }
        let Some(item) = self.items.get(step.state.run) else {
            return;
        };
        let Some(run) = item.as_run() else { return };
        match run.status {
            pipeline::RunStatus::Succeeded => step.events.note(Event::Succeeded),
            pipeline::RunStatus::Halted => step.events.note(Event::Halted),
            pipeline::RunStatus::Failed => step.events.note(Event::Failed),
            pipeline::RunStatus::Open | pipeline::RunStatus::Cancelled => {}
        }
    }

    /// True if the run has ended.
    pub fn is_terminal(&self, state: &State) -> bool {
        !self.is_open(state)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first_state()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.list_actions(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.step(state, action).map(|step| step.state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1", |m, s| !m.broken(s).has(Invariant::I1)),
            Property::always("I2", |m, s| !m.broken(s).has(Invariant::I2)),
            Property::always("I3", |m, s| !m.broken(s).has(Invariant::I3)),
            Property::always("I4", |m, s| !m.broken(s).has(Invariant::I4)),
            Property::always("I5", |m, s| !m.broken(s).has(Invariant::I5)),
            Property::always("I6", |m, s| !m.broken(s).has(Invariant::I6)),
            Property::always("P1", |m, s| !m.broken(s).has(Invariant::P1)),
            Property::always("Q1", |m, s| !m.broken(s).has(Invariant::Q1)),
            Property::always("Q2", |m, s| !m.broken(s).has(Invariant::Q2)),
            Property::always("R1", |m, s| !m.broken(s).has(Invariant::R1)),
            Property::always("R2", |m, s| !m.broken(s).has(Invariant::R2)),
        ]
    }
}
