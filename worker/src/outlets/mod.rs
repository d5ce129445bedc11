//! What a process tells the outside of its own accord: spans to a collector, the ends of runs to whoever must know.
//!
//! Neither is ever in the way of work: both are told in the background, with bounds on time and memory, and a receiver that is
//! not there costs nothing but what it would have been told.

mod notices;
pub mod otlp;
mod spans;
mod watched;

use std::sync::Arc;

use pipeline::RunItem;
use pipeline::ports::Host;

pub use notices::Notices;
pub use spans::{AttemptSpan, Spans};
pub use watched::watched;

/// Where to; nowhere, unless settings say so. Under simulation nothing is told.
#[derive(Clone, Default)]
pub struct Outlets {
    /// Who collects spans.
    pub spans: Option<Arc<Spans>>,
    /// Who is told of runs that ended badly.
    pub notices: Option<Arc<Notices>>,
}

impl Outlets {
    /// True if nobody is told anything.
    pub fn are_none(&self) -> bool {
        self.spans.is_none() && self.notices.is_none()
    }

    /// A run ended, by what this process did.
    fn ended(&self, run: &RunItem) {
        if let Some(spans) = &self.spans {
            spans.run(run);
        }
        if let Some(notices) = &self.notices {
            notices.tell(run);
        }
    }

    /// Tells what is left to be told, within bounds: the process is about to end.
    pub async fn flush(&self, host: &Host) {
        if let Some(notices) = &self.notices {
            notices.flush().await;
        }
        if let Some(spans) = &self.spans {
            spans.flush(&*host.clock).await;
        }
    }
}
