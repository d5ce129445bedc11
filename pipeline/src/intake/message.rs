//! Messages as upstream systems write them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Set, derived};
use crate::envelope::TraceParent;
use crate::id::{PipelineName, RunId};

/// The longest message that is read, in bytes: SQS takes no longer one.
const MAX_INTAKE_BYTES: usize = 1024 * 1024;
/// The most records of one notification.
const MAX_RECORDS: usize = 1000;

/// A run that somebody asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Of which pipeline, as it was applied.
    pub pipeline: PipelineName,
    /// The run's id: the same request under the same key makes one run, another one under it is refused.
    pub key: RunId,
    /// Values of the specification's parameters.
    #[serde(default, skip_serializing_if = "Set::is_empty")]
    pub set: Set,
    /// W3C trace context of whoever asks: the run belongs to its trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

/// A run request as it is posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "version")]
pub(crate) enum Posted {
    /// Version 1.
    #[serde(rename = "1")]
    V1(RunRequest),
}

/// An object that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// In which bucket.
    pub bucket: String,
    /// Under which key.
    pub key: String,
    /// Which version, if the bucket has versions.
    pub version: Option<String>,
    /// The tag of its content.
    pub e_tag: String,
    /// Orders the events of one key.
    pub sequencer: String,
}

impl Created {
    /// `s3://bucket/key`
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    /// The run of a pipeline that it makes: always the same one.
    pub fn run_of(&self, pipeline: &PipelineName) -> RunId {
        let which = match &self.version {
            Some(version) => version.clone(),
            None => format!("{}\0{}", self.e_tag, self.sequencer),
        };
        derived(pipeline, &[&self.bucket, &self.key, &which, pipeline.as_str()])
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody asks for a run.
    Run(RunRequest),
    /// An object was created.
    Created(Created),
}

/// Why a message cannot be read. Its text becomes the reason in the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

fn unreadable<T>(why: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable(why.into()))
}

/// Reads a message. Nothing is in a test message of S3, which it sends when notifications are switched on.
pub fn parse(body: &str) -> Result<Vec<Event>, Unreadable> {
    if body.len() > MAX_INTAKE_BYTES {
        return unreadable(format!(
            "message of {} bytes: more than {MAX_INTAKE_BYTES} are not read",
            body.len()
        ));
    }
    let message: Map<String, Value> = match serde_json::from_str(body) {
        Ok(message) => message,
        Err(e) => return unreadable(format!("message is not a JSON object: {e}")),
    };
    let text = |key: &str| message.get(key).and_then(Value::as_str);
    if message.contains_key("version") && message.contains_key("pipeline") {
        return Ok(vec![Event::Run(request(body)?)]);
    }
    if text("Event") == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if let Some(records) = message.get("Records") {
        return notification(records);
    }
    match (text("source"), text("detail-type"), message.get("detail")) {
        (Some("aws.s3"), Some("Object Created"), Some(detail)) => Ok(vec![event_of_s3(detail)?]),
        (Some("aws.s3"), Some(other), _) => unreadable(format!(
            "an event of S3 of the kind {other:?}: only \"Object Created\" makes runs; narrow the rule that sends it"
        )),
        (Some(_), Some(_), Some(detail)) if detail.get("pipeline").is_some() => {
            Ok(vec![Event::Run(request(&detail.to_string())?)])
        }
        (Some(source), Some(kind), _) => unreadable(format!(
            "an event {kind:?} of {source:?} whose detail is no run request: it wants version, pipeline and key"
        )),
        _ => unreadable(
            "message is neither a run request (version, pipeline, key), nor a notification of S3 (Records), nor an event of \
             EventBridge (source, detail-type, detail)",
        ),
    }
}

fn request(text: &str) -> Result<RunRequest, Unreadable> {
    #[derive(Deserialize)]
    struct Version {
        version: Value,
    }
    match serde_json::from_str::<Version>(text) {
        Ok(Version { version }) if version != "1" => {
            return unreadable(format!(
                "run request of version {}: this intake knows version \"1\"",
                version.to_string().chars().take(40).collect::<String>()
            ));
        }
        Ok(_) | Err(_) => {}
    }
    match serde_json::from_str(text) {
        Ok(Posted::V1(request)) => Ok(request),
        Err(e) => unreadable(format!("run request of version 1 is malformed: {e}")),
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
fn notification(records: &Value) -> Result<Vec<Event>, Unreadable> {
    let Some(records) = records.as_array().filter(|records| records.len() <= MAX_RECORDS) else {
        return unreadable(format!("Records is no list of at most {MAX_RECORDS} records"));
    };
    let mut events = Vec::new();
    for record in records {
        let text = |path: &str| record.pointer(path).and_then(Value::as_str);
        let name = text("/eventName").unwrap_or_default();
        if text("/eventSource") != Some("aws:s3") || !name.starts_with("ObjectCreated:") {
            return unreadable(format!(
                "a record of the kind {name:?}: only s3:ObjectCreated:* makes runs; narrow the bucket's notification"
            ));
        }
        let (Some(bucket), Some(key)) = (text("/s3/bucket/name"), text("/s3/object/key")) else {
            return unreadable("a record names no bucket or no key");
        };
        events.push(Event::Created(Created {
            bucket: bucket.to_owned(),
            key: decoded(key)?,
            version: text("/s3/object/versionId").map(str::to_owned),
            e_tag: text("/s3/object/eTag").unwrap_or_default().to_owned(),
            sequencer: text("/s3/object/sequencer").unwrap_or_default().to_owned(),
        }));
    }
    Ok(events)
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>; keys are not encoded there.
fn event_of_s3(detail: &Value) -> Result<Event, Unreadable> {
    let text = |path: &str| detail.pointer(path).and_then(Value::as_str);
    let (Some(bucket), Some(key)) = (text("/bucket/name"), text("/object/key")) else {
        return unreadable("an event of S3 names no bucket or no key");
    };
    Ok(Event::Created(Created {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: text("/object/version-id").map(str::to_owned),
        e_tag: text("/object/etag").unwrap_or_default().to_owned(),
        sequencer: text("/object/sequencer").unwrap_or_default().to_owned(),
    }))
}

/// Keys in notifications are encoded as in forms: `+` is a space, `%2B` a plus.
fn decoded(key: &str) -> Result<String, Unreadable> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.map(char::from));
                let [Some(high), Some(low)] = digits.map(|digit| digit.and_then(|d| d.to_digit(16))) else {
                    return unreadable(format!("key {key:?} is not encoded as in a URL"));
                };
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            other => other,
        });
    }
    match String::from_utf8(bytes) {
        Ok(key) => Ok(key),
        Err(_) => unreadable(format!("key {key:?} is no text in UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn created(body: &str) -> Created {
        match parse(body).expect(body).as_slice() {
            [Event::Created(created)] => created.clone(),
            other => panic!("one object is wanted: {other:?}"),
        }
    }

    const RECORD: &str = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1",
        "eventTime":"2026-11-25T00:00:00.000Z","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0",
        "bucket":{"name":"lake","arn":"arn:aws:s3:::lake"},"object":{"key":"in/K%C3%A4se+%2B+1.csv","size":10,
        "eTag":"abc","sequencer":"0055"}}}]}"#;
    const EVENT: &str = r#"{"version":"0","id":"1","detail-type":"Object Created","source":"aws.s3","account":"1",
        "time":"2026-11-25T00:00:00Z","region":"us-east-1","resources":["arn:aws:s3:::lake"],"detail":{"version":"0",
        "bucket":{"name":"lake"},"object":{"key":"in/Käse + 1.csv","size":10,"etag":"abc","sequencer":"0055"},
        "reason":"PutObject"}}"#;

    #[test]
    fn notifications_and_events_of_one_object_are_one() {
        let notified = created(RECORD);
        assert_eq!(notified.uri(), "s3://lake/in/Käse + 1.csv");
        assert_eq!(notified, created(EVENT));
        let pipeline = PipelineName::new("p").expect("valid");
        assert_eq!(notified.run_of(&pipeline), created(EVENT).run_of(&pipeline));
        let versioned = Created {
            version: Some("v1".into()),
            ..notified.clone()
        };
        assert_ne!(versioned.run_of(&pipeline), notified.run_of(&pipeline));
    }

    #[test]
    fn requests_come_alone_or_in_an_event() {
        let request = r#"{"version":"1","pipeline":"flights","key":"order-1","set":{"rounds":7,"day":"2026-11-25"},"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
        let want = vec![Event::Run(RunRequest {
            pipeline: PipelineName::new("flights").expect("valid"),
            key: RunId::new("order-1").expect("valid"),
            set: [
                ("rounds".into(), crate::spec::Parameter::Integer(7)),
                ("day".into(), crate::spec::Parameter::Text("2026-11-25".into())),
            ]
            .into(),
            traceparent: Some(parent.try_into().expect("valid")),
        })];
        assert_eq!(parse(request).expect("read"), want);
        let event =
            format!(r#"{{"version":"0","source":"our.lake","detail-type":"ready","detail":{request}}}"#);
        assert_eq!(parse(&event).expect("read"), want);
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"lake"}"#;
        assert_eq!(parse(test).expect("read"), []);
    }

    #[test]
    fn each_kind_of_bad_message_has_its_reason() {
        for (body, part) in [
            ("hello", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{}", "neither a run request"),
            (r#"{"version":"2","pipeline":"p","key":"k"}"#, "version \"2\""),
            (r#"{"version":"1","pipeline":"p"}"#, "missing field `key`"),
            (r#"{"version":"1","pipeline":"p","key":"../k"}"#, "not valid"),
            (
                r#"{"version":"1","pipeline":"p","key":"k","priority":1}"#,
                "priority",
            ),
            (
                r#"{"version":"1","pipeline":"p","key":"k","set":{"x":[1]}}"#,
                "malformed",
            ),
            (r#"{"Records":"x"}"#, "no list"),
            (
                r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectRemoved:Delete"}]}"#,
                "ObjectRemoved",
            ),
            (
                r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]}"#,
                "no bucket",
            ),
            (
                r#"{"source":"aws.s3","detail-type":"Object Deleted","detail":{}}"#,
                "Object Deleted",
            ),
            (
                r#"{"source":"x","detail-type":"y","detail":{}}"#,
                "no run request",
            ),
        ] {
            let error = parse(body).expect_err(body).to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
        let cut = RECORD.replace("%2B", "%2");
        assert!(
            parse(&cut)
                .expect_err("cut short")
                .to_string()
                .contains("encoded")
        );
        let deep = format!(r#"{{"Records":{}"#, "[".repeat(3000));
        assert!(parse(&deep).is_err());
    }

    proptest! {
        /// S3 encodes every byte that is no letter of a URL.
        #[test]
        fn any_key_comes_back(key in ".{0,40}") {
            let encoded: String = key.bytes().map(|b| match b {
                b' ' => "+".to_owned(),
                b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            }).collect();
            prop_assert_eq!(decoded(&encoded), Ok(key));
        }

        #[test]
        fn no_message_panics(body in ".{0,200}") {
            let _ = parse(&body);
        }
    }
}
