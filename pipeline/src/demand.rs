//! What work takes, estimated before it is done.

use serde::{Deserialize, Serialize};

use crate::queue_name::MemoryClass;

/// What one attempt takes, as its stage estimates it from the tables that it reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Demand {
    /// Its largest resident memory.
    pub memory_bytes: u64,
    /// What lies in its scratch folder at once: what it reads, and what it writes.
    pub scratch_bytes: u64,
    /// What it was estimated from, and which memory class that asked for; for people. At most
    /// [`Demand::MAX_REASON_BYTES`].
    pub reason: String,
}

impl Demand {
    /// The longest reason: it bounds the item's size.
    pub const MAX_REASON_BYTES: usize = 200;
}

/// Where a step begins: in which memory class, and what it is estimated to take there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Placement {
    /// The class in whose queue its message goes.
    pub class: MemoryClass,
    /// What it is estimated to take; none if there was nothing to estimate it from.
    pub demand: Option<Demand>,
}
