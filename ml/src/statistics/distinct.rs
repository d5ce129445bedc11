//! How many different texts there are: exactly up to a limit, and by the k smallest hashes beyond it (Bar-Yossef,
//! Jayram, Kumar, Sivakumar and Trevisan, "Counting distinct elements in a data stream", RANDOM 2002).

use std::collections::BTreeSet;

use super::Distinct;

/// Up to so many different values are counted; the standard error of the estimate beyond is 1 / √k.
pub(crate) const K: usize = 10_000;

/// Counts different values by their hashes.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    smallest: BTreeSet<u64>,
}

impl Counter {
    /// Notes a value.
    pub(crate) fn add(&mut self, text: &[u8]) {
        let hash = hash(text);
        if self.smallest.len() < K {
            self.smallest.insert(hash);
        } else if self.smallest.last().is_some_and(|largest| hash < *largest) && self.smallest.insert(hash) {
            self.smallest.pop_last();
        }
    }

    /// How many there are.
    pub(crate) fn distinct(&self) -> Distinct {
        match self.smallest.last() {
            Some(largest) if self.smallest.len() == K => Distinct {
                // The k-th smallest of n uniform hashes lies at about k / n of their range.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "an estimate"
                )]
                count: ((K as f64 - 1.0) / (*largest as f64 / u64::MAX as f64)).round() as u64,
                exact: false,
            },
            _ => Distinct {
                count: self.smallest.len() as u64,
                exact: true,
            },
        }
    }
}

/// FNV-1a, mixed by the finaliser of SplitMix64 so that all bits are uniform.
fn hash(text: &[u8]) -> u64 {
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(values: u32) -> Distinct {
        let mut counter = Counter::default();
        for _ in 0..2 {
            for i in 0..values {
                counter.add(format!("value {i}").as_bytes());
            }
        }
        counter.distinct()
    }

    #[test]
    fn counts_exactly_and_estimates_beyond() {
        assert_eq!(
            count(0),
            Distinct {
                count: 0,
                exact: true
            }
        );
        assert_eq!(
            count(9_999),
            Distinct {
                count: 9_999,
                exact: true
            }
        );
        let many = count(200_000);
        assert!(!many.exact);
        assert!(
            (194_000..=206_000).contains(&many.count),
            "three standard errors: {many:?}"
        );
    }
}
