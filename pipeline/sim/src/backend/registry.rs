//! Models.

use std::collections::BTreeSet;

use async_trait::async_trait;
use pipeline::Timestamp;
use pipeline::id::{AliasName, ModelName, RunId};
use pipeline::ports::{MovedTo, PortResult, Registry, RolledBack};
use pipeline::registry::{Alias, ModelVersion};

use crate::executor::SCRIPT;
use crate::fault::Call;
use crate::world::{Link, done};

#[async_trait]
impl Registry for Link {
    async fn resolve(&self, model: &ModelName, alias: &AliasName) -> PortResult<Option<Alias>> {
        let (model, alias, detail) = (model.clone(), alias.clone(), format!("resolve {model} {alias}"));
        self.call(Call::Rare, detail, done, move |stores, _| {
            Ok(stores.models.resolve(&model, &alias))
        })
        .await
    }

    async fn version(&self, model: &ModelName, version: &RunId) -> PortResult<Option<ModelVersion>> {
        let (key, detail) = (
            (model.clone(), version.clone()),
            format!("version {model} {version}"),
        );
        self.call(Call::Rare, detail, done, move |stores, _| {
            Ok(stores.models.versions.get(&key).cloned())
        })
        .await
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        self.call(Call::Rare, "models".to_owned(), done, |stores, _| {
            let names: BTreeSet<ModelName> = stores
                .models
                .versions
                .keys()
                .map(|(model, _)| model.clone())
                .collect();
            Ok(names.into_iter().collect())
        })
        .await
    }

    async fn list(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        let (model, detail) = (model.clone(), format!("versions {model}"));
        self.call(Call::Rare, detail, done, move |stores, _| {
            Ok(stores.models.list(&model))
        })
        .await
    }

    async fn history(&self, model: &ModelName, alias: &AliasName) -> PortResult<Vec<Alias>> {
        let (key, detail) = ((model.clone(), alias.clone()), format!("history {model} {alias}"));
        self.call(Call::Rare, detail, done, move |stores, _| {
            let positions = stores.models.aliases.get(&key).into_iter().flatten();
            Ok(positions.map(|position| position.alias.clone()).collect())
        })
        .await
    }

    async fn roll_back(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<RolledBack> {
        let (model, alias, reason) = (model.clone(), alias.clone(), reason.to_owned());
        let (detail, is_person) = (format!("roll-back {model} {alias}"), self.process == SCRIPT);
        self.call(Call::Rare, detail, done, move |stores, _| {
            let answer = stores.models.roll_back(&model, &alias, expected, &reason, now);
            if is_person && let RolledBack::Done(moved) = &answer {
                stores.ledger.moved_by_hand(&model, &alias, moved.revision);
            }
            Ok(answer)
        })
        .await
    }

    async fn move_to(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        version: &RunId,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<MovedTo> {
        let moved = Alias::moved(
            model.clone(),
            alias.clone(),
            version.clone(),
            expected,
            now,
            reason.to_owned(),
        );
        let (detail, is_person) = (format!("move {model} {alias}"), self.process == SCRIPT);
        self.call(Call::Rare, detail, done, move |stores, _| {
            let answer = stores.models.move_to(moved, expected);
            if is_person && let MovedTo::Done(moved) = &answer {
                stores
                    .ledger
                    .moved_by_hand(&moved.model, &moved.name, moved.revision);
            }
            Ok(answer)
        })
        .await
    }
}
