//! Models, versions and aliases.

use std::sync::Arc;

use async_trait::async_trait;
use pipeline::id::{AliasName, ModelName, RunId};
use pipeline::ports::{ErrorKind, MovedTo, PortError, PortResult, Registry, RolledBack};
use pipeline::registry::{Alias, ModelVersion};
use pipeline::time::Timestamp;
use pipeline::update::Declared;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Fault;
use crate::writer::{Tx, Writes};
use crate::{Store, integer};

/// The registry.
pub(crate) struct Models(pub(crate) Arc<Store>);

/// A position of an alias, and which earlier revision it brought back if it was a roll back.
struct Position {
    alias: Alias,
    restores: Option<i64>,
}

#[async_trait]
impl Registry for Models {
    async fn resolve(&self, model: &ModelName, alias: &AliasName) -> PortResult<Option<Alias>> {
        self.0.readers.read("resolve an alias", |db| {
            Ok(current(db, model, alias)?.map(|p| p.alias))
        })
    }

    async fn version(&self, model: &ModelName, version: &RunId) -> PortResult<Option<ModelVersion>> {
        self.0.readers.read("read a model's version", |db| {
            let entry = version_entry(db, model, version)?;
            Ok(entry.map(|json| serde_json::from_slice(&json)).transpose()?)
        })
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        self.0.readers.read("list models", |db| {
            let mut select = db.prepare_cached("SELECT DISTINCT model FROM model_version ORDER BY model")?;
            let mut rows = select.query([])?;
            let mut models = Vec::new();
            while let Some(row) = rows.next()? {
                let name = ModelName::new(row.get::<_, String>(0)?);
                models.push(name.map_err(|e| PortError::new(ErrorKind::Corrupt, e.to_string()))?);
            }
            Ok(models)
        })
    }

    async fn list(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        self.0.readers.read("list a model's versions", |db| {
            let mut select = db.prepare_cached(
                "SELECT entry FROM model_version WHERE model = ?1 ORDER BY registered_at DESC, run DESC",
            )?;
            let mut rows = select.query([model.as_str()])?;
            let mut versions = Vec::new();
            while let Some(row) = rows.next()? {
                versions.push(serde_json::from_slice(&row.get::<_, Vec<u8>>(0)?)?);
            }
            Ok(versions)
        })
    }

    async fn history(&self, model: &ModelName, alias: &AliasName) -> PortResult<Vec<Alias>> {
        self.0.readers.read("read an alias's history", |db| {
            let mut select = db.prepare_cached(
                "SELECT entry FROM alias_position WHERE model = ?1 AND alias = ?2 ORDER BY revision DESC",
            )?;
            let mut rows = select.query([model.as_str(), alias.as_str()])?;
            let mut positions = Vec::new();
            while let Some(row) = rows.next()? {
                positions.push(serde_json::from_slice(&row.get::<_, Vec<u8>>(0)?)?);
            }
            Ok(positions)
        })
    }

    /// A roll back is a position of its own, with the next revision. It is undone by nothing but another promotion:
    /// a second roll back goes one further back instead of returning to what the first one left, and what was rolled
    /// back is never rolled back to.
    async fn roll_back(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<RolledBack> {
        let (model, alias, reason) = (model.clone(), alias.clone(), reason.to_owned());
        self.0
            .writer
            .run("roll an alias back", Writes::One, move |tx| {
                let present = current(tx, &model, &alias)?;
                if present.as_ref().map_or(0, |p| p.alias.revision) != expected {
                    return Ok(RolledBack::Moved(present.map(|p| p.alias)));
                }
                let Some(present) = present else {
                    return Ok(RolledBack::NoEarlier);
                };
                let Some((earlier, version)) = before(tx, &present)? else {
                    return Ok(RolledBack::NoEarlier);
                };
                let moved = Alias {
                    version,
                    revision: expected.saturating_add(1),
                    moved_at: now,
                    reason,
                    ..present.alias
                };
                insert_position(tx, &moved, Some(earlier))?;
                Ok(RolledBack::Done(moved))
            })
            .await
    }

    async fn move_to(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        version: &RunId,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<MovedTo> {
        let moved = Alias {
            model: model.clone(),
            name: alias.clone(),
            version: version.clone(),
            revision: expected.saturating_add(1),
            moved_at: now,
            reason: reason.to_owned(),
        };
        self.0
            .writer
            .run("move an alias", Writes::One, move |tx| {
                let present = current(tx, &moved.model, &moved.name)?.map(|p| p.alias);
                if present.as_ref().map_or(0, |alias| alias.revision) != expected {
                    return Ok(MovedTo::Moved(present));
                }
                if version_entry(tx, &moved.model, &moved.version)?.is_none() {
                    return Ok(MovedTo::NoVersion);
                }
                insert_position(tx, &moved, None)?;
                Ok(MovedTo::Done(moved))
            })
            .await
    }
}

fn version_entry(db: &Connection, model: &ModelName, version: &RunId) -> Result<Option<Vec<u8>>, Fault> {
    Ok(db
        .prepare_cached("SELECT entry FROM model_version WHERE model = ?1 AND run = ?2")?
        .query_row(params![model.as_str(), version.as_str()], |row| row.get(0))
        .optional()?)
}

fn current(db: &Connection, model: &ModelName, alias: &AliasName) -> Result<Option<Position>, Fault> {
    position(db, model, alias, i64::MAX)
}

/// The last position at that revision or before it.
fn position(
    db: &Connection,
    model: &ModelName,
    alias: &AliasName,
    revision: i64,
) -> Result<Option<Position>, Fault> {
    let row = db
        .prepare_cached(
            "SELECT entry, restores FROM alias_position WHERE model = ?1 AND alias = ?2 AND revision <= ?3
             ORDER BY revision DESC LIMIT 1",
        )?
        .query_row(params![model.as_str(), alias.as_str(), revision], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?))
        })
        .optional()?;
    row.map(|(json, restores)| {
        Ok(Position {
            alias: serde_json::from_slice(&json)?,
            restores,
        })
    })
    .transpose()
}

/// The promotion before the one that `present` stands for, and that points to another version: its revision and the
/// version.
fn before(db: &Connection, present: &Position) -> Result<Option<(i64, RunId)>, Fault> {
    let Alias { model, name, .. } = &present.alias;
    // What a roll back brought back is a promotion, so this follows at most one step each time.
    let promotion = |p: &Position| p.restores.unwrap_or_else(|| integer(p.alias.revision));
    let mut at = promotion(present);
    while let Some(earlier) = position(db, model, name, at - 1)? {
        at = promotion(&earlier);
        if earlier.alias.version != present.alias.version {
            return Ok(Some((at, earlier.alias.version)));
        }
    }
    Ok(None)
}

fn insert_position(tx: &Tx<'_>, alias: &Alias, restores: Option<i64>) -> Result<(), Fault> {
    tx.prepare_cached(
        "INSERT INTO alias_position (model, alias, revision, restores, entry) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        alias.model.as_str(),
        alias.name.as_str(),
        integer(alias.revision),
        restores,
        serde_json::to_vec(alias)?
    ])?;
    Ok(())
}

/// The alias as it is, if that is not what the promotion expects; then nothing may be written.
pub(crate) fn moved_meanwhile(tx: &Tx<'_>, declared: &Declared) -> Result<Option<Option<Alias>>, Fault> {
    let Some(promotion) = &declared.registration.promote else {
        return Ok(None);
    };
    let present = current(tx, &declared.registration.model, &promotion.alias)?.map(|p| p.alias);
    Ok((!promotion.holds(present.as_ref())).then_some(present))
}

/// Registers the version and moves the alias, within the transaction of the run's last commit.
pub(crate) fn register(tx: &Tx<'_>, declared: &Declared) -> Result<(), Fault> {
    let version = &declared.version;
    // A run registers once. If it did before, it was removed since and made anew, and so was the package.
    tx.prepare_cached(
        "INSERT INTO model_version (model, run, registered_at, entry) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET registered_at = excluded.registered_at, entry = excluded.entry",
    )?
    .execute(params![
        version.model.as_str(),
        version.run.as_str(),
        integer(version.registered_at.0),
        serde_json::to_vec(version)?
    ])?;
    match declared.moved_alias() {
        Some(alias) => insert_position(tx, &alias, None),
        None => Ok(()),
    }
}
