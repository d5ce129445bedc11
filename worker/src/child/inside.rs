//! The child's side: the hidden command `worker attempt`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use pipeline::stage::StageError;

use super::wire::{Ending, How, Report, Request, STOP};
use super::{End, Interrupt, cgroup, in_process, sys};

/// What the command is called.
pub(super) const COMMAND: &str = "attempt";

/// The longest request that is read: a specification and the manifests of everything before the step.
const MAX_REQUEST_BYTES: u64 = 256 * 1024 * 1024;

/// What a child may allocate beyond its limit. The pool, which looks at resident memory every few milliseconds, keeps
/// the limit itself; this one stops a leap between two looks. It is looser because it counts what is reserved only.
fn allocation_limit_bytes(memory_limit_bytes: u64) -> u64 {
    memory_limit_bytes.saturating_add((memory_limit_bytes / 8).max(64 * 1024 * 1024))
}

/// Does one attempt as the pool tells it on standard input, reports to standard output, and ends the process.
///
/// Only a pool starts this command: started by hand it says so and ends with code 2.
pub fn attempt_main() -> ! {
    // First of all, so that no moment is left in which we could outlive the pool.
    let tied = sys::die_with_parent().and_then(|()| sys::no_core_dumps());
    sys::name_process();
    let code = match tied.and_then(|()| attempt()) {
        Ok(()) => 0,
        Err(error) => {
            // If standard error is gone as well, the exit code has to do.
            let _ = writeln!(
                io::stderr(),
                "worker {COMMAND}: {error}; only a pool starts this command"
            );
            2
        }
    };
    sys::exit_now(code)
}

fn attempt() -> io::Result<()> {
    let mut stdin = BufReader::new(io::stdin());
    let request = read_request(&mut stdin)?;
    if std::os::unix::process::parent_id() != request.parent {
        return Err(io::Error::other("the pool that started this process is gone"));
    }
    if let Some(limit) = request.memory_limit_bytes {
        sys::limit_data(allocation_limit_bytes(limit))?;
    }
    let reports = Reports::new(sys::take_stdout()?);
    // One line in the pool's log instead of several.
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(io::stderr(), "{}", panic.to_string().replace('\n', " "));
    }));
    let interrupt = Interrupt::new();
    std::thread::Builder::new().name("stdin".into()).spawn({
        let interrupt = interrupt.clone();
        move || obey(stdin, &interrupt)
    })?;
    let how = work(&request, &interrupt, &reports);
    let peak_memory_bytes = cgroup::memory_of("self").map(|memory| memory.peak_bytes);
    reports.send(&Report::Ended(Ending {
        how,
        peak_memory_bytes,
    }))
}

fn read_request(stdin: &mut impl BufRead) -> io::Result<Request> {
    let mut line = Vec::new();
    stdin.take(MAX_REQUEST_BYTES).read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Err(io::Error::other("no whole request on standard input"));
    }
    serde_json::from_slice(&line).map_err(|e| io::Error::other(format!("standard input is no request: {e}")))
}

/// Waits for the word to stop; dies when the pool is gone.
fn obey(stdin: impl BufRead, interrupt: &Interrupt) {
    for line in stdin.lines() {
        match line {
            Ok(line) if line == STOP => interrupt.raise(),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    sys::exit_now(3);
}

fn work(request: &Request, interrupt: &Interrupt, reports: &Reports) -> How {
    let Request {
        assignment,
        inputs,
        outputs,
        ..
    } = request;
    let Some(step) = assignment.spec.step(&assignment.step) else {
        return How::Failed(StageError::Permanent(format!(
            "the specification has no step {}",
            assignment.step
        )));
    };
    let name = step.params.stage();
    let Some(stage) = stages::find(&name) else {
        return How::Failed(StageError::Permanent(format!("this worker has no stage {name}")));
    };
    match in_process::run_in_process(stage, assignment, inputs, outputs, interrupt, &|f| {
        reports.progress(f)
    }) {
        End::Outcome(outcome) => How::Outcome(outcome),
        End::Failed(error) => How::Failed(error),
        End::Crashed { how } => How::Panicked(how),
        // Nobody but the pool kills.
        End::TimeLimit | End::Killed => How::Failed(StageError::Interrupted),
    }
}

/// The way to the pool.
struct Reports {
    pipe: Mutex<File>,
    /// The last progress that was told, in hundredths: at most 100 lines are written.
    told: AtomicU32,
}

impl Reports {
    fn new(pipe: File) -> Self {
        Self {
            pipe: Mutex::new(pipe),
            told: AtomicU32::new(0),
        }
    }

    fn send(&self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report).map_err(io::Error::other)?;
        line.push(b'\n');
        self.pipe
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&line)
    }

    fn progress(&self, fraction: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is 0 to 1, or not a number, which becomes 0"
        )]
        let hundredths = (fraction * 100.0) as u32;
        if self.told.fetch_max(hundredths, Ordering::Relaxed) < hundredths {
            // A pool that is gone is noticed elsewhere.
            let _ = self.send(&Report::Progress(fraction));
        }
    }
}
