//! The fleet's binary as a library: configuration, the pools, one attempt, the lease, health and metrics.
//!
//! Everything that decides goes through the ports of [`pipeline::ports`], so that the same pool runs on the real
//! backends and under simulation. Only [`backend`] names a backend, only [`config`] reads the environment, only
//! [`host`] touches the clock.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic once the reader is gone: `output` does not

pub mod agent;
pub mod attempt;
pub mod backend;
pub mod background;
pub mod cache;
pub mod child;
pub mod client;
pub mod config;
pub mod delivery;
pub mod demand;
pub mod drain;
pub mod execute;
pub mod fleet;
pub mod found;
pub mod host;
pub mod http;
pub mod intake;
pub mod lease;
pub mod metrics;
pub mod moments;
pub mod outlets;
pub mod output;
pub mod pool;
pub mod predict;
pub mod requests;
pub mod run;
pub mod scratch;
pub mod settle;
pub mod spec;
pub mod telemetry;
pub mod worker;
