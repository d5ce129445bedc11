//! What a stage needs from outside of its run: files that others keep, and a registered model.
//!
//! Both are looked at before anything else of an attempt, because they are part of what its result depends on.

use std::collections::BTreeMap;
use std::path::Path;

use pipeline::item::FaultClass;
use pipeline::ports::{ErrorKind, PortError, Registry, SourceObject};
use pipeline::stage::{Assignment, Found, FoundModel, ModelNeed, Needs, SourceFile, Stage};

use crate::attempt::{Failure, failure_of};
use crate::worker::Worker;

/// What was found, before the files' bytes are where the stage reads them.
pub struct Outside {
    needs: Needs,
    objects: BTreeMap<String, Vec<SourceObject>>,
    model: Option<FoundModel>,
}

/// Looks for what the stage needs. Nothing is read but what tells the content of files.
pub async fn find(worker: &Worker, stage: &dyn Stage, assignment: &Assignment) -> Result<Outside, Failure> {
    let needs = stage.needs(assignment).map_err(|e| failure_of(&e))?;
    let objects = objects_of(worker, &needs).await?;
    let model = match &needs.model {
        None => None,
        Some(need) => Some(model(&*worker.backend.registry, need).await?),
    };
    Ok(Outside {
        needs,
        objects,
        model,
    })
}

impl Outside {
    /// What was found. Where the files can be read is not known yet.
    pub fn found(&self) -> Found {
        let unplaced = |object: &SourceObject| placed(object, std::path::PathBuf::new());
        Found {
            sources: self
                .objects
                .iter()
                .map(|(name, objects)| (name.clone(), objects.iter().map(unplaced).collect()))
                .collect(),
            model: self.model.clone(),
        }
    }

    /// Makes the files readable, below `folder` where they are not on this machine.
    pub async fn fetch(&self, worker: &Worker, folder: &Path) -> Result<Found, Failure> {
        let mut sources = BTreeMap::new();
        for (name, objects) in &self.objects {
            let mut files = Vec::with_capacity(objects.len());
            for object in objects {
                let path = worker.backend.sources.fetch(object, &folder.join(name)).await;
                let path = path.map_err(|e| match e.kind() {
                    ErrorKind::Conflict => changed(name),
                    _ => refused(name, &e),
                })?;
                files.push(placed(object, path));
            }
            sources.insert(name.clone(), files);
        }
        Ok(Found {
            sources,
            model: self.model.clone(),
        })
    }

    /// Looks at the files again after the stage has read them: a result of other bytes than were found must not count
    /// as a result of these.
    pub async fn check(&self, worker: &Worker) -> Result<(), Failure> {
        let now = objects_of(worker, &self.needs).await?;
        match self
            .objects
            .iter()
            .find(|(name, then)| now.get(*name) != Some(then))
        {
            Some((name, _)) => Err(changed(name)),
            None => Ok(()),
        }
    }
}

async fn objects_of(worker: &Worker, needs: &Needs) -> Result<BTreeMap<String, Vec<SourceObject>>, Failure> {
    let mut objects = BTreeMap::new();
    for (name, uri) in &needs.sources {
        let found = worker.backend.sources.find(uri).await;
        objects.insert(name.clone(), found.map_err(|e| refused(name, &e))?);
    }
    Ok(objects)
}

fn placed(object: &SourceObject, path: std::path::PathBuf) -> SourceFile {
    SourceFile {
        uri: object.uri.clone(),
        path,
        sha256: object.sha256,
        size_bytes: object.size_bytes,
    }
}

/// A file that is not there, or may not be read, will not come by trying again: a person has to see to it.
fn refused(name: &str, error: &PortError) -> Failure {
    let class = match error.kind() {
        ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::LeaseLost => FaultClass::Transient,
        ErrorKind::NotFound
        | ErrorKind::Denied
        | ErrorKind::Conflict
        | ErrorKind::Corrupt
        | ErrorKind::Invalid => FaultClass::Permanent,
    };
    Failure {
        class,
        message: format!("source {name}: {error}"),
        retry_after: error.retry_after(),
    }
}

fn changed(name: &str) -> Failure {
    let message = format!(
        "source {name} was changed while it was read; write new data under another name, then move it into place"
    );
    Failure::new(FaultClass::Transient, message)
}

/// The version that is asked for by name, or the one that the alias points to, if there is any.
async fn model(registry: &dyn Registry, need: &ModelNeed) -> Result<FoundModel, Failure> {
    let failed = |e: PortError| Failure::port("cannot ask the registry of models", &e);
    let ModelNeed {
        model,
        alias,
        version,
    } = need;
    let position = registry.resolve(model, alias).await.map_err(failed)?;
    let (wanted, revision) = match (version, &position) {
        (Some(version), at) => (Some(version), at.as_ref().map_or(0, |at| at.revision)),
        (None, Some(at)) => (Some(&at.version), at.revision),
        (None, None) => (None, 0),
    };
    let found = match wanted {
        None => None,
        Some(wanted) => {
            let found = registry.version(model, wanted).await.map_err(failed)?;
            Some(found.ok_or_else(|| {
                Failure::permanent(format!(
                    "model {model} has no version {wanted}; `producer models show {model}` lists those it has"
                ))
            })?)
        }
    };
    Ok(FoundModel {
        model: model.clone(),
        alias: alias.clone(),
        revision,
        version: found,
    })
}
