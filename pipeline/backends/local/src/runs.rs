//! Items, their indexes, and the cache.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::digest::Sha256Digest;
use pipeline::id::{RunId, StepName};
use pipeline::item::{BranchItem, Item, ItemKey, RunItem, RunStatus};
use pipeline::ports::{CacheEntry, Created, ErrorKind, ListFilter, Page, PortError, PortResult, RunStore};
use pipeline::time::Timestamp;
use pipeline::update::{Applied, GuardedUpdate};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params, params_from_iter};

use crate::error::Fault;
use crate::items::{Next, Row, items, load};
use crate::queue::LOOK_EVERY;
use crate::registry;
use crate::wake::Topic;
use crate::writer::{Tx, Writes};
use crate::{Store, integer};

/// The items.
pub(crate) struct Runs(pub(crate) Arc<Store>);

#[async_trait]
impl RunStore for Runs {
    async fn create(&self, item: &Item) -> PortResult<Created> {
        let row = Row::of(item).map_err(|fault| fault.explain("create an item"))?;
        self.0
            .writer
            .run("create an item", Writes::One, move |tx| {
                if row.insert(tx)? {
                    return Ok(Created::New);
                }
                let existing = load(tx, &row.key)?;
                let (existing, _) = existing.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                Ok(Created::Exists(Box::new(existing)))
            })
            .await
    }

    async fn load(&self, run: &RunId) -> PortResult<Option<RunItem>> {
        let key = ItemKey::Run(run.clone());
        let item = self.0.readers.read("load a run", |db| load(db, &key))?;
        Ok(item.and_then(|(item, _)| item.into_run()))
    }

    async fn load_branches(&self, run: &RunId, step: Option<&StepName>) -> PortResult<Vec<BranchItem>> {
        self.0.readers.read("load branches", |db| match step {
            Some(step) => items(
                db,
                "SELECT item FROM branch WHERE run = ?1 AND step = ?2 ORDER BY ordinal",
                [run.as_str(), step.as_str()],
            ),
            None => items(
                db,
                "SELECT item FROM branch WHERE run = ?1 ORDER BY step, ordinal",
                [run.as_str()],
            ),
        })
    }

    /// Evaluates the update where it is called, on what is committed (or was when this process last changed it), and
    /// leaves to the writer only to put the result in the place of the very bytes that it was made of. If others were
    /// faster, or the registry is part of it, the writer does it all, where nobody can come between. A refusal always
    /// comes from what is committed.
    async fn apply(&self, update: &GuardedUpdate) -> PortResult<Applied> {
        let action = "update an item";
        if update.register.is_none() {
            let next = match self.next_of_recent(update) {
                Some(next) => next,
                None => match self.0.readers.read(action, |db| Next::of(db, update))? {
                    Ok(next) => next,
                    Err(stored) => return Ok(Applied::Refused(stored)),
                },
            };
            let stored = self.0.writer.run(action, Writes::One, move |tx| {
                let is_stored = store(tx, &next)?;
                Ok(is_stored.then(|| next.into_known()))
            });
            if let Some(known) = stored.await? {
                return Ok(Applied::Done(self.0.recent.keep(known)));
            }
        }
        let update = update.clone();
        self.0
            .writer
            .run(action, Writes::Several, move |tx| apply(tx, &update))
            .await
    }

    async fn list(&self, filter: &ListFilter, page: Option<&str>, max: usize) -> PortResult<Page> {
        let mut sql = String::from("SELECT item FROM run WHERE true");
        let mut values = Vec::new();
        let mut condition = |text: &str, value: Value| {
            values.push(value);
            sql.push_str(" AND ");
            sql.push_str(&text.replace('?', &format!("?{}", values.len())));
        };
        if let Some(pipeline) = &filter.pipeline {
            condition("pipeline = ?", Value::Text(pipeline.to_string()));
        }
        if let Some(status) = filter.status {
            condition("status = ?", Value::Text(status.to_string()));
        }
        if let Some((created_at, id)) = page.map(parse_page).transpose()? {
            condition("created_at <= ?", Value::Integer(created_at));
            condition("(created_at, id) < (?", Value::Integer(created_at));
            sql.push_str(", ");
            values.push(Value::Text(id));
            sql.push_str(&format!("?{})", values.len()));
        }
        // One more than wanted says whether there is a next page.
        values.push(Value::Integer(
            i64::try_from(max).unwrap_or(i64::MAX).saturating_add(1),
        ));
        sql.push_str(&format!(
            " ORDER BY created_at DESC, id DESC LIMIT ?{}",
            values.len()
        ));
        self.0.readers.read("list runs", |db| {
            let mut runs: Vec<RunItem> = items(db, &sql, params_from_iter(values))?;
            let more = runs.len() > max;
            runs.truncate(max);
            let next = runs
                .last()
                .filter(|_| more)
                .map(|run| format!("{}:{}", integer(run.created_at.0), run.id));
            Ok(Page { runs, next })
        })
    }

    async fn open_runs(&self, due: Timestamp, max: usize) -> PortResult<Vec<RunId>> {
        self.0.readers.read("list open runs", |db| {
            let mut select = db.prepare_cached(
                "SELECT id FROM run WHERE next_check IS NOT NULL AND next_check <= ?1
                 ORDER BY next_check, id LIMIT ?2",
            )?;
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            let mut rows = select.query(params![integer(due.0), max])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                let id = RunId::new(row.get::<_, String>(0)?);
                runs.push(id.map_err(|e| PortError::new(ErrorKind::Corrupt, e.to_string()))?);
            }
            Ok(runs)
        })
    }

    async fn remove(&self, run: &RunId) -> PortResult<()> {
        let run = run.clone();
        self.0
            .writer
            .run("remove a run", Writes::Several, move |tx| {
                for sql in [
                    "DELETE FROM branch WHERE run = ?1",
                    "DELETE FROM run WHERE id = ?1",
                ] {
                    tx.prepare_cached(sql)?.execute([run.as_str()])?;
                }
                Ok(())
            })
            .await
    }

    async fn wait_for_end(&self, run: &RunId, at_most: Duration) {
        let clock = &self.0.host.clock;
        let give_up = clock.monotonic().saturating_add(at_most);
        let subscription = self.0.wake.subscribe(Topic::run(run));
        loop {
            // Before looking: an end after the look is heard of.
            let notified = subscription.notified();
            let status = self.0.readers.read("look at a run", |db| {
                let mut select = db.prepare_cached("SELECT status FROM run WHERE id = ?1")?;
                Ok(select
                    .query_row([run.as_str()], |row| row.get::<_, String>(0))
                    .optional()?)
            });
            // A failure is for the caller's own look to tell.
            let ended = status.is_ok_and(|s| s.is_some_and(|s| s != RunStatus::Open.as_str()));
            let left = give_up.saturating_sub(clock.monotonic());
            if ended || left.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = notified => {}
                () = clock.sleep(left.min(LOOK_EVERY)) => {}
            }
        }
    }

    async fn cache_get(&self, key: &Sha256Digest) -> PortResult<Option<CacheEntry>> {
        self.0.readers.read("read the cache", |db| {
            let entry = db
                .prepare_cached("SELECT entry FROM cache WHERE key = ?1")?
                .query_row([key.to_string()], |row| row.get::<_, Vec<u8>>(0))
                .optional()?;
            Ok(entry.map(|json| serde_json::from_slice(&json)).transpose()?)
        })
    }

    async fn cache_put(&self, key: &Sha256Digest, entry: &CacheEntry) -> PortResult<()> {
        let (key, entry) = (key.to_string(), serde_json::to_vec(entry));
        let entry = entry.map_err(|e| Fault::from(e).explain("write to the cache"))?;
        self.0
            .writer
            .run("write to the cache", Writes::One, move |tx| {
                tx.prepare_cached("INSERT OR REPLACE INTO cache (key, entry) VALUES (?1, ?2)")?
                    .execute(params![key, entry])?;
                Ok(())
            })
            .await
    }

    /// The time of the kernel that keeps the folder: what it writes down when a file there is written to.
    async fn server_time(&self) -> PortResult<Timestamp> {
        self.0.writer.may_write("ask the folder for its time")?;
        let path = self.0.folder.join("clock");
        crate::artifacts::blocking(&self.0.host, "ask the folder for its time", move || {
            use std::io::Write;
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .open(path)?;
            file.write_all(b"\n")?;
            let written = file.metadata()?.modified()?;
            let since = written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Ok::<_, Fault>(Timestamp(pipeline::time::millis(since)))
        })
        .await
    }
}

impl Runs {
    /// What comes next by what this process knows of the item; none if it knows nothing, or not enough to say yes.
    fn next_of_recent(&self, update: &GuardedUpdate) -> Option<Next> {
        let known = self.0.recent.take(&update.key)?;
        Next::of_known(Some(known), update).ok()?.ok()
    }
}

/// One guarded update, under the lock of the writing transaction: what is read cannot change before it is written.
fn apply(tx: &mut Tx<'_>, update: &GuardedUpdate) -> Result<Applied, Fault> {
    let next = match Next::of(tx, update)? {
        Ok(next) => next,
        Err(stored) => return Ok(Applied::Refused(stored)),
    };
    if let Some(declared) = &update.register {
        if let Some(present) = registry::moved_meanwhile(tx, declared)? {
            return Ok(Applied::AliasMoved(present));
        }
        registry::register(tx, declared)?;
    }
    store(tx, &next)?;
    Ok(Applied::Done(next.item))
}

/// Stores what comes next, and wakes who waits for the run's end if this is it.
fn store(tx: &mut Tx<'_>, next: &Next) -> Result<bool, Fault> {
    let is_stored = next.store(tx)?;
    if let Some(run) = next
        .item
        .as_run()
        .filter(|run| is_stored && run.status != RunStatus::Open)
    {
        tx.wake(Topic::run(&run.id));
    }
    Ok(is_stored)
}

/// Where a page begins: after the run of that creation time and id.
fn parse_page(page: &str) -> PortResult<(i64, String)> {
    page.split_once(':')
        .and_then(|(created_at, id)| Some((created_at.parse().ok()?, id.to_owned())))
        .ok_or_else(|| {
            PortError::new(
                ErrorKind::Invalid,
                format!("{page:?} is no page of this list: take it from the answer before, as it is"),
            )
        })
}
