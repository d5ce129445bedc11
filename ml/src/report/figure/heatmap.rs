//! Matrices.

use super::super::escape::{escape, push, shortened};
use super::super::number::{number, share};
use super::plot::{CHARACTER_WIDTH, WIDTH, opened};
use super::scale::can_draw;

/// With more columns than these, cells are too small for texts.
const MOST_COLUMNS_WITH_TEXT: usize = 10;

/// The longest name of a row or column.
const LONGEST_NAME: usize = 18;

/// How many characters fit into a width.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "of a figure, which is a few hundred wide"
)]
fn characters(width: f64) -> usize {
    (width / CHARACTER_WIDTH) as usize
}

/// A matrix; see [`super::Figure::heatmap`].
#[derive(Debug, Clone, PartialEq)]
pub struct Heatmap {
    pub(super) title: String,
    pub(super) about: Option<String>,
    rows: Vec<String>,
    columns: Vec<String>,
    values: Vec<Vec<f64>>,
    axes: Option<(String, String)>,
    by_row: bool,
}

impl Heatmap {
    pub(super) fn new<R, C, V, W>(title: impl Into<String>, rows: R, columns: C, values: V) -> Self
    where
        R: IntoIterator<Item: Into<String>>,
        C: IntoIterator<Item: Into<String>>,
        V: IntoIterator<Item = W>,
        W: IntoIterator<Item = f64>,
    {
        Self {
            title: title.into(),
            about: None,
            rows: rows.into_iter().map(Into::into).collect(),
            columns: columns.into_iter().map(Into::into).collect(),
            values: values.into_iter().map(|row| row.into_iter().collect()).collect(),
            axes: None,
            by_row: false,
        }
    }

    /// What its rows and its columns are.
    #[must_use]
    pub fn axes(mut self, rows: impl Into<String>, columns: impl Into<String>) -> Self {
        self.axes = Some((rows.into(), columns.into()));
        self
    }

    /// Shades each cell by its share of its row, and says the share, too: for confusion matrices.
    #[must_use]
    pub fn by_row(mut self) -> Self {
        self.by_row = true;
        self
    }

    pub(super) fn draw(&self, title: &str) -> Option<String> {
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let value = |row: usize, column: usize| -> Option<f64> {
            self.values
                .get(row)?
                .get(column)
                .copied()
                .filter(|v| can_draw(*v))
        };
        let largest = self
            .values
            .iter()
            .flatten()
            .filter(|v| can_draw(**v))
            .fold(0f64, |most, v| most.max(v.abs()));
        if rows == 0 || columns == 0 || self.values.is_empty() {
            return None;
        }
        let longest = self
            .rows
            .iter()
            .map(|r| r.chars().count())
            .max()
            .unwrap_or(0)
            .min(LONGEST_NAME);
        #[expect(clippy::cast_precision_loss, reason = "a few characters and cells")]
        let (left, across) = (longest as f64 * CHARACTER_WIDTH + 10.0, columns as f64);
        let width = (WIDTH - left) / across;
        let height = width.clamp(14.0, 64.0);
        let fits = characters(width);
        let longest = self.columns.iter().map(|c| c.chars().count()).max().unwrap_or(0);
        // Names that do not fit stand on end.
        let is_tilted = longest > fits;
        #[expect(clippy::cast_precision_loss, reason = "a few characters")]
        let names = if is_tilted {
            longest.min(LONGEST_NAME) as f64 * CHARACTER_WIDTH
        } else {
            12.0
        };
        let top = names + if self.axes.is_some() { 32.0 } else { 12.0 };
        #[expect(clippy::cast_precision_loss, reason = "a few rows")]
        let mut out = opened(title, WIDTH, (top + rows as f64 * height + 4.0).ceil());
        if let Some((of_rows, of_columns)) = &self.axes {
            push(
                &mut out,
                format_args!(
                    "<text x=\"0\" y=\"{:.1}\">{} \u{2193}</text><text x=\"{WIDTH}\" y=\"12\" text-anchor=\"end\">{} \u{2192}</text>",
                    top - 8.0,
                    escape(&shortened(of_rows, 18)),
                    escape(&shortened(of_columns, 40))
                ),
            );
        }
        for (column, name) in self.columns.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a few columns")]
            let (x, y) = (left + (column as f64 + 0.5) * width, top - 8.0);
            let (place, name) = match is_tilted {
                true => (
                    format!("transform=\"translate({:.1} {y:.1}) rotate(-90)\"", x + 4.0),
                    shortened(name, LONGEST_NAME),
                ),
                false => (
                    format!("x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\""),
                    name.clone(),
                ),
            };
            push(
                &mut out,
                format_args!("<text class=\"name\" {place}>{}</text>", escape(&name)),
            );
        }
        for (row, name) in self.rows.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a few rows")]
            let y = top + row as f64 * height;
            let total: f64 = (0..columns).filter_map(|c| value(row, c)).sum();
            push(
                &mut out,
                format_args!(
                    "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    left - 8.0,
                    y + height / 2.0 + 4.0,
                    escape(&shortened(name, LONGEST_NAME))
                ),
            );
            for (column, column_name) in self.columns.iter().enumerate() {
                let Some(found) = value(row, column) else { continue };
                let whole = if self.by_row { total } else { largest };
                let part = if whole > 0.0 {
                    (found / whole).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                #[expect(clippy::cast_precision_loss, reason = "a few columns")]
                let x = left + column as f64 * width;
                let shade = 0.04 + 0.92 * part;
                let class = if part > 0.65 { "onheat" } else { "name" };
                push(
                    &mut out,
                    format_args!(
                        "<g><title>{}, {}: {}</title><rect class=\"heat\" fill-opacity=\"{shade:.3}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
                        escape(name),
                        escape(column_name),
                        number(found)
                    ),
                );
                if columns <= MOST_COLUMNS_WITH_TEXT && number(found).chars().count() <= characters(width) {
                    let (middle, line) = (x + width / 2.0, y + height / 2.0);
                    let says_share = self.by_row && whole > 0.0 && height >= 36.0;
                    let up = if says_share { -4.0 } else { 4.0 };
                    push(
                        &mut out,
                        format_args!(
                            "<text class=\"{class}\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                            line + up,
                            number(found)
                        ),
                    );
                    if says_share {
                        push(
                            &mut out,
                            format_args!(
                                "<text class=\"{class}\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                                line + 13.0,
                                share(part)
                            ),
                        );
                    }
                }
                out.push_str("</g>");
            }
        }
        out.push_str("</svg>");
        Some(out)
    }
}
