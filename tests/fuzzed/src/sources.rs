//! Files of data, read by the stage `extract` as a worker runs it: packed or not, whatever their bytes are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use pipeline::spec::{Overrides, load};
use pipeline::stage::{Assignment, Control, Found, Outcome, SourceFile, StageContext, StageError};
use pipeline::{RunId, Sha256Digest, StageName};

/// No pool: the work is never interrupted.
struct Alone;

impl Control for Alone {
    fn is_interrupted(&self) -> bool {
        false
    }

    fn progress(&self, _: f64) {}

    fn pause(&self, _: Duration) {}

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// A file of CSV becomes a data set, or is refused with a reason.
pub fn csv(bytes: &[u8]) {
    extract("in.csv", bytes);
}

/// A file of NDJSON becomes a data set, or is refused with a reason.
pub fn ndjson(bytes: &[u8]) {
    extract("in.ndjson", bytes);
}

/// A file of Parquet becomes a data set, or is refused with a reason.
pub fn parquet(bytes: &[u8]) {
    extract("in.parquet", bytes);
}

fn extract(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writes");
    let (inputs, outputs) = (folder.path().join("in"), folder.path().join("out"));
    for place in [&inputs, &outputs] {
        fs::create_dir(place).expect("makes a folder");
    }
    match run(name, &path, bytes, &inputs, &outputs) {
        Ok(outcome) => {
            assert_eq!(outcome, Outcome::Advance);
            assert!(outputs.join("dataset.json").is_file(), "it says what it read");
        }
        Err(StageError::Permanent(why)) => assert!(!why.is_empty()),
        Err(other) => panic!("the file is as it is, and trying again changes nothing: {other:?}"),
    }
}

fn run(name: &str, path: &Path, bytes: &[u8], inputs: &Path, outputs: &Path) -> Result<Outcome, StageError> {
    let text = format!(
        "pipeline = \"fuzzed\"\nseed = 7\n[[steps]]\nstage = \"extract\"\n[steps.params]\nlabel = \"y\"\n\
         [steps.params.sources]\ndata = \"{name}\"\n"
    );
    let spec = load(&text, &Overrides::new()).expect("a good specification");
    let file = SourceFile {
        uri: name.to_owned(),
        path: path.to_owned(),
        sha256: Sha256Digest::of(bytes),
        size_bytes: bytes.len() as u64,
    };
    let assignment = Assignment {
        run: RunId::new("r").expect("an id"),
        step: spec.steps[0].step.clone(),
        branch: None,
        attempt: 1,
        spec,
        committed: BTreeMap::new(),
        found: Found {
            sources: BTreeMap::from([("data".to_owned(), vec![file])]),
            model: None,
        },
    };
    let stage = stages::find(&StageName::new("extract").expect("an id")).expect("registered");
    stage.run(&StageContext {
        assignment: &assignment,
        inputs,
        outputs,
        control: &Alone,
        program: None,
    })
}
