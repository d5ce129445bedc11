//! What shows that the protocol is right, and that the code keeps to it.
//!
//! [`model`] is a model of the protocol, whose every reachable state is searched.
//!
//! The rest is a simulated world for the real code to run in: an [`executor`] of one thread with virtual time, a
//! [`host`] for each process, and a backend over the stores of a [`world`], in which calls go wrong ([`fault`]) as a seed
//! draws it. The [`ledger`] watches the stores and tells what must not be. Equal seeds give equal worlds: nothing here
//! reads a clock, draws randomness of its own, or depends on the order of a hash.

mod backend;
pub mod executor;
pub mod fault;
pub mod host;
pub mod ledger;
pub mod model;
pub mod random;
pub mod stores;
pub mod trace;
pub mod world;

pub use executor::{ProcessId, SCRIPT, Simulation};
pub use random::Seeded;
pub use trace::Trace;
pub use world::World;
