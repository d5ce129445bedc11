//! Specifications that nobody would write.

use proptest::prelude::*;

use super::sections::FULL;
use crate::spec::load::*;

/// `FULL` with some of its lines left out, put twice, exchanged or spoilt.
fn spoilt() -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..5_u8,
        "[ -~äß]{0,12}",
    );
    prop::collection::vec(edit, 0..12).prop_map(|edits| {
        let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
        for (at, other, how, text) in edits {
            if lines.is_empty() {
                break;
            }
            let at = at.index(lines.len());
            match how {
                0 => {
                    lines.remove(at);
                }
                1 => {
                    let line = lines[other.index(lines.len())].clone();
                    lines.insert(at, line);
                }
                2 => {
                    let other = other.index(lines.len());
                    lines.swap(at, other);
                }
                3 => {
                    if let Some((key, _)) = lines[at].clone().split_once('=') {
                        lines[at] = format!("{key}= {text:?}");
                    }
                }
                _ => lines[at].push_str(&text),
            }
        }
        lines.join("\n")
    })
}

proptest! {
    /// Whatever loads has a plan, nothing to be said against it, and reads back from its canonical form; whatever does
    /// not is told in lines that are there.
    #[test]
    fn what_loads_can_be_stored_and_what_does_not_is_told(text in spoilt()) {
        match load(&text, &Overrides::new()) {
            Ok(spec) => {
                prop_assert!(spec.plan().is_ok());
                prop_assert_eq!(spec.check(), Vec::new());
                let back = Spec::from_canonical(&spec.canonical());
                prop_assert_eq!(back.ok(), Some(spec));
            }
            Err(problems) => {
                prop_assert!(!problems.0.is_empty());
                let lines = text.lines().count();
                for problem in problems.0 {
                    prop_assert!(problem.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{problem}");
                    prop_assert!(!problem.message.is_empty());
                }
            }
        }
    }
}
