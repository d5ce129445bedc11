//! The frame of a figure with two axes.

use super::super::escape::{escape, push, shortened};
use super::Axis;
use super::scale::{Scale, ticks, widened};

/// Of every figure with two axes.
pub(super) const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;

/// What a character of a label takes, about: there is no font to ask.
pub(super) const CHARACTER_WIDTH: f64 = 7.0;

/// The longest label beside an axis.
pub(super) const LONGEST_LABEL: usize = 20;

/// A drawing with both its axes, ready for what is drawn within them.
pub(super) struct Plot {
    pub(super) out: String,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Plot {
    /// Draws the axes. The ranges are those of the data; what an axis says itself comes first.
    pub(super) fn new(
        title: &str,
        (x_axis, x_range): (&Axis, (f64, f64)),
        (y_axis, y_range): (&Axis, (f64, f64)),
    ) -> Self {
        let tilted = tilt_of(x_axis);
        let height = tilted
            + match y_axis.labels.len() {
                0 => HEIGHT,
                // A row of labels wants its own height.
                #[expect(clippy::cast_precision_loss, reason = "a few labels")]
                n => (n as f64 * 26.0 + 70.0).max(120.0),
            };
        let (x_range, y_range) = (range_of(x_axis, x_range), range_of(y_axis, y_range));
        let y_ticks = named(y_axis, y_range, 5);
        let longest = y_ticks.iter().map(|(_, t)| t.chars().count()).max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a few characters")]
        let left = (longest as f64 * CHARACTER_WIDTH + 10.0).clamp(24.0, WIDTH / 2.5);
        let (top, right, bottom) = (26.0, WIDTH - 14.0, height - 40.0 - tilted);
        let x = Scale::new(x_range, left, right);
        let y = Scale::new(y_range, bottom, top);
        let mut out = opened(title, WIDTH, height);
        for (value, text) in &y_ticks {
            let at = y.at(*value);
            push(
                &mut out,
                format_args!(
                    "<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    left - 6.0,
                    at + 4.0,
                    escape(text)
                ),
            );
        }
        for (value, text) in named(x_axis, x_range, 6) {
            let at = x.at(value);
            let place = match tilted > 0.0 {
                true => format!(
                    "transform=\"translate({:.1} {:.1}) rotate(-40)\" text-anchor=\"end\"",
                    at + 4.0,
                    bottom + 14.0
                ),
                false => format!("x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\"", bottom + 16.0),
            };
            push(
                &mut out,
                format_args!(
                    "<path class=\"grid\" d=\"M{at:.1} {top:.1}V{bottom:.1}\"/><text {place}>{}</text>",
                    escape(&text)
                ),
            );
        }
        push(
            &mut out,
            format_args!(
                "<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>\
                 <text class=\"name\" x=\"0\" y=\"12\">{}</text>\
                 <text class=\"name\" x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                escape(&shortened(&y_axis.label, 60)),
                height - 6.0,
                escape(&shortened(&x_axis.label, 60))
            ),
        );
        Self { out, x, y }
    }

    /// Both places of a point.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x.at(x), self.y.at(y))
    }

    /// A dotted line from the lower left to the upper right value that both axes have.
    pub(super) fn diagonal(&mut self) {
        let (x, y) = (self.x.range(), self.y.range());
        let (low, high) = (x.0.max(y.0), x.1.min(y.1));
        if low < high {
            let ((x1, y1), (x2, y2)) = (self.at((low, low)), self.at((high, high)));
            push(
                &mut self.out,
                format_args!("<path class=\"reference\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>"),
            );
        }
    }

    /// A dotted line at a value of the y axis.
    pub(super) fn level(&mut self, y: f64) {
        let (low, high) = self.x.range();
        let ((x1, at), (x2, _)) = (self.at((low, y)), self.at((high, y)));
        push(
            &mut self.out,
            format_args!("<path class=\"reference\" d=\"M{x1:.1} {at:.1}H{x2:.1}\"/>"),
        );
    }

    /// A dotted line at a value of the x axis.
    pub(super) fn mark(&mut self, x: f64) {
        let (low, high) = self.y.range();
        let ((at, y1), (_, y2)) = (self.at((x, low)), self.at((x, high)));
        push(
            &mut self.out,
            format_args!("<path class=\"reference\" d=\"M{at:.1} {y1:.1}V{y2:.1}\"/>"),
        );
    }

    pub(super) fn closed(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }
}

/// How much more height the labels below need because they do not fit side by side; 0 if they do.
#[expect(clippy::cast_precision_loss, reason = "a few labels")]
fn tilt_of(x: &Axis) -> f64 {
    let lengths = x
        .labels
        .iter()
        .map(|label| label.chars().count().min(LONGEST_LABEL));
    let longest = lengths.max().unwrap_or(0) as f64 * CHARACTER_WIDTH;
    // The axis takes about five sixths of the width.
    match longest * x.labels.len() as f64 > WIDTH / 1.2 {
        true => longest * 0.65,
        false => 0.0,
    }
}

/// The beginning of a drawing.
pub(super) fn opened(title: &str, width: f64, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    )
}

fn range_of(axis: &Axis, data: (f64, f64)) -> (f64, f64) {
    let said = axis
        .range
        .filter(|(low, high)| low.is_finite() && high.is_finite());
    #[expect(clippy::cast_precision_loss, reason = "a few labels")]
    let labelled = (!axis.labels.is_empty()).then(|| (-0.5, axis.labels.len() as f64 - 0.5));
    widened(said.or(labelled).unwrap_or(data))
}

/// What stands beside an axis, and where.
fn named(axis: &Axis, range: (f64, f64), wanted: usize) -> Vec<(f64, String)> {
    if axis.labels.is_empty() {
        return ticks(range, wanted, axis.is_share);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few labels")]
    axis.labels
        .iter()
        .enumerate()
        .map(|(at, label)| (at as f64, shortened(label, LONGEST_LABEL)))
        .collect()
}
