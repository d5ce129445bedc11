//! The command line of the fleet's binary.

#![warn(clippy::print_stdout, clippy::print_stderr)] // as in the library

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use pipeline::ports::Host;
use pipeline::spec::{CATALOGUE, Kind, kind};
use pipeline::{MemoryClass, WorkerId, operate};
use worker::config::{self, ConfigArgs, Mode, Settings};
use worker::metrics::Metrics;
use worker::predict::{self, PredictArgs};
use worker::run::{self, Progress, Report, RunArgs};
use worker::spec::SpecCommand;
use worker::worker::{ProgressSink, Worker};
use worker::{agent, backend, background, child, fleet, host, output, telemetry};

/// The fleet's binary: pools of workers that carry out the stages of runs.
#[derive(Debug, Parser)]
#[command(
    name = "worker",
    version,
    max_term_width = 100,
    after_help = "\
People submit and watch runs with `producer`. To try everything in one process:
  worker run --test-stages examples/hello/pipeline.toml"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the queues of some stages until it is told to end
    #[command(after_help = "\
Examples:
  worker pool --stages extract,validate
  worker pool --stages train --classes large --memory-limit 32GiB
  worker pool --stages all --test-stages --backend local:/var/lib/fleetline

SIGTERM or SIGINT drains: nothing new is taken, what runs may finish; towards the end of --drain-timeout, or at a
second signal, it is interrupted and released for others at no charge.")]
    Pool {
        /// Which stages, separated by commas; `all` for every one
        #[arg(long, value_delimiter = ',', required = true, value_name = "STAGE,…")]
        stages: Vec<String>,
        /// Only these memory classes of them [default: every class that a stage has]
        #[arg(long, value_delimiter = ',', value_name = "CLASS,…", value_parser = parse_class)]
        classes: Vec<MemoryClass>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Takes what upstream systems post, and makes runs of it
    #[command(after_help = "\
Examples:
  worker intake --backend aws:fleetline

Messages are run requests, notifications of S3 or events of EventBridge; `producer pipelines apply` says which pipelines
there are and which objects make runs of them. What cannot be accepted goes to the dead letters of the queue `intake`,
with the reason. Also sweeps: it sends again what was lost of open runs, and fails those past their deadline.")]
    Intake {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Submits one run and carries it out, with the whole fleet in this process
    #[command(after_help = "\
Examples:
  worker run --test-stages examples/hello/pipeline.toml
  worker run pipeline.toml --set date=2026-11-23 --key nightly-2026-11-23 --json

Exit codes: 0 SUCCEEDED, 5 FAILED, 6 HALTED, 7 CANCELLED, 2 the specification or a flag is wrong, 4 the key belongs to
another specification, 1 anything else (the run may be open still: any pool goes on with it).")]
    Run {
        #[command(flatten)]
        args: RunArgs,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Predicts a file of rows with a registered model
    #[command(after_help = "\
Examples:
  worker predict --model flights --input new.csv --output predictions.parquet --keep flight_id
  worker predict --model flights@nightly-2026-11-23 --input new.parquet --output predictions.csv --json

Two classes give the columns probability (of the second class) and prediction; several give prediction and
probability_CLASS for each; a number gives prediction. The rows keep their order.

A CSV file is read with the separator and the missing values of the file that the model was trained on, unless told
otherwise.

Exit codes: 0 done, 2 a flag is wrong, 3 there is no such model, 130 Ctrl-C, 1 anything else.")]
    Predict {
        #[command(flatten)]
        args: PredictArgs,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Checks a specification, or prints what one can say
    Spec {
        #[command(subcommand)]
        command: SpecCommand,
    },
    /// Asks the worker of this container whether it is well
    #[command(after_help = "\
Asks the worker whose metrics are at --metrics-addr whether it has ever been ready for work, and says why not. A check of
a container's health: a worker that waits for AWS, or drains, is well.

Exit codes: 0 well, 1 not, or not there.")]
    Health {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Lists the stages that there are
    Stages,
    /// One attempt in a process of its own; only pools start it
    #[command(hide = true)]
    Attempt,
    /// Opens a model's package and predicts its golden rows; `deploy` starts it
    #[command(hide = true)]
    Prove {
        /// The folder with the package
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

fn parse_class(text: &str) -> Result<MemoryClass, String> {
    let names = || MemoryClass::ALL.map(MemoryClass::as_str).join(", ");
    MemoryClass::ALL
        .into_iter()
        .find(|c| c.as_str() == text)
        .ok_or_else(|| format!("there are {}", names()))
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Attempt => child::attempt_main(),
        Command::Prove { folder } => child::prove_main(&folder),
        Command::Spec { command } => worker::spec::perform(&command),
        Command::Stages => {
            let line = |Kind { name, about, .. }: &Kind| format!("{name:12} {about}\n");
            output::end_with(CATALOGUE.iter().map(line).collect::<String>(), ExitCode::SUCCESS)
        }
        Command::Pool {
            stages,
            classes,
            config,
        } => in_runtime(pool(stages, classes, config)),
        Command::Intake { config } => in_runtime(take_in(config)),
        Command::Run { args, config } => in_runtime(run_one(args, config)),
        Command::Health { config } => in_runtime(health(config)),
        Command::Predict { args, config } => in_runtime(predict_file(args, config)),
    }
}

fn in_runtime(command: impl Future<Output = Result<u8, Failure>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            output::tell(format_args!("error: cannot start the runtime: {e}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command).unwrap_or_else(|failure| {
        output::tell(format_args!("error: {}", failure.message));
        failure.code
    });
    // A stage that does not heed its interruption must not keep the process: its lease ends by itself.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Why the command ended badly, and its exit code.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn usage(message: impl ToString) -> Self {
        Self {
            code: 2,
            message: message.to_string(),
        }
    }

    fn other(message: impl ToString) -> Self {
        Self {
            code: 1,
            message: message.to_string(),
        }
    }
}

async fn pool(stages: Vec<String>, classes: Vec<MemoryClass>, config: ConfigArgs) -> Result<u8, Failure> {
    let settings = config::load(config, Mode::Pool).map_err(Failure::usage)?;
    let kinds = named_stages(&stages, settings.test_stages).map_err(Failure::usage)?;
    let queues = fleet::queues_of(&kinds, &classes);
    if queues.is_empty() {
        return Err(Failure::usage(
            "none of these stages is deployed in these classes",
        ));
    }
    let worker = build(&settings, None, true).await?;
    fleet::drain_on_signals(&worker, settings.drain_timeout).map_err(Failure::other)?;
    let names: Vec<String> = queues.iter().map(|(queue, _)| queue.to_string()).collect();
    let running = fleet::start(&worker, queues, &settings)
        .await
        .map_err(Failure::other)?;
    tracing::info!(worker = %worker.id, "serves {}", names.join(", "));
    running.ended(&worker).await;
    tracing::info!("drained");
    Ok(0)
}

async fn take_in(config: ConfigArgs) -> Result<u8, Failure> {
    let settings = config::load(config, Mode::Pool).map_err(Failure::usage)?;
    let worker = build(&settings, None, true).await?;
    fleet::drain_on_signals(&worker, settings.drain_timeout).map_err(Failure::other)?;
    let running = fleet::start_intake(&worker, &settings)
        .await
        .map_err(Failure::other)?;
    tracing::info!(worker = %worker.id, "serves {}", pipeline::intake::QUEUE);
    running.ended(&worker).await;
    tracing::info!("drained");
    Ok(0)
}

async fn health(config: ConfigArgs) -> Result<u8, Failure> {
    let settings = config::load(config, Mode::Pool).map_err(Failure::usage)?;
    let host = host::real_host(0);
    let told = agent::health::ask(&settings, &*host.clock)
        .await
        .map_err(Failure::other)?;
    output::write(format_args!("{told}")).map_err(Failure::other)?;
    Ok(0)
}

async fn predict_file(args: PredictArgs, config: ConfigArgs) -> Result<u8, Failure> {
    let settings = config::load(config, Mode::Run).map_err(Failure::usage)?;
    let host = host::real_host(settings.test_clock_offset_ms);
    let id = worker_id(&settings, &host);
    let opened = backend::open(&settings, &id, &host, &Arc::default())
        .await
        .map_err(Failure::other)?;
    let predicted = predict::predict(&opened.backend, &host, &settings.scratch, &args)
        .await
        .map_err(|e| Failure {
            code: e.exit_code(),
            message: e.to_string(),
        })?;
    let told = match args.json {
        true => serde_json::to_string(&predicted).map_err(Failure::other)?,
        false => predicted.to_string(),
    };
    output::write(format_args!("{told}\n")).map_err(Failure::other)?;
    Ok(0)
}

fn named_stages(names: &[String], allows_test_stages: bool) -> Result<Vec<&'static Kind>, String> {
    let is_allowed = |kind: &&Kind| allows_test_stages || !kind.for_tests;
    if names == ["all"] {
        let kinds: Vec<&Kind> = CATALOGUE.iter().filter(is_allowed).collect();
        return match kinds.is_empty() {
            true => Err(
                "every stage that there is so far is only for tests: allow them with --test-stages".into(),
            ),
            false => Ok(kinds),
        };
    }
    names
        .iter()
        .map(|name| match kind(name) {
            None => Err(format!("there is no stage {name:?}; `worker stages` lists them")),
            Some(kind) if !is_allowed(&kind) => Err(format!(
                "stage {name} is only for tests and first steps; allow it with --test-stages"
            )),
            Some(kind) => Ok(kind),
        })
        .collect()
}

/// Opens the backend and puts the worker together; also sets up logging, which wants to know both.
async fn build(
    settings: &Settings,
    progress: Option<ProgressSink>,
    shows_log: bool,
) -> Result<Arc<Worker>, Failure> {
    let host = host::real_host(settings.test_clock_offset_ms);
    let id = worker_id(settings, &host);
    let metrics = Arc::new(Metrics::new());
    let opened = backend::open(settings, &id, &host, &metrics)
        .await
        .map_err(Failure::other)?;
    let log = if shows_log {
        Some(settings.log_format)
    } else {
        None
    };
    let gathered = telemetry::init(log, &settings.log, &opened.log).map_err(Failure::other)?;
    let backend = (opened.backend, opened.rhythm, opened.room);
    fleet::build(settings, id, backend, host, metrics, gathered, progress).map_err(Failure::other)
}

fn worker_id(settings: &Settings, host: &Host) -> WorkerId {
    settings.worker_id.clone().unwrap_or_else(|| {
        let id = format!("w-{}-{}", std::process::id(), host.random.hex(3));
        WorkerId::new(id).expect("digits and letters make an id")
    })
}

async fn run_one(args: RunArgs, config: ConfigArgs) -> Result<u8, Failure> {
    let mut settings = config::load(config, Mode::Run).map_err(Failure::usage)?;
    let refused = |e: run::RunError| Failure {
        code: e.exit_code(),
        message: e.to_string(),
    };
    let mut spec = run::load(&args, settings.test_stages).map_err(refused)?;
    // Data that lies beside its specification needs no setting.
    settings.source_folders.push(args.folder());
    let progress = Progress::new(args.json);
    // Log lines would tear the progress bars apart; they go to the worker's log file.
    let worker = build(&settings, Some(progress.sink()), false).await?;
    fleet::drain_on_signals(&worker, settings.drain_timeout).map_err(Failure::other)?;
    // A pool waits until its clock is set; a person who waits for one run wants to be told.
    background::check_clock(&worker).await;
    if let Some(why) = worker.gate.shut() {
        return Err(Failure::other(why));
    }
    operate::offer_sources(&worker.backend, &mut spec)
        .await
        .map_err(Failure::other)?;
    let queues = fleet::queues_of(&run::stages_of(&spec), &[]);
    let running = fleet::start(&worker, queues, &settings)
        .await
        .map_err(Failure::other)?;
    let report = run::run(&worker, &spec, &args, progress).await;
    running.ended(&worker).await;
    let report = report.map_err(refused)?;
    let told = match args.json {
        true => serde_json::to_string(&report).map_err(Failure::other)?,
        false => report.to_string(),
    };
    output::write(format_args!("{told}\n")).map_err(Failure::other)?;
    if report.status == pipeline::RunStatus::Open && !args.json {
        output::tell(run::how_to_go_on(&report.run));
    }
    Ok(Report::exit_code(report.status))
}
