//! Named pipelines: what upstream systems may ask for, and the places that their runs take.

use async_trait::async_trait;

use crate::id::{PipelineName, RunId};
use crate::intake::Definition;
use crate::ports::PortResult;

/// Pipelines by name.
#[async_trait]
pub trait Pipelines: Send + Sync {
    /// Keeps a pipeline under its name; replaces an earlier one.
    async fn put(&self, definition: &Definition) -> PortResult<()>;

    /// The pipeline of that name.
    async fn get(&self, name: &PipelineName) -> PortResult<Option<Definition>>;

    /// All of them, by name.
    async fn list(&self) -> PortResult<Vec<Definition>>;

    /// Removes a pipeline; false if there was none. Its runs stay.
    async fn remove(&self, name: &PipelineName) -> PortResult<bool>;

    /// Takes one of the pipeline's `max` places for a run, unless they are taken by others. Taking one twice is taking it
    /// once.
    async fn enter(&self, name: &PipelineName, run: &RunId, max: u32) -> PortResult<Entered>;

    /// Gives a run's place back. Giving back what is free is success.
    async fn leave(&self, name: &PipelineName, run: &RunId) -> PortResult<()>;
}

/// What [`Pipelines::enter`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered {
    /// The run has a place.
    In,
    /// All places are taken, by these.
    Full(Vec<RunId>),
}
