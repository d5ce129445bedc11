//! Paths that cannot leave their folder: every component is opened below the one before it, and none may be a
//! symbolic link.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A folder that was reached without following a symbolic link.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// The root; the path to it may lead through links, that is its owner's business.
    pub(crate) fn root(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// The folder below this one.
    pub(crate) fn enter(&self, name: &str) -> io::Result<Self> {
        let opened = rustix::fs::openat(&self.0, name, FOLDER, Mode::empty());
        Ok(Self(opened.map_err(refuse_link)?))
    }

    /// The folder below this one, made durably if it is not there.
    pub(crate) fn enter_or_make(&self, name: &str) -> io::Result<Self> {
        match self.enter(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            entered => return entered,
        }
        match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        self.sync()?;
        self.enter(name)
    }

    /// The file in this folder, for reading. Not if it is a link, nor if it is no file.
    pub(crate) fn open(&self, name: &str) -> io::Result<File> {
        // Without NONBLOCK the opening of a named pipe would wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, name, flags, Mode::empty());
        let file = File::from(opened.map_err(refuse_link)?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::ErrorKind::IsADirectory.into())
        }
    }

    /// A new file in this folder.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, mode)?))
    }

    /// Gives the file `name` of this folder another name elsewhere; fails if that is taken.
    pub(crate) fn link(&self, name: &str, to: &Self, new_name: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(
            &self.0,
            name,
            &to.0,
            new_name,
            AtFlags::empty(),
        )?)
    }

    /// Removes a file; false if there is none.
    pub(crate) fn remove(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes a folder if it is empty; false if it is not.
    pub(crate) fn remove_empty(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// The names in this folder, in order; those that are no text are left out.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            match entry?.file_name().to_str() {
                Ok(name) if name != "." && name != ".." => names.push(name.to_owned()),
                Ok(_) | Err(_) => {}
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Waits until what was made and removed in this folder is on disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}

/// Says of a symbolic link what it is: systems answer in different ways.
fn refuse_link(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::MLINK => io::Error::new(io::ErrorKind::NotADirectory, "it is a symbolic link"),
        error => error.into(),
    }
}

/// None instead of the error that there is no such file or folder.
pub(crate) fn none_if_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
