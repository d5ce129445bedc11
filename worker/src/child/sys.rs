//! The few system calls that the standard library does not have.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions};

/// What a dead process used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Of user and system.
    pub(super) cpu: Duration,
    /// Largest resident memory. Linux counts what the parent had when it started the child too: an upper bound.
    pub(super) max_resident_bytes: u64,
}

/// Blocks until the process is dead, and leaves it a zombie, so that its id stays its own.
pub(super) fn wait_for_death(pid: Pid) -> io::Result<()> {
    loop {
        match rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Takes the dead process off the system's table: how it ended and what it used. Its id may be another's afterwards.
#[allow(
    unsafe_code,
    reason = "no safe wrapper of wait4 tells the resource usage of one child"
)]
pub(super) fn reap(pid: Pid) -> io::Result<(ExitStatus, Usage)> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to live, writable memory of the right types, which the kernel fills in and does not
        // keep; `pid` is a child of ours that nobody else waits for.
        let waited =
            unsafe { libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, 0, usage.as_mut_ptr()) };
        if waited >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: a `rusage` is plain numbers, for which all zeroes is a value, and wait4 succeeded and filled it in.
    let usage = unsafe { usage.assume_init() };
    let time = |t: libc::timeval| {
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(t.tv_usec).unwrap_or(0))
    };
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let usage = Usage {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        max_resident_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(unit),
    };
    Ok((ExitStatus::from_raw(status), usage))
}

/// Kills the process and all that it started and that did not leave its group. That there is none left is fine.
pub(super) fn kill_group(pid: Pid) {
    // Only "no such process" and, on macOS, "only zombies" can come of killing our own children.
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
}

/// Has the kernel kill this process when the thread that started it ends. Linux only; elsewhere the end of stdin tells.
pub(super) fn die_with_parent() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

/// Shows this process under a name of its own in lists of processes; on Linux, where `/proc/self/exe` was started, it
/// would be `exe`.
pub(super) fn name_process() {
    #[cfg(target_os = "linux")]
    // Only people look at it.
    let _ = rustix::thread::set_name(c"worker-attempt");
}

/// Limits what this process can allocate; an allocation beyond it fails. Linux only: others count otherwise.
pub(super) fn limit_data(bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // The hard limit may be lower than what we want, and only root may raise it.
        let hard = rustix::process::getrlimit(Resource::Data).maximum;
        let bytes = hard.map_or(bytes, |hard| hard.min(bytes));
        rustix::process::setrlimit(
            Resource::Data,
            Rlimit {
                current: Some(bytes),
                maximum: Some(bytes),
            },
        )?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = bytes;
    Ok(())
}

/// Has this process leave no image of its memory, which may hold data, when it dies.
pub(super) fn no_core_dumps() -> io::Result<()> {
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    Ok(())
}

/// Takes standard output for ourselves: what anybody prints from now on goes to standard error.
pub(super) fn take_stdout() -> io::Result<File> {
    let ours = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(File::from(ours))
}

/// Ends the process without running anybody's exit handlers.
#[allow(
    unsafe_code,
    reason = "std::process::exit runs the exit handlers of linked libraries, which may hang or crash"
)]
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions, and does not return.
    unsafe { libc::_exit(code) }
}
