//! One child process, from its start until it is off the system's table.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use pipeline::ports::Host;
use rustix::process::Pid;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::sys::{self, Usage};

/// A started process and our ends of its pipes.
pub(super) struct Process {
    pub(super) stdin: pipe::Sender,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
    /// Resolves once it is dead and reaped.
    pub(super) exited: oneshot::Receiver<io::Result<Exit>>,
    pub(super) leash: Leash,
}

/// How a process ended.
pub(super) struct Exit {
    pub(super) status: ExitStatus,
    pub(super) usage: Usage,
}

/// The only way to a process by its id: it holds the id exactly as long as nobody else can get it. Dropping it kills.
pub(super) struct Leash(Arc<Mutex<Option<Pid>>>);

impl Leash {
    /// Kills the process and its group, if it is still there.
    pub(super) fn kill(&self) {
        self.with(sys::kill_group);
    }

    /// Calls `f` with the id while it cannot become another's; none if the process is gone.
    pub(super) fn with<T>(&self, f: impl FnOnce(Pid) -> T) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(f)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// Starts `program attempt` in a process group of its own.
    ///
    /// It gets no environment but `TMPDIR`: no credentials, and nothing that could change a result.
    ///
    /// One blocking task starts it *and* waits for it: Linux's parent-death signal is sent when the thread that
    /// started a child ends, not when the process does.
    pub(super) async fn start(program: &Path, scratch: &Path, host: &Host) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .arg0("worker")
            .arg(super::inside::COMMAND)
            .env_clear()
            .env("TMPDIR", scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let (started, is_started) = oneshot::channel();
        let (ended, exited) = oneshot::channel();
        let held = Arc::new(Mutex::new(None));
        let leash = Leash(Arc::clone(&held));
        let life = host
            .spawn
            .blocking(Box::new(move || live(command, &held, started, ended)));
        // The task must go on if our caller does not: it reaps.
        host.spawn.spawn(life.map(drop).boxed());
        let [stdin, stdout, stderr] = is_started
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the task that starts it was dropped")))?;
        Ok(Self {
            stdin: pipe::Sender::from_owned_fd(stdin)?,
            stdout: pipe::Receiver::from_owned_fd(stdout)?,
            stderr: pipe::Receiver::from_owned_fd(stderr)?,
            exited,
            leash,
        })
    }
}

type Pipes = [OwnedFd; 3];

fn live(
    mut command: Command,
    held: &Mutex<Option<Pid>>,
    started: oneshot::Sender<io::Result<Pipes>>,
    ended: oneshot::Sender<io::Result<Exit>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Nobody listens any more: then nobody minds.
            let _ = started.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(pid);
    let pipes = child
        .stdin
        .take()
        .zip(child.stdout.take())
        .zip(child.stderr.take());
    let pipes = pipes
        .map(|((stdin, stdout), stderr)| [stdin.into(), stdout.into(), stderr.into()])
        .ok_or_else(|| io::Error::other("it has no pipes"));
    if started.send(pipes).is_err() {
        sys::kill_group(pid);
    }
    let dead = sys::wait_for_death(pid);
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    // What it left behind would hold its pipes open, and its memory.
    sys::kill_group(pid);
    let exit = dead
        .and_then(|()| sys::reap(pid))
        .map(|(status, usage)| Exit { status, usage });
    *held = None;
    drop(held);
    let _ = ended.send(exit);
}
