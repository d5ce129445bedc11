//! Region, credentials, and whose they are.

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use pipeline::diagnosis::Finding;
use pipeline::ports::{ErrorKind, Host};

use super::{WHERE_THE_ENDPOINT_IS, kind, plain, said, within};
use crate::Options;
use crate::client::{self, Patience};
use crate::error::CREDENTIALS;

const WHERE_CREDENTIALS_ARE: &str = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as for the aws CLI \
                                     (`aws sts get-caller-identity` tries them); log in again if a session ended";

const NO_CREDENTIALS: &str = "there are no credentials that AWS takes";

/// How to speak to AWS, and the account if it is known; or why nothing can be asked.
pub(super) async fn identify(
    options: &Options,
    host: &Host,
    found: &mut Vec<Finding>,
) -> Result<(SdkConfig, Option<String>), &'static str> {
    let config = Box::pin(within(host, client::shared(options, Patience::EXAMINATION))).await;
    let region = config.as_ref().and_then(|config| client::region(config).ok());
    let (Some(config), Some(region)) = (config, region) else {
        let advice = "set AWS_REGION, or `region` in the profile of the aws CLI";
        found.push(Finding::failed("region", "no AWS region is set", advice));
        return Err("no AWS region is set");
    };
    let at = config.endpoint_url();
    let at = at.map_or_else(String::new, |endpoint| format!(", at the endpoint {endpoint}"));
    found.push(Finding::ok("region", format!("{region}{at}")));
    let credentials = credentials(&config, host).await;
    let there_are_some = credentials.is_ok();
    found
        .push(credentials.unwrap_or_else(|told| Finding::failed("credentials", told, WHERE_CREDENTIALS_ARE)));
    if !there_are_some {
        return Err(NO_CREDENTIALS);
    }
    let account = account(&config, options, host, found).await?;
    Ok((config, account))
}

/// That there are credentials, and until when; or why there are none.
async fn credentials(config: &SdkConfig, host: &Host) -> Result<Finding, String> {
    let provider = config.credentials_provider().ok_or("none are configured")?;
    let given = within(host, provider.provide_credentials()).await;
    let credentials = match given {
        None => return Err("none were found in time".into()),
        Some(Err(e)) => {
            let why = plain(&DisplayErrorContext(&e).to_string());
            return Err(format!("none were found; where they were looked for last: {why}"));
        }
        Some(Ok(credentials)) => credentials,
    };
    let ends = credentials.expiry().map(|at| {
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        pipeline::Timestamp(pipeline::time::millis(since))
    });
    match ends {
        Some(at) if at <= host.clock.now() => Err(format!("they expired at {at}")),
        Some(at) => Ok(Finding::ok("credentials", format!("there are some, until {at}"))),
        None => Ok(Finding::ok("credentials", "there are some")),
    }
}

/// The account, if AWS or whoever named the fleet says it.
async fn account(
    config: &SdkConfig,
    options: &Options,
    host: &Host,
    found: &mut Vec<Finding>,
) -> Result<Option<String>, &'static str> {
    const CHECK: &str = "identity";
    let named = options.account.clone();
    let asked = host.clock.monotonic();
    let identity = within(host, client::identity(config, Patience::EXAMINATION)).await;
    let took = host.clock.monotonic().saturating_sub(asked);
    match identity {
        Some(Ok(identity)) => {
            found.push(match &named {
                Some(named) if *named != identity.account => Finding::failed(
                    CHECK,
                    format!("{}, and --backend names the account {named}", identity.arn),
                    "use credentials of that account, or name the account of these",
                ),
                _ => Finding::ok(CHECK, identity.arn).after(took),
            });
            Ok(named.or(Some(identity.account)))
        }
        Some(Err(fault)) if kind(&fault) == Some(ErrorKind::Denied) => {
            let advice = fault
                .failure()
                .map_or(CREDENTIALS, |failure| failure.kind_and_advice().1);
            found.push(Finding::failed(CHECK, said(&fault), advice));
            Err(NO_CREDENTIALS)
        }
        failed => {
            let told = match failed {
                Some(Err(fault)) => said(&fault),
                _ => "STS does not answer".to_owned(),
            };
            found.push(Finding::failed(CHECK, told, WHERE_THE_ENDPOINT_IS).after(took));
            Ok(named)
        }
    }
}
