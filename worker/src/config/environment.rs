//! The names of environment variables. Their values come with the flags.

use super::{ConfigError, Layer};

const PREFIX: &str = "FLEETLINE_";
/// The variable that is no setting.
const CONFIG: &str = "FLEETLINE_CONFIG";

/// The names of this process's variables.
#[allow(
    clippy::disallowed_methods,
    reason = "this is configuration, where the environment is read"
)]
pub(super) fn names() -> impl Iterator<Item = String> {
    std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned())
}

/// Where the agent of ECS is, as ECS tells its tasks.
#[allow(
    clippy::disallowed_methods,
    reason = "this is configuration, where the environment is read"
)]
pub(super) fn ecs_agent() -> Option<String> {
    std::env::var("ECS_AGENT_URI")
        .ok()
        .filter(|address| !address.is_empty())
}

/// Settings that other variables than ours hold, by the conventions of others.
#[allow(
    clippy::disallowed_methods,
    reason = "this is configuration, where the environment is read"
)]
pub(super) fn standard() -> Layer {
    // https://opentelemetry.io/docs/specs/otel/protocol/exporter/
    let endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok();
    Layer {
        otlp_endpoint: endpoint.filter(|address| !address.is_empty()),
        ..Layer::default()
    }
}

/// Refuses names that begin like ours and are none of ours.
pub(super) fn refuse_unknown(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let known: Vec<&str> = Layer::VARIABLES.iter().copied().chain([CONFIG]).collect();
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()))
        .collect();
    unknown.sort_unstable(); // The system's order is no order.
    match unknown.into_iter().next() {
        None => Ok(()),
        Some(name) => {
            let hint = hint(&name, &known, "unset it; known are");
            Err(ConfigError::UnknownVariable { name, hint })
        }
    }
}

/// What to do about an unknown name.
pub(super) fn hint(name: &str, known: &[&str], otherwise: &str) -> String {
    let nearest = known
        .iter()
        .map(|k| (strsim::osa_distance(name, k), *k))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    match nearest {
        Some((_, near)) => format!("did you mean {near}?"),
        None => format!("{otherwise} {}", known.join(", ")),
    }
}
