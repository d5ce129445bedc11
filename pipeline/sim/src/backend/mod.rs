//! The simulated backend: every port over the stores of a world.

mod artifacts;
mod others;
mod queue;
mod registry;
mod runs;

use std::sync::Arc;

use pipeline::ports::Backend;

use crate::world::Link;

impl Link {
    /// The backend as its process sees it.
    pub fn backend(&self) -> Backend {
        let link = Arc::new(self.clone());
        Backend {
            queue: link.clone(),
            artifacts: link.clone(),
            runs: link.clone(),
            registry: link.clone(),
            fleet: link.clone(),
            pipelines: link.clone(),
            sources: link,
        }
    }
}
