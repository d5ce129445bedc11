//! Pure machine learning on data frames: what a column is ([`dataset`]), how it is described ([`statistics`]), how it
//! becomes features ([`features`]), what learns from them ([`models`]), how good that is ([`metrics`]), why it predicts
//! as it does ([`explain`]), how people see it ([`report`]), and what is deployed of it ([`package`]).
//!
//! This crate knows no pipeline, no queue and no store, reads no clock and no environment, and touches only files that
//! it is handed. Equal inputs, parameters and seed give equal results, to the byte, at any thread count.

pub mod container;
pub mod dataset;
pub mod explain;
pub mod features;
pub mod frame;
pub mod metrics;
pub mod models;
pub mod package;
mod pool;
pub mod report;
pub mod statistics;
