//! Items as rows: JSON, and beside a run's the columns of its indexes.

use pipeline::item::{Item, ItemKey, RunItem, RunStatus};
use pipeline::update::GuardedUpdate;
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
struct Index {
    pipeline: String,
    status: RunStatus,
    created_at: i64,
    next_check: Option<i64>,
}

impl Index {
    fn of(run: &RunItem) -> Self {
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

    /// Replaces the item if it is still, byte for byte, what was read of it; false if it is not.
    fn replace(&self, db: &Connection, read: &Stored) -> Result<bool, Fault> {
        let replaced = match (&self.key, &self.index) {
            // The common case spares the indexes.
            (ItemKey::Run(run), index) if *index == read.index => db
                .prepare_cached("UPDATE run SET item = ?2 WHERE id = ?1 AND item = ?3")?
                .execute(params![run.as_str(), self.json, read.json])?,
            (ItemKey::Run(run), Some(index)) => db
                .prepare_cached(
                    "UPDATE run SET item = ?2, pipeline = ?4, status = ?5, created_at = ?6, next_check = ?7
                     WHERE id = ?1 AND item = ?3",
                )?
                .execute(params![
                    run.as_str(),
                    self.json,
                    read.json,
                    index.pipeline,
                    index.status.as_str(),
                    index.created_at,
                    index.next_check
                ])?,
            (key, _) => {
                let (step, ordinal) = branch_of(key);
                db.prepare_cached(
                    "UPDATE branch SET item = ?4 WHERE run = ?1 AND step = ?2 AND ordinal = ?3 AND item = ?5",
                )?
                .execute(params![
                    key.run().as_str(),
                    step,
                    ordinal,
                    self.json,
                    read.json
                ])?
            }
        };
        Ok(replaced > 0)
    }
}

/// What was read of a stored item.
pub(crate) struct Stored {
    json: Vec<u8>,
    index: Option<Index>,
}

/// What becomes of an item by an update whose guards held.
pub(crate) struct Next {
    /// The item afterwards.
    pub(crate) item: Item,
    row: Row,
    /// What it was made of, none if there was nothing.
    read: Option<Stored>,
}

impl Next {
    /// The update's verdict on what is stored: what comes next, or what is there if a guard refuses.
    pub(crate) fn of(db: &Connection, update: &GuardedUpdate) -> Result<Result<Self, Option<Item>>, Fault> {
        let (item, read) = match load(db, &update.key)? {
            Some((item, json)) => {
                let index = item.as_run().map(Index::of);
                (Some(item), Some(Stored { json, index }))
            }
            None => (None, None),
        };
        Ok(match update.evaluate(item) {
            Ok(item) => Ok(Self {
                row: Row::of(&item)?,
                item,
                read,
            }),
            Err(stored) => Err(stored),
        })
    }

    /// Stores it, if what is stored is still what it was made of; false if it is not.
    ///
    /// Bytes are compared, not a version: what has the same bytes gets the same verdict, whatever happened between.
    pub(crate) fn store(&self, db: &Connection) -> Result<bool, Fault> {
        match &self.read {
            Some(read) => self.row.replace(db, read),
            None => self.row.insert(db),
        }
    }
}

fn branch_of(key: &ItemKey) -> (&str, u32) {
    match key {
        ItemKey::Branch(_, step, ordinal) => (step.as_str(), *ordinal),
        ItemKey::Run(_) => ("", 0),
    }
}

/// The item and the bytes that it was read from.
pub(crate) fn load(db: &Connection, key: &ItemKey) -> Result<Option<(Item, Vec<u8>)>, Fault> {
    let json = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0);
    let json = match key {
        ItemKey::Run(run) => db
            .prepare_cached("SELECT item FROM run WHERE id = ?1")?
            .query_row([run.as_str()], json)
            .optional()?,
        ItemKey::Branch(run, step, ordinal) => db
            .prepare_cached("SELECT item FROM branch WHERE run = ?1 AND step = ?2 AND ordinal = ?3")?
            .query_row(params![run.as_str(), step.as_str(), ordinal], json)
            .optional()?,
    };
    let Some(json) = json else { return Ok(None) };
    let item = match key {
        ItemKey::Run(_) => Item::Run(serde_json::from_slice(&json)?),
        ItemKey::Branch(..) => Item::Branch(serde_json::from_slice(&json)?),
    };
    Ok(Some((item, json)))
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
