//! Models, versions and aliases.
//!
//! A version is one document, an alias two: what it is now, and every position it had. They are written together, in one
//! transaction, on the condition that the alias is still at the revision that the writer saw.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use pipeline::id::{AliasName, ModelName, RunId};
use pipeline::ports::{MovedTo, PortResult, Registry, RolledBack};
use pipeline::registry::{Alias, ModelVersion, Position};
use pipeline::time::Timestamp;
use pipeline::update::Declared;

use crate::error::{Failure, Fault};
use crate::retry::{Retries, is_conflict_in_passing};
use crate::runs::Expressions;
use crate::store::Store;
use crate::table::document::{self, Document, EXPIRES, PK, SK, pair};
use crate::table::expression::Aliases;

/// The partition that names all models.
const MODELS: &str = "MODELS";
/// Which earlier revision a position brought back, if it was a roll back.
const RESTORES: &str = "restores";

/// The registry.
pub(crate) struct Models(pub(crate) Arc<Store>);

#[async_trait]
impl Registry for Models {
    async fn resolve(&self, model: &ModelName, alias: &AliasName) -> PortResult<Option<Alias>> {
        let present = present(&self.0, model, alias).await;
        let present = present.map_err(|fault| fault.explain("resolve an alias"))?;
        Ok(present.map(|position| position.alias))
    }

    async fn version(&self, model: &ModelName, version: &RunId) -> PortResult<Option<ModelVersion>> {
        let get = async {
            let found = self.0.get(version_key(model, version)).await?;
            found.map(read).transpose()
        };
        get.await
            .map_err(|fault: Fault| fault.explain("read a model's version"))
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        let list = async {
            let found = self.0.query(MODELS, "").await?;
            found
                .iter()
                .map(|document| {
                    let name = document.get(SK).and_then(|name| name.as_s().ok());
                    let name = name.ok_or_else(|| Fault::Stored("a model has no name".into()))?;
                    ModelName::new(name).map_err(|e| Fault::Stored(e.to_string()))
                })
                .collect::<Result<Vec<ModelName>, Fault>>()
        };
        list.await.map_err(|fault| fault.explain("list models"))
    }

    async fn list(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        let list = async {
            let found = self.0.query(&partition(model), "V#").await?;
            let versions: Result<Vec<ModelVersion>, Fault> = found.into_iter().map(read).collect();
            let mut versions = versions?;
            let newest_first = |v: &ModelVersion| std::cmp::Reverse((v.registered_at, v.run.clone()));
            versions.sort_by_cached_key(newest_first);
            Ok(versions)
        };
        list.await
            .map_err(|fault: Fault| fault.explain("list a model's versions"))
    }

    async fn history(&self, model: &ModelName, alias: &AliasName) -> PortResult<Vec<Alias>> {
        let positions = positions(&self.0, model, alias).await;
        let positions = positions.map_err(|fault| fault.explain("read an alias's history"))?;
        Ok(positions.into_iter().map(|position| position.alias).collect())
    }

    async fn roll_back(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<RolledBack> {
        let roll_back = async {
            let positions = positions(&self.0, model, alias).await?;
            let revision = positions.first().map_or(0, |present| present.alias.revision);
            if revision != expected {
                return Ok(RolledBack::Moved(positions.into_iter().next().map(|p| p.alias)));
            }
            let Some((restores, version)) = Position::before_present(&positions) else {
                return Ok(RolledBack::NoEarlier);
            };
            let moved = Alias::moved(
                model.clone(),
                alias.clone(),
                version,
                expected,
                now,
                reason.to_owned(),
            );
            let writes = vec![];
            match self.move_alias(writes, &moved, Some(restores)).await? {
                Written::Done => Ok(RolledBack::Done(moved)),
                Written::Refused(_) => {
                    let present = present(&self.0, model, alias).await?;
                    Ok(RolledBack::Moved(present.map(|p| p.alias)))
                }
            }
        };
        roll_back
            .await
            .map_err(|fault: Fault| fault.explain("roll an alias back"))
    }

    async fn move_to(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        version: &RunId,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<MovedTo> {
        let moved = Alias::moved(
            model.clone(),
            alias.clone(),
            version.clone(),
            expected,
            now,
            reason.to_owned(),
        );
        let move_to = async {
            let mut aliases = Aliases::default();
            let is_there = ConditionCheck::builder()
                .table_name(&self.0.table)
                .set_key(Some(version_key(model, version)))
                .condition_expression(format!("attribute_exists({})", aliases.name(PK)))
                .set_expression_attribute_names(aliases.names())
                .build()?;
            let writes = vec![TransactWriteItem::builder().condition_check(is_there).build()];
            match self.move_alias(writes, &moved, None).await? {
                Written::Done => Ok(MovedTo::Done(moved)),
                Written::Refused(_) => {
                    let present = present(&self.0, model, alias).await?.map(|p| p.alias);
                    match present.as_ref().map_or(0, |alias| alias.revision) == expected {
                        true => Ok(MovedTo::NoVersion),
                        false => Ok(MovedTo::Moved(present)),
                    }
                }
            }
        };
        move_to
            .await
            .map_err(|fault: Fault| fault.explain("move an alias"))
    }
}

impl Models {
    /// Moves the alias to its next revision, together with what `writes` has.
    async fn move_alias(
        &self,
        mut writes: Vec<TransactWriteItem>,
        moved: &Alias,
        restores: Option<u64>,
    ) -> Result<Written, Fault> {
        writes.extend(alias_writes(&self.0, moved, restores)?);
        transact(&self.0, &writes).await
    }
}

/// What became of a run's last commit.
pub(crate) enum Committed {
    Done,
    Refused(Option<Document>),
    AliasMoved(Option<Alias>),
}

/// A run's last commit: its item, the version, and the alias, together or not at all.
pub(crate) async fn commit(
    store: &Store,
    key: &Document,
    expressions: Expressions,
    declared: &Declared,
) -> Result<Committed, Fault> {
    let Expressions {
        condition,
        change,
        aliases,
    } = expressions;
    let run = Update::builder()
        .table_name(&store.table)
        .set_key(Some(key.clone()))
        .condition_expression(condition)
        .update_expression(change)
        .set_expression_attribute_names(aliases.names())
        .set_expression_attribute_values(aliases.values())
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()?;
    // A run registers once. If it did before, it was removed since and made anew, and so was the package.
    let mut version = document::of(&declared.version)?;
    version.extend(version_key(&declared.version.model, &declared.version.run));
    let model = pair(MODELS, declared.version.model.as_str());
    let mut writes = vec![TransactWriteItem::builder().update(run).build()];
    for document in [version, model] {
        let put = Put::builder()
            .table_name(&store.table)
            .set_item(Some(document))
            .build()?;
        writes.push(TransactWriteItem::builder().put(put).build());
    }
    let moved = declared.moved_alias();
    if let Some(alias) = &moved {
        writes.extend(alias_writes(store, alias, None)?);
    }
    match transact(store, &writes).await? {
        Written::Done => Ok(Committed::Done),
        Written::Refused(mut reasons) => {
            let of_run = reasons.drain(..1).next();
            match (of_run.filter(is_refusal), moved) {
                (None, Some(alias)) => {
                    let present = present(store, &alias.model, &alias.name).await?;
                    Ok(Committed::AliasMoved(present.map(|p| p.alias)))
                }
                (run, _) => {
                    let stored = run.and_then(|run| run.item).filter(|item| !item.is_empty());
                    Ok(Committed::Refused(stored))
                }
            }
        }
    }
}

/// What a transaction did.
enum Written {
    Done,
    /// A condition did not hold; one reason for each write, in their order.
    Refused(Vec<CancellationReason>),
}

fn is_refusal(reason: &CancellationReason) -> bool {
    reason.code.as_deref() == Some("ConditionalCheckFailed")
}

/// Writes all or nothing. What is cancelled because another transaction was at the same item is tried again.
async fn transact(store: &Store, writes: &[TransactWriteItem]) -> Result<Written, Fault> {
    let mut retries = Retries::new(&store.host);
    loop {
        let request = store.clients.dynamodb.transact_write_items();
        let Err(error) = request.set_transact_items(Some(writes.to_vec())).send().await else {
            return Ok(Written::Done);
        };
        let fault = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons();
                if reasons.len() == writes.len() && reasons.iter().any(is_refusal) {
                    return Ok(Written::Refused(reasons.to_vec()));
                }
                match reasons.iter().find(|reason| is_passing(reason)) {
                    Some(reason) => {
                        let message = reason.message.as_deref();
                        Failure::of_entry("TransactionConflictException", message, false).into()
                    }
                    None => Fault::from(error),
                }
            }
            _ => Fault::from(error),
        };
        if !is_conflict_in_passing(&fault) {
            return Err(fault);
        }
        retries.again(fault).await?;
    }
}

/// True if a transaction was cancelled by what may be over the next time.
fn is_passing(reason: &CancellationReason) -> bool {
    matches!(
        reason.code.as_deref(),
        Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    )
}

/// The alias as it is from now on, if it is at the revision before, and its new position.
fn alias_writes(
    store: &Store,
    alias: &Alias,
    restores: Option<u64>,
) -> Result<[TransactWriteItem; 2], Fault> {
    let mut entry = document::of(alias)?;
    if let Some(revision) = restores {
        entry.insert(RESTORES.into(), AttributeValue::N(revision.to_string()));
    }
    let put = |key: Document| {
        let mut document = entry.clone();
        document.extend(key);
        Put::builder().table_name(&store.table).set_item(Some(document))
    };
    let mut aliases = Aliases::default();
    let before = alias.revision.saturating_sub(1);
    let present = put(alias_key(&alias.model, &alias.name));
    let present = if before == 0 {
        present.condition_expression(format!("attribute_not_exists({})", aliases.name(PK)))
    } else {
        let (revision, before) = (aliases.name("revision"), aliases.value(&before)?);
        present.condition_expression(format!("{revision} = {before}"))
    };
    let present = present
        .set_expression_attribute_names(aliases.names())
        .set_expression_attribute_values(aliases.values())
        .build()?;
    let position = pair(
        &partition(&alias.model),
        &format!("{}{:020}", positions_prefix(&alias.name), alias.revision),
    );
    let position = put(position).build()?;
    Ok([present, position].map(|put| TransactWriteItem::builder().put(put).build()))
}

fn partition(model: &ModelName) -> String {
    format!("M#{model}")
}

fn version_key(model: &ModelName, version: &RunId) -> Document {
    pair(&partition(model), &format!("V#{version}"))
}

fn alias_key(model: &ModelName, alias: &AliasName) -> Document {
    pair(&partition(model), &format!("A#{alias}"))
}

fn positions_prefix(alias: &AliasName) -> String {
    format!("P#{alias}#")
}

async fn present(store: &Store, model: &ModelName, alias: &AliasName) -> Result<Option<Position>, Fault> {
    let found = store.get(alias_key(model, alias)).await?;
    found.map(position).transpose()
}

/// All positions, newest first.
async fn positions(store: &Store, model: &ModelName, alias: &AliasName) -> Result<Vec<Position>, Fault> {
    let found = store.query(&partition(model), &positions_prefix(alias)).await?;
    found.into_iter().rev().map(position).collect()
}

fn position(mut document: Document) -> Result<Position, Fault> {
    let restores = match document.remove(RESTORES) {
        None => None,
        Some(AttributeValue::N(n)) => Some(
            n.parse()
                .map_err(|_| Fault::Stored(format!("{n} is no revision")))?,
        ),
        Some(other) => return Err(Fault::Stored(format!("{other:?} is no revision"))),
    };
    let alias = read(document)?;
    Ok(Position { alias, restores })
}

fn read<T: serde::de::DeserializeOwned>(mut document: Document) -> Result<T, Fault> {
    strip_keys(&mut document);
    document::read(document)
}

/// Takes away what the table needs, and the entry does not know.
pub(crate) fn strip_keys(document: &mut Document) {
    for key in [PK, SK, EXPIRES] {
        document.remove(key);
    }
}
