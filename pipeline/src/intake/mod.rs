//! Intake: what upstream systems post, and what becomes of it.
//!
//! A message is a run request of our own form ([`RunRequest`]), a notification of S3 or an event of EventBridge that an
//! object was created, or an event of EventBridge that carries a run request. A *named pipeline* ([`Definition`]) is a
//! specification that was applied under its name; its section `[intake]` ([`Rules`]) says which objects make runs of it.
//!
//! A run's id is made of what the message is about, so that repeats make no second run.

mod message;
mod rules;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
pub(crate) use self::message::Posted;
pub use self::message::{Created, Event, RunRequest, Unreadable, parse};
pub use self::rules::{ObjectRule, Rules};
use crate::digest::Sha256Digest;
use crate::envelope::TraceParent;
use crate::id::{MAX_ID_BYTES, PipelineName, RunId, StageName};
use crate::item::{MemoryClass, QueueName};
use crate::spec::{Overrides, Parameter, Setting, Spec, by_name, load};
use crate::time::Timestamp;

/// What the queue is called to which upstream systems post.
pub const QUEUE: &str = "intake";

/// The queue to which upstream systems post.
pub fn queue() -> QueueName {
    QueueName {
        stage: StageName::new(QUEUE).expect("a constant that is an id"),
        class: MemoryClass::Standard,
    }
}

/// A pipeline by its name: what a run of it does, and which objects make one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name.
    pub name: PipelineName,
    /// The specification as it was written.
    pub text: String,
    /// The absolute folder of the file that it was read from.
    pub folder: String,
    /// Where workers find the files that it names as sources, by their paths.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
    /// When it was applied.
    pub applied_at: Timestamp,
}

/// A run that is to be made, unless it was made before.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Its id.
    pub run: RunId,
    /// What it does.
    pub spec: Spec,
    /// The span of whoever asks for it, if it said so.
    pub trace: Option<TraceParent>,
}

/// Why an event makes no run. Its text becomes the reason in the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl Definition {
    /// Its rules.
    pub fn rules(&self) -> Result<Rules, Refusal> {
        Rules::of(&self.text).map_err(|e| Refusal(format!("pipeline {}: [intake]: {e}", self.name)))
    }

    /// The run that a request asks for.
    pub fn requested(&self, request: &RunRequest) -> Result<Wanted, Refusal> {
        let spec = self.spec(request.set.clone())?;
        Ok(Wanted {
            run: request.key.clone(),
            spec,
            trace: request.traceparent.clone(),
        })
    }

    /// The run that an object makes by that rule.
    pub fn created(&self, object: &Created, rule: &ObjectRule) -> Result<Wanted, Refusal> {
        let settings: Result<Vec<Setting>, String> = rule
            .set
            .iter()
            .map(|(key, value)| format!("{key}={}", object.fill(value)).parse())
            .collect();
        let set = settings.and_then(|settings| by_name(&self.text, settings));
        let set = set.map_err(|e| Refusal(format!("pipeline {}: {e}", self.name)))?;
        Ok(Wanted {
            run: object.run_of(&self.name),
            spec: self.spec(set)?,
            trace: None,
        })
    }

    fn spec(&self, set: Overrides) -> Result<Spec, Refusal> {
        let refused = |why: String| Refusal(format!("pipeline {}: {why}", self.name));
        let mut spec = load(&self.text, &set).map_err(|problems| {
            let problems: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
            refused(problems.join("; "))
        })?;
        spec.anchor(std::path::Path::new(&self.folder));
        for path in spec.source_files() {
            let offered = self.sources.get(path).ok_or_else(|| {
                refused(format!(
                    "source {path} is a file of the machine on which the pipeline was applied, and was not known then: name \
                     an s3://… that parameters make, or apply the pipeline again"
                ))
            })?;
            path.clone_from(offered);
        }
        Ok(spec)
    }
}

/// An id that is made of what it stands for: `{stem}-{digest}`.
fn derived(stem: &PipelineName, parts: &[&str]) -> RunId {
    let digest = Sha256Digest::of(parts.join("\0").as_bytes()).to_string();
    let digest = &digest[..16];
    let room = MAX_ID_BYTES - digest.len() - 1;
    let stem: String = stem.as_str().chars().take(room).collect();
    RunId::new(format!("{stem}-{digest}")).expect("made of an id and hexadecimal digits, and short enough")
}

/// Parameters as a message has them.
type Set = BTreeMap<String, Parameter>;

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(text: &str) -> Definition {
        Definition {
            name: PipelineName::new("flights").expect("valid"),
            text: text.into(),
            folder: "/pipelines".into(),
            sources: [("/pipelines/planes.csv".into(), "s3://own/u/1/planes.csv".into())].into(),
            applied_at: Timestamp(1),
        }
    }

    const TEXT: &str = r#"
pipeline = "flights"
[parameters]
file = "s3://lake/none.csv"
rounds = 100
[data]
label = "late"
sql = "SELECT * FROM flights JOIN planes USING (tailnum)"
[data.sources]
flights = "${file}"
planes = "planes.csv"
[intake]
max_open = 1
[[intake.objects]]
bucket = "lake"
prefix = "flights/"
suffix = ".csv"
set = { file = "{uri}", rounds = "7" }
"#;

    fn object(key: &str) -> Created {
        Created {
            bucket: "lake".into(),
            key: key.into(),
            version: None,
            e_tag: "abc".into(),
            sequencer: "0055".into(),
        }
    }

    fn sources(spec: &Spec) -> Vec<String> {
        let mut spec = spec.clone();
        let crate::spec::StageParams::Extract(extract) = &mut spec.steps[0].params else {
            panic!("the first step extracts");
        };
        extract
            .sources
            .values()
            .map(|source| source.path.clone())
            .collect()
    }

    #[test]
    fn an_object_makes_a_run_by_the_rule_that_takes_it() {
        let definition = definition(TEXT);
        let rules = definition.rules().expect("readable");
        assert_eq!(rules.max_open, Some(1));
        let object = object("flights/2026 11.csv");
        let rule = rules.of_object(&object).expect("taken");
        let wanted = definition.created(&object, rule).expect("makes a run");
        assert_eq!(
            sources(&wanted.spec),
            ["s3://lake/flights/2026 11.csv", "s3://own/u/1/planes.csv"]
        );
        assert_eq!(wanted.spec.parameters["rounds"], Parameter::Integer(7));
        assert!(wanted.run.as_str().starts_with("flights-"), "{}", wanted.run);
        let again = definition.created(&object, rule).expect("makes a run");
        assert_eq!(again.run, wanted.run);
        let newer = Created {
            sequencer: "0056".into(),
            ..object
        };
        assert_ne!(
            definition.created(&newer, rule).expect("makes a run").run,
            wanted.run
        );
    }

    #[test]
    fn objects_that_no_rule_takes_are_nobodys() {
        let rules = definition(TEXT).rules().expect("readable");
        for key in ["flights/2026.json", "other/2026.csv", "flights"] {
            assert_eq!(rules.of_object(&object(key)), None, "{key}");
        }
        let elsewhere = Created {
            bucket: "pond".into(),
            ..object("flights/2026.csv")
        };
        assert_eq!(rules.of_object(&elsewhere), None);
    }

    #[test]
    fn a_request_that_makes_no_run_is_refused_with_the_reason() {
        let definition = definition(TEXT);
        let request = |set: &[(&str, Parameter)]| RunRequest {
            pipeline: definition.name.clone(),
            key: RunId::new("order-1").expect("valid"),
            set: set.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            traceparent: None,
        };
        let wanted = definition.requested(&request(&[])).expect("makes a run");
        assert_eq!(wanted.run.as_str(), "order-1");
        for (set, part) in [
            (("rows", Parameter::Integer(1)), "no such parameter"),
            (
                ("file", Parameter::Text("other.csv".into())),
                "apply the pipeline again",
            ),
        ] {
            let refusal = definition.requested(&request(&[set])).expect_err(part);
            assert!(
                refusal.0.contains(part) && refusal.0.contains("flights"),
                "{refusal}"
            );
        }
    }
}
