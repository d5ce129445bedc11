//! What the ports of one handle share: the clients, the names of things, and plain reads and writes of documents.

use aws_sdk_dynamodb::types::AttributeValue;
use pipeline::ports::Host;

use crate::client::Clients;
use crate::error::Fault;
use crate::table::document::{Document, PK, SK};
use crate::table::expression::Aliases;

/// See the module.
pub(crate) struct Store {
    pub(crate) clients: Clients,
    /// What the names of all queues begin with.
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) bucket: String,
    pub(crate) host: Host,
}

impl Store {
    /// One document as it is now.
    pub(crate) async fn get(&self, key: Document) -> Result<Option<Document>, Fault> {
        let get = self.clients.dynamodb.get_item().table_name(&self.table);
        let answer = get.set_key(Some(key)).consistent_read(true).send().await?;
        Ok(answer.item.filter(|item| !item.is_empty()))
    }

    /// Stores a document in the place of what was there.
    pub(crate) async fn put(&self, document: Document) -> Result<(), Fault> {
        let put = self.clients.dynamodb.put_item().table_name(&self.table);
        put.set_item(Some(document)).send().await?;
        Ok(())
    }

    /// Removes a document; false if there was none.
    pub(crate) async fn delete(&self, key: Document) -> Result<bool, Fault> {
        let delete = self.clients.dynamodb.delete_item().table_name(&self.table);
        let answer = delete
            .set_key(Some(key))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
            .send()
            .await?;
        Ok(answer.attributes.is_some_and(|old| !old.is_empty()))
    }

    /// All documents of a partition whose sort keys begin so, in their order, as they are now.
    pub(crate) async fn query(&self, partition: &str, prefix: &str) -> Result<Vec<Document>, Fault> {
        let mut aliases = Aliases::default();
        let mut keys = format!("{} = {}", aliases.name(PK), aliases.value(&partition)?);
        if !prefix.is_empty() {
            let prefix = aliases.attribute(AttributeValue::S(prefix.to_owned()));
            keys.push_str(&format!(" AND begins_with({}, {prefix})", aliases.name(SK)));
        }
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let query = self.clients.dynamodb.query().table_name(&self.table);
            let answer = query
                .key_condition_expression(&keys)
                .set_expression_attribute_names(aliases.names())
                .set_expression_attribute_values(aliases.values())
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await?;
            found.extend(answer.items.unwrap_or_default());
            from = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(found);
            }
        }
    }
}
