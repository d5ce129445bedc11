//! Sources as files, below folders that the configuration allows.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pipeline::Sha256Digest;
use pipeline::ports::{ErrorKind, Host, PortError, PortResult, SourceObject, Sources};
use pipeline::time::Timestamp;
use rustix::fs::OFlags;

use crate::artifacts::blocking;
use crate::error::Fault;

/// The most files that one source may name.
const MAX_FILES: usize = 10_000;

/// The most digests that are remembered.
const MAX_REMEMBERED: usize = 4 * MAX_FILES;

/// A file that was changed this short a time ago may be changed again within the file system's measure of time, so its
/// digest is not remembered.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The sources.
pub(crate) struct Files {
    shelf: Arc<Shelf>,
    host: Host,
}

impl Files {
    pub(crate) fn new(allowed: &[PathBuf], host: &Host) -> Self {
        Self {
            shelf: Arc::new(Shelf {
                allowed: allowed.to_vec(),
                digests: Mutex::default(),
            }),
            host: host.clone(),
        }
    }
}

#[async_trait]
impl Sources for Files {
    async fn find(&self, uri: &str) -> PortResult<Vec<SourceObject>> {
        let (shelf, uri, now) = (Arc::clone(&self.shelf), uri.to_owned(), self.host.clock.now());
        blocking(&self.host, "look for a source", move || {
            let paths = shelf.paths(&uri)?;
            paths.iter().map(|path| shelf.look(path, now)).collect()
        })
        .await
    }

    /// Workers read them where they are.
    async fn offer(&self, path: &str) -> PortResult<String> {
        Ok(path.to_owned())
    }

    async fn fetch(&self, object: &SourceObject, _folder: &Path) -> PortResult<PathBuf> {
        let (shelf, object, now) = (Arc::clone(&self.shelf), object.clone(), self.host.clock.now());
        blocking(&self.host, "open a source", move || {
            let path = Path::new(&object.uri);
            let real = shelf.allowed_path(path)?;
            if shelf.look(path, now)? != object {
                return Err(refusal(
                    ErrorKind::Conflict,
                    format!("{} was changed since it was looked at", object.uri),
                ));
            }
            Ok(real)
        })
        .await
    }
}

/// What tells that a file is still the one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    /// Set by the kernel at every change, and by nobody else.
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let data = file.metadata()?;
        Ok(Self {
            device: data.dev(),
            inode: data.ino(),
            size_bytes: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }

    fn is_settled(&self, now: Timestamp) -> bool {
        let changed_ms = u64::try_from(self.changed.0).unwrap_or(0).saturating_mul(1000) + 999;
        Timestamp(changed_ms).plus(SETTLED_AFTER) <= now
    }
}

/// The folders that are allowed, and the digests of what was read in them.
struct Shelf {
    allowed: Vec<PathBuf>,
    digests: Mutex<HashMap<PathBuf, (Stamp, Sha256Digest)>>,
}

impl Shelf {
    /// The files that `uri` names, in the order of their names.
    fn paths(&self, uri: &str) -> Result<Vec<PathBuf>, Fault> {
        refuse_other_schemes(uri)?;
        let path = Path::new(uri);
        // A file may be called what would be a glob.
        if !is_glob(uri) || path.is_file() {
            self.allowed_path(path)?;
            return Ok(vec![path.to_owned()]);
        }
        let folder = fixed_part(path);
        let is_fixed = |part: &Component<'_>| !is_glob(&part.as_os_str().to_string_lossy());
        let mut rest = path.components().skip_while(is_fixed);
        if rest.any(|part| part == Component::ParentDir || part.as_os_str() == "**") {
            return Err(refusal(
                ErrorKind::Invalid,
                format!("{uri}: `**`, and `..` behind a `*`, are not read; name each level of folders"),
            ));
        }
        // Before anything is listed: nothing is said of folders that are not allowed.
        self.allowed_path(&folder)?;
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let matches = glob::glob_with(uri, options).map_err(|e| {
            refusal(
                ErrorKind::Invalid,
                format!("{uri} is no glob: {} at character {}", e.msg, e.pos + 1),
            )
        })?;
        let mut paths = Vec::new();
        for found in matches {
            let path = found.map_err(|e| unreadable(&folder, e.into()))?;
            if path.is_dir() {
                continue;
            }
            self.allowed_path(&path)?;
            paths.push(path);
            if paths.len() > MAX_FILES {
                return Err(refusal(
                    ErrorKind::Invalid,
                    format!("{uri} names more than {MAX_FILES} files; put them together, or name fewer"),
                ));
            }
        }
        if paths.is_empty() {
            return Err(refusal(
                ErrorKind::NotFound,
                format!(
                    "no file is named like {uri}; looked into folder {}",
                    shown(&folder)
                ),
            ));
        }
        paths.sort_unstable();
        Ok(paths)
    }

    /// The path without links, if it is below an allowed folder.
    fn allowed_path(&self, path: &Path) -> Result<PathBuf, Fault> {
        let absolute = std::path::absolute(path)?;
        // The part that is there decides, so that nothing is told of what is elsewhere, not even that it is absent.
        let mut there = absolute.as_path();
        let real = loop {
            match std::fs::canonicalize(there) {
                Ok(real) => break real,
                Err(e) if e.kind() == io::ErrorKind::NotFound => match there.parent() {
                    Some(parent) => there = parent,
                    None => return Err(e.into()),
                },
                Err(e) => return Err(unreadable(path, e)),
            }
        };
        // Folders may come and go while the process runs.
        let allowed = self.allowed.iter().filter_map(|f| std::fs::canonicalize(f).ok());
        if !allowed.into_iter().any(|folder| real.starts_with(&folder)) {
            return Err(self.denied(path));
        }
        if there == absolute {
            return Ok(real);
        }
        let folder = path.parent().map_or_else(|| ".".into(), shown);
        let message = match path
            .parent()
            .is_some_and(|p| p.as_os_str().is_empty() || p.is_dir())
        {
            true => format!("there is no file {}; looked into folder {folder}", path.display()),
            false => format!("there is no file {}: there is no folder {folder}", path.display()),
        };
        Err(refusal(ErrorKind::NotFound, message))
    }

    fn denied(&self, path: &Path) -> Fault {
        let mut allowed: Vec<String> = Vec::new();
        for folder in self.allowed.iter().map(|folder| shown(folder)) {
            // The working directory may be the specification's own folder.
            if !allowed.contains(&folder) {
                allowed.push(folder);
            }
        }
        let allowed = match allowed.is_empty() {
            true => "no folder is allowed".to_owned(),
            false => format!("allowed is only what lies below {}", allowed.join(", ")),
        };
        refusal(
            ErrorKind::Denied,
            format!(
                "{} may not be read: {allowed}; allow its folder with --source-folders DIR,… or \
                 FLEETLINE_SOURCE_FOLDERS",
                path.display()
            ),
        )
    }

    fn look(&self, path: &Path, now: Timestamp) -> Result<SourceObject, Fault> {
        let real = self.allowed_path(path)?;
        let Some(uri) = path.to_str().filter(|_| real.to_str().is_some()) else {
            return Err(refusal(
                ErrorKind::Invalid,
                format!(
                    "{}: the name is no text in UTF-8; rename the file",
                    path.display()
                ),
            ));
        };
        // Without NONBLOCK the opening of a named pipe would wait for its other end.
        let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
        let flags = i32::try_from(flags).expect("flags of open are a C int");
        let file = File::options().read(true).custom_flags(flags).open(&real);
        let file = file.map_err(|e| unreadable(path, e))?;
        let is_folder = file.metadata()?.is_dir();
        if !file.metadata()?.is_file() {
            let (what, instead) = match is_folder {
                true => ("a folder", format!("; write {uri}/*.csv, for example")),
                false => ("no regular file", String::new()),
            };
            return Err(refusal(ErrorKind::Invalid, format!("{uri} is {what}{instead}")));
        }
        let stamp = Stamp::of(&file)?;
        let sha256 = match self.remembered(&real, &stamp) {
            Some(sha256) => sha256,
            None => self.read(path, &real, &file, &stamp, now)?,
        };
        Ok(SourceObject {
            uri: uri.to_owned(),
            sha256,
            size_bytes: stamp.size_bytes,
        })
    }

    fn read(
        &self,
        path: &Path,
        real: &Path,
        file: &File,
        stamp: &Stamp,
        now: Timestamp,
    ) -> Result<Sha256Digest, Fault> {
        let (sha256, size_bytes) = Sha256Digest::of_reader(file).map_err(|e| unreadable(path, e))?;
        if Stamp::of(file)? != *stamp || size_bytes != stamp.size_bytes {
            return Err(refusal(
                ErrorKind::Unavailable,
                format!(
                    "{} is being written while it is read; sources must not change",
                    path.display()
                ),
            ));
        }
        if stamp.is_settled(now) {
            let mut digests = self.lock();
            if digests.len() >= MAX_REMEMBERED {
                digests.clear();
            }
            digests.insert(real.to_owned(), (stamp.clone(), sha256));
        }
        Ok(sha256)
    }

    fn remembered(&self, real: &Path, stamp: &Stamp) -> Option<Sha256Digest> {
        let digests = self.lock();
        let (then, sha256) = digests.get(real)?;
        (then == stamp).then_some(*sha256)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Stamp, Sha256Digest)>> {
        // A panic while the map was locked cannot have left half an entry.
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only plain paths are read here. What stands before the path of a URI may hold a password, so it is not repeated.
fn refuse_other_schemes(uri: &str) -> Result<(), Fault> {
    let message = match uri.split_once("://") {
        _ if uri.is_empty() => "the source's path is empty".to_owned(),
        _ if uri.contains('\0') => "the source's path has a zero byte".to_owned(),
        None => return Ok(()),
        Some(("s3", _)) => {
            "the local backend reads files only, not s3://…; copy the data into a folder and name that"
                .to_owned()
        }
        Some((scheme, _)) => {
            let scheme: String = scheme.chars().take(16).collect();
            format!("{scheme:?} URIs are never read; copy the data into a folder and name that")
        }
    };
    Err(refusal(ErrorKind::Invalid, message))
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The folders before the first one that is a glob.
fn fixed_part(path: &Path) -> PathBuf {
    let fixed: PathBuf = path
        .components()
        .take_while(|part| !is_glob(&part.as_os_str().to_string_lossy()))
        .collect();
    match fixed.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => fixed,
    }
}

/// A folder as people know it.
fn shown(folder: &Path) -> String {
    std::path::absolute(folder)
        .unwrap_or_else(|_| folder.to_owned())
        .display()
        .to_string()
}

fn unreadable(path: &Path, error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Fault::Port(PortError::new(
            ErrorKind::Denied,
            format!("{}: this user may not read it", path.display()),
        )),
        io::ErrorKind::NotADirectory => Fault::Port(PortError::new(
            ErrorKind::NotFound,
            format!("there is no file {}: {error}", path.display()),
        )),
        _ => error.into(),
    }
}

fn refusal(kind: ErrorKind, message: String) -> Fault {
    Fault::Port(PortError::new(kind, message))
}

#[cfg(test)]
mod tests;
