//! What may happen in a state.

use super::mutant::Mutant;
use super::protocol::Protocol;
use super::scenario::Delivery;
use super::state::{End, FaultRank, Msg, Place, State, Worker};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "a variant's text says what its fields are")]
pub enum Action {
    /// A worker gets a message.
    Receive(usize, Msg),
    /// A worker reads the run, before it claims a branch.
    Read(usize),
    /// A worker's request takes effect and is answered; `late`: when every lease is over.
    Ask { worker: usize, late: bool },
    /// A worker's request takes effect, and its answer is lost: the worker asks again.
    AskUnheard { worker: usize, late: bool },
    /// A worker's request is held up: the worker asks again, and this one takes effect whenever it likes.
    Delay(usize),
    /// A worker's stage ends well.
    Finish(usize, End),
    /// A worker's stage fails, or what it does afterwards with its result.
    Fault(usize, FaultRank),
    /// A worker sends its next message.
    Send(usize),
    /// A worker acknowledges its message.
    Ack(usize),
    /// A worker found its message leased too often, and acknowledges it.
    GiveUp(usize),
    /// A worker dies and forgets everything; its message comes again.
    Crash(usize),
    /// A request that was held up takes effect.
    Arrive { request: usize, late: bool },
    /// A message is lost.
    Lose(Msg),
    /// The sweeper joins a settled branch that may have been forgotten.
    SweepJoin(u8),
    /// The sweeper closes a full fan-out.
    SweepClose,
    /// The sweeper sends a message that may have been lost.
    SweepSend(Msg),
    /// The run is cancelled.
    Cancel,
    /// The run's deadline passes, and the sweeper sees it.
    Expire,
    /// Somebody else moves the alias.
    MoveAlias,
    /// Mutant only: somebody reads that a place is worked on, and means to give it back.
    Rescue(Place),
}

impl Action {
    /// True if it needs neither a fault nor somebody's help: what the system does by itself, given time.
    pub fn is_progress(&self) -> bool {
        match self {
            Self::Receive(..)
            | Self::Read(_)
            | Self::Ask { .. }
            | Self::Finish(_, End::Advance | End::Promote | End::Register)
            | Self::Send(_)
            | Self::Ack(_)
            | Self::GiveUp(_)
            | Self::SweepJoin(_)
            | Self::SweepClose
            | Self::SweepSend(_) => true,
            Self::AskUnheard { .. }
            | Self::Delay(_)
            | Self::Finish(_, End::Halt)
            | Self::Fault(..)
            | Self::Crash(_)
            | Self::Arrive { .. }
            | Self::Lose(_)
            | Self::Cancel
            | Self::Expire
            | Self::MoveAlias
            | Self::Rescue(_) => false,
        }
    }
}

impl Protocol {
    /// Every action that may be possible in `state`; [`Protocol::step`] knows better.
    pub fn list_actions(&self, state: &State, out: &mut Vec<Action>) {
        let scenario = &self.scenario;
        let is_open = self.is_open(state);
        for (i, worker) in state.workers.iter().enumerate().take(scenario.workers) {
            if *worker == Worker::Idle {
                // All idle workers are alike.
                if !state.workers[..i].contains(&Worker::Idle) {
                    self.receivable(state, is_open)
                        .for_each(|msg| out.push(Action::Receive(i, msg)));
                }
                continue;
            }
            self.list_of_worker(state, i, *worker, out);
        }
        for (i, worker) in state.under_way.iter().enumerate().take(scenario.under_way) {
            if *worker != Worker::Idle && !state.under_way[..i].contains(worker) {
                out.push(Action::Arrive {
                    request: i,
                    late: false,
                });
                if reads_time(worker) {
                    out.push(Action::Arrive {
                        request: i,
                        late: true,
                    });
                }
            }
        }
        if state.left.losses > 0 {
            state.queue.iter().for_each(|msg| out.push(Action::Lose(msg)));
        }
        if is_open {
            self.list_of_environment(state, out);
        }
    }

    fn receivable(&self, state: &State, is_open: bool) -> Box<dyn Iterator<Item = Msg> + '_> {
        match self.scenario.delivery {
            Delivery::Anything => Box::new((0..self.letters.len() as u8).map(Msg)),
            // A message of a run that ended is acknowledged, which the other kind of delivery shows.
            Delivery::AtLeastOnce { .. } if !is_open => Box::new(std::iter::empty()),
            Delivery::AtLeastOnce { .. } => Box::new(state.queue.iter()),
        }
    }

    fn list_of_worker(&self, state: &State, i: usize, worker: Worker, out: &mut Vec<Action>) {
        let scenario = &self.scenario;
        out.push(Action::Crash(i));
        match worker {
            Worker::Claiming { msg, read, .. }
                if self.letter(msg).work.branch.is_some() && !read.is_some() =>
            {
                out.push(Action::Read(i));
                return;
            }
            Worker::Working { msg, lease } => {
                let is_branch = self.letter(msg).work.branch.is_some();
                let end = if self.is_last(lease.place) && scenario.promotes {
                    End::Promote
                } else {
                    End::Advance
                };
                out.push(Action::Finish(i, end));
                if scenario.may_halt && !is_branch {
                    out.push(Action::Finish(i, End::Halt));
                }
                self.list_faults(state, i, scenario.faults, out);
                return;
            }
            Worker::Sending { .. } | Worker::SendingEarly { .. } => return out.push(Action::Send(i)),
            Worker::Acking { .. } => return out.push(Action::Ack(i)),
            Worker::Publishing { .. } => {
                let passing = [FaultRank::Transient, FaultRank::Interrupted];
                let possible: Vec<_> = passing
                    .into_iter()
                    .filter(|f| scenario.faults.contains(f))
                    .collect();
                self.list_faults(state, i, &possible, out);
            }
            _ => {}
        }
        for late in [false, true] {
            if late && !reads_time(&worker) {
                continue;
            }
            out.push(Action::Ask { worker: i, late });
            if scenario.loses_answers {
                out.push(Action::AskUnheard { worker: i, late });
            }
        }
        if scenario.has_sweeper && matches!(worker, Worker::Claiming { .. }) {
            out.push(Action::GiveUp(i));
        }
        let is_delayed = scenario.delays_all
            || matches!(
                worker,
                Worker::Publishing { .. }
                    | Worker::PublishingLate { .. }
                    | Worker::Committing { .. }
                    | Worker::Failing { .. }
            );
        if is_delayed && self.free_request(state).is_some() {
            out.push(Action::Delay(i));
        }
    }

    fn list_faults(&self, state: &State, i: usize, faults: &[FaultRank], out: &mut Vec<Action>) {
        for fault in faults {
            if *fault != FaultRank::Interrupted || state.left.interrupts > 0 {
                out.push(Action::Fault(i, *fault));
            }
        }
    }

    fn list_of_environment(&self, state: &State, out: &mut Vec<Action>) {
        let scenario = &self.scenario;
        if scenario.has_sweeper && !self.is(Mutant::NoSweeper) {
            let swept = self.swept(state);
            (0..swept.joined.len() as u8).for_each(|n| out.push(Action::SweepJoin(n)));
            if swept.closed.is_some() {
                out.push(Action::SweepClose);
            }
            if scenario.delivery != Delivery::Anything {
                let lost = swept.messages.iter().filter(|msg| !state.queue.has(*msg));
                out.extend(lost.map(Action::SweepSend));
            }
        }
        if scenario.may_cancel {
            out.push(Action::Cancel);
        }
        if scenario.may_expire {
            out.push(Action::Expire);
        }
        if state.left.alias_moves > 0 {
            out.push(Action::MoveAlias);
        }
        if self.is(Mutant::UnconditionalRescuer) && self.free_request(state).is_some() {
            (0..self.places.len() as u8)
                .map(Place)
                .for_each(|place| out.push(Action::Rescue(place)));
        }
    }
}

/// True if a request's guards read the time.
fn reads_time(worker: &Worker) -> bool {
    matches!(
        worker,
        Worker::Claiming { .. } | Worker::Escalating { .. } | Worker::FailingSpent { .. }
    )
}
