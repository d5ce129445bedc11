//! The choice of a backend: the only file of this crate that names one.

use std::path::PathBuf;

use pipeline::WorkerId;
use pipeline::ports::{Backend, Host, PortResult};

use crate::config::{BackendChoice, Durability, Settings};

/// A backend that was opened.
pub struct Opened {
    /// Its ports.
    pub backend: Backend,
    /// Where this process writes its log besides standard error, so that people find it by run; none where logs are
    /// collected from standard error.
    pub log_file: Option<PathBuf>,
}

/// Opens the backend that the settings name.
pub fn open(settings: &Settings, worker: &WorkerId, host: &Host) -> PortResult<Opened> {
    match &settings.backend {
        BackendChoice::Local(folder) => {
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
                backend: local.backend,
                log_file: Some(log_file),
            })
        }
    }
}
