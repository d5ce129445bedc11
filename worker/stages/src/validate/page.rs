//! What validation found, as people see it.

use ml::report::{Axis, Bar, Cell, Figure, Page, Section, Table, Tile, Tone, count, number};
use ml::statistics::{LARGE_PSI, SMALL_PSI};
use pipeline::spec::stages::OnFailure;

use super::report::{Move, Report, RuleResult};

/// The most columns of a figure; the table has all.
const MAX_BARS: usize = 20;

/// The file. `reasons` are why the run stops, if it does.
pub(super) fn render(report: &Report, reasons: &[String]) -> String {
    let broken = report.rules.iter().filter(|rule| rule.failed > 0).count();
    let mut page = Page::new("Data")
        .subtitle(format!(
            "{} rules on {} rows of train, validation and test",
            report.rules.len(),
            rows(report.rows)
        ))
        .badge(
            if report.passed { "passed" } else { "halted" },
            if report.passed { Tone::Good } else { Tone::Bad },
        )
        .tile(
            Tile::new("rules broken", count(broken)).tone(match (broken, report.passed) {
                (0, _) => Tone::Good,
                (_, true) => Tone::Warning,
                (_, false) => Tone::Bad,
            }),
        )
        .tile(Tile::new("rows put aside", rows(report.quarantined)));
    if !reasons.is_empty() {
        let mut section = Section::new("Why it stops");
        for reason in reasons {
            section = section.note(Tone::Bad, reason.as_str());
        }
        page = page.section(section);
    }
    page = page.section(rules(&report.rules));
    page = page.section(match &report.champion {
        Some(version) => moves(
            "Drift",
            &format!("How far train has moved from the training data of the champion, version {version}, by the population stability index."),
            &report.drift,
        ),
        None => Section::new("Drift").text("There is no champion yet, so there is nothing to compare with."),
    });
    page.section(moves(
        "Skew",
        "How far validation and test are from train, by the population stability index.",
        &report.skew,
    ))
    .render()
}

fn rows(n: u64) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX))
}

fn rules(rules: &[RuleResult]) -> Section {
    let mut table = Table::new(["Rule", "Verdict", "Broken by", "Of", "More"]);
    for rule in rules {
        let verdict = match (rule.failed, rule.severity) {
            (0, _) => Cell::badge("holds", Tone::Good),
            (_, OnFailure::Stop) => Cell::badge("broken", Tone::Bad),
            (_, OnFailure::Quarantine) => Cell::badge("rows put aside", Tone::Warning),
            (_, OnFailure::Warn) => Cell::badge("broken", Tone::Warning),
        };
        let named: Vec<String> = rule
            .examples
            .iter()
            .map(|example| format!("{} {}", example.split, example.row))
            .collect();
        let more = match (&rule.detail, named.is_empty()) {
            (Some(detail), _) => Cell::from(detail.clone()),
            (None, false) => Cell::from(format!("rows: {}, …", named.join(", "))),
            (None, true) => Cell::none(),
        };
        table = table.row([
            Cell::from(rule.id.clone()),
            verdict,
            Cell::right(rows(rule.failed)),
            Cell::right(rows(rule.checked)),
            more,
        ]);
    }
    Section::new("Rules").table(table)
}

fn moves(title: &str, about: &str, moves: &[Move]) -> Section {
    let section = Section::new(title).text(format!(
        "{about} Below {SMALL_PSI} a move is small, from {LARGE_PSI} on it is large."
    ));
    if moves.is_empty() {
        return section.text("No column could be compared.");
    }
    let mut sorted: Vec<&Move> = moves.iter().collect();
    sorted.sort_by(|a, b| b.psi.total_cmp(&a.psi).then(a.column.cmp(&b.column)));
    let bars = sorted
        .iter()
        .take(MAX_BARS)
        .map(|m| Bar::new(format!("{} ({})", m.column, m.split), m.psi));
    let mut table = Table::new(["Column", "Split", "PSI", "Verdict"]);
    for m in &sorted {
        table = table.row([
            Cell::from(m.column.clone()),
            Cell::from(m.split.clone()),
            Cell::right(number(m.psi)),
            match m.severity {
                None => Cell::badge("small", Tone::Good),
                Some(OnFailure::Stop) => Cell::badge("stops", Tone::Bad),
                Some(OnFailure::Warn | OnFailure::Quarantine) => Cell::badge("moved", Tone::Warning),
            },
        ]);
    }
    section
        .figure(Figure::bars("The largest moves", Axis::new("PSI")).all(bars))
        .folded("All columns", table)
}
