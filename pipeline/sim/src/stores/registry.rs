//! Models, versions, aliases.

use std::collections::BTreeMap;

use pipeline::Timestamp;
use pipeline::id::{AliasName, ModelName, RunId};
use pipeline::ports::{MovedTo, RolledBack};
use pipeline::registry::{Alias, ModelVersion, Position};
use pipeline::update::Declared;

/// The registry.
#[derive(Debug, Default)]
pub struct Models {
    /// Versions by model and run.
    pub versions: BTreeMap<(ModelName, RunId), ModelVersion>,
    /// The positions of each alias, newest first.
    pub aliases: BTreeMap<(ModelName, AliasName), Vec<Position>>,
}

impl Models {
    /// The alias as it is.
    pub fn resolve(&self, model: &ModelName, alias: &AliasName) -> Option<Alias> {
        let positions = self.aliases.get(&(model.clone(), alias.clone()))?;
        positions.first().map(|position| position.alias.clone())
    }

    fn move_alias(&mut self, alias: Alias, restores: Option<u64>) {
        let positions = self.aliases.entry((alias.model.clone(), alias.name.clone()));
        positions.or_default().insert(0, Position { alias, restores });
    }

    /// What a run's last commit does. The alias, and nothing done, if it is not what the promotion expects.
    pub fn register(&mut self, declared: &Declared) -> Result<(), Option<Alias>> {
        let registration = &declared.registration;
        if let Some(promotion) = &registration.promote {
            let present = self.resolve(&registration.model, &promotion.alias);
            if !promotion.holds(present.as_ref()) {
                return Err(present);
            }
        }
        let version = declared.version.clone();
        self.versions
            .insert((version.model.clone(), version.run.clone()), version);
        if let Some(alias) = declared.moved_alias() {
            self.move_alias(alias, None);
        }
        Ok(())
    }

    /// The versions of a model, newest first.
    pub fn list(&self, model: &ModelName) -> Vec<ModelVersion> {
        let mut versions: Vec<ModelVersion> = self
            .versions
            .values()
            .filter(|version| version.model == *model)
            .cloned()
            .collect();
        versions.sort_by(|a, b| (b.registered_at, &b.run).cmp(&(a.registered_at, &a.run)));
        versions
    }

    /// See [`pipeline::ports::Registry::roll_back`].
    pub fn roll_back(
        &mut self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        reason: &str,
        now: Timestamp,
    ) -> RolledBack {
        let positions = self.aliases.get(&(model.clone(), alias.clone()));
        let positions = positions.map_or(&[][..], Vec::as_slice);
        let present = positions.first().map(|position| position.alias.clone());
        if present.as_ref().map_or(0, |alias| alias.revision) != expected {
            return RolledBack::Moved(present);
        }
        let Some((earlier, version)) = Position::before_present(positions) else {
            return RolledBack::NoEarlier;
        };
        let moved = Alias::moved(
            model.clone(),
            alias.clone(),
            version,
            expected,
            now,
            reason.to_owned(),
        );
        self.move_alias(moved.clone(), Some(earlier));
        RolledBack::Done(moved)
    }

    /// See [`pipeline::ports::Registry::move_to`].
    pub fn move_to(&mut self, moved: Alias, expected: u64) -> MovedTo {
        let present = self.resolve(&moved.model, &moved.name);
        if present.as_ref().map_or(0, |alias| alias.revision) != expected {
            return MovedTo::Moved(present);
        }
        if !self
            .versions
            .contains_key(&(moved.model.clone(), moved.version.clone()))
        {
            return MovedTo::NoVersion;
        }
        self.move_alias(moved.clone(), None);
        MovedTo::Done(moved)
    }
}
