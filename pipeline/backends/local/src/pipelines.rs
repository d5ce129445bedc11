//! Named pipelines.

use std::sync::Arc;

use async_trait::async_trait;
use pipeline::id::{PipelineName, RunId};
use pipeline::intake::Definition;
use pipeline::ports::{Entered, ErrorKind, Pipelines, PortError, PortResult};
use rusqlite::{OptionalExtension, params};

use crate::Store;
use crate::error::Fault;
use crate::writer::Writes;

/// The pipelines.
pub(crate) struct Named(pub(crate) Arc<Store>);

#[async_trait]
impl Pipelines for Named {
    async fn put(&self, definition: &Definition) -> PortResult<()> {
        let entry = serde_json::to_vec(definition);
        let entry = entry.map_err(|e| Fault::from(e).explain("keep a pipeline"))?;
        let name = definition.name.clone();
        self.0
            .writer
            .run("keep a pipeline", Writes::One, move |tx| {
                tx.prepare_cached("INSERT OR REPLACE INTO pipeline (name, entry) VALUES (?1, ?2)")?
                    .execute(params![name.as_str(), entry])?;
                Ok(())
            })
            .await
    }

    async fn get(&self, name: &PipelineName) -> PortResult<Option<Definition>> {
        self.0.readers.read("read a pipeline", |db| {
            let entry = db
                .prepare_cached("SELECT entry FROM pipeline WHERE name = ?1")?
                .query_row([name.as_str()], |row| row.get::<_, Vec<u8>>(0))
                .optional()?;
            Ok(entry.map(|json| serde_json::from_slice(&json)).transpose()?)
        })
    }

    async fn list(&self) -> PortResult<Vec<Definition>> {
        self.0.readers.read("list pipelines", |db| {
            let mut select = db.prepare_cached("SELECT entry FROM pipeline ORDER BY name")?;
            let mut rows = select.query([])?;
            let mut pipelines = Vec::new();
            while let Some(row) = rows.next()? {
                pipelines.push(serde_json::from_slice(&row.get::<_, Vec<u8>>(0)?)?);
            }
            Ok(pipelines)
        })
    }

    async fn remove(&self, name: &PipelineName) -> PortResult<bool> {
        let name = name.clone();
        self.0
            .writer
            .run("remove a pipeline", Writes::One, move |tx| {
                let removed = tx
                    .prepare_cached("DELETE FROM pipeline WHERE name = ?1")?
                    .execute([name.as_str()])?;
                Ok(removed > 0)
            })
            .await
    }

    async fn enter(&self, name: &PipelineName, run: &RunId, max: u32) -> PortResult<Entered> {
        let (name, run) = (name.clone(), run.clone());
        self.0
            .writer
            .run("take a place", Writes::One, move |tx| {
                let mut taken = Vec::new();
                {
                    let mut select = tx.prepare_cached("SELECT run FROM place WHERE pipeline = ?1")?;
                    let mut rows = select.query([name.as_str()])?;
                    while let Some(row) = rows.next()? {
                        let id = RunId::new(row.get::<_, String>(0)?);
                        taken.push(id.map_err(|e| PortError::new(ErrorKind::Corrupt, e.to_string()))?);
                    }
                }
                if taken.contains(&run) {
                    return Ok(Entered::In);
                }
                if taken.len() >= max as usize {
                    return Ok(Entered::Full(taken));
                }
                tx.prepare_cached("INSERT INTO place (pipeline, run) VALUES (?1, ?2)")?
                    .execute([name.as_str(), run.as_str()])?;
                Ok(Entered::In)
            })
            .await
    }

    async fn leave(&self, name: &PipelineName, run: &RunId) -> PortResult<()> {
        let (name, run) = (name.clone(), run.clone());
        self.0
            .writer
            .run("give a place back", Writes::One, move |tx| {
                tx.prepare_cached("DELETE FROM place WHERE pipeline = ?1 AND run = ?2")?
                    .execute([name.as_str(), run.as_str()])?;
                Ok(())
            })
            .await
    }
}
