//! Pages and their sections.

use super::Tone;
use super::escape::{escape, push};
use super::figure::Figure;
use super::table::{Table, push_badge};

const STYLE: &str = include_str!("style.css");

/// No script, no fetch, no form, no frame: only this page's own style.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A figure of the page's head: one number that people look for.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    label: String,
    value: String,
    note: Option<String>,
    tone: Tone,
}

impl Tile {
    /// A value and what it is.
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            value: value.into(),
            note: None,
            tone: Tone::Plain,
        }
    }

    /// With a smaller line below.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// With a tone.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a page has a few dozen blocks")]
enum Block {
    Text(String),
    Note(Tone, String),
    Table(Table),
    Folded(String, Table),
    Figure(Figure),
}

/// A part of a page, with a heading.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    title: String,
    blocks: Vec<Block>,
}

impl Section {
    /// With nothing in it.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    /// With one more paragraph.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(Block::Text(text.into()))
    }

    /// With one more paragraph that stands out.
    #[must_use]
    pub fn note(self, tone: Tone, text: impl Into<String>) -> Self {
        self.with(Block::Note(tone, text.into()))
    }

    /// With one more table.
    #[must_use]
    pub fn table(self, table: Table) -> Self {
        self.with(Block::Table(table))
    }

    /// With a table that is shown when `summary` is clicked.
    #[must_use]
    pub fn folded(self, summary: impl Into<String>, table: Table) -> Self {
        self.with(Block::Folded(summary.into(), table))
    }

    /// With one more figure. Figures that follow each other stand side by side where there is room.
    #[must_use]
    pub fn figure(self, figure: impl Into<Figure>) -> Self {
        self.with(Block::Figure(figure.into()))
    }

    /// True if it has nothing but its title.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn with(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    fn render(&self, out: &mut String, ordinal: usize) {
        push(
            out,
            format_args!("<section id=\"s{ordinal}\"><h2>{}</h2>", escape(&self.title)),
        );
        let mut in_figures = false;
        for (at, block) in self.blocks.iter().enumerate() {
            let is_figure = matches!(block, Block::Figure(_));
            if is_figure != in_figures {
                out.push_str(if is_figure {
                    "<div class=\"figures\">"
                } else {
                    "</div>"
                });
                in_figures = is_figure;
            }
            match block {
                Block::Text(text) => push(out, format_args!("<p>{}</p>", escape(text))),
                Block::Note(tone, text) => push(
                    out,
                    format_args!(
                        "<p class=\"note {}\"><b>{}</b>{}</p>",
                        tone.class(),
                        tone.sign(),
                        escape(text)
                    ),
                ),
                Block::Table(table) => table.render(out),
                Block::Folded(summary, table) => {
                    push(
                        out,
                        format_args!("<details><summary>{}</summary>", escape(summary)),
                    );
                    table.render(out);
                    out.push_str("</details>");
                }
                // Ids of a page's figures must differ: `aria-labelledby` refers to them.
                Block::Figure(figure) => figure.render(out, &format!("f{ordinal}-{at}")),
            }
        }
        if in_figures {
            out.push_str("</div>");
        }
        out.push_str("</section>\n");
    }
}

/// A report: one HTML file.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    title: String,
    subtitle: Option<String>,
    badge: Option<(String, Tone)>,
    tiles: Vec<Tile>,
    sections: Vec<Section>,
}

impl Page {
    /// With nothing but a title.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            subtitle: None,
            badge: None,
            tiles: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// With a line below the title.
    #[must_use]
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> Self {
        self.subtitle = Some(subtitle.into());
        self
    }

    /// With a mark beside the title, such as `passed`.
    #[must_use]
    pub fn badge(mut self, text: impl Into<String>, tone: Tone) -> Self {
        self.badge = Some((text.into(), tone));
        self
    }

    /// With one more of the numbers at the top.
    #[must_use]
    pub fn tile(mut self, tile: Tile) -> Self {
        self.tiles.push(tile);
        self
    }

    /// With one more section.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The file.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let title = escape(&self.title);
        push(
            &mut out,
            format_args!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
                 <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                 <meta name=\"color-scheme\" content=\"light dark\">\n\
                 <meta name=\"referrer\" content=\"no-referrer\">\n\
                 <title>{title}</title>\n<style>{STYLE}</style></head>\n<body><header><h1>{title}"
            ),
        );
        if let Some((text, tone)) = &self.badge {
            out.push(' ');
            push_badge(&mut out, text, *tone);
        }
        out.push_str("</h1>");
        if let Some(subtitle) = &self.subtitle {
            push(&mut out, format_args!("<p>{}</p>", escape(subtitle)));
        }
        self.render_navigation(&mut out);
        out.push_str("</header>\n<main>\n");
        self.render_tiles(&mut out);
        for (ordinal, section) in self.sections.iter().enumerate() {
            section.render(&mut out, ordinal);
        }
        out.push_str("</main>\n<footer>Written by fleetline.</footer></body></html>\n");
        out
    }

    fn render_navigation(&self, out: &mut String) {
        if self.sections.len() < 2 {
            return;
        }
        out.push_str("<nav aria-label=\"Sections\">");
        for (ordinal, section) in self.sections.iter().enumerate() {
            push(
                out,
                format_args!("<a href=\"#s{ordinal}\">{}</a>", escape(&section.title)),
            );
        }
        out.push_str("</nav>");
    }

    fn render_tiles(&self, out: &mut String) {
        if self.tiles.is_empty() {
            return;
        }
        out.push_str("<dl class=\"tiles\">");
        for tile in &self.tiles {
            push(
                out,
                format_args!(
                    "<div class=\"tile {}\"><dt>{}</dt><dd>{}",
                    tile.tone.class(),
                    escape(&tile.label),
                    escape(&tile.value)
                ),
            );
            if let Some(note) = &tile.note {
                push(out, format_args!("<small>{}</small>", escape(note)));
            }
            out.push_str("</dd></div>");
        }
        out.push_str("</dl>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Bar, Cell};
    use super::*;

    #[test]
    fn t09_nothing_that_is_handed_in_becomes_markup_and_nothing_is_fetched() {
        let bad = "<img src=x onerror=alert(1)>\"'&";
        let page = Page::new(bad)
            .subtitle(bad)
            .badge(bad, Tone::Bad)
            .tile(Tile::new(bad, bad).note(bad))
            .section(
                Section::new(bad)
                    .text(bad)
                    .note(Tone::Warning, bad)
                    .table(
                        Table::new([bad])
                            .caption(bad)
                            .row([Cell::from(bad).note(bad), Cell::badge(bad, Tone::Good)]),
                    )
                    .folded(bad, Table::new([bad]))
                    .figure(Figure::bars(bad, Axis::new(bad)).bar(Bar::new(bad, 1.0).note(bad)))
                    .figure(Figure::heatmap(bad, [bad], [bad], [[1.0]]))
                    .figure(
                        Figure::scatter(bad, Axis::new(bad), Axis::new(bad).labels([bad]))
                            .points(bad, [(0.0, 0.0)]),
                    ),
            )
            .section(Section::new(bad));
        let html = page.render();
        assert!(!html.contains("<img"));
        assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"));
        for forbidden in ["<script", "http:", "https:", "url(", "@import", "<link"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        assert!(html.contains(POLICY));
        assert_eq!(html, page.render());
    }

    #[test]
    fn figures_that_follow_each_other_share_a_row() {
        let figure = || Figure::bars("b", Axis::new("x")).bar(Bar::new("a", 1.0));
        let section = Section::new("s")
            .figure(figure())
            .figure(figure())
            .text("t")
            .figure(figure());
        let html = Page::new("p").section(section).render();
        assert_eq!(html.matches("class=\"figures\"").count(), 2);
        assert_eq!(html.matches("<div").count(), html.matches("</div>").count());
    }
}
