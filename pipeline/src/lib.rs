//! The contract that everything in fleetline leans on.
//!
//! This crate says what a run, a step, a message and an artifact are ([`id`], [`envelope`], [`item`],
//! [`artifact`]), how a specification becomes a plan ([`spec`], [`plan`]), which conditional updates move a run
//! forward ([`guard`], [`change`], [`update`], [`protocol`]), and what a backend must offer ([`ports`]).
//! [`operate`] holds the few sequences of port calls that people and workers share (submit, drive, sweep, …).
//!
//! It does no I/O, reads no clock, draws no randomness and looks at no environment: all of that comes through
//! the ports, so that the same code runs in production, in the simulator and in the model checker.

mod address;
pub mod artifact;
pub mod change;
pub mod components;
#[cfg(feature = "conformance")]
pub mod conformance;
mod demand;
pub mod diagnosis;
pub mod digest;
pub mod envelope;
mod fault;
pub mod guard;
pub mod id;
pub mod intake;
pub mod item;
pub mod log_line;
mod measured;
pub mod operate;
pub mod plan;
pub mod ports;
pub mod protocol;
mod queue_name;
pub mod registry;
pub mod results;
#[cfg(feature = "schema")]
pub mod schema;
pub mod spec;
pub mod stage;
mod status;
mod text;
pub mod time;
pub mod trace;
pub mod update;

pub use address::{Address, InvalidAddress};
pub use artifact::{ArtifactKey, ArtifactRef, Manifest};
pub use digest::Sha256Digest;
pub use envelope::Envelope;
pub use id::{ArtifactName, Nonce, PipelineName, RunId, StageName, StepName, WorkerId};
pub use item::{
    BranchItem, Item, ItemKey, MemoryClass, QueueName, RunItem, RunStatus, Slot, StepItem, StepState,
};
pub use spec::Spec;
pub use time::Timestamp;
pub use update::GuardedUpdate;
