//! Settings of what is told to the outside.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use axum::http::Uri;
use serde::Deserialize;

use super::{ConfigError, InvalidValue};

/// Where a collector is, as it was given.
pub(super) fn collector(text: &str) -> Result<Uri, ConfigError> {
    let refused = |why: &str| ConfigError::Value {
        setting: "otlp_endpoint",
        message: format!("{text:?} {why}; write for example http://localhost:4318"),
    };
    let uri: Uri = text.parse().map_err(|_| refused("is no address"))?;
    match (uri.scheme_str(), uri.host(), uri.query()) {
        (Some("http" | "https"), Some(_), None) => Ok(uri),
        _ => Err(refused("is no address of http or https without a query")),
    }
}

/// An address that is a secret, as it was given: what is wrong with it must not show it, so it is not checked while flags are read.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl FromStr for SecretUrl {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(…)")
    }
}

impl SecretUrl {
    /// The address, if a secret may be sent there: by https, or within this machine.
    pub(super) fn check(&self) -> Result<NotifyUrl, ConfigError> {
        let refused = |why: &str| ConfigError::Value {
            setting: "notify_url",
            message: format!(
                "{why}; write for example https://hooks.example.com/… (it is a secret, and not shown here)"
            ),
        };
        let uri: Uri = self.0.parse().map_err(|_| refused("this is no address"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => Ok(NotifyUrl(uri)),
            (Some("http"), Some(host)) if is_loopback(host) => Ok(NotifyUrl(uri)),
            (Some("http"), Some(_)) => Err(refused("http is for this machine only (localhost, 127.0.0.1)")),
            _ => Err(refused("this is no address of https")),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Who is told of runs that ended badly. It shows no more of itself than its host.
#[derive(Clone, PartialEq, Eq)]
pub struct NotifyUrl(pub Uri);

impl fmt::Debug for NotifyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::client::shown(&self.0, f)
    }
}

/// Of which ends somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum NotifyOn {
    /// Of failures.
    #[default]
    Failed,
    /// Also of runs that a gate halted.
    FailedAndHalted,
}

impl FromStr for NotifyOn {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut ends: Vec<&str> = text.split(',').map(str::trim).collect();
        ends.sort_unstable();
        match ends[..] {
            ["failed"] => Ok(Self::Failed),
            ["failed", "halted"] => Ok(Self::FailedAndHalted),
            _ => Err(InvalidValue(format!(
                "{text:?} names no ends; write failed, or failed,halted"
            ))),
        }
    }
}

impl TryFrom<String> for NotifyOn {
    type Error = InvalidValue;
    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_https_or_stay_on_the_machine_and_are_never_shown() {
        let check = |text: &str| SecretUrl(text.to_owned()).check();
        for good in [
            "https://hooks.example.com/s3cr3t",
            "http://127.0.0.1:9999/s3cr3t",
            "http://localhost/s3cr3t",
            "http://[::1]:80/s3cr3t",
        ] {
            let url = check(good).expect(good);
            assert!(!format!("{url:?}").contains("s3cr3t"), "{url:?}");
        }
        for bad in [
            "http://hooks.example.com/s3cr3t",
            "ftp://localhost/s3cr3t",
            "s3cr3t",
            "https://",
        ] {
            let error = check(bad).expect_err(bad).to_string();
            assert!(
                error.starts_with("notify_url: ") && !error.contains("s3cr3t"),
                "{error}"
            );
        }
        let given = SecretUrl("https://hooks.example.com/s3cr3t".into());
        assert!(!format!("{given:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_collector_has_an_address_of_http() {
        for good in ["http://localhost:4318", "https://otlp.example.com/base/"] {
            collector(good).expect(good);
        }
        for bad in ["localhost:4318", "grpc://localhost:4317", "", "http://c?x=1"] {
            let error = collector(bad).expect_err(bad).to_string();
            assert!(error.contains("http://localhost:4318"), "{error}");
        }
    }
}
