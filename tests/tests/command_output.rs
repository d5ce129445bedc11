//! What commands do when nobody takes what they say: readers that are gone, disks that are full.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

use e2e::harness::{Fleet, producer, worker};
use e2e::repository;

/// Every command of the worker that prints, with the exit code of its success or failure.
fn printing() -> Vec<(Vec<String>, i32)> {
    let hello = repository()
        .join("examples/hello/pipeline.toml")
        .display()
        .to_string();
    let data = repository()
        .join("examples/penguins/data/penguins.csv")
        .display()
        .to_string();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let none = "no/such/file.toml";
    vec![
        (words("stages"), 0),
        (words("spec docs"), 0),
        (words(&format!("spec check {hello}")), 0),
        (words(&format!("spec check --json {hello}")), 0),
        (words(&format!("spec check {none}")), 2),
        (words(&format!("spec check --json {none}")), 2),
        (words(&format!("spec init --label species {data}")), 0),
    ]
}

fn gone() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("makes a pipe");
    drop(reader);
    writer.into()
}

fn output(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    output.unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"))
}

#[test]
fn a_reader_that_is_gone_has_what_it_wanted() {
    for (arguments, code) in printing() {
        let mut command = Command::new(worker());
        let said = output(command.args(&arguments).stdout(gone()));
        assert_eq!(said.status.code(), Some(code), "{arguments:?}: {said:?}");
        let told = String::from_utf8_lossy(&said.stderr);
        assert!(!told.contains("panicked"), "{arguments:?}: {told}");
        // `2>&1 | head -1` takes both away.
        let said = output(command.stderr(gone()));
        assert_eq!(said.status.code(), Some(code), "{arguments:?}: {said:?}");
    }
}

#[test]
fn a_run_goes_on_though_nobody_reads_of_it() {
    let fleet = Fleet::new();
    let spec = fleet.write_spec("pipeline = \"unread\"\n[[steps]]\nstage = \"noop\"\n");
    let mut command = Command::new(worker());
    command
        .args([
            "run",
            "--test-stages",
            "--key",
            "unread",
            "--backend",
            &fleet.address(),
        ])
        .arg("--scratch")
        .arg(fleet.scratch())
        .arg(spec);
    let said = output(command.stdout(gone()).stderr(gone()));
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let shown = fleet.producer(&["show", "unread"]).expect_code(0);
    assert!(shown.stdout.contains("SUCCEEDED"), "{shown:?}");
    let mut command = Command::new(producer());
    let said = output(
        command
            .args(["--backend", &fleet.address(), "show", "unread"])
            .stdout(gone()),
    );
    assert_eq!(said.status.code(), Some(0), "{said:?}");
}

#[test]
fn a_disk_that_is_full_is_an_error() {
    let full = || {
        OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("this is Linux")
    };
    for (arguments, _) in printing() {
        let mut command = Command::new(worker());
        let said = output(command.args(&arguments).stdout(full()));
        let told = String::from_utf8_lossy(&said.stderr);
        // A specification that is wrong is told to standard error.
        if !told.contains("thing is wrong") {
            assert_eq!(said.status.code(), Some(1), "{arguments:?}: {said:?}");
            assert!(
                told.contains("cannot write to standard output"),
                "{arguments:?}: {told}"
            );
        }
    }
}
