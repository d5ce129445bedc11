//! What comes from queues and tables: messages, posted requests and events, manifests.

use std::collections::BTreeMap;

use pipeline::envelope::{Envelope, MAX_MESSAGE_BYTES};
use pipeline::intake::{Definition, Event, parse};
use pipeline::{Manifest, PipelineName, Timestamp};

/// A message is an error or a hint that can be written, is short, and reads back.
pub fn envelope(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(hint) = Envelope::parse(text) {
        let body = Envelope::V1(hint.clone()).to_body();
        assert!(body.len() <= MAX_MESSAGE_BYTES, "{body}");
        assert_eq!(Envelope::parse(&body), Ok(hint));
    }
}

/// A pipeline that takes every object of a bucket, and has parameters of all types.
const PIPELINE: &str = r#"
pipeline = "fuzzed"
[parameters]
date = "2026-01-01"
rows = 10
share = 0.5
quick = false
[data]
source = "s3://bucket/{date}.csv"
label = "y"
[intake]
max_open = 3
[[intake.objects]]
bucket = "bucket"
set = { date = "{key}" }
"#;

/// What is posted is an error or events, each of which makes a run or is refused with a reason: always the same run.
pub fn intake(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(events) = parse(text) else {
        return;
    };
    let definition = Definition {
        name: PipelineName::new("fuzzed").expect("an id"),
        text: PIPELINE.to_owned(),
        folder: "/nowhere".to_owned(),
        sources: BTreeMap::new(),
        applied_at: Timestamp(0),
    };
    let rules = definition.rules().expect("good rules");
    // Many records are many times the same work.
    for event in events.iter().take(4) {
        match event {
            Event::Run(request) => {
                if let Ok(wanted) = definition.requested(request) {
                    assert_eq!(wanted.run, request.key);
                    assert!(wanted.spec.check().is_empty());
                }
            }
            Event::Created(object) => {
                let run = object.run_of(&definition.name);
                assert!(run.as_str().starts_with("fuzzed-"), "{run}");
                if let Some(rule) = rules.of_object(object)
                    && let Ok(wanted) = definition.created(object, rule)
                {
                    assert_eq!(wanted.run, run);
                    assert!(wanted.spec.check().is_empty());
                }
            }
        }
    }
}

/// A manifest is an error, or names keys below its own run, and reads back.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&manifest).expect("names and numbers always serialise");
    let again: Manifest = serde_json::from_slice(&written).expect("own text reads back");
    assert_eq!(again, manifest);
    let below = format!("r/{}/{}/", manifest.origin.run, manifest.origin.step);
    for artifact in manifest.references() {
        let key = artifact.key.to_string();
        let rest = key.strip_prefix(&below).unwrap_or_else(|| panic!("{key}"));
        assert_eq!(rest.split('/').count(), 3, "{key}");
        assert!(
            !key.split('/').any(|part| matches!(part, "" | "." | "..")),
            "{key}"
        );
    }
}
