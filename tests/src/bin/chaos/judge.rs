//! Judges, when all is over, from the log, the stores and the outputs. What must hold of stores the simulation's ledger
//! knows: what is found is laid out as its stores are.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use pipeline::artifact::ArtifactRef;
use pipeline::ports::{Backend, ListFilter, Outbound, PortResult};
use pipeline::registry::Position;
use pipeline::{ArtifactKey, Item, QueueName, RunId, RunItem, RunStatus, StepItem, Timestamp};
use sim::ledger::{Expected, Violation, overdue};
use sim::stores::{Items, Letter, Stores};

use crate::account::Account;
use crate::ground::Ground;
use crate::history::{History, Phase};
use crate::runs::{ALIAS, Kind, MODEL, STAGES};

/// How many objects are read at once.
const AT_ONCE: usize = 16;

/// What all came to.
pub(crate) struct Judged {
    pub(crate) account: Account,
    pub(crate) violations: Vec<Violation>,
    /// By status.
    pub(crate) ended: BTreeMap<&'static str, u64>,
    pub(crate) attempts: u64,
    /// Attempts beyond one for each step and branch, and beyond those that are meant to fail.
    pub(crate) duplicates: u64,
    /// Accepted runs that are gone or have not ended.
    pub(crate) lost: u64,
    /// Steps and branches that were committed more than once.
    pub(crate) doubled: u64,
    /// Artifacts that were read and compared.
    pub(crate) artifacts: usize,
}

/// Everything that is stored and said. Nobody works on it any more.
pub(crate) fn judge(ground: &Ground, quiet_since: Timestamp, patience: Duration) -> PortResult<Judged> {
    let history = &ground.history;
    let mut driver = Account::default();
    for entry in history.entries().filter(|entry| entry.who == "driver") {
        driver.driver(&entry);
    }
    let backend = ground.fleet.backend();
    let (mut stores, artifacts) = ground.fleet.block_on(load(backend, &driver, ground))?;
    let account = Account::read(history, &stores.items);
    let mut ledger = std::mem::take(&mut stores.ledger);
    for (spec, declaration) in &account.declared {
        ledger.declares(*spec, declaration.clone());
    }
    for run in stores
        .items
        .runs
        .keys()
        .filter(|run| !account.accepted.contains(run))
    {
        ledger.broken(
            "L1",
            format!("run {run} is there, and nobody was told that it is"),
        );
    }
    for positions in stores.models.aliases.values() {
        let mut present = 0;
        for Position { alias, .. } in positions.iter().rev() {
            if let Some(run) = stores.items.runs.get(&alias.version) {
                ledger.promoted(run, alias, present);
            }
            present = alias.revision;
        }
    }
    let mut last = BTreeMap::<RunId, Item>::new();
    for branch in stores.items.branches.values() {
        ledger.seen(&stores.items, None, &Item::Branch(Box::new(branch.clone())));
    }
    let looks = history
        .entries()
        .filter(|entry| entry.op == "look" && entry.is == Phase::Ok);
    let looks = looks.filter_map(|entry| serde_json::from_value::<RunItem>(entry.detail).ok());
    for run in looks.chain(stores.items.runs.values().cloned()) {
        let (id, item) = (run.id.clone(), Item::Run(Box::new(run)));
        let before = last.insert(id, item.clone());
        ledger.seen(&stores.items, before.as_ref(), &item);
    }
    for ((run, step, branch), attempts) in account.doubled() {
        let branch = branch.map_or_else(String::new, |branch| format!("/{branch}"));
        ledger.broken(
            "I1",
            format!("run {run} step {step}{branch} was committed by attempts {attempts:?}"),
        );
    }
    let is_skewed = account.times("skew") > 0;
    for run in stores.items.runs.values() {
        let wrong = Kind::of(run).and_then(|kind| kind.wrong_end(run, account.cancelled.contains(&run.id)));
        if let Some(what) = wrong {
            ledger.broken("E1", what);
        }
        if let Some(step) = out_of_order(run).filter(|_| !is_skewed) {
            ledger.broken(
                "I3",
                format!("run {} step {step} began before the one before it ended", run.id),
            );
        }
    }
    for what in unequal_results(&stores.items) {
        ledger.broken("E2", what);
    }
    stores.ledger = ledger;
    let expected = Expected {
        accepted: account.accepted.clone(),
        quiet_since,
        ample: Some(Duration::ZERO),
        without_sweeper: Some(patience),
        ..Expected::default()
    };
    let over = quiet_since.plus(patience).plus(Duration::from_millis(1));
    for (invariant, what) in overdue(&stores.items, &expected, over) {
        stores.ledger.broken(invariant, what);
    }
    stores.judge_ending(&expected);
    Ok(summed(account, &stores, artifacts))
}

fn summed(account: Account, stores: &Stores, artifacts: usize) -> Judged {
    let items = &stores.items;
    let mut ended = BTreeMap::new();
    for run in items.runs.values() {
        *ended.entry(run.status.as_str()).or_default() += 1;
    }
    let steps = items
        .runs
        .values()
        .flat_map(|run| run.steps.iter().map(|(name, work)| (&run.id, name, work)));
    let branches = items
        .branches
        .values()
        .map(|branch| (&branch.run, &branch.step, &branch.work));
    let (mut attempts, mut duplicates) = (0, 0);
    for (_, step, work) in steps.chain(branches).filter(|(run, _, work)| is_own(run, work)) {
        let meant = if step.as_str() == "unsteady" { 2 } else { 1 };
        attempts += u64::from(work.attempt);
        duplicates += u64::from(work.attempt.saturating_sub(meant));
    }
    let is_lost = |run: &&RunId| {
        let run = items.runs.get(run);
        run.is_none_or(|run| run.status == RunStatus::Open)
    };
    let lost = account.accepted.iter().filter(is_lost).count() as u64;
    let violations = stores.ledger.violations().to_vec();
    let doubled = account.doubled().count();
    Judged {
        lost,
        // What is committed twice is told by who did it, as a rule; else by who saw the result change.
        doubled: violations
            .iter()
            .filter(|v| v.invariant == "I1")
            .count()
            .max(doubled) as u64,
        account,
        violations,
        ended,
        attempts,
        duplicates,
        artifacts,
    }
}

/// Not taken over from the run that this one resumes.
fn is_own(run: &RunId, work: &StepItem) -> bool {
    work.manifest
        .as_ref()
        .is_none_or(|manifest| manifest.origin.run == *run)
}

/// Reads the stores; how many artifacts there were.
async fn load(backend: &Backend, driver: &Account, ground: &Ground) -> PortResult<(Stores, usize)> {
    let mut stores = Stores::default();
    for id in &driver.accepted {
        if let Some(run) = backend.runs.load(id).await? {
            put(backend, &mut stores, run).await?;
        }
    }
    let mut next = None;
    loop {
        let page = backend
            .runs
            .list(&ListFilter::default(), next.as_deref(), 500)
            .await?;
        for run in page.runs {
            if !stores.items.runs.contains_key(&run.id) {
                put(backend, &mut stores, run).await?;
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let wanted: Vec<ArtifactRef> = stores
        .items
        .committed()
        .filter_map(|(.., work)| work.manifest.as_ref())
        .flat_map(|manifest| manifest.references().collect::<Vec<_>>())
        .collect();
    let count = wanted.len();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut read = futures::stream::iter(wanted.into_iter().enumerate())
        .map(|(nth, artifact)| {
            let copy = folder.path().join(nth.to_string());
            async move {
                let fetched = backend.artifacts.fetch(&artifact, &copy).await;
                let bytes = fetched.map(|()| std::fs::read(&copy).expect("it was fetched"));
                // It is there no more if it could not be fetched.
                let _ = std::fs::remove_file(&copy);
                (artifact.key, bytes)
            }
        })
        .buffer_unordered(AT_ONCE);
    while let Some((key, bytes)) = read.next().await {
        match bytes {
            Ok(bytes) => drop(stores.artifacts.publish(&key, bytes)),
            Err(e) => note(&ground.history, &key, &e.to_string()),
        }
    }
    drop(read);
    load_queues(backend, &mut stores).await?;
    load_registry(backend, &mut stores).await?;
    Ok((stores, count))
}

async fn put(backend: &Backend, stores: &mut Stores, run: RunItem) -> PortResult<()> {
    for branch in backend.runs.load_branches(&run.id, None).await? {
        stores.items.put(&Item::Branch(Box::new(branch)));
    }
    stores.items.put(&Item::Run(Box::new(run)));
    Ok(())
}

/// For the lines about its run.
fn note(history: &History, key: &ArtifactKey, error: &str) {
    if let ArtifactKey::Attempt(origin, _) = key {
        let detail = serde_json::json!({ "artifact": key.to_string(), "error": error });
        history.record("judge", "fetch", origin.run.as_str(), Phase::Failed, detail);
    }
}

/// Every queue of the stages, as texts that are still to be answered.
pub(crate) fn queues() -> impl Iterator<Item = QueueName> {
    let large = ["flaky-large"];
    let names = STAGES.split(',').chain(large);
    names.map(|name| name.parse().expect("a queue's name"))
}

async fn load_queues(backend: &Backend, stores: &mut Stores) -> PortResult<()> {
    for queue in queues() {
        let depth = backend.queue.depth(&queue).await?;
        for _ in 0..depth.visible + depth.in_flight + depth.delayed {
            let message = Outbound::now("a message");
            stores.queues.send(&queue, message, Timestamp(0));
        }
        for dead in backend.queue.list_dead(&queue, 1000).await? {
            let letter = Letter {
                body: dead.body,
                reason: dead.reason,
                since: dead.dead_since.unwrap_or(Timestamp(0)),
                receives: dead.receive_count,
            };
            stores.queues.add_dead(&queue, letter);
        }
    }
    Ok(())
}

async fn load_registry(backend: &Backend, stores: &mut Stores) -> PortResult<()> {
    let (model, alias) = (MODEL.parse().expect("a name"), ALIAS.parse().expect("a name"));
    for version in backend.registry.list(&model).await? {
        let key = (version.model.clone(), version.run.clone());
        stores.models.versions.insert(key, version);
    }
    let history = backend.registry.history(&model, &alias).await?;
    let position = |alias| Position {
        alias,
        restores: None,
    };
    let positions = history.into_iter().map(position).collect();
    stores.models.aliases.insert((model, alias), positions);
    Ok(())
}

/// A step that began before the one before it had ended, by the clocks of those who did it.
fn out_of_order(run: &RunItem) -> Option<&str> {
    let mut ended = Timestamp(0);
    for (name, step) in run.steps_in_order() {
        if step.started_at.is_some_and(|started| started < ended) {
            return Some(name.as_str());
        }
        ended = step.ended_at.unwrap_or(ended);
    }
    None
}

/// Runs whose results are not those of the others of their kind.
fn unequal_results(items: &Items) -> Vec<String> {
    let mut of_kind = BTreeMap::new();
    let mut found = Vec::new();
    for run in items
        .runs
        .values()
        .filter(|run| run.status == RunStatus::Succeeded)
    {
        let steps = run
            .steps
            .iter()
            .map(|(name, work)| ((name.clone(), 0), &work.manifest));
        let branches = items.branches_of(&run.id, None);
        let branches = branches
            .iter()
            .map(|branch| ((branch.step.clone(), branch.ordinal), &branch.work.manifest));
        let results: BTreeMap<_, Vec<_>> = steps
            .chain(branches)
            .filter_map(|(place, manifest)| Some((place, manifest.as_ref()?)))
            .map(|(place, manifest)| (place, manifest.artifacts.clone()))
            .collect();
        let expected = of_kind
            .entry(run.pipeline.clone())
            .or_insert_with(|| results.clone());
        if *expected != results {
            found.push(format!(
                "run {} of {} has other results than others",
                run.id, run.pipeline
            ));
        }
    }
    found
}
