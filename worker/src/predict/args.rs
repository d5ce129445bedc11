//! What `worker predict` is told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ml::package::CsvDialect;
use pipeline::RunId;
use pipeline::id::{AliasName, ModelName};
use pipeline::spec::stages::Source;

/// What `worker predict` is told, besides the settings of the fleet.
#[derive(Debug, Clone, clap::Args)]
pub struct PredictArgs {
    /// The model: by its champion, by another alias, or by a version (the run that made it)
    #[arg(long, value_name = "NAME[@ALIAS|@VERSION]")]
    pub model: ModelRef,
    /// The rows: a file of CSV, Parquet or NDJSON, as its name says
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Where the predictions go, as .parquet or .csv; it must not exist
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Columns of the rows to copy beside the predictions, such as their key
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    pub keep: Vec<String>,
    /// CSV: texts that stand for a missing value, besides the empty one [default: as in what the model was trained on]
    #[arg(long, value_delimiter = ',', value_name = "TEXT,…")]
    pub nulls: Option<Vec<String>>,
    /// CSV: what separates the fields [default: as in what the model was trained on]
    #[arg(long, value_name = "CHARACTER")]
    pub separator: Option<char>,
    /// Prints one JSON object instead of a line, and no progress
    #[arg(long)]
    pub json: bool,
}

impl PredictArgs {
    /// The rows; what is not said of them is as in `usual`.
    pub(super) fn source(&self, usual: &CsvDialect) -> Source {
        Source {
            path: self.input.display().to_string(),
            format: None,
            nulls: self.nulls.clone().unwrap_or_else(|| usual.nulls.clone()),
            separator: self.separator.or(usual.separator),
            types: std::collections::BTreeMap::new(),
        }
    }
}

/// A model and which version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    /// The model.
    pub model: ModelName,
    /// Which version.
    pub which: Which,
}

/// An alias or a version: aliases are looked for first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which(String);

impl Which {
    pub(super) fn alias(&self) -> Option<AliasName> {
        AliasName::new(&self.0).ok()
    }

    pub(super) fn version(&self) -> Option<RunId> {
        RunId::new(&self.0).ok()
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.model, self.which)
    }
}

impl FromStr for ModelRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (model, which) = text.split_once('@').unwrap_or((text, "champion"));
        let model = ModelName::new(model).map_err(|e| e.to_string())?;
        // Aliases and versions follow one rule.
        AliasName::new(which).map_err(|e| e.to_string())?;
        Ok(Self {
            model,
            which: Which(which.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_alone_or_with_an_alias_or_version() {
        for (text, shown) in [
            ("flights", "flights@champion"),
            ("flights@shadow", "flights@shadow"),
            ("flights@nightly-2026-11-23", "flights@nightly-2026-11-23"),
        ] {
            assert_eq!(text.parse::<ModelRef>().map(|m| m.to_string()), Ok(shown.into()));
        }
        for text in ["", "@champion", "flights@", "a@b@c", "Flights", "../x"] {
            assert!(text.parse::<ModelRef>().is_err(), "{text}");
        }
    }
}
