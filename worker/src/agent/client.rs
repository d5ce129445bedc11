//! Requests to the agent, and to our own endpoint: HTTP to addresses of this machine.

use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use pipeline::ports::Clock;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::client::Destination;

/// The agent is on the same machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Protection would hold up a deployment that is under way.
    #[error("a deployment is under way")]
    DeploymentBlocked,
    /// It said no.
    #[error("the agent of ECS refused: {0}")]
    Refused(String),
    /// It did not answer, or not in its form.
    #[error("the agent of ECS does not answer: {0}")]
    Unreachable(String),
}

/// The agent, as a task finds it.
#[derive(Debug, Clone)]
pub struct Agent {
    uri: Uri,
}

/// What it answers: one of these.
#[derive(Debug, Deserialize)]
struct Answer {
    protection: Option<IgnoredAny>,
    failure: Option<Failure>,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    reason: String,
    #[serde(default)]
    detail: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    code: String,
    #[serde(default)]
    message: String,
}

impl Agent {
    /// At the address that ECS gives a task in `ECS_AGENT_URI`.
    pub fn at(address: &str) -> Result<Self, String> {
        let uri = format!("{}/task-protection/v1/state", address.trim_end_matches('/'));
        let uri: Uri = uri
            .parse()
            .map_err(|e| format!("{address:?} is no address: {e}"))?;
        match uri.scheme_str() {
            Some("http") => Ok(Self { uri }),
            _ => Err(format!("{address:?} is no http address")),
        }
    }

    /// Asks for protection that lasts so long, or for none. Whole minutes, rounded up.
    pub(super) async fn protect(&self, clock: &dyn Clock, lasts: Option<Duration>) -> Result<(), AgentError> {
        let body = match lasts {
            Some(lasts) => serde_json::json!({
                "ProtectionEnabled": true,
                "ExpiresInMinutes": lasts.as_secs().div_ceil(60),
            }),
            None => serde_json::json!({ "ProtectionEnabled": false }),
        };
        let (status, text) = request(clock, Method::PUT, self.uri.clone(), body.to_string())
            .await
            .map_err(AgentError::Unreachable)?;
        let answer: Answer = serde_json::from_str(&text)
            .map_err(|e| AgentError::Unreachable(format!("status {status}, and no answer of its: {e}")))?;
        match answer {
            Answer {
                failure: Some(failure),
                ..
            } if failure.reason == "DEPLOYMENT_BLOCKED" => Err(AgentError::DeploymentBlocked),
            Answer {
                failure: Some(Failure { reason, detail }),
                ..
            } => Err(AgentError::Refused(format!("{reason} {detail}"))),
            Answer {
                error: Some(Refusal { code, message }),
                ..
            } => Err(AgentError::Refused(format!("{code}: {message}"))),
            Answer {
                protection: Some(_), ..
            } => Ok(()),
            Answer { .. } => Err(AgentError::Unreachable(format!(
                "status {status}, and neither protection nor failure"
            ))),
        }
    }
}

/// Status and text of an answer.
pub(crate) async fn request(
    clock: &dyn Clock,
    method: Method,
    uri: Uri,
    body: String,
) -> Result<(StatusCode, String), String> {
    let destination = Destination::new(uri)?;
    destination
        .ask(clock, method, "application/json", body, PATIENCE)
        .await
}
