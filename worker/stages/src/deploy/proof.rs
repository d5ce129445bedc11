//! The proof that a package works: another process, which has nothing but its files, opens it and predicts its golden
//! rows to the bit.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ml::package::{Package, Proof};
use pipeline::stage::{StageContext, StageError};

use crate::flow::{permanent, transient};

/// How often we look whether it ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Loading a package and predicting a few rows takes a second at most.
const LIMIT: Duration = Duration::from_secs(120);

/// The most that is read of what it says.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Proves the package in the folder of outputs.
///
/// A context without a program (a stage's own test) cannot start a process: there the package is opened and proved in
/// this one.
pub(super) fn prove(context: &StageContext<'_>) -> Result<Proof, StageError> {
    match context.program {
        Some(program) => in_fresh_process(context, program),
        None => Package::open(context.outputs)
            .and_then(|package| package.prove())
            .map_err(permanent),
    }
}

fn in_fresh_process(context: &StageContext<'_>, program: &Path) -> Result<Proof, StageError> {
    let cannot = |what: &str, e: std::io::Error| transient(format!("cannot {what} the proving process: {e}"));
    let mut child = Command::new(program)
        .arg("prove")
        .arg(context.outputs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| cannot("start", e))?;
    let ended = wait(context, &mut child);
    if ended.is_err() {
        // It may have ended by itself meanwhile; then there is nothing to kill.
        let _ = child.kill();
        let _ = child.wait();
    }
    let status = ended?;
    // It is dead, so the pipes end.
    let mut said = Vec::new();
    let mut complained = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(MAX_ANSWER_BYTES)
            .read_to_end(&mut said)
            .map_err(|e| cannot("read", e))?;
    }
    if let Some(stderr) = child.stderr.take() {
        let mut bytes = Vec::new();
        stderr
            .take(MAX_ANSWER_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|e| cannot("read", e))?;
        complained = String::from_utf8_lossy(&bytes).trim().replace('\n', " ");
    }
    if status.success() {
        return serde_json::from_slice(&said)
            .map_err(|e| permanent(format!("the proving process answered what is no proof: {e}")));
    }
    match status.code() {
        Some(_) => Err(permanent(format!(
            "a fresh process cannot use the package: {complained}"
        ))),
        None => Err(transient(format!("the proving process was killed ({status})"))),
    }
}

/// Waits for its end without deafness to ours.
fn wait(context: &StageContext<'_>, child: &mut Child) -> Result<std::process::ExitStatus, StageError> {
    let started = context.control.elapsed();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(e) => return Err(transient(format!("cannot wait for the proving process: {e}"))),
        }
        context.checkpoint()?;
        if context.control.elapsed().saturating_sub(started) > LIMIT {
            return Err(permanent(format!(
                "the proving process did not end within {} s",
                LIMIT.as_secs()
            )));
        }
        context.control.pause(LOOK_EVERY);
    }
}
