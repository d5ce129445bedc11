//! 6 and 7: files of models, and patterns of users.

use std::fs;

use e2e::harness::{Fleet, Stopwatch, side_by_side};
use ml::package::Package;

use super::run;

/// Each file of a good package, each in turn damaged: a flipped bit anywhere, cut off anywhere, longer, empty, gone.
#[test]
fn t06_damaged_packages_are_refused() {
    let good = e2e::repository().join("tests/fuzzed/src/package");
    let folder = tempfile::tempdir().expect("makes a folder");
    let mut names = Vec::new();
    for file in fs::read_dir(&good).expect("lists") {
        let file = file.expect("lists");
        fs::copy(file.path(), folder.path().join(file.file_name())).expect("copies");
        names.push(file.file_name());
    }
    let proof = Package::open(folder.path()).and_then(|package| package.prove());
    assert!(proof.is_ok(), "what is not damaged is proved: {proof:?}");
    let watch = Stopwatch::start();
    let mut damaged = 0;
    for name in &names {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).expect("reads");
        let refused = |what: &str| {
            let opened = Package::open(folder.path());
            assert!(opened.is_err(), "{name:?}: {what}");
        };
        // Every byte of what is short, and one in so many of what is long; a bit of each, all of them in turn.
        let step = (bytes.len() / 200).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at / step % 8);
            fs::write(&path, &bytes).expect("writes");
            refused(&format!("byte {at} flipped"));
            fs::write(&path, &bytes[..at]).expect("writes");
            refused(&format!("cut off at {at}"));
            damaged += 2;
        }
        fs::write(&path, [&bytes[..], b"\n"].concat()).expect("writes");
        refused("one byte longer");
        fs::remove_file(&path).expect("removes");
        refused("gone");
        fs::write(&path, &bytes).expect("writes");
    }
    println!("{damaged} damaged files in {watch}");
    assert!(damaged > 1_000, "{damaged}");
}

/// Patterns that other engines take exponential time for, or that become large.
const PATTERNS: &[&str] = &[
    "(a+)+$",
    "(a|aa)+$",
    "(a|a?)+$",
    "(.*a){25}",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "([a-zA-Z]+)*",
    "(a*)*b",
    "(?:a?){30}a{30}",
    "((((((((((a*)*)*)*)*)*)*)*)*)*)*",
];
/// Patterns that no engine of ours compiles.
const REFUSED: &[&str] = &[
    "(a{1000}){1000}",
    "((a{100}){100}){100}",
    "[\\\\p{L}]{5000}",
    "(?=a)b",
    "(a)\\\\1",
    "(",
    "(?P<n>a)(?P<n>b)",
];

#[test]
fn t07_patterns_of_users() {
    let long = "a".repeat(2_000) + "!";
    let rows: String = (0..300)
        .map(|i| format!("{long},{}\n", if i % 2 == 0 { "no" } else { "yes" }))
        .collect();
    let file = format!("t,y\n{rows}");
    let rule = |pattern: &str| {
        format!("[validate.columns]\nt = {{ pattern = \"{pattern}\", on_failure = \"warn\" }}\n")
    };
    let too_long = "a".repeat(1_025);
    let cases: Vec<(&str, bool)> = PATTERNS
        .iter()
        .map(|pattern| (*pattern, true))
        .chain(REFUSED.iter().map(|pattern| (*pattern, false)))
        .chain([(too_long.as_str(), false)])
        .collect();
    side_by_side(2, cases, |(pattern, is_good)| {
        let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
        let watch = Stopwatch::start();
        let said = run(&fleet, folder.path(), "in.csv", file.as_bytes(), &rule(pattern));
        let shown: String = pattern.chars().take(40).collect();
        println!("{shown}: {watch}, exit code {}", said.code);
        assert!(watch.elapsed() < super::AT_ONCE * 2, "{shown}: {watch}");
        if is_good {
            // It goes on as far as the only column, which is no feature: each row has another text, or all the same.
            let report = said.report();
            assert_eq!(
                report.step("validate")["state"],
                "COMMITTED",
                "{shown}: {report:?}"
            );
        } else {
            let told = format!("{}{}", said.stdout, said.stderr);
            assert!(matches!(said.code, 2 | 5), "{shown}: {told}");
            assert!(told.contains("pattern"), "{shown}: {told}");
        }
    });
}
