//! `producer models promote` and `rollback`: what moves an alias by hand.

use pipeline::RunId;
use pipeline::id::{AliasName, ModelName};
use pipeline::ports::{MovedTo, RolledBack};
use pipeline::registry::Alias;

use super::{AliasView, versions};
use crate::exit::{Exit, Failure};
use crate::session::Session;

pub(super) async fn promote(
    session: &Session,
    model: &ModelName,
    version: &RunId,
    alias: &AliasName,
    reason: &str,
) -> Result<Exit, Failure> {
    let known = versions(session, model).await?;
    let no_version = || {
        Failure::NotFound(format!(
            "model {model} has no version {version}; `producer models show {model}` lists them"
        ))
    };
    if known.iter().all(|v| v.run != *version) {
        return Err(no_version());
    }
    let registry = &session.backend.registry;
    let before = registry.resolve(model, alias).await?;
    if before.as_ref().is_some_and(|a| a.version == *version) {
        return Err(Failure::Conflict(format!(
            "alias {alias} of model {model} points to {version} already"
        )));
    }
    let expected = before.as_ref().map_or(0, |a| a.revision);
    match registry
        .move_to(model, alias, expected, version, reason, session.now())
        .await?
    {
        MovedTo::Done(after) => {
            let was = before.map_or_else(
                || "was never moved before".into(),
                |a| format!("was {}", a.version),
            );
            session.output.say(&format!(
                "alias {alias} of model {model} points to {} ({was}), revision {}",
                after.version, after.revision
            ));
            tell(session, &after)
        }
        MovedTo::Moved(_) => Err(moved_meanwhile(model, alias)),
        MovedTo::NoVersion => Err(no_version()),
    }
}

fn tell(session: &Session, alias: &Alias) -> Result<Exit, Failure> {
    if session.output.is_json() {
        session.output.json(&AliasView::of(alias))?;
    }
    Ok(Exit::Done)
}

fn moved_meanwhile(model: &ModelName, alias: &AliasName) -> Failure {
    Failure::Conflict(format!(
        "alias {alias} of model {model} was moved at this moment; look at `producer models history {model}` and try again"
    ))
}

pub(super) async fn roll_back(
    session: &Session,
    model: &ModelName,
    alias: &AliasName,
    reason: &str,
) -> Result<Exit, Failure> {
    versions(session, model).await?;
    let registry = &session.backend.registry;
    let Some(before) = registry.resolve(model, alias).await? else {
        return Err(Failure::Conflict(format!(
            "alias {alias} of model {model} was never moved: nothing to roll back"
        )));
    };
    match registry
        .roll_back(model, alias, before.revision, reason, session.now())
        .await?
    {
        RolledBack::Done(after) => {
            session.output.say(&format!(
                "alias {alias} of model {model} points to {} again (was {}), revision {}",
                after.version, before.version, after.revision
            ));
            tell(session, &after)
        }
        RolledBack::Moved(_) => Err(moved_meanwhile(model, alias)),
        RolledBack::NoEarlier => Err(Failure::Conflict(format!(
            "alias {alias} of model {model} has no position before {}: nothing to roll back to",
            before.version
        ))),
    }
}
