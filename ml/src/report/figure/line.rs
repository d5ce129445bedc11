//! Lines over two axes.

use super::super::escape::{escape, push};
use super::super::number::number;
use super::plot::Plot;
use super::scale::{can_draw, extent};
use super::{Axis, COLOURS, Series, dash, push_legend};

/// Lines over two axes; see [`super::Figure::line`].
#[derive(Debug, Clone, PartialEq)]
pub struct LineChart {
    pub(super) title: String,
    pub(super) about: Option<String>,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    references: Vec<(Reference, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reference {
    Diagonal,
    Level(f64),
    Mark(f64),
}

impl LineChart {
    pub(super) fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            about: None,
            x,
            y,
            series: Vec::new(),
            references: Vec::new(),
        }
    }

    /// With one more line.
    #[must_use]
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// With a dotted line where both axes have the same value.
    #[must_use]
    pub fn diagonal(self, name: impl Into<String>) -> Self {
        self.reference(Reference::Diagonal, name)
    }

    /// With a dotted line at a value of the y axis.
    #[must_use]
    pub fn level(self, name: impl Into<String>, y: f64) -> Self {
        self.reference(Reference::Level(y), name)
    }

    /// With a dotted line at a value of the x axis.
    #[must_use]
    pub fn mark(self, name: impl Into<String>, x: f64) -> Self {
        self.reference(Reference::Mark(x), name)
    }

    fn reference(mut self, reference: Reference, name: impl Into<String>) -> Self {
        self.references.push((reference, name.into()));
        self
    }

    pub(super) fn draw(&self, title: &str) -> Option<String> {
        let points = || {
            self.series
                .iter()
                .flat_map(|s| s.points.iter().copied())
                .filter(is_point)
        };
        let bands = || self.series.iter().flat_map(|s| s.band.iter());
        let levels = self.references.iter().filter_map(|(r, _)| match r {
            Reference::Level(y) => Some(*y),
            Reference::Diagonal | Reference::Mark(_) => None,
        });
        let x_range = extent(points().map(|p| p.0))?;
        let y_range = extent(
            points()
                .map(|p| p.1)
                .chain(bands().flat_map(|b| [b.1, b.2]))
                .chain(levels),
        )?;
        let mut plot = Plot::new(title, (&self.x, x_range), (&self.y, y_range));
        for (reference, _) in &self.references {
            match reference {
                Reference::Diagonal => plot.diagonal(),
                Reference::Level(y) if can_draw(*y) => plot.level(*y),
                Reference::Mark(x) if can_draw(*x) => plot.mark(*x),
                Reference::Level(_) | Reference::Mark(_) => {}
            }
        }
        for (at, series) in self.series.iter().enumerate() {
            draw_band(&mut plot, series, at);
        }
        for (at, series) in self.series.iter().enumerate() {
            draw_line(&mut plot, series, at);
        }
        let mut out = plot.closed();
        let references: Vec<&str> = self.references.iter().map(|(_, name)| name.as_str()).collect();
        push_legend(
            &mut out,
            self.series.iter().map(|s| s.name.as_str()),
            &references,
            true,
        );
        Some(out)
    }
}

fn is_point((x, y): &(f64, f64)) -> bool {
    can_draw(*x) && can_draw(*y)
}

fn draw_band(plot: &mut Plot, series: &Series, at: usize) {
    let band: Vec<&(f64, f64, f64)> = series
        .band
        .iter()
        .filter(|(x, low, high)| can_draw(*x) && can_draw(*low) && can_draw(*high))
        .collect();
    if band.len() < 2 {
        return;
    }
    let highs = band.iter().map(|b| (b.0, b.2));
    let lows = band.iter().rev().map(|b| (b.0, b.1));
    push(
        &mut plot.out,
        format_args!("<path class=\"band p{}\" d=\"", at % COLOURS),
    );
    for (n, point) in highs.chain(lows).enumerate() {
        let (x, y) = plot.at(point);
        let verb = if n == 0 { 'M' } else { 'L' };
        push(&mut plot.out, format_args!("{verb}{x:.1} {y:.1}"));
    }
    plot.out.push_str("Z\"/>");
}

fn draw_line(plot: &mut Plot, series: &Series, at: usize) {
    let class = at % COLOURS;
    let points: Vec<(f64, f64)> = series.points.iter().copied().filter(is_point).collect();
    if points.len() > 1 {
        push(
            &mut plot.out,
            format_args!("<path class=\"line p{class}\"{} d=\"", dash(at)),
        );
        for (n, point) in points.iter().enumerate() {
            let (x, y) = plot.at(*point);
            let verb = if n == 0 { 'M' } else { 'L' };
            push(&mut plot.out, format_args!("{verb}{x:.1} {y:.1}"));
        }
        plot.out.push_str("\"/>");
    }
    // A line of one point would be invisible.
    if series.has_dots || points.len() == 1 {
        for point in &points {
            let (x, y) = plot.at(*point);
            push(
                &mut plot.out,
                format_args!(
                    "<circle class=\"dot p{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.6\"><title>{}: {}, {}</title></circle>",
                    escape(&series.name),
                    number(point.0),
                    number(point.1)
                ),
            );
        }
    }
}
