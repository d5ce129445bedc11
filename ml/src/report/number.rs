//! Numbers as people read them.

/// Stands for a number that there is not.
pub(super) const NO_NUMBER: &str = "\u{2013}";

/// A number with about four significant digits: `0.7862`, `12.31`, `1,204`, `3.2e-7`; whole ones without decimals. An en dash if it is not finite.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return NO_NUMBER.to_owned();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e9).contains(&size) {
        return minus(&format!("{value:.2e}"));
    }
    let decimals = match size {
        s if s.fract() == 0.0 => 0,
        s if s < 0.001 => 6,
        s if s < 10.0 => 4,
        s if s < 100.0 => 2,
        s if s < 1000.0 => 1,
        _ => 0,
    };
    grouped(value, decimals)
}

/// A share as per cent: `0.231` is `23.1 %`.
pub fn share(value: f64) -> String {
    if !value.is_finite() {
        return NO_NUMBER.to_owned();
    }
    format!("{}\u{a0}%", grouped(value * 100.0, 1))
}

/// A number of things, in groups of three digits: `67,000`.
pub fn count(things: usize) -> String {
    group(&things.to_string())
}

/// A number with this many decimals, grouped.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(w, r)| (w, Some(r)));
    let mut out = String::new();
    if value < 0.0 && text.contains(|c: char| c.is_ascii_digit() && c != '0') {
        out.push('\u{2212}');
    }
    out.push_str(&group(whole));
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// With the sign that is as wide as a plus.
pub(super) fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_size() {
        let cases = [
            (0.0, "0"),
            (0.786_24, "0.7862"),
            (-12.305, "\u{2212}12.30"),
            (1203.6, "1,204"),
            (500.0, "500"),
            (1_234_567.0, "1,234,567"),
            (3.2e-7, "3.20e\u{2212}7"),
            (6.02e23, "6.02e23"),
            (f64::NAN, "\u{2013}"),
            (f64::INFINITY, "\u{2013}"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(share(0.2314), "23.1\u{a0}%");
        assert_eq!(count(67_000), "67,000");
        assert_eq!(count(999), "999");
        assert_eq!(grouped(-0.001, 1), "0.0");
    }
}
