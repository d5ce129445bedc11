//! What was decided, and why.

use ml::report::{Cell, Section, Table, Tone};

use super::{Report, range, title};

impl Report<'_> {
    pub(super) fn verdict_section(&self) -> Section {
        let verdict = self.verdict;
        let tone = match (verdict.passed, verdict.promote) {
            (false, _) => Tone::Bad,
            (true, false) => Tone::Warning,
            (true, true) => Tone::Good,
        };
        let what = match (verdict.passed, verdict.promote) {
            (false, _) => "The run stops here: nothing is deployed.",
            (true, false) => "It is registered, and the champion stays.",
            (true, true) => "It may become the champion.",
        };
        let mut section =
            Section::new("Verdict").note(tone, format!("{}. {what}", sentence(&verdict.reason)));
        if !verdict.gates.is_empty() {
            let mut table = Table::new(["Gate", "Value", "Threshold", "Result"])
                .caption("What the winner must reach on test");
            for gate in &verdict.gates {
                let (text, tone) = match gate.passed {
                    true => ("passed", Tone::Good),
                    false => ("not passed", Tone::Bad),
                };
                table = table.row([
                    Cell::from(gate.name.as_str()),
                    Cell::optional(gate.value),
                    Cell::number(gate.threshold),
                    Cell::badge(text, tone),
                ]);
            }
            section = section.table(table);
        }
        if let Some(champion) = &verdict.champion {
            let difference = Cell::optional(champion.difference);
            let table = Table::new(["Champion", "Its value", "Winner", "Difference", "Result"])
                .caption(format!("{} on the same rows of test", title(verdict.metric)))
                .row([
                    Cell::from(champion.version.as_str()).note(format!("revision {}", champion.revision)),
                    Cell::optional(champion.value),
                    Cell::optional(champion.winner_value),
                    match champion.interval {
                        Some(interval) => difference.note(range(interval)),
                        None => difference,
                    },
                    match champion.passed {
                        true => Cell::badge("not worse", Tone::Good),
                        false => Cell::badge("not beaten", Tone::Warning),
                    },
                ]);
            section = section.table(table).text(
                "The interval is of the paired difference, at 95 %. If it holds 0, the rows do not tell the two apart.",
            );
        }
        section
    }
}

/// With a capital letter, as sentences begin.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
