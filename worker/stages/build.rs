//! Computes the digest of the code that decides what stages make of their inputs: see `CODE` in `lib.rs`.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Families of crates whose versions decide results.
const LIBRARIES: [&str; 5] = ["polars", "linfa", "hessboost", "ndarray", "regex"];

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let mut hasher = Sha256::new();
    for folder in ["worker/stages/src", "ml/src"] {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
        for file in files(&root.join(folder))? {
            // Named from the root, so that the same sources have the same digest wherever they lie.
            let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
            add(&mut hasher, name.as_bytes());
            add(&mut hasher, &std::fs::read(&file)?);
        }
    }
    let lock = root.join("Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    add(&mut hasher, libraries(&std::fs::read_to_string(lock)?).as_bytes());
    let digest: String = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
    println!("cargo:rustc-env=FLEETLINE_STAGES_CODE={digest}");
    Ok(())
}

/// With its length, so that no two lists of texts look the same.
fn add(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// All files below a folder, in the order of their paths.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The part of a lock file that speaks of [`LIBRARIES`].
fn libraries(lock: &str) -> String {
    lock.split("[[package]]")
        .filter(|package| {
            let name = package.lines().find_map(|line| line.strip_prefix("name = \""));
            name.is_some_and(|name| LIBRARIES.iter().any(|library| name.starts_with(library)))
        })
        .flat_map(|package| package.lines())
        .filter(|line| {
            ["name", "version", "checksum"]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .collect::<Vec<_>>()
        .join("\n")
}
