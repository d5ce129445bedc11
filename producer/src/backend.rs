//! Which backend to speak to. The only file that names one.

use std::path::PathBuf;
use std::str::FromStr;

use pipeline::ports::{Backend, Host};

use crate::exit::Failure;

/// A backend as people name it: `local:FOLDER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// One folder on this machine.
    Local(PathBuf),
}

/// What a command does to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only looks.
    Look,
    /// Changes what is there.
    Change,
    /// Makes the backend's folder if there is none.
    Create,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("local", "")) => Err("`local:` wants a folder: write for example local:.fleetline".into()),
            Some(("local", folder)) => Ok(Self::Local(folder.into())),
            _ => Err(format!(
                "{text:?} is no backend; write local:FOLDER, for example local:.fleetline"
            )),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(folder) => write!(f, "local:{}", folder.display()),
        }
    }
}

/// Opens the backend. Only [`Access::Create`] makes one where there is none.
pub fn open(address: &Address, access: Access, host: &Host) -> Result<Backend, Failure> {
    match address {
        Address::Local(folder) => {
            if access != Access::Create && !folder.join("fleetline.db").is_file() {
                return Err(Failure::NotFound(format!(
                    "there is no fleetline folder at {}; submit a run to make one there (`producer submit SPEC`), or name \
                     another with --backend local:FOLDER or FLEETLINE_BACKEND",
                    folder.display()
                )));
            }
            let options = backend_local::Options {
                read_only: access == Access::Look,
                ..backend_local::Options::default()
            };
            Ok(backend_local::open(folder, &options, host)?.backend)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_and_others_are_explained() {
        let address: Address = "local:some/folder".parse().expect("an address");
        assert_eq!(address.to_string(), "local:some/folder");
        for text in ["", "local", "local:", "aws", "s3://bucket", "/tmp/x"] {
            assert!(
                text.parse::<Address>()
                    .expect_err(text)
                    .contains("local:.fleetline"),
                "{text}"
            );
        }
    }
}
