//! What may be removed, and what must stay. Pure: it looks at what was read and answers what to remove.
//!
//! A run goes whole or stays whole. It stays while it is open, while it is young, and while anything that stays
//! uses its artifacts: a run that resumes it or took a result of it from the cache, or a registered version of a
//! model. So whatever a run's item speaks of is there as long as the item is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pipeline::artifact::Origin;
use pipeline::item::{BranchItem, RunItem};
use pipeline::registry::ModelVersion;
use pipeline::{ArtifactKey, Manifest, RunId, RunStatus, Sha256Digest, Timestamp};

/// How long after its run's end an artifact that no commit speaks of is left alone. A message lives for at most
/// twelve hours after its receive, and so does the attempt that it started; this is twice that.
pub const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);

/// Everything that there is.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    /// All runs with their branches.
    pub runs: BTreeMap<RunId, (RunItem, Vec<BranchItem>)>,
    /// All registered versions of all models.
    pub versions: Vec<ModelVersion>,
    /// All artifacts that are stored, by the run under which they lie.
    pub stored: BTreeMap<RunId, Vec<ArtifactKey>>,
}

/// Why an artifact of no removed run is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Orphaned {
    /// An attempt wrote it that never committed, and its run ended long ago.
    DeadAttempt,
    /// Its run has no item any more.
    NoRun,
}

impl Orphaned {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadAttempt => "of an attempt that never committed",
            Self::NoRun => "its run is gone",
        }
    }
}

/// What may be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Runs that go, items and artifacts.
    pub runs: BTreeSet<RunId>,
    /// The artifacts of these runs.
    pub artifacts: BTreeSet<ArtifactKey>,
    /// Runs that are old enough and stay, each with the reason.
    pub pinned: BTreeMap<RunId, String>,
    /// Artifacts of other runs that nothing speaks of.
    pub orphans: BTreeMap<ArtifactKey, Orphaned>,
    /// Specifications that only these runs had.
    pub specs: BTreeSet<Sha256Digest>,
}

/// Finds what may be removed at `now`, of runs that ended at least `older_than` ago.
pub fn find(stock: &Stock, older_than: Duration, now: Timestamp) -> Garbage {
    let mut garbage = Garbage::default();
    let mut expired: BTreeSet<&RunId> = stock
        .runs
        .iter()
        .filter(|(_, (run, _))| ended_before(run, older_than, now))
        .map(|(id, _)| id)
        .collect();

    // What stays draws what it uses along, until nothing new is drawn along.
    let mut staying: Vec<(&RunId, String)> = Vec::new();
    for version in &stock.versions {
        let why = format!("model {} has it as a version", version.model);
        staying.push((&version.run, why.clone()));
        staying.push((&version.package.origin.run, why));
    }
    let kept = stock.runs.iter().filter(|(id, _)| !expired.contains(id));
    staying.extend(kept.flat_map(|(_, (run, branches))| used_by(run, branches)));
    while let Some((id, why)) = staying.pop() {
        if !expired.remove(id) {
            continue;
        }
        garbage.pinned.insert(id.clone(), why);
        if let Some((run, branches)) = stock.runs.get(id) {
            staying.extend(used_by(run, branches));
        }
    }

    let kept = || {
        stock
            .runs
            .iter()
            .filter(|(id, _)| !expired.contains(id))
            .map(|(_, entry)| entry)
    };
    let packages = stock.versions.iter().map(|version| &version.package);
    let used: BTreeSet<ArtifactKey> = kept()
        .flat_map(|(run, branches)| manifests(run, branches))
        .chain(packages)
        .flat_map(|manifest| manifest.references().map(|reference| reference.key))
        .collect();
    for (id, keys) in &stock.stored {
        let unused = keys.iter().filter(|key| !used.contains(*key)).cloned();
        match stock.runs.get(id) {
            _ if expired.contains(id) => garbage.artifacts.extend(unused),
            None => garbage.orphans.extend(unused.map(|key| (key, Orphaned::NoRun))),
            Some((run, _)) if ended_before(run, ORPHAN_AGE, now) => {
                garbage
                    .orphans
                    .extend(unused.map(|key| (key, Orphaned::DeadAttempt)));
            }
            Some(_) => {}
        }
    }
    let specs: BTreeSet<Sha256Digest> = kept().map(|(run, _)| run.spec).collect();
    let gone = expired
        .iter()
        .filter_map(|id| stock.runs.get(*id))
        .map(|(run, _)| run.spec);
    garbage.specs = gone.filter(|spec| !specs.contains(spec)).collect();
    garbage.runs = expired.into_iter().cloned().collect();
    garbage
}

/// True if the run ended at least that long ago. A run without an end is not old, whatever its status says.
fn ended_before(run: &RunItem, age: Duration, now: Timestamp) -> bool {
    run.status != RunStatus::Open && run.ended_at.is_some_and(|at| at.plus(age) <= now)
}

fn manifests<'a>(run: &'a RunItem, branches: &'a [BranchItem]) -> impl Iterator<Item = &'a Manifest> {
    let steps = run
        .steps
        .values()
        .chain(branches.iter().map(|branch| &branch.work));
    steps.filter_map(|work| work.manifest.as_ref())
}

/// Other runs whose artifacts this one uses.
fn used_by<'a>(run: &'a RunItem, branches: &'a [BranchItem]) -> Vec<(&'a RunId, String)> {
    manifests(run, branches)
        .map(
            |Manifest {
                 origin: Origin { run, .. },
                 ..
             }| run,
        )
        .filter(|origin| **origin != run.id)
        .map(|origin| (origin, format!("run {} uses its artifacts", run.id)))
        .collect()
}

#[cfg(test)]
mod tests;
