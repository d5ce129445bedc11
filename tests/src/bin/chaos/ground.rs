//! What the runs happen on: a backend, what can be done to it, and the folder of this run's own files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use e2e::harness::{Emulator, Fleet, Proxy, SmallDisk};
use pipeline::ports::Backend;

use crate::history::History;
use crate::{Arguments, Place};

/// See the module. What uses the disk is dropped before it.
pub(crate) struct Ground {
    /// The backend as it is, and processes that use it.
    pub(crate) fleet: Fleet,
    /// The way by which the driver and the workers reach it.
    pub(crate) backend: Backend,
    /// What stands between.
    pub(crate) proxy: Option<Proxy>,
    /// What can be restarted.
    pub(crate) emulator: Option<&'static Emulator>,
    /// What can be filled: all of a local fleet, the scratch folders of one on AWS.
    pub(crate) disk: Option<SmallDisk>,
    /// What makes clocks wrong.
    pub(crate) faketime: Option<PathBuf>,
    /// What cannot be done here, and why.
    pub(crate) skipped: Vec<String>,
    pub(crate) history: Arc<History>,
    /// For specifications, clocks and the log.
    pub(crate) folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn prepare(arguments: &Arguments) -> Self {
        // Both or neither: it panics where they were not built.
        let _ = (e2e::harness::worker(), e2e::harness::producer());
        let folder = tempfile::Builder::new()
            .prefix("fleetline-chaos-")
            .tempdir()
            .expect("a folder can be made");
        let mut skipped = Vec::new();
        // Of that size a run leaves less than a tenth, its log included; the rest is room for the database's own.
        let disk = match SmallDisk::mount(64 + arguments.runs as u64 / 4) {
            Ok(disk) => Some(disk),
            Err(why) => {
                skipped.push(format!("disk full: no small disk can be mounted: {why}"));
                None
            }
        };
        let faketime = faketime();
        if faketime.is_none() {
            skipped.push("clocks: libfaketime is not installed (Debian: apt install libfaketime)".to_owned());
        }
        let (fleet, emulator) = match (arguments.backend, &disk) {
            (Place::Local, Some(disk)) => (Fleet::at(&disk.path().join("fleet")), None),
            (Place::Local, None) => (Fleet::new(), None),
            (Place::Aws, _) => {
                // It ends with this process.
                let emulator: &Emulator = Box::leak(Box::new(Emulator::lasting()));
                (Fleet::on(emulator), Some(emulator))
            }
        };
        let proxy = emulator.map(|emulator| Proxy::before(emulator.address(), Vec::new()));
        let backend = match &proxy {
            None => fleet.backend().clone(),
            Some(proxy) => fleet.backend_through(&proxy.endpoint()),
        };
        if proxy.is_none() {
            skipped.push("refused and cut requests, restarts: a local fleet has no endpoint".to_owned());
        }
        Self {
            fleet,
            backend,
            proxy,
            emulator,
            disk,
            faketime,
            skipped,
            history: Arc::new(History::create(&folder.path().join("history.ndjson"))),
            folder,
        }
    }

    /// What [`Ground::keep`] kept of a local fleet.
    pub(crate) fn kept(kept: &Path) -> Self {
        let fleet = Fleet::at(&kept.join("fleet"));
        Self {
            backend: fleet.backend().clone(),
            fleet,
            proxy: None,
            emulator: None,
            disk: None,
            faketime: None,
            skipped: vec!["anything: this is judged again".to_owned()],
            history: Arc::new(History::open(&kept.join("history.ndjson"))),
            folder: tempfile::tempdir().expect("a folder can be made"),
        }
    }

    /// Keeps the log, and a local fleet; where.
    pub(crate) fn keep(&self) -> PathBuf {
        let kept = std::env::temp_dir().join(format!("fleetline-chaos-kept-{}", std::process::id()));
        std::fs::create_dir_all(&kept).expect("a folder can be made");
        std::fs::copy(self.history.path(), kept.join("history.ndjson")).expect("it can be copied");
        if self.emulator.is_none() {
            let copied = Command::new("cp")
                .arg("-a")
                .arg(self.fleet.folder())
                .arg(&kept)
                .status();
            if !copied.is_ok_and(|status| status.success()) {
                eprintln!("the fleet's folder could not be copied to {}", kept.display());
            }
        }
        kept
    }
}

/// The library that makes clocks wrong, where Debian and its like put it.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let mut folders = folders.flatten().map(|entry| entry.path());
    folders.find_map(|folder| {
        let library = folder.join("faketime/libfaketime.so.1");
        library.is_file().then_some(library)
    })
}

/// Says how far ahead the clock of a process is, to the library that was told of this file.
pub(crate) fn set_clock(file: &Path, ahead_ms: i64) {
    #[expect(clippy::cast_precision_loss, reason = "seconds, with a few digits")]
    let seconds = ahead_ms as f64 / 1000.0;
    std::fs::write(file, format!("{seconds:+.3}\n")).expect("our own folder can be written to");
}
