//! Messages: hints that there may be work, and never the truth about it.

use serde::{Deserialize, Serialize};

use crate::id::{RunId, StepName};

/// The largest message that is looked at, in bytes. The longest valid one is far below.
pub const MAX_MESSAGE_BYTES: usize = 4096;

/// A message as it travels, with its version outside.
///
/// Within a version no field is optional to know: an unknown one is refused, because a message that says more than
/// its reader understands may mean something else. A new field therefore takes a new version, workers are deployed
/// before senders, and a message that came too early waits in the dead-letter queue with its reason, to be redriven.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "version", deny_unknown_fields)]
pub enum Envelope {
    /// The only version so far.
    #[serde(rename = "1")]
    V1(Hint),
}

/// Which step of which run may have work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// Of which run.
    pub run: RunId,
    /// Which step.
    pub step: StepName,
    /// The step before it, as the sender saw the plan; absent for the first. The claim is guarded by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<StepName>,
    /// Which branch of a fanned-out step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<u32>,
    /// W3C trace context of whoever sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

/// A W3C `traceparent` of version 00 (<https://www.w3.org/TR/trace-context/>, section 3.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(with = "String", extend("pattern" = r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"))
)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent(String);

impl TryFrom<String> for TraceParent {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        let is_hex = text
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        if lengths == [2, 32, 16, 2] && is_hex && text.starts_with("00-") {
            Ok(Self(text))
        } else {
            Err("not a traceparent of version 00")
        }
    }
}

impl TraceParent {
    /// Of the whole trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// Of the span: 16 hexadecimal digits.
    pub fn span_id(&self) -> &str {
        &self.0[36..52]
    }

    /// Two hexadecimal digits.
    pub(crate) fn flags(&self) -> &str {
        &self.0[53..]
    }

    /// True if it names a span: ids of nothing but zeros name none.
    pub fn is_valid(&self) -> bool {
        [self.trace_id(), self.span_id()]
            .iter()
            .all(|id| id.bytes().any(|digit| digit != b'0'))
    }

    /// True if whoever made it records it, and so should others.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(self.flags(), 16).is_ok_and(|flags| flags & 1 == 1)
    }
}

impl From<TraceParent> for String {
    fn from(parent: TraceParent) -> String {
        parent.0
    }
}

/// Why a message cannot be read. Its text becomes the reason in the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than [`MAX_MESSAGE_BYTES`].
    #[error("message of {0} bytes: more than {MAX_MESSAGE_BYTES} are not read")]
    TooLong(usize),
    /// Not JSON, or not an object.
    #[error("message is not a JSON object: {0}")]
    NotJson(String),
    /// Of a version that this worker does not know.
    #[error("message of version {0}: this worker knows version 1; deploy a newer worker, then redrive")]
    UnknownVersion(String),
    /// JSON of a known version, with a field missing, unknown or of the wrong form.
    #[error("message of version 1 is malformed: {0}")]
    Malformed(String),
}

impl Envelope {
    /// Reads a message as it came from a queue.
    pub fn parse(body: &str) -> Result<Hint, EnvelopeError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(EnvelopeError::TooLong(body.len()));
        }
        // serde_json's own recursion limit (128) holds here; unknown nesting is refused by the typed pass below.
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(body).map_err(|e| EnvelopeError::NotJson(e.to_string()))?;
        match fields.get("version") {
            Some(serde_json::Value::String(version)) if version == "1" => {}
            Some(version) => {
                return Err(EnvelopeError::UnknownVersion(
                    version.to_string().chars().take(40).collect(),
                ));
            }
            None => return Err(EnvelopeError::Malformed("missing field `version`".into())),
        }
        // From the text again, not from `fields`: a map would have hidden a field given twice.
        match serde_json::from_str(body) {
            Ok(Self::V1(hint)) => Ok(hint),
            Err(e) => Err(EnvelopeError::Malformed(e.to_string())),
        }
    }

    /// The message's text.
    pub fn to_body(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIXTURES: &[(&str, &str)] = &[
        ("minimal", include_str!("../fixtures/envelope/v1-minimal.json")),
        ("full", include_str!("../fixtures/envelope/v1-full.json")),
    ];

    #[test]
    fn what_was_ever_sent_still_parses_and_reads_back() {
        for (name, text) in FIXTURES {
            let hint = Envelope::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let again = Envelope::parse(&Envelope::V1(hint.clone()).to_body()).expect("own text parses");
            assert_eq!(again, hint, "{name}");
        }
    }

    #[test]
    fn each_kind_of_bad_message_has_its_reason() {
        for (body, reason) in [
            ("", "not a JSON object"),
            ("hello", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"run":"r","step":"s"}"#, "missing field `version`"),
            (r#"{"version":"2","run":"r","step":"s"}"#, "version \"2\""),
            (r#"{"version":1,"run":"r","step":"s"}"#, "version 1"),
            (r#"{"version":"1","step":"s"}"#, "missing field `run`"),
            (r#"{"version":"1","run":"r"}"#, "missing field `step`"),
            (r#"{"version":"1","run":"../r","step":"s"}"#, "is not valid"),
            (r#"{"version":"1","run":"r","step":"s","branch":-1}"#, "malformed"),
            (
                r#"{"version":"1","run":"r","step":"s","traceparent":"00-x"}"#,
                "traceparent",
            ),
        ] {
            let error = Envelope::parse(body).expect_err(body).to_string();
            assert!(error.contains(reason), "{body}: {error}");
        }
        let deep = format!(r#"{{"version":"1","run":{}"#, "[".repeat(3000));
        assert!(matches!(Envelope::parse(&deep), Err(EnvelopeError::NotJson(_))));
        assert!(matches!(
            Envelope::parse(&" ".repeat(5000)),
            Err(EnvelopeError::TooLong(5000))
        ));
    }

    /// A field added: an older reader refuses it with a reason that names it (and keeps the message); a newer
    /// reader takes an older message, because what version 1 added later is optional.
    #[test]
    fn a_field_added_removed_or_given_twice() {
        let added = r#"{"version":"1","run":"r","step":"s","priority":3}"#;
        assert!(
            Envelope::parse(added)
                .expect_err("unknown")
                .to_string()
                .contains("priority")
        );
        let removed = r#"{"version":"1","run":"r","step":"s"}"#;
        assert_eq!(
            Envelope::parse(removed)
                .expect("optional fields may be absent")
                .branch,
            None
        );
        let twice = r#"{"version":"1","run":"r","run":"q","step":"s"}"#;
        assert!(Envelope::parse(twice).is_err());
    }

    proptest! {
        #[test]
        fn t01_no_flipped_byte_changes_more_than_it_says(at in 0usize..200, bit in 0u8..8) {
            let body = Envelope::V1(Hint {
                run: RunId::new("run-1").expect("valid"),
                step: StepName::new("train").expect("valid"),
                after: Some(StepName::new("transform").expect("valid")),
                branch: Some(7),
                traceparent: None,
            }).to_body();
            let mut bytes = body.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(text) = String::from_utf8(bytes)
                && let Ok(hint) = Envelope::parse(&text) {
                    // What still parses is a well-formed hint, which the claim's guards judge.
                    prop_assert_eq!(Envelope::parse(&Envelope::V1(hint.clone()).to_body()), Ok(hint));
                }
        }

        #[test]
        fn any_text_is_an_error_or_a_hint(text in "\\PC{0,300}") {
            let _ = Envelope::parse(&text);
        }
    }
}
