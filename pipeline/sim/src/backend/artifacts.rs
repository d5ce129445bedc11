//! Artifacts and sources.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use pipeline::artifact::{ArtifactKey, ArtifactRef};
use pipeline::digest::Sha256Digest;
use pipeline::id::RunId;
use pipeline::ports::{ArtifactStore, ErrorKind, PortError, PortResult, SourceObject, Sources};

use crate::fault::Call;
use crate::stores::{SCHEME, files};
use crate::world::{Link, done};

/// What an error of a file means.
fn io_error(path: &Path, error: io::Error) -> PortError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::Conflict,
        _ => ErrorKind::Unavailable,
    };
    PortError::new(kind, path.display().to_string()).with_source(error)
}

fn write_new(path: &Path, bytes: &[u8]) -> PortResult<()> {
    use std::io::Write;
    let file = std::fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|e| io_error(path, e))
}

#[async_trait]
impl ArtifactStore for Link {
    async fn publish(&self, key: &ArtifactKey, file: &Path) -> PortResult<ArtifactRef> {
        // Read now: the attempt's folder may be gone when what is late arrives.
        let bytes = std::fs::read(file).map_err(|e| io_error(file, e))?;
        let key = key.clone();
        self.call(Call::Publish, key.to_string(), done, move |stores, _| {
            stores.artifacts.publish(&key, bytes)
        })
        .await
    }

    async fn fetch(&self, artifact: &ArtifactRef, destination: &Path) -> PortResult<()> {
        let wanted = artifact.clone();
        let bytes = self
            .call(Call::Fetch, artifact.key.to_string(), done, move |stores, _| {
                stores.artifacts.read(&wanted)
            })
            .await?;
        write_new(destination, &bytes.0)
    }

    async fn verify(&self, artifact: &ArtifactRef) -> PortResult<()> {
        let wanted = artifact.clone();
        self.call(
            Call::Rare,
            format!("verify {}", artifact.key),
            done,
            move |stores, _| stores.artifacts.read(&wanted).map(|_| ()),
        )
        .await
    }

    async fn size_bytes(&self, key: &ArtifactKey) -> PortResult<Option<u64>> {
        let key = key.clone();
        self.call(Call::SizeBytes, key.to_string(), done, move |stores, _| {
            Ok(stores.artifacts.size_bytes(&key))
        })
        .await
    }

    async fn remove(&self, key: &ArtifactKey) -> PortResult<()> {
        let key = key.clone();
        self.call(Call::Rare, format!("remove {key}"), done, move |stores, _| {
            stores.artifacts.remove(&key);
            Ok(())
        })
        .await
    }

    async fn list(&self, run: &RunId) -> PortResult<Vec<ArtifactKey>> {
        let run = run.clone();
        self.call(Call::Rare, format!("list {run}"), done, move |stores, _| {
            let is_of_run =
                |key: &&ArtifactKey| matches!(key, ArtifactKey::Attempt(origin, _) if origin.run == run);
            Ok(stores.artifacts.keys().filter(is_of_run).cloned().collect())
        })
        .await
    }

    async fn list_runs(&self) -> PortResult<Vec<RunId>> {
        self.call(Call::Rare, "list-runs".to_owned(), done, |stores, _| {
            let runs: BTreeSet<RunId> = stores
                .artifacts
                .keys()
                .filter_map(|key| match key {
                    ArtifactKey::Attempt(origin, _) => Some(origin.run.clone()),
                    ArtifactKey::Spec(_) => None,
                })
                .collect();
            Ok(runs.into_iter().collect())
        })
        .await
    }

    fn locate(&self, key: &ArtifactKey) -> String {
        format!("{SCHEME}{key}")
    }
}

#[async_trait]
impl Sources for Link {
    async fn find(&self, uri: &str) -> PortResult<Vec<SourceObject>> {
        let uri = uri.to_owned();
        self.call(Call::Rare, format!("find {uri}"), done, move |stores, _| {
            stores.sources.find(&uri)
        })
        .await
    }

    async fn offer(&self, path: &str) -> PortResult<String> {
        let found = files(path).map_err(|e| io_error(Path::new(path), e))?;
        if found.is_empty() {
            return Err(PortError::new(ErrorKind::NotFound, format!("there is no {path}")));
        }
        let mut contents = Vec::new();
        for file in found {
            let bytes = std::fs::read(&file).map_err(|e| io_error(&file, e))?;
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            contents.push((name.unwrap_or_default(), bytes));
        }
        let all: Vec<u8> = contents
            .iter()
            .flat_map(|(name, bytes)| [name.as_bytes(), b"\0", bytes, b"\0"].concat())
            .collect();
        let folder = format!("{SCHEME}offered/{}", Sha256Digest::of(&all));
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        let offered = format!("{folder}/{name}");
        self.call(Call::Rare, format!("offer {offered}"), done, move |stores, _| {
            for (name, bytes) in contents {
                stores.sources.put(&format!("{folder}/{name}"), bytes);
            }
            Ok(offered)
        })
        .await
    }

    async fn fetch(&self, object: &SourceObject, folder: &Path) -> PortResult<PathBuf> {
        let wanted = object.clone();
        let detail = format!("fetch-source {}", object.uri);
        let bytes = self
            .call(Call::Rare, detail, done, move |stores, _| {
                stores.sources.read(&wanted)
            })
            .await?;
        let name = object.uri.rsplit('/').next().unwrap_or("file");
        std::fs::create_dir_all(folder).map_err(|e| io_error(folder, e))?;
        let path = folder.join(name);
        write_new(&path, &bytes.0)?;
        Ok(path)
    }
}
