//! Models, versions and aliases.

use std::sync::Arc;

use async_trait::async_trait;
use pipeline::id::{AliasName, ModelName, RunId};
use pipeline::ports::{ErrorKind, MovedTo, PortError, PortResult, Registry, RolledBack};
use pipeline::registry::{Alias, ModelVersion, Position};
use pipeline::time::Timestamp;
use pipeline::update::Declared;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Fault;
use crate::writer::{Tx, Writes};
use crate::{Store, integer, number};

/// The registry.
pub(crate) struct Models(pub(crate) Arc<Store>);

#[async_trait]
impl Registry for Models {
    async fn resolve(&self, model: &ModelName, alias: &AliasName) -> PortResult<Option<Alias>> {
        self.0
            .readers
            .read("resolve an alias", |db| current(db, model, alias))
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
            let positions = positions(db, model, alias, i64::MAX)?;
            Ok(positions.into_iter().map(|position| position.alias).collect())
        })
    }

    /// A roll back is a position of its own, with the next revision. It is undone by nothing but another promotion.
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
                let positions = positions(tx, &model, &alias, i64::MAX)?;
                let present = positions.first().map(|p| &p.alias);
                if present.map_or(0, |alias| alias.revision) != expected {
                    return Ok(RolledBack::Moved(present.cloned()));
                }
                let Some((earlier, version)) = Position::before_present(&positions) else {
                    return Ok(RolledBack::NoEarlier);
                };
                let moved = Alias::moved(model, alias, version, expected, now, reason);
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
        let moved = Alias::moved(
            model.clone(),
            alias.clone(),
            version.clone(),
            expected,
            now,
            reason.to_owned(),
        );
        self.0
            .writer
            .run("move an alias", Writes::One, move |tx| {
                let present = current(tx, &moved.model, &moved.name)?;
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

fn current(db: &Connection, model: &ModelName, alias: &AliasName) -> Result<Option<Alias>, Fault> {
    let newest = positions(db, model, alias, 1)?.into_iter().next();
    Ok(newest.map(|position| position.alias))
}

/// The newest positions of the alias, newest first.
fn positions(
    db: &Connection,
    model: &ModelName,
    alias: &AliasName,
    max: i64,
) -> Result<Vec<Position>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT entry, restores FROM alias_position WHERE model = ?1 AND alias = ?2 ORDER BY revision DESC LIMIT ?3",
    )?;
    let mut rows = select.query(params![model.as_str(), alias.as_str(), max])?;
    let mut positions = Vec::new();
    while let Some(row) = rows.next()? {
        positions.push(Position {
            alias: serde_json::from_slice(&row.get::<_, Vec<u8>>(0)?)?,
            restores: row.get::<_, Option<i64>>(1)?.map(number),
        });
    }
    Ok(positions)
}

fn insert_position(tx: &Tx<'_>, alias: &Alias, restores: Option<u64>) -> Result<(), Fault> {
    tx.prepare_cached(
        "INSERT INTO alias_position (model, alias, revision, restores, entry) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        alias.model.as_str(),
        alias.name.as_str(),
        integer(alias.revision),
        restores.map(integer),
        serde_json::to_vec(alias)?
    ])?;
    Ok(())
}

/// The alias as it is, if that is not what the promotion expects; then nothing may be written.
pub(crate) fn moved_meanwhile(tx: &Tx<'_>, declared: &Declared) -> Result<Option<Option<Alias>>, Fault> {
    let Some(promotion) = &declared.registration.promote else {
        return Ok(None);
    };
    let present = current(tx, &declared.registration.model, &promotion.alias)?;
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
