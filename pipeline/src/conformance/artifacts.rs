//! What [`ArtifactStore`](crate::ports::ArtifactStore) promises.

use std::fs;
use std::path::PathBuf;

use futures::future::join_all;

use super::{World, step};
use crate::artifact::{ArtifactKey, ArtifactRef, Origin};
use crate::digest::Sha256Digest;
use crate::id::{ArtifactName, RunId};
use crate::ports::ErrorKind;

fn key(run: &RunId, ordinal: u32, attempt: u32, name: &str) -> ArtifactKey {
    let origin = Origin {
        run: run.clone(),
        step: step("train"),
        ordinal,
        attempt,
    };
    ArtifactKey::Attempt(origin, ArtifactName::new(name).expect("a valid name"))
}

fn file(world: &World, bytes: &[u8]) -> PathBuf {
    let path = world.scratch.join(world.unique("source"));
    fs::write(&path, bytes).expect("written");
    path
}

async fn publish(world: &World, key: &ArtifactKey, bytes: &[u8]) -> ArtifactRef {
    let file = file(world, bytes);
    let artifact = world
        .backend
        .artifacts
        .publish(key, &file)
        .await
        .expect("published");
    assert_eq!(artifact.key, *key);
    assert_eq!(artifact.sha256, Sha256Digest::of(bytes));
    assert_eq!(artifact.size_bytes, bytes.len() as u64);
    artifact
}

async fn round_trip(world: &World, bytes: &[u8]) {
    let key = key(&world.run_id(), 0, 1, "model.bin");
    let artifact = publish(world, &key, bytes).await;
    world.backend.artifacts.verify(&artifact).await.expect("verified");
    let there = world.scratch.join(world.unique("copy"));
    world
        .backend
        .artifacts
        .fetch(&artifact, &there)
        .await
        .expect("fetched");
    assert!(fs::read(&there).expect("there") == bytes, "other bytes came back");
    let size = world.backend.artifacts.size_bytes(&key).await.expect("looked at");
    assert_eq!(size, Some(bytes.len() as u64));
}

/// A few bytes.
pub async fn small_bytes_make_the_round_trip(world: &World) {
    round_trip(world, b"hello").await;
}

/// None at all.
pub async fn no_bytes_make_the_round_trip(world: &World) {
    round_trip(world, b"").await;
}

/// Twenty megabytes: more than a buffer, more than a part of a multipart upload.
pub async fn many_bytes_make_the_round_trip(world: &World) {
    let bytes: Vec<u8> = (0..20 * 1024 * 1024u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    round_trip(world, &bytes).await;
}

/// A redelivery that publishes what is there is a success.
pub async fn equal_bytes_may_be_published_again(world: &World) {
    let key = key(&world.run_id(), 3, 2, "report.json");
    let first = publish(world, &key, b"{}").await;
    let again = publish(world, &key, b"{}").await;
    assert_eq!(first, again);
}

/// Artifacts are immutable.
pub async fn other_bytes_are_a_conflict(world: &World) {
    let key = key(&world.run_id(), 0, 1, "report.json");
    let artifact = publish(world, &key, b"first").await;
    for other in [&b"other"[..], b"longer than the first", b""] {
        let result = world.backend.artifacts.publish(&key, &file(world, other)).await;
        assert_eq!(result.expect_err("other bytes").kind(), ErrorKind::Conflict);
    }
    let there = world.scratch.join("copy");
    world
        .backend
        .artifacts
        .fetch(&artifact, &there)
        .await
        .expect("still there");
    assert_eq!(fs::read(there).expect("there"), b"first");
}

/// And what it published is what is there.
pub async fn of_racing_publishers_one_wins(world: &World) {
    let key = key(&world.run_id(), 0, 1, "race");
    let files: Vec<PathBuf> = (0..16u8).map(|i| file(world, &[i; 1000])).collect();
    let results = join_all(files.iter().map(|f| world.backend.artifacts.publish(&key, f))).await;
    let mut winners = Vec::new();
    for result in results {
        match result {
            Ok(artifact) => winners.push(artifact),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    let [winner] = winners.as_slice() else {
        panic!("{} winners", winners.len());
    };
    let there = world.scratch.join("copy");
    world
        .backend
        .artifacts
        .fetch(winner, &there)
        .await
        .expect("what won is there");
}

async fn refused(world: &World, artifact: &ArtifactRef, kind: ErrorKind) {
    let there = world.scratch.join(world.unique("copy"));
    let error = world
        .backend
        .artifacts
        .fetch(artifact, &there)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(!there.exists(), "what was refused left a file");
    let error = world
        .backend
        .artifacts
        .verify(artifact)
        .await
        .expect_err("refused too");
    assert_eq!(error.kind(), kind, "{error}");
}

/// I2 is checked at every fetch.
pub async fn a_wrong_digest_is_refused_and_leaves_no_file(world: &World) {
    let artifact = publish(world, &key(&world.run_id(), 0, 1, "model.bin"), b"genuine").await;
    let forged = ArtifactRef {
        sha256: Sha256Digest::of(b"forgery"),
        ..artifact
    };
    refused(world, &forged, ErrorKind::Corrupt).await;
}

/// A size alone gives a forgery away.
pub async fn a_wrong_size_is_refused_and_leaves_no_file(world: &World) {
    let artifact = publish(world, &key(&world.run_id(), 0, 1, "model.bin"), b"genuine").await;
    for size_bytes in [0, 6, 8, u64::MAX] {
        let forged = ArtifactRef {
            size_bytes,
            ..artifact.clone()
        };
        refused(world, &forged, ErrorKind::Corrupt).await;
    }
}

/// Said as such, and not as a failure that may pass.
pub async fn what_is_not_there_is_not_found(world: &World) {
    let key = key(&world.run_id(), 0, 1, "model.bin");
    assert_eq!(
        world.backend.artifacts.size_bytes(&key).await.expect("looked at"),
        None
    );
    let artifact = ArtifactRef {
        key,
        sha256: Sha256Digest::of(b""),
        size_bytes: 0,
    };
    refused(world, &artifact, ErrorKind::NotFound).await;
}

/// Nothing is ever overwritten.
pub async fn a_destination_that_exists_is_left_alone(world: &World) {
    let artifact = publish(world, &key(&world.run_id(), 0, 1, "model.bin"), b"new").await;
    let there = file(world, b"old");
    let error = world
        .backend
        .artifacts
        .fetch(&artifact, &there)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(fs::read(there).expect("there"), b"old");
}

/// An error, and the key stays free.
pub async fn a_source_that_is_missing_publishes_nothing(world: &World) {
    let key = key(&world.run_id(), 0, 1, "model.bin");
    let result = world
        .backend
        .artifacts
        .publish(&key, &world.scratch.join("missing"))
        .await;
    assert_eq!(result.expect_err("no source").kind(), ErrorKind::NotFound);
    publish(world, &key, b"now").await;
}

/// Every key of a run, of any attempt; and after its removal no trace of it.
pub async fn listing_and_removing_by_run(world: &World) {
    let store = &world.backend.artifacts;
    let (run, other) = (world.run_id(), world.run_id());
    let mut keys = vec![
        key(&run, 0, 1, "model.bin"),
        key(&run, 0, 2, "model.bin"),
        key(&run, 11, 1, "model.bin"),
        key(&run, 0, 1, "report.json"),
    ];
    for key in &keys {
        publish(world, key, b"bytes").await;
    }
    publish(world, &key(&other, 0, 1, "model.bin"), b"bytes").await;
    let mut listed = store.list(&run).await.expect("listed");
    listed.sort();
    keys.sort();
    assert_eq!(listed, keys);
    assert!(store.list(&world.run_id()).await.expect("listed").is_empty());
    let runs = store.list_runs().await.expect("listed");
    assert!(runs.contains(&run) && runs.contains(&other));

    for key in &keys {
        store.remove(key).await.expect("removed");
        store.remove(key).await.expect("removing what is gone is success");
        assert_eq!(store.size_bytes(key).await.expect("looked at"), None);
    }
    assert!(store.list(&run).await.expect("listed").is_empty());
    let runs = store.list_runs().await.expect("listed");
    assert!(!runs.contains(&run), "a run without artifacts is listed");
    assert_eq!(store.list(&other).await.expect("listed").len(), 1);
}

/// They belong to no run.
pub async fn specifications_are_shared_by_runs(world: &World) {
    let spec = world.unique("pipeline = 1 # ");
    let key = ArtifactKey::Spec(Sha256Digest::of(spec.as_bytes()));
    publish(world, &key, spec.as_bytes()).await;
    publish(world, &key, spec.as_bytes()).await;
    let located = world.backend.artifacts.locate(&key);
    assert!(
        located.ends_with(&key.to_string()),
        "{located} does not show {key}"
    );
    world.backend.artifacts.remove(&key).await.expect("removed");
    assert_eq!(
        world.backend.artifacts.size_bytes(&key).await.expect("looked at"),
        None
    );
}
