//! The help of every command, frozen. `UPDATE=1 cargo test -p producer` writes it anew.

use std::path::Path;

use clap::CommandFactory as _;

use crate::support::{binary, finished};

#[test]
#[allow(clippy::disallowed_methods, reason = "the switch of this test")]
fn help_is_as_it_was_agreed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let is_update = std::env::var_os("UPDATE").is_some();
    let mut commands = vec![Vec::new()];
    collect(&producer::cli::Cli::command(), &mut Vec::new(), &mut commands);
    assert!(commands.len() > 20, "{commands:?}");

    let mut wanted = Vec::new();
    let mut wrong = Vec::new();
    for command in commands {
        let name = format!(
            "{}.txt",
            [&["producer".to_owned()], command.as_slice()].concat().join("-")
        );
        let ran = finished(
            binary()
                .args(&command)
                .arg("--help")
                .output()
                .expect("the binary starts"),
        );
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{name}");
        for line in ran.out.lines() {
            assert!(
                line.chars().count() <= 110,
                "{name}: too long for a terminal: {line}"
            );
        }
        let file = folder.join(&name);
        if is_update {
            std::fs::write(&file, &ran.out).expect("the folder can be written");
        } else if std::fs::read_to_string(&file).ok().as_deref() != Some(&ran.out) {
            wrong.push(format!("{name} is now:\n{}", ran.out));
        }
        wanted.push(name);
    }
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a text");
        if !wanted.contains(&name) {
            wrong.push(format!("{name} belongs to no command"));
        }
    }
    assert!(
        wrong.is_empty(),
        "UPDATE=1 writes them anew\n{}",
        wrong.join("\n")
    );
}

fn collect(command: &clap::Command, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        path.push(sub.get_name().to_owned());
        all.push(path.clone());
        collect(sub, path, all);
        path.pop();
    }
}

#[test]
fn every_command_teaches_by_example() {
    let mut commands = Vec::new();
    collect(&producer::cli::Cli::command(), &mut Vec::new(), &mut commands);
    for command in commands {
        let ran = finished(
            binary()
                .args(&command)
                .arg("--help")
                .output()
                .expect("the binary starts"),
        );
        let is_group = ran.out.contains("\nCommands:\n");
        let example = format!("  producer {}", command.join(" "));
        assert!(
            is_group || ran.out.contains(&example),
            "{command:?} has no example:\n{}",
            ran.out
        );
    }
}
