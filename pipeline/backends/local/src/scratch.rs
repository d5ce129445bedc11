//! Files that are being written.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::beneath::{Folder, none_if_absent};

/// How long nobody has written to a scratch file that counts as abandoned.
const ABANDONED_AFTER: Duration = Duration::from_secs(86_400);

/// A file that is being written; removed when it is dropped, whatever happened.
pub(crate) struct Scratch {
    pub(crate) folder: Folder,
    pub(crate) name: String,
    pub(crate) file: File,
}

impl Scratch {
    /// A new one in that folder.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = Folder::root(folder)?;
        loop {
            let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            match folder.create(&name) {
                Ok(file) => return Ok(Self { folder, name, file }),
                // Left by a process that died and had our number.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl Scratch {
    /// Removes scratch files that nobody has written to for long before this one was made: their writers died.
    pub(crate) fn remove_abandoned(&self) -> io::Result<()> {
        let made = self.file.metadata()?.modified()?;
        for name in self.folder.names()? {
            let Some(other) = none_if_absent(self.folder.open(&name))? else {
                continue;
            };
            let age = made
                .duration_since(other.metadata()?.modified()?)
                .unwrap_or_default();
            if age > ABANDONED_AFTER {
                self.folder.remove(&name)?;
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.folder.remove(&self.name);
    }
}
