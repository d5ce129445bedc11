//! Points over two axes.

use super::super::escape::{escape, push};
use super::plot::Plot;
use super::scale::{can_draw, extent};
use super::{Axis, COLOURS, push_legend};

/// Points over two axes; see [`super::Figure::scatter`].
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterPlot {
    pub(super) title: String,
    pub(super) about: Option<String>,
    x: Axis,
    y: Axis,
    clouds: Vec<(String, Vec<(f64, f64)>)>,
    shaded: Vec<(f64, f64, f64)>,
    shade_name: String,
    diagonal: Option<String>,
    mark: Option<f64>,
}

impl ScatterPlot {
    pub(super) fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            about: None,
            x,
            y,
            clouds: Vec::new(),
            shaded: Vec::new(),
            shade_name: String::new(),
            diagonal: None,
            mark: None,
        }
    }

    /// With more points, in a colour of their own.
    #[must_use]
    pub fn points(mut self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.clouds.push((name.into(), points.into_iter().collect()));
        self
    }

    /// With points whose colour runs from low (0) to high (1); those without (not finite) are grey. `name` says what
    /// is low or high. With an axis of labels and some jitter this is a beeswarm of attributions.
    #[must_use]
    pub fn shaded(
        mut self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64, f64)>,
    ) -> Self {
        self.shade_name = name.into();
        self.shaded.extend(points);
        self
    }

    /// With a dotted line where both axes have the same value.
    #[must_use]
    pub fn diagonal(mut self, name: impl Into<String>) -> Self {
        self.diagonal = Some(name.into());
        self
    }

    /// With a dotted line at a value of the x axis.
    #[must_use]
    pub fn mark(mut self, x: f64) -> Self {
        self.mark = Some(x).filter(|x| can_draw(*x));
        self
    }

    pub(super) fn draw(&self, title: &str, id: &str) -> Option<String> {
        let points = || {
            let clouds = self.clouds.iter().flat_map(|(_, points)| points.iter().copied());
            clouds
                .chain(self.shaded.iter().map(|(x, y, _)| (*x, *y)))
                .filter(|(x, y)| can_draw(*x) && can_draw(*y))
        };
        let x_range = extent(points().map(|p| p.0).chain(self.mark))?;
        let y_range = extent(points().map(|p| p.1))?;
        let mut plot = Plot::new(title, (&self.x, x_range), (&self.y, y_range));
        if self.diagonal.is_some() {
            plot.diagonal();
        }
        if let Some(x) = self.mark {
            plot.mark(x);
        }
        for (at, (_, cloud)) in self.clouds.iter().enumerate() {
            push(
                &mut plot.out,
                format_args!(
                    "<g class=\"p{}\" fill-opacity=\"0.45\" stroke=\"none\">",
                    at % COLOURS
                ),
            );
            for point in cloud.iter().filter(|(x, y)| can_draw(*x) && can_draw(*y)) {
                let (x, y) = plot.at(*point);
                push(
                    &mut plot.out,
                    format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.4\" stroke=\"none\"/>"),
                );
            }
            plot.out.push_str("</g>");
        }
        for (x, y, shade) in &self.shaded {
            if can_draw(*x) && can_draw(*y) {
                let (cx, cy) = plot.at((*x, *y));
                draw_shaded(&mut plot.out, cx, cy, *shade);
            }
        }
        let mut out = plot.closed();
        if !self.shaded.is_empty() {
            push(
                &mut out,
                format_args!(
                    "<ul class=\"legend\"><li>low <svg viewBox=\"0 0 22 10\" aria-hidden=\"true\"><defs><linearGradient id=\"{id}-g\">\
                     <stop offset=\"0\" class=\"lowstop\"/><stop offset=\"1\" class=\"highstop\"/></linearGradient></defs>\
                     <rect width=\"22\" height=\"10\" rx=\"2\" fill=\"url(#{id}-g)\"/></svg> high {}</li></ul>",
                    escape(&self.shade_name)
                ),
            );
        }
        let diagonal: Vec<&str> = self.diagonal.as_deref().into_iter().collect();
        push_legend(
            &mut out,
            self.clouds.iter().map(|(name, _)| name.as_str()),
            &diagonal,
            false,
        );
        Some(out)
    }
}

/// A point between two colours of the style: the one above the other, by its share. A style sheet knows light and
/// dark, a fixed mixture would not.
fn draw_shaded(out: &mut String, x: f64, y: f64, shade: f64) {
    if !shade.is_finite() {
        push(
            out,
            format_args!(
                "<circle class=\"p7\" stroke-width=\"0\" fill-opacity=\"0.6\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.3\"/>"
            ),
        );
        return;
    }
    let share = shade.clamp(0.0, 1.0);
    push(
        out,
        format_args!("<circle class=\"low\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.3\"/>"),
    );
    if share > 0.0 {
        push(
            out,
            format_args!(
                "<circle class=\"high\" fill-opacity=\"{share:.2}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.3\"/>"
            ),
        );
    }
}
