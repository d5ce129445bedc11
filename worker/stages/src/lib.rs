//! The stages: what each kind of work does, one module each, and the [`registry`](mod@registry) of all of them.
//!
//! A stage knows its assignment, a folder to read and a folder to write, and nothing of queues, stores or runtimes:
//! the crate's dependencies hold it to that. The ones here so far are for tests, benches and first steps. What a
//! stage can be told stands in [`pipeline::spec`].

mod allocate;
mod assigned;
mod crash;
mod fan_out;
mod flaky;
mod noop;
pub mod registry;
mod sleep;
#[cfg(test)]
mod testing;

pub use registry::{find, registry};
