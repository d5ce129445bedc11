//! Which backend to speak to. The only file that names one.

use pipeline::Address;
use pipeline::ports::{Backend, Host};

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
    let options = backend_aws::Options {
        name: name.clone(),
        bucket: bucket.clone(),
        account: account.clone(),
        ..backend_aws::Options::default()
    };
    Ok(backend_aws::open(&options, host).await?)
}

#[cfg(not(feature = "aws"))]
fn without_aws() -> Failure {
    Failure::Usage(
        "this producer was built without AWS: build it with the feature `aws`, which is on by default".into(),
    )
}
