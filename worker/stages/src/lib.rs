//! The stages: what each kind of work does, one module each, and the [`registry`](mod@registry) of all of them.
//!
//! A stage knows its assignment, a folder to read and a folder to write, and nothing of queues, stores or runtimes:
//! the crate's dependencies hold it to that. The ones here so far are for tests, benches and first steps. What a
//! stage can be told stands in [`pipeline::spec`].

mod allocate;
mod assigned;
mod crash;
mod demand;
mod deploy;
mod evaluate;
mod explain;
mod extract;
mod fan_out;
mod flaky;
#[allow(dead_code, reason = "stages come one by one")]
mod flow;
mod noop;
pub mod predict;
pub mod registry;
mod sleep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_deployed;
mod train;
mod transform;
mod validate;
mod winner;

pub use demand::table_shape;
pub use extract::{check_sql, starter};
pub use registry::{find, registry};

/// The digest, in hexadecimal, of everything that decides what a stage makes of its inputs: this crate's and `ml`'s
/// sources, and the versions of the libraries that they lean on. A result of other code is no result of this one.
pub const CODE: &str = env!("FLEETLINE_STAGES_CODE");
