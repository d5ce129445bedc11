//! The fleet on AWS, as an emulator has it: the same binaries, stages and specifications as on one machine.

use e2e::harness::{Fleet, Pool, Stopwatch};
use pipeline::{RunId, RunStatus, StepName, StepState};

/// The stages of a pipeline that learns.
const STAGES: [&str; 7] = [
    "extract",
    "validate",
    "transform",
    "train",
    "evaluate",
    "explain",
    "deploy",
];

/// Flights, with one process for each stage, from the files that everybody has; submitted twice.
#[test]
fn flights_run_with_one_process_for_each_stage() {
    let fleet = Fleet::on_aws();
    let began = Stopwatch::start();
    let pools: Vec<Pool> = STAGES
        .iter()
        .map(|stage| fleet.pool(stage).with(&["--lease", "20s"]).launch())
        .collect();
    let spec = e2e::repository().join("examples/flights/pipeline.toml");
    let spec = spec.to_string_lossy();
    let submitted = fleet.producer(&["submit", &spec, "--json"]).expect_code(0).json();
    let run = pipeline::RunId::new(submitted["run"].as_str().unwrap_or_default()).expect("a run's id");
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert!(
        ended
            .steps
            .values()
            .all(|step| step.state == StepState::Committed && step.attempt <= 1),
        "{ended:?}"
    );
    let registered = ended.registered.expect("a model was registered");
    assert_eq!(
        registered.promoted.map(|alias| alias.to_string()).as_deref(),
        Some("champion")
    );

    let shown = fleet.producer(&["show", run.as_str()]).expect_code(0).stdout;
    println!("{shown}");
    assert!(shown.contains("boosting"), "{shown}");
    requests_are_those_that_were_counted(&fleet, &run, &pools, began.elapsed());
    let models = fleet
        .producer(&["models", "list", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(models[0]["model"], "flights", "{models}");
    // What workers logged is found by run, also of those that are gone.
    for mut pool in pools {
        pool.signal(rustix::process::Signal::TERM);
        pool.wait();
    }
    let logs = fleet.logs(&run);
    let train = StepName::new("train").expect("a step's name");
    assert!(
        logs.iter()
            .any(|line| pipeline::log_line::about(line, &run, Some(&train)).is_some()),
        "{logs:?}"
    );
}

/// What `producer show` says of a run's requests is what its processes' metrics counted, but for what is documented not to be:
/// receives that found nothing, and what processes ask whether there is work or not.
fn requests_are_those_that_were_counted(
    fleet: &Fleet,
    run: &RunId,
    pools: &[Pool],
    age: std::time::Duration,
) {
    // A delivery's last request follows its commit.
    for stage in STAGES {
        fleet.wait_until_empty(stage);
    }
    let counted = |service: &str, operations: &[&str]| -> f64 {
        let of = |pool: &Pool| {
            let metrics = pool.get("/metrics");
            let each = operations.iter().map(|operation| {
                let labels = [("service", service), ("operation", operation)];
                metrics.sum("fleetline_backend_requests_total", &labels)
            });
            each.sum::<f64>()
        };
        pools.iter().map(of).sum()
    };
    let shown = fleet
        .producer(&["show", run.as_str(), "--json"])
        .expect_code(0)
        .json();
    let shown = |name: &str| {
        shown["requests"][name]
            .as_f64()
            .unwrap_or_else(|| panic!("no {name} in {shown}"))
    };
    let ended = fleet.run(run);
    let branches = fleet.branches(run);
    let works = ended
        .steps
        .values()
        .chain(branches.iter().map(|branch| &branch.work));
    let deliveries: u32 = works.map(|work| work.attempt).sum();

    let sends_and_deletes = counted(
        "SQS",
        &[
            "SendMessageBatch",
            "SendMessage",
            "DeleteMessageBatch",
            "DeleteMessage",
        ],
    );
    let extended = counted("SQS", &["ChangeMessageVisibility"]);
    println!(
        "SQS: shown {}, counted {sends_and_deletes} + {extended}, {deliveries} deliveries",
        shown("sqs")
    );
    let told = shown("sqs") - (sends_and_deletes + extended + f64::from(deliveries));
    // The messages of the two branches go in one request or in two, and so do their deletes.
    assert!(told.abs() <= 1.0, "{told} more are shown than were counted");
    let reads = counted("S3", &["GetObject", "HeadObject"]);
    println!("S3 reads: shown {}, counted {reads}", shown("s3_reads"));
    assert_eq!(shown("s3_reads"), reads);

    // Besides, workers say that they are there, store their logs, look at their clocks, pauses and the sweeper's index.
    let pools = pools.len() as f64;
    let minutes = (age.as_secs_f64() / 60.0).ceil() + 1.0;
    let within = |what: &str, shown: f64, counted: f64, besides: f64| {
        println!("{what}: shown {shown}, counted {counted}, of which besides at most {besides}");
        assert!(
            (0.0..=besides).contains(&(counted - shown)),
            "{what}: {shown} of {counted}"
        );
    };
    let writes = counted(
        "DynamoDB",
        &["UpdateItem", "TransactWriteItems", "PutItem", "DeleteItem"],
    );
    within(
        "DynamoDB writes",
        shown("dynamodb_writes"),
        writes,
        pools * minutes,
    );
    // A clock once in half a minute at most; pauses every 20 s; four partitions of the index every quarter of a minute.
    let reads = counted("DynamoDB", &["GetItem", "Query"]);
    within(
        "DynamoDB reads",
        shown("dynamodb_reads"),
        reads,
        pools * minutes * (3.0 + 3.0 + 16.0),
    );
    let writes = counted(
        "S3",
        &[
            "PutObject",
            "CreateMultipartUpload",
            "UploadPart",
            "CompleteMultipartUpload",
            "ListObjectsV2",
        ],
    );
    // Logs are stored every five seconds, if there are any.
    within("S3 writes", shown("s3_writes"), writes, pools * minutes * 12.0);
    assert!(shown("estimated_dollars") > 0.0);
}
