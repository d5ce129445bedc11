//! `producer gc`: removes old runs, and what nothing uses any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pipeline::ports::ListFilter;
use pipeline::{ArtifactKey, RunId, RunStatus, Sha256Digest, Timestamp};
use serde::Serialize;

use crate::backend::Access;
use crate::commands::list::collect;
use crate::commands::show::branches_of;
use crate::dates::parse_duration;
use crate::exit::{Exit, Failure};
use crate::garbage::{Garbage, Stock, find};
use crate::render::{Cell, Table, ago, count, size};
use crate::session::Session;
use crate::view::status_colour;

/// Remove old runs and what nothing uses any more.
///
/// Without --yes it only says what it would remove.
///
/// A run goes whole, with its artifacts and a specification that no other run has, or stays whole. It stays while it
/// is open, while it ended less than --older-than ago, and while anything that stays uses its artifacts: a run that
/// resumes it or took a result of it from the cache, or a registered version of a model. Of runs that stay and ended a
/// day ago or more, artifacts of attempts that never committed go. Open runs are never touched.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer gc
  producer gc --older-than 90d --yes

JSON: {dry_run, runs: [{run, pipeline, status, ended_at, artifacts, size_bytes}], kept: [{run, because}], \
orphans: [{artifact, because, size_bytes}], specs, size_bytes}; kept are runs that are old enough and in \
use, orphans artifacts of no removed run, specs digests; size_bytes is all of it.")]
pub struct Args {
    /// Runs that ended at least so long ago
    #[arg(long, default_value = "30d", value_name = "DURATION", value_parser = parse_duration)]
    older_than: Duration,
    /// Yes, remove it: there is no way back
    #[arg(long)]
    yes: bool,
}

impl Args {
    /// What it does to the backend.
    pub fn access(&self) -> Access {
        if self.yes { Access::Change } else { Access::Look }
    }
}

#[derive(Serialize)]
struct View {
    dry_run: bool,
    runs: Vec<RunView>,
    kept: Vec<KeptView>,
    orphans: Vec<OrphanView>,
    specs: Vec<Sha256Digest>,
    size_bytes: u64,
}

#[derive(Serialize)]
struct RunView {
    run: String,
    pipeline: String,
    status: RunStatus,
    ended_at: Option<String>,
    artifacts: usize,
    size_bytes: u64,
    #[serde(skip)]
    ended: Option<Timestamp>,
}

#[derive(Serialize)]
struct KeptView {
    run: String,
    because: String,
}

#[derive(Serialize)]
struct OrphanView {
    artifact: String,
    because: &'static str,
    size_bytes: u64,
}

pub(super) async fn perform(session: &Session, args: Args) -> Result<Exit, Failure> {
    let now = session.now();
    let stock = take_stock(session).await?;
    let garbage = find(&stock, args.older_than, now);
    let view = view(session, &stock, &garbage, !args.yes).await?;
    if args.yes {
        remove(session, garbage, args.older_than, now).await?;
    }
    if session.output.is_json() {
        session.output.json(&view)?;
    } else {
        print(session, &view, now)?;
    }
    Ok(Exit::Done)
}

/// Reads everything that there is. Indexes may lag, so every way to find a run is gone.
async fn take_stock(session: &Session) -> Result<Stock, Failure> {
    let backend = &session.backend;
    let mut stock = Stock::default();
    for id in backend.artifacts.list_runs().await? {
        let keys = backend.artifacts.list(&id).await?;
        stock.stored.insert(id, keys);
    }
    let (listed, _) = collect(session, &ListFilter::default(), usize::MAX).await?;
    let mut ids: BTreeSet<RunId> = listed.into_iter().map(|run| run.id).collect();
    ids.extend(backend.runs.open_runs(Timestamp(u64::MAX), usize::MAX).await?);
    ids.extend(stock.stored.keys().cloned());
    for id in ids {
        // Read anew: the lists may be of a while ago.
        if let Some(run) = backend.runs.load(&id).await? {
            let branches = branches_of(session, &run).await?;
            stock.runs.insert(id, (run, branches));
        }
    }
    for model in backend.registry.models().await? {
        stock.versions.extend(backend.registry.list(&model).await?);
    }
    Ok(stock)
}

/// Removes it. The runs' items go first: from then on nobody can resume them. Then everything is looked at again, so
/// that what a run took over meanwhile stays. What a crash leaves behind in between is found the next time.
async fn remove(
    session: &Session,
    garbage: Garbage,
    older_than: Duration,
    now: Timestamp,
) -> Result<(), Failure> {
    let backend = &session.backend;
    for run in &garbage.runs {
        backend.runs.remove(run).await?;
    }
    let stock = take_stock(session).await?;
    let again = find(&stock, older_than, now);
    for key in garbage.artifacts.iter().chain(garbage.orphans.keys()) {
        // The artifacts of the removed runs are those of no run now.
        if again.orphans.contains_key(key) {
            backend.artifacts.remove(key).await?;
        }
    }
    let in_use: BTreeSet<Sha256Digest> = stock.runs.values().map(|(run, _)| run.spec).collect();
    for spec in garbage.specs.difference(&in_use) {
        backend.artifacts.remove(&ArtifactKey::Spec(*spec)).await?;
    }
    Ok(())
}

async fn view(session: &Session, stock: &Stock, garbage: &Garbage, dry_run: bool) -> Result<View, Failure> {
    let size_of = async |key: &ArtifactKey| -> Result<u64, Failure> {
        Ok(session.backend.artifacts.size_bytes(key).await?.unwrap_or(0))
    };
    let mut by_run: BTreeMap<&RunId, (usize, u64)> = BTreeMap::new();
    for key in &garbage.artifacts {
        if let ArtifactKey::Attempt(origin, _) = key {
            let (artifacts, size_bytes) = by_run.entry(&origin.run).or_default();
            *artifacts += 1;
            *size_bytes += size_of(key).await?;
        }
    }
    let mut orphans = Vec::new();
    for (key, why) in &garbage.orphans {
        orphans.push(OrphanView {
            artifact: key.to_string(),
            because: why.as_str(),
            size_bytes: size_of(key).await?,
        });
    }
    let runs = garbage
        .runs
        .iter()
        .filter_map(|id| stock.runs.get(id))
        .map(|(run, _)| {
            let (artifacts, size_bytes) = by_run.get(&run.id).copied().unwrap_or_default();
            RunView {
                run: run.id.to_string(),
                pipeline: run.pipeline.to_string(),
                status: run.status,
                ended_at: crate::view::time(run.ended_at),
                artifacts,
                size_bytes,
                ended: run.ended_at,
            }
        });
    let runs: Vec<RunView> = runs.collect();
    let mut size_bytes =
        runs.iter().map(|r| r.size_bytes).sum::<u64>() + orphans.iter().map(|o| o.size_bytes).sum::<u64>();
    for spec in &garbage.specs {
        size_bytes += size_of(&ArtifactKey::Spec(*spec)).await?;
    }
    Ok(View {
        dry_run,
        runs,
        kept: garbage
            .pinned
            .iter()
            .map(|(run, because)| KeptView {
                run: run.to_string(),
                because: because.clone(),
            })
            .collect(),
        orphans,
        specs: garbage.specs.iter().copied().collect(),
        size_bytes,
    })
}

fn print(session: &Session, view: &View, now: Timestamp) -> Result<(), Failure> {
    let output = &session.output;
    let mut table = Table::new(&["RUN", "STATUS", "ENDED", "ARTIFACTS", "SIZE"]);
    for run in &view.runs {
        table.row([
            Cell::new(&run.run),
            Cell::new(run.status.as_str()).coloured(status_colour(run.status)),
            Cell::maybe(run.ended.map(|at| ago(now, at))).right(),
            Cell::new(run.artifacts.to_string()).right(),
            Cell::new(size(run.size_bytes)).right(),
        ]);
    }
    if !table.is_empty() {
        output.table(&table)?;
    }
    let mut table = Table::new(&["ARTIFACT", "WHY", "SIZE"]);
    for orphan in &view.orphans {
        table.row([
            Cell::new(&orphan.artifact),
            Cell::new(orphan.because),
            Cell::new(size(orphan.size_bytes)).right(),
        ]);
    }
    if !table.is_empty() {
        output.table(&table)?;
    }
    for kept in &view.kept {
        output.say(&format!(
            "run {} is old enough, but stays: {}",
            kept.run, kept.because
        ));
    }
    let what = format!(
        "{}, {} of other runs, {}: {}",
        count(view.runs.len(), "run"),
        count(view.orphans.len(), "artifact"),
        count(view.specs.len(), "specification"),
        size(view.size_bytes)
    );
    output.say(
        &match (view.dry_run, view.runs.is_empty() && view.orphans.is_empty()) {
            (_, true) => "nothing to remove".to_owned(),
            (true, false) => format!("this would remove {what}; --yes does it"),
            (false, false) => format!("removed {what}"),
        },
    );
    Ok(())
}
