//! What a stage is: one kind of work, synchronous and offline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::artifact::{ArtifactRef, Manifest, TableShape};
use crate::demand::Demand;
use crate::digest::Sha256Digest;
use crate::id::{AliasName, ArtifactName, ModelName, RunId, StageName, StepName};
use crate::registry::{ModelVersion, Registration};
use crate::spec::Spec;

/// One step of a run. Blocking and offline: the pool fetches what it reads beforehand and publishes what it wrote
/// afterwards, so a failed attempt publishes nothing that anybody sees. Deliveries repeat: equal inputs, parameters
/// and seed give equal artifacts, to the byte, at any thread count.
pub trait Stage: Send + Sync {
    /// Its name, which is also the name of its pool and of its queue.
    fn name(&self) -> StageName;

    /// What it needs from outside of its run: the pool finds it before anything else and puts it into
    /// [`Assignment::found`].
    fn needs(&self, assignment: &Assignment) -> Result<Needs, StageError> {
        let _ = assignment;
        Ok(Needs::default())
    }

    /// What it reads, chosen from the committed results of the steps before it and from what was found.
    fn reads(&self, assignment: &Assignment) -> Vec<Read>;

    /// What the work takes, as far as that follows from what it is told and what it reads; none if it does not. Asked
    /// before the work begins: when the step before is committed, which is before anything of [`Stage::needs`] is found,
    /// and again by the pool that is to do it. It decides in which memory class a step begins, and so costs time and
    /// never results if it is wrong.
    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        let _ = assignment;
        None
    }

    /// Does the work. Every file that it leaves in [`StageContext::outputs`] is published.
    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError>;
}

/// One artifact that a stage reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What and where.
    pub artifact: ArtifactRef,
    /// Under which path below [`StageContext::inputs`] the stage finds it.
    pub path: PathBuf,
    /// How large it is as a table, if it is one.
    pub table: Option<TableShape>,
}

impl Read {
    /// An artifact of a step that is not fanned out, found under `{step}/{name}`.
    pub fn of_step(step: &StepName, manifest: &Manifest, name: &ArtifactName) -> Option<Self> {
        Self::of(manifest, name, Path::new(step.as_str()).join(name.as_str()))
    }

    /// An artifact of a branch, found under `{step}/{ordinal}/{name}`.
    pub fn of_branch(
        step: &StepName,
        ordinal: u32,
        manifest: &Manifest,
        name: &ArtifactName,
    ) -> Option<Self> {
        let path = Path::new(step.as_str())
            .join(ordinal.to_string())
            .join(name.as_str());
        Self::of(manifest, name, path)
    }

    /// An artifact of any manifest, found under that path.
    pub fn of(manifest: &Manifest, name: &ArtifactName, path: PathBuf) -> Option<Self> {
        Some(Self {
            artifact: manifest.get(name)?,
            path,
            table: manifest.entry(name)?.table,
        })
    }
}

/// The committed result of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Committed {
    /// Of a step that is not fanned out.
    One(Manifest),
    /// Of a fanned-out step: the branches that succeeded.
    Branches(BTreeMap<u32, Manifest>),
}

/// Everything about an attempt that does not depend on the process it runs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Of which run.
    pub run: RunId,
    /// Which step.
    pub step: StepName,
    /// Which branch, if the step is fanned out.
    pub branch: Option<u32>,
    /// Which attempt. A stage must not let its artifacts depend on it.
    pub attempt: u32,
    /// The run's specification.
    pub spec: Spec,
    /// The results of the steps before this one.
    pub committed: BTreeMap<StepName, Committed>,
    /// What was found of [`Stage::needs`].
    #[serde(default)]
    pub found: Found,
}

/// What a stage needs from outside of its run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Files, by the name that the stage knows them by: a path or glob, or a URI.
    pub sources: BTreeMap<String, String>,
    /// A registered model.
    pub model: Option<ModelNeed>,
}

/// Which registered model a stage needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelNeed {
    /// Under which name.
    pub model: ModelName,
    /// By which alias.
    pub alias: AliasName,
    /// By which version instead of the alias.
    pub version: Option<RunId>,
}

/// What was found of a stage's needs. All of it is part of what the stage's result depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Files, by the name that the stage knows them by, in the order of their names; never an empty list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, Vec<SourceFile>>,
    /// The model that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<FoundModel>,
}

/// One file of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// What people call it.
    pub uri: String,
    /// Where the stage reads it. It must not be changed.
    pub path: PathBuf,
    /// Of its content.
    pub sha256: Sha256Digest,
    /// Of its content.
    pub size_bytes: u64,
}

/// A registered model as it was when the stage asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundModel {
    /// Under which name.
    pub model: ModelName,
    /// By which alias.
    pub alias: AliasName,
    /// The alias' revision; 0 if it was never moved.
    pub revision: u64,
    /// The version that was meant; none if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ModelVersion>,
}

/// What a stage is given to work with.
pub struct StageContext<'a> {
    /// What to do.
    pub assignment: &'a Assignment,
    /// The folder with what the stage reads.
    pub inputs: &'a Path,
    /// The folder for what it writes. Empty at first.
    pub outputs: &'a Path,
    /// The way to the pool.
    pub control: &'a dyn Control,
    /// The program that runs the stage, for a stage that proves something in a fresh process of it; none in tests of
    /// stages.
    pub program: Option<&'a Path>,
}

impl StageContext<'_> {
    /// Returns [`StageError::Interrupted`] once the lease is lost or the worker drains. Call it in every long loop.
    pub fn checkpoint(&self) -> Result<(), StageError> {
        if self.control.is_interrupted() {
            Err(StageError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Says how far the work is, from 0 to 1.
    pub fn progress(&self, fraction: f64) {
        self.control.progress(fraction.clamp(0.0, 1.0));
    }
}

/// A running stage's way to its pool.
pub trait Control: Send + Sync {
    /// True once the work is to stop.
    fn is_interrupted(&self) -> bool;

    /// How far the work is, from 0 to 1.
    fn progress(&self, fraction: f64);

    /// Waits for `duration`, or until the work is to stop.
    fn pause(&self, duration: Duration);

    /// How long the attempt has been running, for time budgets. What depends on it is never cached.
    fn elapsed(&self) -> Duration;
}

/// How a stage ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// On to the next step.
    Advance,
    /// On to the next step, in this many branches.
    FanOut {
        /// 1 to [`crate::item::MAX_BRANCHES`].
        branches: u32,
    },
    /// The data says no: an answer, not an error. What was written is published.
    Halt {
        /// Which gate said no, and why.
        reason: String,
    },
    /// The last step declares a model's version; its package is what was written.
    Register(Registration),
}

/// How a stage failed. No `From` on purpose: whoever raises an error decides its class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum StageError {
    /// Trying again cannot help.
    #[error("{0}")]
    Permanent(String),
    /// Trying again may help.
    #[error("{message}")]
    Transient {
        /// What went wrong, for people.
        message: String,
        /// How long to wait at least, if that is known.
        retry_after_ms: Option<u64>,
    },
    /// It needs more memory than it has.
    #[error("out of memory{}", needed_bytes.map_or_else(String::new, |n| format!(" (needed {n} bytes more)")))]
    OutOfMemory {
        /// How much it asked for, if that is known.
        needed_bytes: Option<u64>,
    },
    /// It was told to stop, and did.
    #[error("interrupted")]
    Interrupted,
}
