//! Counts in bins.

use super::super::escape::{escape, push};
use super::super::number::number;
use super::plot::Plot;
use super::scale::{can_draw, extent};
use super::{Axis, COLOURS, push_legend};

/// Counts in bins; see [`super::Figure::histogram`].
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    pub(super) title: String,
    pub(super) about: Option<String>,
    x: Axis,
    y: Axis,
    edges: Vec<f64>,
    series: Vec<(String, Vec<f64>)>,
    mark: Option<f64>,
}

impl Histogram {
    /// With bins that `edges` (one more than bins, ascending) divide.
    pub fn new(title: impl Into<String>, x: Axis, edges: &[f64]) -> Self {
        Self {
            title: title.into(),
            about: None,
            x,
            y: Axis::new("rows"),
            edges: edges.to_vec(),
            series: Vec::new(),
            mark: None,
        }
    }

    /// With another axis of counts than `rows`.
    #[must_use]
    pub fn y(mut self, y: Axis) -> Self {
        self.y = y;
        self
    }

    /// With the counts (or shares) of every bin, in a colour of their own.
    #[must_use]
    pub fn counts(mut self, name: impl Into<String>, counts: &[f64]) -> Self {
        self.series.push((name.into(), counts.to_vec()));
        self
    }

    /// With a dotted line at a value.
    #[must_use]
    pub fn mark(mut self, value: f64) -> Self {
        self.mark = Some(value).filter(|v| can_draw(*v));
        self
    }

    pub(super) fn draw(&self, title: &str) -> Option<String> {
        let counts = || self.series.iter().flat_map(|(_, counts)| counts.iter().copied());
        if self.edges.len() < 2 || !self.edges.iter().all(|e| can_draw(*e)) || self.series.is_empty() {
            return None;
        }
        let most = extent(counts())?.1.max(0.0);
        let x_range = extent(self.edges.iter().copied().chain(self.mark))?;
        let mut plot = Plot::new(title, (&self.x, x_range), (&self.y, (0.0, most * 1.04)));
        let floor = plot.y.at(0.0);
        for (at, (name, counts)) in self.series.iter().enumerate() {
            for (bin, count) in self.edges.windows(2).zip(counts) {
                if !can_draw(*count) || *count <= 0.0 {
                    continue;
                }
                let (from, to) = (plot.x.at(bin[0]), plot.x.at(bin[1]));
                let top = plot.y.at(*count);
                push(
                    &mut plot.out,
                    format_args!(
                        "<rect class=\"area p{}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}, {} to {}: {}</title></rect>",
                        at % COLOURS,
                        (to - from).max(0.5),
                        floor - top,
                        escape(name),
                        number(bin[0]),
                        number(bin[1]),
                        number(*count)
                    ),
                );
            }
        }
        if let Some(value) = self.mark {
            plot.mark(value);
        }
        let mut out = plot.closed();
        push_legend(
            &mut out,
            self.series.iter().map(|(name, _)| name.as_str()),
            &[],
            false,
        );
        Some(out)
    }
}
