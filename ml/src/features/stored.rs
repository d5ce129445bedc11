//! A program's form in a file: JSON in a [`crate::container`]. Everything in it is checked when it is read.

use serde::{Deserialize, Serialize};

use super::category::Levels;
use super::error::FeatureError;
use super::numeric::LinearView;
use super::program::{FeatureProgram, Input, MAX_FEATURES, Note, RawColumn, Recipe, TargetOutput};
use super::settings::CalendarPart;
use super::target_encoding;
use crate::container::{self, Kind};
use crate::dataset::ColumnType;

const KIND: Kind = *b"FEAT";
const VERSION: u32 = 1;

/// The longest payload: well beyond what the most features need, and small enough that what it is parsed to fits into
/// any worker's memory.
const MAX_PAYLOAD_BYTES: usize = 16 << 20;

/// The longest name of a column.
const MAX_NAME_BYTES: usize = 1_024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    columns: Vec<StoredColumn>,
    notes: Vec<Note>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredColumn {
    input: Input,
    recipe: StoredRecipe,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum StoredRecipe {
    Number {
        view: StoredView,
    },
    Category {
        levels: Vec<String>,
        other: Option<u32>,
        indicator: bool,
    },
    Onehot {
        levels: Vec<String>,
        other: Option<u32>,
        indicator: bool,
    },
    Ordinal {
        levels: Vec<String>,
        other: Option<u32>,
        view: StoredView,
    },
    Target {
        levels: Vec<String>,
        other: Option<u32>,
        outputs: Vec<StoredOutput>,
    },
    Calendar {
        parts: Vec<StoredPart>,
    },
}

/// Numbers are written as `f64`: the digits of an `f32` alone could be read back as its neighbour.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredView {
    fill: f64,
    center: f64,
    scale: f64,
    indicator: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredOutput {
    class: Option<String>,
    levels: Vec<f64>,
    missing: f64,
    view: StoredView,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPart {
    part: CalendarPart,
    view: StoredView,
}

impl From<LinearView> for StoredView {
    fn from(view: LinearView) -> Self {
        Self {
            fill: view.fill.into(),
            center: view.center.into(),
            scale: view.scale.into(),
            indicator: view.indicator,
        }
    }
}

impl TryFrom<StoredView> for LinearView {
    type Error = String;

    fn try_from(stored: StoredView) -> Result<Self, String> {
        let view = Self {
            fill: narrow(stored.fill)?,
            center: narrow(stored.center)?,
            scale: narrow(stored.scale)?,
            indicator: stored.indicator,
        };
        match view.is_sound() {
            true => Ok(view),
            false => Err("a number cannot be scaled as it says".into()),
        }
    }
}

fn narrow(value: f64) -> Result<f32, String> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it was an f32 when it was written"
    )]
    let value = value as f32;
    match value.is_finite() {
        true => Ok(value),
        false => Err("a number is too large".into()),
    }
}

impl From<&Recipe> for StoredRecipe {
    fn from(recipe: &Recipe) -> Self {
        match recipe {
            Recipe::Number(view) => Self::Number { view: (*view).into() },
            Recipe::Category { levels, indicator } => Self::Category {
                levels: levels.texts().to_vec(),
                other: levels.other(),
                indicator: *indicator,
            },
            Recipe::Onehot { levels, indicator } => Self::Onehot {
                levels: levels.texts().to_vec(),
                other: levels.other(),
                indicator: *indicator,
            },
            Recipe::Ordinal { levels, view } => Self::Ordinal {
                levels: levels.texts().to_vec(),
                other: levels.other(),
                view: (*view).into(),
            },
            Recipe::Target { levels, outputs } => Self::Target {
                levels: levels.texts().to_vec(),
                other: levels.other(),
                outputs: outputs.iter().map(StoredOutput::from).collect(),
            },
            Recipe::Calendar(parts) => Self::Calendar {
                parts: parts
                    .iter()
                    .map(|(part, view)| StoredPart {
                        part: *part,
                        view: (*view).into(),
                    })
                    .collect(),
            },
        }
    }
}

impl From<&TargetOutput> for StoredOutput {
    fn from(output: &TargetOutput) -> Self {
        let TargetOutput {
            class,
            encoding,
            view,
        } = output;
        Self {
            class: class.clone(),
            levels: encoding.levels.iter().copied().map(f64::from).collect(),
            missing: encoding.missing.into(),
            view: (*view).into(),
        }
    }
}

impl TryFrom<StoredRecipe> for Recipe {
    type Error = String;

    fn try_from(stored: StoredRecipe) -> Result<Self, String> {
        let levels = |texts: Vec<String>, other| match texts.is_empty() {
            true => Err("it has no category".to_owned()),
            false => Levels::new(texts, other),
        };
        Ok(match stored {
            StoredRecipe::Number { view } => Self::Number(view.try_into()?),
            StoredRecipe::Category {
                levels: texts,
                other,
                indicator,
            } => Self::Category {
                levels: levels(texts, other)?,
                indicator,
            },
            StoredRecipe::Onehot {
                levels: texts,
                other,
                indicator,
            } => Self::Onehot {
                levels: levels(texts, other)?,
                indicator,
            },
            StoredRecipe::Ordinal {
                levels: texts,
                other,
                view,
            } => Self::Ordinal {
                levels: levels(texts, other)?,
                view: view.try_into()?,
            },
            StoredRecipe::Target {
                levels: texts,
                other,
                outputs,
            } => {
                let levels = levels(texts, other)?;
                let outputs = outputs
                    .into_iter()
                    .map(|output| checked_output(output, levels.len()))
                    .collect::<Result<_, _>>()?;
                Self::Target { levels, outputs }
            }
            StoredRecipe::Calendar { parts } => {
                let parts = parts.into_iter().map(|p| Ok((p.part, p.view.try_into()?)));
                Self::Calendar(parts.collect::<Result<_, String>>()?)
            }
        })
    }
}

fn checked_output(stored: StoredOutput, levels: usize) -> Result<TargetOutput, String> {
    if stored.levels.len() != levels {
        return Err("it has not one number for each category".into());
    }
    let numbers = stored.levels.into_iter().map(narrow);
    Ok(TargetOutput {
        class: stored.class,
        encoding: target_encoding::Encoding {
            levels: numbers.collect::<Result<_, _>>()?,
            missing: narrow(stored.missing)?,
        },
        view: stored.view.try_into()?,
    })
}

fn checked_column(stored: StoredColumn) -> Result<RawColumn, String> {
    let StoredColumn { input, recipe } = stored;
    checked_name(&input.name)?;
    let recipe = Recipe::try_from(recipe).map_err(|problem| format!("column {}: {problem}", input.name))?;
    let is_time = matches!(input.kind, ColumnType::Date | ColumnType::Datetime);
    let fits = match &recipe {
        Recipe::Number(_) => !is_time && input.kind != ColumnType::Text,
        Recipe::Calendar(_) => is_time,
        Recipe::Category { .. } | Recipe::Onehot { .. } | Recipe::Ordinal { .. } | Recipe::Target { .. } => {
            !is_time
        }
    };
    let column = RawColumn { input, recipe };
    match fits && column.width() > 0 {
        true => Ok(column),
        false => Err(format!(
            "column {}: its type is none for what it becomes",
            column.input.name
        )),
    }
}

fn checked_name(name: &str) -> Result<(), String> {
    match name.is_empty() || name.len() > MAX_NAME_BYTES {
        true => Err("a column's name is empty or too long".into()),
        false => Ok(()),
    }
}

fn checked(stored: Stored) -> Result<FeatureProgram, String> {
    if stored.columns.len() > MAX_FEATURES || stored.notes.len() > 16 * MAX_FEATURES {
        return Err("it has too many columns".into());
    }
    for note in &stored.notes {
        checked_name(&note.column)?;
    }
    let columns: Vec<RawColumn> = stored
        .columns
        .into_iter()
        .map(checked_column)
        .collect::<Result<_, _>>()?;
    let mut names: Vec<&str> = columns.iter().map(|c| c.input.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a column stands there twice".into());
    }
    FeatureProgram::new(columns, stored.notes).map_err(|e| e.to_string())
}

impl FeatureProgram {
    /// Its form in a file: versioned, length-checked, digested (see [`crate::container`]).
    ///
    /// Fails if it is too large, which takes tens of thousands of long categories.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FeatureError> {
        let stored = Stored {
            columns: self
                .columns()
                .iter()
                .map(|column| StoredColumn {
                    input: column.input.clone(),
                    recipe: (&column.recipe).into(),
                })
                .collect(),
            notes: self.notes().to_vec(),
        };
        let payload = serde_json::to_vec(&stored).map_err(|e| FeatureError::Corrupt(e.to_string()))?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(FeatureError::Corrupt(format!(
                "it would have {} bytes and may have {MAX_PAYLOAD_BYTES}: lower max_categories",
                payload.len()
            )));
        }
        Ok(container::seal(KIND, VERSION, &payload))
    }

    /// Reads what [`FeatureProgram::to_bytes`] wrote. Any other bytes are an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FeatureError> {
        let corrupt = |what: &dyn std::fmt::Display| FeatureError::Corrupt(what.to_string());
        let (_, payload) = container::open(bytes, KIND, VERSION).map_err(|e| corrupt(&e))?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(corrupt(&"it is too large"));
        }
        let stored: Stored = serde_json::from_slice(payload).map_err(|e| corrupt(&e))?;
        checked(stored).map_err(|e| corrupt(&e))
    }
}
