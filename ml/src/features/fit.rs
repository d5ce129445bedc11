//! Fitting a program on train.

use polars::prelude::{DataFrame, Series};

use super::category::{Counts, Levels};
use super::error::FeatureError;
use super::label;
use super::numeric::LinearView;
use super::program::{
    FeatureProgram, Input, MAX_FEATURES, Note, NoteKind, RawColumn, Recipe, TargetOutput, calendar_parts,
    onehot, ordinal,
};
use super::settings::{CalendarPart, ColumnSettings, Encoding, FeatureKind, FeatureSettings};
use super::{FeatureColumn, FeatureTable, raw, target_encoding};
use crate::dataset::{Column, ColumnType, Dataset, Role, Task};

/// A column of texts is taken to name rows if it has more different ones than this, and than half of its rows.
const IDENTIFIER_TEXTS: u64 = 50;

impl FeatureProgram {
    /// Fits a program on train, and computes train's features. These are not what [`FeatureProgram::apply`] would
    /// give where a category is encoded by the label's mean: train's own rows get the mean that other rows have (see
    /// [`Encoding::Target`]), for which `seed` draws the folds.
    ///
    /// What says nothing is left out, with a note: columns that are empty or the same in every row, and texts that
    /// name rows, unless the settings name them.
    pub fn fit(
        train: &DataFrame,
        dataset: &Dataset,
        settings: &FeatureSettings,
        seed: u64,
    ) -> Result<(Self, FeatureTable), FeatureError> {
        check_names(dataset, settings)?;
        let chosen = chosen(dataset, settings)?;
        let missing: Vec<String> = chosen
            .iter()
            .filter(|column| train.column(&column.name).is_err())
            .map(|column| column.name.clone())
            .collect();
        if !missing.is_empty() {
            return Err(FeatureError::MissingColumns(missing));
        }
        let mut fit = Fit {
            dataset,
            settings,
            seed,
            label: None,
            columns: Vec::new(),
            notes: Vec::new(),
            table: Vec::new(),
        };
        for column in chosen {
            fit.column(column, train)?;
            if fit.table.len() > MAX_FEATURES {
                return Err(FeatureError::TooMany { most: MAX_FEATURES });
            }
        }
        let table = FeatureTable {
            rows: train.height(),
            columns: fit.table,
        };
        Ok((Self::new(fit.columns, fit.notes)?, table))
    }
}

/// The columns that the settings name are features.
fn check_names(dataset: &Dataset, settings: &FeatureSettings) -> Result<(), FeatureError> {
    let names = settings.only.iter().flatten().chain(settings.columns.keys());
    for name in names {
        let problem = match dataset.column(name).map(|column| column.role) {
            Some(Role::Feature) => continue,
            None => "the features' settings name it, but the data has no such column",
            Some(Role::Label) => "it is the label and can be no feature",
            Some(Role::Key) => "it is a key and can be no feature: take it out of `key`",
            Some(Role::Weight) => "it is the weight and can be no feature",
            Some(Role::Excluded) => "it is excluded and can be no feature: take it out of `exclude`",
        };
        return Err(FeatureError::column(name, problem));
    }
    if let (Some(only), true) = (&settings.only, !settings.columns.is_empty()) {
        let unused = settings.columns.keys().find(|name| !only.contains(name));
        if let Some(name) = unused {
            let problem = "the features' settings say how to take it, but `only` does not name it";
            return Err(FeatureError::column(name, problem));
        }
    }
    Ok(())
}

fn chosen<'a>(dataset: &'a Dataset, settings: &FeatureSettings) -> Result<Vec<&'a Column>, FeatureError> {
    let named = |column: &&Column| match &settings.only {
        None => true,
        Some(only) => only.contains(&column.name),
    };
    let chosen: Vec<&Column> = dataset.of_role(Role::Feature).filter(named).collect();
    if chosen.is_empty() {
        return Err(FeatureError::NoFeatures(vec![
            "no column has the role of one".to_owned(),
        ]));
    }
    Ok(chosen)
}

struct Fit<'a> {
    dataset: &'a Dataset,
    settings: &'a FeatureSettings,
    seed: u64,
    /// Train's, once a column is encoded by it.
    label: Option<Vec<f32>>,
    columns: Vec<RawColumn>,
    notes: Vec<Note>,
    table: Vec<FeatureColumn>,
}

impl Fit<'_> {
    fn column(&mut self, column: &Column, train: &DataFrame) -> Result<(), FeatureError> {
        let (settings, default) = (self.settings, ColumnSettings::default());
        let own = settings.columns.get(&column.name).unwrap_or(&default);
        let kind = kind_of(column, own)?;
        let series = raw::column(train, &column.name)?;
        match kind {
            FeatureKind::Numeric => self.number(column, series, own),
            FeatureKind::Categorical => self.category(column, series, own, train),
            FeatureKind::Calendar => self.calendar(column, series, own),
        }
    }

    fn number(&mut self, column: &Column, series: &Series, own: &ColumnSettings) -> Result<(), FeatureError> {
        let values = raw::numbers(series, column.kind)?;
        if let Some(what) = says_nothing(&values) {
            self.note(&column.name, what);
            return Ok(());
        }
        let view = self.view(&values, own);
        let nullable = values.iter().any(|value| value.is_nan());
        self.add(column, nullable, Recipe::Number(view));
        self.table.push(FeatureColumn::Numeric(values));
        Ok(())
    }

    fn calendar(
        &mut self,
        column: &Column,
        series: &Series,
        own: &ColumnSettings,
    ) -> Result<(), FeatureError> {
        let mut wanted = Vec::new();
        for part in own.calendar.as_ref().unwrap_or(&self.settings.calendar) {
            // Days have no hour.
            let has = column.kind == ColumnType::Datetime || *part != CalendarPart::Hour;
            if has && !wanted.contains(part) {
                wanted.push(*part);
            }
        }
        let (mut parts, mut nullable) = (Vec::new(), false);
        let values = calendar_parts(series, column.kind, &wanted)?;
        for (part, values) in wanted.into_iter().zip(values) {
            nullable = values.iter().any(|value| value.is_nan());
            match says_nothing(&values) {
                Some(NoteKind::Empty) => {
                    self.note(&column.name, NoteKind::Empty);
                    return Ok(());
                }
                Some(what) => self.note(&format!("{}.{}", column.name, part.name()), what),
                None => {
                    parts.push((part, self.view(&values, own)));
                    self.table.push(FeatureColumn::Numeric(values));
                }
            }
        }
        if !parts.is_empty() {
            self.add(column, nullable, Recipe::Calendar(parts));
        }
        Ok(())
    }

    fn category(
        &mut self,
        column: &Column,
        series: &Series,
        own: &ColumnSettings,
        train: &DataFrame,
    ) -> Result<(), FeatureError> {
        let encoding = own.encode.unwrap_or(self.settings.encode);
        let min_rows = match own.order {
            Some(_) => 1,
            None => own.min_rows.unwrap_or(self.settings.min_rows),
        };
        let counts = Counts::of(series, column.kind, min_rows)?;
        let nullable = counts.missing > 0;
        if let Some(what) = self.says_nothing_by_counts(column, &counts) {
            self.note(&column.name, what);
            return Ok(());
        }
        let levels = match &own.order {
            Some(order) if encoding == Encoding::Ordinal => {
                let levels = Levels::new(order.clone(), None)
                    .map_err(|problem| FeatureError::column(&column.name, problem))?;
                match counts.beyond(&levels) {
                    0 => {}
                    rows if rows == counts.known => {
                        let problem = "its order names no category that train has";
                        return Err(FeatureError::column(&column.name, problem));
                    }
                    rows => self.note(&column.name, NoteKind::NotInOrder { rows }),
                }
                levels
            }
            Some(_) => {
                let problem = "it has an `order`, which only `encode = \"ordinal\"` uses";
                return Err(FeatureError::column(&column.name, problem));
            }
            None => {
                let most = own.max_categories.unwrap_or(self.settings.max_categories);
                let levels = counts
                    .levels(most)
                    .map_err(|problem| FeatureError::column(&column.name, problem))?;
                if levels.len() == 1 && !nullable {
                    self.note(&column.name, NoteKind::AllRare);
                    return Ok(());
                }
                levels
            }
        };
        let codes = levels.codes(series, column.kind)?;
        let recipe = match encoding {
            Encoding::Native => {
                self.table.push(FeatureColumn::Category(codes));
                Recipe::Category {
                    levels,
                    indicator: nullable,
                }
            }
            Encoding::Onehot => {
                if levels.len() + self.table.len() > MAX_FEATURES {
                    return Err(FeatureError::TooMany { most: MAX_FEATURES });
                }
                self.table.append(&mut onehot(&codes, levels.len(), nullable));
                Recipe::Onehot {
                    levels,
                    indicator: nullable,
                }
            }
            Encoding::Ordinal => {
                let values = ordinal(&codes);
                let view = self.view(&values, own);
                self.table.push(FeatureColumn::Numeric(values));
                Recipe::Ordinal { levels, view }
            }
            Encoding::Target => {
                let outputs = self.target_outputs(&codes, &levels, own, train)?;
                Recipe::Target { levels, outputs }
            }
        };
        self.add(column, nullable, recipe);
        Ok(())
    }

    fn says_nothing_by_counts(&self, column: &Column, counts: &Counts) -> Option<NoteKind> {
        let named = self.settings.columns.contains_key(&column.name)
            || self
                .settings
                .only
                .as_ref()
                .is_some_and(|only| only.contains(&column.name));
        let distinct = counts.distinct() as u64;
        match distinct {
            0 => Some(NoteKind::Empty),
            1 if counts.missing == 0 => Some(NoteKind::Constant),
            _ => {
                let names_rows = distinct > IDENTIFIER_TEXTS.max(counts.known / 2);
                (column.kind == ColumnType::Text && names_rows && !named)
                    .then_some(NoteKind::Identifier { distinct })
            }
        }
    }

    /// One number for binary classification and regression; otherwise one for each class but the first, which would
    /// only repeat what the others say.
    fn target_outputs(
        &mut self,
        codes: &[u32],
        levels: &Levels,
        own: &ColumnSettings,
        train: &DataFrame,
    ) -> Result<Vec<TargetOutput>, FeatureError> {
        if self.label.is_none() {
            self.label = Some(label::target(train, self.dataset)?);
        }
        let label = self.label.take().unwrap_or_default();
        let classes: Vec<Option<usize>> = match self.dataset.task {
            Task::Binary | Task::Regression => vec![None],
            Task::Multiclass => (1..self.dataset.classes.len()).map(Some).collect(),
        };
        let mut outputs = Vec::with_capacity(classes.len());
        for class in classes {
            #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^24 classes")]
            let y = |row: usize| match class {
                None => f64::from(label[row]),
                Some(class) => f64::from(u8::from(label[row] == class as f32)),
            };
            let (encoding, values) = target_encoding::fit(codes, levels.len(), y, self.seed);
            outputs.push(TargetOutput {
                class: class.map(|class| self.dataset.classes[class].clone()),
                encoding,
                view: self.view(&values, own),
            });
            self.table.push(FeatureColumn::Numeric(values));
        }
        self.label = Some(label);
        Ok(outputs)
    }

    fn view(&self, values: &[f32], own: &ColumnSettings) -> LinearView {
        LinearView::fit(
            values,
            own.impute.unwrap_or(self.settings.impute),
            own.scale.unwrap_or(self.settings.scale),
            self.settings.indicators,
        )
    }

    fn add(&mut self, column: &Column, nullable: bool, recipe: Recipe) {
        self.columns.push(RawColumn {
            input: Input {
                name: column.name.clone(),
                kind: column.kind,
                nullable,
            },
            recipe,
        });
    }

    fn note(&mut self, column: &str, what: NoteKind) {
        self.notes.push(Note {
            column: column.into(),
            what,
        });
    }
}

/// Numbers that are all missing, or all the same and never missing.
fn says_nothing(values: &[f32]) -> Option<NoteKind> {
    let (mut smallest, mut largest, mut missing) = (f32::INFINITY, f32::NEG_INFINITY, false);
    for value in values {
        missing |= value.is_nan();
        smallest = smallest.min(*value);
        largest = largest.max(*value);
    }
    match smallest <= largest {
        false => Some(NoteKind::Empty),
        true => (smallest == largest && !missing).then_some(NoteKind::Constant),
    }
}

/// What a column is taken for: what the settings say, if its type allows that.
fn kind_of(column: &Column, own: &ColumnSettings) -> Result<FeatureKind, FeatureError> {
    let by_type = match column.kind {
        ColumnType::Boolean | ColumnType::Integer | ColumnType::Float => FeatureKind::Numeric,
        ColumnType::Text => FeatureKind::Categorical,
        ColumnType::Date | ColumnType::Datetime => FeatureKind::Calendar,
    };
    let kind = own.kind.unwrap_or(match (by_type, own.encode, &own.order) {
        // Who says how to encode it takes it for a category.
        (FeatureKind::Numeric, Some(_), _) | (FeatureKind::Numeric, _, Some(_)) => FeatureKind::Categorical,
        _ => by_type,
    });
    let problem = match (by_type, kind) {
        (FeatureKind::Numeric, FeatureKind::Numeric | FeatureKind::Categorical)
        | (FeatureKind::Categorical, FeatureKind::Categorical)
        | (FeatureKind::Calendar, FeatureKind::Calendar) => None,
        (FeatureKind::Categorical, _) => Some(
            "it is a text and can only be categorical: cast it in the query, or name its type in the source's `types`",
        ),
        (FeatureKind::Calendar, _) => {
            Some("it is a date or time and can only be taken for calendar parts: cast it in the query")
        }
        (FeatureKind::Numeric, FeatureKind::Calendar) => Some(
            "it is a number and can be no date or time: cast it in the query, or name its type in the source's `types`",
        ),
    };
    if let Some(problem) = problem {
        return Err(FeatureError::column(&column.name, problem));
    }
    if own.calendar.is_some() && kind != FeatureKind::Calendar {
        let problem = "it has `calendar` parts, but is no date or time";
        return Err(FeatureError::column(&column.name, problem));
    }
    Ok(kind)
}
