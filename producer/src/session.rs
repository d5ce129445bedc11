//! What every command works with.

use pipeline::item::RunItem;
use pipeline::ports::{Backend, ErrorKind, Host, PortError, PortResult};
use pipeline::{ArtifactKey, ArtifactRef, RunId, Spec, Timestamp};

use crate::exit::Failure;
use crate::render::Output;

/// One invocation: the backend it speaks to, its surroundings, and where it writes.
pub struct Session {
    /// Everything that outlives this process.
    pub backend: Backend,
    /// Time, randomness, tasks.
    pub host: Host,
    /// Where it writes.
    pub output: Output,
}

impl Session {
    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// The run's item.
    pub async fn run(&self, run: &RunId) -> Result<RunItem, Failure> {
        self.backend.runs.load(run).await?.ok_or_else(|| no_such_run(run))
    }

    /// The content of an artifact that is known to be small. Its digest is checked.
    pub async fn bytes(&self, artifact: &ArtifactRef) -> PortResult<Vec<u8>> {
        let failed =
            |e| PortError::new(ErrorKind::Unavailable, "cannot use a temporary folder").with_source(e);
        let folder = tempfile::tempdir().map_err(failed)?;
        let file = folder.path().join("artifact");
        self.backend.artifacts.fetch(artifact, &file).await?;
        std::fs::read(&file).map_err(failed)
    }

    /// The specification of a run, as it is stored. Its digest is checked.
    pub async fn spec(&self, run: &RunItem) -> Result<Spec, Failure> {
        let key = ArtifactKey::Spec(run.spec);
        let size_bytes = self.backend.artifacts.size_bytes(&key).await?.ok_or_else(|| {
            Failure::NotFound(format!(
                "the specification {} of run {} is gone",
                run.spec, run.id
            ))
        })?;
        let reference = ArtifactRef {
            key,
            sha256: run.spec,
            size_bytes,
        };
        let bytes = self.bytes(&reference).await?;
        Spec::from_canonical(&bytes).map_err(|error| {
            Failure::Usage(format!(
                "the specification of run {} is of another version of fleetline than this producer: {error}",
                run.id
            ))
        })
    }
}

/// The failure that every command has for a run that is not there.
pub fn no_such_run(run: &RunId) -> Failure {
    Failure::NotFound(format!(
        "there is no run {run} here; `producer list --all` shows those that there are"
    ))
}
