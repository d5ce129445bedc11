//! The files of this repository, for tests of its shape.

use std::path::{Path, PathBuf};

/// The folder of this repository.
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("this package is a folder of the repository")
        .to_owned()
}

/// What is in the folder but belongs to nobody who writes: see `.gitignore`.
const NOT_OURS: [&str; 4] = [".git", "target", ".fleetline", ".tools"];

/// Every file of the repository that people wrote, by its path from the top, sorted. Where the text can be read, the
/// text too.
pub fn files() -> Vec<(String, Option<String>)> {
    let top = repository();
    let mut files = Vec::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder that opened can be read").path();
            let from_top = path
                .strip_prefix(&top)
                .expect("it was found below the top")
                .to_string_lossy()
                .into_owned();
            if path.is_symlink() || NOT_OURS.contains(&from_top.as_str()) || from_top.ends_with("__pycache__")
            {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((from_top, std::fs::read_to_string(&path).ok()));
            }
        }
    }
    files.sort();
    files
}
