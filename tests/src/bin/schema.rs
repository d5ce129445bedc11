//! Writes the JSON Schemas that `pipeline/schemas` holds, or, with `--check`, says whether they are those of the code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Write the JSON Schemas of messages and specifications to pipeline/schemas.
#[derive(Parser)]
struct Arguments {
    /// Write nothing; fail if what is there is not what would be written
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let Arguments { check } = Arguments::parse();
    let folder = e2e::repository().join("pipeline/schemas");
    let mut is_good = true;
    for (name, text) in e2e::schemas() {
        let path = folder.join(name);
        is_good &= if check {
            is_same(&path, &text)
        } else {
            write(&path, &text)
        };
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn is_same(path: &PathBuf, text: &str) -> bool {
    let problem = match std::fs::read_to_string(path) {
        Ok(found) if found == text => return true,
        Ok(_) => "is not what the code says".to_owned(),
        Err(e) => format!("cannot be read: {e}"),
    };
    eprintln!("{} {problem}; run: make schema", path.display());
    false
}

fn write(path: &PathBuf, text: &str) -> bool {
    match std::fs::write(path, text) {
        Ok(()) => {
            println!("{}", path.display());
            true
        }
        Err(e) => {
            eprintln!("cannot write {}: {e}", path.display());
            false
        }
    }
}
