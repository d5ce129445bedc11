//! Hand-off: how long it takes from a step's commit until the next step is claimed, in a fleet that has nothing else
//! to do.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::Bench;
use crate::failure::{Failure, Outcome};
use crate::fleet::{Durability, Fleet};
use crate::report::Handoff;

/// Runs before those that count: connections, statements and the specification are read and kept by then.
const WARM_UP: u32 = 20;

/// Runs one run after another. The items' own times are whole milliseconds, too coarse; so the workers write a line
/// for each commit and for each claim, with microseconds, and those are compared. Writing them costs a few
/// microseconds, which count too.
pub(crate) async fn measure(bench: &Bench, durability: Durability, processes: usize) -> Outcome<Handoff> {
    let fleet = Fleet::new(bench, durability).await?;
    let workers = fleet.start_workers(processes, &["--log", "debug", "--log-format", "text"])?;
    let runs = (bench.options.runs / 20).clamp(20, 500);
    let clock = &bench.host.clock;
    let mut whole = Vec::new();
    for n in 1..=WARM_UP + runs {
        let began = clock.monotonic();
        let run = fleet.submit(n).await?;
        fleet.ended(&run).await?;
        if n > WARM_UP {
            whole.push(clock.monotonic().saturating_sub(began));
        }
    }
    for worker in workers {
        worker.end(&**clock).await?;
    }
    let mut lines = Lines::default();
    for n in 0..processes {
        let path = fleet.log_of(n);
        let log = std::fs::read_to_string(&path).map_err(|e| Failure::io("read a worker's log", &e))?;
        log.lines().for_each(|line| lines.read(line));
    }
    let mut waits = Vec::new();
    for n in WARM_UP + 1..=WARM_UP + runs {
        for step in 2..=bench.options.steps {
            waits.push(lines.handoff(n, step).ok_or_else(|| {
                Failure::new(format!(
                    "the workers' logs do not tell when step-{step} of bench-{n} was handed over"
                ))
            })?);
        }
    }
    Ok(Handoff::new(durability, processes, waits, whole))
}

/// When what happened to which step of which run.
#[derive(Default)]
struct Lines {
    committed: HashMap<(String, String), SystemTime>,
    claimed: HashMap<(String, String), SystemTime>,
}

impl Lines {
    fn read(&mut self, line: &str) {
        let field = |name: &str| {
            line.split_once(name)
                .and_then(|(_, rest)| rest.split_whitespace().next())
        };
        let events = match line {
            _ if line.contains("committed run.id=") => &mut self.committed,
            _ if line.contains("claimed run.id=") => &mut self.claimed,
            _ => return,
        };
        let at = line
            .split_whitespace()
            .next()
            .and_then(|at| humantime::parse_rfc3339(at).ok());
        if let (Some(at), Some(run), Some(step)) = (at, field(" run.id="), field(" step=")) {
            events.insert((run.to_owned(), step.to_owned()), at);
        }
    }

    /// From the commit of the step before until the claim of `step`.
    fn handoff(&self, run: u32, step: u32) -> Option<Duration> {
        let key = |step: u32| (format!("bench-{run}"), format!("step-{step}"));
        let (from, to) = (self.committed.get(&key(step - 1))?, self.claimed.get(&key(step))?);
        to.duration_since(*from).ok()
    }
}
