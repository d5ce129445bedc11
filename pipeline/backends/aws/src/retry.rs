//! Retries that the SDK does not do: of what is refused because somebody else was at it at that moment, and of the part of
//! a batch that was left undone. The only module that uses `backoff`.

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use pipeline::ports::Host;

use crate::error::Fault;

/// How often at most.
const ATTEMPTS: u32 = 6;

/// The attempts of one operation. Call [`Retries::again`] with what may pass.
pub(crate) struct Retries<'a> {
    host: &'a Host,
    pauses: ExponentialBackoff,
    left: u32,
}

impl<'a> Retries<'a> {
    pub(crate) fn new(host: &'a Host) -> Self {
        let pauses = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(50))
            .with_max_interval(Duration::from_secs(2))
            .with_randomization_factor(0.5)
            .with_max_elapsed_time(None)
            .build();
        Self {
            host,
            pauses,
            left: ATTEMPTS - 1,
        }
    }

    /// Waits a while before the next attempt; after the last one gives the fault back.
    pub(crate) async fn again(&mut self, fault: Fault) -> Result<(), Fault> {
        let pause = self.pauses.next_backoff().filter(|_| self.left > 0);
        let Some(pause) = pause else {
            return Err(fault);
        };
        self.left -= 1;
        self.host.clock.sleep(pause).await;
        Ok(())
    }
}

/// True if the service says that another request was changing the same thing.
pub(crate) fn is_conflict_in_passing(fault: &Fault) -> bool {
    const CODES: [&str; 4] = [
        "ConditionalRequestConflict",
        "OperationAborted",
        "TransactionConflictException",
        "TransactionInProgressException",
    ];
    fault
        .failure()
        .is_some_and(|failure| CODES.contains(&failure.code.as_str()))
}
