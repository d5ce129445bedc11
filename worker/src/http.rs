//! What monitoring asks this process, over HTTP: `/metrics`; `/healthz`, whether it lives; `/readyz`, whether it takes work
//! now; `/startupz`, whether it ever did. A container is judged by the last one: when AWS is away, or while it drains,
//! replacing it would help nobody.
//!
//! On loopback unless told otherwise: there is no authentication, and nothing here changes anything.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Why a process is not ready for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// It has not got that far yet.
    Starting,
    /// The backend does not answer.
    Backend,
    /// Its clock differs too much from the backend's.
    Clock,
    /// It takes no new work, because it is about to end.
    Draining,
}

/// Whether the process is ready for work; shared by those who know and `/readyz`.
#[derive(Debug)]
pub struct Readiness {
    obstacles: Mutex<BTreeMap<Obstacle, String>>,
    was_ready: AtomicBool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Not ready: [`Obstacle::Starting`] stands in the way until it is cleared.
    pub fn new() -> Self {
        Self {
            obstacles: Mutex::new(BTreeMap::from([(Obstacle::Starting, "starting".to_owned())])),
            was_ready: AtomicBool::new(false),
        }
    }

    /// Something stands in the way; `reason` is for people.
    pub fn block(&self, obstacle: Obstacle, reason: impl Into<String>) {
        self.lock().insert(obstacle, reason.into());
    }

    /// It does not any more.
    pub fn clear(&self, obstacle: Obstacle) {
        let mut obstacles = self.lock();
        obstacles.remove(&obstacle);
        if obstacles.is_empty() {
            self.was_ready.store(true, Ordering::Relaxed);
        }
    }

    /// Everything that stands in the way, one reason a line; none if the process is ready.
    pub fn obstacles(&self) -> Option<String> {
        let obstacles = self.lock();
        (!obstacles.is_empty()).then(|| {
            obstacles.values().fold(String::new(), |mut text, reason| {
                // Writing to memory does not fail.
                let _ = writeln!(text, "{reason}");
                text
            })
        })
    }
}

impl Readiness {
    /// True if the process was ready at some time.
    pub fn was_ready(&self) -> bool {
        self.was_ready.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Obstacle, String>> {
        // One insertion or removal at a time leaves it whole.
        self.obstacles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Somebody else listens there.
    #[error("metrics_addr: {0} is in use already; choose another port, 0 for any free one, or \"off\"")]
    InUse(SocketAddr),
    /// Another reason.
    #[error("metrics_addr: cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// Listens on `address`; port 0 is any free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, EndpointError> {
        let refused = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => EndpointError::InUse(address),
            _ => EndpointError::Listen(address, error),
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// Where it listens, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `end` does. Connections that are open then are cut.
    pub async fn serve(
        self,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
        end: impl Future<Output = ()> + Send + 'static,
    ) {
        let router = Router::new()
            .route("/metrics", get(show_metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(show_readiness))
            .route("/startupz", get(show_startup))
            .with_state(Shown { metrics, readiness });
        let serving = axum::serve(self.listener, router);
        futures::future::select(std::pin::pin!(end), std::pin::pin!(serving.into_future())).await;
    }
}

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

async fn show_metrics(State(shown): State<Shown>) -> impl IntoResponse {
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], shown.metrics.render())
}

async fn show_readiness(State(shown): State<Shown>) -> (StatusCode, String) {
    match shown.readiness.obstacles() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons),
    }
}

async fn show_startup(state: State<Shown>) -> (StatusCode, String) {
    match state.readiness.was_ready() {
        true => (StatusCode::OK, "has been ready\n".to_owned()),
        false => show_readiness(state).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("is read");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("is text");
        answer
    }

    #[tokio::test]
    async fn answers_what_monitoring_asks() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::bind(any).await.expect("there is a free port");
        let address = endpoint.address();
        assert_ne!(address.port(), 0);
        let taken = Endpoint::bind(address)
            .await
            .expect_err("the port is taken")
            .to_string();
        assert!(
            taken.contains("in use already") && taken.contains(&address.to_string()),
            "{taken}"
        );

        let (metrics, readiness) = (Arc::new(Metrics::new()), Arc::new(Readiness::new()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = endpoint.serve(Arc::clone(&metrics), Arc::clone(&readiness), async {
            drop(stopped.await);
        });
        let asking = async {
            assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
            let starting = ask(address, "/readyz").await;
            assert!(
                starting.starts_with("HTTP/1.1 503") && starting.ends_with("starting\n"),
                "{starting}"
            );
            assert!(ask(address, "/startupz").await.starts_with("HTTP/1.1 503"));
            readiness.clear(Obstacle::Starting);
            assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
            readiness.block(Obstacle::Draining, "draining");
            readiness.block(Obstacle::Backend, "the backend does not answer");
            let blocked = ask(address, "/readyz").await;
            assert!(
                blocked.ends_with("the backend does not answer\ndraining\n"),
                "{blocked}"
            );
            assert!(ask(address, "/startupz").await.starts_with("HTTP/1.1 200"));
            let shown = ask(address, "/metrics").await;
            assert!(
                shown.contains("text/plain; version=0.0.4") && shown.contains("process_cpu_seconds_total"),
                "{shown}"
            );
            assert!(ask(address, "/").await.starts_with("HTTP/1.1 404"));
            drop(stop);
        };
        futures::join!(serving, asking);
    }
}
