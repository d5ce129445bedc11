//! What reads bytes of others, one function for each reader. The fuzzer (`fuzz/`) calls them with what it makes up, and
//! an ordinary test with every input that was kept (`fuzz/seeds`), so that what was found once stays mended.
//!
//! A function returns, whatever the bytes are. It panics where the reader does, and where what was read does not keep
//! what the reader promises: what is taken can be written and reads back the same.

mod learned;
mod messages;
mod sources;
mod specifications;

pub use learned::{package, program};
pub use messages::{envelope, intake, manifest};
pub use sources::{csv, ndjson, parquet};
pub use specifications::spec;

/// A reader, and how it is called with any bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also that of its binary in `fuzz/` and of its folder of seeds.
    pub name: &'static str,
    /// Reads the bytes.
    pub read: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target {
        name: "envelope",
        read: envelope,
    },
    Target {
        name: "spec",
        read: spec,
    },
    Target {
        name: "intake",
        read: intake,
    },
    Target {
        name: "manifest",
        read: manifest,
    },
    Target {
        name: "program",
        read: program,
    },
    Target {
        name: "package",
        read: package,
    },
    Target {
        name: "csv",
        read: csv,
    },
    Target {
        name: "ndjson",
        read: ndjson,
    },
    Target {
        name: "parquet",
        read: parquet,
    },
];
