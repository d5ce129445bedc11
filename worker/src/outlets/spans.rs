//! Spans by OTLP, as protobuf over HTTP: one for each attempt, and one for each run, which is the parent of its attempts.
//!
//! The span of a run has an id that follows from the run's ([`pipeline::trace`]); whoever ends the run exports it. What cannot be
//! exported waits, up to a number, and is then dropped.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use pipeline::envelope::TraceParent;
use pipeline::item::FaultClass;
use pipeline::ports::{Clock, Random};
use pipeline::protocol::Held;
use pipeline::trace::RunSpan;
use pipeline::{QueueName, RunItem, RunStatus, Timestamp, WorkerId};
use prost::Message as _;

use crate::client::Destination;
use crate::metrics::AttemptOutcome;
use crate::outlets::otlp::{
    AnyValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans, ScopeSpans,
    Span, SpanKind, SpanStatus, Status, Value,
};

/// What one request carries at most.
const BATCH: usize = 512;
/// What waits at most: a collector that is away for some minutes, in a fleet that is busy.
const MOST_WAITING: usize = 8_192;
/// A collector is near, and takes what it is sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one is left alone that does not answer.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the end of the process may take for it.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// What becomes a span of an attempt.
#[derive(Debug)]
pub struct AttemptSpan<'a> {
    /// What it worked on.
    pub held: &'a Held,
    /// By which queue.
    pub queue: &'a QueueName,
    /// The span that its message names.
    pub parent: &'a TraceParent,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took, from its claim.
    pub duration: Duration,
}

/// Spans of this process, and who collects them.
pub struct Spans {
    collector: Destination,
    resource: Resource,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    spans: Vec<Span>,
    dropped: u64,
    /// Until when the collector is left alone, as monotonic time; set while it does not answer.
    quiet_until: Option<Duration>,
}

impl Spans {
    /// To the collector at the endpoint, which is what `OTEL_EXPORTER_OTLP_ENDPOINT` holds.
    pub fn to(endpoint: &Uri, worker: &WorkerId, version: &str) -> Result<Self, String> {
        let base = endpoint.to_string();
        let uri = format!("{}/v1/traces", base.trim_end_matches('/'));
        let uri: Uri = uri.parse().map_err(|e| format!("{uri:?} is no address: {e}"))?;
        Ok(Self {
            collector: Destination::new(uri)?,
            resource: Resource {
                attributes: vec![
                    text("service.name", "fleetline"),
                    text("service.version", version),
                    text("service.instance.id", worker.as_str()),
                ],
            },
            waiting: Mutex::default(),
        })
    }

    /// An attempt ended.
    pub fn attempt(&self, random: &dyn Random, attempt: &AttemptSpan<'_>) {
        let AttemptSpan {
            held,
            queue,
            parent,
            outcome,
            ended_at,
            duration,
        } = attempt;
        if !parent.is_sampled() {
            return;
        }
        let work = &held.work;
        let mut attributes = vec![
            text("run.id", work.run.as_str()),
            text("stage", queue.stage.as_str()),
            text("step", work.step.as_str()),
            number("attempt", u64::from(held.attempt)),
            text("outcome", outcome.as_str()),
            text("queue", &queue.to_string()),
        ];
        attributes.extend(work.branch.map(|branch| number("branch", u64::from(branch))));
        let failed = match outcome {
            AttemptOutcome::Fault(FaultClass::Interrupted) => None,
            AttemptOutcome::Fault(class) => Some(class.as_str().to_owned()),
            AttemptOutcome::Committed
            | AttemptOutcome::Halted
            | AttemptOutcome::Cached
            | AttemptOutcome::Discarded => None,
        };
        self.add(Span {
            trace_id: bytes(parent.trace_id()),
            // Zero names no span.
            span_id: random.u64().max(1).to_be_bytes().to_vec(),
            parent_span_id: bytes(parent.span_id()),
            name: work.step.to_string(),
            kind: SpanKind::Consumer as i32,
            start_time_unix_nano: nanos(Timestamp(
                ended_at.0.saturating_sub(pipeline::time::millis(*duration)),
            )),
            end_time_unix_nano: nanos(*ended_at),
            attributes,
            status: failed.map(error),
        });
    }

    /// A run ended.
    pub fn run(&self, run: &RunItem) {
        let RunSpan { context, parent } = RunSpan::of(run);
        if !context.is_sampled() {
            return;
        }
        let failed = (run.status == RunStatus::Failed).then(|| run.reason.clone().unwrap_or_default());
        self.add(Span {
            trace_id: bytes(context.trace_id()),
            span_id: bytes(context.span_id()),
            parent_span_id: parent.map(|parent| bytes(parent.span_id())).unwrap_or_default(),
            name: format!("run {}", run.pipeline),
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: nanos(run.created_at),
            end_time_unix_nano: nanos(run.ended_at.unwrap_or(run.created_at)),
            attributes: vec![
                text("run.id", run.id.as_str()),
                text("pipeline", run.pipeline.as_str()),
                text("outcome", run.status.as_str()),
            ],
            status: failed.map(error),
        });
    }

    fn add(&self, span: Span) {
        let mut waiting = self.lock();
        if waiting.spans.len() < MOST_WAITING {
            waiting.spans.push(span);
        } else {
            waiting.dropped += 1;
        }
    }

    /// Exports what waits, unless the collector did not answer a moment ago.
    pub async fn export(&self, clock: &dyn Clock) {
        let is_quiet = self
            .lock()
            .quiet_until
            .is_some_and(|until| clock.monotonic() < until);
        if is_quiet {
            return;
        }
        loop {
            let batch: Vec<Span> = {
                let mut waiting = self.lock();
                let size = waiting.spans.len().min(BATCH);
                waiting.spans.drain(..size).collect()
            };
            if batch.is_empty() {
                return;
            }
            if let Err(why) = self.send(clock, &batch).await {
                return self.keep(clock, batch, &why);
            }
            self.answered();
        }
    }

    async fn send(&self, clock: &dyn Clock, batch: &[Span]) -> Result<(), Refused> {
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "fleetline".to_owned(),
                    }),
                    spans: batch.to_vec(),
                }],
            }],
        };
        let body = request.encode_to_vec();
        let asked = self
            .collector
            .ask(clock, Method::POST, "application/x-protobuf", body, PATIENCE);
        match asked.await {
            Ok((status, _)) if status.is_success() => Ok(()),
            // As the protocol says which may be sent again.
            Ok((
                status @ (StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT),
                _,
            )) => Err(Refused::ForNow(format!("status {status}"))),
            Ok((status, _)) => Err(Refused::ForGood(format!("status {status}"))),
            Err(why) => Err(Refused::ForNow(why)),
        }
    }

    /// What was not taken waits on, in its place, if it may be taken later.
    fn keep(&self, clock: &dyn Clock, batch: Vec<Span>, why: &Refused) {
        let mut waiting = self.lock();
        match why {
            Refused::ForNow(_) => {
                let newer = std::mem::replace(&mut waiting.spans, batch);
                waiting.spans.extend(newer);
                let over = waiting.spans.len().saturating_sub(MOST_WAITING);
                waiting.spans.truncate(MOST_WAITING);
                waiting.dropped += over as u64;
            }
            Refused::ForGood(_) => waiting.dropped += batch.len() as u64,
        }
        let is_new = waiting.quiet_until.is_none();
        waiting.quiet_until = Some(clock.monotonic().saturating_add(PAUSE));
        drop(waiting);
        // Once, not with every try: it concerns nobody's work.
        if is_new {
            let (Refused::ForNow(why) | Refused::ForGood(why)) = why;
            tracing::warn!("the collector {} takes no spans: {why}", self.collector);
        }
    }

    fn answered(&self) {
        let mut waiting = self.lock();
        let dropped = std::mem::take(&mut waiting.dropped);
        if waiting.quiet_until.take().is_some() {
            drop(waiting);
            tracing::info!(dropped, "the collector {} takes spans again", self.collector);
        }
    }

    /// Exports what is left, within bounds.
    pub async fn flush(&self, clock: &dyn Clock) {
        self.lock().quiet_until = None;
        tokio::select! {
            biased;
            () = self.export(clock) => {}
            () = clock.sleep(LAST_PATIENCE) => {}
        }
        let left = self.lock().spans.len();
        if left > 0 {
            tracing::warn!(
                left,
                "spans are lost: the collector {} does not take them",
                self.collector
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic while it was locked cannot have left half a span.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why spans were not taken.
enum Refused {
    /// They may be later.
    ForNow(String),
    /// They will never be.
    ForGood(String),
}

fn error(message: String) -> Status {
    Status {
        message,
        code: SpanStatus::Error as i32,
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn nanos(at: Timestamp) -> u64 {
    at.0.saturating_mul(1_000_000)
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or("0"), 16).unwrap_or(0);
    pairs.map(byte).collect()
}
