//! `producer artifacts`: what a run's steps wrote.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pipeline::item::{BranchItem, RunItem};
use pipeline::{ArtifactKey, ArtifactName, ArtifactRef, Manifest, RunId, StepName};
use serde::Serialize;

use crate::commands::show::branches_of;
use crate::exit::{Exit, Failure};
use crate::render::{Cell, Table, size};
use crate::session::Session;

/// List or fetch what a run's steps wrote
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the artifacts of a run's committed steps
    ///
    /// Where a step was taken over from another run, by a resumption or from the cache, the artifact lies there.
    #[command(after_long_help = "\
Examples:
  producer artifacts list nightly-2026-11-23

JSON: an array of {step, ordinal, attempt, origin_run, name, sha256, size_bytes, location}; ordinal is \
null outside of branches.")]
    List {
        /// The run's id
        #[arg(value_name = "RUN")]
        run: RunId,
    },
    /// Fetch one artifact; its digest is checked
    #[command(after_long_help = "\
Examples:
  producer artifacts get nightly-2026-11-23 evaluate report.json | jq .
  producer artifacts get nightly-2026-11-23 train/3 model.bin -o model.bin

JSON: {step, ordinal, attempt, origin_run, name, sha256, size_bytes, location, file}; needs -o.")]
    Get {
        /// The run's id
        #[arg(value_name = "RUN")]
        run: RunId,
        /// The step, or one branch of it
        #[arg(value_name = "STEP[/ORDINAL]")]
        step: Place,
        /// The artifact's name
        #[arg(value_name = "NAME")]
        name: ArtifactName,
        /// Write it to this file, which is replaced; standard output otherwise
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// A step, or one branch of it: `train`, `train/3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    step: StepName,
    ordinal: Option<u32>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (step, ordinal) = match text.split_once('/') {
            None => (text, None),
            Some((step, ordinal)) => (step, Some(ordinal)),
        };
        Ok(Self {
            step: StepName::new(step).map_err(|e| e.to_string())?,
            ordinal: match ordinal.map(str::parse) {
                None => None,
                Some(Ok(ordinal)) => Some(ordinal),
                Some(Err(_)) => {
                    return Err(format!(
                        "{text:?} names no branch; write STEP/ORDINAL, for example train/3"
                    ));
                }
            },
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ordinal {
            None => write!(f, "{}", self.step),
            Some(ordinal) => write!(f, "{}/{ordinal}", self.step),
        }
    }
}

#[derive(Serialize)]
struct View {
    step: String,
    ordinal: Option<u32>,
    attempt: u32,
    origin_run: String,
    name: String,
    sha256: String,
    size_bytes: u64,
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl View {
    fn of(
        session: &Session,
        place: &Place,
        manifest: &Manifest,
        name: &ArtifactName,
        artifact: &ArtifactRef,
    ) -> Self {
        Self {
            step: place.step.to_string(),
            ordinal: place.ordinal,
            attempt: manifest.origin.attempt,
            origin_run: manifest.origin.run.to_string(),
            name: name.to_string(),
            sha256: artifact.sha256.to_string(),
            size_bytes: artifact.size_bytes,
            location: session.backend.artifacts.locate(&artifact.key),
            file: None,
        }
    }
}

pub(super) async fn perform(session: &Session, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List { run } => list(session, &run).await,
        Command::Get {
            run,
            step,
            name,
            output,
        } => get(session, &run, &step, &name, output.as_deref()).await,
    }
}

async fn list(session: &Session, id: &RunId) -> Result<Exit, Failure> {
    let run = session.run(id).await?;
    let branches = branches_of(session, &run).await?;
    let mut views = Vec::new();
    for (place, manifest) in manifests(&run, &branches) {
        for artifact in manifest.references() {
            let ArtifactKey::Attempt(_, name) = &artifact.key else {
                continue;
            };
            views.push(View::of(session, &place, manifest, name, &artifact));
        }
    }
    if session.output.is_json() {
        session.output.json(&views)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["STEP", "NAME", "SIZE", "SHA-256", "LOCATION"]);
    for view in &views {
        let ordinal = view.ordinal.map_or_else(String::new, |o| format!("/{o}"));
        table.row([
            Cell::new(format!("{}{ordinal}", view.step)),
            Cell::new(&view.name),
            Cell::new(size(view.size_bytes)).right(),
            Cell::new(&view.sha256[..12]),
            Cell::new(&view.location),
        ]);
    }
    if table.is_empty() {
        session
            .output
            .say(&format!("no step of run {id} has committed an artifact"));
    } else {
        session.output.table(&table)?;
    }
    Ok(Exit::Done)
}

/// Every manifest of the run, in the plan's order.
fn manifests<'a>(run: &'a RunItem, branches: &'a [BranchItem]) -> Vec<(Place, &'a Manifest)> {
    let mut all = Vec::new();
    for (step, work) in run.steps_in_order() {
        let place = |ordinal| Place {
            step: step.clone(),
            ordinal,
        };
        all.extend(work.manifest.as_ref().map(|manifest| (place(None), manifest)));
        let own = branches.iter().filter(|branch| branch.step == *step);
        all.extend(own.filter_map(|b| Some((place(Some(b.ordinal)), b.work.manifest.as_ref()?))));
    }
    all
}

async fn get(
    session: &Session,
    id: &RunId,
    place: &Place,
    name: &ArtifactName,
    output: Option<&Path>,
) -> Result<Exit, Failure> {
    if output.is_none() && session.output.is_json() {
        return Err(Failure::Usage(
            "--json and the artifact cannot share standard output; add -o FILE".into(),
        ));
    }
    let run = session.run(id).await?;
    let branches = branches_of(session, &run).await?;
    let all = manifests(&run, &branches);
    let list = format!("`producer artifacts list {id}` shows what there is");
    let Some((_, manifest)) = all.iter().find(|(at, _)| at == place) else {
        return Err(Failure::NotFound(format!(
            "run {id} has no committed result of {place}; {list}"
        )));
    };
    let Some(artifact) = manifest.get(name) else {
        return Err(Failure::NotFound(format!(
            "{place} of run {id} wrote no artifact {name}; {list}"
        )));
    };
    let Some(file) = output else {
        to_standard_output(session, &artifact, name).await?;
        return Ok(Exit::Done);
    };
    // Beside its place at first, so that there is never half of it.
    let parent = file
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let folder =
        tempfile::tempdir_in(parent).map_err(Failure::file(format!("write in {}", parent.display())))?;
    let part = folder.path().join(name.as_str());
    session.backend.artifacts.fetch(&artifact, &part).await?;
    std::fs::rename(&part, file).map_err(Failure::file(format!("write {}", file.display())))?;
    session.output.say(&format!(
        "{} written to {}",
        size(artifact.size_bytes),
        file.display()
    ));
    if session.output.is_json() {
        let mut view = View::of(session, place, manifest, name, &artifact);
        view.file = Some(file.to_owned());
        session.output.json(&view)?;
    }
    Ok(Exit::Done)
}

/// Fetched and checked as a whole first: whoever reads the pipe gets only good bytes.
async fn to_standard_output(
    session: &Session,
    artifact: &ArtifactRef,
    name: &ArtifactName,
) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(Failure::file("make a temporary folder"))?;
    let part = folder.path().join(name.as_str());
    session.backend.artifacts.fetch(artifact, &part).await?;
    let mut file = std::fs::File::open(&part).map_err(Failure::file("read the fetched artifact"))?;
    if std::io::stdout().is_terminal() && !is_text(&part)? {
        return Err(Failure::Usage(format!(
            "{name} is not a text; write it to a file with -o FILE"
        )));
    }
    std::io::copy(&mut file, &mut std::io::stdout().lock())?;
    Ok(())
}

/// True if the file's beginning is a text without control characters other than those of layout.
fn is_text(file: &Path) -> Result<bool, Failure> {
    use std::io::Read as _;
    let mut beginning = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(8192).read_to_end(&mut beginning))
        .map_err(Failure::file("read the fetched artifact"))?;
    Ok(beginning
        .iter()
        .all(|b| *b >= 0x20 && *b != 0x7f || matches!(b, b'\n' | b'\r' | b'\t')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        for text in ["train", "train/0", "train/255"] {
            assert_eq!(text.parse::<Place>().map(|p| p.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "/1", "train/", "train/x", "train/-1", "train/1/2", "Train"] {
            assert!(text.parse::<Place>().is_err(), "{text:?} was taken");
        }
    }
}
