//! `producer models show`: a model's versions, and what their packages say.

use std::collections::BTreeMap;

use pipeline::id::{AliasName, ModelName};
use pipeline::registry::ModelVersion;
use pipeline::{ArtifactName, RunId};
use serde::{Deserialize, Serialize};

use super::versions;
use crate::exit::{Exit, Failure};
use crate::render::{Cell, Colour, Table, ago, size};
use crate::session::Session;

/// The file in which a package says what it is.
const DESCRIPTION: &str = "package.json";

/// The longest of them that is read.
const MAX_DESCRIPTION_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Serialize)]
struct VersionView<'a> {
    model: &'a ModelName,
    version: &'a RunId,
    registered_at: String,
    is_current: bool,
    model_kind: Option<String>,
    metrics: Option<BTreeMap<String, f64>>,
    lineage: Option<BTreeMap<String, String>>,
    artifacts: &'a [pipeline::artifact::Artifact],
}

/// What a package says of itself; the rest of the file is for whoever loads it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Description {
    model_kind: Option<String>,
    metrics: Option<BTreeMap<String, f64>>,
    lineage: Option<BTreeMap<String, String>>,
}

impl Description {
    /// The metric that chose the model: `auc 0.7862`.
    fn headline(&self) -> Option<String> {
        let name = self.lineage.as_ref()?.get("metric")?;
        let value = self.metrics.as_ref()?.get(name)?;
        Some(format!("{name} {value:.4}"))
    }
}

pub(super) async fn show(session: &Session, model: &ModelName, alias: &AliasName) -> Result<Exit, Failure> {
    let versions = versions(session, model).await?;
    let current = session.backend.registry.resolve(model, alias).await?;
    let is_current = |version: &ModelVersion| current.as_ref().is_some_and(|a| a.version == version.run);
    let mut views = Vec::new();
    let mut table = Table::new(&[
        "VERSION",
        "ALIAS",
        "REGISTERED",
        "MODEL",
        "ON TEST",
        "ARTIFACTS",
        "SIZE",
    ]);
    let now = session.now();
    for version in &versions {
        let description = description(session, version).await?;
        let artifacts = &version.package.artifacts;
        let total = artifacts
            .iter()
            .map(|a| a.size_bytes)
            .fold(0, u64::saturating_add);
        let (shown_alias, colour) = if is_current(version) {
            (alias.as_str(), Some(Colour::Green))
        } else {
            ("", None)
        };
        table.row([
            Cell::new(version.run.as_str()),
            Cell::new(shown_alias).coloured(colour),
            Cell::new(ago(now, version.registered_at)).right(),
            Cell::maybe(description.model_kind.as_ref()),
            Cell::maybe(description.headline()),
            Cell::new(artifacts.len().to_string()).right(),
            Cell::new(size(total)).right(),
        ]);
        views.push(VersionView {
            model,
            version: &version.run,
            registered_at: version.registered_at.to_string(),
            is_current: is_current(version),
            model_kind: description.model_kind,
            metrics: description.metrics,
            lineage: description.lineage,
            artifacts,
        });
    }
    if session.output.is_json() {
        session.output.json(&views)?;
    } else {
        session.output.table(&table)?;
    }
    Ok(Exit::Done)
}

/// What the version's package says of itself; nothing if it has no such file, or one of another kind: a version can
/// be any stage's.
async fn description(session: &Session, version: &ModelVersion) -> Result<Description, Failure> {
    let name = ArtifactName::new(DESCRIPTION).expect("letters and a dot make an artifact's name");
    let Some(artifact) = version
        .package
        .get(&name)
        .filter(|a| a.size_bytes <= MAX_DESCRIPTION_BYTES)
    else {
        return Ok(Description::default());
    };
    let folder = tempfile::tempdir().map_err(Failure::file("make a temporary folder"))?;
    let file = folder.path().join(DESCRIPTION);
    session.backend.artifacts.fetch(&artifact, &file).await?;
    let bytes = std::fs::read(&file).map_err(Failure::file("read the fetched description"))?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}
