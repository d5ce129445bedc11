//! What [`Registry`](crate::ports::Registry) promises, and the part of
//! [`RunStore::apply`](crate::ports::RunStore::apply) that registers and promotes.

use futures::future::join_all;

use super::World;
use super::runs::{create_run, manifest};
use crate::change::Change;
use crate::guard::Guard;
use crate::id::{AliasName, ModelName, RunId};
use crate::item::{RunItem, RunStatus};
use crate::ports::{MovedTo, RolledBack};
use crate::registry::{Alias, ModelVersion, Promotion, Registered, Registration};
use crate::time::Timestamp;
use crate::update::{Applied, Declared, GuardedUpdate};

fn champion() -> AliasName {
    AliasName::new("champion").expect("valid")
}

/// The last commit of a run that registers, and promotes if the champion is at that revision.
fn commit(run: &RunId, model: &ModelName, expected_revision: Option<u64>, at: u64) -> GuardedUpdate {
    let promote = expected_revision.map(|expected_revision| Promotion {
        alias: champion(),
        expected_revision,
    });
    let registration = Registration {
        model: model.clone(),
        promote,
        reason: format!("at {at}"),
    };
    let (status, reason, now) = (RunStatus::Succeeded, None, Timestamp(at));
    let registered = Registered {
        model: model.clone(),
        promoted: registration.promote.as_ref().map(|p| p.alias.clone()),
        reason: registration.reason.clone(),
    };
    let version = ModelVersion {
        model: model.clone(),
        run: run.clone(),
        package: manifest(run),
        registered_at: now,
    };
    GuardedUpdate {
        register: Some(Box::new(Declared {
            registration,
            version,
        })),
        ..GuardedUpdate::run(
            run,
            vec![Guard::RunOpen],
            vec![
                Change::End { status, reason, now },
                Change::Registered(registered),
            ],
        )
    }
}

async fn new_run(world: &World) -> RunItem {
    let run = world.run_item();
    create_run(world, &run).await;
    run
}

async fn apply(world: &World, update: &GuardedUpdate) -> Applied {
    world.backend.runs.apply(update).await.expect("answered")
}

/// A run that promotes its version over the champion of that revision.
async fn promoted(world: &World, model: &ModelName, expected: u64) -> RunId {
    let run = new_run(world).await;
    let answer = apply(world, &commit(&run.id, model, Some(expected), 100 + expected)).await;
    assert!(matches!(answer, Applied::Done(_)), "{answer:?}");
    run.id
}

async fn resolve(world: &World, model: &ModelName) -> Option<Alias> {
    world
        .backend
        .registry
        .resolve(model, &champion())
        .await
        .expect("answered")
}

async fn roll_back(world: &World, model: &ModelName, expected: u64) -> RolledBack {
    let (at, reason) = (Timestamp(1_000 + expected), "it was worse");
    let registry = &world.backend.registry;
    registry
        .roll_back(model, &champion(), expected, reason, at)
        .await
        .expect("answered")
}

/// What was never registered is none, and no error.
pub async fn an_unknown_model_is_empty(world: &World) {
    let (model, registry) = (world.model(), &world.backend.registry);
    assert_eq!(resolve(world, &model).await, None);
    let version = registry.version(&model, &world.run_id()).await;
    assert_eq!(version.expect("answered"), None);
    assert!(registry.list(&model).await.expect("answered").is_empty());
    assert!(
        registry
            .history(&model, &champion())
            .await
            .expect("answered")
            .is_empty()
    );
    assert_eq!(roll_back(world, &model, 0).await, RolledBack::NoEarlier);
    assert_eq!(roll_back(world, &model, 1).await, RolledBack::Moved(None));
}

/// All in one: the run ended, the version is there, the alias points to it.
pub async fn a_commit_registers_and_promotes(world: &World) {
    let (model, run) = (world.model(), new_run(world).await);
    let update = commit(&run.id, &model, Some(0), 7);
    let Applied::Done(item) = apply(world, &update).await else {
        panic!("refused");
    };
    let stored = world.backend.runs.load(&run.id).await.expect("loaded");
    assert_eq!(stored, item.into_run());
    assert_eq!(stored.map(|run| run.status), Some(RunStatus::Succeeded));
    let declared = update.register.expect("declared");
    let registry = &world.backend.registry;
    let version = registry.version(&model, &run.id).await.expect("answered");
    assert_eq!(version.as_ref(), Some(&declared.version));
    let alias = resolve(world, &model).await;
    assert_eq!(alias, declared.moved_alias());
    assert_eq!(alias.as_ref().map(|a| a.revision), Some(1));
    let history = registry.history(&model, &champion()).await.expect("answered");
    assert_eq!(history, alias.into_iter().collect::<Vec<_>>());
    assert!(registry.models().await.expect("answered").contains(&model));
    let other = AliasName::new("shadow").expect("valid");
    assert_eq!(registry.resolve(&model, &other).await.expect("answered"), None);
}

/// A version that is no champion.
pub async fn a_commit_may_register_only(world: &World) {
    let model = world.model();
    let first = promoted(world, &model, 0).await;
    let run = new_run(world).await;
    let answer = apply(world, &commit(&run.id, &model, None, 7)).await;
    assert!(matches!(answer, Applied::Done(_)), "{answer:?}");
    assert_eq!(resolve(world, &model).await.map(|a| a.version), Some(first));
    assert_eq!(
        world.backend.registry.list(&model).await.expect("answered").len(),
        2
    );
}

/// The registry and the item are one transaction.
pub async fn a_refused_commit_registers_nothing(world: &World) {
    let (model, run) = (world.model(), new_run(world).await);
    let cancel = crate::protocol::cancel(&run.id, "for the test", Timestamp(1));
    assert!(matches!(apply(world, &cancel).await, Applied::Done(_)));
    let answer = apply(world, &commit(&run.id, &model, Some(0), 7)).await;
    assert!(matches!(answer, Applied::Refused(Some(_))), "{answer:?}");
    assert_eq!(resolve(world, &model).await, None);
    assert!(
        world
            .backend
            .registry
            .list(&model)
            .await
            .expect("answered")
            .is_empty()
    );
}

/// P1: never over a champion that the evaluation did not see.
pub async fn a_promotion_over_another_champion_changes_nothing(world: &World) {
    let model = world.model();
    promoted(world, &model, 0).await;
    let champion = resolve(world, &model).await;
    let run = new_run(world).await;
    for expected in [0, 2] {
        let answer = apply(world, &commit(&run.id, &model, Some(expected), 7)).await;
        assert_eq!(
            answer,
            Applied::AliasMoved(champion.clone()),
            "at revision {expected}"
        );
    }
    assert_eq!(resolve(world, &model).await, champion);
    assert_eq!(
        world.backend.runs.load(&run.id).await.expect("loaded"),
        Some(run.clone())
    );
    let version = world.backend.registry.version(&model, &run.id).await;
    assert_eq!(version.expect("answered"), None);
    // No alias yet, and one was expected.
    let (other, run) = (world.model(), new_run(world).await);
    let answer = apply(world, &commit(&run.id, &other, Some(1), 7)).await;
    assert_eq!(answer, Applied::AliasMoved(None));
}

/// Of all that saw the same champion, one takes its place.
pub async fn of_racing_promotions_one_wins(world: &World) {
    let model = world.model();
    let mut commits = Vec::new();
    for _ in 0..32 {
        commits.push(commit(&new_run(world).await.id, &model, Some(0), 7));
    }
    let answers = join_all(commits.iter().map(|c| apply(world, c))).await;
    let alias = resolve(world, &model).await.expect("somebody won");
    assert_eq!(alias.revision, 1);
    let mut winners = Vec::new();
    for (update, answer) in commits.iter().zip(answers) {
        match answer {
            Applied::Done(_) => winners.push(update.key.run().clone()),
            Applied::AliasMoved(seen) => assert_eq!(seen.as_ref(), Some(&alias)),
            Applied::Refused(_) => panic!("{answer:?}"),
        }
    }
    assert_eq!(winners, [alias.version]);
    assert_eq!(
        world.backend.registry.list(&model).await.expect("answered").len(),
        1
    );
}

/// By when they were registered; models by name.
pub async fn versions_are_listed_newest_first(world: &World) {
    let (one, two) = (world.model(), world.model());
    for (model, at) in [(&one, 5), (&one, 9), (&two, 1), (&one, 7)] {
        let run = new_run(world).await;
        let answer = apply(world, &commit(&run.id, model, None, at)).await;
        assert!(matches!(answer, Applied::Done(_)), "{answer:?}");
    }
    let registry = &world.backend.registry;
    let versions = registry.list(&one).await.expect("answered");
    let times: Vec<u64> = versions.iter().map(|v| v.registered_at.0).collect();
    assert_eq!(times, [9, 7, 5]);
    let models = registry.models().await.expect("answered");
    assert!(models.contains(&one) && models.contains(&two));
    assert!(models.is_sorted(), "{models:?}");
}

/// Not to and fro. Each roll back is a position of its own, with the next revision, its own reason and time.
pub async fn rolling_back_twice_goes_two_back(world: &World) {
    let model = world.model();
    let (a, b, c) = (
        promoted(world, &model, 0).await,
        promoted(world, &model, 1).await,
        promoted(world, &model, 2).await,
    );
    for (expected, version) in [(3, &b), (4, &a)] {
        let RolledBack::Done(alias) = roll_back(world, &model, expected).await else {
            panic!("not rolled back from revision {expected}");
        };
        let want = Alias {
            model: model.clone(),
            name: champion(),
            version: version.clone(),
            revision: expected + 1,
            moved_at: Timestamp(1_000 + expected),
            reason: "it was worse".into(),
        };
        assert_eq!(alias, want);
        assert_eq!(resolve(world, &model).await, Some(want));
    }
    assert_eq!(roll_back(world, &model, 5).await, RolledBack::NoEarlier);
    let history = world
        .backend
        .registry
        .history(&model, &champion())
        .await
        .expect("answered");
    let versions: Vec<(u64, &RunId)> = history.iter().map(|h| (h.revision, &h.version)).collect();
    assert_eq!(versions, [(5, &a), (4, &b), (3, &c), (2, &b), (1, &a)]);
}

/// A promotion after a roll back stands on what it was compared with, not on what had been found worse.
pub async fn what_was_rolled_back_stays_so_after_a_promotion(world: &World) {
    let model = world.model();
    let a = promoted(world, &model, 0).await;
    promoted(world, &model, 1).await;
    assert!(matches!(roll_back(world, &model, 2).await, RolledBack::Done(_)));
    promoted(world, &model, 3).await;
    let RolledBack::Done(alias) = roll_back(world, &model, 4).await else {
        panic!("not rolled back");
    };
    assert_eq!((alias.version, alias.revision), (a, 5));
    assert_eq!(roll_back(world, &model, 5).await, RolledBack::NoEarlier);
}

/// Whoever asks for it has not seen the present champion.
pub async fn a_roll_back_of_another_revision_changes_nothing(world: &World) {
    let model = world.model();
    promoted(world, &model, 0).await;
    promoted(world, &model, 1).await;
    let champion = resolve(world, &model).await;
    for expected in [0, 1, 3] {
        assert_eq!(
            roll_back(world, &model, expected).await,
            RolledBack::Moved(champion.clone())
        );
    }
    assert_eq!(resolve(world, &model).await, champion);
    let rolls = join_all((0..10).map(|_| roll_back(world, &model, 2))).await;
    let done = rolls.iter().filter(|r| matches!(r, RolledBack::Done(_))).count();
    assert_eq!(done, 1, "one of those who race: {rolls:?}");
}

async fn move_to(world: &World, model: &ModelName, expected: u64, version: &RunId) -> MovedTo {
    let (at, reason) = (Timestamp(2_000 + expected), "it looks right");
    let registry = &world.backend.registry;
    registry
        .move_to(model, &champion(), expected, version, reason, at)
        .await
        .expect("answered")
}

/// What was only registered becomes the champion, the first one included, and can be rolled back like any other.
pub async fn a_version_is_promoted_by_hand(world: &World) {
    let model = world.model();
    let mut versions = Vec::new();
    for at in [1, 2] {
        let run = new_run(world).await;
        let answer = apply(world, &commit(&run.id, &model, None, at)).await;
        assert!(matches!(answer, Applied::Done(_)), "{answer:?}");
        versions.push(run.id);
    }
    for (expected, version) in (0..).zip(&versions) {
        let want = Alias {
            model: model.clone(),
            name: champion(),
            version: version.clone(),
            revision: expected + 1,
            moved_at: Timestamp(2_000 + expected),
            reason: "it looks right".into(),
        };
        assert_eq!(
            move_to(world, &model, expected, version).await,
            MovedTo::Done(want.clone())
        );
        assert_eq!(resolve(world, &model).await, Some(want));
    }
    let RolledBack::Done(alias) = roll_back(world, &model, 2).await else {
        panic!("not rolled back");
    };
    assert_eq!((&alias.version, alias.revision), (&versions[0], 3));
    // A run's promotion sees it as it sees any other.
    let third = promoted(world, &model, 3).await;
    assert_eq!(resolve(world, &model).await.map(|a| a.version), Some(third));
}

/// Neither a version that is none, nor another model's, nor over a champion that was not seen.
pub async fn a_promotion_by_hand_of_what_is_not_there_changes_nothing(world: &World) {
    let (model, other) = (world.model(), world.model());
    assert_eq!(
        move_to(world, &model, 0, &world.run_id()).await,
        MovedTo::NoVersion
    );
    let (one, foreign) = (promoted(world, &model, 0).await, promoted(world, &other, 0).await);
    let champion = resolve(world, &model).await;
    assert_eq!(move_to(world, &model, 1, &foreign).await, MovedTo::NoVersion);
    for expected in [0, 2] {
        assert_eq!(
            move_to(world, &model, expected, &one).await,
            MovedTo::Moved(champion.clone())
        );
    }
    assert_eq!(resolve(world, &model).await, champion);
}

/// Two people who saw the same champion.
pub async fn of_racing_promotions_by_hand_one_wins(world: &World) {
    let model = world.model();
    let version = promoted(world, &model, 0).await;
    let moves = join_all((0..10).map(|_| move_to(world, &model, 1, &version))).await;
    let done = moves.iter().filter(|m| matches!(m, MovedTo::Done(_))).count();
    assert_eq!(done, 1, "one of those who race: {moves:?}");
    assert_eq!(resolve(world, &model).await.map(|a| a.revision), Some(2));
}
