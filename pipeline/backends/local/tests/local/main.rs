//! The local backend: every port's suite, and what only a folder shared by processes can go through.

mod children;
mod conformance;
mod crash;
mod damage;
mod host;
mod items;
mod logs;
mod places;
mod processes;
mod queues;
