//! Artifacts as objects of one bucket.
//!
//! S3 checks a CRC of everything on its way in; our own SHA-256, over the whole of the very bytes that were sent, is kept
//! beside the object as metadata, because S3's own of an upload in parts is not one of the whole.

mod download;
mod upload;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pipeline::artifact::{ArtifactKey, ArtifactRef, Origin};
use pipeline::digest::Sha256Digest;
use pipeline::id::{ArtifactName, RunId, StepName};
use pipeline::ports::{ArtifactStore, ErrorKind, PortError, PortResult};

pub(crate) use self::download::{Download, Wanted};
use self::upload::Uploaded;
pub(crate) use self::upload::upload;
use crate::error::Fault;
use crate::retry::{Retries, is_conflict_in_passing};
use crate::store::Store;

/// Larger objects go in parts of this size, several at a time.
pub(crate) const PART_BYTES: u64 = 16 * 1024 * 1024;
/// How many parts are on their way at a time; so many are in memory.
const PARTS_AT_A_TIME: usize = 4;

/// The artifacts.
pub(crate) struct Artifacts(pub(crate) Arc<Store>);

#[async_trait]
impl ArtifactStore for Artifacts {
    async fn publish(&self, key: &ArtifactKey, file: &Path) -> PortResult<ArtifactRef> {
        let name = key.to_string();
        let uploaded = match self.upload(&name, file).await {
            Ok(uploaded) => uploaded,
            Err(Fault::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(PortError::new(
                    ErrorKind::NotFound,
                    format!(
                        "cannot publish {} as {key}: there is no such file",
                        file.display()
                    ),
                ));
            }
            Err(fault) => {
                return Err(fault.explain(&format!("publish {} as {key}", file.display())));
            }
        };
        let artifact = ArtifactRef {
            key: key.clone(),
            sha256: uploaded.sha256,
            size_bytes: uploaded.size_bytes,
        };
        if !uploaded.is_new {
            let there = self.metadata(&name).await;
            let there = there.map_err(|fault| fault.explain(&format!("look at {key}")))?;
            if there.is_none() {
                return Err(PortError::new(
                    ErrorKind::Unavailable,
                    format!("cannot publish {key}: the upload was given up by somebody else, try again"),
                ));
            }
            if there != Some((artifact.size_bytes, Some(artifact.sha256))) {
                return Err(PortError::new(
                    ErrorKind::Conflict,
                    format!("cannot publish {key}: other bytes are stored under that key"),
                ));
            }
        }
        Ok(artifact)
    }

    async fn fetch(&self, artifact: &ArtifactRef, destination: &Path) -> PortResult<()> {
        let action = format!("fetch {} to {}", artifact.key, destination.display());
        self.read(artifact, Some(destination), &action).await
    }

    async fn verify(&self, artifact: &ArtifactRef) -> PortResult<()> {
        self.read(artifact, None, &format!("check {}", artifact.key))
            .await
    }

    async fn size_bytes(&self, key: &ArtifactKey) -> PortResult<Option<u64>> {
        let there = self.metadata(&key.to_string()).await;
        let there = there.map_err(|fault| fault.explain(&format!("look at {key}")))?;
        Ok(there.map(|(size_bytes, _)| size_bytes))
    }

    async fn remove(&self, key: &ArtifactKey) -> PortResult<()> {
        let request = self.0.clients.s3.delete_object();
        let removed = request
            .bucket(&self.0.bucket)
            .key(key.to_string())
            .expected_bucket_owner(&self.0.clients.account)
            .send()
            .await;
        removed
            .map(drop)
            .map_err(|e| Fault::from(e).explain(&format!("remove {key}")))
    }

    async fn list(&self, run: &RunId) -> PortResult<Vec<ArtifactKey>> {
        let (names, _) = self
            .names(&format!("r/{run}/"), None)
            .await
            .map_err(|fault| fault.explain(&format!("list the artifacts of run {run}")))?;
        // What is no artifact was put there by somebody else, and is left alone.
        Ok(names.iter().filter_map(|name| parse(name)).collect())
    }

    async fn list_runs(&self) -> PortResult<Vec<RunId>> {
        let (_, folders) = self
            .names("r/", Some("/"))
            .await
            .map_err(|fault| fault.explain("list the runs that have artifacts"))?;
        let run = |folder: &String| folder.split('/').nth(1).and_then(|run| RunId::new(run).ok());
        Ok(folders.iter().filter_map(run).collect())
    }

    fn locate(&self, key: &ArtifactKey) -> String {
        format!("s3://{}/{key}", self.0.bucket)
    }
}

impl Artifacts {
    /// Uploads, and again where another upload to the same key was under way.
    async fn upload(&self, key: &str, file: &Path) -> Result<Uploaded, Fault> {
        let mut retries = Retries::new(&self.0.host);
        loop {
            match upload(&self.0, key, file).await {
                Err(fault) if is_conflict_in_passing(&fault) => retries.again(fault).await?,
                answer => return answer,
            }
        }
    }

    /// Reads an artifact to its end and checks it; keeps it if there is somewhere to.
    async fn read(&self, artifact: &ArtifactRef, destination: Option<&Path>, action: &str) -> PortResult<()> {
        if destination.is_some_and(Path::exists) {
            let message = format!("cannot {action}: something is there already");
            return Err(PortError::new(ErrorKind::Conflict, message));
        }
        let download = Download {
            store: &self.0,
            bucket: &self.0.bucket,
            key: &artifact.key.to_string(),
            // Garbage collection may have taken it, and another run made it anew: the digest decides, not its version.
            wanted: Wanted::Whole(artifact.size_bytes),
        };
        let damaged = |what: &str| {
            let key = &artifact.key;
            PortError::new(
                ErrorKind::Corrupt,
                format!("artifact {key} is damaged: {what}; run the step that made it again"),
            )
        };
        let sha256 = match destination {
            None => download.read(|_| Ok(())).await,
            Some(destination) => {
                download
                    .save(destination, |sha256| sha256 == artifact.sha256)
                    .await
            }
        };
        let sha256 = sha256.map_err(|fault| match fault.failure().map(|failure| failure.status) {
            Some(Some(404)) => PortError::new(
                ErrorKind::NotFound,
                format!("cannot {action}: there is no such artifact"),
            ),
            _ => fault.explain(action),
        })?;
        match sha256 {
            None => Err(damaged(&format!(
                "it has not the {} bytes that it had",
                artifact.size_bytes
            ))),
            Some(sha256) if sha256 != artifact.sha256 => Err(damaged(&format!(
                "its digest is {sha256}, and was {}",
                artifact.sha256
            ))),
            Some(_) => Ok(()),
        }
    }

    /// An object's size, and the digest that its publisher computed; none if there is no object.
    async fn metadata(&self, key: &str) -> Result<Option<(u64, Option<Sha256Digest>)>, Fault> {
        let request = self.0.clients.s3.head_object();
        let answer = request
            .bucket(&self.0.bucket)
            .key(key)
            .expected_bucket_owner(&self.0.clients.account)
            .send()
            .await;
        match answer.map_err(Fault::from) {
            Ok(head) => {
                let size_bytes = head.content_length.and_then(|n| u64::try_from(n).ok());
                let sha256 = head.metadata.as_ref().and_then(|of| of.get(upload::SHA256));
                let sha256 = sha256.and_then(|hex| Sha256Digest::from_hex(hex).ok());
                Ok(Some((size_bytes.unwrap_or(0), sha256)))
            }
            Err(fault) if fault.failure().is_some_and(|f| f.status == Some(404)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The keys under a prefix, and the prefixes below it up to the delimiter.
    async fn names(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
    ) -> Result<(Vec<String>, Vec<String>), Fault> {
        let (mut names, mut folders, mut from) = (Vec::new(), Vec::new(), None);
        loop {
            let request = self.0.clients.s3.list_objects_v2();
            let answer = request
                .bucket(&self.0.bucket)
                .prefix(prefix)
                .set_delimiter(delimiter.map(str::to_owned))
                .set_continuation_token(from)
                .expected_bucket_owner(&self.0.clients.account)
                .send()
                .await?;
            names.extend(
                answer
                    .contents
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|o| o.key),
            );
            let prefixes = answer.common_prefixes.unwrap_or_default();
            folders.extend(prefixes.into_iter().filter_map(|p| p.prefix));
            from = answer.next_continuation_token;
            if from.is_none() {
                return Ok((names, folders));
            }
        }
    }
}

/// The key that is written so, if it is one of an attempt.
fn parse(text: &str) -> Option<ArtifactKey> {
    let parts: Vec<&str> = text.split('/').collect();
    let ["r", run, step, ordinal, attempt, name] = parts.as_slice() else {
        return None;
    };
    let origin = Origin {
        run: RunId::new(run).ok()?,
        step: StepName::new(step).ok()?,
        ordinal: ordinal.parse().ok()?,
        attempt: attempt.strip_prefix('a')?.parse().ok()?,
    };
    let key = ArtifactKey::Attempt(origin, ArtifactName::new(name).ok()?);
    // Numbers have one form only.
    (key.to_string() == text).then_some(key)
}
