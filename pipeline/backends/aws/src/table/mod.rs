//! The table: items as documents, guards as conditions, changes as updates.

pub(crate) mod change;
pub(crate) mod condition;
pub(crate) mod document;
pub(crate) mod expression;
