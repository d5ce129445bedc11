//! Traces for people.

use pipeline::Item;

use super::action::Action;
use super::items::ItemId;
use super::protocol::Protocol;
use super::state::{Lease, Messages, Msg, Place, State, Worker};

impl Protocol {
    /// What happened, a line for each action.
    pub fn narrate(&self, actions: &[Action]) -> Vec<String> {
        let mut state = self.first_state();
        let mut lines = Vec::new();
        for action in actions {
            let mut line = self.tell(&state, *action);
            if let Some(step) = self.step(&state, *action) {
                if step.state.run != state.run {
                    line.push_str(&format!("; the run: {}", self.run_in_short(step.state.run)));
                }
                for (o, (old, new)) in state.branches.iter().zip(&step.state.branches).enumerate() {
                    if old != new {
                        line.push_str(&format!("; branch {o}: {}", self.run_in_short(*new)));
                    }
                }
                state = step.state;
            }
            lines.push(line);
        }
        lines
    }

    fn tell(&self, state: &State, action: Action) -> String {
        let is_late = |late: bool| if late { ", when leases are over" } else { "" };
        match action {
            Action::Receive(_, msg) => format!("a worker receives {}", self.msg_in_words(msg)),
            Action::Read(i) => format!(
                "the worker that is to {} reads the run",
                self.in_words(state.workers[i])
            ),
            Action::Ask { worker, late } => {
                format!(
                    "a worker does: {}{}",
                    self.in_words(state.workers[worker]),
                    is_late(late)
                )
            }
            Action::AskUnheard { worker, late } => {
                format!(
                    "a worker does, and the answer is lost: {}{}",
                    self.in_words(state.workers[worker]),
                    is_late(late)
                )
            }
            Action::Delay(i) => format!("held up on its way: {}", self.in_words(state.workers[i])),
            Action::Finish(i, end) => {
                format!("{}: the stage ends with {end:?}", self.in_words(state.workers[i]))
            }
            Action::Fault(i, class) => format!("{}: it fails, {class:?}", self.in_words(state.workers[i])),
            Action::Send(i) => format!("a worker sends: {}", self.in_words(state.workers[i])),
            Action::Ack(i) => format!("a worker does: {}", self.in_words(state.workers[i])),
            Action::GiveUp(i) => format!(
                "leased too often, acknowledged: {}",
                self.in_words(state.workers[i])
            ),
            Action::Crash(i) => format!(
                "a worker dies that was about to {}",
                self.in_words(state.workers[i])
            ),
            Action::Arrive { request, late } => {
                format!(
                    "takes effect after all: {}{}",
                    self.in_words(state.under_way[request]),
                    is_late(late)
                )
            }
            Action::Lose(msg) => format!("lost: {}", self.msg_in_words(msg)),
            Action::SweepJoin(_) => "the sweeper joins a settled branch".into(),
            Action::SweepClose => "the sweeper closes the fan-out".into(),
            Action::SweepSend(msg) => format!("the sweeper sends {}", self.msg_in_words(msg)),
            Action::Cancel => "somebody cancels the run".into(),
            Action::Expire => "the run's deadline passes".into(),
            Action::MoveAlias => "somebody else moves the alias".into(),
            Action::Rescue(place) => {
                format!("a rescuer reads that {} is worked on", self.place_in_words(place))
            }
        }
    }

    fn in_words(&self, worker: Worker) -> String {
        match worker {
            Worker::Idle => "nothing".into(),
            Worker::Claiming { msg, .. } => format!("claim by {}", self.msg_in_words(msg)),
            Worker::Working { lease, .. } => format!("run {}", self.lease_in_words(lease)),
            Worker::Publishing { lease, .. } | Worker::PublishingLate { lease, .. } => {
                format!("put the artifacts of {}", self.lease_in_words(lease))
            }
            Worker::Promoting { lease, .. } => format!("move the alias for {}", self.lease_in_words(lease)),
            Worker::SendingEarly { lease, .. } => format!("what comes after {}", self.lease_in_words(lease)),
            Worker::Committing { lease, end, .. } => {
                format!("commit {} ({end:?})", self.lease_in_words(lease))
            }
            Worker::Failing { lease, class, .. } => {
                format!("record {class:?} of {}", self.lease_in_words(lease))
            }
            Worker::Escalating { msg, class, .. } => {
                format!("move the work of {} to class {class}", self.msg_in_words(msg))
            }
            Worker::FailingSpent { msg, .. } => {
                format!("fail for good what {} names", self.msg_in_words(msg))
            }
            Worker::Joining { msg, lost } => {
                format!("join {}{}", self.work_of(msg), if lost { " as lost" } else { "" })
            }
            Worker::Closing { .. } => "close the fan-out".into(),
            Worker::Sending { out, acked, .. } => {
                format!(
                    "{}{}",
                    self.all_in_words(out),
                    if acked { ", its own being deleted" } else { "" }
                )
            }
            Worker::Acking { msg } => format!("acknowledge {}", self.msg_in_words(msg)),
            Worker::Rescuing { place } => format!("give {} back", self.place_in_words(place)),
        }
    }

    fn lease_in_words(&self, lease: Lease) -> String {
        format!(
            "attempt {} of {}",
            self.attempt(lease),
            self.place_in_words(lease.place)
        )
    }

    fn place_in_words(&self, place: Place) -> String {
        let work = self.work(place);
        work.branch
            .map_or_else(|| work.step.to_string(), |o| format!("{}{o}", work.step))
    }

    fn work_of(&self, msg: Msg) -> String {
        let work = &self.letter(msg).work;
        work.branch
            .map_or_else(|| work.step.to_string(), |o| format!("{}{o}", work.step))
    }

    fn msg_in_words(&self, msg: Msg) -> String {
        let letter = self.letter(msg);
        let after = letter
            .after
            .as_ref()
            .map_or_else(String::new, |after| format!(" after {after}"));
        format!(
            "the message of {}{after} in queue {}",
            self.work_of(msg),
            letter.queue
        )
    }

    fn all_in_words(&self, messages: Messages) -> String {
        messages
            .iter()
            .map(|msg| self.msg_in_words(msg))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn run_in_short(&self, id: ItemId) -> String {
        match self.items.get(id).as_deref() {
            None => "none".into(),
            Some(Item::Branch(branch)) => step_in_short(&branch.work),
            Some(Item::Run(run)) => {
                let steps = run
                    .steps_in_order()
                    .map(|(name, work)| format!("{name} {}", step_in_short(work)));
                format!("{}, {}", run.status, steps.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn step_in_short(work: &pipeline::StepItem) -> String {
    let state = format!("{:?}", work.state).to_lowercase();
    if work.attempt == 0 {
        state
    } else {
        format!("{state} (attempt {})", work.attempt)
    }
}
