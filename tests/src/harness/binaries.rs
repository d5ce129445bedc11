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

/// Beside the folder of the test's own executable: `target/PROFILE/deps/test` and `target/PROFILE/worker`. Cargo tells
/// a package's tests only where that package's own binaries are.
fn find(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a file");
    let profile = test.parent().and_then(|deps| deps.parent());
    let path = profile
        .expect("cargo puts tests two folders below its target folder")
        .join(name);
    assert!(
        path.is_file(),
        "{} is not there: run the tests by `make test`, or build it first: cargo build -p {name}",
        path.display()
    );
    path
}
