//! The choice of a backend: the only file of this crate that names one.

use std::path::PathBuf;
use std::sync::Arc;

use pipeline::ports::{Backend, ErrorKind, Host, PortResult};
use pipeline::{Address, MemoryClass, WorkerId, components};

use crate::config::{Durability, Settings};
use crate::demand::Room;
use crate::metrics::{Metrics, metered};
use crate::requests;
use crate::worker::Rhythm;

/// A backend that was opened.
pub struct Opened {
    /// Its ports. What they ask for is counted.
    pub backend: Backend,
    /// Where this process writes its log besides standard error, so that people find it by run.
    pub log: LogPlace,
    /// How often it is asked what.
    pub rhythm: Rhythm,
    /// How much memory there is for the steps that come after ours.
    pub room: Room,
}

/// Where people find what a process logged about a run.
pub enum LogPlace {
    /// In this file, which the backend reads.
    File(PathBuf),
    /// Where [`pipeline::ports::Fleet::store_logs`] puts it.
    Stored,
}

/// Opens the backend that the settings name.
pub async fn open(
    settings: &Settings,
    worker: &WorkerId,
    host: &Host,
    metrics: &Arc<Metrics>,
) -> PortResult<Opened> {
    match &settings.backend {
        Address::Local(folder) => {
            let durability = match settings.durability {
                Durability::Full => backend_local::Durability::Full,
                Durability::Normal => backend_local::Durability::Normal,
            };
            let options = backend_local::Options {
                durability,
                source_folders: settings.source_folders.clone(),
                ..backend_local::Options::default()
            };
            let local = backend_local::open(folder, &options, host)?;
            let log_file = local.log_folder.join(format!("{worker}.jsonl"));
            Ok(Opened {
                backend: metered(local.backend, metrics),
                log: LogPlace::File(log_file),
                rhythm: Rhythm::NEAR,
                room: Room::Here(MemoryClass::ALL.map(|class| settings.memory_limit_bytes(class))),
            })
        }
        Address::Aws {
            name,
            bucket,
            account,
        } => {
            let options = backend_aws::Options {
                name: name.clone(),
                bucket: bucket.clone(),
                account: account.clone(),
                source_buckets: settings.source_buckets.clone(),
                // Requests are what is paid for and throttled, so they are counted instead of the calls that make them.
                observer: Some(Arc::new(Requests(Arc::clone(metrics)))),
                ..backend_aws::Options::default()
            };
            let components = components::read(components::BUILT_IN)
                .expect("the list that is built in can be read; a test holds it");
            Ok(Opened {
                backend: backend_aws::open(&options, host).await?.backend,
                log: LogPlace::Stored,
                rhythm: Rhythm::FAR,
                room: Room::of(&components),
            })
        }
    }
}

/// Counts requests to AWS.
#[derive(Debug)]
struct Requests(Arc<Metrics>);

impl backend_aws::Observer for Requests {
    fn request(&self, service: &str, operation: &str, failed: Option<ErrorKind>) {
        self.0.request(service, operation, failed);
        if let Some(kind) = backend_aws::paid_as(service, operation) {
            requests::made(kind);
        }
    }
}
