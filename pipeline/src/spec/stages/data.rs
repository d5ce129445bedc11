//! Where the data comes from, and how it is split.

use std::collections::BTreeMap;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::super::Parameter;

/// What `extract` is told: sources, the query over them, roles of columns, the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Extract {
    /// The tables that the query can name.
    pub sources: BTreeMap<String, Source>,
    /// One SELECT over the sources; all columns of the only source if there is none. The same files give the same rows
    /// in the same order, which depends on their values only; LIMIT and OFFSET therefore need an ORDER BY, best one
    /// without ties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// The column that is to be predicted.
    pub label: String,
    /// What kind of prediction; told from the label's values unless given: two values are binary, texts and up to 20
    /// whole numbers multiclass, everything else regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// Of two classes the positive one, whose probability is predicted and which precision, recall and their like
    /// are about: a text, a number, or true or false. The second in order unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<Parameter>,
    /// Columns that name a row: kept for reports and quarantine, never features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// A column with the weight of each row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Columns that are kept in the data but are no features (slices, times of the split, what is known too late).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// How rows come into train, validation and test.
    #[serde(default)]
    pub split: Split,
}

/// One table: files of one format and schema. Written as just the path, or as a table with the path and options.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "WrittenSource")
)]
pub struct Source {
    /// A path or a glob such as `data/2013-*.csv.gz`, relative to the specification's folder; or `s3://bucket/key`.
    pub path: String,
    /// The files' format; told from their names unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// CSV: texts that stand for a missing value, besides the empty one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nulls: Vec<String>,
    /// CSV: what separates the fields; a comma unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<char>,
    /// CSV: types of columns, where the guess from the first 10,000 rows would be wrong.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, super::ColumnType>,
}

/// The forms in which a source is written, for its schema.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "Source")]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum WrittenSource {
    /// Just the path: relative to the specification's folder, with `*` for many files; or `s3://bucket/key`.
    Path(String),
    /// The path with options.
    Table(SourceTable),
}

/// A path with options.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct SourceTable {
    /// A path or a glob such as `data/2013-*.csv.gz`, relative to the specification's folder; or `s3://bucket/key`.
    path: String,
    /// The files' format; told from their names unless given.
    #[serde(default)]
    format: Option<Format>,
    /// CSV: texts that stand for a missing value, besides the empty one.
    #[serde(default)]
    nulls: Vec<String>,
    /// CSV: what separates the fields; a comma unless given.
    #[serde(default)]
    separator: Option<char>,
    /// CSV: types of columns, where the guess from the first 10,000 rows would be wrong.
    #[serde(default)]
    types: BTreeMap<String, super::ColumnType>,
}

impl From<SourceTable> for Source {
    fn from(table: SourceTable) -> Self {
        let SourceTable {
            path,
            format,
            nulls,
            separator,
            types,
        } = table;
        Self {
            path,
            format,
            nulls,
            separator,
            types,
        }
    }
}

// By hand, as serde's untagged enums forget where in a table a mistake is.
impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Source;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path, or a table with a path")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Source, E> {
                Ok(SourceTable {
                    path: path.to_owned(),
                    format: None,
                    nulls: Vec::new(),
                    separator: None,
                    types: BTreeMap::new(),
                }
                .into())
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Source, A::Error> {
                SourceTable::deserialize(MapAccessDeserializer::new(table)).map(Source::from)
            }
        }

        from.deserialize_any(Written)
    }
}

/// A format of files. `.gz` and `.zst` behind it are unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values with a header line. Empty lines are no rows, but missing values where there is a single
    /// column; an empty text is a missing value, in quotes or not.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line. Keys that hold lists or objects are left out, and `validate` says so.
    Ndjson,
}

/// A kind of prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TaskName {
    /// One of two classes.
    Binary,
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
}

/// How rows come into train, validation and test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(!try_from, deny_unknown_fields)
)]
#[serde(tag = "by", rename_all = "lowercase", try_from = "WrittenSplit")]
pub enum Split {
    /// At random, by a hash of the specification's seed and of all values of a row. The shares are exact, and a row stays
    /// where it is when others come, but for the few at the edges; when its values change, or columns come or go, it is
    /// drawn anew.
    Random {
        /// The share of validation.
        #[serde(default = "default_validation")]
        validation: f64,
        /// The share of test.
        #[serde(default = "default_test")]
        test: f64,
    },
    /// By a hash of these columns: a row stays where it is when data is added, and rows of one value (a customer, a
    /// group) stay together.
    Hash {
        /// The columns whose values together decide.
        columns: Vec<String>,
        /// The share of validation.
        #[serde(default = "default_validation")]
        validation: f64,
        /// The share of test.
        #[serde(default = "default_test")]
        test: f64,
    },
    /// By time: train is the past, test the latest.
    Time {
        /// A date, a time, or a number that grows with time.
        column: String,
        /// Where validation begins: a date, a time or a number in quotes, or its share of the rows.
        #[serde(default = "default_validation_boundary")]
        validation: Boundary,
        /// Where test begins: a date, a time or a number in quotes, or its share of the rows.
        #[serde(default = "default_test_boundary")]
        test: Boundary,
    },
}

/// A split as it is written: all keys of all kinds, so that a mistake is told by its key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSplit {
    by: SplitKind,
    #[serde(default)]
    columns: Option<Vec<String>>,
    #[serde(default)]
    column: Option<String>,
    #[serde(default)]
    validation: Option<Boundary>,
    #[serde(default)]
    test: Option<Boundary>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SplitKind {
    Random,
    Hash,
    Time,
}

impl TryFrom<WrittenSplit> for Split {
    type Error = String;

    fn try_from(written: WrittenSplit) -> Result<Self, String> {
        let WrittenSplit {
            by,
            columns,
            column,
            validation,
            test,
        } = written;
        if columns.is_some() && by != SplitKind::Hash {
            return Err("columns: only a split by \"hash\" has it".into());
        }
        if column.is_some() && by != SplitKind::Time {
            return Err("column: only a split by \"time\" has it".into());
        }
        if by == SplitKind::Time {
            return Ok(Self::Time {
                column: column.ok_or("`column` is missing: name the column with the time")?,
                validation: validation.unwrap_or_else(default_validation_boundary),
                test: test.unwrap_or_else(default_test_boundary),
            });
        }
        let share = |key: &str, boundary: Option<Boundary>, default: f64| match boundary {
            None => Ok(default),
            Some(Boundary::Share(share)) => Ok(share),
            Some(Boundary::At(_)) => Err(format!(
                "{key}: must be a share such as 0.15; only a split by \"time\" begins at a date"
            )),
        };
        let validation = share("validation", validation, default_validation())?;
        let test = share("test", test, default_test())?;
        match by {
            SplitKind::Hash => Ok(Self::Hash {
                columns: columns.ok_or("`columns` is missing: name the columns whose values decide")?,
                validation,
                test,
            }),
            SplitKind::Random | SplitKind::Time => Ok(Self::Random { validation, test }),
        }
    }
}

/// Where a part of a split by time begins.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Boundary {
    /// So that it has this share of all rows; equal times stay together.
    Share(f64),
    /// At this date (`2013-11-01`), time (`2013-11-01T00:00:00Z`) or number (`2013`), included.
    At(String),
}

impl<'de> Deserialize<'de> for Boundary {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Boundary;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a share such as 0.15, or a date, time or number in quotes")
            }

            fn visit_f64<E>(self, share: f64) -> Result<Boundary, E> {
                Ok(Boundary::Share(share))
            }

            fn visit_u64<E: de::Error>(self, share: u64) -> Result<Boundary, E> {
                self.visit_i64(i64::try_from(share).unwrap_or(i64::MAX))
            }

            fn visit_i64<E: de::Error>(self, share: i64) -> Result<Boundary, E> {
                // What is no share is refused by its range, with better words than here.
                Ok(Boundary::Share(share as f64))
            }

            fn visit_str<E>(self, at: &str) -> Result<Boundary, E> {
                Ok(Boundary::At(at.to_owned()))
            }
        }

        from.deserialize_any(Written)
    }
}

fn default_validation() -> f64 {
    0.15
}

fn default_test() -> f64 {
    0.15
}

fn default_validation_boundary() -> Boundary {
    Boundary::Share(default_validation())
}

fn default_test_boundary() -> Boundary {
    Boundary::Share(default_test())
}

impl Default for Split {
    fn default() -> Self {
        Self::Random {
            validation: default_validation(),
            test: default_test(),
        }
    }
}
