//! Presence, pauses, logs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::id::{RunId, StageName, StepName, WorkerId};
use pipeline::ports::{Fleet, Pause, PortResult, Presence};
use pipeline::time::Timestamp;
use rusqlite::params;
use serde::de::DeserializeOwned;

use crate::error::Fault;
use crate::writer::Writes;
use crate::{Store, integer, logs};

/// How long the presence of a worker that left without a word is kept after it expired.
const KEPT: Duration = Duration::from_secs(3600);

/// What the processes know of each other.
pub(crate) struct Presences(pub(crate) Arc<Store>);

impl Presences {
    fn entries<T: DeserializeOwned>(
        &self,
        action: &str,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> PortResult<Vec<T>> {
        self.0.readers.read(action, |db| {
            let mut select = db.prepare_cached(sql)?;
            let mut rows = select.query(parameters)?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(serde_json::from_slice(&row.get::<_, Vec<u8>>(0)?)?);
            }
            Ok(entries)
        })
    }
}

#[async_trait]
impl Fleet for Presences {
    async fn announce(&self, presence: &Presence) -> PortResult<()> {
        let (presence, now) = (presence.clone(), self.0.host.clock.now());
        self.0
            .writer
            .run("announce a worker", Writes::Several, move |tx| {
                tx.prepare_cached(
                    "INSERT OR REPLACE INTO worker (id, expires_at, presence) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![
                    presence.worker.as_str(),
                    integer(presence.expires_at.0),
                    serde_json::to_vec(&presence)?
                ])?;
                let forgotten = Timestamp(now.0.saturating_sub(pipeline::time::millis(KEPT)));
                tx.prepare_cached("DELETE FROM worker WHERE expires_at < ?1")?
                    .execute([integer(forgotten.0)])?;
                Ok(())
            })
            .await
    }

    async fn leave(&self, worker: &WorkerId) -> PortResult<()> {
        let worker = worker.clone();
        self.0
            .writer
            .run("take leave of a worker", Writes::One, move |tx| {
                tx.prepare_cached("DELETE FROM worker WHERE id = ?1")?
                    .execute([worker.as_str()])?;
                Ok(())
            })
            .await
    }

    async fn workers(&self, now: Timestamp) -> PortResult<Vec<Presence>> {
        self.entries(
            "list workers",
            "SELECT presence FROM worker WHERE expires_at > ?1 ORDER BY id",
            [integer(now.0)],
        )
    }

    async fn pause(&self, pause: &Pause) -> PortResult<()> {
        let pause = pause.clone();
        self.0
            .writer
            .run("pause a stage", Writes::One, move |tx| {
                tx.prepare_cached("INSERT OR REPLACE INTO pause (stage, pause) VALUES (?1, ?2)")?
                    .execute(params![pause.stage.as_str(), serde_json::to_vec(&pause)?])?;
                Ok(())
            })
            .await
    }

    async fn unpause(&self, stage: &StageName) -> PortResult<bool> {
        let stage = stage.clone();
        self.0
            .writer
            .run("end a pause", Writes::One, move |tx| {
                let ended = tx
                    .prepare_cached("DELETE FROM pause WHERE stage = ?1")?
                    .execute([stage.as_str()])?;
                Ok(ended > 0)
            })
            .await
    }

    async fn pauses(&self) -> PortResult<Vec<Pause>> {
        self.entries("list pauses", "SELECT pause FROM pause ORDER BY stage", [])
    }

    /// Into the file in which that worker would write its log by itself.
    async fn store_logs(
        &self,
        worker: &WorkerId,
        _run: &RunId,
        lines: &str,
        _now: Timestamp,
    ) -> PortResult<()> {
        let action = "store logs";
        self.0.writer.may_write(action)?;
        let (folder, lines) = (self.0.folder.join("logs"), lines.to_owned());
        let path = folder.join(format!("{worker}.jsonl"));
        crate::artifacts::blocking(&self.0.host, action, move || {
            use std::io::Write;
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
            Ok::<_, Fault>(file.write_all(lines.as_bytes())?)
        })
        .await
    }

    async fn read_logs(&self, run: &RunId, step: Option<&StepName>, max: usize) -> PortResult<Vec<String>> {
        let folder = self.0.folder.join("logs");
        let (run, step) = (run.clone(), step.cloned());
        crate::artifacts::blocking(&self.0.host, "read the logs", move || {
            Ok::<_, Fault>(logs::newest(&folder, &run, step.as_ref(), max)?)
        })
        .await
    }
}
