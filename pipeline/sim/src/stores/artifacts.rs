//! Artifacts, and the files that others keep.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pipeline::artifact::{ArtifactKey, ArtifactRef};
use pipeline::digest::Sha256Digest;
use pipeline::ports::{ErrorKind, PortResult, SourceObject};

use super::error;

/// Immutable bytes and their digest.
type Bytes = Arc<(Vec<u8>, Sha256Digest)>;

/// The artifacts.
#[derive(Debug, Default)]
pub struct Artifacts(BTreeMap<ArtifactKey, Bytes>);

impl Artifacts {
    /// Stores bytes under a key; `Conflict` if others are there.
    pub fn publish(&mut self, key: &ArtifactKey, bytes: Vec<u8>) -> PortResult<ArtifactRef> {
        let sha256 = Sha256Digest::of(&bytes);
        let size_bytes = bytes.len() as u64;
        let stored = self
            .0
            .entry(key.clone())
            .or_insert_with(|| Arc::new((bytes, sha256)));
        if stored.1 != sha256 {
            return Err(error(ErrorKind::Conflict, format!("other bytes are at {key}")));
        }
        Ok(ArtifactRef {
            key: key.clone(),
            sha256,
            size_bytes,
        })
    }

    /// The bytes of an artifact, checked.
    pub fn read(&self, artifact: &ArtifactRef) -> PortResult<Bytes> {
        let key = &artifact.key;
        let missing = || error(ErrorKind::NotFound, format!("there is no artifact {key}"));
        let stored = self.0.get(key).ok_or_else(missing)?;
        if (stored.1, stored.0.len() as u64) != (artifact.sha256, artifact.size_bytes) {
            return Err(error(
                ErrorKind::Corrupt,
                format!("artifact {key} is not what it was"),
            ));
        }
        Ok(stored.clone())
    }

    /// Its size.
    pub fn size_bytes(&self, key: &ArtifactKey) -> Option<u64> {
        self.0.get(key).map(|stored| stored.0.len() as u64)
    }

    /// Removes an artifact.
    pub fn remove(&mut self, key: &ArtifactKey) {
        self.0.remove(key);
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &ArtifactKey> {
        self.0.keys()
    }
}

/// Files outside of fleetline's own stores, by their URIs, which begin with `sim://`.
#[derive(Debug, Default)]
pub struct SourceFiles(BTreeMap<String, Bytes>);

/// What every URI begins with.
pub(crate) const SCHEME: &str = "sim://";

impl SourceFiles {
    /// Keeps a file, over the one that is there.
    pub fn put(&mut self, uri: &str, bytes: Vec<u8>) {
        let sha256 = Sha256Digest::of(&bytes);
        self.0.insert(uri.to_owned(), Arc::new((bytes, sha256)));
    }

    /// The files that a URI, or a glob, names.
    pub fn find(&self, uri: &str) -> PortResult<Vec<SourceObject>> {
        if !uri.starts_with(SCHEME) {
            let message = format!("{uri:?} is nothing that a simulation reads: use {SCHEME}…");
            return Err(error(ErrorKind::Invalid, message));
        }
        let found: Vec<SourceObject> = self
            .0
            .iter()
            .filter(|(known, _)| matches(uri, known))
            .map(|(known, stored)| SourceObject {
                uri: known.clone(),
                sha256: stored.1,
                size_bytes: stored.0.len() as u64,
            })
            .collect();
        match found.is_empty() {
            true => Err(error(ErrorKind::NotFound, format!("there is no {uri}"))),
            false => Ok(found),
        }
    }

    /// The bytes of a file, if it is what it was.
    pub fn read(&self, object: &SourceObject) -> PortResult<Bytes> {
        match self.0.get(&object.uri) {
            Some(stored) if stored.1 == object.sha256 => Ok(stored.clone()),
            Some(_) => Err(error(ErrorKind::Conflict, format!("{} was changed", object.uri))),
            None => Err(error(ErrorKind::Conflict, format!("{} is gone", object.uri))),
        }
    }
}

/// True if `text` is what `pattern` says, in which `*` stands for anything but a slash.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            let ends = (0..=rest.len()).filter(|end| rest.is_char_boundary(*end));
            ends.take_while(|end| !rest[..*end].contains('/'))
                .any(|end| matches(after, &rest[end..]))
        }),
    }
}

/// The files of this machine that a path, or a glob in its last part, names.
pub(crate) fn files(path: &str) -> std::io::Result<Vec<std::path::PathBuf>> {
    let path = Path::new(path);
    let pattern = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let (Some(folder), Some(pattern)) = (path.parent(), pattern) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if matches(&pattern, &entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
