//! The winner that `evaluate` chose, as the stages behind it see it.

use std::path::PathBuf;

use ml::models::Model;
use pipeline::Manifest;
use pipeline::id::{AliasName, ModelName};
use pipeline::stage::{Assignment, Committed, Read, StageContext, StageError};
use serde::{Deserialize, Serialize};

use crate::flow::{self, MODEL, VERDICT, permanent};

/// What `evaluate` decided. It writes more, for people.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Verdict {
    /// Who won.
    pub(crate) winner: Winner,
    /// The metric that chose it.
    pub(crate) metric: String,
    /// Whether it passed its gates.
    pub(crate) passed: bool,
    /// Whether it may become the champion.
    pub(crate) promote: bool,
    /// Why, for people.
    pub(crate) reason: String,
    /// The revision of the alias that it was compared with; 0 if there was no champion.
    #[serde(default)]
    pub(crate) alias_revision: Option<u64>,
    /// Whose revision that is.
    #[serde(default)]
    pub(crate) compared: Option<Compared>,
}

/// The alias that `evaluate` looked for a champion under, whether there was one or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compared {
    pub(crate) model: ModelName,
    pub(crate) alias: AliasName,
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.model, self.alias)
    }
}

/// The candidate that won.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Winner {
    /// What reports call it.
    pub(crate) name: String,
    /// Of its branch of `train`.
    pub(crate) ordinal: u32,
}

/// Reads the verdict and every candidate's model: which of them won is known only once the verdict is read.
pub(crate) fn reads(assignment: &Assignment) -> Vec<Read> {
    let mut reads = flow::reads(assignment, "evaluate", &[VERDICT]);
    reads.extend(flow::branch_reads(assignment, "train", &[MODEL]));
    reads
}

/// The verdict, from [`reads`].
pub(crate) fn verdict(context: &StageContext<'_>) -> Result<Verdict, StageError> {
    flow::read_json(&flow::input(context, "evaluate", VERDICT)?)
}

impl Winner {
    /// Where its model is.
    pub(crate) fn path(&self, context: &StageContext<'_>) -> Result<PathBuf, StageError> {
        flow::branch_input(context, "train", self.ordinal, MODEL)
    }

    /// The bytes of its model.
    pub(crate) fn bytes(&self, context: &StageContext<'_>) -> Result<Vec<u8>, StageError> {
        read_bytes(&self.path(context)?)
    }

    /// Its model.
    pub(crate) fn model(&self, context: &StageContext<'_>) -> Result<Model, StageError> {
        Model::from_bytes(&self.bytes(context)?)
            .map_err(|e| permanent(format!("{MODEL} of candidate {}: {e}", self.name)))
    }

    /// What its branch of `train` committed.
    pub(crate) fn manifest<'a>(&self, assignment: &'a Assignment) -> Option<&'a Manifest> {
        match flow::result_of(assignment, "train")? {
            (_, Committed::Branches(branches)) => branches.get(&self.ordinal),
            (_, Committed::One(_)) => None,
        }
    }
}

/// The bytes of an input.
pub(crate) fn read_bytes(path: &std::path::Path) -> Result<Vec<u8>, StageError> {
    std::fs::read(path).map_err(|e| {
        let name = path.file_name().unwrap_or_default().display();
        flow::transient(format!("cannot read {name}: {e}"))
    })
}
