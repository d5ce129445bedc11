//! The hidden command `worker prove`: the fresh process in which a deployed package must work.

use std::io::{self, Write};
use std::path::Path;

use ml::package::{Package, Proof};

use super::sys;

/// Opens the package in `folder`, predicts its golden rows and compares, says what was proved as JSON, and ends the
/// process: with code 0, or with code 1 and one line on standard error.
///
/// `deploy` starts it; whoever has a package at hand may as well.
pub fn prove_main(folder: &Path) -> ! {
    // A deploy that is killed must not leave it behind.
    let proof = sys::die_with_parent()
        .and_then(|()| sys::no_core_dumps())
        .map_err(|e| e.to_string())
        .and_then(|()| prove(folder));
    let told = match &proof {
        Ok(proof) => serde_json::to_string(proof)
            .map_err(io::Error::other)
            .and_then(|text| writeln!(io::stdout(), "{text}")),
        Err(why) => writeln!(io::stderr(), "{why}"),
    };
    sys::exit_now(match (proof, told) {
        (Ok(_), Ok(())) => 0,
        _ => 1,
    })
}

fn prove(folder: &Path) -> Result<Proof, String> {
    Package::open(folder)
        .and_then(|package| package.prove())
        .map_err(|e| e.to_string())
}
