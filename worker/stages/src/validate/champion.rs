//! What the champion was trained on, as its package says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ml::dataset::{ColumnType, Dataset};
use ml::statistics::Statistics;
use pipeline::ArtifactName;
use pipeline::spec::stages::OnFailure;
use pipeline::stage::{Assignment, Read, StageContext, StageError};
use serde::Deserialize;

use super::report::RuleResult;
use crate::extract::type_name as words;
use crate::flow::{self, STATISTICS};

/// The part of a package that names its columns.
const SIGNATURE: &str = "signature.json";
/// Where the files of the champion's package are found, below the inputs. No step has this name: a step's name has no
/// point.
const FOLDER: &str = "champion.package";

/// The columns that a model reads. The other parts of a signature are none of validation's business.
#[derive(Deserialize)]
struct Signature {
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    #[serde(rename = "type")]
    kind: ColumnType,
}

/// What is known of the champion.
pub(super) struct Champion {
    pub(super) version: String,
    inputs: Vec<Input>,
    pub(super) statistics: Option<Statistics>,
}

/// The files of its package that are read, if there is a champion.
pub(super) fn reads(assignment: &Assignment) -> Vec<Read> {
    let Some(version) = assignment.found.model.as_ref().and_then(|m| m.version.as_ref()) else {
        return Vec::new();
    };
    [SIGNATURE, STATISTICS]
        .into_iter()
        .filter_map(|name| {
            let path = Path::new(FOLDER).join(name);
            Read::of(&version.package, &ArtifactName::new(name).ok()?, path)
        })
        .collect()
}

impl Champion {
    /// Reads what was fetched by [`reads`].
    pub(super) fn read(context: &StageContext<'_>) -> Result<Option<Self>, StageError> {
        let found = context.assignment.found.model.as_ref();
        let Some(version) = found.and_then(|m| m.version.as_ref()) else {
            return Ok(None);
        };
        let file = |name: &str| -> Option<PathBuf> {
            let path = context.inputs.join(FOLDER).join(name);
            path.is_file().then_some(path)
        };
        let inputs = match file(SIGNATURE) {
            Some(path) => flow::read_json::<Signature>(&path)?.inputs,
            None => Vec::new(),
        };
        let statistics = file(STATISTICS).map(|path| flow::read_json(&path)).transpose()?;
        Ok(Some(Self {
            version: version.run.to_string(),
            inputs,
            statistics,
        }))
    }

    /// How the columns compare with those that the champion reads. A missing column and a changed type are told as
    /// `severity` says; a new column is only worth a note.
    pub(super) fn schema(&self, dataset: &Dataset, severity: OnFailure) -> Vec<RuleResult> {
        let rule = RuleResult::note;
        let known: BTreeMap<&str, ColumnType> =
            self.inputs.iter().map(|i| (i.name.as_str(), i.kind)).collect();
        let mut results = Vec::new();
        for (name, kind) in &known {
            match dataset.column(name) {
                None => results.push(rule(
                    name,
                    "champion_reads",
                    severity,
                    "the champion reads this column, and it is not there; if that is meant, say champion_columns = \"warn\" in [validate]".into(),
                )),
                Some(column) if !is_alike(column.kind, *kind) => results.push(rule(
                    name,
                    "champion_type",
                    severity,
                    format!(
                        "it is {}, and {} for the champion; if that is meant, say champion_columns = \"warn\" in [validate]",
                        words(column.kind),
                        words(*kind)
                    ),
                )),
                Some(_) => {}
            }
        }
        if !known.is_empty() {
            for column in dataset.of_role(ml::dataset::Role::Feature) {
                if !known.contains_key(column.name.as_str()) {
                    results.push(rule(
                        &column.name,
                        "champion_knows",
                        OnFailure::Warn,
                        "the champion does not read this column".into(),
                    ));
                }
            }
        }
        results
    }
}

/// Whether numbers have fractions may change from day to day.
pub(super) fn is_alike(a: ColumnType, b: ColumnType) -> bool {
    let is_number = |kind| matches!(kind, ColumnType::Integer | ColumnType::Float);
    a == b || (is_number(a) && is_number(b))
}
