//! Items as rows: JSON, and beside a run's the columns of its indexes.

use pipeline::id::RunId;
use pipeline::item::{Item, ItemKey, RunItem, RunStatus};
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;

use crate::error::Fault;
use crate::integer;

/// An item as it is stored.
pub(crate) struct Row {
    pub(crate) key: ItemKey,
    /// Of a run only.
    index: Option<Index>,
    json: Vec<u8>,
}

/// What the indexes need of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pipeline: String,
    status: RunStatus,
    created_at: i64,
    next_check: Option<i64>,
}

impl Index {
    pub(crate) fn of(run: &RunItem) -> Self {
        Self {
            pipeline: run.pipeline.to_string(),
            status: run.status,
            created_at: integer(run.created_at.0),
            next_check: run.next_check.map(|at| integer(at.0)),
        }
    }
}

impl Row {
    pub(crate) fn of(item: &Item) -> Result<Self, Fault> {
        let (index, json) = match item {
            Item::Run(run) => (Some(Index::of(run)), serde_json::to_vec(run)?),
            Item::Branch(branch) => (None, serde_json::to_vec(branch)?),
        };
        Ok(Self {
            key: item.key(),
            index,
            json,
        })
    }

    /// Stores a new item; false if there is one under its key.
    pub(crate) fn insert(&self, db: &Connection) -> Result<bool, Fault> {
        let inserted = match (&self.key, &self.index) {
            (ItemKey::Run(run), Some(index)) => db
                .prepare_cached(
                    "INSERT INTO run (id, pipeline, status, created_at, next_check, item)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    run.as_str(),
                    index.pipeline,
                    index.status.as_str(),
                    index.created_at,
                    index.next_check,
                    self.json
                ])?,
            (key, _) => {
                let (step, ordinal) = branch_of(key);
                db.prepare_cached(
                    "INSERT INTO branch (run, step, ordinal, item) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![key.run().as_str(), step, ordinal, self.json])?
            }
        };
        Ok(inserted > 0)
    }

    /// Replaces the item, whose index was `before`.
    pub(crate) fn update(&self, db: &Connection, before: Option<&Index>) -> Result<(), Fault> {
        match (&self.key, &self.index) {
            // The common case spares the indexes.
            (ItemKey::Run(run), index) if index.as_ref() == before => {
                db.prepare_cached("UPDATE run SET item = ?2 WHERE id = ?1")?
                    .execute(params![run.as_str(), self.json])?;
            }
            (ItemKey::Run(run), Some(index)) => {
                db.prepare_cached(
                    "UPDATE run SET item = ?2, pipeline = ?3, status = ?4, created_at = ?5, next_check = ?6
                     WHERE id = ?1",
                )?
                .execute(params![
                    run.as_str(),
                    self.json,
                    index.pipeline,
                    index.status.as_str(),
                    index.created_at,
                    index.next_check
                ])?;
            }
            (key, _) => {
                let (step, ordinal) = branch_of(key);
                db.prepare_cached(
                    "UPDATE branch SET item = ?4 WHERE run = ?1 AND step = ?2 AND ordinal = ?3",
                )?
                .execute(params![key.run().as_str(), step, ordinal, self.json])?;
            }
        }
        Ok(())
    }
}

fn branch_of(key: &ItemKey) -> (&str, u32) {
    match key {
        ItemKey::Branch(_, step, ordinal) => (step.as_str(), *ordinal),
        ItemKey::Run(_) => ("", 0),
    }
}

pub(crate) fn load_run(db: &Connection, run: &RunId) -> Result<Option<RunItem>, Fault> {
    let json = db
        .prepare_cached("SELECT item FROM run WHERE id = ?1")?
        .query_row([run.as_str()], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    Ok(json.map(|json| serde_json::from_slice(&json)).transpose()?)
}

pub(crate) fn load(db: &Connection, key: &ItemKey) -> Result<Option<Item>, Fault> {
    match key {
        ItemKey::Run(run) => Ok(load_run(db, run)?.map(|run| Item::Run(Box::new(run)))),
        ItemKey::Branch(run, step, ordinal) => {
            let json = db
                .prepare_cached("SELECT item FROM branch WHERE run = ?1 AND step = ?2 AND ordinal = ?3")?
                .query_row(params![run.as_str(), step.as_str(), ordinal], |row| {
                    row.get::<_, Vec<u8>>(0)
                })
                .optional()?;
            let branch = json.map(|json| serde_json::from_slice(&json)).transpose()?;
            Ok(branch.map(|branch| Item::Branch(Box::new(branch))))
        }
    }
}

pub(crate) fn items<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<T>, Fault> {
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query(parameters)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(serde_json::from_slice(
            row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(items)
}
