//! What shows that the protocol is right: a model of it, whose every reachable state is searched.
//!
//! [`model`] says what is modelled, what is left out, and why nothing is lost by that.

pub mod model;
