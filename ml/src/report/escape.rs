//! Text in HTML and SVG.

use std::fmt::Write;

/// A text as it stands in HTML, in an element or in a quoted attribute. Control characters and those that turn the
/// direction of writing become the replacement character, so that a name cannot disguise what stands beside it.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The first `longest` characters of a text, with an ellipsis if that is not all.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => {
            let mut short: String = text.chars().take(longest.saturating_sub(1)).collect();
            short.push('\u{2026}');
            short
        }
    }
}

/// Adds formatted text. Writing to a `String` does not fail.
pub(super) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes every text");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_stay_text() {
        assert_eq!(
            escape("<script>alert('x')</script>\u{0}\u{202e}&\""),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\u{fffd}\u{fffd}&amp;&quot;"
        );
        assert_eq!(shortened("abcdef", 4), "abc\u{2026}");
        assert_eq!(shortened("äöü", 3), "äöü");
    }

    proptest! {
        #[test]
        fn t09_no_text_opens_a_tag_or_ends_an_attribute(text in "\\PC*|[\\x00-\\x7f]*") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
        }
    }
}
