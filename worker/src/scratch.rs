//! The folders in which attempts work.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Dir, Mode, OFlags};
use tempfile::TempDir;

const PARTS: [&str; 3] = ["inputs", "outputs", "tmp"];

/// Where attempts have their folders.
pub struct ScratchRoot {
    path: PathBuf,
    /// Folders that attempts left empty. Small stages would otherwise spend most of their time on making and removing
    /// folders: some file systems are slow at that (ext4 looks past everything that was removed a moment ago).
    idle: Mutex<Vec<TempDir>>,
}

impl ScratchRoot {
    /// Makes the folder if it is not there, and tries it: a full or forbidden one should be told at the start, not by
    /// every attempt.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&path)?;
        tempfile::tempdir_in(&path)?;
        Ok(Self {
            path,
            idle: Mutex::default(),
        })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How much room is left where it is.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let system = rustix::fs::statvfs(&self.path)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    /// Empty folders for one attempt.
    pub fn take(&self) -> io::Result<Scratch> {
        if let Some(folder) = self.idle().pop() {
            return Ok(Scratch { folder });
        }
        let folder = tempfile::Builder::new()
            .prefix("attempt-")
            .tempdir_in(&self.path)?;
        for part in PARTS {
            std::fs::create_dir(folder.path().join(part))?;
        }
        Ok(Scratch { folder })
    }

    /// Keeps the folders of an attempt whose stage ended by itself, so that nobody writes to them any more, for the
    /// next attempt if they are empty; removes them if not.
    pub fn put_back(&self, scratch: Scratch) {
        if PARTS
            .into_iter()
            .all(|part| is_empty(&scratch.path(part)).unwrap_or(false))
        {
            self.idle().push(scratch.folder);
        }
    }

    /// Removes the folders that wait for another attempt. The process is about to end, and nothing else would.
    pub fn remove_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<TempDir>> {
        // Taking from the list and adding to it leave it whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks no further than to the first entry, with a buffer to match: [`std::fs::read_dir`] takes one of 32 KiB, which
/// cost small stages more than the looking.
fn is_empty(folder: &Path) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(folder, flags, Mode::empty())?;
    for entry in Dir::new(opened)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The folders of one attempt, removed with everything in them when this is dropped.
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// One of `inputs`, `outputs` and `tmp`.
    pub fn path(&self, part: &str) -> PathBuf {
        self.folder.path().join(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_folders_serve_again_and_others_are_removed() {
        let root = tempfile::tempdir().expect("makes a folder");
        let root = ScratchRoot::new(root.path().join("scratch")).expect("makes the folder");
        let first = root.take().expect("makes folders");
        let path = first.path("outputs");
        assert_ne!(
            root.take().expect("makes folders").path("outputs"),
            path,
            "one attempt each"
        );
        root.put_back(first);
        let again = root.take().expect("there is one");
        assert_eq!(again.path("outputs"), path);

        std::fs::write(path.join("model.bin"), "x").expect("writes");
        root.put_back(again);
        assert!(!path.exists(), "what an attempt left is for nobody else");
        let last = root.take().expect("makes folders");
        let path = last.path("outputs");
        root.put_back(last);
        root.remove_idle();
        assert!(!path.exists(), "nothing is left when the process ends");
    }

    #[test]
    fn a_folder_that_cannot_be_is_told_at_the_start() {
        let file = tempfile::NamedTempFile::new().expect("makes a file");
        assert!(ScratchRoot::new(file.path().join("below")).is_err());
    }
}
