//! Items, their indexes, and the cache.

use std::collections::BTreeMap;

use pipeline::digest::Sha256Digest;
use pipeline::id::{RunId, StepName};
use pipeline::item::{BranchItem, Item, ItemKey, RunItem};
use pipeline::ports::{CacheEntry, Created, ErrorKind, ListFilter, Page, PortResult};
use pipeline::{StepState, Timestamp};

use super::error;

/// What the index of open runs says: when to look at which.
pub type Index = Vec<(Timestamp, RunId)>;

/// All items, and the cache.
#[derive(Debug, Default)]
pub struct Items {
    /// Runs by id.
    pub runs: BTreeMap<RunId, RunItem>,
    /// Branches by run, step and ordinal.
    pub branches: BTreeMap<(RunId, StepName, u32), BranchItem>,
    /// Cached results.
    pub cache: BTreeMap<Sha256Digest, CacheEntry>,
    /// What an index that lags says.
    pub old_index: Index,
    /// True if the index of open runs never says anything, so that no sweeper finds any.
    pub index_is_lost: bool,
}

impl Items {
    /// The item of that key.
    pub fn get(&self, key: &ItemKey) -> Option<Item> {
        match key {
            ItemKey::Run(run) => self.runs.get(run).map(|run| Item::Run(Box::new(run.clone()))),
            ItemKey::Branch(run, step, ordinal) => self
                .branches
                .get(&(run.clone(), step.clone(), *ordinal))
                .map(|branch| Item::Branch(Box::new(branch.clone()))),
        }
    }

    /// Stores an item, over the one that is there.
    pub fn put(&mut self, item: &Item) {
        match item {
            Item::Run(run) => {
                self.runs.insert(run.id.clone(), (**run).clone());
            }
            Item::Branch(branch) => {
                let key = (branch.run.clone(), branch.step.clone(), branch.ordinal);
                self.branches.insert(key, (**branch).clone());
            }
        }
    }

    /// Stores an item if there is none of its key.
    pub fn create(&mut self, item: &Item) -> Created {
        match self.get(&item.key()) {
            Some(existing) => Created::Exists(Box::new(existing)),
            None => {
                self.put(item);
                Created::New
            }
        }
    }

    /// The branches of a step, or of all steps, by ordinal.
    pub fn branches_of(&self, run: &RunId, step: Option<&StepName>) -> Vec<BranchItem> {
        let first = StepName::new("-").expect("a valid name, and the first of all");
        let from = (run.clone(), step.cloned().unwrap_or(first), 0);
        self.branches
            .range(from..)
            .take_while(|((of, in_step, _), _)| of == run && step.is_none_or(|step| step == in_step))
            .map(|(_, branch)| branch.clone())
            .collect()
    }

    /// Removes a run and its branches.
    pub fn remove(&mut self, run: &RunId) {
        self.runs.remove(run);
        self.branches.retain(|(of, _, _), _| of != run);
    }

    /// Open runs by their next look.
    pub fn index(&self) -> Index {
        if self.index_is_lost {
            return Index::new();
        }
        let mut open: Index = self
            .runs
            .values()
            .filter_map(|run| Some((run.next_check?, run.id.clone())))
            .collect();
        open.sort();
        open
    }

    /// Runs by their age, newest first.
    pub fn list(&self, filter: &ListFilter, page: Option<&str>, max: usize) -> PortResult<Page> {
        let from = page.map(parse_page).transpose()?;
        let is_wanted = |run: &&RunItem| {
            filter.pipeline.as_ref().is_none_or(|name| *name == run.pipeline)
                && filter.status.is_none_or(|status| status == run.status)
        };
        let mut runs: Vec<&RunItem> = self.runs.values().filter(is_wanted).collect();
        runs.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        if let Some((created_at, id)) = from {
            runs.retain(|run| (run.created_at, run.id.as_str()) < (created_at, id.as_str()));
        }
        let more = runs.len() > max;
        runs.truncate(max);
        let last = runs.last().filter(|_| more);
        let next = last.map(|run| format!("{}:{}", run.created_at.0, run.id));
        let runs = runs.into_iter().cloned().collect();
        Ok(Page { runs, next })
    }

    /// True if the run was there and has ended.
    pub fn has_ended(&self, run: &RunId) -> bool {
        let status = self.runs.get(run).map(|run| run.status);
        status.is_some_and(|status| status != pipeline::RunStatus::Open)
    }

    /// Every step and branch that is committed, with the run that it is of.
    pub fn committed(&self) -> impl Iterator<Item = (&RunId, &StepName, Option<u32>, &pipeline::StepItem)> {
        let steps = self.runs.values().flat_map(|run| {
            run.steps
                .iter()
                .map(move |(name, step)| (&run.id, name, None, step))
        });
        let branches = self.branches.values().map(|branch| {
            let BranchItem {
                run,
                step,
                ordinal,
                work,
                ..
            } = branch;
            (run, step, Some(*ordinal), work)
        });
        steps
            .chain(branches)
            .filter(|(_, _, _, work)| work.state == StepState::Committed)
    }
}

fn parse_page(page: &str) -> PortResult<(Timestamp, String)> {
    let parsed = page
        .split_once(':')
        .and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.to_owned())));
    parsed.ok_or_else(|| error(ErrorKind::Invalid, format!("{page:?} is no page of this list")))
}
