//! Reading what is written as text, without a copy of the text.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads a text and makes a value of it; its error becomes the format's.
pub(crate) fn read<'de, D, T, E>(deserializer: D, make: impl Fn(&str) -> Result<T, E>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
{
    deserializer.deserialize_str(Text(make))
}

struct Text<F>(F);

impl<T, E: fmt::Display, F: Fn(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<V: Error>(self, text: &str) -> Result<T, V> {
        (self.0)(text).map_err(V::custom)
    }
}
