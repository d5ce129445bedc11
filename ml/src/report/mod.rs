//! Self-contained HTML reports with figures: one file that opens in any browser, on a desk or on a phone, in light or
//! dark, without a script and without a byte from anywhere else. Its own policy (CSP) forbids both.
//!
//! Whatever is handed in is text: it is escaped, control and direction characters included, so a column's or a
//! class' name can change nothing but itself. Equal calls give equal bytes.
//!
//! ```
//! use ml::report::{Axis, Bar, Cell, Figure, Histogram, Page, Section, Series, Table, Tile, Tone};
//!
//! let page = Page::new("Evaluation")
//!     .subtitle("flights: 2 candidates on 67,000 rows of test")
//!     .badge("passed", Tone::Good)
//!     .tile(Tile::new("AUC", "0.786").note("95 % interval 0.781 to 0.791"))
//!     .section(
//!         Section::new("Leaderboard")
//!             .text("Chosen by AUC on validation. Test is only reported.")
//!             .table(
//!                 Table::new(["Candidate", "AUC", "Gate"])
//!                     .highlighted([Cell::from("boosting"), Cell::number(0.786), Cell::badge("passed", Tone::Good)])
//!                     .row([Cell::from("linear"), Cell::number(0.705), Cell::none()]),
//!             )
//!             .figure(
//!                 Figure::line("ROC", Axis::new("False positives").share(), Axis::new("True positives").share())
//!                     .series(Series::new("boosting", [(0.0, 0.0), (0.2, 0.6), (1.0, 1.0)]))
//!                     .diagonal("by chance"),
//!             ),
//!     )
//!     .section(
//!         Section::new("Columns")
//!             .figure(Figure::bars("Attribution", Axis::new("mean |SHAP|")).bar(Bar::new("hour", 0.7)))
//!             .figure(Figure::heatmap("Confusion", ["on time", "late"], ["on time", "late"], [[90.0, 10.0], [20.0, 40.0]]))
//!             .figure(Figure::scatter("Fit", Axis::new("predicted"), Axis::new("actual")).points("test", [(1.0, 1.2)]))
//!             .figure(Histogram::new("Residuals", Axis::new("actual - predicted"), &[-1.0, 0.0, 1.0]).counts("test", &[3.0, 4.0])),
//!     );
//! let html = page.render();
//! assert!(html.starts_with("<!doctype html>"));
//! ```

mod escape;
mod figure;
mod number;
mod page;
mod table;

pub use figure::{Axis, Bar, BarChart, Figure, Heatmap, Histogram, LineChart, ScatterPlot, Series};
pub use number::{count, number, share};
pub use page::{Page, Section, Tile};
pub use table::{Cell, Table};

/// What a mark says besides its text. Colour is never the only carrier of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// As wished.
    Good,
    /// To be looked at.
    Warning,
    /// Not as wished.
    Bad,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    /// A sign that says the same as the colour.
    fn sign(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{2713} ",
            Self::Warning => "! ",
            Self::Bad => "\u{2717} ",
        }
    }
}
