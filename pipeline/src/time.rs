//! Points in time as the protocol sees them: whole milliseconds, saturating.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This point and `duration` later; stays at the largest point instead of overflowing.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// `duration` in whole milliseconds, saturating.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC with milliseconds, for people.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The formatter below cannot show years past 9999; such a point is shown as a number.
        const END_OF_9999: u64 = 253_402_300_799_999;
        if self.0 > END_OF_9999 {
            return write!(f, "{} ms", self.0);
        }
        let at = std::time::UNIX_EPOCH + Duration::from_millis(self.0);
        f.pad(&humantime::format_rfc3339_millis(at).to_string())
    }
}

/// Durations as people write them: `90s`, `10m`, `7d`, `1h 30m`.
pub mod human {
    use super::Duration;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// What every duration matches; not all that matches has units that exist.
    #[cfg(feature = "schema")]
    pub(crate) const PATTERN: &str = r"^( *[0-9]+(\.[0-9]+)? *[A-Za-zµ]+)+ *$";

    /// Reads `10m` and the like.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|e| {
            D::Error::custom(format!(
                "{text:?} is no duration ({e}); write for example \"90s\", \"10m\", \"7d\""
            ))
        })
    }

    /// Writes `10m` and the like.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp(u64::MAX).plus(Duration::MAX), Timestamp(u64::MAX));
        assert_eq!(Timestamp(1).since(Timestamp(5)), Duration::ZERO);
        assert_eq!(Timestamp(5_000).since(Timestamp(1_000)), Duration::from_secs(4));
    }

    #[test]
    fn shows_utc_and_never_panics() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(u64::MAX).to_string(), format!("{} ms", u64::MAX));
    }
}
