//! `producer models`: registered models, their versions and aliases.

mod move_alias;
mod show;

use pipeline::RunId;
use pipeline::id::{AliasName, ModelName};
use pipeline::registry::{Alias, ModelVersion};
use serde::Serialize;

use crate::backend::Access;
use crate::exit::{Exit, Failure};
use crate::render::{Cell, Table, ago};
use crate::session::Session;

/// Look at registered models, promote a version, or roll one back
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List models: how many versions each has, and which one its alias points to
    #[command(after_long_help = "\
Examples:
  producer models list

JSON: an array of {model, versions, newest, alias, version, revision}; version and revision are null if the \
alias was never moved.")]
    List {
        /// Which alias to show
        #[command(flatten)]
        alias: AliasArg,
    },
    /// Show the versions of a model, newest first. A version is named by the run that made it
    #[command(after_long_help = "\
Examples:
  producer models show churn

JSON: an array of {model, version, registered_at, is_current, model_kind, metrics, lineage, artifacts: [{name, \
sha256, size_bytes}]}; is_current says whether the alias points to it; model_kind, metrics (on test) and lineage are \
what its package says, null if it says nothing.")]
    Show {
        /// The model
        #[arg(value_name = "MODEL")]
        model: ModelName,
        /// Which alias to show
        #[command(flatten)]
        alias: AliasArg,
    },
    /// Show every position that a model's alias had, newest first
    #[command(after_long_help = "\
Examples:
  producer models history churn

JSON: an array of {model, alias, version, revision, moved_at, reason}.")]
    History {
        /// The model
        #[arg(value_name = "MODEL")]
        model: ModelName,
        /// Which alias to show
        #[command(flatten)]
        alias: AliasArg,
    },
    /// Point a model's alias to a version, whatever the gates said
    ///
    /// If somebody moves it at the same time, nothing is changed (exit code 4). `rollback` undoes it.
    #[command(after_long_help = "\
Examples:
  producer models promote churn nightly-2026-11-23 --reason 'the gate was too strict: see review'

JSON: {model, alias, version, revision, moved_at, reason}.")]
    Promote {
        /// The model
        #[arg(value_name = "MODEL")]
        model: ModelName,
        /// The version: the run that made it
        #[arg(value_name = "VERSION")]
        version: RunId,
        /// Which alias to move
        #[command(flatten)]
        alias: AliasArg,
        /// Why, for people
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Move a model's alias back to the version that it pointed to before
    ///
    /// If somebody moves it at the same time, nothing is changed (exit code 4).
    #[command(after_long_help = "\
Examples:
  producer models rollback churn --reason 'complaints since Monday'

JSON: {model, alias, version, revision, moved_at, reason}.")]
    Rollback {
        /// The model
        #[arg(value_name = "MODEL")]
        model: ModelName,
        /// Which alias to move
        #[command(flatten)]
        alias: AliasArg,
        /// Why, for people
        #[arg(long, default_value = "rolled back by hand", value_name = "TEXT")]
        reason: String,
    },
}

/// The alias that is spoken of.
#[derive(Debug, clap::Args)]
pub struct AliasArg {
    /// The alias
    #[arg(long, default_value = "champion", value_name = "ALIAS")]
    alias: AliasName,
}

impl Command {
    /// What it does to the backend.
    pub fn access(&self) -> Access {
        match self {
            Self::List { .. } | Self::Show { .. } | Self::History { .. } => Access::Look,
            Self::Promote { .. } | Self::Rollback { .. } => Access::Change,
        }
    }
}

#[derive(Serialize)]
struct AliasView {
    model: String,
    alias: String,
    version: String,
    revision: u64,
    moved_at: String,
    reason: String,
}

impl AliasView {
    fn of(alias: &Alias) -> Self {
        Self {
            model: alias.model.to_string(),
            alias: alias.name.to_string(),
            version: alias.version.to_string(),
            revision: alias.revision,
            moved_at: alias.moved_at.to_string(),
            reason: alias.reason.clone(),
        }
    }
}

#[derive(Serialize)]
struct ModelView {
    model: String,
    versions: usize,
    newest: Option<String>,
    alias: String,
    version: Option<String>,
    revision: Option<u64>,
}

pub(super) async fn perform(session: &Session, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List { alias } => list(session, &alias.alias).await,
        Command::Show { model, alias } => show::show(session, &model, &alias.alias).await,
        Command::History { model, alias } => history(session, &model, &alias.alias).await,
        Command::Promote {
            model,
            version,
            alias,
            reason,
        } => move_alias::promote(session, &model, &version, &alias.alias, &reason).await,
        Command::Rollback { model, alias, reason } => {
            move_alias::roll_back(session, &model, &alias.alias, &reason).await
        }
    }
}

async fn list(session: &Session, alias: &AliasName) -> Result<Exit, Failure> {
    let registry = &session.backend.registry;
    let now = session.now();
    let mut views = Vec::new();
    let mut table = Table::new(&[
        "MODEL",
        "VERSIONS",
        "NEWEST",
        &alias.as_str().to_uppercase(),
        "REVISION",
        "MOVED",
    ]);
    for model in registry.models().await? {
        let versions = registry.list(&model).await?;
        let at = registry.resolve(&model, alias).await?;
        let view = ModelView {
            model: model.to_string(),
            versions: versions.len(),
            newest: versions.first().map(|v| v.run.to_string()),
            alias: alias.to_string(),
            version: at.as_ref().map(|a| a.version.to_string()),
            revision: at.as_ref().map(|a| a.revision),
        };
        table.row([
            Cell::new(&view.model),
            Cell::new(view.versions.to_string()).right(),
            Cell::maybe(view.newest.as_ref()),
            Cell::maybe(view.version.as_ref()),
            Cell::maybe(view.revision.map(|r| r.to_string())).right(),
            Cell::maybe(at.map(|a| ago(now, a.moved_at))).right(),
        ]);
        views.push(view);
    }
    if session.output.is_json() {
        session.output.json(&views)?;
    } else if table.is_empty() {
        session.output.say("no model is registered");
    } else {
        session.output.table(&table)?;
    }
    Ok(Exit::Done)
}

async fn versions(session: &Session, model: &ModelName) -> Result<Vec<ModelVersion>, Failure> {
    let versions = session.backend.registry.list(model).await?;
    if versions.is_empty() {
        return Err(Failure::NotFound(format!(
            "there is no model {model}; `producer models list` shows those that there are"
        )));
    }
    Ok(versions)
}

async fn history(session: &Session, model: &ModelName, alias: &AliasName) -> Result<Exit, Failure> {
    versions(session, model).await?;
    let positions = session.backend.registry.history(model, alias).await?;
    if session.output.is_json() {
        session
            .output
            .json(&positions.iter().map(AliasView::of).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let now = session.now();
    let mut table = Table::new(&["REVISION", "VERSION", "MOVED", "REASON"]);
    for at in &positions {
        table.row([
            Cell::new(at.revision.to_string()).right(),
            Cell::new(at.version.as_str()),
            Cell::new(ago(now, at.moved_at)).right(),
            Cell::new(&at.reason),
        ]);
    }
    if table.is_empty() {
        session
            .output
            .say(&format!("alias {alias} of model {model} was never moved"));
    } else {
        session.output.table(&table)?;
    }
    Ok(Exit::Done)
}
