//! The protocol's model: what workers, queues, stores and people can do to one run, in every order.
//!
//! # Whose code is checked
//!
//! The model's states hold real items ([`pipeline::RunItem`], [`pipeline::BranchItem`]). Its transitions call
//! `pipeline::protocol` to make a real [`pipeline::GuardedUpdate`], and apply it with
//! [`GuardedUpdate::evaluate`](pipeline::GuardedUpdate::evaluate), as the backends do. No condition is written a second
//! time. What *is* written here a second time is the order in which a worker does things: the model's `ask` and `step`
//! follow the pool's delivery and `pipeline::operate`, cut at every point at which something can come between, because
//! the real ones cannot be stopped there. Whoever changes the order there changes it here.
//!
//! # What can happen
//!
//! Two workers (three in some scenarios) each handle one delivery after another. Every one of these is a transition of
//! its own, so everything interleaves: receive, read the run (branches; it may be stale by the time of the claim),
//! claim, run the stage, put the artifacts, commit, join a branch, close the fan-out, send each message, acknowledge;
//! and on other ways record a failure, escalate, fail for good, bury.
//!
//! | what goes wrong | how often |
//! |---|---|
//! | a worker dies, at any point, and forgets everything; its message comes again | unbounded |
//! | a message is delivered again, late, out of order, to two workers at once | unbounded |
//! | a lease is over, though its holder lives and works on | unbounded |
//! | an update is applied and its answer is lost | unbounded |
//! | an acknowledgement is lost: the worker dies just before it | unbounded |
//! | any message comes, unsent, to a wrong queue, or naming what does not exist ([`scenario::Delivery::Anything`]) | unbounded |
//! | a stage fails (transient, memory, crash of its child) | by the run's own budgets |
//! | a stage fails for good, or halts; cancel; the deadline passes | once each, by their nature |
//! | an attempt is interrupted, which no budget counts | by the scenario: attempts would grow for ever |
//! | a request takes effect long after it was sent, its worker being elsewhere or dead | unbounded in all, one or two at a time: each multiplies the states |
//! | a message is lost | by the scenario: each multiplies the states |
//! | somebody else moves the alias | by the scenario: revisions would grow for ever |
//!
//! # What is left out, and why that is sound
//!
//! * **Time.** There is no clock. An item keeps only *whether* a time is recorded, and each update that reads the time
//!   is evaluated both before and after every lease's end. So leases end at any moment, and a renewal changes nothing;
//!   a renewal that is refused stops the work, which is a worker's death. Every behaviour of real clocks, skewed ones
//!   too, is one of the model's. The sweeper's patience is left out likewise: it may send at any time, which is more
//!   than it does. How *often* it sends is not the model's subject.
//! * **Messages are a set.** A second copy of a message shows only if the first is acknowledged and it still comes; a
//!   worker that dies before it acknowledges leaves the same behind.
//! * **Nonces** are named by the number of the claim that won. Fresh ones are compared with nothing but stored ones, so
//!   their names do not matter.
//! * **Bytes** are named by the claim that wrote them: no two attempts write the same, which is harder than reality.
//!   The store lets a later put replace an earlier one, so that nothing leans on its refusing that. Objects that no
//!   manifest names, or will, are forgotten.
//! * **Workers are alike**, and states that differ in their order only are one.
//! * **Texts for people**: of reasons, that there is one; of the last fault, nothing; no decision reads them.
//! * **The end of a run**: with at-least-once delivery nothing is received after it. The scenarios in which anything is
//!   delivered go on.
//! * **One run.** Runs share nothing but the alias, whose moves by others are modelled. Creation, resumption, the cache
//!   and garbage collection are not: they are tested elsewhere.
//!
//! Every state that the bounds above admit is searched: the state space is finite because attempts are, and attempts
//! are because every claim charges a budget. No depth is cut off.
//!
//! # What is asked
//!
//! [`invariant::Invariant`]. All but L2 are judged in every state; those that speak of the past (a second result, a
//! changed status) are noted by the transition that breaks them. L2, "a terminal state is reachable from every state",
//! is asked more sharply than it reads, since a cancel or a deadline would always do: along transitions that are
//! *progress*, without any fault, without anybody's help and before any deadline. [`search`] says why stateright's own
//! checkers cannot judge it; for the others they are a second opinion, which the tests ask for.
//!
//! # Why to believe it
//!
//! A model that is too weak calls everything safe. So [`mutant::Mutant`] puts one mistake at a time into the protocol,
//! and the tests hold that each is caught by the invariant it ought to break; and [`invariant::Event`] lists what the
//! search must have seen. Where the protocol has two defences, the mutant's scenario leaves the other one out: without
//! a sweeper for a message that is deleted too early, with any message at all for a claim that does not ask for its
//! predecessor. [`scenario::Scenario::redelivery`] without a mutant shows that the first defence alone suffices there.

pub mod action;
mod ask;
mod claiming;
pub mod invariant;
mod items;
mod judge;
mod letter;
mod memo;
pub mod mutant;
mod protocol;
pub mod scenario;
pub mod search;
mod settling;
pub mod state;
pub mod step;
mod sweep;
mod trace;

pub use protocol::Protocol;
