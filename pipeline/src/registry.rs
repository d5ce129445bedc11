//! Models, their versions, and the aliases that point to one of them.

use serde::{Deserialize, Serialize};

use crate::artifact::Manifest;
use crate::id::{AliasName, ModelName, RunId};
use crate::time::Timestamp;

/// One registered version of a model. It is named by the run that made it: at most one per run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelVersion {
    /// Of which model.
    pub model: ModelName,
    /// Made by which run, which is also the version's name.
    pub run: RunId,
    /// The package's artifacts.
    pub package: Manifest,
    /// When its run's last commit registered it.
    pub registered_at: Timestamp,
}

/// A name that points to one version of a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Alias {
    /// Of which model.
    pub model: ModelName,
    /// For example `champion`.
    pub name: AliasName,
    /// The version that it points to.
    pub version: RunId,
    /// Grows by one with every move; 0 is "there is no alias yet".
    pub revision: u64,
    /// When it was moved last.
    pub moved_at: Timestamp,
    /// Why, for people.
    pub reason: String,
}

impl Alias {
    /// The alias as a move leaves it that expected it at revision `expected`.
    pub fn moved(
        model: ModelName,
        name: AliasName,
        version: RunId,
        expected: u64,
        moved_at: Timestamp,
        reason: String,
    ) -> Self {
        Self {
            model,
            name,
            version,
            revision: expected.saturating_add(1),
            moved_at,
            reason,
        }
    }
}

/// One position that an alias had, and which earlier one it brought back if it was a roll back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The alias as it was.
    pub alias: Alias,
    /// The revision that was brought back.
    pub restores: Option<u64>,
}

impl Position {
    /// The revision of the promotion that it stands for: what a roll back brought back is a promotion.
    fn promotion(&self) -> u64 {
        self.restores.unwrap_or(self.alias.revision)
    }

    /// What a roll back brings back: the promotion before the one that the present position stands for, and that points
    /// to another version. Its revision and the version; none if there is no such promotion. So a second roll back goes
    /// one further back, and what was rolled back is never rolled back to.
    ///
    /// `positions` are all that the alias had, newest first.
    pub fn before_present(positions: &[Self]) -> Option<(u64, RunId)> {
        let present = positions.first()?;
        let mut at = present.promotion();
        // The last position before that promotion.
        while let Some(earlier) = positions.iter().find(|p| p.alias.revision < at) {
            at = earlier.promotion();
            if earlier.alias.version != present.alias.version {
                return Some((at, earlier.alias.version.clone()));
            }
        }
        None
    }
}

/// What a deploy step declares; the run's last commit performs it, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registration {
    /// Under which name.
    pub model: ModelName,
    /// Which alias to move, if the verdict allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote: Option<Promotion>,
    /// The verdict, for people: why it is to be promoted, or why not.
    pub reason: String,
}

/// A move of an alias to the version that is being registered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Promotion {
    /// Which alias.
    pub alias: AliasName,
    /// The revision that the evaluation compared with; 0 if there was no champion. The alias moves only if it is
    /// still at this revision (P1).
    pub expected_revision: u64,
}

/// What became of a registration, as the run's item tells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registered {
    /// Under which name; the version is the run's id.
    pub model: ModelName,
    /// The alias that moved, none if it was registered only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<AliasName>,
    /// Why, for people.
    pub reason: String,
}

impl Promotion {
    /// True if the alias is still what the evaluation saw.
    pub fn holds(&self, current: Option<&Alias>) -> bool {
        current.map_or(0, |alias| alias.revision) == self.expected_revision
    }
}
