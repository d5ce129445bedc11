//! Remembering what is asked again and again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::RwLock;

/// Answers by question, for questions that always have the same answer.
pub(super) struct Memo<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    /// The answer to `key`; `find` is asked for it the first time.
    pub(super) fn get(&self, key: K, find: impl FnOnce() -> V) -> V {
        if let Some(value) = self.0.read().expect("no holder of this lock panics").get(&key) {
            return value.clone();
        }
        let value = find();
        self.0
            .write()
            .expect("no holder of this lock panics")
            .insert(key, value.clone());
        value
    }
}
