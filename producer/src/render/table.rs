//! Aligned tables for people.

use crate::render::printable;

/// The colours that a cell may have; each has one meaning throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// It went well.
    Green,
    /// It went wrong.
    Red,
    /// It was stopped, or wants attention.
    Yellow,
    /// It is being worked on.
    Cyan,
    /// Less important.
    Dim,
}

impl Colour {
    /// The terminal's sequence that begins it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Green => "\x1b[32m",
            Self::Red => "\x1b[31m",
            Self::Yellow => "\x1b[33m",
            Self::Cyan => "\x1b[36m",
            Self::Dim => "\x1b[2m",
        }
    }
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    colour: Option<Colour>,
    is_right: bool,
}

impl Cell {
    /// A text; empty ones are shown as `-`.
    pub fn new(text: impl AsRef<str>) -> Self {
        let text = match text.as_ref() {
            "" => "-".to_owned(),
            text => printable(text),
        };
        Self {
            text,
            colour: None,
            is_right: false,
        }
    }

    /// A text, or `-`.
    pub fn maybe(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(|| Self::new(""), Self::new)
    }

    /// The same in colour.
    #[must_use]
    pub fn coloured(mut self, colour: Option<Colour>) -> Self {
        self.colour = colour;
        self
    }

    /// The same at the right edge of its column, as numbers are.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.is_right = true;
        self
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows under headings.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(Cell::new).collect()],
        }
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// True if there is nothing under the headings.
    pub fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// The lines of the table, each with its end; without a blank at any line's end.
    pub fn render(&self, is_coloured: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |cell: &Cell| cell.text.chars().count();
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(width)
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        for (nr, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[at] - width(cell));
                // A heading stands where its column's cells stand.
                let is_right = self
                    .rows
                    .get(nr.max(1))
                    .and_then(|r| r.get(at))
                    .is_some_and(|c| c.is_right);
                let colour = if nr == 0 { Some(Colour::Dim) } else { cell.colour };
                let text = match colour.filter(|_| is_coloured) {
                    Some(colour) => format!("{}{}\x1b[0m", colour.code(), cell.text),
                    None => cell.text.clone(),
                };
                let gap = if at == 0 { "" } else { "  " };
                line.push_str(gap);
                line.push_str(&if is_right { pad + &text } else { text + &pad });
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let mut table = Table::new(&["RUN", "SIZE", "WHY"]);
        assert!(table.is_empty());
        table.row([Cell::from("a"), Cell::from("12 B").right(), Cell::from("")]);
        table.row([
            Cell::from("long-one"),
            Cell::from("1.0 KiB").right(),
            Cell::from("ä\nb"),
        ]);
        assert_eq!(
            table.render(false),
            "RUN          SIZE  WHY\na            12 B  -\nlong-one  1.0 KiB  ä b\n"
        );
        assert!(!table.is_empty());
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let mut table = Table::new(&["A", "B"]);
        table.row([Cell::from("x").coloured(Some(Colour::Red)), Cell::from("y")]);
        let plain: String = table
            .render(true)
            .replace("\x1b[2m", "")
            .replace("\x1b[31m", "")
            .replace("\x1b[0m", "");
        assert_eq!(plain, table.render(false));
        assert!(table.render(true).contains("\x1b[31mx"));
    }
}
