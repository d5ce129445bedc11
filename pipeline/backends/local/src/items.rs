//! Items as rows: JSON, and beside a run's the columns of its indexes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        // Enough for most items, so that it need not grow again and again.
        let mut json = Vec::with_capacity(2048);
        let index = match item {
            Item::Run(run) => {
                serde_json::to_writer(&mut json, run)?;
                Some(Index::of(run))
            }
            Item::Branch(branch) => {
                serde_json::to_writer(&mut json, branch)?;
                None
            }
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
struct Stored {
    json: Vec<u8>,
    index: Option<Index>,
}

/// An item and the bytes that it is stored as, or was.
pub(crate) struct Known {
    item: Item,
    json: Vec<u8>,
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
        let known = load(db, &update.key)?.map(|(item, json)| Known { item, json });
        Self::of_known(known, update)
    }

    /// The same of what may be stored no more: what comes next is then not stored, and a refusal says nothing.
    pub(crate) fn of_known(
        known: Option<Known>,
        update: &GuardedUpdate,
    ) -> Result<Result<Self, Option<Item>>, Fault> {
        let (item, read) = match known {
            Some(Known { item, json }) => {
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

    /// What is stored now, if [`Self::store`] said so.
    pub(crate) fn into_known(self) -> Known {
        Known {
            item: self.item,
            json: self.row.json,
        }
    }
}

/// Items that this process stored a moment ago. Whoever claims work commits it soon, and whoever commits a step often
/// claims the next: reading an item and parsing it was a quarter of what a step that does nothing costs.
///
/// It may be behind what is stored, and nothing leans on it: see [`Next::of_known`].
#[derive(Default)]
pub(crate) struct Recent(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<ItemKey, Known>,
    old: HashMap<ItemKey, Known>,
}

impl Recent {
    /// The most items of a generation: twice what a process usually has under way.
    const MOST: usize = 512;

    /// Larger ones are not kept.
    const MAX_ITEM_BYTES: usize = 16 * 1024;

    /// Takes it out: it is about to change.
    pub(crate) fn take(&self, key: &ItemKey) -> Option<Known> {
        let mut generations = self.lock();
        let young = generations.young.remove(key);
        let old = generations.old.remove(key);
        young.or(old)
    }

    /// Keeps what was just stored, and gives the item back.
    pub(crate) fn keep(&self, known: Known) -> Item {
        let item = known.item.clone();
        let has_ended = item.as_run().is_some_and(|run| run.status != RunStatus::Open);
        if !has_ended && known.json.len() <= Self::MAX_ITEM_BYTES {
            let mut generations = self.lock();
            if generations.young.len() >= Self::MOST {
                generations.old = std::mem::take(&mut generations.young);
            }
            generations.young.insert(item.key(), known);
        }
        item
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Neither taking out nor putting in leaves anything half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
