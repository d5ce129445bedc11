//! Items, their indexes, and the cache.

pub(crate) mod clock;
mod indexes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
    WriteRequest,
};
use pipeline::digest::Sha256Digest;
use pipeline::id::{RunId, StepName};
use pipeline::item::{BranchItem, Item, ItemKey, RunItem, RunStatus};
use pipeline::ports::{CacheEntry, Created, ErrorKind, ListFilter, Page, PortError, PortResult, RunStore};
use pipeline::time::Timestamp;
use pipeline::update::{Applied, GuardedUpdate};

pub(crate) use self::indexes::{LISTED_INDEX, OPEN_INDEX};
use crate::error::Fault;
use crate::registry;
use crate::retry::Retries;
use crate::store::Store;
use crate::table::document::{self, Document, PK, SK, pair};
use crate::table::expression::Aliases;
use crate::table::{change, condition};

/// The most items of one batch, by DynamoDB's rules: of reading, and of writing.
const READ_BATCH: usize = 100;
const WRITE_BATCH: usize = 25;

/// How often a run is looked at whose end is waited for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A cached result that nobody asked for since so long is forgotten.
const CACHED_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// The items.
pub(crate) struct Runs(pub(crate) Arc<Store>);

#[async_trait]
impl RunStore for Runs {
    async fn create(&self, item: &Item) -> PortResult<Created> {
        let created = self.put_new(item).await;
        created.map_err(|fault| fault.explain("create an item"))
    }

    async fn load(&self, run: &RunId) -> PortResult<Option<RunItem>> {
        let item = self.item(&ItemKey::Run(run.clone())).await;
        let item = item.map_err(|fault| fault.explain("load a run"))?;
        Ok(item.and_then(Item::into_run))
    }

    async fn load_branches(&self, run: &RunId, step: Option<&StepName>) -> PortResult<Vec<BranchItem>> {
        let load = async {
            let prefix = document::branches_prefix(step);
            let documents = self.0.query(&document::partition(run), &prefix).await?;
            let items: Result<Vec<Item>, Fault> = documents.into_iter().map(document::to_item).collect();
            Ok(items?.into_iter().filter_map(|item| match item {
                Item::Branch(branch) => Some(*branch),
                Item::Run(_) => None,
            }))
        };
        let branches = load
            .await
            .map_err(|fault: Fault| fault.explain("load branches"))?;
        Ok(branches.collect())
    }

    async fn apply(&self, update: &GuardedUpdate) -> PortResult<Applied> {
        let applied = match &update.register {
            None => self.update(update).await,
            Some(declared) => {
                let key = document::key(&update.key);
                let expressions = Expressions::of(update).map_err(|fault| fault.explain("update an item"))?;
                match registry::commit(&self.0, &key, expressions, declared).await {
                    Ok(registry::Committed::Done) => self.stored(&update.key).await.map(Applied::Done),
                    Ok(registry::Committed::Refused(stored)) => {
                        stored.map(document::to_item).transpose().map(Applied::Refused)
                    }
                    Ok(registry::Committed::AliasMoved(alias)) => Ok(Applied::AliasMoved(alias)),
                    Err(fault) => Err(fault),
                }
            }
        };
        applied.map_err(|fault| fault.explain("update an item"))
    }

    /// Reads the index, and the items themselves besides, which are newer than what it says of them.
    async fn list(&self, filter: &ListFilter, page: Option<&str>, max: usize) -> PortResult<Page> {
        let before = page.map(indexes::parse_page).transpose()?;
        let list = async {
            let mut places = indexes::listed(&self.0, filter, before.as_deref(), max).await?;
            let more = places.len() > max;
            places.truncate(max);
            let next = places.last().filter(|_| more).map(|(listed, _)| listed.clone());
            let runs = self.runs(places.into_iter().map(|(_, pk)| pk).collect()).await?;
            // Their status may have changed since the index saw them.
            let is_wanted = |run: &RunItem| filter.status.is_none_or(|status| run.status == status);
            Ok(Page {
                runs: runs.into_iter().filter(is_wanted).collect(),
                next,
            })
        };
        list.await.map_err(|fault: Fault| fault.explain("list runs"))
    }

    async fn open_runs(&self, due: Timestamp, max: usize) -> PortResult<Vec<RunId>> {
        let found = indexes::open(&self.0, due, max).await;
        found.map_err(|fault| fault.explain("list open runs"))
    }

    async fn remove(&self, run: &RunId) -> PortResult<()> {
        let remove = async {
            // The run goes last: who is interrupted finds it again.
            let branches = self
                .0
                .query(&document::partition(run), &document::branches_prefix(None))
                .await?;
            let keys = branches.into_iter().map(|mut branch| {
                branch.retain(|name, _| name == PK || name == SK);
                branch
            });
            let keys: Vec<Document> = keys.collect();
            for batch in keys.chunks(WRITE_BATCH) {
                self.delete(batch).await?;
            }
            self.delete(&[document::key(&ItemKey::Run(run.clone()))]).await
        };
        remove.await.map_err(|fault: Fault| fault.explain("remove a run"))
    }

    async fn wait_for_end(&self, run: &RunId, at_most: Duration) {
        let clock = &self.0.host.clock;
        let give_up = clock.monotonic().saturating_add(at_most);
        loop {
            // A failure is for the caller's own look to tell.
            let ended = match self.item(&ItemKey::Run(run.clone())).await {
                Ok(Some(Item::Run(run))) => run.status != RunStatus::Open,
                _ => false,
            };
            let left = give_up.saturating_sub(clock.monotonic());
            if ended || left.is_zero() {
                return;
            }
            clock.sleep(left.min(LOOK_EVERY)).await;
        }
    }

    async fn cache_get(&self, key: &Sha256Digest) -> PortResult<Option<CacheEntry>> {
        let get = async {
            let found = self.0.get(cache_key(key)).await?;
            found
                .map(|mut entry| {
                    registry::strip_keys(&mut entry);
                    document::read(entry)
                })
                .transpose()
        };
        get.await.map_err(|fault: Fault| fault.explain("read the cache"))
    }

    async fn cache_put(&self, key: &Sha256Digest, entry: &CacheEntry) -> PortResult<()> {
        let put = async {
            let mut document = document::of(entry)?;
            document.extend(cache_key(key));
            let expires = entry.cached_at.plus(CACHED_FOR).0 / 1000;
            document.insert(document::EXPIRES.into(), AttributeValue::N(expires.to_string()));
            self.0.put(document).await
        };
        put.await
            .map_err(|fault: Fault| fault.explain("write to the cache"))
    }

    async fn server_time(&self) -> PortResult<Timestamp> {
        let action = "ask AWS for its time";
        let time = clock::ask(&self.0).await.map_err(|fault| fault.explain(action))?;
        time.ok_or_else(|| {
            let message = format!("cannot {action}: the answer has no Date header");
            PortError::new(ErrorKind::Unavailable, message)
        })
    }
}

fn cache_key(key: &Sha256Digest) -> Document {
    pair(&format!("C#{key}"), "CACHE")
}

impl Runs {
    async fn item(&self, key: &ItemKey) -> Result<Option<Item>, Fault> {
        let found = self.0.get(document::key(key)).await?;
        found.map(document::to_item).transpose()
    }

    /// An item that was there a moment ago.
    async fn stored(&self, key: &ItemKey) -> Result<Item, Fault> {
        let item = self.item(key).await?;
        item.ok_or_else(|| Fault::Stored("an item that was just changed is gone".into()))
    }

    async fn put_new(&self, item: &Item) -> Result<Created, Fault> {
        let mut aliases = Aliases::default();
        let pk = aliases.name(PK);
        let put = self
            .0
            .clients
            .dynamodb
            .put_item()
            .table_name(&self.0.table)
            .set_item(Some(document::of_item(item)?))
            .condition_expression(format!("attribute_not_exists({pk})"))
            .set_expression_attribute_names(aliases.names())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(Created::New),
            Err(error) => match error.as_service_error().and_then(|e| match e {
                aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(e) => {
                    e.item.clone()
                }
                _ => None,
            }) {
                Some(stored) => Ok(Created::Exists(Box::new(document::to_item(stored)?))),
                None => Err(error.into()),
            },
        }
    }

    /// One conditional update; the birth of a branch is a conditional put before it.
    async fn update(&self, update: &GuardedUpdate) -> Result<Applied, Fault> {
        if update.birth.is_some()
            && let Ok(born) = update.evaluate(None)
        {
            match self.put_new(&born).await? {
                Created::New => return Ok(Applied::Done(born)),
                // It was born before: what is stored decides.
                Created::Exists(_) => {}
            }
        }
        let Expressions {
            condition,
            change,
            aliases,
        } = Expressions::of(update)?;
        let request = self
            .0
            .clients
            .dynamodb
            .update_item()
            .table_name(&self.0.table)
            .set_key(Some(document::key(&update.key)))
            .condition_expression(condition)
            .update_expression(change)
            .set_expression_attribute_names(aliases.names())
            .set_expression_attribute_values(aliases.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(answer) => {
                let attributes = answer
                    .attributes
                    .ok_or_else(|| Fault::Stored("an update was answered without the item".into()))?;
                Ok(Applied::Done(document::to_item(attributes)?))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
                    let stored = refusal.item.clone().filter(|item| !item.is_empty());
                    Ok(Applied::Refused(stored.map(document::to_item).transpose()?))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// The runs of these partitions, in this order. Those that are gone since are left out.
    async fn runs(&self, partitions: Vec<String>) -> Result<Vec<RunItem>, Fault> {
        let mut found = HashMap::new();
        for batch in partitions.chunks(READ_BATCH) {
            let mut keys: Vec<Document> = batch.iter().map(|pk| pair(pk, "RUN")).collect();
            let mut retries = Retries::new(&self.0.host);
            while !keys.is_empty() {
                let wanted = KeysAndAttributes::builder()
                    .set_keys(Some(std::mem::take(&mut keys)))
                    .consistent_read(true)
                    .build()?;
                let request = self.0.clients.dynamodb.batch_get_item();
                let answer = request.request_items(&self.0.table, wanted).send().await?;
                let read = answer.responses.and_then(|mut of| of.remove(&self.0.table));
                for document in read.unwrap_or_default() {
                    let pk = text(&document, PK)?;
                    if let Item::Run(run) = document::to_item(document)? {
                        found.insert(pk, *run);
                    }
                }
                // The service may answer a part of a batch, and names the rest.
                let rest = answer
                    .unprocessed_keys
                    .and_then(|mut of| of.remove(&self.0.table));
                if let Some(rest) = rest.filter(|rest| !rest.keys.is_empty()) {
                    keys = rest.keys;
                    retries.again(unprocessed()).await?;
                }
            }
        }
        Ok(partitions.iter().filter_map(|pk| found.remove(pk)).collect())
    }

    /// Removes what has these keys, at most a batch.
    async fn delete(&self, keys: &[Document]) -> Result<(), Fault> {
        let requests: Result<Vec<WriteRequest>, Fault> = keys
            .iter()
            .map(|key| {
                let delete = DeleteRequest::builder().set_key(Some(key.clone())).build()?;
                Ok(WriteRequest::builder().delete_request(delete).build())
            })
            .collect();
        let mut left = requests?;
        let mut retries = Retries::new(&self.0.host);
        while !left.is_empty() {
            let request = self.0.clients.dynamodb.batch_write_item();
            let answer = request.request_items(&self.0.table, left).send().await?;
            let rest = answer
                .unprocessed_items
                .and_then(|mut of| of.remove(&self.0.table));
            left = rest.unwrap_or_default();
            if !left.is_empty() {
                retries.again(unprocessed()).await?;
            }
        }
        Ok(())
    }
}

/// A condition and an update with the aliases of both.
pub(crate) struct Expressions {
    pub(crate) condition: String,
    pub(crate) change: String,
    pub(crate) aliases: Aliases,
}

impl Expressions {
    fn of(update: &GuardedUpdate) -> Result<Self, Fault> {
        let mut aliases = Aliases::default();
        let condition = condition::of(&update.guards, &mut aliases)?;
        let change = change::of(&update.changes, &mut aliases)?;
        Ok(Self {
            condition,
            change,
            aliases,
        })
    }
}

const UNPROCESSED: &str = "a part of the batch was left undone: AWS wants fewer requests";

fn unprocessed() -> Fault {
    Fault::Port(PortError::new(ErrorKind::Throttled, UNPROCESSED))
}

fn text(document: &Document, name: &str) -> Result<String, Fault> {
    let text = document.get(name).and_then(|value| value.as_s().ok());
    text.cloned()
        .ok_or_else(|| Fault::Stored(format!("a document has no text {name}")))
}
