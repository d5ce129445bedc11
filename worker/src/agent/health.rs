//! `worker health`: asks the process of this container whether it is well.

use axum::http::{Method, Uri};
use pipeline::ports::Clock;

use super::client::request;
use crate::config::Settings;

/// What the process whose metrics are at the settings' address answers; an error if it is not well, or not there.
pub async fn ask(settings: &Settings, clock: &dyn Clock) -> Result<String, String> {
    let address = settings
        .metrics_addr
        .ok_or("metrics_addr is off, so there is nothing to ask")?;
    let mut reached = address;
    if address.ip().is_unspecified() {
        // It listens everywhere, and we are where it is.
        reached.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let uri: Uri = format!("http://{reached}/startupz")
        .parse()
        .map_err(|e| format!("metrics_addr: {e}"))?;
    let (status, text) = request(clock, Method::GET, uri, String::new())
        .await
        .map_err(|e| format!("the worker at {reached} does not answer: {e}"))?;
    match status.is_success() {
        true => Ok(text),
        false => Err(format!("the worker at {reached} is not well: {}", text.trim())),
    }
}
