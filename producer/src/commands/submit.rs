//! `producer submit`: a run of a specification, or one for each of several days.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use pipeline::operate::{self, Submitted};
use pipeline::spec::{self, MAX_SPEC_BYTES, Overrides, Parameter, Problems, Setting, load};
use pipeline::{PipelineName, RunId, RunStatus, Spec, Timestamp};
use serde::Serialize;

use crate::commands::watch;
use crate::dates::{Day, Days, day_of};
use crate::exit::{Exit, Failure};
use crate::render::count;
use crate::session::Session;

/// Make a run of a specification, or one for each of several days.
///
/// Prints the run's id. The id is the idempotency key: submitting the same specification under the same key again
/// makes no second run and says so; another specification under that key is a conflict (exit code 4). Without
/// --key a dated run is called PIPELINE-DATE and any other PIPELINE-TODAY-RANDOM.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  producer submit pipeline.toml
  producer submit pipeline.toml --set learning_rate=0.05 --set candidates=8
  producer submit pipeline.toml --date yesterday --watch
  producer submit pipeline.toml --refresh train
  producer submit pipeline.toml --dates 2026-11-01..2026-11-23
  run=$(producer submit pipeline.toml --key order-4711)

All that is wrong with a specification is said at once, as FILE:LINE: KEY: what (exit code 2). Paths of its \
sources are relative to its own folder.

JSON: {run, outcome, status}, an array of these with --dates; outcome is new, again or conflict. With \
--watch the lines of watch follow.")]
pub struct Args {
    /// The specification, a TOML file; - reads standard input
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Set a parameter of the specification; it takes the type that the parameter has there
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Setting>,
    /// Set the parameter `date`: YYYY-MM-DD, today or yesterday (UTC)
    #[arg(long, value_name = "DAY")]
    date: Option<Day>,
    /// Do this step anew, whatever the cache has; may be given several times, `all` is every step
    #[arg(long, value_name = "STEP")]
    refresh: Vec<String>,
    /// Make one run for each of these days, both included
    #[arg(long, value_name = "FROM..TO", conflicts_with_all = ["date", "key", "watch"])]
    dates: Option<Days>,
    /// The run's id, under which it is made once only
    #[arg(long, value_name = "KEY")]
    key: Option<RunId>,
    /// Follow the run until it ends
    #[arg(long)]
    watch: bool,
    /// What is to be submitted, once it was checked: see [`Args::prepare`].
    #[arg(skip)]
    checked: Vec<(Spec, Option<Date>)>,
}

impl Args {
    /// Reads and checks everything, before the backend is made or touched: either all days can be submitted, or none is.
    pub fn prepare(&mut self, now: Timestamp) -> Result<(), Failure> {
        let text = read(&self.spec)?;
        let settings = spec::by_name(&text, std::mem::take(&mut self.set)).map_err(Failure::Usage)?;
        // A specification from standard input is taken as if it lay in the working directory.
        let absolute =
            std::path::absolute(&self.spec).map_err(Failure::file("find the working directory"))?;
        let folder = absolute.parent().unwrap_or(&absolute);
        let today = day_of(now);
        let days: Vec<Option<Date>> = match (self.dates, self.date) {
            (Some(days), _) => {
                let days = days
                    .resolve(today)
                    .map_err(|e| Failure::Usage(format!("--dates: {e}")))?;
                days.into_iter().map(Some).collect()
            }
            (None, day) => vec![day.map(|day| day.resolve(today))],
        };
        for day in days {
            let mut spec = checked(&self.spec, &text, &settings, day)?;
            spec.set_refresh(&self.refresh).map_err(Failure::Usage)?;
            spec.anchor(folder);
            self.checked.push((spec, day));
        }
        Ok(())
    }
}

/// The outcome of a submission under a key that another specification has.
const CONFLICT: &str = "conflict";

#[derive(Serialize)]
struct View {
    run: RunId,
    outcome: &'static str,
    status: RunStatus,
}

pub(super) async fn perform(session: &Session, mut args: Args) -> Result<Exit, Failure> {
    let is_many = args.dates.is_some();
    let mut views = Vec::new();
    for (spec, day) in &mut args.checked {
        operate::offer_sources(&session.backend, spec).await?;
        let id = match &args.key {
            Some(key) => key.clone(),
            None => default_id(session, &spec.pipeline, *day)?,
        };
        let submitted = submit(session, spec, id.clone()).await?;
        views.push(told(session, &id, submitted, is_many));
    }
    match views.as_slice() {
        _ if !session.output.is_json() => {
            // A watch begins with the run's id by itself.
            for view in views
                .iter()
                .filter(|view| view.outcome != CONFLICT && !args.watch)
            {
                session.output.line(view.run.as_str())?;
            }
        }
        [view] if !is_many => session.output.json(view)?,
        views => session.output.json(&views)?,
    }
    if is_many {
        let new = views.iter().filter(|view| view.outcome == "new").count();
        session.output.say(&format!(
            "{} submitted; `producer list` shows how they do",
            count(new, "run")
        ));
    }
    let taken: Vec<&View> = views.iter().filter(|view| view.outcome == CONFLICT).collect();
    if !taken.is_empty() {
        let lines = taken.iter().map(|View { run, .. }| {
            format!(
                "run {run} exists with another specification (parameters count), and stays as it is: choose another id \
                 with --key"
            )
        });
        return Err(Failure::Conflict(lines.collect::<Vec<_>>().join("\n")));
    }
    match views.first() {
        Some(view) if args.watch => watch::perform(session, &view.run, std::time::Duration::ZERO).await,
        _ => Ok(Exit::Done),
    }
}

async fn submit(session: &Session, spec: &Spec, id: RunId) -> Result<Submitted, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::file("make a temporary folder"))?;
    let file = folder.path().join("spec.json");
    std::fs::write(&file, spec.canonical())
        .map_err(Failure::file("write the specification to a temporary file"))?;
    Ok(operate::submit_spec(&session.backend, spec, id, session.now(), &file, None).await?)
}

/// What became of one submission, for scripts; and, unless it is a conflict, for people.
fn told(session: &Session, id: &RunId, submitted: Submitted, is_one_of_many: bool) -> View {
    let output = &session.output;
    let (outcome, run) = match submitted {
        Submitted::New(run) => {
            if !is_one_of_many {
                let steps = count(run.order.len(), "step");
                output.say(&format!(
                    "submitted run {id} of pipeline {} ({steps}); `producer watch {id}` follows it",
                    run.pipeline
                ));
            }
            ("new", run)
        }
        Submitted::Again(run) => {
            let advice = match run.status {
                RunStatus::Failed | RunStatus::Cancelled => {
                    format!("; `producer resume {id}` goes on with it")
                }
                RunStatus::Open | RunStatus::Succeeded | RunStatus::Halted => String::new(),
            };
            output.say(&format!(
                "run {id} was submitted before and is {}: no second one was made{advice}",
                run.status
            ));
            ("again", run)
        }
        Submitted::Conflict(run) => (CONFLICT, run),
    };
    View {
        run: id.clone(),
        outcome,
        status: run.status,
    }
}

/// The text of a specification.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let what = format!("read the specification {}", path.display());
    // One byte more than is taken: then the loader says that it is too long.
    let most = MAX_SPEC_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::Usage(format!("cannot {what}: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Usage(format!(
            "{}: not a text in UTF-8: byte {at} is wrong",
            path.display()
        ))
    })
}

/// The specification for one day, or everything that is wrong with it.
fn checked(path: &Path, text: &str, settings: &Overrides, day: Option<Date>) -> Result<Spec, Failure> {
    let mut overrides = settings.clone();
    if let Some(day) = day {
        overrides.insert("date".into(), Parameter::Text(day.to_string()));
    }
    load(text, &overrides).map_err(|problems| explained(path, &problems))
}

/// Everything that is wrong with a specification, as `file:line: key: what`.
pub(super) fn explained(path: &Path, problems: &Problems) -> Failure {
    let lines = problems.0.iter().map(|problem| {
        let line = problem.line.map_or_else(String::new, |line| format!(":{line}"));
        let key = match problem.key.is_empty() {
            true => String::new(),
            false => format!(" {}:", problem.key),
        };
        format!("{}{line}:{key} {}", path.display(), problem.message)
    });
    let heading = format!(
        "{} wrong with the specification:",
        count(problems.0.len(), "thing")
    );
    Failure::Usage(
        std::iter::once(heading)
            .chain(lines)
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

/// `{pipeline}-{date}`, which makes one run per day; or a fresh `{pipeline}-{yyyymmdd}-{8 hex}`.
fn default_id(session: &Session, pipeline: &PipelineName, day: Option<Date>) -> Result<RunId, Failure> {
    let text = match day {
        Some(day) => format!("{pipeline}-{day}"),
        None => {
            let stem: String = pipeline.as_str().chars().take(46).collect();
            let today = day_of(session.now()).strftime("%Y%m%d");
            format!("{stem}-{today}-{}", session.host.random.hex(4))
        }
    };
    RunId::new(&text)
        .map_err(|error| Failure::Usage(format!("{error}; give the run a shorter name with --key")))
}
