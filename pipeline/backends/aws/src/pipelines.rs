//! Named pipelines, and the places that runs of them take: one document with a set for each pipeline.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use pipeline::id::{PipelineName, RunId};
use pipeline::intake::Definition;
use pipeline::ports::{Entered, Pipelines, PortResult};

use crate::error::Fault;
use crate::registry::strip_keys;
use crate::store::Store;
use crate::table::document::{self, Document, pair};
use crate::table::expression::Aliases;

/// The partitions of pipelines, and of their places.
const PIPELINES: &str = "PIPELINES";
const PLACES: &str = "PLACES";
/// The set of the runs that have a place.
const RUNS: &str = "runs";

/// The pipelines.
pub(crate) struct Named(pub(crate) Arc<Store>);

#[async_trait]
impl Pipelines for Named {
    async fn put(&self, definition: &Definition) -> PortResult<()> {
        let put = async {
            let mut document = document::of(definition)?;
            document.extend(pair(PIPELINES, definition.name.as_str()));
            self.0.put(document).await
        };
        put.await.map_err(|fault: Fault| fault.explain("keep a pipeline"))
    }

    async fn get(&self, name: &PipelineName) -> PortResult<Option<Definition>> {
        let found = self.0.get(pair(PIPELINES, name.as_str())).await;
        let found = found.and_then(|found| found.map(definition).transpose());
        found.map_err(|fault| fault.explain("read a pipeline"))
    }

    async fn list(&self) -> PortResult<Vec<Definition>> {
        let found = self.0.query(PIPELINES, "").await;
        let read: Result<Vec<Definition>, Fault> =
            found.and_then(|found| found.into_iter().map(definition).collect());
        read.map_err(|fault| fault.explain("list pipelines"))
    }

    async fn remove(&self, name: &PipelineName) -> PortResult<bool> {
        let removed = self.0.delete(pair(PIPELINES, name.as_str())).await;
        removed.map_err(|fault| fault.explain("remove a pipeline"))
    }

    async fn enter(&self, name: &PipelineName, run: &RunId, max: u32) -> PortResult<Entered> {
        self.take(name, run, max)
            .await
            .map_err(|fault| fault.explain("take a place"))
    }

    async fn leave(&self, name: &PipelineName, run: &RunId) -> PortResult<()> {
        let leave = async {
            let mut aliases = Aliases::default();
            let (runs, gone) = (aliases.name(RUNS), aliases.attribute(one(run)));
            let request = self.0.clients.dynamodb.update_item();
            request
                .table_name(&self.0.table)
                .set_key(Some(pair(PLACES, name.as_str())))
                .update_expression(format!("DELETE {runs} {gone}"))
                .set_expression_attribute_names(aliases.names())
                .set_expression_attribute_values(aliases.values())
                .send()
                .await?;
            Ok(())
        };
        leave
            .await
            .map_err(|fault: Fault| fault.explain("give a place back"))
    }
}

impl Named {
    async fn take(&self, name: &PipelineName, run: &RunId, max: u32) -> Result<Entered, Fault> {
        let mut aliases = Aliases::default();
        let (runs, added) = (aliases.name(RUNS), aliases.attribute(one(run)));
        let (id, max) = (aliases.value(run)?, aliases.value(&max)?);
        let request = self.0.clients.dynamodb.update_item();
        let answer = request
            .table_name(&self.0.table)
            .set_key(Some(pair(PLACES, name.as_str())))
            .condition_expression(format!(
                "attribute_not_exists({runs}) OR contains({runs}, {id}) OR size({runs}) < {max}"
            ))
            .update_expression(format!("ADD {runs} {added}"))
            .set_expression_attribute_names(aliases.names())
            .set_expression_attribute_values(aliases.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else {
            return Ok(Entered::In);
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(refusal)) = error.as_service_error() else {
            return Err(error.into());
        };
        let taken = refusal.item().and_then(|item| item.get(RUNS)?.as_ss().ok());
        let taken = taken
            .into_iter()
            .flatten()
            .map(|id| RunId::new(id).map_err(|e| Fault::Stored(e.to_string())));
        Ok(Entered::Full(taken.collect::<Result<_, _>>()?))
    }
}

/// A set of one run.
fn one(run: &RunId) -> AttributeValue {
    AttributeValue::Ss(vec![run.to_string()])
}

fn definition(mut document: Document) -> Result<Definition, Fault> {
    strip_keys(&mut document);
    document::read(document)
}
