//! One process under measurement: started, looked at from outside, ended by its id.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pipeline::ports::Clock;
use rustix::process::{Pid, Signal};

use crate::failure::{Failure, Outcome};

/// How long a process may take to end when it is told to.
const END_WITHIN: Duration = Duration::from_secs(20);

/// What a process used, as the system says; absent where there is no `/proc`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_bytes: u64,
}

/// A process that is ended, at the latest, when this is dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts it with an empty environment; both outputs go to the file `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |e: std::io::Error| Failure::io(&format!("start {name}"), &e);
        let output = File::create(log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let child = command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child, name })
    }

    /// An error if it ended although nobody told it to.
    pub(crate) fn check(&mut self) -> Outcome<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Failure::new(format!("{} ended by itself: {status}", self.name))),
            Err(e) => Err(Failure::io(&format!("look at {}", self.name), &e)),
        }
    }

    /// What it used so far.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let of_process =
            |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).ok();
        // proc(5): after the name in parentheses, utime and stime are the 12th and 13th fields, in ticks.
        let stat = of_process("stat")?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let status = of_process("status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_kib: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(Usage {
            cpu: Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()),
            peak_memory_bytes: peak_kib * 1024,
        })
    }

    /// Tells it to end, and waits until it has; kills it if it does not.
    pub(crate) async fn end(mut self, clock: &dyn Clock) -> Outcome<()> {
        let failed = |e: std::io::Error| Failure::io("end a process", &e);
        let pid = Pid::from_child(&self.child);
        // It is ours and not waited for yet, so its id is its own.
        rustix::process::kill_process(pid, Signal::TERM).map_err(|e| failed(e.into()))?;
        let give_up = clock.monotonic() + END_WITHIN;
        while self.child.try_wait().map_err(failed)?.is_none() {
            if clock.monotonic() > give_up {
                return Err(Failure::new(format!(
                    "{} did not end within {END_WITHIN:?}",
                    self.name
                )));
            }
            clock.sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
