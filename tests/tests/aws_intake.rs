//! Upstream systems: what they post becomes runs, each once, and what cannot be accepted a dead letter with a reason.

use aws_sdk_sqs::types::QueueAttributeName;
use e2e::harness::{Emulator, Fleet, Pool};
use pipeline::{RunId, RunStatus};

const PIPELINE: &str = r#"
pipeline = "naps"
[parameters]
file = "none"
ms = 10
[[steps]]
stage = "noop"
params = { write_bytes = 10 }
[[steps]]
stage = "sleep"
params = { ms = "${ms}" }
[intake]
max_open = 1
[[intake.objects]]
bucket = "BUCKET"
prefix = "in/"
suffix = ".csv"
set = { file = "{uri}" }
"#;

/// A bucket that is not the fleet's, and tells of its objects.
struct Lake {
    s3: aws_sdk_s3::Client,
    bucket: String,
}

impl Lake {
    fn new(fleet: &Fleet) -> Self {
        let config = fleet.block_on(Emulator::shared().config());
        let s3 = fleet.block_on(Emulator::shared().s3());
        let bucket = format!("lake-{}", fleet.name());
        let sqs = aws_sdk_sqs::Client::new(&config);
        fleet.block_on(async {
            s3.create_bucket().bucket(&bucket).send().await.expect("a bucket");
            let queue = sqs.get_queue_url().queue_name(format!("{}-intake", fleet.name()));
            let queue = queue
                .send()
                .await
                .expect("the intake's queue")
                .queue_url
                .expect("it has an address");
            let arn = sqs.get_queue_attributes().queue_url(queue);
            let arn = arn.attribute_names(QueueAttributeName::QueueArn).send().await;
            let arn =
                arn.expect("attributes").attributes.expect("some")[&QueueAttributeName::QueueArn].clone();
            let tell = aws_sdk_s3::types::QueueConfiguration::builder()
                .queue_arn(arn)
                .events(aws_sdk_s3::types::Event::S3ObjectCreated)
                .build()
                .expect("complete");
            let tell = aws_sdk_s3::types::NotificationConfiguration::builder().queue_configurations(tell);
            let request = s3.put_bucket_notification_configuration().bucket(&bucket);
            request
                .notification_configuration(tell.build())
                .send()
                .await
                .expect("notifications");
        });
        Self { s3, bucket }
    }

    fn put(&self, fleet: &Fleet, key: &str) {
        let request = self.s3.put_object().bucket(&self.bucket).key(key);
        let body = aws_sdk_s3::primitives::ByteStream::from_static(b"a,b\n1,2\n");
        fleet.block_on(request.body(body).send()).expect("an object");
    }
}

fn intake(fleet: &Fleet) -> Pool {
    fleet.intake().start()
}

fn runs(fleet: &Fleet) -> Vec<pipeline::RunItem> {
    let page = fleet.block_on(fleet.backend().runs.list(&Default::default(), None, 100));
    page.expect("listed").runs
}

#[test]
fn what_upstream_systems_post_becomes_runs_once() {
    let fleet = Fleet::on_aws();
    let lake = Lake::new(&fleet);
    let spec = fleet.write_spec(&PIPELINE.replace("BUCKET", &lake.bucket));
    fleet
        .producer(&["pipelines", "apply", &spec.to_string_lossy()])
        .expect_code(0);
    let _intake = intake(&fleet);
    let _pool = fleet.pool("noop,sleep").with(&["--lease", "10s"]).start();

    // A request, twice; the same key with other settings; another pipeline; no JSON.
    let request = r#"{"version":"1","pipeline":"naps","key":"order-1"}"#;
    fleet.send("intake", request);
    let run = RunId::new("order-1").expect("valid");
    fleet.wait_for_run(&run);
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    fleet.send("intake", request);
    fleet.send(
        "intake",
        r#"{"version":"1","pipeline":"naps","key":"order-1","set":{"ms":11}}"#,
    );
    fleet.send(
        "intake",
        r#"{"version":"1","pipeline":"nobodys","key":"order-2"}"#,
    );
    fleet.send("intake", "hello");
    fleet.wait_until_empty("intake");
    assert_eq!(runs(&fleet).len(), 1);
    let mut reasons: Vec<String> = fleet
        .dead_letters("intake")
        .into_iter()
        .map(|l| l.reason)
        .collect();
    reasons.sort();
    println!("{reasons:#?}");
    let parts = [
        "another specification",
        "not a JSON object",
        "no pipeline nobodys",
    ];
    assert_eq!(reasons.len(), parts.len());
    for part in parts {
        assert!(
            reasons.iter().any(|reason| reason.contains(part)),
            "{part}: {reasons:?}"
        );
    }

    // An object, as S3 itself tells of it, with a key that it encodes; and one that nobody takes.
    lake.put(&fleet, "in/Käse + 1.csv");
    lake.put(&fleet, "in/other.json");
    let (made, _) = e2e::harness::wait_for(
        "a run of the object",
        || fleet.told(),
        || runs(&fleet).into_iter().find(|run| run.id.as_str() != "order-1"),
    );
    fleet.wait_for_end(&made.id, RunStatus::Succeeded);
    let spec = fleet
        .producer(&["show", made.id.as_str(), "--json"])
        .expect_code(0)
        .json();
    println!("{spec}");
    fleet.wait_until_empty("intake");
    assert_eq!(runs(&fleet).len(), 2);
    let letters = fleet.depth("intake").dead;
    assert_eq!(letters, 4, "the object that nobody takes");
}

/// Two daily runs do not overlap, and the second one is made when the first one has ended.
#[test]
fn t12_a_run_waits_until_its_pipeline_has_a_place() {
    let fleet = Fleet::on_aws();
    let spec = fleet.write_spec(&PIPELINE.replace("BUCKET", "nobodys-lake"));
    fleet
        .producer(&["pipelines", "apply", &spec.to_string_lossy()])
        .expect_code(0);
    let intake = intake(&fleet);
    let request = |key: &str| format!(r#"{{"version":"1","pipeline":"naps","key":"{key}"}}"#);
    fleet.send("intake", &request("monday"));
    let [monday, tuesday] = ["monday", "tuesday"].map(|key| RunId::new(key).expect("valid"));
    fleet.wait_for_run(&monday);
    fleet.send("intake", &request("tuesday"));
    intake.output().wait_for("a message waits until this run ends");
    assert_eq!(runs(&fleet).len(), 1, "the second one waits");
    fleet.producer(&["cancel", "monday"]).expect_code(0);
    fleet.wait_for_run(&tuesday);
    assert_eq!(runs(&fleet).len(), 2);
}
