//! What a state of the model holds.

use pipeline::MemoryClass;
use pipeline::item::FaultClass;

use super::invariant::Broken;
use super::items::ItemId;

/// The most workers a scenario may have.
pub const MAX_WORKERS: usize = 3;
/// The most requests that may be under way without anybody waiting for them.
pub const MAX_UNDER_WAY: usize = 2;
/// The most steps and branches together: places where work is done.
pub const MAX_PLACES: usize = 5;
/// The most branches of the fanned-out step.
pub const MAX_BRANCHES: usize = 3;
/// Attempts are below this.
pub const MAX_ATTEMPTS: usize = 10;

/// Where work is done: a step that is not fanned out, or a branch. An index into the scenario's list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u8);

/// A message, as an index into the scenario's list of all messages that there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msg(pub u8);

/// A set of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Messages(pub u32);

impl Messages {
    /// With `msg` in it.
    pub fn with(self, msg: Msg) -> Self {
        Self(self.0 | 1 << msg.0)
    }

    /// Without `msg`.
    pub fn without(self, msg: Msg) -> Self {
        Self(self.0 & !(1 << msg.0))
    }

    /// True if `msg` is in it.
    pub fn has(self, msg: Msg) -> bool {
        self.0 & 1 << msg.0 != 0
    }

    /// Those in it, by number.
    pub fn iter(self) -> impl Iterator<Item = Msg> {
        (0..u32::BITS as u8).map(Msg).filter(move |msg| self.has(*msg))
    }
}

/// How an attempt ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// On to the next step, in branches if that is fanned out.
    Advance,
    /// The data said no.
    Halt,
    /// The last step registers a model, and promotes it if the alias is still what the evaluation saw.
    Promote,
    /// The last step registers a model only.
    Register,
}

/// A lease that a worker believes to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// On what.
    pub place: Place,
    /// The how manieth claim of that place won it; names the nonce and the bytes that the attempt writes.
    pub claim: u8,
    /// The item as the claim left it.
    pub item: ItemId,
}

/// What one worker is about to do; also what a request does that is under way without its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    missing_docs,
    reason = "a variant's text says what its fields are, where their types do not"
)]
pub enum Worker {
    /// Nothing.
    Idle,
    /// Claim what the message names. A branch's claim needs the run to be read before: `read`. `won` is the number
    /// of the claim that was won without its answer arriving, 0 if there is none.
    Claiming { msg: Msg, read: ItemId, won: u8 },
    /// Run the stage.
    Working { msg: Msg, lease: Lease },
    /// Put the artifacts into the store. `saw` is the alias' revision in the result (of the evaluation), or that
    /// the result relies on (of the last step).
    Publishing {
        msg: Msg,
        lease: Lease,
        end: End,
        saw: u8,
    },
    /// Mutant only: move the alias apart from the commit.
    Promoting { msg: Msg, lease: Lease, saw: u8 },
    /// Mutant only: send what comes next, before the commit.
    SendingEarly {
        msg: Msg,
        lease: Lease,
        end: End,
        saw: u8,
    },
    /// Commit the result.
    Committing {
        msg: Msg,
        lease: Lease,
        end: End,
        saw: u8,
    },
    /// Mutant only: put the artifacts after the commit; `out` is to be sent after that.
    PublishingLate { msg: Msg, lease: Lease, out: Messages },
    /// Record a failure.
    Failing {
        msg: Msg,
        lease: Lease,
        class: FaultRank,
    },
    /// Move what died twice to the next class.
    Escalating {
        msg: Msg,
        class: MemoryClass,
        attempt: u8,
    },
    /// Fail what spent its crash budget; `item` is what the refused claim showed.
    FailingSpent { msg: Msg, item: ItemId },
    /// Join a settled branch to the others.
    Joining { msg: Msg, lost: bool },
    /// Close the fan-out, which `run` shows to be full.
    Closing { msg: Msg, run: ItemId },
    /// Send these. `acked`: mutant only, the message was deleted before.
    Sending { msg: Msg, out: Messages, acked: bool },
    /// Acknowledge.
    Acking { msg: Msg },
    /// Mutant only: give back what once looked abandoned, whatever it is now.
    Rescuing { place: Place },
}

/// A fault's class, with an order so that states can be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultRank {
    /// [`FaultClass::Transient`]
    Transient,
    /// [`FaultClass::Permanent`]
    Permanent,
    /// [`FaultClass::Memory`]
    Memory,
    /// [`FaultClass::Crash`]: of the stage's child process, so that its worker lives to tell.
    Crash,
    /// [`FaultClass::Interrupted`]
    Interrupted,
}

impl FaultRank {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Transient,
        Self::Permanent,
        Self::Memory,
        Self::Crash,
        Self::Interrupted,
    ];

    /// As the protocol calls it.
    pub fn class(self) -> FaultClass {
        match self {
            Self::Transient => FaultClass::Transient,
            Self::Permanent => FaultClass::Permanent,
            Self::Memory => FaultClass::Memory,
            Self::Crash => FaultClass::Crash,
            Self::Interrupted => FaultClass::Interrupted,
        }
    }
}

impl Worker {
    /// The message that it is busy with.
    pub fn msg(&self) -> Option<Msg> {
        match *self {
            Self::Idle | Self::Rescuing { .. } => None,
            Self::Claiming { msg, .. }
            | Self::Working { msg, .. }
            | Self::Publishing { msg, .. }
            | Self::Promoting { msg, .. }
            | Self::SendingEarly { msg, .. }
            | Self::Committing { msg, .. }
            | Self::PublishingLate { msg, .. }
            | Self::Failing { msg, .. }
            | Self::Escalating { msg, .. }
            | Self::FailingSpent { msg, .. }
            | Self::Joining { msg, .. }
            | Self::Closing { msg, .. }
            | Self::Sending { msg, .. }
            | Self::Acking { msg } => Some(msg),
        }
    }

    /// The attempt that it may still publish or commit something of.
    pub fn lease(&self) -> Option<Lease> {
        match *self {
            Self::Working { lease, .. }
            | Self::Publishing { lease, .. }
            | Self::Promoting { lease, .. }
            | Self::SendingEarly { lease, .. }
            | Self::Committing { lease, .. }
            | Self::PublishingLate { lease, .. }
            | Self::Failing { lease, .. } => Some(lease),
            _ => None,
        }
    }
}

/// Objects by place and attempt: which claim's bytes lie there, 0 if none do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Objects([u8; MAX_PLACES * MAX_ATTEMPTS]);

impl Default for Objects {
    fn default() -> Self {
        Self([0; MAX_PLACES * MAX_ATTEMPTS])
    }
}

impl Objects {
    fn at(place: Place, attempt: u32) -> usize {
        assert!(
            (attempt as usize) < MAX_ATTEMPTS,
            "a scenario's budgets allow fewer than {MAX_ATTEMPTS} attempts"
        );
        place.0 as usize * MAX_ATTEMPTS + attempt as usize
    }

    /// Whose bytes lie under the key of that attempt; 0 if there are none.
    pub fn get(&self, place: Place, attempt: u32) -> u8 {
        self.0[Self::at(place, attempt)]
    }

    /// Writes, over what was there: the protocol may not lean on a store that refuses that.
    pub fn put(&mut self, place: Place, attempt: u32, claim: u8) {
        self.0[Self::at(place, attempt)] = claim;
    }
}

/// What the environment may still do, where that is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Left {
    /// Messages to lose.
    pub losses: u8,
    /// Attempts to interrupt: they are charged nothing, so that their number has no other bound.
    pub interrupts: u8,
    /// Times that somebody else moves the alias.
    pub alias_moves: u8,
}

/// A state: everything that lies in a store, is under way, or is known to a worker; and what of the past the
/// invariants speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// The run's item.
    pub run: ItemId,
    /// The branches' items, by ordinal.
    pub branches: [ItemId; MAX_BRANCHES],
    /// The artifact store.
    pub objects: Objects,
    /// Messages that were sent and not acknowledged; delivered any number of times in any order.
    pub queue: Messages,
    /// The alias' revision; 0 is "there is none".
    pub alias: u8,
    /// The workers, sorted: which is which makes no difference.
    pub workers: [Worker; MAX_WORKERS],
    /// Requests that take effect later, sorted.
    pub under_way: [Worker; MAX_UNDER_WAY],
    /// What is left of bounded faults.
    pub left: Left,
    /// Past: how many claims each place has seen. The same as its attempt, unless a mutant counts attempts down.
    pub claims: [u8; MAX_PLACES],
    /// Past: the alias' revision that the committed evaluation saw.
    pub evaluated: u8,
    /// Past: how often this run moved the alias.
    pub promotions: u8,
    /// Past: what went wrong. Nothing, in a right protocol.
    pub broken: Broken,
}
