//! The people's tool. Everything is in the library, so that tests can call it.

use std::process::ExitCode;

fn main() -> ExitCode {
    producer::main(std::env::args_os())
}
