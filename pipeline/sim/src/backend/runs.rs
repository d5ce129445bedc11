//! Items, and the cache.

use std::time::Duration;

use async_trait::async_trait;
use pipeline::change::Change;
use pipeline::digest::Sha256Digest;
use pipeline::id::{RunId, StepName};
use pipeline::item::{BranchItem, Item, ItemKey, RunItem};
use pipeline::ports::{CacheEntry, Created, ListFilter, Page, PortResult, RunStore};
use pipeline::update::{Applied, GuardedUpdate};
use pipeline::{Slot, Timestamp};

use crate::fault::{Call, Fault};
use crate::world::{Link, Topic, done};

#[async_trait]
impl RunStore for Link {
    async fn create(&self, item: &Item) -> PortResult<Created> {
        let item = item.clone();
        let tell = |created: &Created| match created {
            Created::New => "new".to_owned(),
            Created::Exists(_) => "exists".to_owned(),
        };
        self.call(Call::Create, shown(&item.key()), tell, move |stores, _| {
            Ok(stores.create(&item))
        })
        .await
    }

    async fn load(&self, run: &RunId) -> PortResult<Option<RunItem>> {
        let run = run.clone();
        let tell = |run: &Option<RunItem>| {
            run.as_ref()
                .map_or("none".to_owned(), |run| run.status.to_string())
        };
        self.call(Call::Load, run.to_string(), tell, move |stores, _| {
            Ok(stores.items.runs.get(&run).cloned())
        })
        .await
    }

    async fn load_branches(&self, run: &RunId, step: Option<&StepName>) -> PortResult<Vec<BranchItem>> {
        let (run, step) = (run.clone(), step.cloned());
        self.call(Call::LoadBranches, run.to_string(), done, move |stores, _| {
            Ok(stores.items.branches_of(&run, step.as_ref()))
        })
        .await
    }

    async fn apply(&self, update: &GuardedUpdate) -> PortResult<Applied> {
        let (update, process) = (update.clone(), self.process);
        let call = kind(&update);
        let detail = format!("{}{}", shown(&update.key), slot(&update));
        let tell = |applied: &Applied| match applied {
            Applied::Done(item) => format!("done, {}", state(item)),
            Applied::Refused(Some(item)) => format!("refused by {}", state(item)),
            Applied::Refused(None) => "refused: there is none".to_owned(),
            Applied::AliasMoved(_) => "the alias moved".to_owned(),
        };
        let deed = {
            let update = update.clone();
            move |stores: &mut crate::stores::Stores, _| Ok(stores.apply(process, &update))
        };
        let applied = self.call(call, detail, tell, deed).await?;
        if call == Call::Renew && matches!(applied, Applied::Refused(_)) {
            self.world.stores().ledger.renewal_was_refused(&update);
        }
        Ok(applied)
    }

    async fn list(&self, filter: &ListFilter, page: Option<&str>, max: usize) -> PortResult<Page> {
        let (filter, page) = (filter.clone(), page.map(str::to_owned));
        self.call(Call::Rare, "list".to_owned(), done, move |stores, _| {
            stores.items.list(&filter, page.as_deref(), max)
        })
        .await
    }

    async fn open_runs(&self, due: Timestamp, max: usize) -> PortResult<Vec<RunId>> {
        let fault = self.draw(Call::OpenRuns);
        let tell = |runs: &Vec<RunId>| format!("{} due", runs.len());
        let deed = move |stores: &mut crate::stores::Stores, _| {
            let present = stores.items.index();
            let index = match fault {
                Some(Fault::Stale) => stores.items.old_index.clone(),
                _ => present.clone(),
            };
            stores.items.old_index = present;
            let is_due = index.into_iter().filter(|(at, _)| *at <= due);
            Ok(is_due.map(|(_, run)| run).take(max).collect())
        };
        self.call_with(Call::OpenRuns, String::new(), fault, tell, deed)
            .await
    }

    async fn remove(&self, run: &RunId) -> PortResult<()> {
        let run = run.clone();
        self.call(Call::Rare, format!("remove {run}"), done, move |stores, _| {
            stores.items.remove(&run);
            Ok(())
        })
        .await
    }

    async fn wait_for_end(&self, run: &RunId, at_most: Duration) {
        let world = &self.world;
        let give_up = world.simulation.now().saturating_add(at_most);
        loop {
            let left = give_up.saturating_sub(world.simulation.now());
            if left.is_zero() || world.stores().items.has_ended(run) {
                return;
            }
            world.wait(Topic::Run(run.clone()), left).await;
        }
    }

    async fn cache_get(&self, key: &Sha256Digest) -> PortResult<Option<CacheEntry>> {
        let key = *key;
        self.call(Call::Rare, format!("cache-get {key}"), done, move |stores, _| {
            Ok(stores.items.cache.get(&key).cloned())
        })
        .await
    }

    async fn cache_put(&self, key: &Sha256Digest, entry: &CacheEntry) -> PortResult<()> {
        let (key, entry) = (*key, entry.clone());
        self.call(Call::Rare, format!("cache-put {key}"), done, move |stores, _| {
            stores.items.cache.insert(key, entry);
            Ok(())
        })
        .await
    }

    async fn server_time(&self) -> PortResult<Timestamp> {
        self.call(Call::ServerTime, String::new(), done, |_, now| Ok(now))
            .await
    }
}

/// What an update is for.
fn kind(update: &GuardedUpdate) -> Call {
    let any = |is: fn(&Change) -> bool| update.changes.iter().any(is);
    if update.register.is_some() {
        Call::Register
    } else if any(|c| matches!(c, Change::Claim { .. })) {
        Call::Claim
    } else if any(|c| matches!(c, Change::Renew { .. })) {
        Call::Renew
    } else if any(|c| matches!(c, Change::Commit { .. })) {
        Call::Commit
    } else if any(|c| matches!(c, Change::Release { .. })) {
        Call::LetGo
    } else if any(|c| matches!(c, Change::Escalate { .. })) {
        Call::Escalate
    } else if any(|c| matches!(c, Change::Join { .. })) {
        Call::Join
    } else if any(|c| matches!(c, Change::CloseFanOut { .. })) {
        Call::FanIn
    } else if any(|c| matches!(c, Change::Fail { .. })) {
        Call::Fail
    } else if any(|c| matches!(c, Change::End { .. })) {
        Call::End
    } else if any(|c| matches!(c, Change::NextCheck(_))) {
        Call::Look
    } else {
        Call::Other
    }
}

fn shown(key: &ItemKey) -> String {
    match key {
        ItemKey::Run(run) => run.to_string(),
        ItemKey::Branch(run, step, ordinal) => format!("{run}:{step}/{ordinal}"),
    }
}

/// Of which step the first change is.
fn slot(update: &GuardedUpdate) -> String {
    let slot = update.changes.iter().find_map(|change| match change {
        Change::Claim { slot, .. }
        | Change::Renew { slot, .. }
        | Change::Commit { slot, .. }
        | Change::Release { slot, .. }
        | Change::Fail { slot, .. }
        | Change::Escalate { slot, .. } => Some(slot),
        _ => None,
    });
    match slot {
        Some(Slot::Step(step)) => format!(":{step}"),
        Some(Slot::Branch) | None => String::new(),
    }
}

/// Where an item stands, in a line.
fn state(item: &Item) -> String {
    match item {
        Item::Branch(branch) => {
            let work = &branch.work;
            format!("{:?} a{} {:?}", work.state, work.attempt, work.spent)
        }
        Item::Run(run) => {
            let at = run.frontier().map_or_else(String::new, |(step, work)| {
                let lease = work.lease_until.map_or(0, |until| until.0 % 100_000_000);
                format!(
                    " at {step} {:?} a{} c{} until {lease}",
                    work.state, work.attempt, work.spent.crash
                )
            });
            format!("{}{at}", run.status)
        }
    }
}
