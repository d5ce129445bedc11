//! The fitted program: which raw columns it needs, and how each becomes features.

use polars::prelude::{DataFrame, Series};
use serde::{Deserialize, Serialize};

use super::category::Levels;
use super::error::FeatureError;
use super::numeric::LinearView;
use super::settings::CalendarPart;
use super::{Feature, FeatureColumn, FeatureTable, FeatureValues, MISSING, calendar, raw, target_encoding};
use crate::dataset::ColumnType;

/// The most features of a program.
pub const MAX_FEATURES: usize = 16_384;

/// Features as they were fitted on train, frozen: the only way they are ever computed. Every row's features depend on
/// that row alone, so many rows together and each for itself give the same bits.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureProgram {
    columns: Vec<RawColumn>,
    notes: Vec<Note>,
    /// Of all `columns`, in their order.
    features: Vec<Feature>,
    inputs: Vec<Input>,
}

/// A raw column that a program needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its type in train. Other types do where they lose nothing.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether train had rows where it was missing. Rows without it are taken in any case.
    pub nullable: bool,
}

/// What happened to a raw column that somebody may want to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Which raw column, or which part of one (`time.year`).
    pub column: String,
    /// What happened.
    pub what: NoteKind,
}

/// Kinds of [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NoteKind {
    /// Left out: train has no value of it.
    Empty,
    /// Left out: it is the same in all rows of train.
    Constant,
    /// Left out: almost every row has a text of its own, so it names rows and does not describe them.
    Identifier {
        /// How many texts train has.
        distinct: u64,
    },
    /// Left out: none of its categories is frequent enough.
    AllRare,
    /// Some rows of train have a category that the given order does not name; they count as missing.
    NotInOrder {
        /// How many.
        rows: u64,
    },
}

impl NoteKind {
    /// True if the column is no feature.
    pub fn is_left_out(self) -> bool {
        !matches!(self, Self::NotInOrder { .. })
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { column, what } = self;
        match what {
            NoteKind::Empty => write!(f, "{column} is left out: train has no value of it"),
            NoteKind::Constant => write!(f, "{column} is left out: it is the same in all rows of train"),
            NoteKind::Identifier { distinct } => write!(
                f,
                "{column} is left out: with {distinct} different texts in train it names rows (to keep it, set how to encode it)"
            ),
            NoteKind::AllRare => write!(
                f,
                "{column} is left out: none of its categories is frequent enough (to keep it, lower min_rows)"
            ),
            NoteKind::NotInOrder { rows } => write!(
                f,
                "{column}: {rows} rows of train have a category that its order does not name; they count as missing"
            ),
        }
    }
}

/// One raw column and what it becomes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawColumn {
    pub(super) input: Input,
    pub(super) recipe: Recipe,
}

/// What a raw column becomes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Recipe {
    /// A number.
    Number(LinearView),
    /// A category.
    Category { levels: Levels, indicator: bool },
    /// For each level 1 or 0, and, if `indicator`, the same for what is missing.
    Onehot { levels: Levels, indicator: bool },
    /// A category's code as a number.
    Ordinal { levels: Levels, view: LinearView },
    /// The label's mean in a category.
    Target {
        levels: Levels,
        outputs: Vec<TargetOutput>,
    },
    /// Parts of a date or time.
    Calendar(Vec<(CalendarPart, LinearView)>),
}

/// One number of a target encoding.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TargetOutput {
    /// Of which class, if there are more than two.
    pub(super) class: Option<String>,
    pub(super) encoding: target_encoding::Encoding,
    pub(super) view: LinearView,
}

impl RawColumn {
    /// The features that it becomes.
    fn features(&self) -> Vec<Feature> {
        let name = &self.input.name;
        let feature = |name: String, values| Feature {
            name,
            column: self.input.name.clone(),
            values,
        };
        let category = |levels: &Levels, indicator| FeatureValues::Category {
            levels: levels.texts().to_vec(),
            other: levels.other(),
            indicator,
        };
        match &self.recipe {
            Recipe::Number(view) | Recipe::Ordinal { view, .. } => {
                vec![feature(name.clone(), view.values())]
            }
            Recipe::Category { levels, indicator } => {
                vec![feature(name.clone(), category(levels, *indicator))]
            }
            Recipe::Onehot { levels, indicator } => {
                let of_levels = levels.texts().iter().map(|text| format!("{name}={text}"));
                let missing = indicator.then(|| format!("{name} (missing)"));
                let names = of_levels.chain(missing);
                names
                    .map(|name| feature(name, LinearView::PLAIN.values()))
                    .collect()
            }
            Recipe::Target { outputs, .. } => outputs
                .iter()
                .map(|output| {
                    let name = match &output.class {
                        None => format!("{name}.target"),
                        Some(class) => format!("{name}.target={class}"),
                    };
                    feature(name, output.view.values())
                })
                .collect(),
            Recipe::Calendar(parts) => parts
                .iter()
                .map(|(part, view)| feature(format!("{name}.{}", part.name()), view.values()))
                .collect(),
        }
    }

    /// How many features it becomes.
    pub(super) fn width(&self) -> usize {
        match &self.recipe {
            Recipe::Number(_) | Recipe::Category { .. } | Recipe::Ordinal { .. } => 1,
            Recipe::Onehot { levels, indicator } => levels.len() + usize::from(*indicator),
            Recipe::Target { outputs, .. } => outputs.len(),
            Recipe::Calendar(parts) => parts.len(),
        }
    }

    /// The features of some rows.
    pub(super) fn apply(&self, series: &Series) -> Result<Vec<FeatureColumn>, FeatureError> {
        let kind = self.input.kind;
        match &self.recipe {
            Recipe::Number(_) => Ok(vec![FeatureColumn::Numeric(raw::numbers(series, kind)?)]),
            Recipe::Category { levels, .. } => Ok(vec![FeatureColumn::Category(levels.codes(series, kind)?)]),
            Recipe::Onehot { levels, indicator } => {
                let codes = levels.codes(series, kind)?;
                Ok(onehot(&codes, levels.len(), *indicator))
            }
            Recipe::Ordinal { levels, .. } => {
                let codes = levels.codes(series, kind)?;
                Ok(vec![FeatureColumn::Numeric(ordinal(&codes))])
            }
            Recipe::Target { levels, outputs } => {
                let codes = levels.codes(series, kind)?;
                let encoded = outputs.iter().map(|output| {
                    let values = codes.iter().map(|code| output.encoding.of(*code));
                    FeatureColumn::Numeric(values.collect())
                });
                Ok(encoded.collect())
            }
            Recipe::Calendar(parts) => {
                let parts: Vec<CalendarPart> = parts.iter().map(|(part, _)| *part).collect();
                let values = calendar_parts(series, kind, &parts)?;
                Ok(values.into_iter().map(FeatureColumn::Numeric).collect())
            }
        }
    }
}

pub(super) fn onehot(codes: &[u32], levels: usize, indicator: bool) -> Vec<FeatureColumn> {
    let wanted = (0u32..).take(levels).chain(indicator.then_some(MISSING));
    wanted
        .map(|wanted| {
            let values = codes.iter().map(|code| f32::from(u8::from(*code == wanted)));
            FeatureColumn::Numeric(values.collect())
        })
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are fewer than 2^24 levels: the limit is far below"
)]
pub(super) fn ordinal(codes: &[u32]) -> Vec<f32> {
    let number = |code: &u32| match *code {
        MISSING => f32::NAN,
        code => code as f32,
    };
    codes.iter().map(number).collect()
}

/// Part by part.
pub(super) fn calendar_parts(
    series: &Series,
    kind: ColumnType,
    parts: &[CalendarPart],
) -> Result<Vec<Vec<f32>>, FeatureError> {
    let mut values: Vec<Vec<f32>> = parts.iter().map(|_| Vec::with_capacity(series.len())).collect();
    raw::each_hour(series, kind, |_, hours| {
        for (part, values) in parts.iter().zip(&mut values) {
            values.push(hours.map_or(f32::NAN, |hours| calendar::part(*part, hours)));
        }
    })?;
    Ok(values)
}

impl FeatureProgram {
    /// Of columns that are each for themselves sound.
    ///
    /// Fails if there are no features, too many, or two of a name.
    pub(super) fn new(columns: Vec<RawColumn>, notes: Vec<Note>) -> Result<Self, FeatureError> {
        let width: usize = columns.iter().map(RawColumn::width).sum();
        if width > MAX_FEATURES {
            return Err(FeatureError::TooMany { most: MAX_FEATURES });
        }
        if width == 0 {
            let notes = notes.iter().map(Note::to_string).collect();
            return Err(FeatureError::NoFeatures(notes));
        }
        let features: Vec<Feature> = columns.iter().flat_map(RawColumn::features).collect();
        let mut names: Vec<&str> = features.iter().map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(FeatureError::Twice(pair[0].into()));
        }
        let inputs = columns.iter().map(|column| column.input.clone()).collect();
        Ok(Self {
            columns,
            notes,
            features,
            inputs,
        })
    }

    /// The features, in their order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The raw columns that it needs, in the features' order.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// What was left out, and why.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    pub(super) fn columns(&self) -> &[RawColumn] {
        &self.columns
    }

    /// The features of some rows. Other columns than [`FeatureProgram::inputs`] are not looked at.
    ///
    /// Fails if a column is missing or of a type that loses something, or a cell cannot be used.
    pub fn apply(&self, frame: &DataFrame) -> Result<FeatureTable, FeatureError> {
        let missing: Vec<String> = self
            .inputs
            .iter()
            .filter(|input| frame.column(&input.name).is_err())
            .map(|input| input.name.clone())
            .collect();
        if !missing.is_empty() {
            return Err(FeatureError::MissingColumns(missing));
        }
        let mut columns = Vec::with_capacity(self.features.len());
        for column in &self.columns {
            columns.append(&mut column.apply(raw::column(frame, &column.input.name)?)?);
        }
        Ok(FeatureTable {
            rows: frame.height(),
            columns,
        })
    }
}
