//! Numbers in words.

use std::time::Duration;

use pipeline::Timestamp;

/// How long ago `at` was: `12s ago`.
pub fn ago(now: Timestamp, at: Timestamp) -> String {
    if at > now {
        return until(now, at);
    }
    format!("{} ago", coarse(now.since(at)))
}

/// How far off `at` is: `in 5m`; in the past as [`ago`].
pub fn until(now: Timestamp, at: Timestamp) -> String {
    if at <= now {
        return ago(now, at);
    }
    format!("in {}", coarse(at.since(now)))
}

/// Rounded, in the largest unit that fits twice: `90m`, not `1h` or `2h`.
fn coarse(duration: Duration) -> String {
    let seconds = duration.as_millis().saturating_add(500) / 1000;
    let rounded = |unit: u128| (seconds + unit / 2) / unit;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", rounded(60)),
        7_200..172_800 => format!("{}h", rounded(3_600)),
        _ => format!("{}d", rounded(86_400)),
    }
}

/// A measured duration: `350 ms`, `1.2 s`, `2m 05s`, `3h 10m`.
pub fn duration(duration: Duration) -> String {
    let (ms, seconds) = (duration.as_millis(), duration.as_secs());
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Bytes: `12 B`, `1.5 MiB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub fn size(size_bytes: u64) -> String {
    if size_bytes < 1024 {
        return format!("{size_bytes} B");
    }
    let (mut value, mut unit) = (size_bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    format!("{value:.1} {unit}")
}

/// A number and its noun: `1 run`, `3 runs`.
pub fn count(n: usize, noun: &str) -> String {
    let plural = match (n, noun.strip_suffix("ch")) {
        (1, _) => return format!("1 {noun}"),
        (_, Some(_)) => "es",
        (_, None) => "s",
    };
    format!("{n} {noun}{plural}")
}

/// `text` on one line and without control characters: what comes from messages, logs and errors must neither break
/// a table nor speak to the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative() {
        let now = Timestamp(1_000_000_000);
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "120m"),
            (7_200, "2h"),
            (172_799, "48h"),
            (172_800, "2d"),
            (604_700, "7d"),
        ] {
            assert_eq!(ago(now, Timestamp(now.0 - seconds * 1000)), format!("{text} ago"));
            if seconds > 0 {
                assert_eq!(
                    until(now, now.plus(Duration::from_secs(seconds))),
                    format!("in {text}")
                );
                assert_eq!(
                    ago(now, now.plus(Duration::from_secs(seconds))),
                    format!("in {text}")
                );
            }
        }
    }

    #[test]
    fn durations_and_sizes_have_units() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (59_900, "59.9 s"),
            (125_000, "2m 05s"),
            (11_400_000, "3h 10m"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(count(1, "branch"), "1 branch");
        assert_eq!(count(0, "branch"), "0 branches");
        assert_eq!(count(2, "run"), "2 runs");
    }

    #[test]
    fn t09_data_cannot_speak_to_the_terminal() {
        assert_eq!(printable("a\n\u{1b}[2Jb\tc\u{9b}"), "a \u{fffd}[2Jb c\u{fffd}");
    }
}
