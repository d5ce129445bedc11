//! Where a fleet keeps everything that outlives a process, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::PipelineName;

/// A backend: `local:FOLDER`, or `aws:NAME`, `aws:NAME/BUCKET`, either with `@ACCOUNT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// One folder on this machine.
    Local(PathBuf),
    /// SQS, S3 and DynamoDB.
    Aws {
        /// What the table is called, and what the names of the queues begin with.
        name: String,
        /// The bucket, if it has another name than the fleet's own would be.
        bucket: Option<String>,
        /// The account, if AWS need not be asked for it.
        account: Option<String>,
    },
}

impl Address {
    /// In the working directory.
    pub const DEFAULT: &'static str = "local:.fleetline";
}

impl Default for Address {
    fn default() -> Self {
        Self::Local(PathBuf::from(".fleetline"))
    }
}

/// A text that is no address; says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |why: &str| Err(InvalidAddress(why.to_owned()));
        match text.split_once(':') {
            Some(("local", "")) => {
                invalid("`local:` names no folder: write local:FOLDER, for example local:.fleetline")
            }
            Some(("local", folder)) => Ok(Self::Local(folder.into())),
            Some(("aws", rest)) => {
                let (rest, account) = match rest.split_once('@') {
                    Some((rest, account)) => (rest, Some(account)),
                    None => (rest, None),
                };
                let (name, bucket) = match rest.split_once('/') {
                    Some((name, bucket)) => (name, Some(bucket)),
                    None => (rest, None),
                };
                // A bucket's own name is made of it, which may be no longer than 63, account and region included.
                if name.len() < 3 || name.len() > 30 || PipelineName::new(name).is_err() {
                    return invalid(
                        "`aws:` wants a name for the fleet of 3 to 30 of a-z, 0-9, '_' and '-': write for example aws:fleetline",
                    );
                }
                if account.is_some_and(|a| a.len() != 12 || a.bytes().any(|b| !b.is_ascii_digit())) {
                    return invalid(
                        "an AWS account has twelve digits: write for example aws:fleetline@123456789012",
                    );
                }
                if bucket.is_some_and(str::is_empty) {
                    return invalid(
                        "no bucket is named after the slash: write for example aws:fleetline/my-bucket",
                    );
                }
                Ok(Self::Aws {
                    name: name.to_owned(),
                    bucket: bucket.map(str::to_owned),
                    account: account.map(str::to_owned),
                })
            }
            _ => Err(InvalidAddress(format!(
                "{text:?} is no backend: write local:FOLDER, for example local:.fleetline, or aws:NAME, for example \
                 aws:fleetline"
            ))),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(folder) => write!(f, "local:{}", folder.display()),
            Self::Aws {
                name,
                bucket,
                account,
            } => {
                write!(f, "aws:{name}")?;
                if let Some(bucket) = bucket {
                    write!(f, "/{bucket}")?;
                }
                match account {
                    Some(account) => write!(f, "@{account}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_and_others_are_explained() {
        for text in [
            "local:.fleetline",
            "local:/var/lib/fleet:line",
            "aws:fleetline",
            "aws:fleetline/my-bucket",
            "aws:fleetline@123456789012",
            "aws:fleetline/my-bucket@123456789012",
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "",
            "local",
            "local:",
            "aws",
            "aws:",
            "aws:a",
            "aws:Fleet",
            "aws:fleet line",
            "aws:fleetline/",
            "aws:fleetline@1234",
            "s3://bucket",
            "/tmp/x",
            "postgres:x",
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains("write"), "{text}: {error}");
        }
    }
}
