//! A command that is run to its end.

use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use rustix::process::{Pid, Signal};

/// What a command answered.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Said {
    /// Its standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// Fails unless it ended with that exit code and without a panic.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "that it did not fail may be all that a test wants"
    )]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }
}

/// What one of this package's programs reports, which must end well.
pub fn report_of(program: &str, arguments: &[&str]) -> serde_json::Value {
    let ran = Command::new(program).args(arguments).arg("--json").output();
    let ran = ran.unwrap_or_else(|e| panic!("cannot start {program}: {e}"));
    let report = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{report}\n{errors}");
    serde_json::from_str(&report).unwrap_or_else(|e| panic!("{e}: {report}"))
}

/// What takes longer is taken to hang: a test that waits for ever says nothing.
const LONGEST: Duration = Duration::from_secs(600);

/// Runs a command to its end.
pub(super) fn run_to_end(command: &mut Command, environment: &[(&str, &str)]) -> Said {
    let child = command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let process = Pid::from_child(&child);
    let (ended, end) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if end.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
            // It may have ended this moment.
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    });
    let output = child.wait_with_output().expect("its outputs can be read");
    drop(ended);
    let text = |bytes| String::from_utf8(bytes).expect("our binaries write UTF-8");
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
