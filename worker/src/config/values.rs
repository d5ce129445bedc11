//! What settings can be: each reads its text in one place, for flags, variables and files alike.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// A text that is no value of the setting that it is meant for; says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub(super) String);

/// Has serde read what `FromStr` reads.
macro_rules! read_from_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = InvalidValue;
            fn try_from(text: String) -> Result<Self, InvalidValue> {
                text.parse()
            }
        }
    )*};
}

read_from_text!(
    Durability,
    Span,
    ByteSize,
    BuildName,
    MetricsAddr,
    LogFormat,
    LogFilter
);

/// A list of texts, separated by commas; in a file a list of them, or a text as elsewhere.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of texts, as [\"/data\", \"/srv/exports\"]"
)]
enum ListText {
    One(String),
    List(Vec<String>),
}

/// Declares a list that is read so, each of its members by a function.
macro_rules! list {
    ($(#[$meta:meta])* $name:ident($member:ty), $read:path) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "ListText")]
        pub struct $name(pub Vec<$member>);

        impl TryFrom<ListText> for $name {
            type Error = InvalidValue;
            fn try_from(text: ListText) -> Result<Self, InvalidValue> {
                match text {
                    ListText::One(text) => text.parse(),
                    ListText::List(members) => Ok(Self(members.iter().map(|m| $read(m)).collect::<Result<_, _>>()?)),
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;
            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                match text {
                    "" => Ok(Self(Vec::new())),
                    text => Ok(Self(text.split(',').map($read).collect::<Result<_, _>>()?)),
                }
            }
        }
    };
}

list!(
    /// Folders.
    Folders(PathBuf),
    folder
);
list!(
    /// Buckets, or parts of them.
    Buckets(String),
    bucket
);

impl Default for Folders {
    /// The working directory.
    fn default() -> Self {
        Self(vec![PathBuf::from(".")])
    }
}

impl Default for Buckets {
    /// None.
    fn default() -> Self {
        Self(Vec::new())
    }
}

fn folder(text: &str) -> Result<PathBuf, InvalidValue> {
    match text {
        "" => Err(InvalidValue(
            "a folder's name is empty; write for example /data,/srv/exports".into(),
        )),
        folder => Ok(PathBuf::from(folder)),
    }
}

fn bucket(text: &str) -> Result<String, InvalidValue> {
    match text.strip_prefix("s3://") {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err(InvalidValue(format!(
            "{text:?} is no bucket; write for example s3://exports,s3://lake/flights"
        ))),
    }
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Durability {
    /// Until a power cut cannot undo it.
    #[default]
    Full,
    /// Until a crash of the process cannot undo it.
    Normal,
}

impl FromStr for Durability {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "full" => Ok(Self::Full),
            "normal" => Ok(Self::Normal),
            _ => Err(InvalidValue(format!(
                "{text:?} is no durability; write full or normal"
            ))),
        }
    }
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        humantime::parse_duration(text).map(Self).map_err(|e| {
            InvalidValue(format!(
                "{text:?} is no duration ({e}); write for example 90s, 10m, 1h 30m"
            ))
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A size of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 11] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
    ("", 1),
];

impl FromStr for ByteSize {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let size = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim())
            .map(|(_, size)| *size);
        number
            .parse::<u64>()
            .ok()
            .zip(size)
            .and_then(|(n, size)| n.checked_mul(size))
            .map(Self)
            .ok_or_else(|| {
                InvalidValue(format!(
                    "{text:?} is no size; write a whole number and a unit, for example 512MiB, 12GiB, 4GB"
                ))
            })
    }
}

/// In the largest unit of which it is a whole number, and at least ten.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS[..4].iter().rev().find(|(_, size)| self.0 >= size * 10);
        match unit {
            Some((name, size)) => write!(f, "{}{name}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// What a build is called: 1 to 64 letters, digits, and `.`, `_`, `-`, `+`, which is all that tags of images are made of,
/// and more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BuildName(pub String);

impl FromStr for BuildName {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        if (1..=64).contains(&text.len()) && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue(format!(
            "{text:?} is no name of a build; write 1 to 64 of a-z, A-Z, 0-9, \".\", \"_\", \"-\" and \"+\""
        )))
    }
}

/// Where metrics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MetricsAddr {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl MetricsAddr {
    /// On loopback, at the port that pools are scraped at.
    pub const DEFAULT: Self = Self::At(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9464)));

    /// The address, if there is one.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for MetricsAddr {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            InvalidValue(format!(
                "{text:?} is no address; write an IP address and a port, for example 127.0.0.1:9464 or [::1]:0, or off"
            ))
        })
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(InvalidValue(format!(
                "{text:?} is no log format; write auto, text or json"
            ))),
        }
    }
}

/// Which log lines there are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct LogFilter(Targets);

impl LogFilter {
    /// For the subscriber.
    pub fn targets(&self) -> Targets {
        self.0.clone()
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO))
    }
}

impl FromStr for LogFilter {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let invalid = || {
            InvalidValue(format!(
                "{text:?} is no log filter; write a level (off, error, warn, info, debug, trace), or levels by module as in info,worker=debug"
            ))
        };
        // A word alone would be taken for a module: `inof` would then silence everything.
        let is_clear = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
        if !text.split(',').all(is_clear) {
            return Err(invalid());
        }
        text.parse().map(Self).map_err(|_| invalid())
    }
}
