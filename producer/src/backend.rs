//! Which backend to speak to. The only file that names one.

use pipeline::diagnosis::Examination;
use pipeline::ports::{Backend, Host};
use pipeline::{Address, QueueName};

use crate::exit::Failure;

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

/// Opens the backend. Only [`Access::Create`] makes one where there is none.
pub async fn open(address: &Address, access: Access, host: &Host) -> Result<Backend, Failure> {
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
        #[cfg(feature = "aws")]
        Address::Aws { .. } => Ok(open_aws(address, host).await?.backend),
        #[cfg(not(feature = "aws"))]
        Address::Aws { .. } => Err(without_aws()),
    }
}

/// What a backend finds of itself, however broken it is. On AWS, its queues are these.
pub async fn examine(address: &Address, queues: &[QueueName], host: &Host) -> Result<Examination, Failure> {
    match address {
        Address::Local(folder) => Ok(backend_local::examine(folder, host).await),
        #[cfg(feature = "aws")]
        Address::Aws {
            name,
            bucket,
            account,
        } => {
            let options = aws_options(name, bucket.as_ref(), account.as_ref());
            Ok(Box::pin(backend_aws::examine(&options, queues, host)).await)
        }
        #[cfg(not(feature = "aws"))]
        Address::Aws { .. } => {
            let _ = queues;
            Err(without_aws())
        }
    }
}

#[cfg(feature = "aws")]
fn aws_options(name: &str, bucket: Option<&String>, account: Option<&String>) -> backend_aws::Options {
    backend_aws::Options {
        name: name.to_owned(),
        bucket: bucket.cloned(),
        account: account.cloned(),
        ..backend_aws::Options::default()
    }
}

/// The fleet's things on AWS; none of them need be there.
#[cfg(feature = "aws")]
pub async fn open_aws(address: &Address, host: &Host) -> Result<backend_aws::Aws, Failure> {
    let Address::Aws {
        name,
        bucket,
        account,
    } = address
    else {
        return Err(Failure::Usage(format!(
            "{address} is not on AWS: name the fleet with --backend aws:NAME or FLEETLINE_BACKEND"
        )));
    };
    let options = aws_options(name, bucket.as_ref(), account.as_ref());
    Ok(backend_aws::open(&options, host).await?)
}

#[cfg(not(feature = "aws"))]
fn without_aws() -> Failure {
    Failure::Usage(
        "this producer was built without AWS: build it with the feature `aws`, which is on by default".into(),
    )
}
