//! Randomness that follows from a seed.

use std::sync::atomic::{AtomicU64, Ordering};

use pipeline::ports::Random;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). Equal seeds give
/// equal numbers.
#[derive(Debug)]
pub struct Seeded(AtomicU64);

/// Bits that depend on every bit of `word`.
pub(crate) fn mixed(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Seeded {
    /// The generator of `seed` for one `purpose`: what one purpose draws moves no other's numbers.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(AtomicU64::new(mixed(seed ^ mixed(purpose.wrapping_add(STEP)))))
    }

    /// 64 random bits.
    pub fn next(&self) -> u64 {
        // Relaxed: a simulation has one thread; the atomic only makes it `Sync`, which the port wants.
        let state = self.0.fetch_add(STEP, Ordering::Relaxed);
        mixed(state.wrapping_add(STEP))
    }

    /// A number in `0..bound`; 0 if the bound is 0.
    pub fn below(&self, bound: u64) -> u64 {
        (self as &dyn Random).below(bound)
    }

    /// A number in `from..=to`.
    pub fn between(&self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// True with a chance of `n` in `of`.
    pub fn chance(&self, n: u64, of: u64) -> bool {
        self.below(of) < n
    }

    /// One of them.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        let at = self.below(u64::try_from(of.len()).unwrap_or(u64::MAX));
        &of[usize::try_from(at).unwrap_or(0)]
    }
}

impl Random for Seeded {
    fn u64(&self) -> u64 {
        self.next()
    }
}
