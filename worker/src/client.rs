//! Requests by HTTP to others than the backend: the agent of ECS, a collector of spans, whoever is told of failures.
//!
//! TLS is the one of the AWS backend (rustls, the system's roots). Redirects are not followed.

use std::fmt;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pipeline::ports::Clock;

/// Nobody that we speak to has more to say.
const LONGEST_ANSWER_BYTES: usize = 64 * 1024;

/// One address that is asked again and again. What it shows of itself is scheme, host and port: the rest may be a secret.
pub struct Destination {
    uri: Uri,
    client: Sender,
}

enum Sender {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(&self.uri, f)
    }
}

/// An address without what may be a secret in it: user, path, query.
pub fn shown(uri: &Uri, f: &mut impl fmt::Write) -> fmt::Result {
    let scheme = uri.scheme_str().unwrap_or("http");
    write!(f, "{scheme}://{}", uri.host().unwrap_or("nowhere"))?;
    match uri.port_u16() {
        Some(port) => write!(f, ":{port}"),
        None => Ok(()),
    }
}

impl Destination {
    /// An address of http or https. Fails where TLS is wanted and this machine has no roots to trust.
    pub fn new(uri: Uri) -> Result<Self, String> {
        let client = match uri.scheme_str() {
            Some("https") => {
                let provider = rustls::crypto::aws_lc_rs::default_provider();
                let connector = HttpsConnectorBuilder::new()
                    .with_provider_and_native_roots(provider)
                    .map_err(|e| format!("TLS cannot be used: {e}"))?
                    .https_only()
                    .enable_http1()
                    .build();
                Sender::Tls(Client::builder(TokioExecutor::new()).build(connector))
            }
            _ => Sender::Plain(Client::builder(TokioExecutor::new()).build(HttpConnector::new())),
        };
        Ok(Self { uri, client })
    }

    /// Status and text of the answer to one request, which must come within `patience`. No part of the address is in what it
    /// says of a failure.
    pub async fn ask(
        &self,
        clock: &dyn Clock,
        method: Method,
        content_type: &'static str,
        body: impl Into<Bytes>,
        patience: Duration,
    ) -> Result<(StatusCode, String), String> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        let content_type = HeaderValue::from_static(content_type);
        request.headers_mut().insert("content-type", content_type);
        let asked = async {
            let sent = match &self.client {
                Sender::Plain(client) => client.request(request),
                Sender::Tls(client) => client.request(request),
            };
            let answer = sent.await.map_err(|e| told(&e))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER_BYTES);
            let bytes = body.collect().await.map_err(|e| told(&*e))?.to_bytes();
            Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
        };
        tokio::select! {
            biased;
            answered = asked => answered,
            () = clock.sleep(patience) => Err(format!("no answer within {} s", patience.as_secs())),
        }
    }
}

/// An error with its causes: hyper's own text says only that there was one.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let secret = "https://user:hunter2@hooks.example.com:8443/services/T0/s3cr3t?key=s3cr3t";
        let destination = Destination {
            uri: secret.parse().expect("an address"),
            client: Sender::Plain(Client::builder(TokioExecutor::new()).build(HttpConnector::new())),
        };
        assert_eq!(destination.to_string(), "https://hooks.example.com:8443");
        assert_eq!(format!("{destination:?}"), "https://hooks.example.com:8443");
    }
}
