//! A simulation as a picture: three panels over one axis of time, in the colours of the reports.

use std::fmt::Write as _;

use super::chart::{Spans, clock, tick};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 16.0;
const PANEL: f64 = 120.0;
const GAP: f64 = 46.0;
const TOP: f64 = 54.0;

/// The colours are those of `ml/src/report/style.css`, by day and by night.
const STYLE: &str = "\
:root{--page:#fff;--text:#17202c;--soft:#5b6675;--grid:#e8ebf0;--a:#2558d3;--b:#c2410c;--c:#0f766e}\
@media (prefers-color-scheme:dark){:root{--page:#171e28;--text:#e7ecf3;--soft:#9aa7b8;--grid:#243040;--a:#7ea6ff;--b:#ff9b63;--c:#4fd1bd}}\
text{font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,Arial,sans-serif;fill:var(--soft)}\
.title{font-size:15px;font-weight:650;fill:var(--text)}.name{font-weight:600;fill:var(--text)}\
.grid{stroke:var(--grid)}.line{fill:none;stroke-width:1.6}.area{opacity:.14;stroke:none}";

struct Panel<'a> {
    name: &'a str,
    colour: &'a str,
    values: Vec<Option<f64>>,
    /// A second line, dashed.
    beside: Option<&'a [f64]>,
}

/// The picture, as SVG.
pub fn draw(title: &str, about: &str, spans: &Spans) -> String {
    let some = |values: &[f64]| values.iter().copied().map(Some).collect();
    let panels = [
        Panel {
            name: "messages that wait",
            colour: "var(--b)",
            values: some(&spans.waiting),
            beside: None,
        },
        Panel {
            name: "tasks that run (dashed: wanted)",
            colour: "var(--a)",
            values: some(&spans.running),
            beside: Some(&spans.desired),
        },
        Panel {
            name: "wait by time of arrival, p95, seconds",
            colour: "var(--c)",
            values: spans.wait_p95.clone(),
            beside: None,
        },
    ];
    let height = TOP + 3.0 * (PANEL + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\">\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"var(--page)\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"24\">{0}</text>\n<text x=\"{LEFT}\" y=\"42\">{1}</text>\n",
        escaped(title),
        escaped(about),
    );
    for (nth, panel) in (0_u8..).zip(&panels) {
        let top = TOP + f64::from(nth) * (PANEL + GAP) + 22.0;
        panel.draw(&mut svg, top, spans);
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel<'_> {
    fn draw(&self, svg: &mut String, top: f64, spans: &Spans) {
        let beside = self.beside.unwrap_or_default().iter().copied();
        let most = self
            .values
            .iter()
            .flatten()
            .copied()
            .chain(beside)
            .fold(0.0, f64::max);
        let scale = nice(most);
        let right = WIDTH - RIGHT;
        let y = |value: f64| top + PANEL * (1.0 - value / scale);
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing to a text does not fail.
            let _ = svg.write_fmt(text);
            svg.push('\n');
        };
        line(format_args!(
            "<text class=\"name\" x=\"{LEFT}\" y=\"{}\">{}</text>",
            top - 8.0,
            escaped(self.name)
        ));
        for part in [0.0, 0.5, 1.0] {
            let (at, label) = (y(part * scale), tick(part * scale));
            line(format_args!(
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>"
            ));
            line(format_args!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                at + 4.0
            ));
        }
        let all = spans.length.saturating_mul(self.values.len() as u64);
        for (part, anchor) in [
            (0_u64, "start"),
            (1, "middle"),
            (2, "middle"),
            (3, "middle"),
            (4, "end"),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "0 to 4")]
            let x = LEFT + (right - LEFT) * part as f64 / 4.0;
            let label = clock(all / 4 * part);
            let below = top + PANEL + 15.0;
            line(format_args!(
                "<text x=\"{x:.1}\" y=\"{below:.1}\" text-anchor=\"{anchor}\">{label}</text>"
            ));
        }
        #[expect(clippy::cast_precision_loss, reason = "a few hundred columns")]
        let step = (right - LEFT) / self.values.len().max(1) as f64;
        let path = |values: &mut dyn Iterator<Item = Option<f64>>| {
            let (mut path, mut is_down) = (String::new(), false);
            for (nth, value) in (0_u32..).zip(values) {
                let (from, to) = (LEFT + step * f64::from(nth), LEFT + step * f64::from(nth + 1));
                let Some(value) = value else {
                    is_down = false;
                    continue;
                };
                let mark = if is_down { 'L' } else { 'M' };
                let _ = write!(path, "{mark}{from:.1} {0:.1}H{to:.1}", y(value));
                is_down = true;
            }
            path
        };
        let colour = self.colour;
        let main = path(&mut self.values.iter().copied());
        if self.values.iter().all(Option::is_some) {
            let floor = y(0.0);
            line(format_args!(
                "<path class=\"area\" fill=\"{colour}\" d=\"{main}V{floor:.1}H{LEFT}Z\"/>"
            ));
        }
        line(format_args!(
            "<path class=\"line\" stroke=\"{colour}\" d=\"{main}\"/>"
        ));
        if let Some(beside) = self.beside {
            let path = path(&mut beside.iter().copied().map(Some));
            line(format_args!(
                "<path class=\"line\" stroke=\"var(--soft)\" stroke-dasharray=\"4 3\" d=\"{path}\"/>"
            ));
        }
    }
}

/// The next of 1, 2, 5, 10, … that holds the value.
fn nice(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let ten = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|n| n * ten)
        .find(|n| *n >= most)
        .unwrap_or(most)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_hold_their_values_and_no_markup_of_others() {
        let spans = Spans {
            length: 60_000_000,
            waiting: vec![0.0, 3.0],
            running: vec![1.0, 2.0],
            desired: vec![1.0, 5.0],
            wait_p95: vec![None, Some(90.0)],
        };
        let svg = draw("a <b> & \"c\"", "x", &spans);
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !svg.contains("<b>"));
        assert_eq!(svg.matches("class=\"line\"").count(), 4);
        // A panel's whole height is 120 from 76, 242 and 408; waits reach 90 of 100.
        assert!(svg.contains("M457.0 420.0H844.0"), "{svg}");
        for (most, wanted) in [(0.0, 1.0), (1.0, 1.0), (3.0, 4.0), (90.0, 100.0), (0.03, 0.04)] {
            assert!((nice(most) - wanted).abs() < 1e-9, "{most}");
        }
    }
}
