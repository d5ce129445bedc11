//! What Prometheus is told. Only this module knows names and labels; nobody else writes a label's text.
//!
//! | metric | says |
//! |---|---|
//! | `fleetline_stage_duration_seconds{stage,outcome}` | histogram: a stage's own work, without waiting, fetching and publishing |
//! | `fleetline_stage_attempts_total{stage,outcome}` | attempts, by how they ended: see [`AttemptOutcome`] |
//! | `fleetline_queue_depth{stage}` | messages ready to be received |
//! | `fleetline_queue_oldest_seconds{stage}` | for how long the oldest of them has been ready |
//! | `fleetline_in_flight{stage}` | attempts under way in this process |
//! | `fleetline_lease_lost_total{stage}` | leases that ended before the work did |
//! | `fleetline_handoff_seconds{stage}` | histogram: from "ready" to "claimed" |
//! | `fleetline_backend_requests_total{service,operation,outcome}` | calls to the backend, on AWS requests to its services: `ok`, or the kind of error |
//! | `fleetline_artifact_bytes_total{stage,direction}` | artifacts that were `read` and `written` |
//! | `fleetline_intake_messages_total{outcome}` | messages of upstream systems: `accepted`, `waits`, `refused`, `failed` |
//! | `process_*` | this process: memory, processor time |
//!
//! The label `stage` of a queue in a larger memory class is the queue's name, such as `train-large`. Ids of runs are
//! in no label: there would be a new series for every run.

mod metered;
mod outcome;
mod process;

use std::time::Duration;

use pipeline::ports::{ErrorKind, PortError};
use pipeline::{QueueName, StageName};
use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

pub use metered::metered;
pub use outcome::{AttemptOutcome, Direction, IntakeOutcome};

/// From a millisecond to twelve hours.
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0, 14_400.0,
    43_200.0,
];
/// From half a millisecond to an hour.
const HANDOFF_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0, 300.0, 3_600.0,
];

/// Everything that is counted in this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    duration: HistogramVec,
    attempts: IntCounterVec,
    queue_depth: IntGaugeVec,
    queue_oldest: GaugeVec,
    in_flight: IntGaugeVec,
    lease_lost: IntCounterVec,
    handoff: HistogramVec,
    backend_requests: IntCounterVec,
    artifact_bytes: IntCounterVec,
    intake: IntCounterVec,
    process: process::ProcessMetrics,
}

/// One more attempt is under way, until this is dropped.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All of them, at zero.
    pub fn new() -> Self {
        const VALID: &str = "names and labels are written here, and a test renders all of them";
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels).expect(VALID);
            registry.register(Box::new(counter.clone())).expect(VALID);
            counter
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["stage"]).expect(VALID);
            registry.register(Box::new(gauge.clone())).expect(VALID);
            gauge
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let histogram = HistogramVec::new(options, labels).expect(VALID);
            registry.register(Box::new(histogram.clone())).expect(VALID);
            histogram
        };
        let queue_oldest = GaugeVec::new(
            Opts::new(
                "fleetline_queue_oldest_seconds",
                "For how long the oldest message has been ready.",
            ),
            &["stage"],
        )
        .expect(VALID);
        registry.register(Box::new(queue_oldest.clone())).expect(VALID);
        Self {
            duration: histogram(
                "fleetline_stage_duration_seconds",
                "A stage's own work, without waiting, fetching and publishing.",
                &["stage", "outcome"],
                DURATION_BUCKETS,
            ),
            attempts: counter(
                "fleetline_stage_attempts_total",
                "Attempts, by how they ended.",
                &["stage", "outcome"],
            ),
            queue_depth: gauge("fleetline_queue_depth", "Messages that are ready to be received."),
            queue_oldest,
            in_flight: gauge("fleetline_in_flight", "Attempts under way in this process."),
            lease_lost: counter(
                "fleetline_lease_lost_total",
                "Leases that ended before the work did.",
                &["stage"],
            ),
            handoff: histogram(
                "fleetline_handoff_seconds",
                "From a step's being ready to its being claimed.",
                &["stage"],
                HANDOFF_BUCKETS,
            ),
            backend_requests: counter(
                "fleetline_backend_requests_total",
                "Calls to the backend, by what came of them.",
                &["service", "operation", "outcome"],
            ),
            artifact_bytes: counter(
                "fleetline_artifact_bytes_total",
                "Bytes of artifacts that stages read and wrote.",
                &["stage", "direction"],
            ),
            intake: counter(
                "fleetline_intake_messages_total",
                "Messages of upstream systems, by what became of them.",
                &["outcome"],
            ),
            process: process::ProcessMetrics::new(&registry),
            registry,
        }
    }

    /// An attempt ended. `work` is how long the stage itself took, none if it did not come to that.
    pub fn attempt_ended(&self, stage: &StageName, outcome: AttemptOutcome, work: Option<Duration>) {
        let labels = [stage.as_str(), outcome.as_str()];
        self.attempts.with_label_values(&labels).inc();
        if let Some(work) = work {
            self.duration
                .with_label_values(&labels)
                .observe(work.as_secs_f64());
        }
    }

    /// How much waits in a queue, and for how long its oldest message has been ready.
    pub fn queue(&self, queue: &QueueName, visible: u64, oldest: Duration) {
        let label = queue.to_string();
        let depth = i64::try_from(visible).unwrap_or(i64::MAX);
        self.queue_depth.with_label_values(&[&label]).set(depth);
        self.queue_oldest
            .with_label_values(&[&label])
            .set(oldest.as_secs_f64());
    }

    /// One more attempt is under way, until the answer is dropped.
    #[must_use]
    pub fn in_flight(&self, stage: &StageName) -> InFlight {
        let gauge = self.in_flight.with_label_values(&[stage.as_str()]);
        gauge.inc();
        InFlight(gauge)
    }

    /// A lease ended before its work did.
    pub fn lease_lost(&self, stage: &StageName) {
        self.lease_lost.with_label_values(&[stage.as_str()]).inc();
    }

    /// A step or a branch was claimed so long after it was ready.
    pub fn handed_off(&self, stage: &StageName, wait: Duration) {
        self.handoff
            .with_label_values(&[stage.as_str()])
            .observe(wait.as_secs_f64());
    }

    /// A stage read or wrote artifacts.
    pub fn artifact_bytes(&self, stage: &StageName, direction: Direction, size_bytes: u64) {
        let direction = match direction {
            Direction::Read => "read",
            Direction::Written => "written",
        };
        self.artifact_bytes
            .with_label_values(&[stage.as_str(), direction])
            .inc_by(size_bytes);
    }

    /// The intake took a message.
    pub fn taken_in(&self, outcome: IntakeOutcome) {
        self.intake.with_label_values(&[outcome.as_str()]).inc();
    }

    /// All of it in Prometheus' text format.
    pub fn render(&self) -> String {
        self.process.update();
        let mut text = Vec::new();
        let written = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        debug_assert!(written.is_ok(), "memory takes every text: {written:?}");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A request to a service of AWS was answered, or failed so.
    pub fn request(&self, service: &str, operation: &str, failed: Option<ErrorKind>) {
        let outcome = failed.map_or("ok", error_label);
        self.backend_requests
            .with_label_values(&[service, operation, outcome])
            .inc();
    }

    fn calls(&self, service: &'static str, operation: &'static str) -> Calls {
        Calls {
            ok: self
                .backend_requests
                .with_label_values(&[service, operation, "ok"]),
            all: self.backend_requests.clone(),
            service,
            operation,
        }
    }
}

/// The counters of one operation. A success, which is nearly every call, costs one atomic addition; the series of an
/// error is made when there is one.
#[derive(Debug)]
struct Calls {
    ok: IntCounter,
    all: IntCounterVec,
    service: &'static str,
    operation: &'static str,
}

impl Calls {
    fn count<T>(&self, answer: Result<T, PortError>) -> Result<T, PortError> {
        self.count_outcome(answer.as_ref().err().map(PortError::kind));
        answer
    }

    fn count_outcome(&self, error: Option<ErrorKind>) {
        match error {
            None => self.ok.inc(),
            Some(kind) => {
                self.all
                    .with_label_values(&[self.service, self.operation, error_label(kind)])
                    .inc();
            }
        }
    }
}

fn error_label(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::LeaseLost => "lease_lost",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Denied => "denied",
        ErrorKind::Throttled => "throttled",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Invalid => "invalid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::MemoryClass;
    use pipeline::item::FaultClass;

    #[test]
    fn every_metric_has_the_name_that_dashboards_use() {
        let metrics = Metrics::new();
        let stage = StageName::new("noop").expect("valid");
        let queue = QueueName {
            stage: stage.clone(),
            class: MemoryClass::Large,
        };
        metrics.attempt_ended(&stage, AttemptOutcome::Committed, Some(Duration::from_millis(20)));
        metrics.attempt_ended(&stage, AttemptOutcome::Fault(FaultClass::Memory), None);
        metrics.queue(&queue, 7, Duration::from_millis(1_500));
        metrics.lease_lost(&stage);
        metrics.handed_off(&stage, Duration::from_millis(4));
        metrics.artifact_bytes(&stage, Direction::Written, 1_000);
        metrics.taken_in(IntakeOutcome::Refused);
        let requests = metrics.calls("queue", "send");
        requests.count(Ok(())).expect("passed on");
        requests
            .count::<()>(Err(PortError::new(ErrorKind::Throttled, "slow down")))
            .expect_err("passed on");
        let busy = metrics.in_flight(&stage);
        let text = metrics.render();
        for line in [
            "fleetline_stage_duration_seconds_bucket{outcome=\"committed\",stage=\"noop\",le=\"0.03\"} 1",
            "fleetline_stage_duration_seconds_bucket{outcome=\"committed\",stage=\"noop\",le=\"0.01\"} 0",
            "fleetline_stage_attempts_total{outcome=\"committed\",stage=\"noop\"} 1",
            "fleetline_stage_attempts_total{outcome=\"memory\",stage=\"noop\"} 1",
            "fleetline_queue_depth{stage=\"noop-large\"} 7",
            "fleetline_queue_oldest_seconds{stage=\"noop-large\"} 1.5",
            "fleetline_in_flight{stage=\"noop\"} 1",
            "fleetline_lease_lost_total{stage=\"noop\"} 1",
            "fleetline_handoff_seconds_bucket{stage=\"noop\",le=\"0.005\"} 1",
            "fleetline_backend_requests_total{operation=\"send\",outcome=\"ok\",service=\"queue\"} 1",
            "fleetline_backend_requests_total{operation=\"send\",outcome=\"throttled\",service=\"queue\"} 1",
            "fleetline_intake_messages_total{outcome=\"refused\"} 1",
            "fleetline_artifact_bytes_total{direction=\"written\",stage=\"noop\"} 1000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
        }
        assert!(
            !text.contains("fleetline_stage_duration_seconds_count{outcome=\"memory\""),
            "{text}"
        );
        drop(busy);
        assert!(metrics.render().contains("fleetline_in_flight{stage=\"noop\"} 0"));
    }
}
