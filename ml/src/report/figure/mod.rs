//! Figures, drawn as inline SVG.
//!
//! Widths are in units of the drawing, of which a phone shows about 0.75 pixels and a desk about 1.1. Values that are
//! not finite are left out; a figure with nothing left says so.

mod bars;
mod heatmap;
mod histogram;
mod line;
mod plot;
mod scale;
mod scatter;

pub use bars::{Bar, BarChart};
pub use heatmap::Heatmap;
pub use histogram::Histogram;
pub use line::LineChart;
pub use scatter::ScatterPlot;

use super::escape::{escape, push};

/// How many series can be told apart by colour; the next ones begin again, in another dash.
const COLOURS: usize = 8;

/// The dashes of lines, so that colour is not the only difference.
const DASHES: [&str; 4] = ["", "7 4", "2 4", "9 3 2 3"];

/// A figure of a section.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    title: String,
    about: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Line(LineChart),
    Bars(BarChart),
    Heatmap(Heatmap),
    Scatter(ScatterPlot),
    Histogram(Histogram),
}

impl Figure {
    /// Lines over two axes.
    pub fn line(title: impl Into<String>, x: Axis, y: Axis) -> LineChart {
        LineChart::new(title, x, y)
    }

    /// Horizontal bars, one below the other.
    pub fn bars(title: impl Into<String>, x: Axis) -> BarChart {
        BarChart::new(title, x)
    }

    /// A matrix: `values[row][column]`.
    pub fn heatmap<R, C, V, W>(title: impl Into<String>, rows: R, columns: C, values: V) -> Heatmap
    where
        R: IntoIterator<Item: Into<String>>,
        C: IntoIterator<Item: Into<String>>,
        V: IntoIterator<Item = W>,
        W: IntoIterator<Item = f64>,
    {
        Heatmap::new(title, rows, columns, values)
    }

    /// Points over two axes.
    pub fn scatter(title: impl Into<String>, x: Axis, y: Axis) -> ScatterPlot {
        ScatterPlot::new(title, x, y)
    }

    /// Counts in bins that `edges` (one more than bins, ascending) divide.
    pub fn histogram(title: impl Into<String>, x: Axis, edges: &[f64]) -> Histogram {
        Histogram::new(title, x, edges)
    }

    /// With a line below its title.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = Some(about.into());
        self
    }

    pub(super) fn render(&self, out: &mut String, id: &str) {
        push(out, format_args!("<figure><figcaption>{}", escape(&self.title)));
        if let Some(about) = &self.about {
            push(out, format_args!("<small>{}</small>", escape(about)));
        }
        out.push_str("</figcaption>");
        let drawn = match &self.kind {
            Kind::Line(chart) => chart.draw(&self.title),
            Kind::Bars(chart) => chart.draw(&self.title),
            Kind::Heatmap(map) => map.draw(&self.title),
            Kind::Scatter(plot) => plot.draw(&self.title, id),
            Kind::Histogram(histogram) => histogram.draw(&self.title),
        };
        match drawn {
            Some(drawing) => out.push_str(&drawing),
            None => out.push_str("<p class=\"empty\">There is nothing to show here.</p>"),
        }
        out.push_str("</figure>");
    }
}

macro_rules! is_figure {
    ($chart:ident, $kind:ident) => {
        impl From<$chart> for Figure {
            fn from(mut chart: $chart) -> Self {
                Self {
                    title: std::mem::take(&mut chart.title),
                    about: chart.about.take(),
                    kind: Kind::$kind(chart),
                }
            }
        }

        impl $chart {
            /// With a line below its title.
            #[must_use]
            pub fn about(mut self, about: impl Into<String>) -> Self {
                self.about = Some(about.into());
                self
            }
        }
    };
}
is_figure!(LineChart, Line);
is_figure!(BarChart, Bars);
is_figure!(Heatmap, Heatmap);
is_figure!(ScatterPlot, Scatter);
is_figure!(Histogram, Histogram);

/// What stands along one side of a figure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Axis {
    label: String,
    range: Option<(f64, f64)>,
    labels: Vec<String>,
    is_share: bool,
}

impl Axis {
    /// As long as its values need.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..Self::default()
        }
    }

    /// From `low` to `high`.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Shares, written as per cent. From 0 to 1 unless a range is given.
    #[must_use]
    pub fn share(mut self) -> Self {
        self.is_share = true;
        self.range = self.range.or(Some((0.0, 1.0)));
        self
    }

    /// With these texts at 0, 1, 2 and so on, instead of numbers.
    #[must_use]
    pub fn labels<T: Into<String>>(mut self, labels: impl IntoIterator<Item = T>) -> Self {
        self.labels = labels.into_iter().map(Into::into).collect();
        self
    }
}

/// One line of a [`LineChart`].
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    band: Vec<(f64, f64, f64)>,
    has_dots: bool,
}

impl Series {
    /// A line through these points, in their order.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points: points.into_iter().collect(),
            band: Vec::new(),
            has_dots: false,
        }
    }

    /// With a band around it: x, low, high.
    #[must_use]
    pub fn band(mut self, band: impl IntoIterator<Item = (f64, f64, f64)>) -> Self {
        self.band = band.into_iter().collect();
        self
    }

    /// With a dot at every point, which tells its values when it is pointed at.
    #[must_use]
    pub fn dots(mut self) -> Self {
        self.has_dots = true;
        self
    }
}

/// The names of series beside their colours; nothing if there is only one and it needs no name.
fn push_legend<'a>(
    out: &mut String,
    names: impl Iterator<Item = &'a str>,
    references: &[&str],
    as_lines: bool,
) {
    let names: Vec<&str> = names.collect();
    if names.len() + references.len() < 2 {
        return;
    }
    out.push_str("<ul class=\"legend\">");
    for (at, name) in names.into_iter().enumerate() {
        let class = at % COLOURS;
        out.push_str("<li><svg viewBox=\"0 0 22 10\" aria-hidden=\"true\">");
        match as_lines {
            true => push(
                out,
                format_args!("<path class=\"line p{class}\"{} d=\"M1 5H21\"/>", dash(at)),
            ),
            false => push(
                out,
                format_args!(
                    "<rect class=\"p{class}\" x=\"4\" y=\"0\" width=\"10\" height=\"10\" rx=\"2\"/>"
                ),
            ),
        }
        push(out, format_args!("</svg>{}</li>", escape(name)));
    }
    for name in references {
        push(
            out,
            format_args!(
                "<li><svg viewBox=\"0 0 22 10\" aria-hidden=\"true\"><path class=\"reference\" d=\"M1 5H21\"/></svg>{}</li>",
                escape(name)
            ),
        );
    }
    out.push_str("</ul>");
}

fn dash(series: usize) -> String {
    // The first round of colours already differs in dash, too: four kinds for eight colours.
    match DASHES[series % DASHES.len()] {
        "" => String::new(),
        dashes => format!(" stroke-dasharray=\"{dashes}\""),
    }
}
