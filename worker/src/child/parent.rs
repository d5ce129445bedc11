//! The pool's side: one child process watched from start to end.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use pipeline::ports::Host;
use pipeline::stage::StageError;
use pipeline::time::millis;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};

use super::lines::{Line, Lines};
use super::process::{Exit, Process};
use super::verdict::{self, Evidence, KilledFor};
use super::wire::{Ending, Report, Request, STOP};
use super::{ChildRequest, End, Ended, Stop, Told, cgroup};

/// How often the child's memory and time are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often its folders are, in looks: once a second.
const LOOKS_PER_WEIGHING: u32 = 20;
/// The longest line of standard error that is passed on; the rest of a longer one is dropped.
const MAX_STDERR_LINE_BYTES: usize = 2_048;
/// How many lines of standard error are passed on between two looks; more are counted and dropped.
const MAX_STDERR_LINES: u32 = 20;
/// The longest report. The longest that a stage's outcome makes of itself is far below.
const MAX_REPORT_BYTES: usize = 256 * 1024;
/// The most reports. A child sends at most 101.
const MAX_REPORTS: u32 = 1_000;
/// How long what a dead child left in its pipes is read. Only a descendant that left its process group keeps them open.
const LINGER: Duration = Duration::from_secs(1);

/// Runs one attempt in a child process, to its end: when this returns the child is dead, its process group too, and
/// reaped. Dropping the future kills the child as well.
///
/// `stop` may be raised at any time, `told` hears what the child says. A child that cannot be started at all is a
/// [`StageError::Transient`].
pub async fn run_in_child(
    request: ChildRequest,
    host: &Host,
    stop: watch::Receiver<Stop>,
    told: &mut (dyn for<'a> FnMut(Told<'a>) + Send),
) -> Ended {
    let oom_kills_before = cgroup::oom_kills();
    let (line, process) = match start(&request, host).await {
        Ok(started) => started,
        Err(error) => {
            let message = format!("cannot start a child process: {error}");
            let end = End::Failed(StageError::Transient {
                message,
                retry_after_ms: None,
            });
            return Ended {
                end,
                peak_memory_bytes: None,
                cpu_ms: None,
            };
        }
    };
    let mut watched = Watched::new(&request, host, told);
    let exit = match watched.until_dead(line, process, stop).await {
        Ok(exit) => exit,
        Err(how) => {
            return Ended {
                end: End::Crashed { how },
                peak_memory_bytes: None,
                cpu_ms: None,
            };
        }
    };
    let rose = cgroup::oom_kills()
        .zip(oom_kills_before)
        .is_some_and(|(after, before)| after > before);
    watched.conclude(&exit, rose)
}

async fn start(request: &ChildRequest, host: &Host) -> std::io::Result<(Vec<u8>, Process)> {
    let absolute = |path: &Path| std::path::absolute(path);
    let mut line = serde_json::to_vec(&Request {
        parent: std::process::id(),
        assignment: request.assignment.clone(),
        inputs: absolute(&request.inputs)?,
        outputs: absolute(&request.outputs)?,
        memory_limit_bytes: request.memory_limit_bytes,
    })
    .map_err(std::io::Error::other)?;
    line.push(b'\n');
    let process = Process::start(&request.program, &absolute(&request.scratch)?, host).await?;
    Ok((line, process))
}

/// How many bytes lie below a folder. What cannot be looked at, or is gone a moment later, counts for nothing.
fn weigh(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let weights = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => weigh(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    weights.sum()
}

/// Writes the request, then the word to stop once it is `asked`, and keeps the pipe open for good: its end would tell
/// the child that we are gone.
async fn feed(mut stdin: pipe::Sender, line: Vec<u8>, asked: oneshot::Receiver<()>) -> Infallible {
    // A child that does not read has died, or will be killed in time.
    if stdin.write_all(&line).await.is_ok() && asked.await.is_ok() {
        let _ = stdin.write_all(format!("{STOP}\n").as_bytes()).await;
    }
    std::future::pending().await
}

/// What is known of a running child so far.
struct Watched<'a> {
    request: &'a ChildRequest,
    host: &'a Host,
    told: &'a mut (dyn for<'t> FnMut(Told<'t>) + Send),
    killed_for: Option<KilledFor>,
    ending: Option<Ending>,
    reports: u32,
    peak_memory_bytes: Option<u64>,
    failed_allocation_bytes: Option<u64>,
    last_words: Option<String>,
    looks: u32,
    /// How many lines of standard error may still be passed on before the next look.
    lines_left: u32,
    lines_dropped: u64,
}

impl<'a> Watched<'a> {
    fn new(
        request: &'a ChildRequest,
        host: &'a Host,
        told: &'a mut (dyn for<'t> FnMut(Told<'t>) + Send),
    ) -> Self {
        Self {
            request,
            host,
            told,
            killed_for: None,
            ending: None,
            reports: 0,
            peak_memory_bytes: None,
            failed_allocation_bytes: None,
            last_words: None,
            looks: 0,
            lines_left: MAX_STDERR_LINES,
            lines_dropped: 0,
        }
    }

    /// Looks after the child until it is dead and what it said is read.
    async fn until_dead(
        &mut self,
        line: Vec<u8>,
        process: Process,
        mut stop: watch::Receiver<Stop>,
    ) -> Result<Exit, String> {
        let Process {
            stdin,
            stdout,
            stderr,
            mut exited,
            leash,
        } = process;
        let clock = &*self.host.clock;
        let (mut reports, mut errors) = (
            Lines::new(stdout, MAX_REPORT_BYTES),
            Lines::new(stderr, MAX_STDERR_LINE_BYTES),
        );
        let (ask, asked) = oneshot::channel();
        let mut ask = Some(ask);
        let mut feed = std::pin::pin!(feed(stdin, line, asked));
        let time_over = self
            .request
            .time_limit
            .map(|limit| clock.monotonic().saturating_add(limit));
        let mut grace_over = None;
        let (mut has_reports, mut has_errors, mut may_be_stopped) = (true, true, true);
        let mut look = clock.sleep(LOOK);
        stop.mark_changed();
        let exit = loop {
            // Reading comes last: a child that floods us must not keep us from looking at it.
            tokio::select! {
                biased;
                exit = &mut exited => break exit,
                changed = stop.changed(), if may_be_stopped => {
                    may_be_stopped = changed.is_ok();
                    match *stop.borrow_and_update() {
                        Stop::Not => {}
                        Stop::Soon => if let Some(ask) = ask.take() {
                            // The other end is `feed`, which never ends.
                            let _ = ask.send(());
                            grace_over = Some(clock.monotonic().saturating_add(self.request.grace));
                        },
                        Stop::Now => self.kill_for(KilledFor::Stop),
                    }
                }
                () = &mut look => {
                    look = clock.sleep(LOOK);
                    self.look(leash.with(|pid| cgroup::memory_of(&pid.to_string())).flatten());
                    let now = clock.monotonic();
                    if grace_over.is_some_and(|over| now >= over) {
                        self.kill_for(KilledFor::Stop);
                    }
                    if time_over.is_some_and(|over| now >= over) {
                        self.kill_for(KilledFor::Time);
                    }
                }
                never = &mut feed => match never {},
                line = reports.next(), if has_reports => match line {
                    Some(line) => self.hear(&line),
                    None => has_reports = false,
                },
                line = errors.next(), if has_errors => match line {
                    Some(line) => self.overhear(line),
                    None => has_errors = false,
                },
            }
            if self.killed_for.is_some() {
                leash.kill();
            }
        };
        let mut over = clock.sleep(LINGER);
        while has_reports || has_errors {
            tokio::select! {
                biased;
                () = &mut over => break,
                line = reports.next(), if has_reports => match line {
                    Some(line) => self.hear(&line),
                    None => has_reports = false,
                },
                line = errors.next(), if has_errors => match line {
                    Some(line) => self.overhear(line),
                    None => has_errors = false,
                },
            }
        }
        self.own_up_to_dropped_lines();
        match exit {
            Ok(Ok(exit)) => Ok(exit),
            Ok(Err(error)) => Err(format!("the child process could not be waited for: {error}")),
            Err(_) => Err("the task that waits for the child process was dropped".into()),
        }
    }

    /// The first reason stands.
    fn kill_for(&mut self, why: KilledFor) {
        self.killed_for.get_or_insert(why);
    }

    fn look(&mut self, memory: Option<cgroup::ProcessMemory>) {
        self.own_up_to_dropped_lines();
        self.lines_left = MAX_STDERR_LINES;
        self.looks += 1;
        if let Some(limit) = self.request.scratch_limit_bytes
            && self.looks % LOOKS_PER_WEIGHING == 1
        {
            let parts = [&self.request.inputs, &self.request.outputs, &self.request.scratch];
            let has = parts.into_iter().map(|part| weigh(part)).sum::<u64>();
            if has > limit {
                self.kill_for(KilledFor::Scratch { has, limit });
            }
        }
        let Some(memory) = memory else { return };
        self.peak_memory_bytes = self.peak_memory_bytes.max(Some(memory.peak_bytes));
        if self
            .request
            .memory_limit_bytes
            .is_some_and(|limit| memory.held_bytes > limit)
        {
            self.kill_for(KilledFor::Memory);
        }
    }

    fn hear(&mut self, line: &Line) {
        self.reports += 1;
        if !line.is_whole && self.killed_for.is_some() {
            return; // We cut it off ourselves.
        }
        if self.ending.is_some() {
            self.kill_for(KilledFor::Rules("went on reporting after its last report".into()));
        } else if self.reports > MAX_REPORTS {
            self.kill_for(KilledFor::Rules(format!("wrote more than {MAX_REPORTS} reports")));
        } else if !line.is_whole {
            self.kill_for(KilledFor::Rules(
                "wrote a report that is too long, or has no end".into(),
            ));
        } else {
            match serde_json::from_str(&line.text) {
                Ok(Report::Progress(fraction)) => (self.told)(Told::Progress(fraction.clamp(0.0, 1.0))),
                Ok(Report::Ended(ending)) => self.ending = Some(ending),
                Err(error) => self.kill_for(KilledFor::Rules(format!(
                    "wrote something that is no report: {error}"
                ))),
            }
        }
    }

    fn overhear(&mut self, line: Line) {
        let text = line.text.trim_end();
        if let Some(bytes) = verdict::failed_allocation_bytes(text) {
            self.failed_allocation_bytes = Some(bytes);
        }
        if text.is_empty() {
            return;
        }
        if self.lines_left > 0 {
            self.lines_left -= 1;
            (self.told)(Told::Stderr(text));
        } else {
            self.lines_dropped += 1;
        }
        self.last_words = Some(text.chars().take(200).collect());
    }

    fn own_up_to_dropped_lines(&mut self) {
        if self.lines_dropped > 0 {
            let line = format!(
                "({} more lines were dropped: the child wrote too many at once)",
                self.lines_dropped
            );
            (self.told)(Told::Stderr(&line));
            self.lines_dropped = 0;
        }
    }

    fn conclude(self, exit: &Exit, kernel_killed_for_memory: bool) -> Ended {
        let said_peak_bytes = self.ending.as_ref().and_then(|ending| ending.peak_memory_bytes);
        // The kernel's own figure counts what the pool had when it started the child, so it comes last.
        let peak_memory_bytes = self
            .peak_memory_bytes
            .max(said_peak_bytes)
            .unwrap_or(exit.usage.max_resident_bytes);
        let end = verdict::judge(Evidence {
            status: exit.status,
            killed_for: self.killed_for,
            said: self.ending.map(|ending| ending.how),
            failed_allocation_bytes: self.failed_allocation_bytes,
            kernel_killed_for_memory,
            last_words: self.last_words,
        });
        Ended {
            end,
            peak_memory_bytes: Some(peak_memory_bytes),
            cpu_ms: Some(millis(exit.usage.cpu)),
        }
    }
}
