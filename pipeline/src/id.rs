//! Typed identifiers. Every one is checked when it is made, also when it is read from a message or an item, so
//! that a key or a path built from ids cannot leave its place.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest an identifier may be, in bytes (identifiers are ASCII).
pub const MAX_ID_BYTES: usize = 64;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: {rule}")]
pub struct InvalidId {
    kind: &'static str,
    /// At most [`MAX_ID_BYTES`] characters of what was given.
    text: String,
    rule: &'static str,
}

const ID_RULE: &str = "use 1 to 64 of a-z, 0-9, '_' and '-'";
const ARTIFACT_RULE: &str = "use 1 to 64 of a-z, 0-9, '_' and '-', with single dots between";

fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_ID_BYTES
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn is_artifact_name(text: &str) -> bool {
    text.len() <= MAX_ID_BYTES && text.split('.').all(is_id)
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $kind:literal, $valid:path, $rule:path, $pattern:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = $pattern, "maxLength" = MAX_ID_BYTES)))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes the identifier of it.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                if $valid(text) {
                    Ok(Self(text.into()))
                } else {
                    let text = text.chars().take(MAX_ID_BYTES).collect();
                    Err(InvalidId { kind: $kind, text, rule: $rule })
                }
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.as_str().to_owned()
            }
        }

        // By hand, because an item is full of ids: derived by way of `String`, each is copied once more.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::text::read(deserializer, |text| Self::new(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

id!(
    /// One execution of a plan for one specification.
    RunId, "run id", is_id, ID_RULE, r"^[a-z0-9_-]{1,64}$"
);
id!(
    /// What people call a pipeline; many runs share it.
    PipelineName, "pipeline name", is_id, ID_RULE, r"^[a-z0-9_-]{1,64}$"
);
id!(
    /// A stage's place in a plan. State, keys and messages name the step.
    StepName, "step name", is_id, ID_RULE, r"^[a-z0-9_-]{1,64}$"
);
id!(
    /// A kind of work with a pool of its own.
    StageName, "stage name", is_id, ID_RULE, r"^[a-z0-9_-]{1,64}$"
);
id!(
    /// The name of a model in the registry.
    ModelName, "model name", is_id, ID_RULE, r"^[a-z0-9_-]{1,64}$"
);
id!(
    /// A name that points to one version of a model, such as `champion`.
    AliasName, "alias", is_id, ID_RULE, r"^[a-z0-9_-]{1,64}$"
);
id!(
    /// The file name of an artifact within its attempt, such as `report.json`.
    ArtifactName, "artifact name", is_artifact_name, ARTIFACT_RULE, r"^[a-z0-9_-]+(\.[a-z0-9_-]+)*$"
);
id!(
    /// Says which claim holds a lease. Fresh for every claim, so that a worker whose answer was lost can tell its
    /// own claim from another's.
    Nonce, "nonce", is_id, ID_RULE, r"^[a-z0-9_-]{1,64}$"
);
id!(
    /// One process of the fleet.
    WorkerId, "worker id", is_id, ID_RULE, r"^[a-z0-9_-]{1,64}$"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn t02_refuses_what_could_leave_its_place() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "../a",
            "/etc",
            "a\0",
            "A",
            "ä",
            "a b",
            "a.b",
            "%2e",
            "‥",
            "a\n",
            &"x".repeat(65),
        ] {
            assert!(RunId::new(text).is_err(), "{text:?} was taken");
        }
        for text in [".a", "a.", "a..b", "..", ".", "a/.b", "a.b/", ""] {
            assert!(ArtifactName::new(text).is_err(), "{text:?} was taken");
        }
        for text in ["train.parquet", "a", "report.html.gz", "x_1-2"] {
            assert_eq!(ArtifactName::new(text).map(String::from).as_deref(), Ok(text));
        }
    }

    #[test]
    fn the_error_says_what_to_write_and_is_short() {
        let error = RunId::new("Q".repeat(5000))
            .expect_err("capital letters are refused")
            .to_string();
        assert!(error.contains("a-z, 0-9"), "{error}");
        assert!(error.len() < 200, "{} bytes", error.len());
    }

    proptest! {
        #[test]
        fn t02_whatever_is_taken_is_safe_in_a_path(text in "\\PC{0,80}") {
            if let Ok(name) = ArtifactName::new(&text) {
                prop_assert!(!name.as_str().contains("..") && !name.as_str().contains('/') && !name.as_str().starts_with('.'));
            }
            let json = serde_json::to_string(&text).expect("text serialises");
            prop_assert_eq!(serde_json::from_str::<RunId>(&json).is_ok(), RunId::new(&text).is_ok());
        }
    }
}
