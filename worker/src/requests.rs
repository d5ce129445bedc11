//! What an attempt asked of services that are paid by the request.
//!
//! Requests are made far below the ports, which know no attempts. So a delivery is handled within a scope of its task, and
//! whoever hears of a request counts it in the scope in which it was made. Requests that are made in tasks of their own, as
//! those of batches, are in no scope: [`Rest`] stands for them.

use std::sync::Mutex;
use std::sync::PoisonError;

use pipeline::item::{RequestKind, Requests};

tokio::task_local! {
    static COUNTED: Mutex<Requests>;
}

/// Does the work, with its requests counted.
pub async fn counting<F: Future>(work: F) -> F::Output {
    COUNTED.scope(Mutex::default(), work).await
}

/// A request was made: it counts where it belongs to an attempt.
pub fn made(kind: RequestKind) {
    // Outside of a scope it is nobody's.
    let _ = COUNTED.try_with(|counted| counted.lock().unwrap_or_else(PoisonError::into_inner).count(kind));
}

/// What was counted in this scope; none if nothing was, as where requests cost nothing.
pub fn so_far() -> Option<Requests> {
    let counted = COUNTED.try_with(|counted| *counted.lock().unwrap_or_else(PoisonError::into_inner));
    counted.ok().filter(|requests| *requests != Requests::default())
}

/// What belongs to a delivery and cannot be counted before its commit is written.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// How many messages follow.
    pub messages: u32,
    /// How many entries the cache keeps.
    pub cached: u32,
    /// True for a branch, which joins the others.
    pub joins: bool,
}

impl Rest {
    /// The most messages that one request sends.
    const BATCH: u32 = 10;

    /// As requests, when nothing goes wrong and nobody shares them.
    pub fn requests(self) -> Requests {
        Requests {
            // The receive and the acknowledgement.
            queue: 2 + self.messages.div_ceil(Self::BATCH),
            // The commit.
            table_writes: 1 + self.cached + u32::from(self.joins),
            ..Requests::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_count_where_they_were_made() {
        made(RequestKind::Queue);
        assert_eq!(so_far(), None, "of nobody");
        let attempt = |kind, times| {
            counting(async move {
                assert_eq!(so_far(), None);
                for _ in 0..times {
                    made(kind);
                    tokio::task::yield_now().await;
                }
                so_far().expect("something was counted")
            })
        };
        let (one, other) = tokio::join!(
            attempt(RequestKind::TableRead, 3),
            attempt(RequestKind::StoreWrite, 2)
        );
        assert_eq!((one.table_reads, one.store_writes), (3, 0));
        assert_eq!((other.table_reads, other.store_writes), (0, 2));
    }

    #[test]
    fn a_linear_step_has_three_requests_of_queues() {
        let rest = Rest {
            messages: 1,
            cached: 2,
            joins: false,
        };
        let requests = rest.requests();
        assert_eq!((requests.queue, requests.table_writes), (3, 3));
        let wide = Rest { messages: 25, ..rest };
        assert_eq!(wide.requests().queue, 5);
    }
}
