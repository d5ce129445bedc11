//! The one place where what AWS says becomes a port's error.

use std::error::Error;
use std::fmt;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::ServiceError;
use aws_smithy_runtime_api::http::Response;
use pipeline::ports::{ErrorKind, PortError};

/// What went wrong inside, before it is known what was tried.
#[derive(Debug)]
pub(crate) enum Fault {
    /// AWS refused or failed.
    Service(Failure),
    /// What is stored cannot be read as what it should be.
    Stored(String),
    /// This machine's file system failed.
    Io(std::io::Error),
    /// Already in a port's words.
    Port(PortError),
}

/// A request that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Whether an answer came, and if none did, why not.
    cause: Cause,
    /// The service's own name of the error; empty if there was none.
    pub(crate) code: String,
    /// Of the answer, if there was one.
    pub(crate) status: Option<u16>,
    /// What the service said, or what went wrong on the way, in one line.
    message: String,
}

/// How a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It could not be made.
    Request,
    /// No credentials, or none that can be used.
    Credentials,
    /// It may or may not have been received.
    Connection,
    /// There was an answer.
    Answer,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{} ({})", self.message, self.code),
        }
    }
}

impl Error for Failure {}

impl Failure {
    /// Of any request of any service.
    pub(crate) fn of<E>(error: &SdkError<E, Response>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let context = || DisplayErrorContext(error).to_string();
        let (cause, message) = match error {
            SdkError::ServiceError(answer) => (Cause::Answer, told(answer)),
            SdkError::ConstructionFailure(_) => (Cause::Request, context()),
            SdkError::TimeoutError(_) => (Cause::Connection, "no answer in time".to_owned()),
            SdkError::DispatchFailure(failure) => {
                let text = context();
                // The SDK has no kind of its own for it.
                let is_about_credentials = failure
                    .as_connector_error()
                    .is_none_or(|e| e.is_user() || e.is_other())
                    && text.to_ascii_lowercase().contains("credential");
                match is_about_credentials {
                    true => (Cause::Credentials, text),
                    false => (Cause::Connection, text),
                }
            }
            // An answer that could not be read: what was asked for may have been done.
            SdkError::ResponseError(_) => (Cause::Connection, context()),
            _ => (Cause::Connection, context()),
        };
        Self {
            cause,
            code: error.code().unwrap_or_default().to_owned(),
            status: error.raw_response().map(|response| response.status().as_u16()),
            message: message.lines().collect::<Vec<_>>().join(" "),
        }
    }

    /// An answer that is an error, before the SDK has read it. Its body says what it is: DynamoDB and SQS have the status 400
    /// for throttles and denials, too.
    pub(crate) fn of_attempt(answer: &Response) -> Self {
        Self {
            cause: Cause::Answer,
            code: answer.body().bytes().and_then(code_of).unwrap_or_default(),
            status: Some(answer.status().as_u16()),
            message: String::new(),
        }
    }

    /// One error of a batch that was answered.
    pub(crate) fn of_entry(code: &str, message: Option<&str>, is_senders_fault: bool) -> Self {
        Self {
            cause: Cause::Answer,
            code: code.to_owned(),
            status: Some(if is_senders_fault { 400 } else { 500 }),
            message: message.unwrap_or("no reason was given").to_owned(),
        }
    }

    /// True if an answer came and names no error: AWS's errors have names. Something else is at that address.
    pub(crate) fn is_of_something_else(&self) -> bool {
        self.cause == Cause::Answer && self.code.is_empty()
    }

    /// True if the service says by its code or its status that what was named is not there.
    pub(crate) fn is_absent(&self) -> bool {
        self.kind_and_advice().0 == ErrorKind::NotFound
    }

    /// The kind, and what to do about it.
    pub(crate) fn kind_and_advice(&self) -> (ErrorKind, &'static str) {
        match self.cause {
            Cause::Request => return (ErrorKind::Invalid, OURS),
            Cause::Credentials => return (ErrorKind::Denied, CREDENTIALS),
            Cause::Connection => return (ErrorKind::Unavailable, UNREACHABLE),
            Cause::Answer => {}
        }
        // Codes differ in form between protocols: `AWS.SimpleQueueService.NonExistentQueue`, `QueueDoesNotExist`.
        let code = self.code.rsplit(['.', '#']).next().unwrap_or_default();
        match code {
            "NonExistentQueue" | "QueueDoesNotExist" => (ErrorKind::NotFound, NO_QUEUE),
            "NoSuchBucket" => (ErrorKind::NotFound, NO_BUCKET),
            "ResourceNotFoundException" => (ErrorKind::NotFound, NO_TABLE),
            "NoSuchKey" | "NotFound" | "NoSuchUpload" => (ErrorKind::NotFound, ""),
            "ConditionalCheckFailedException" | "PreconditionFailed" | "TransactionCanceledException" => {
                (ErrorKind::Conflict, "")
            }
            "ReceiptHandleIsInvalid" | "MessageNotInflight" => (ErrorKind::LeaseLost, ""),
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "OverLimit"
            | "SlowDown" => (ErrorKind::Throttled, THROTTLED),
            "ConditionalRequestConflict"
            | "TransactionConflictException"
            | "TransactionInProgressException" => (
                ErrorKind::Unavailable,
                "another request was changing it, try again",
            ),
            "AccessDenied"
            | "AccessDeniedException"
            | "AllAccessDisabled"
            | "KmsAccessDenied"
            | "Forbidden" => (ErrorKind::Denied, DENIED),
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "AuthFailure" => (ErrorKind::Denied, CREDENTIALS),
            "RequestTimeTooSkewed" | "RequestExpired" => (ErrorKind::Denied, CLOCK),
            "BadDigest" | "XAmzContentChecksumMismatch" | "RequestTimeout" | "InternalError" => {
                (ErrorKind::Unavailable, PASSING)
            }
            _ => match self.status {
                Some(404) => (ErrorKind::NotFound, ""),
                Some(403 | 401) => (ErrorKind::Denied, DENIED),
                Some(409) => (
                    ErrorKind::Unavailable,
                    "another request was changing it, try again",
                ),
                Some(412) => (ErrorKind::Conflict, ""),
                Some(429) => (ErrorKind::Throttled, THROTTLED),
                Some(400..=499) => (ErrorKind::Invalid, OURS),
                _ => (ErrorKind::Unavailable, PASSING),
            },
        }
    }
}

/// The code in an error's body: `"__type"` in JSON, `<Code>` in S3's XML.
fn code_of(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        #[serde(rename = "__type")]
        code: String,
    }
    if let Ok(named) = serde_json::from_slice::<Named>(body) {
        return Some(named.code);
    }
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code.to_owned())
}

/// What the service said.
fn told<E: ProvideErrorMetadata + Error>(answer: &ServiceError<E, Response>) -> String {
    let error = answer.err();
    error.message().map_or_else(
        || format!("answered with status {}", answer.raw().status()),
        str::to_owned,
    )
}

const OURS: &str = "this is a mistake of this program: please report it";
const UNREACHABLE: &str = "AWS did not answer: see that the network, the region and the endpoint are right";
const PASSING: &str = "AWS failed, perhaps in passing: try again";
const THROTTLED: &str = "AWS wants fewer requests: try again later, or ask for a higher quota";
pub(crate) const CREDENTIALS: &str =
    "there are no credentials that AWS takes: run `aws sts get-caller-identity` to see what it says to them";
const CLOCK: &str = "this machine's clock is wrong: set it";
const DENIED: &str =
    "these credentials may not do that: see which permissions each component needs, and `producer doctor`";
const NO_QUEUE: &str = "there is no such queue: `producer setup` makes what is missing";
const NO_BUCKET: &str = "there is no such bucket: `producer setup` makes what is missing";
const NO_TABLE: &str = "there is no such table: `producer setup` makes what is missing";

impl Fault {
    /// The port's error; `action` says what was tried: "cannot {action}: …".
    pub(crate) fn explain(self, action: &str) -> PortError {
        let explained = |kind, advice: &str| match advice.is_empty() {
            true => PortError::new(kind, format!("cannot {action}")),
            false => PortError::new(kind, format!("cannot {action}: {advice}")),
        };
        match self {
            Self::Service(failure) => {
                let (kind, advice) = failure.kind_and_advice();
                explained(kind, advice).with_source(failure)
            }
            Self::Stored(what) => explained(
                ErrorKind::Corrupt,
                "what is stored is not what this version writes: use the version that wrote it",
            )
            .with_source(what),
            Self::Io(error) => {
                explained(ErrorKind::Unavailable, "this machine's disk failed or is full").with_source(error)
            }
            Self::Port(error) => error,
        }
    }

    /// The service's failure, if it is one.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Service(failure) => Some(failure),
            Self::Stored(_) | Self::Io(_) | Self::Port(_) => None,
        }
    }
}

impl<E> From<SdkError<E, Response>> for Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, Response>) -> Self {
        Self::Service(Failure::of(&error))
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Service(failure)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// A builder of the SDK was not given what it needs.
impl From<aws_smithy_types::error::operation::BuildError> for Fault {
    fn from(error: aws_smithy_types::error::operation::BuildError) -> Self {
        Self::Port(PortError::new(ErrorKind::Invalid, OURS).with_source(error))
    }
}
