//! Tables.

use super::Tone;
use super::escape::{escape, push};
use super::number::{NO_NUMBER, number};

/// One cell of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cell {
    text: String,
    note: Option<String>,
    badge: Option<Tone>,
    right: bool,
}

impl Cell {
    /// A number, as [`number`] writes it, on the right.
    pub fn number(value: f64) -> Self {
        Self::right(number(value))
    }

    /// A number if there is one.
    pub fn optional(value: Option<f64>) -> Self {
        Self::number(value.unwrap_or(f64::NAN))
    }

    /// A text that is a number or belongs under numbers: on the right, in digits of equal width.
    pub fn right(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            right: true,
            ..Self::default()
        }
    }

    /// A mark, such as `passed`.
    pub fn badge(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            badge: Some(tone),
            ..Self::default()
        }
    }

    /// Nothing to say here.
    pub fn none() -> Self {
        Self::from(NO_NUMBER)
    }

    /// With a second, smaller line.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    fn render(&self, out: &mut String, is_head: bool) {
        let class = if self.right { " class=\"right\"" } else { "" };
        let (open, close) = match is_head {
            true => ("th scope=\"row\"", "th"),
            false => ("td", "td"),
        };
        push(out, format_args!("<{open}{class}>"));
        match self.badge {
            None => out.push_str(&escape(&self.text)),
            Some(tone) => push_badge(out, &self.text, tone),
        }
        if let Some(note) = &self.note {
            push(out, format_args!("<small>{}</small>", escape(note)));
        }
        push(out, format_args!("</{close}>"));
    }
}

pub(super) fn push_badge(out: &mut String, text: &str, tone: Tone) {
    let (class, sign) = (tone.class(), tone.sign());
    push(
        out,
        format_args!("<span class=\"badge {class}\">{sign}{}</span>", escape(text)),
    );
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::number(value)
    }
}

/// A table. The first cell of every row names the row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    caption: Option<String>,
    columns: Vec<String>,
    rows: Vec<(bool, Vec<Cell>)>,
}

impl Table {
    /// With these columns and no rows.
    pub fn new<T: Into<String>>(columns: impl IntoIterator<Item = T>) -> Self {
        Self {
            columns: columns.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// What it shows.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = Some(caption.into());
        self
    }

    /// With one more row.
    #[must_use]
    pub fn row<T: Into<Cell>>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.rows
            .push((false, cells.into_iter().map(Into::into).collect()));
        self
    }

    /// With one more row that stands out.
    #[must_use]
    pub fn highlighted<T: Into<Cell>>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.rows
            .push((true, cells.into_iter().map(Into::into).collect()));
        self
    }

    /// True if it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn render(&self, out: &mut String) {
        // Focusable, so that a wide table can be scrolled by keys.
        let label = self.caption.as_deref().unwrap_or("table");
        push(
            out,
            format_args!(
                "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>",
                escape(label)
            ),
        );
        if let Some(caption) = &self.caption {
            push(out, format_args!("<caption>{}</caption>", escape(caption)));
        }
        out.push_str("<thead><tr>");
        for (at, column) in self.columns.iter().enumerate() {
            let is_right = self
                .rows
                .iter()
                .any(|(_, cells)| cells.get(at).is_some_and(|c| c.right));
            let class = if is_right { " class=\"right\"" } else { "" };
            push(
                out,
                format_args!("<th scope=\"col\"{class}>{}</th>", escape(column)),
            );
        }
        out.push_str("</tr></thead><tbody>");
        for (stands_out, cells) in &self.rows {
            out.push_str(if *stands_out { "<tr class=\"on\">" } else { "<tr>" });
            for (at, cell) in cells.iter().enumerate() {
                cell.render(out, at == 0);
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div>");
    }
}
