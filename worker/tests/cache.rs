//! Results that serve again, and those that must not, on the real backend.

use std::collections::BTreeMap;
use std::path::Path;

use backend_local::{Local, Options};
use pipeline::artifact::{Artifact, Origin};
use pipeline::item::CacheNote;
use pipeline::ports::Host;
use pipeline::spec::{Overrides, load};
use pipeline::stage::{Assignment, Found, Outcome};
use pipeline::{ArtifactKey, ArtifactName, Manifest, RunId, StepName, operate};
use worker::cache::{Identity, look_up, remember};
use worker::host::real_host;

/// A run of one step whose result was committed and remembered.
struct World {
    local: Local,
    host: Host,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("makes a folder");
        let host = real_host(0);
        let local =
            backend_local::open(&folder.path().join("fleet"), &Options::default(), &host).expect("opens");
        Self { local, host, folder }
    }

    async fn make_run(&self, id: &str) -> RunId {
        let spec = assignment("v1").spec;
        let file = self.folder.path().join("spec.json");
        std::fs::write(&file, spec.canonical()).expect("writes");
        let (id, now) = (RunId::new(id).expect("valid"), self.host.clock.now());
        operate::submit_spec(&self.local.backend, &spec, id.clone(), now, &file, None)
            .await
            .expect("submitted");
        id
    }

    async fn publish(&self, run: &RunId) -> Manifest {
        let origin = Origin {
            run: run.clone(),
            step: StepName::new("transform").expect("valid"),
            ordinal: 0,
            attempt: 1,
        };
        let name = ArtifactName::new("features.bin").expect("valid");
        let file = self.folder.path().join("features.bin");
        std::fs::write(&file, b"features").expect("writes");
        let key = ArtifactKey::Attempt(origin.clone(), name.clone());
        let artifacts = &self.local.backend.artifacts;
        let stored = artifacts.publish(&key, &file).await.expect("published");
        let artifacts = vec![Artifact {
            name,
            sha256: stored.sha256,
            size_bytes: stored.size_bytes,
            table: None,
        }];
        Manifest { origin, artifacts }
    }

    async fn remember(&self, identity: &Identity, outcome: &Outcome, manifest: &Manifest) {
        let now = self.host.clock.now();
        remember(&self.local.backend, identity, outcome, manifest, now).await;
    }

    fn path(&self, manifest: &Manifest) -> std::path::PathBuf {
        let artifact = manifest.references().next().expect("has one");
        Path::new(&self.local.backend.artifacts.locate(&artifact.key)).to_owned()
    }
}

fn assignment(column: &str) -> Assignment {
    let text = format!(
        "pipeline = \"p\"\n[[steps]]\nstage = \"transform\"\nparams = {{ columns = {{ {column} = {{}} }} }}\n"
    );
    Assignment {
        run: RunId::new("r").expect("valid"),
        step: StepName::new("transform").expect("valid"),
        branch: None,
        attempt: 1,
        spec: load(&text, &Overrides::new()).expect("a good specification"),
        committed: BTreeMap::new(),
        found: Found::default(),
    }
}

fn identity(column: &str) -> Identity {
    let assignment = assignment(column);
    Identity::of(&assignment.spec.steps[0], &assignment, &[], "code").expect("cacheable")
}

fn miss(differs: &[&str]) -> CacheNote {
    CacheNote::Miss {
        differs: differs.iter().map(ToString::to_string).collect(),
    }
}

#[tokio::test]
async fn a_result_serves_again_and_a_miss_says_what_changed() {
    let world = World::new();
    let backend = &world.local.backend;
    assert_eq!(look_up(backend, &identity("v1")).await, (None, miss(&[])));

    let run = world.make_run("one").await;
    let manifest = world.publish(&run).await;
    let outcome = Outcome::FanOut { branches: 2 };
    world.remember(&identity("v1"), &outcome, &manifest).await;

    let (hit, note) = look_up(backend, &identity("v1")).await;
    let hit = hit.expect("a hit");
    assert_eq!(
        (note, hit.outcome, hit.manifest),
        (CacheNote::Hit, outcome, manifest)
    );
    assert_eq!(look_up(backend, &identity("v2")).await, (None, miss(&["params"])));
}

#[tokio::test]
async fn bytes_that_are_gone_or_damaged_do_not_serve() {
    let world = World::new();
    let backend = &world.local.backend;
    let run = world.make_run("one").await;
    let manifest = world.publish(&run).await;
    world
        .remember(&identity("v1"), &Outcome::Advance, &manifest)
        .await;

    // As many bytes as before: only the digest tells.
    std::fs::write(world.path(&manifest), b"Features").expect("writes");
    let gone = (None, miss(&[CacheNote::ARTIFACTS]));
    assert_eq!(look_up(backend, &identity("v1")).await, gone);
    std::fs::remove_file(world.path(&manifest)).expect("removes");
    assert_eq!(look_up(backend, &identity("v1")).await, gone);

    let manifest = world.publish(&run).await;
    assert!(look_up(backend, &identity("v1")).await.0.is_some());
    // Garbage collection removes the run before its artifacts.
    backend.runs.remove(&run).await.expect("removed");
    assert!(world.path(&manifest).is_file());
    assert_eq!(look_up(backend, &identity("v1")).await, gone);
}

#[tokio::test]
async fn a_cache_that_cannot_be_read_is_no_reason_to_fail() {
    let world = World::new();
    let run = world.make_run("one").await;
    let manifest = world.publish(&run).await;
    world
        .remember(&identity("v1"), &Outcome::Advance, &manifest)
        .await;
    let database = world.local.folder.join("fleetline.db");
    std::fs::rename(&database, database.with_extension("away")).expect("renames");
    let (hit, note) = look_up(&world.local.backend, &identity("v1")).await;
    assert_eq!((hit, note), (None, CacheNote::Off));
}
