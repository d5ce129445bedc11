//! Chaos: short runs over real worker processes while a nemesis strikes, judged afterwards.
#![allow(
    clippy::disallowed_methods,
    reason = "real processes are hit in real time, and threads of our own wait for it"
)]

mod account;
mod driver;
mod ground;
mod history;
mod judge;
mod nemesis;
mod report;
mod runs;
mod workers;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use pipeline::Timestamp;
use pipeline::ports::PortResult;

use crate::driver::Driver;
use crate::ground::Ground;
use crate::judge::{Judged, judge, queues};
use crate::nemesis::Nemesis;
use crate::report::Report;

/// Run many short pipelines over real worker processes while a nemesis strikes, and judge what came of it.
///
/// Workers are killed (half of them at a drawn moment of a delivery), stand still for longer than their lease and go
/// on, have wrong clocks; the disk is full; on AWS, an emulator behind a proxy, requests are refused, cut and lost, and the
/// endpoint is restarted. Then nothing goes wrong any more, and every run has to end. What is done is logged line by line; the
/// invariants of ARCHITECTURE.md are checked afterwards, from the log, the stores and the outputs.
///
/// A seed draws the runs and the blows; which work a blow hits is up to the machine.
#[derive(Debug, Parser)]
#[command(
    name = "chaos",
    version,
    max_term_width = 100,
    after_long_help = "E1 is broken by a run that does not end as its specification says, E2 by one whose results are not those of equal runs.\n\nEnds with 0 if everything is as it must be, with 1 if not (what was broken is shown, with the lines of the log about it, and\nlog and stores are kept), with 2 if the arguments are wrong."
)]
pub(crate) struct Arguments {
    /// Where the runs happen
    #[arg(long, value_enum, default_value_t = Place::Local)]
    backend: Place,
    /// How many runs
    #[arg(long, default_value_t = 500, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    runs: usize,
    /// How often a worker is killed; other blows but zombies follow from it, and with 0 there are none
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// How often a worker stands still for longer than its lease [default: a fifth of the kills]
    #[arg(long)]
    zombies: Option<usize>,
    /// What is drawn follows from it [default: drawn itself]
    #[arg(long)]
    seed: Option<u64>,
    /// How many workers are at work at a time
    #[arg(long, default_value_t = 3, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    workers: usize,
    /// For how long a worker that is not heard of keeps its work
    #[arg(long, default_value = "1500ms", value_parser = humantime::parse_duration)]
    lease: Duration,
    /// When nothing goes wrong any more, a run must end within this time
    #[arg(long, default_value = "180s", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Run nothing, and judge again what was kept of a local fleet
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["keep", "backend", "runs", "kills", "zombies"])]
    judge: Option<std::path::PathBuf>,
    /// A variable of the workers' environment, for faults that are planted
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, hide = true)]
    env: Vec<(&'static str, String)>,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Keep log and stores, also if everything is as it must be
    #[arg(long)]
    keep: bool,
}

/// Where the runs happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// A folder on this machine
    Local,
    /// An emulator of AWS on this machine, behind a proxy
    Aws,
}

impl Arguments {
    fn zombies(&self) -> usize {
        self.zombies.unwrap_or(self.kills / 5)
    }

    fn seed(&self) -> u64 {
        self.seed.expect("it is drawn before it is asked for")
    }
}

fn variable(text: &str) -> Result<(&'static str, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    // Named once, for as long as the process lives.
    Ok((name.to_owned().leak(), value.to_owned()))
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    let drawn = || producer::host::real().random.u64() >> 32;
    arguments.seed = Some(arguments.seed.unwrap_or_else(drawn));
    let arguments = arguments;
    let (ground, judged) = match &arguments.judge {
        Some(kept) => {
            let ground = Ground::kept(kept);
            let judged = judge(&ground, Timestamp(0), arguments.patience);
            (ground, judged)
        }
        None => {
            let ground = Ground::prepare(&arguments);
            let judged = happen(&ground, &arguments);
            (ground, judged)
        }
    };
    let judged = judged.unwrap_or_else(|e| panic!("the stores cannot be read: {e}"));
    let mut report = Report {
        arguments: &arguments,
        ground: &ground,
        judged: &judged,
        kept: None,
    };
    let is_right = report.is_right();
    let is_kept = arguments.judge.is_some();
    let kept = (!is_kept && (arguments.keep || !is_right)).then(|| ground.keep());
    report.kept = kept.as_deref();
    match arguments.json {
        true => println!("{:#}", report.json()),
        false => print!("{}", report.text()),
    }
    if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How often it looks how far things are.
const LOOK: Duration = Duration::from_millis(100);
/// What is delivered once more when all runs have ended finds that out, and is gone.
const CLEARED: Duration = Duration::from_secs(60);

fn happen(ground: &Ground, arguments: &Arguments) -> PortResult<Judged> {
    let progress = Progress::new(arguments);
    let driver = Driver::new(ground, arguments);
    std::thread::scope(|scope| {
        let people = scope.spawn(|| ground.fleet.block_on(driver.work()));
        // Whatever ends this: nobody waits for them for ever.
        let _stops = Stops(&driver);
        let mut nemesis = Nemesis::new(ground, arguments, &driver);
        nemesis.rage(|blows| progress.show("storm", blows, driver.open()));
        nemesis.calm();
        let quiet_since = ground.fleet.now();
        let mut calm = Instant::now();
        loop {
            let (open, all) = driver.open();
            progress.show("calm", nemesis.blows(), (open, all));
            // It ends before it is told to only if it panics.
            if driver.is_done() && open == 0 || people.is_finished() {
                break;
            }
            if !driver.is_done() {
                calm = Instant::now();
            }
            if calm.elapsed() > arguments.patience {
                break;
            }
            nemesis.keep_up();
            std::thread::sleep(LOOK);
        }
        let cleared = Instant::now();
        while !is_cleared(ground) && cleared.elapsed() < CLEARED {
            nemesis.keep_up();
            std::thread::sleep(LOOK);
        }
        nemesis.workers.leave();
        driver.stop();
        if let Err(panic) = people.join() {
            std::panic::resume_unwind(panic);
        }
        progress.show("judging", nemesis.blows(), driver.open());
        let judged = judge(ground, quiet_since, arguments.patience);
        progress.done();
        judged
    })
}

struct Stops<'a>(&'a Driver<'a>);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// True if every message was answered.
fn is_cleared(ground: &Ground) -> bool {
    queues().all(|queue| {
        let depth = ground.fleet.block_on(ground.fleet.backend().queue.depth(&queue));
        depth.is_ok_and(|depth| depth.visible + depth.in_flight + depth.delayed == 0)
    })
}

/// How far it is, on a terminal.
struct Progress(ProgressBar);

impl Progress {
    fn new(arguments: &Arguments) -> Self {
        let bar = ProgressBar::new(arguments.runs as u64);
        let style =
            ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} runs ended, {msg}");
        bar.set_style(style.expect("a valid template"));
        Self(bar)
    }

    fn show(&self, phase: &str, blows: usize, (open, all): (usize, usize)) {
        self.0.set_position((all - open) as u64);
        self.0.set_message(format!("{open} open, {blows} blows, {phase}"));
    }

    fn done(&self) {
        self.0.finish_and_clear();
    }
}
