//! The threats of SECURITY.md, one test or more for each, numbered alike. Some are beside what they try, in other files:
//! the table there names all of them, and a test here holds the table to the code.

mod bombs;
mod forged;
mod learned;
mod messages;
mod outside;
mod places;
mod shown;
mod table;
mod told;

use std::path::Path;
use std::time::Duration;

use e2e::harness::{Fleet, RunReport, Said, Stopwatch};

/// How long it may take to refuse what is hostile: a process's start is in it.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Runs a specification over one file in a process of its own.
fn run(fleet: &Fleet, folder: &Path, file: &str, bytes: &[u8], more: &str) -> Said {
    std::fs::write(folder.join(file), bytes).expect("writes");
    run_there(fleet, folder, &format!("\"{file}\""), more)
}

/// The same over a source that is there, or is said to be.
fn run_there(fleet: &Fleet, folder: &Path, source: &str, more: &str) -> Said {
    let spec = format!("pipeline = \"hostile\"\n[data]\nsource = {source}\nlabel = \"y\"\n{more}\n");
    let path = folder.join("spec.toml");
    std::fs::write(&path, spec).expect("writes");
    let memory = ["--memory-budget", "512MiB", "--memory-limit", "512MiB"];
    fleet.worker(&[&["run", &*path.to_string_lossy(), "--json"], &memory[..]].concat())
}

/// A run over such a file fails at once, for one of these reasons and by no crash; its report.
fn fails_at_once(what: &str, file: &str, bytes: &[u8], reasons: &[&str]) -> RunReport {
    fails_within(AT_ONCE, what, file, bytes, reasons)
}

/// The same, with more time for what is large.
fn fails_within(most: Duration, what: &str, file: &str, bytes: &[u8], reasons: &[&str]) -> RunReport {
    let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    let watch = Stopwatch::start();
    let said = run(&fleet, folder.path(), file, bytes, "");
    let took = watch.elapsed();
    assert!(!said.stderr.contains("panicked"), "{what}: {said:?}");
    let report = said.expect_code(5).report();
    let reason = report.text("reason").to_owned();
    println!("{what} ({} bytes): {took:.2?}: {reason}", bytes.len());
    assert_eq!(report.text("status"), "FAILED", "{what}: {report:?}");
    assert!(
        reasons.iter().any(|expected| reason.contains(expected)),
        "{what}: {reason}"
    );
    assert!(took < most, "{what}: {took:?}");
    assert_eq!(
        report.step("extract")["attempts"],
        1,
        "{what}: trying again is in vain"
    );
    report
}
