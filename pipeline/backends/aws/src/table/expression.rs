//! Expressions: conditions and updates, in which every name and every value has an alias, so that nothing which
//! comes from outside, and none of the service's several hundred reserved words, is ever a part of one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use super::document;
use crate::error::Fault;

/// The aliases of one request.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    by_name: HashMap<String, String>,
}

impl Aliases {
    /// A path as an expression names it.
    pub(crate) fn path<S: AsRef<str>>(&mut self, parts: impl IntoIterator<Item = S>) -> String {
        let parts: Vec<String> = parts.into_iter().map(|part| self.name(part.as_ref())).collect();
        parts.join(".")
    }

    /// A name as an expression has it.
    pub(crate) fn name(&mut self, name: &str) -> String {
        if let Some(alias) = self.by_name.get(name) {
            return alias.clone();
        }
        let alias = format!("#n{}", self.names.len());
        self.names.insert(alias.clone(), name.to_owned());
        self.by_name.insert(name.to_owned(), alias.clone());
        alias
    }

    /// A value as an expression has it.
    pub(crate) fn value<T: Serialize>(&mut self, value: &T) -> Result<String, Fault> {
        Ok(self.attribute(document::value(value)?))
    }

    /// The same for what is an attribute already.
    pub(crate) fn attribute(&mut self, value: AttributeValue) -> String {
        let alias = format!(":v{}", self.values.len());
        self.values.insert(alias.clone(), value);
        alias
    }

    /// What the request says of its names.
    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    /// What the request says of its values.
    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
