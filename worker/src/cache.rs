//! Results that serve again: a step whose result is known to be what an earlier one's was is not done a second time.
//!
//! What a result depends on is taken apart into named parts; the key is made of all of them, so it is right as long as
//! the parts are complete, and the parts tell people why there was no hit. An entry is written after a commit and is
//! never trusted: its artifacts are read and checked before they serve.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Component, Path};

use pipeline::item::CacheNote;
use pipeline::plan::Branches;
use pipeline::ports::{Backend, CacheEntry, ErrorKind, PortResult};
use pipeline::spec::{StageParams, Step};
use pipeline::stage::{Assignment, Found, Outcome, Read};
use pipeline::{Manifest, Sha256Digest, Spec, Timestamp};
use serde_json::{Value, json};

/// The artifact by which a stage says that a time budget cut its result short: with more time it would be another.
const TIME_LIMITED: &str = "time-limited";

/// What a result depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    parts: BTreeMap<String, Sha256Digest>,
    /// Names the place in which the latest result of this step is remembered, whatever it depends on.
    place: Sha256Digest,
}

/// A result that may serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// How the stage ended.
    pub outcome: Outcome,
    /// What it wrote.
    pub manifest: Manifest,
}

impl Identity {
    /// What the result of `assignment` depends on, if it is one that may be cached. `code` names the stages' code, and
    /// `reads` are what the stage reads of earlier steps.
    pub fn of(step: &Step, assignment: &Assignment, reads: &[Read], code: &str) -> Option<Self> {
        if !step.params.kind().cacheable {
            return None;
        }
        let Assignment {
            spec, branch, found, ..
        } = assignment;
        let params = told(&step.params, *branch);
        let mut parts = BTreeMap::from([
            ("stage".to_owned(), digest(&json!(step.params.kind().name))),
            ("code".to_owned(), digest(&json!(code))),
            ("params".to_owned(), digest(&params)),
            // Reports are headed by the one, and keep the other out, whichever stage writes them.
            ("pipeline".to_owned(), digest(&json!(spec.pipeline))),
            ("private".to_owned(), digest(&json!(private(spec)))),
            ("seed".to_owned(), digest(&json!(spec.seed))),
            ("branch".to_owned(), digest(&json!(branch))),
            ("plan".to_owned(), digest(&json!(must_fan_out(step, assignment)))),
        ]);
        if let Some(split) = split_of_folds(step, assignment) {
            parts.insert("split".to_owned(), split);
        }
        parts.extend(inputs(reads));
        parts.extend(outside(found));
        let place = format!(
            "latest/{}/{}/{}",
            spec.pipeline,
            step.step,
            branch.unwrap_or_default()
        );
        Some(Self {
            parts,
            place: Sha256Digest::of(place.as_bytes()),
        })
    }

    fn key(&self) -> Sha256Digest {
        digest(&json!(self.parts))
    }

    /// The parts that are not what they were, by name.
    fn differences(&self, then: &BTreeMap<String, Sha256Digest>) -> Vec<String> {
        let names = self.parts.keys().chain(then.keys());
        let mut differs: Vec<String> = names
            .filter(|name| self.parts.get(*name) != then.get(*name))
            .cloned()
            .collect();
        differs.sort_unstable();
        differs.dedup();
        differs.truncate(CacheNote::MAX_DIFFERS);
        differs
    }
}

/// Looks for a result; the note says what came of it. A cache that does not answer is no reason to fail.
pub async fn look_up(backend: &Backend, identity: &Identity) -> (Option<Hit>, CacheNote) {
    match find(backend, identity).await {
        Ok(Ok(hit)) => (Some(hit), CacheNote::Hit),
        Ok(Err(differs)) => (None, CacheNote::Miss { differs }),
        Err(e) => {
            tracing::warn!("the cache is not used: {e}");
            (None, CacheNote::Off)
        }
    }
}

/// A result, or what differs from the latest one.
async fn find(backend: &Backend, identity: &Identity) -> PortResult<Result<Hit, Vec<String>>> {
    let runs = &backend.runs;
    if let Some(entry) = runs.cache_get(&identity.key()).await? {
        return Ok(match serves(backend, &entry.manifest).await? {
            true => Ok(Hit {
                outcome: entry.outcome,
                manifest: entry.manifest,
            }),
            false => Err(vec![CacheNote::ARTIFACTS.to_owned()]),
        });
    }
    let latest = runs.cache_get(&identity.place).await?;
    Ok(Err(latest.map_or_else(Vec::new, |entry| {
        identity.differences(&entry.parts)
    })))
}

/// True if everything that the manifest speaks of is there, is what it was, and is not about to be removed.
async fn serves(backend: &Backend, manifest: &Manifest) -> PortResult<bool> {
    for artifact in manifest.references() {
        match backend.artifacts.verify(&artifact).await {
            Ok(()) => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
                tracing::warn!("a cached result is not used: {e}");
                return Ok(false);
            }
            Err(e) => return Err(e),
        }
    }
    // Garbage collection removes a run's item before its artifacts. What it sees then, our commit among it, stays.
    Ok(backend.runs.load(&manifest.origin.run).await?.is_some())
}

/// How many entries [`remember`] keeps.
pub fn entries(identity: Option<&Identity>, outcome: &Outcome, manifest: &Manifest) -> u32 {
    // Under its key, and as the latest of its step.
    if identity.is_some() && may_serve(outcome, manifest) {
        2
    } else {
        0
    }
}

/// Remembers a committed result. Best effort: what is not remembered is done again.
pub async fn remember(
    backend: &Backend,
    identity: &Identity,
    outcome: &Outcome,
    manifest: &Manifest,
    now: Timestamp,
) {
    if !may_serve(outcome, manifest) {
        return;
    }
    let entry = CacheEntry {
        manifest: manifest.clone(),
        outcome: outcome.clone(),
        parts: identity.parts.clone(),
        cached_at: now,
    };
    for key in [identity.key(), identity.place] {
        if let Err(e) = backend.runs.cache_put(&key, &entry).await {
            tracing::warn!("a result is not cached: {e}");
            return;
        }
    }
}

/// A registration is a deed, not a result; and what a time budget cut short would be another with more time.
fn may_serve(outcome: &Outcome, manifest: &Manifest) -> bool {
    let is_result = match outcome {
        Outcome::Advance | Outcome::FanOut { .. } | Outcome::Halt { .. } => true,
        Outcome::Register(_) => false,
    };
    is_result && manifest.artifacts.iter().all(|a| a.name.as_str() != TIME_LIMITED)
}

/// True if the stage has to say into how many branches the next step is fanned out.
fn must_fan_out(step: &Step, assignment: &Assignment) -> bool {
    let mut after = assignment.spec.steps.iter().skip_while(|s| s.step != step.step);
    after
        .nth(1)
        .is_some_and(|next| next.branches == Some(Branches::FromPredecessor))
}

/// How the rows were split, which folds of cross-validation follow.
fn split_of_folds(step: &Step, assignment: &Assignment) -> Option<Sha256Digest> {
    let StageParams::Train(train) = &step.params else {
        return None;
    };
    let own = usize::try_from(assignment.branch.unwrap_or(0)).ok()?;
    if train.candidates.get(own)?.training.folds == 0 {
        return None;
    }
    let before = assignment.spec.steps.iter().take_while(|s| s.step != step.step);
    let split = before
        .filter_map(|step| match &step.params {
            StageParams::Extract(extract) => Some(&extract.split),
            _ => None,
        })
        .last()?;
    Some(digest(&json!(split)))
}

/// The columns whose values nothing may show.
fn private(spec: &Spec) -> BTreeSet<&String> {
    let named = spec.steps.iter().filter_map(|step| match &step.params {
        StageParams::Validate(validate) => Some(&validate.private),
        _ => None,
    });
    named.flatten().collect()
}

/// What the stage is told, as far as its result depends on it: a branch of `train` sees its own candidate only, so that
/// another candidate beside it changes nothing; and where a source's files lie does not matter, but what they hold.
fn told(params: &StageParams, branch: Option<u32>) -> Value {
    let mut params = params.clone();
    match &mut params {
        StageParams::Train(train) => {
            let own = branch.and_then(|ordinal| usize::try_from(ordinal).ok());
            if let Some(own) = own.and_then(|at| train.candidates.get(at)).cloned() {
                train.candidates = vec![own];
            }
        }
        StageParams::Extract(extract) => {
            extract.sources.values_mut().for_each(|s| s.path.clear());
        }
        StageParams::Predict(predict) => {
            predict.sources.values_mut().for_each(|s| s.path.clear());
        }
        StageParams::Validate(_)
        | StageParams::Transform(_)
        | StageParams::Evaluate(_)
        | StageParams::Explain(_)
        | StageParams::Deploy(_)
        | StageParams::Noop(_)
        | StageParams::Sleep(_)
        | StageParams::Crash(_)
        | StageParams::Allocate(_)
        | StageParams::Flaky(_)
        | StageParams::FanOut(_) => {}
    }
    Value::Object(params.to_map())
}

/// One part for each step that is read: where each file is found, and what it holds.
fn inputs(reads: &[Read]) -> BTreeMap<String, Sha256Digest> {
    let mut by_step: BTreeMap<String, BTreeMap<&Path, Sha256Digest>> = BTreeMap::new();
    for read in reads {
        let step = match read.path.components().next() {
            Some(Component::Normal(step)) => step.to_string_lossy().into_owned(),
            _ => String::new(),
        };
        by_step
            .entry(format!("input:{step}"))
            .or_default()
            .insert(&read.path, read.artifact.sha256);
    }
    by_step
        .into_iter()
        .map(|(part, files)| (part, digest(&json!(files))))
        .collect()
}

/// One part for each source, and one for the model.
fn outside(found: &Found) -> BTreeMap<String, Sha256Digest> {
    let mut parts = BTreeMap::new();
    for (name, files) in &found.sources {
        // Names end in what tells how a file is read; their order is the order of the rows.
        let files: Vec<Value> = files
            .iter()
            .map(|file| json!([endings(&file.uri), file.sha256]))
            .collect();
        parts.insert(format!("source:{name}"), digest(&json!(files)));
    }
    if let Some(model) = &found.model {
        let package = model.version.as_ref().map(|version| {
            let files = version.package.artifacts.iter();
            let files: Vec<Value> = files.map(|a| json!([a.name, a.sha256])).collect();
            json!([version.run, files])
        });
        let model = json!([model.model, model.alias, model.revision, package]);
        parts.insert("model".to_owned(), digest(&model));
    }
    parts
}

/// The last two endings of a file's name, as `csv.gz`.
fn endings(uri: &str) -> String {
    let name = Path::new(uri).file_name().and_then(OsStr::to_str).unwrap_or(uri);
    let mut endings: Vec<&str> = name.rsplit('.').take(2).collect();
    if endings.len() == name.split('.').count() {
        endings.pop();
    }
    endings.reverse();
    endings.join(".")
}

/// Of a JSON value. The keys of its maps are sorted: whether they keep their order is decided by what else a binary is
/// built with.
fn digest(value: &Value) -> Sha256Digest {
    Sha256Digest::of(sorted(value).to_string().as_bytes())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(sorted).collect(),
        Value::Object(map) => {
            let by_key: BTreeMap<&String, Value> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            by_key
                .into_iter()
                .map(|(key, value)| (key.clone(), value))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests;
