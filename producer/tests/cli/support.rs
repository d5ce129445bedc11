//! What the tests share: the binary, a folder, and a hand-driven worker.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use pipeline::artifact::{Artifact, Manifest, Origin};
use pipeline::item::{Fault, FaultClass, Item, Measured, MemoryClass, Placement, QueueName, RunItem};
use pipeline::ports::{Backend, Host};
use pipeline::protocol::{self, Claimant, Ending, Held, Work};
use pipeline::update::Applied;
use pipeline::{ArtifactKey, ArtifactName, Envelope, Nonce, RunId, RunStatus, StageName, Timestamp, operate};
use serde_json::Value;

/// A specification of two steps, with a parameter of each kind.
pub(crate) const SPEC: &str = "\
pipeline = \"nightly\"

[parameters]
date = \"2026-01-01\"
bytes = 4

[[steps]]
step = \"extract\"
stage = \"noop\"
params = { write_bytes = \"${bytes}\" }

[[steps]]
step = \"report\"
stage = \"noop\"
";

/// A folder with a specification in it; the backend's own is made by the first `submit`.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// How a command ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        place.write("spec.toml", SPEC);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn backend_folder(&self) -> PathBuf {
        self.path().join("fleet")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the folder can be written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command
            .current_dir(self.path())
            .env("FLEETLINE_BACKEND", "local:fleet")
            .args(args);
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        finished(self.command(args).output().expect("the binary starts"))
    }

    /// Starts the command.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }

    /// Runs a command that must go well; its output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        ran.out
    }

    /// Runs a command that must go well with `--json`; the document. Every field in it must stand in the command's
    /// help.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let out = self.ok(&[args, &["--json"]].concat());
        let document = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}: {out}"));
        let name = args.iter().take_while(|a| !a.starts_with('-')).count();
        let help = (1..=name.min(2)).rev().find_map(|n| {
            let ran = self.run(&[&args[..n], &["--help"]].concat());
            ran.out.contains("JSON:").then_some(ran.out)
        });
        let mut help = help.unwrap_or_else(|| panic!("{args:?}: the help says nothing of JSON"));
        if help.contains("as in list") {
            let list = if args[0] == "dead-letters" {
                vec!["dead-letters", "list"]
            } else {
                vec!["list"]
            };
            help.push_str(&self.run(&[&list[..], &["--help"]].concat()).out);
        }
        documented(&document, &help, args);
        document
    }

    /// Submits the specification under that id.
    pub(crate) fn submit(&self, id: &str) {
        assert_eq!(self.ok(&["submit", "spec.toml", "--key", id]), format!("{id}\n"));
    }
}

/// The binary, apart from the surroundings of whoever runs the tests.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
    for name in ["FLEETLINE_BACKEND", "NO_COLOR", "COLUMNS", "LINES"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

pub(crate) fn finished(output: Output) -> Ran {
    Ran {
        // A death by a signal has no code.
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("a text"),
        err: String::from_utf8(output.stderr).expect("a text"),
    }
}

fn documented(document: &Value, help: &str, args: &[&str]) {
    match document {
        Value::Array(values) => values.iter().for_each(|value| documented(value, help, args)),
        Value::Object(map) => {
            for (key, value) in map {
                // The only keys that are data are names of queues and of metrics.
                let is_data = ["noop", "auc", "log_loss"].contains(&key.as_str());
                assert!(
                    is_data || help.contains(key),
                    "{args:?}: field {key} is not in the help:\n{help}"
                );
                documented(value, help, args);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A worker driven by hand.
pub(crate) struct Worker {
    pub(crate) backend: Backend,
    pub(crate) host: Host,
    runtime: tokio::runtime::Runtime,
}

/// What was claimed.
pub(crate) struct Claimed {
    held: Held,
    run: RunItem,
    receipt: pipeline::ports::Receipt,
}

impl Worker {
    pub(crate) fn new(place: &Place) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let _guard = runtime.enter();
        let host = producer::host::real();
        let options = backend_local::Options::default();
        let local = backend_local::open(&place.backend_folder(), &options, &host).expect("a folder");
        drop(_guard);
        Self {
            backend: local.backend,
            host,
            runtime,
        }
    }

    pub(crate) fn block<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    pub(crate) fn load(&self, run: &str) -> Option<RunItem> {
        self.block(self.backend.runs.load(&id(run)))
            .expect("the store answers")
    }

    /// Takes messages of the queue until one of them can be claimed; messages of runs that ended are acknowledged.
    pub(crate) fn claim(&self) -> Claimed {
        loop {
            if let Some(claimed) = self.block(self.claim_next()) {
                return claimed;
            }
        }
    }

    async fn claim_next(&self) -> Option<Claimed> {
        let queue = noop();
        let (minute, wait) = (Duration::from_secs(60), Duration::from_secs(5));
        let port = &self.backend.queue;
        let mut deliveries = port
            .receive(&queue, 1, minute, wait)
            .await
            .expect("the queue answers");
        let delivery = deliveries.pop().expect("there is a message");
        let hint = Envelope::parse(&delivery.body).expect("a good message");
        let work = Work::of(&hint);
        let who = Claimant {
            queue,
            owner: Nonce::new(self.host.random.hex(8)).expect("an id"),
            version: "1.0.0".into(),
        };
        let run = self
            .backend
            .runs
            .load(&hint.run)
            .await
            .expect("the store answers")
            .expect("there is a run");
        let (after, now) = (hint.after.as_ref(), self.now());
        let update = match work.branch {
            None => protocol::claim(&work, after, &who, now, minute),
            Some(_) => protocol::claim_branch(&run, &work, after, &who, now, minute).expect("it may"),
        };
        match self.backend.runs.apply(&update).await.expect("the store answers") {
            Applied::Done(item) => {
                let attempt = item.slot(&work.slot()).expect("it was claimed").attempt;
                let owner = who.owner;
                Some(Claimed {
                    held: Held { work, owner, attempt },
                    run,
                    receipt: delivery.receipt,
                })
            }
            refused => {
                assert_ne!(run.status, RunStatus::Open, "{refused:?}");
                port.ack(delivery.receipt).await.expect("it is acknowledged");
                None
            }
        }
    }

    /// Publishes the files under the attempt's keys, without a commit.
    pub(crate) fn publish(&self, claimed: &Claimed, files: &[(&str, &str)]) -> Manifest {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let work = &claimed.held.work;
        let origin = Origin {
            run: work.run.clone(),
            step: work.step.clone(),
            ordinal: work.branch.unwrap_or(0),
            attempt: claimed.held.attempt,
        };
        let mut artifacts = Vec::new();
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::write(&file, text).expect("the folder can be written");
            let name = ArtifactName::new(name).expect("a name");
            let key = ArtifactKey::Attempt(origin.clone(), name.clone());
            let stored = self
                .block(self.backend.artifacts.publish(&key, &file))
                .expect("it is stored");
            artifacts.push(Artifact {
                name,
                sha256: stored.sha256,
                size_bytes: stored.size_bytes,
                table: None,
            });
        }
        Manifest { origin, artifacts }
    }

    /// Commits the claimed work with these files at that time, and drives what comes next.
    pub(crate) fn commit(&self, claimed: Claimed, files: &[(&str, &str)], ending: &Ending, at: Timestamp) {
        let manifest = self.publish(&claimed, files);
        let Claimed { held, run, receipt } = claimed;
        let measured = Measured {
            duration_ms: 12,
            ..Measured::default()
        };
        let update = protocol::commit(&held, &run, manifest, ending, measured, at);
        self.block(async {
            let applied = self.backend.runs.apply(&update).await.expect("the store answers");
            let Applied::Done(item) = applied else {
                panic!("the commit was refused: {applied:?}")
            };
            match item {
                Item::Run(run) => {
                    let next = protocol::drive(&run);
                    operate::advance(&self.backend, &operate::Unforeseen, *run, next, at)
                        .await
                        .expect("it is driven");
                }
                Item::Branch(branch) => {
                    let join = protocol::join_branch(&held.work, branch.ordinal, branch.work.state);
                    operate::join(&self.backend, &operate::Unforeseen, &join, &held.work.step, at)
                        .await
                        .expect("it is joined");
                }
            }
            self.backend.queue.ack(receipt).await.expect("it is acknowledged");
        });
    }

    /// Claims the next work and fails it for good.
    pub(crate) fn fail(&self, message: &str) {
        let Claimed { held, receipt, .. } = self.claim();
        let fault = Fault::new(FaultClass::Permanent, message, held.attempt, self.now());
        self.block(async {
            let applied = self
                .backend
                .runs
                .apply(&protocol::fail(&held, fault))
                .await
                .expect("the store answers");
            assert!(matches!(applied, Applied::Done(_)), "{applied:?}");
            self.backend.queue.ack(receipt).await.expect("it is acknowledged");
        });
    }

    /// Claims and commits the next work.
    pub(crate) fn step(&self, files: &[(&str, &str)]) {
        self.commit(self.claim(), files, &advance(), self.now());
    }
}

pub(crate) fn advance() -> Ending {
    Ending::Advance(Placement::default())
}

pub(crate) fn noop() -> QueueName {
    QueueName {
        stage: StageName::new("noop").expect("an id"),
        class: MemoryClass::Standard,
    }
}

pub(crate) fn id(text: &str) -> RunId {
    RunId::new(text).expect("an id")
}
