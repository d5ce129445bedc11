//! The real binary on a real folder. Where a run needs results, the test does a worker's part itself, by the
//! protocol.

mod artifacts;
mod dead_letters;
mod gc;
mod help;
mod models;
mod runs;
mod scaling;
mod submit;
mod support;
mod watch;
