//! The files of a package on disk: sizes and digests before contents.

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::catch_unwind;
use std::path::Path;

use polars::prelude::{DataFrame, ParquetReader, PolarsError, SerReader};
use sha2::{Digest, Sha256};

use super::{FileEntry, PackageError};

/// The longest file of a package: a container of the largest payload, and its header.
const MAX_FILE_BYTES: u64 = crate::container::MAX_PAYLOAD_BYTES as u64 + 4096;

/// How much of a file is hashed at a time.
const BLOCK_BYTES: usize = 64 * 1024;

/// 64 lower-case hexadecimal digits of the bytes' SHA-256.
pub(super) fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// True for the names that a package's files may have: they cannot lead out of its folder.
pub(super) fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    name.len() <= 64 && name.split('.').all(is_part)
}

/// The file's bytes, if there are at most so many.
pub(super) fn read(folder: &Path, name: &str, max_bytes: u64) -> Result<Vec<u8>, PackageError> {
    let file = File::open(folder.join(name)).map_err(|e| PackageError::file(name, e))?;
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| PackageError::file(name, e))?;
    if bytes.len() as u64 > max_bytes {
        return Err(PackageError::damaged(
            name,
            format!("it has more than {max_bytes} bytes"),
        ));
    }
    Ok(bytes)
}

/// The file's bytes, if they are those that the entry names.
pub(super) fn read_checked(folder: &Path, name: &str, entry: &FileEntry) -> Result<Vec<u8>, PackageError> {
    bounded(name, entry)?;
    let bytes = read(folder, name, entry.size_bytes)?;
    compare(name, entry, bytes.len() as u64, &digest(&bytes))?;
    Ok(bytes)
}

/// The Parquet file's rows, if its bytes are those that the entry names.
pub(super) fn frame(folder: &Path, name: &str, entry: &FileEntry) -> Result<DataFrame, PackageError> {
    let bytes = read_checked(folder, name, entry)?;
    // Some damage makes Polars panic.
    catch_unwind(|| ParquetReader::new(Cursor::new(bytes)).finish())
        .unwrap_or_else(|_| Err(PolarsError::ComputeError("its pages are damaged".into())))
        .map_err(|e| PackageError::damaged(name, e))
}

/// Looks whether the file's bytes are those that the entry names, a block at a time.
pub(super) fn verify(folder: &Path, name: &str, entry: &FileEntry) -> Result<(), PackageError> {
    bounded(name, entry)?;
    let failed = |e: std::io::Error| PackageError::file(name, e);
    let mut file = File::open(folder.join(name)).map_err(failed)?;
    let size_bytes = file.metadata().map_err(failed)?.len();
    if size_bytes != entry.size_bytes {
        return compare(name, entry, size_bytes, "");
    }
    let (mut hasher, mut block, mut found) = (Sha256::new(), vec![0; BLOCK_BYTES], 0u64);
    loop {
        let n = file.read(&mut block).map_err(failed)?;
        if n == 0 {
            break;
        }
        hasher.update(&block[..n]);
        found = found.saturating_add(n as u64);
    }
    compare(name, entry, found, &hexadecimal(&hasher.finalize()))
}

fn bounded(name: &str, entry: &FileEntry) -> Result<(), PackageError> {
    match entry.size_bytes > MAX_FILE_BYTES {
        true => Err(PackageError::damaged(
            name,
            "it is longer than any file of a package",
        )),
        false => Ok(()),
    }
}

fn compare(name: &str, entry: &FileEntry, size_bytes: u64, digest: &str) -> Result<(), PackageError> {
    if size_bytes != entry.size_bytes {
        return Err(PackageError::damaged(
            name,
            format!(
                "it has {size_bytes} bytes where package.json says {}",
                entry.size_bytes
            ),
        ));
    }
    if digest != entry.sha256 {
        return Err(PackageError::damaged(
            name,
            "its digest is not the one that package.json names: at least one bit is wrong",
        ));
    }
    Ok(())
}
