//! What stages need from outside of their run, found by the pool.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pipeline::item::FaultClass;
use pipeline::spec::{Overrides, load};
use pipeline::stage::{
    Assignment, Found, ModelNeed, Needs, Outcome, Read, SourceFile, Stage, StageContext, StageError,
};
use pipeline::{MemoryClass, QueueName, RunId, Sha256Digest, StageName, StepName, WorkerId};
use worker::config::{Layer, Machine, Mode, resolve};
use worker::demand::{self, Room};
use worker::found;
use worker::worker::{Rhythm, Worker};
use worker::{fleet, host};

/// A stage that needs what it is told.
struct Needy(Needs);

impl Stage for Needy {
    fn name(&self) -> StageName {
        StageName::new("noop").expect("valid")
    }

    fn needs(&self, _: &Assignment) -> Result<Needs, StageError> {
        Ok(self.0.clone())
    }

    fn reads(&self, _: &Assignment) -> Vec<Read> {
        Vec::new()
    }

    fn run(&self, _: &StageContext<'_>) -> Result<Outcome, StageError> {
        Ok(Outcome::Advance)
    }
}

fn source(uri: &Path) -> Needy {
    let sources = [("flights".to_owned(), uri.to_str().expect("a text").to_owned())];
    Needy(Needs {
        sources: sources.into(),
        model: None,
    })
}

fn assignment() -> Assignment {
    let text = "pipeline = \"p\"\n[[steps]]\nstage = \"noop\"\n";
    Assignment {
        run: RunId::new("r").expect("valid"),
        step: StepName::new("noop").expect("valid"),
        branch: None,
        attempt: 1,
        spec: load(text, &Overrides::new()).expect("good"),
        committed: BTreeMap::new(),
        found: Found::default(),
    }
}

/// A worker whose sources are below `data` in a folder of its own.
fn worker(folder: &Path) -> Arc<Worker> {
    worker_with(folder, None)
}

/// And of which an attempt may take so much scratch space.
fn worker_with(folder: &Path, scratch_limit_bytes: Option<u64>) -> Arc<Worker> {
    let machine = Machine {
        cores: 1,
        memory_bytes: None,
        temp_dir: folder.join("tmp"),
    };
    let mut settings = resolve(Layer::default(), Layer::default(), Mode::Run, &machine).expect("good");
    settings.source_folders = vec![folder.join("data")];
    settings.scratch_limit_bytes = scratch_limit_bytes;
    std::fs::create_dir(folder.join("data")).expect("makes a folder");
    let host = host::real_host(0);
    let options = backend_local::Options {
        source_folders: settings.source_folders.clone(),
        ..backend_local::Options::default()
    };
    let local = backend_local::open(&folder.join("fleet"), &options, &host).expect("opens");
    let id = WorkerId::new("w").expect("valid");
    let backend = (local.backend, Rhythm::NEAR, Room::Here([u64::MAX; 3]));
    fleet::build(&settings, id, backend, host, Arc::default(), None, None).expect("builds")
}

#[tokio::test]
async fn sources_are_found_brought_and_looked_at_again() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let worker = worker(folder.path());
    let path = folder.path().join("data/flights.csv");
    std::fs::write(&path, b"one").expect("writes");
    let stage = source(&folder.path().join("data/*.csv"));
    let outside = found::find(&worker, &stage, &assignment()).await.expect("found");
    assert_eq!(
        outside.found().sources["flights"][0].sha256,
        Sha256Digest::of(b"one")
    );
    let brought = outside.fetch(&worker, folder.path()).await.expect("brought");
    let file = &brought.sources["flights"][0];
    assert_eq!(std::fs::read(&file.path).expect("is there"), b"one");
    outside.check(&worker).await.expect("unchanged");

    std::fs::write(&path, b"two").expect("writes");
    for failure in [
        outside.check(&worker).await.expect_err("changed"),
        outside.fetch(&worker, folder.path()).await.expect_err("changed"),
    ] {
        assert_eq!(failure.class, FaultClass::Transient, "{}", failure.message);
        assert!(
            failure.message.contains("source flights was changed"),
            "{}",
            failure.message
        );
    }
}

#[tokio::test]
async fn what_no_other_attempt_would_find_fails_for_good() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let worker = worker(folder.path());
    for (uri, part) in [
        ("data/none.csv", "there is no file"),
        ("data/*.csv", "no file is named like"),
        ("fleet/fleetline.db", "--source-folders"),
    ] {
        let stage = source(&folder.path().join(uri));
        let Err(failure) = found::find(&worker, &stage, &assignment()).await else {
            panic!("{uri} was found");
        };
        assert_eq!(failure.class, FaultClass::Permanent, "{uri}");
        assert!(
            failure.message.starts_with("source flights: "),
            "{}",
            failure.message
        );
        assert!(failure.message.contains(part), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_model_that_is_not_there_yet_is_no_error_but_a_named_version_is() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let worker = worker(folder.path());
    let stage = |version: Option<&str>| {
        Needy(Needs {
            sources: BTreeMap::new(),
            model: Some(ModelNeed {
                model: "flights".parse().expect("valid"),
                alias: "champion".parse().expect("valid"),
                version: version.map(|v| RunId::new(v).expect("valid")),
            }),
        })
    };
    let outside = found::find(&worker, &stage(None), &assignment()).await;
    let model = outside.expect("no error").found().model.expect("an answer");
    assert_eq!((model.revision, model.version), (0, None));
    let Err(failure) = found::find(&worker, &stage(Some("run-1")), &assignment()).await else {
        panic!("no such version was found");
    };
    assert_eq!(failure.class, FaultClass::Permanent);
    assert!(
        failure.message.contains("model flights has no version run-1"),
        "{}",
        failure.message
    );
}

/// Sources that are fetched need room; those of this machine are read where they are.
#[tokio::test]
async fn work_that_has_no_room_on_the_disk_does_not_begin() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let queue: QueueName = "noop".parse().expect("a queue");
    let with = |uri: &str, size_bytes| {
        let file = SourceFile {
            uri: uri.to_owned(),
            path: uri.into(),
            sha256: Sha256Digest::of(b""),
            size_bytes,
        };
        let mut assignment = assignment();
        assignment.found.sources.insert("flights".to_owned(), vec![file]);
        assignment
    };
    let check = |worker: &Worker, assignment: &Assignment| {
        let stage = Needy(Needs::default());
        demand::check_room(worker, &queue, MemoryClass::Standard, &stage, assignment, &[])
    };
    let limited = worker_with(folder.path(), Some(1_000));
    check(&limited, &with("s3://lake/a.csv", 1_000)).expect("it just fits");
    check(&limited, &with("/data/a.csv", 1_001)).expect("nothing is fetched");
    let refused = check(&limited, &with("s3://lake/a.csv", 1_001)).expect_err("too large");
    assert_eq!(refused.class, FaultClass::Permanent, "trying again does not help");
    assert!(refused.message.contains("scratch_limit"), "{}", refused.message);

    let folder = tempfile::tempdir().expect("makes a folder");
    let refused =
        check(&worker(folder.path()), &with("s3://lake/a.csv", u64::MAX)).expect_err("no disk has it");
    assert_eq!(refused.class, FaultClass::Transient, "somebody may make room");
    assert!(refused.message.contains("is free in"), "{}", refused.message);
}
