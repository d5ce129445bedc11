//! An order of rows that depends on their content only, and hashes of content that stay the same for ever.

use polars::prelude::*;

/// Mixes 64 bits so that each depends on all: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014).
pub(crate) fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A missing value.
const MISSING: u64 = 0x9e37_79b9_7f4a_7c15;

/// FNV-1a with 64 bits (Fowler, Noll and Vo).
fn text_bits(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Whole numbers have the same bits whether their column holds fractions or not: a row must not move because another
/// row made the column wider.
fn float_bits(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        (value as i64).cast_unsigned()
    } else if value.is_nan() {
        MISSING
    } else {
        value.to_bits()
    }
}

/// As [`float_bits`], of the number with about 12 digits: the last ones depend on the order in which numbers were added
/// up.
fn steady_bits(value: f64) -> u64 {
    /// The bits of the significand that are rounded away; 40 are left.
    const ROUNDED: u64 = 1 << 12;
    if value.is_nan() || value.fract() == 0.0 {
        return float_bits(value);
    }
    let bits = value.to_bits() + ROUNDED / 2;
    float_bits(f64::from_bits(bits - bits % ROUNDED))
}

/// One hash for each row over the values of these columns, in their order. The types are those of
/// [`super::columns`].
pub(crate) fn row_hashes(frame: &DataFrame, columns: &[String], seed: u64) -> PolarsResult<Vec<u64>> {
    hashes(frame, columns, seed, float_bits)
}

/// As [`row_hashes`], without the last digits of fractions: a row keeps its hash where a sum or a mean in it was
/// computed in another order. Only a number at the edge between two rounded ones may still change it.
pub(crate) fn steady_hashes(frame: &DataFrame, columns: &[String], seed: u64) -> PolarsResult<Vec<u64>> {
    hashes(frame, columns, seed, steady_bits)
}

fn hashes(
    frame: &DataFrame,
    columns: &[String],
    seed: u64,
    float_bits: fn(f64) -> u64,
) -> PolarsResult<Vec<u64>> {
    let mut hashes = vec![mix(seed ^ MISSING); frame.height()];
    for name in columns {
        let column = frame.column(name)?.as_materialized_series();
        let mut add = |row: usize, bits: Option<u64>| {
            hashes[row] = mix(hashes[row].rotate_left(23) ^ mix(bits.map_or(MISSING, |b| b.wrapping_add(1))));
        };
        match column.dtype() {
            DataType::Boolean => column
                .bool()?
                .iter()
                .enumerate()
                .for_each(|(i, v)| add(i, v.map(u64::from))),
            DataType::String => {
                column
                    .str()?
                    .iter()
                    .enumerate()
                    .for_each(|(i, v)| add(i, v.map(|t| text_bits(t.as_bytes()))));
            }
            DataType::Float64 => column
                .f64()?
                .iter()
                .enumerate()
                .for_each(|(i, v)| add(i, v.map(float_bits))),
            _ => {
                let whole = column.cast(&DataType::Int64)?;
                whole
                    .i64()?
                    .iter()
                    .enumerate()
                    .for_each(|(i, v)| add(i, v.map(i64::cast_unsigned)));
            }
        }
    }
    Ok(hashes)
}

/// The rows ordered by `first` if given, and by a hash of 128 bits of all their values: the same rows give the same
/// order, however they came about. Rows that are equal in all are interchangeable. The last digits of fractions only
/// decide between rows that are otherwise equal.
pub(crate) fn by_content(frame: &DataFrame, first: Option<&[i64]>) -> PolarsResult<Vec<IdxSize>> {
    let names: Vec<String> = frame.get_column_names().iter().map(|n| n.to_string()).collect();
    let (high, low) = (steady_hashes(frame, &names, 1)?, row_hashes(frame, &names, 2)?);
    let mut order: Vec<IdxSize> = indices(frame.height());
    order.sort_unstable_by_key(|i| {
        let i = *i as usize;
        (first.map_or(0, |keys| keys[i]), high[i], low[i])
    });
    Ok(order)
}

/// The rows ordered by `first`, equal ones as they are.
pub(crate) fn by_keys(keys: &[i64]) -> Vec<IdxSize> {
    let mut order = indices(keys.len());
    order.sort_by_key(|i| keys[*i as usize]);
    order
}

/// 0, 1, 2 …
pub(crate) fn indices(rows: usize) -> Vec<IdxSize> {
    #[expect(clippy::cast_possible_truncation, reason = "a frame has at most 2^32 rows")]
    (0..rows).map(|i| i as IdxSize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> DataFrame {
        df!(
            "n" => [Some(3i64), None, Some(1), Some(3)],
            "t" => [Some("x"), Some(""), None, Some("x")],
            "f" => [1.5, f64::NAN, -2.0, 1.5],
        )
        .expect("a frame")
    }

    #[test]
    fn the_order_depends_on_the_rows_only() {
        let frame = frame();
        let ordered = |frame: &DataFrame| {
            let order = by_content(frame, None).expect("orders");
            frame.take(&IdxCa::from_vec("".into(), order)).expect("takes")
        };
        let one = ordered(&frame);
        let moved = frame
            .take(&IdxCa::from_vec("".into(), vec![2, 0, 3, 1]))
            .expect("takes");
        assert!(one.equals_missing(&ordered(&moved)));
        let keys = [2, 1, 2, 0];
        assert_eq!(by_keys(&keys), [3, 1, 0, 2]);
        assert_eq!(by_content(&frame, Some(&keys)).expect("orders")[..2], [3, 1]);
    }

    /// Written down once: rows must not move between splits from one version to the next.
    #[test]
    fn known_hashes() {
        let names: Vec<String> = ["n", "t", "f"].map(String::from).to_vec();
        let hashes = row_hashes(&frame(), &names, 0).expect("hashes");
        assert_eq!(hashes[0], hashes[3]);
        assert_eq!(
            format!("{:016x} {:016x}", hashes[0], hashes[1]),
            "6774cf17ee042c31 6773dfd5e2f1717d"
        );
    }

    #[test]
    fn the_last_digits_of_a_fraction_do_not_move_a_row() {
        let base = [0.1, 1.0 / 3.0, -2.7e-9, 6.02e23, 7.0, 0.0];
        let nudged = base.map(|x| {
            if x == 0.0 {
                x
            } else {
                x * (1.0 + 4.0 * f64::EPSILON)
            }
        });
        let of = |values: &[f64]| {
            let frame = df!("a" => values).expect("a frame");
            let order = by_content(&frame, None).expect("orders");
            (
                steady_hashes(&frame, &["a".to_owned()], 0).expect("hashes"),
                order,
            )
        };
        let ((hashes, order), (moved, order_moved)) = (of(&base), of(&nudged));
        assert_eq!((&hashes[..3], &hashes[5]), (&moved[..3], &moved[5]));
        assert_eq!(order.len(), order_moved.len());
        let digits = of(&[0.123_456_789_01, 0.123_456_789_02, f64::NAN, f64::INFINITY]).0;
        assert!(digits.iter().collect::<std::collections::BTreeSet<_>>().len() == 4);
        // Rows that differ in their last digits only have an order all the same.
        let close = [0.3, 0.1 + 0.2];
        let ordered = |values: [f64; 2]| {
            of(&values)
                .1
                .iter()
                .map(|i| values[*i as usize])
                .collect::<Vec<_>>()
        };
        assert_eq!(ordered(close), ordered([close[1], close[0]]));
    }

    #[test]
    fn a_whole_number_has_one_hash_whatever_its_column_holds() {
        let whole = df!("a" => [7i64, -1]).expect("a frame");
        let float = df!("a" => [7.0, -1.0]).expect("a frame");
        let of = |frame: &DataFrame| row_hashes(frame, &["a".to_owned()], 0).expect("hashes");
        assert_eq!(of(&whole), of(&float));
    }
}
