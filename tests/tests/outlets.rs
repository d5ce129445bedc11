//! What workers tell the outside: spans of runs and attempts, and runs that ended badly. Neither is ever in the way of work.

use std::collections::BTreeMap;

use e2e::harness::{Fleet, Pool, Receiver, Stopwatch, wait_for};
use pipeline::{RunId, RunStatus};
use prost::Message as _;
use rustix::process::Signal;
use serde_json::Value;
use worker::outlets::otlp::{self, ExportTraceServiceRequest, Span, SpanStatus};

/// Three steps of two stages, the middle one in branches.
const SPEC: &str = "\
pipeline = \"traced\"

[[steps]]
step = \"first\"
stage = \"noop\"

[[steps]]
step = \"wide\"
stage = \"flaky\"
params = { attempts = 1, only_branches = [1] }
branches = 3

[[steps]]
step = \"last\"
stage = \"noop\"
";

/// Spans, with the process that exported each.
fn spans(receiver: &Receiver) -> Vec<(String, Span)> {
    let mut spans = Vec::new();
    for request in receiver.taken() {
        assert_eq!(request.line, "POST /v1/traces HTTP/1.1");
        assert!(
            request
                .headers
                .to_lowercase()
                .contains("content-type: application/x-protobuf"),
            "{}",
            request.headers
        );
        let export = ExportTraceServiceRequest::decode(&*request.body).expect("is of the protocol");
        for of in export.resource_spans {
            let resource = text(&of.resource.expect("a process").attributes);
            assert_eq!(resource["service.name"], "fleetline");
            let process = resource["service.instance.id"].clone();
            let all = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(all.map(|span| (process.clone(), span)));
        }
    }
    spans
}

fn text(attributes: &[otlp::KeyValue]) -> BTreeMap<String, String> {
    let value = |of: &otlp::KeyValue| match of.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(otlp::Value::StringValue(text)) => text.clone(),
        Some(otlp::Value::IntValue(number)) => number.to_string(),
        None => panic!("no value: {of:?}"),
    };
    attributes.iter().map(|of| (of.key.clone(), value(of))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_spans_of_a_run_are_one_tree_across_processes() {
    let fleet = Fleet::new();
    let collector = Receiver::answering(200);
    let pools: Vec<Pool> = ["noop", "flaky"]
        .iter()
        .map(|stage| {
            fleet
                .pool(stage)
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
                .start()
        })
        .collect();
    let run = fleet.submit(SPEC);
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    // A drain exports what is left.
    for mut pool in pools {
        pool.signal(Signal::TERM);
        assert!(pool.wait().0.success());
    }
    let spans = spans(&collector);
    let roots: Vec<&(String, Span)> = spans
        .iter()
        .filter(|(_, span)| span.parent_span_id.is_empty())
        .collect();
    let [(_, root)] = &roots[..] else {
        panic!("one root: {spans:#?}")
    };
    assert_eq!(root.name, "run traced");
    assert_eq!(text(&root.attributes)["run.id"], run.as_str());
    let mut attempts = Vec::new();
    for (_, span) in &spans {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert_eq!(span.trace_id, root.trace_id, "one trace");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano && span.start_time_unix_nano > 0);
        if span == root {
            continue;
        }
        assert_eq!(span.parent_span_id, root.span_id, "{span:?}");
        let attributes = text(&span.attributes);
        assert_eq!(attributes["run.id"], run.as_str());
        let failed = span
            .status
            .as_ref()
            .is_some_and(|status| status.code == SpanStatus::Error as i32);
        assert_eq!(failed, attributes["outcome"] == "transient", "{attributes:?}");
        let branch = attributes
            .get("branch")
            .map_or(String::new(), |n| format!("/{n}"));
        let (step, attempt) = (&attributes["step"], &attributes["attempt"]);
        attempts.push(format!("{step}{branch} {attempt} {}", attributes["outcome"]));
    }
    attempts.sort();
    assert_eq!(
        attempts,
        [
            "first 1 committed",
            "last 1 committed",
            "wide/0 1 committed",
            "wide/1 1 transient",
            "wide/1 2 committed",
            "wide/2 1 committed",
        ]
    );
    let processes: std::collections::BTreeSet<&String> = spans.iter().map(|(process, _)| process).collect();
    assert_eq!(processes.len(), 2, "{processes:?}");
}

/// An upstream system's request names its own span: the run is a part of that trace.
#[test]
fn a_run_belongs_to_the_trace_of_whoever_asked_for_it() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";
    let fleet = Fleet::new();
    let collector = Receiver::answering(200);
    let path = fleet.write_spec("pipeline = \"asked\"\n[[steps]]\nstage = \"noop\"\n");
    fleet
        .producer(&["pipelines", "apply", &path.to_string_lossy()])
        .expect_code(0);
    let intake = fleet.intake().start();
    let url = format!("{}/", collector.url());
    let pool = fleet.pool("noop").with(&["--otlp-endpoint", &url]).start();
    let request = serde_json::json!({
        "version": "1", "pipeline": "asked", "key": "order-1", "traceparent": format!("00-{TRACE}-{PARENT}-01"),
    });
    fleet.send("intake", &request.to_string());
    // Not to be recorded, says this one.
    let request = serde_json::json!({
        "version": "1", "pipeline": "asked", "key": "order-2", "traceparent": format!("00-{TRACE}-{PARENT}-00"),
    });
    fleet.send("intake", &request.to_string());
    for key in ["order-1", "order-2"] {
        let run = RunId::new(key).expect("an id");
        fleet.wait_for_run(&run);
        fleet.wait_for_end(&run, RunStatus::Succeeded);
    }
    let both = || (spans(&collector).len() >= 2).then(|| spans(&collector));
    let (spans, _) = wait_for("spans", || fleet.told(), both);
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(
        spans.iter().all(|(_, span)| hex(&span.trace_id) == TRACE),
        "{spans:?}"
    );
    let named = |name: &str| {
        let found = spans.iter().find(|(_, span)| span.name == name);
        &found.unwrap_or_else(|| panic!("no span {name}: {spans:?}")).1
    };
    let (run, attempt) = (named("run asked"), named("noop"));
    assert_eq!(hex(&run.parent_span_id), PARENT);
    assert_eq!(attempt.parent_span_id, run.span_id);
    drop((intake, pool));
}

#[test]
fn a_collector_that_is_not_there_holds_up_nothing() {
    let fleet = Fleet::new();
    let mut pool = fleet
        .pool("noop")
        .with(&["--otlp-endpoint", "http://127.0.0.1:1"])
        .start();
    let runs: Vec<RunId> = (0..20)
        .map(|_| fleet.submit("pipeline = \"p\"\n[[steps]]\nstage = \"noop\"\n"))
        .collect();
    for run in &runs {
        fleet.wait_for_end(run, RunStatus::Succeeded);
    }
    let time = Stopwatch::start();
    pool.signal(Signal::TERM);
    assert!(pool.wait().0.success());
    assert!(time.elapsed().as_secs() < 8, "the drain took {time}");
    let told = fleet.told();
    assert!(
        told.contains("the collector http://127.0.0.1:1 takes no spans"),
        "{told}"
    );
    assert!(told.contains("spans are lost"), "{told}");
}

const FAILS: &str = "\
pipeline = \"orders\"
[[steps]]
step = \"load\"
stage = \"noop\"
[[steps]]
step = \"judge\"
stage = \"flaky\"
params = { attempts = 9, how = \"permanent\" }
";

const HALTS: &str = "pipeline = \"orders\"\n[[steps]]\nstep = \"gate\"\nstage = \"noop\"\nparams = { halt = \"no better\" }\n";

/// What a webhook was told.
fn notices(receiver: &Receiver) -> Vec<Value> {
    let read = |body: &[u8]| serde_json::from_slice(body).expect("JSON");
    receiver
        .taken()
        .iter()
        .map(|request| read(&request.body))
        .collect()
}

#[test]
fn a_run_that_fails_is_told_once_with_its_reason() {
    let fleet = Fleet::new();
    let (only_failures, both) = (Receiver::answering(204), Receiver::answering(200));
    for (receiver, ends) in [(&only_failures, "failed"), (&both, "failed,halted")] {
        let url = format!("{}/hooks/s3cr3t", receiver.url());
        let mut pool = fleet
            .pool("noop,flaky")
            .env("FLEETLINE_NOTIFY_URL", &url)
            .with(&["--notify-on", ends])
            .start();
        let failed = fleet.submit(FAILS);
        fleet.wait_for_end(&failed, RunStatus::Failed);
        let halted = fleet.submit(HALTS);
        fleet.wait_for_end(&halted, RunStatus::Halted);
        let good = fleet.submit("pipeline = \"orders\"\n[[steps]]\nstage = \"noop\"\n");
        fleet.wait_for_end(&good, RunStatus::Succeeded);
        fleet.wait_until_empty("noop");
        fleet.wait_until_empty("flaky");
        pool.signal(Signal::TERM);
        assert!(pool.wait().0.success());
        let told = notices(receiver);
        let ends: Vec<(&str, &str)> = told
            .iter()
            .map(|notice| {
                (
                    notice["run"].as_str().expect("a run"),
                    notice["status"].as_str().expect("a status"),
                )
            })
            .collect();
        let mut wanted = vec![(failed.as_str(), "FAILED")];
        if receiver.url() == both.url() {
            wanted.push((halted.as_str(), "HALTED"));
        }
        assert_eq!(ends, wanted, "{told:?}");
        let notice = &told[0];
        assert_eq!(
            (&notice["pipeline"], &notice["step"]),
            (&"orders".into(), &"judge".into()),
            "{notice}"
        );
        let (reason, text) = (
            notice["reason"].as_str().expect("a reason"),
            notice["text"].as_str().expect("a text"),
        );
        assert!(
            !reason.is_empty() && text.contains(reason) && text.contains("at step judge"),
            "{notice}"
        );
        assert!(!fleet.told().contains("s3cr3t"), "the address is a secret");
    }
}

#[test]
fn a_receiver_that_is_down_holds_up_nothing_and_the_log_says_so() {
    let fleet = Fleet::new();
    let broken = Receiver::answering(500);
    for url in [
        format!("{}/s3cr3t", broken.url()),
        "http://127.0.0.1:1/s3cr3t".to_owned(),
    ] {
        // One permit: a notice under way must not have it.
        let pool = fleet
            .pool("noop,flaky")
            .env("FLEETLINE_NOTIFY_URL", &url)
            .with(&["--permits", "1", "--lease", "30s"])
            .start();
        let time = Stopwatch::start();
        let failed = fleet.submit(FAILS);
        fleet.wait_for_end(&failed, RunStatus::Failed);
        let good =
            fleet.submit("pipeline = \"orders\"\n[[steps]]\nstage = \"flaky\"\nparams = { attempts = 0 }\n");
        fleet.wait_for_end(&good, RunStatus::Succeeded);
        println!("both ended after {time}");
        let line = pool.output().wait_for("nobody was told of the run's end");
        assert!(
            line.contains(failed.as_str()) && !line.contains("s3cr3t"),
            "{line}"
        );
        fleet.wait_until_empty("flaky");
    }
    let tries = broken.taken().len();
    assert_eq!(tries, 3, "so often it is tried");
}

/// Whoever ended the run dies before it told: the message comes again, and whoever takes it tells.
#[test]
fn a_worker_that_dies_before_it_told_leaves_it_to_another() {
    let fleet = Fleet::new();
    let receiver = Receiver::answering(200);
    let deaf = "http://127.0.0.1:1/";
    let mut dies = fleet
        .pool("noop,flaky")
        .env("FLEETLINE_NOTIFY_URL", deaf)
        .with(&["--test-pause-at", "recorded"])
        .start();
    let failed = fleet.submit(FAILS);
    fleet.wait_for_end(&failed, RunStatus::Failed);
    dies.signal(Signal::KILL);
    dies.wait();
    assert_eq!(notices(&receiver).len(), 0);
    let _pool = fleet
        .pool("noop,flaky")
        .env("FLEETLINE_NOTIFY_URL", &receiver.url())
        .start();
    let told = || (!notices(&receiver).is_empty()).then(|| notices(&receiver));
    let (told, _) = wait_for("the notice", || fleet.told(), told);
    assert_eq!(told[0]["run"], failed.as_str());
    fleet.wait_until_empty("flaky");
}

#[test]
fn addresses_that_would_give_the_secret_away_are_refused() {
    let fleet = Fleet::new();
    for (url, part) in [
        ("http://hooks.example.com/s3cr3t", "http is for this machine only"),
        ("s3cr3t", "no address of https"),
    ] {
        let said = fleet
            .worker(&["pool", "--stages", "extract", "--notify-url", url])
            .expect_code(2);
        assert!(
            said.stderr.contains(part) && !said.stderr.contains("s3cr3t"),
            "{said:?}"
        );
    }
}
