//! `producer pipelines`: what upstream systems may ask for.

use std::path::{Path, PathBuf};

use pipeline::PipelineName;
use pipeline::intake::{Definition, ObjectRule};
use pipeline::spec::{Overrides, load};
use serde::Serialize;

use crate::backend::Access;
use crate::commands::submit::{explained, read};
use crate::exit::{Exit, Failure};
use crate::render::{Cell, Table, ago};
use crate::session::Session;

/// Apply pipelines, so that upstream systems can ask for runs of them
///
/// A pipeline is a specification under its name. `worker intake` makes runs of it when somebody posts a run request to the
/// queue `intake`, or when an object is created that its section `intake` names.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Keep a specification under its name; replaces an earlier one. Runs that are there go on as they are
    #[command(after_long_help = "\
Examples:
  producer pipelines apply flights.toml

In the specification, which objects make runs, and how many of them may be open at a time:
  [intake]
  max_open = 1
  [[intake.objects]]
  bucket = \"lake\"
  prefix = \"flights/\"
  suffix = \".csv\"
  set = { file = \"{uri}\" }        # also {bucket}, {key} and {name}; `file` is one of its [parameters]

A run request, in the queue `intake`:
  {\"version\": \"1\", \"pipeline\": \"flights\", \"key\": \"order-4711\", \"set\": {\"file\": \"s3://lake/x.csv\"}}

JSON: {pipeline, applied_at, max_open, objects: [{bucket, prefix, suffix, set}], sources}.")]
    Apply {
        /// The specification, a TOML file; - reads standard input
        #[arg(value_name = "SPEC")]
        spec: PathBuf,
    },
    /// List pipelines, and which objects make runs of them
    #[command(after_long_help = "\
Examples:
  producer pipelines list

JSON: an array of what `apply` answers.")]
    List,
    /// Show a pipeline's specification, as it was applied
    #[command(after_long_help = "\
Examples:
  producer pipelines show flights

JSON: what `apply` answers, and text.")]
    Show {
        /// The pipeline
        #[arg(value_name = "PIPELINE")]
        pipeline: PipelineName,
    },
    /// Make no more runs of a pipeline. Those that are there go on
    #[command(after_long_help = "\
Examples:
  producer pipelines remove flights

JSON: {pipeline}.")]
    Remove {
        /// The pipeline
        #[arg(value_name = "PIPELINE")]
        pipeline: PipelineName,
    },
}

impl Command {
    /// What it does to the backend.
    pub fn access(&self) -> Access {
        match self {
            Self::Apply { .. } => Access::Create,
            Self::Remove { .. } => Access::Change,
            Self::List | Self::Show { .. } => Access::Look,
        }
    }
}

#[derive(Serialize)]
struct View {
    pipeline: PipelineName,
    applied_at: String,
    max_open: Option<u32>,
    objects: Vec<ObjectRule>,
    sources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl View {
    fn of(definition: &Definition) -> Result<Self, Failure> {
        let rules = definition.rules().map_err(|e| Failure::Usage(e.to_string()))?;
        Ok(Self {
            pipeline: definition.name.clone(),
            applied_at: definition.applied_at.to_string(),
            max_open: rules.max_open,
            objects: rules.objects,
            sources: definition.sources.values().cloned().collect(),
            text: None,
        })
    }
}

pub(super) async fn perform(session: &Session, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Apply { spec } => apply(session, &spec).await,
        Command::List => list(session).await,
        Command::Show { pipeline } => show(session, &pipeline).await,
        Command::Remove { pipeline } => remove(session, &pipeline).await,
    }
}

async fn apply(session: &Session, path: &Path) -> Result<Exit, Failure> {
    let text = read(path)?;
    let mut spec = load(&text, &Overrides::new()).map_err(|problems| explained(path, &problems))?;
    let absolute = std::path::absolute(path).map_err(Failure::file("find the working directory"))?;
    let folder = absolute.parent().unwrap_or(&absolute);
    spec.anchor(folder);
    let mut definition = Definition {
        name: spec.pipeline.clone(),
        text,
        folder: folder.to_string_lossy().into_owned(),
        sources: std::collections::BTreeMap::new(),
        applied_at: session.now(),
    };
    for path in spec.source_files() {
        let offered = session.backend.sources.offer(path).await?;
        definition.sources.insert(path.clone(), offered);
    }
    session.backend.pipelines.put(&definition).await?;
    let view = View::of(&definition)?;
    if session.output.is_json() {
        session.output.json(&view)?;
    }
    let name = &definition.name;
    session.output.say(&match view.objects.len() {
        0 => format!("pipeline {name} is applied: run requests make runs of it"),
        n => format!("pipeline {name} is applied: run requests make runs of it, and {n} kind(s) of objects"),
    });
    Ok(Exit::Done)
}

async fn list(session: &Session) -> Result<Exit, Failure> {
    let definitions = session.backend.pipelines.list().await?;
    if session.output.is_json() {
        let views: Result<Vec<View>, Failure> = definitions.iter().map(View::of).collect();
        session.output.json(&views?)?;
        return Ok(Exit::Done);
    }
    let now = session.now();
    let mut table = Table::new(&["PIPELINE", "APPLIED", "MAX OPEN", "OBJECTS"]);
    for definition in &definitions {
        let view = View::of(definition)?;
        table.row([
            Cell::new(definition.name.as_str()),
            Cell::new(ago(now, definition.applied_at)).right(),
            Cell::maybe(view.max_open.map(|n| n.to_string())).right(),
            Cell::new(view.objects.iter().map(shown).collect::<Vec<_>>().join(" ")),
        ]);
    }
    if table.is_empty() {
        session
            .output
            .say("no pipelines; `producer pipelines apply SPEC` adds one");
    } else {
        session.output.table(&table)?;
    }
    Ok(Exit::Done)
}

fn shown(rule: &ObjectRule) -> String {
    format!("s3://{}/{}*{}", rule.bucket, rule.prefix, rule.suffix)
}

async fn show(session: &Session, name: &PipelineName) -> Result<Exit, Failure> {
    let definition = session.backend.pipelines.get(name).await?;
    let definition = definition.ok_or_else(|| unknown(name))?;
    if session.output.is_json() {
        let view = View {
            text: Some(definition.text.clone()),
            ..View::of(&definition)?
        };
        session.output.json(&view)?;
    } else {
        session.output.raw(definition.text.as_bytes())?;
    }
    Ok(Exit::Done)
}

async fn remove(session: &Session, name: &PipelineName) -> Result<Exit, Failure> {
    if !session.backend.pipelines.remove(name).await? {
        return Err(unknown(name));
    }
    if session.output.is_json() {
        session.output.json(&serde_json::json!({ "pipeline": name }))?;
    }
    session
        .output
        .say(&format!("pipeline {name} is removed; its runs go on"));
    Ok(Exit::Done)
}

fn unknown(name: &PipelineName) -> Failure {
    Failure::NotFound(format!(
        "there is no pipeline {name} here; `producer pipelines list` shows those that there are"
    ))
}
