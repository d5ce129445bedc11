//! Where the binaries under test are.

use std::path::PathBuf;

/// The fleet's binary.
pub fn worker() -> PathBuf {
    find("worker")
}

/// The people's binary.
pub fn producer() -> PathBuf {
    find("producer")
}

/// In the folder of the profile. Cargo tells a package's tests only where that package's own binaries are.
fn find(name: &str) -> PathBuf {
    let path = profile_folder().join(name);
    assert!(
        path.is_file(),
        "{} is not there: run the tests by `make test`, or build it first: cargo build -p {name}",
        path.display()
    );
    path
}

/// Cargo's folder of this build, `target/PROFILE`: binaries are in it, and tests are in its folder `deps`.
pub(super) fn profile_folder() -> PathBuf {
    let this = std::env::current_exe().expect("a running program has a file");
    let folder = this.parent().expect("a file is in a folder");
    match folder.file_name().is_some_and(|name| name == "deps") {
        true => folder.parent().expect("cargo puts it below another").to_owned(),
        false => folder.to_owned(),
    }
}
