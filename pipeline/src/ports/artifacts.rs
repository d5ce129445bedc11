//! Artifacts: immutable bytes under keys.

use std::path::Path;

use async_trait::async_trait;

use crate::artifact::{ArtifactKey, ArtifactRef};
use crate::ports::PortResult;

/// Large, immutable, digested bytes.
#[async_trait]
pub trait ArtifactStore: Send + Sync {
    /// Stores the file's bytes under `key`, durably, and says what was stored (the digest is computed from the very
    /// bytes that were written). Readers see all of it or nothing. If the key is taken: success if it holds the same
    /// bytes, `Conflict` otherwise. `NotFound` if there is no such file.
    async fn publish(&self, key: &ArtifactKey, file: &Path) -> PortResult<ArtifactRef>;

    /// Copies an artifact to `destination`, which must not exist (`Conflict`), and checks it on the way. `NotFound` if there is
    /// none, `Corrupt` (and no file) if it is not what the reference says.
    async fn fetch(&self, artifact: &ArtifactRef, destination: &Path) -> PortResult<()>;

    /// Reads an artifact to its end and checks it, as [`ArtifactStore::fetch`] does, without a copy. `NotFound` if there
    /// is none, `Corrupt` if it is not what the reference says.
    async fn verify(&self, artifact: &ArtifactRef) -> PortResult<()>;

    /// The artifact's size in bytes, none if there is none. Its bytes are not looked at.
    async fn size_bytes(&self, key: &ArtifactKey) -> PortResult<Option<u64>>;

    /// Removes an artifact. Removing one that is gone is success. Only garbage collection calls it.
    async fn remove(&self, key: &ArtifactKey) -> PortResult<()>;

    /// All keys under a run, committed or not, for garbage collection.
    async fn list(&self, run: &crate::id::RunId) -> PortResult<Vec<ArtifactKey>>;

    /// All runs that have artifacts, for garbage collection. Some may have no item any more.
    async fn list_runs(&self) -> PortResult<Vec<crate::id::RunId>>;

    /// Where people find an artifact without us: a path or a URI.
    fn locate(&self, key: &ArtifactKey) -> String;
}
