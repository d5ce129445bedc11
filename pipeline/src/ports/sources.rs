//! Sources: files outside of fleetline's own stores, which a specification names.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::digest::Sha256Digest;
use crate::ports::PortResult;

/// Files that others keep, for reading only. Only what the backend's configuration allows can be read.
#[async_trait]
pub trait Sources: Send + Sync {
    /// The files that `uri` names, a single one or a glob, in the order of their names; never none.
    ///
    /// `NotFound` if there is none, and the message says where was looked; `Denied` if it may not be read, and the
    /// message says what would allow it; `Invalid` if it is nothing that this backend reads.
    async fn find(&self, uri: &str) -> PortResult<Vec<SourceObject>>;

    /// Makes files of this machine, a path or a glob, readable to workers wherever they are: the URI by which they find
    /// them. A backend on this machine leaves them where they are; another one keeps a copy, under a name that is made of
    /// its content, so that what was offered once is not copied again. Fails as [`Sources::find`] does.
    async fn offer(&self, path: &str) -> PortResult<String>;

    /// Makes a file readable at a path: where it lies, if that is on this machine, or else as a new file in `folder`,
    /// which may not be there yet. The path is for reading only. `Conflict` if the file is no longer what it was when
    /// it was found.
    async fn fetch(&self, object: &SourceObject, folder: &Path) -> PortResult<PathBuf>;
}

/// One file of a source, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceObject {
    /// What people call it.
    pub uri: String,
    /// Of its content, or of what names this version of it for ever. Equal digests mean equal content.
    pub sha256: Sha256Digest,
    /// Of its content.
    pub size_bytes: u64,
}
