//! Horizontal bars.

use super::super::escape::{escape, push, shortened};
use super::super::number::{number, share};
use super::Axis;
use super::plot::{CHARACTER_WIDTH, WIDTH, opened};
use super::scale::{Scale, can_draw, extent, ticks, widened};

/// The longest label of a bar.
const LONGEST_LABEL: usize = 24;
const ROW_HEIGHT: f64 = 26.0;
const VALUE_WIDTH: f64 = 62.0;

/// One bar of a [`BarChart`].
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    label: String,
    value: f64,
    interval: Option<(f64, f64)>,
    note: Option<String>,
}

impl Bar {
    /// A bar from 0 to `value`.
    pub fn new(label: impl Into<String>, value: f64) -> Self {
        Self {
            label: label.into(),
            value,
            interval: None,
            note: None,
        }
    }

    /// With a whisker.
    #[must_use]
    pub fn interval(mut self, low: f64, high: f64) -> Self {
        self.interval = Some((low, high));
        self
    }

    /// With a text that is shown when it is pointed at.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// Horizontal bars; see [`super::Figure::bars`].
#[derive(Debug, Clone, PartialEq)]
pub struct BarChart {
    pub(super) title: String,
    pub(super) about: Option<String>,
    x: Axis,
    bars: Vec<Bar>,
    level: Option<f64>,
}

impl BarChart {
    pub(super) fn new(title: impl Into<String>, x: Axis) -> Self {
        Self {
            title: title.into(),
            about: None,
            x,
            bars: Vec::new(),
            level: None,
        }
    }

    /// With one more bar below.
    #[must_use]
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bars.push(bar);
        self
    }

    /// With more bars below.
    #[must_use]
    pub fn all(mut self, bars: impl IntoIterator<Item = Bar>) -> Self {
        self.bars.extend(bars);
        self
    }

    /// With a dotted line at a value, such as a threshold or the value of all rows.
    #[must_use]
    pub fn mark(mut self, value: f64) -> Self {
        self.level = Some(value).filter(|v| can_draw(*v));
        self
    }

    pub(super) fn draw(&self, title: &str) -> Option<String> {
        let bars: Vec<&Bar> = self.bars.iter().filter(|b| can_draw(b.value)).collect();
        let ends = bars.iter().flat_map(|bar| {
            let (low, high) = bar.interval.unwrap_or((bar.value, bar.value));
            [bar.value, low, high]
        });
        let data = extent(ends.chain(self.level))?;
        // Bars begin at 0, or their lengths would lie; an axis that says otherwise shows a part of them.
        let range = widened(self.x.range.unwrap_or((data.0.min(0.0), data.1.max(0.0))));
        let longest = bars.iter().map(|b| b.label.chars().count()).max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a few characters and bars")]
        let (left, height) = (
            longest.min(LONGEST_LABEL) as f64 * CHARACTER_WIDTH + 10.0,
            bars.len() as f64 * ROW_HEIGHT + 46.0,
        );
        let (right, bottom) = (WIDTH - VALUE_WIDTH, height - 40.0);
        let scale = Scale::new(range, left, right);
        let mut out = opened(title, WIDTH, height);
        for (value, text) in ticks(range, 4, self.x.is_share) {
            let at = scale.at(value);
            push(
                &mut out,
                format_args!(
                    "<path class=\"grid\" d=\"M{at:.1} 2V{bottom:.1}\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    bottom + 16.0,
                    escape(&text)
                ),
            );
        }
        for (row, bar) in bars.iter().enumerate() {
            self.draw_bar(&mut out, bar, row, &scale, left);
        }
        let zero = scale.at(0.0);
        push(
            &mut out,
            format_args!("<path class=\"axis\" d=\"M{zero:.1} 2V{bottom:.1}\"/>"),
        );
        if let Some(level) = self.level {
            let at = scale.at(level);
            push(
                &mut out,
                format_args!("<path class=\"reference\" d=\"M{at:.1} 2V{bottom:.1}\"/>"),
            );
        }
        push(
            &mut out,
            format_args!(
                "<text class=\"name\" x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text></svg>",
                height - 6.0,
                escape(&shortened(&self.x.label, 60))
            ),
        );
        Some(out)
    }

    fn draw_bar(&self, out: &mut String, bar: &Bar, row: usize, scale: &Scale, left: f64) {
        #[expect(clippy::cast_precision_loss, reason = "a few bars")]
        let top = row as f64 * ROW_HEIGHT + 2.0;
        let (zero, end) = (scale.at(0.0), scale.at(bar.value));
        let (from, width) = (zero.min(end), (zero - end).abs());
        let class = if bar.value < 0.0 { "p1" } else { "p0" };
        let text = if self.x.is_share {
            share(bar.value)
        } else {
            number(bar.value)
        };
        push(out, format_args!("<g><title>{}: {text}", escape(&bar.label)));
        if let Some((low, high)) = bar.interval {
            push(out, format_args!(" ({} to {})", number(low), number(high)));
        }
        if let Some(note) = &bar.note {
            push(out, format_args!(", {}", escape(note)));
        }
        push(
            out,
            format_args!(
                "</title><text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"16\" rx=\"2\"/>\
                 <text class=\"value\" x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                left - 8.0,
                top + 16.5,
                escape(&shortened(&bar.label, LONGEST_LABEL)),
                top + 4.0,
                top + 16.5,
            ),
        );
        if let Some((low, high)) = bar.interval.filter(|(l, h)| can_draw(*l) && can_draw(*h)) {
            let (low, high, middle) = (scale.at(low), scale.at(high), top + 12.0);
            push(
                out,
                format_args!(
                    "<path class=\"whisker\" d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {:.1}v8M{high:.1} {:.1}v8\"/>",
                    middle - 4.0,
                    middle - 4.0
                ),
            );
        }
        out.push_str("</g>");
    }
}
