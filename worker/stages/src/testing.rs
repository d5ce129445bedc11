//! What the tests of stages share: a specification, folders, and a pool that only takes notes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pipeline::artifact::{Artifact, Origin};
use pipeline::spec::{Overrides, load};
use pipeline::stage::{Assignment, Committed, Control, Outcome, StageContext, StageError};
use pipeline::{ArtifactName, Manifest, RunId, Sha256Digest, StepName};
use tempfile::TempDir;

/// An attempt of one stage, in folders of its own.
pub(crate) struct Bench {
    pub(crate) assignment: Assignment,
    pub(crate) notes: Notes,
    folder: TempDir,
}

/// A pool that notes down what the stage does.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) progress: Mutex<Vec<f64>>,
    pub(crate) pauses: Mutex<Vec<Duration>>,
    /// How long the attempt is said to have been running.
    pub(crate) elapsed: Mutex<Duration>,
    /// After how many more looks the work is interrupted; never if 0.
    pub(crate) interrupt_at_look: AtomicU32,
}

impl Control for Notes {
    fn is_interrupted(&self) -> bool {
        match self.interrupt_at_look.load(Ordering::Relaxed) {
            0 => false,
            1 => true,
            n => {
                self.interrupt_at_look.store(n - 1, Ordering::Relaxed);
                false
            }
        }
    }

    fn progress(&self, fraction: f64) {
        self.progress.lock().expect("not poisoned").push(fraction);
    }

    fn pause(&self, duration: Duration) {
        self.pauses.lock().expect("not poisoned").push(duration);
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().expect("not poisoned")
    }
}

impl Bench {
    /// The last of `steps` (in TOML) is to be done.
    pub(crate) fn new(steps: &str) -> Self {
        let spec = load(
            &format!("pipeline = \"test\"\nseed = 7\n{steps}"),
            &Overrides::new(),
        )
        .expect("a good specification");
        let step = spec.steps.last().expect("a specification has steps").step.clone();
        let folder = tempfile::tempdir().expect("makes a folder");
        for name in ["in", "out"] {
            fs::create_dir(folder.path().join(name)).expect("makes a folder");
        }
        let run = RunId::new("r").expect("valid");
        let assignment = Assignment {
            run,
            step,
            branch: None,
            attempt: 1,
            spec,
            committed: BTreeMap::new(),
            found: pipeline::stage::Found::default(),
        };
        Self {
            assignment,
            notes: Notes::default(),
            folder,
        }
    }

    pub(crate) fn run(&self) -> Result<Outcome, StageError> {
        let stage = self
            .assignment
            .spec
            .step(&self.assignment.step)
            .expect("its own step")
            .params
            .stage();
        crate::find(&stage).expect("registered").run(&StageContext {
            assignment: &self.assignment,
            inputs: &self.folder.path().join("in"),
            outputs: &self.folder.path().join("out"),
            control: &self.notes,
            program: None,
        })
    }

    pub(crate) fn output(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join("out").join(name)).expect("was written")
    }

    pub(crate) fn outputs(&self) -> usize {
        fs::read_dir(self.folder.path().join("out"))
            .expect("lists")
            .count()
    }

    /// Puts a committed artifact in the place where the stage will look for it.
    pub(crate) fn input(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.path().join("in").join(Path::new(path));
        fs::create_dir_all(path.parent().expect("below a folder")).expect("makes folders");
        fs::write(path, bytes).expect("writes");
    }

    pub(crate) fn commit(&mut self, step: &str, committed: Committed) {
        self.assignment
            .committed
            .insert(StepName::new(step).expect("valid"), committed);
    }
}

/// A manifest of an attempt of `step` with these artifacts.
pub(crate) fn manifest(step: &str, ordinal: u32, attempt: u32, artifacts: &[(&str, &[u8])]) -> Manifest {
    let origin = Origin {
        run: RunId::new("r").expect("valid"),
        step: StepName::new(step).expect("valid"),
        ordinal,
        attempt,
    };
    let artifacts = artifacts
        .iter()
        .map(|(name, bytes)| Artifact {
            name: ArtifactName::new(name).expect("valid"),
            sha256: Sha256Digest::of(bytes),
            size_bytes: bytes.len() as u64,
            table: None,
        })
        .collect();
    Manifest { origin, artifacts }
}
