//! Immutable, digested bytes that a stage wrote, and the lists of them that commits carry.
//!
//! What is stored may hold fields of a later version, which are not looked at: see [`crate::item`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::id::{ArtifactName, RunId, StepName};

/// The most artifacts one attempt may write: it bounds the size of the run's item.
pub const MAX_ARTIFACTS: usize = 64;

/// Whose bytes these are: one attempt of one step, or of one branch of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The run that wrote them, which after a resume or a cache hit is another run than the one that reads them.
    pub run: RunId,
    /// The step within that run.
    pub step: StepName,
    /// Which branch; 0 for a step that is not fanned out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ordinal: u32,
    /// Which attempt. Part of every key: with a key that attempts share, a zombie's late write could land after
    /// the commit.
    pub attempt: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Where an object lies in the store. Made from typed parts only, never from text of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactKey {
    /// `r/{run}/{step}/{ordinal}/a{attempt}/{name}`
    Attempt(Origin, ArtifactName),
    /// `s/{digest}`: a specification in its canonical form, shared by every run of it.
    Spec(Sha256Digest),
}

impl fmt::Display for ArtifactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(
                Origin {
                    run,
                    step,
                    ordinal,
                    attempt,
                },
                name,
            ) => {
                write!(f, "r/{run}/{step}/{ordinal}/a{attempt}/{name}")
            }
            Self::Spec(digest) => write!(f, "s/{digest}"),
        }
    }
}

/// One artifact of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name within the attempt.
    pub name: ArtifactName,
    /// Of the whole content, computed by us.
    pub sha256: Sha256Digest,
    /// Of the whole content.
    pub size_bytes: u64,
    /// How large it is as a table, if it is one: what the memory of a stage that reads it is estimated from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableShape>,
}

/// How large a table is once it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct TableShape {
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub columns: u32,
    /// Memory of all its columns: of their types' widths, and of the distinct texts of columns of text.
    pub decoded_bytes: u64,
}

/// A key together with what must be found there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArtifactRef {
    /// Where it lies.
    pub key: ArtifactKey,
    /// What its bytes must hash to.
    pub sha256: Sha256Digest,
    /// How many bytes it must have.
    pub size_bytes: u64,
}

/// What an attempt wrote, as its commit records it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose artifacts they are.
    pub origin: Origin,
    /// In the order of their names; at most [`MAX_ARTIFACTS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
}

impl Manifest {
    /// What is said of the artifact of that name.
    pub fn entry(&self, name: &ArtifactName) -> Option<&Artifact> {
        self.artifacts.iter().find(|a| a.name == *name)
    }

    /// The artifact of that name, ready to be fetched.
    pub fn get(&self, name: &ArtifactName) -> Option<ArtifactRef> {
        self.entry(name).map(|a| self.reference(a))
    }

    /// All artifacts, ready to be fetched.
    pub fn references(&self) -> impl Iterator<Item = ArtifactRef> + '_ {
        self.artifacts.iter().map(|a| self.reference(a))
    }

    fn reference(&self, artifact: &Artifact) -> ArtifactRef {
        ArtifactRef {
            key: ArtifactKey::Attempt(self.origin.clone(), artifact.name.clone()),
            sha256: artifact.sha256,
            size_bytes: artifact.size_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn t02_a_key_starts_with_its_run_and_names_its_attempt(
            run in "[a-z0-9_-]{1,64}", step in "[a-z0-9_-]{1,64}", ordinal: u32, attempt: u32,
            name in "[a-z0-9_-]{1,20}(\\.[a-z0-9_-]{1,20}){0,2}",
        ) {
            let origin = Origin {
                run: RunId::new(&run).expect("from the pattern"),
                step: StepName::new(step).expect("from the pattern"),
                ordinal,
                attempt,
            };
            let key = ArtifactKey::Attempt(origin, ArtifactName::new(name).expect("from the pattern")).to_string();
            let prefix = format!("r/{run}/");
            let scope = format!("/{ordinal}/a{attempt}/");
            prop_assert!(key.starts_with(&prefix));
            prop_assert!(key.contains(&scope));
            prop_assert_eq!(key.split('/').count(), 6);
        }
    }
}
