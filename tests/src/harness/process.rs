//! One process under test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::PATIENCE;

/// Is told each line as it comes.
pub type Hears = Arc<dyn Fn(&str) + Send + Sync>;

/// What a process said so far, to both of its outputs, line by line as it came.
pub struct Output {
    name: String,
    lines: Mutex<Vec<String>>,
    changed: Condvar,
    hears: Option<Hears>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Output {
    /// Whoever hears all lines keeps them as well.
    fn push(&self, line: String) {
        if let Some(hears) = &self.hears {
            return hears(&line);
        }
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        self.changed.notify_all();
    }

    /// All of it.
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        format!("--- {} said:\n{}\n", self.name, lines.join("\n"))
    }

    /// True if some line so far holds `text`.
    pub fn has(&self, text: &str) -> bool {
        self.count(text) > 0
    }

    /// How many lines so far hold `text`.
    pub fn count(&self, text: &str) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.contains(text)).count()
    }

    /// The first line, so far or to come, that holds `text`.
    pub fn wait_for(&self, text: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(lines);
                panic!(
                    "{} did not say {text:?} within {PATIENCE:?}\n{}",
                    self.name,
                    self.text()
                );
            }
            (lines, _) = self
                .changed
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A process that is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Arc<Output>,
}

impl Process {
    /// Starts it. It gets no environment but the way to other programs and what is given, and nothing to read.
    pub fn start(name: &str, command: &mut Command, environment: &[(&str, &str)]) -> Self {
        Self::start_heard(name, command, environment, None)
    }

    /// The same, and somebody hears what it says, as it is said; its output is then not kept here.
    pub fn start_heard(
        name: &str,
        command: &mut Command,
        environment: &[(&str, &str)],
        hears: Option<Hears>,
    ) -> Self {
        let mut child = command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let name = format!("{name} (process {})", child.id());
        let output = Arc::new(Output {
            name,
            lines: Mutex::default(),
            changed: Condvar::new(),
            hears,
        });
        // Whoever inherits a pipe keeps it open, so nobody waits for these threads.
        read(child.stdout.take().expect("is piped"), &output);
        read(child.stderr.take().expect("is piped"), &output);
        Self { child, output }
    }

    /// What it said.
    pub fn output(&self) -> &Arc<Output> {
        &self.output
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // It is ours and not waited for yet, so its id is its own.
        rustix::process::kill_process(pid, signal).unwrap_or_else(|e| panic!("cannot send {signal:?}: {e}"));
    }

    /// `kill -9`, and waits until it is dead.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is ours and not waited for yet");
        self.child.wait().expect("it is ours");
    }

    /// How it ended, none while it has not.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours")
    }

    /// Waits for its end: how, and how long that took.
    pub fn wait(&mut self) -> (ExitStatus, Duration) {
        let output = Arc::clone(&self.output);
        super::wait_for(
            &format!("the end of {}", output.name),
            || output.text(),
            || self.ended(),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(pipe: impl Read + Send + 'static, output: &Arc<Output>) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { break };
            output.push(String::from_utf8_lossy(&line).into_owned());
        }
    });
}
