//! What stages are estimated to take, from the tables that they read.
//!
//! A stage holds what it reads as columns in memory, and makes so many times that of it: linear in the size of its tables,
//! above what the process has by itself. The figures were fitted on measured peaks (`make memory-table` measures them
//! again, beside the estimates); they lie above what was measured, because a death of memory costs more than a larger
//! worker.

use std::path::Path;

use pipeline::artifact::TableShape;
use pipeline::item::Demand;
use pipeline::stage::{Assignment, Read, SourceFile};

const MIB: f64 = 1024.0 * 1024.0;

/// What a stage takes: so much by itself, and so many times the tables that it reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takes {
    /// With the smallest tables.
    pub(crate) base_mib: f64,
    /// Times the memory of its tables' columns.
    pub(crate) times: f64,
    /// And so much for each column of the widest table, however many rows there are.
    pub(crate) column_mib: f64,
    /// How much it writes, times the files that it reads.
    pub(crate) writes: f64,
}

/// Reads a column at a time.
pub(crate) const VALIDATE: Takes = Takes::new(80.0, 0.12, 0.0, 1.0);
/// Holds one split, raw and as features.
pub(crate) const TRANSFORM: Takes = Takes::new(95.0, 1.05, 0.0, 1.0);
/// One-hot columns of texts are many times the codes that they are made of.
pub(crate) const LINEAR: Takes = Takes::new(80.0, 3.3, 0.0, 0.1);
/// Boosting and forests, which keep histograms of each column.
pub(crate) const TREES: Takes = Takes::new(90.0, 4.0, 0.4, 0.5);
/// Holds validation and test as features, and test's raw columns.
pub(crate) const EVALUATE: Takes = Takes::new(80.0, 1.5, 0.0, 0.1);
/// Holds test's raw columns, and curves of each.
pub(crate) const EXPLAIN: Takes = Takes::new(85.0, 1.3, 0.25, 0.1);
/// Holds test's raw columns, and proves in a second process.
pub(crate) const DEPLOY: Takes = Takes::new(98.0, 1.3, 0.0, 0.5);

impl Takes {
    const fn new(base_mib: f64, times: f64, column_mib: f64, writes: f64) -> Self {
        Self {
            base_mib,
            times,
            column_mib,
            writes,
        }
    }

    /// The estimate for these tables; none if there is no table among them, of which nothing could be said.
    pub(crate) fn of(self, reads: &[Read]) -> Option<Demand> {
        let tables: Vec<TableShape> = reads.iter().filter_map(|read| read.table).collect();
        let largest = tables.iter().max_by_key(|table| table.decoded_bytes)?;
        let columns = tables.iter().map(|table| table.columns).max()?;
        let decoded_bytes = sum(tables.iter().map(|table| table.decoded_bytes));
        let file_bytes = sum(reads.iter().map(|read| read.artifact.size_bytes));
        Some(Demand {
            memory_bytes: self.memory_bytes(columns, decoded_bytes),
            scratch_bytes: bytes(float(file_bytes) * (1.0 + self.writes)),
            reason: format!(
                "tables of {} rows × {} columns at most, {:.0} MiB in all",
                largest.rows,
                largest.columns,
                float(decoded_bytes) / MIB
            ),
        })
    }

    fn memory_bytes(self, columns: u32, decoded_bytes: u64) -> u64 {
        let fixed = (self.base_mib + self.column_mib * f64::from(columns)) * MIB;
        bytes(fixed + self.times * float(decoded_bytes))
    }
}

/// What a source file is estimated to take of `extract`: text of numbers is held about three times over, once as text and
/// once as columns; packed files are larger than they look.
struct Source {
    memory_times: f64,
    scratch_times: f64,
}

impl Source {
    fn of(file: &SourceFile) -> Self {
        let name = file.uri.to_ascii_lowercase();
        let (memory_times, scratch_times) = match () {
            // Text packs to a tenth, and is unpacked into the scratch folder.
            () if name.ends_with(".gz") || name.ends_with(".zst") => (72.0, 12.0),
            () if name.ends_with(".parquet") => (12.0, 1.0),
            () => (3.6, 0.5),
        };
        let fetched = if file.uri.contains("://") { 1.0 } else { 0.0 };
        Self {
            memory_times,
            scratch_times: scratch_times + fetched,
        }
    }
}

/// The estimate for sources that are files; none before they are found.
pub(crate) fn of_sources(assignment: &Assignment) -> Option<Demand> {
    const BASE_MIB: f64 = 115.0;
    let files: Vec<&SourceFile> = assignment.found.sources.values().flatten().collect();
    if files.is_empty() {
        return None;
    }
    let total = |times: fn(&Source) -> f64| -> f64 {
        let parts = files
            .iter()
            .map(|file| float(file.size_bytes) * times(&Source::of(file)));
        parts.sum()
    };
    let file_bytes = sum(files.iter().map(|file| file.size_bytes));
    Some(Demand {
        memory_bytes: bytes(BASE_MIB * MIB + total(|source| source.memory_times)),
        scratch_bytes: bytes(total(|source| source.scratch_times)),
        reason: format!(
            "{} source files of {:.0} MiB",
            files.len(),
            float(file_bytes) / MIB
        ),
    })
}

fn sum(parts: impl Iterator<Item = u64>) -> u64 {
    parts.fold(0, u64::saturating_add)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and what is too large is cut to the largest"
)]
fn bytes(float: f64) -> u64 {
    float as u64
}

/// How large the table is that an artifact holds; none if it holds none.
pub fn table_shape(path: &Path) -> Option<TableShape> {
    if path.extension()? != "parquet" {
        return None;
    }
    // What a stage wrote can be read; if not, whoever reads it says so.
    let shape = ml::frame::shape(path).ok()?;
    Some(TableShape {
        rows: shape.rows,
        columns: u32::try_from(shape.columns).unwrap_or(u32::MAX),
        decoded_bytes: shape.decoded_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `make memory-table ARGS=--csv` measured, on two cores.
    const MEASURED: &str = include_str!("demand.csv");

    /// An estimate that lies below costs a death of memory, one far above a larger worker than is needed.
    #[test]
    fn estimates_lie_above_what_was_measured_and_not_far_above() {
        let mut rows = 0;
        for line in MEASURED.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let [table, stage, kind, columns, decoded, peak] = cells[..] else {
                panic!("six cells, not {line}");
            };
            let takes = match (stage, kind) {
                ("validate", _) => VALIDATE,
                ("transform", _) => TRANSFORM,
                ("train", "linear") => LINEAR,
                ("train", _) => TREES,
                ("evaluate", _) => EVALUATE,
                ("explain", _) => EXPLAIN,
                ("deploy", _) => DEPLOY,
                other => panic!("{other:?} is no stage whose tables are estimated"),
            };
            let estimate = takes.memory_bytes(
                columns.parse().expect("a number"),
                decoded.parse().expect("a number"),
            );
            let ratio = float(estimate) / peak.parse::<f64>().expect("a number");
            assert!((1.0..2.0).contains(&ratio), "{table} {stage} {kind}: {ratio:.2}");
            rows += 1;
        }
        assert!(rows > 50, "{rows}");
    }

    #[test]
    fn packed_sources_are_larger_than_they_look_and_only_remote_ones_are_fetched() {
        let file = |uri: &str| SourceFile {
            uri: uri.into(),
            path: uri.into(),
            sha256: pipeline::Sha256Digest::of(b""),
            size_bytes: 1,
        };
        let [plain, packed, remote] =
            ["/a.csv", "/a.csv.zst", "s3://bucket/a.csv.gz"].map(|uri| Source::of(&file(uri)));
        assert!(packed.memory_times > plain.memory_times);
        assert!(packed.scratch_times > plain.scratch_times);
        assert!((remote.scratch_times - packed.scratch_times - 1.0).abs() < 1e-9);
    }
}
