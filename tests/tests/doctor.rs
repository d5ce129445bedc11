//! What `producer doctor` says of fleets in which something is broken: it names that, says what to do, and hides nothing
//! else.

use e2e::harness::{Emulator, Fleet, Proxy, Rule, Said, SmallDisk, Stopwatch, Trouble, wait_for};
use serde_json::Value;

/// The checks of a kind that came out so, as `of: told > advice`.
fn checks(said: &Said, check: &str, verdict: &str) -> Vec<String> {
    let told = said.json();
    let is_wanted = |one: &&Value| one["check"] == check && one["verdict"] == verdict;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = told["checks"].as_array().expect("an array");
    let line = |one: &Value| {
        format!(
            "{}: {} > {}",
            text(&one["of"]),
            text(&one["told"]),
            text(&one["advice"])
        )
    };
    checks.iter().filter(is_wanted).map(line).collect()
}

/// Fails unless exactly these kinds of checks failed, each with something to do.
fn failed_only(said: &Said, wanted: &[&str]) {
    let told = said.json();
    let failed: std::collections::BTreeSet<&str> = told["checks"]
        .as_array()
        .expect("an array")
        .iter()
        .filter(|one| one["verdict"] == "failed")
        .map(|one| {
            assert!(one["advice"].is_string(), "what to do about it? {one}");
            one["check"].as_str().expect("a text")
        })
        .collect();
    assert_eq!(failed.into_iter().collect::<Vec<_>>(), wanted, "{told:#}");
}

fn doctor(fleet: &Fleet) -> Said {
    fleet.producer(&["doctor", "--json"])
}

#[test]
fn a_folder_that_is_well_or_is_not_there() {
    let fleet = Fleet::new();
    let said = doctor(&fleet).expect_code(1);
    failed_only(&said, &["folder"]);
    assert!(
        checks(&said, "folder", "failed")[0].contains("producer submit"),
        "{said:?}"
    );

    fleet.submit("pipeline = \"well\"\n[[steps]]\nstage = \"noop\"\n");
    let said = doctor(&fleet).expect_code(0);
    for check in [
        "folder",
        "writing",
        "database",
        "stored form",
        "journal",
        "version",
    ] {
        assert_eq!(checks(&said, check, "ok").len(), 1, "{check}: {said:?}");
    }
    assert_eq!(
        checks(&said, "workers", "warning").len(),
        1,
        "nobody works: {said:?}"
    );
    let pool = fleet.pool("noop").start();
    // A worker says that it is there a moment after it takes work.
    wait_for(
        "a worker that is there",
        || fleet.told(),
        || {
            let said = doctor(&fleet).expect_code(0);
            (checks(&said, "workers", "ok").len() == 1).then_some(())
        },
    );
    drop(pool);
    let text = fleet.producer(&["doctor"]).expect_code(0);
    println!("{}{}", text.stdout, text.stderr);
    assert!(
        text.stdout
            .contains("ok       database: can be read, and is whole"),
        "{text:?}"
    );
}

#[test]
fn databases_of_others_and_damaged_ones() {
    let fleet = Fleet::new();
    fleet.submit("pipeline = \"damaged\"\n[[steps]]\nstage = \"noop\"\n");
    let path = fleet.folder().join("fleetline.db");
    let open = || rusqlite::Connection::open(&path).expect("it can be opened");
    open()
        .pragma_update(None, "user_version", 99)
        .expect("can be set");
    let said = doctor(&fleet).expect_code(1);
    failed_only(&said, &["database"]);
    assert!(
        checks(&said, "database", "failed")[0].contains("use the newer fleetline"),
        "{said:?}"
    );
    open().pragma_update(None, "user_version", 1).expect("can be set");
    let said = doctor(&fleet).expect_code(0);
    assert_eq!(checks(&said, "stored form", "warning").len(), 1, "{said:?}");

    std::fs::write(&path, [0x55; 64 * 1024]).expect("can be written");
    let said = doctor(&fleet).expect_code(1);
    failed_only(&said, &["database"]);
    assert!(
        checks(&said, "database", "failed")[0].contains("restore fleetline.db"),
        "{said:?}"
    );
    assert_eq!(
        checks(&said, "writing", "ok").len(),
        1,
        "the rest is looked at: {said:?}"
    );
}

#[test]
fn a_folder_that_nobody_may_write_to_and_a_full_disk() {
    let disk = match SmallDisk::mount(16) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("not tested, as nothing can be mounted here: {why}"),
    };
    let fleet = Fleet::at(&disk.path().join("fleet"));
    fleet.submit("pipeline = \"small\"\n[[steps]]\nstage = \"noop\"\n");
    let said = doctor(&fleet).expect_code(1);
    failed_only(&said, &["disk"]);
    disk.set_read_only(true);
    let said = doctor(&fleet).expect_code(1);
    failed_only(&said, &["disk", "writing"]);
    assert!(
        checks(&said, "writing", "failed")[0].contains("for writing"),
        "{said:?}"
    );
    disk.set_read_only(false);
}

#[test]
fn a_fleet_on_aws_that_is_well_and_queues_that_are_not() {
    let fleet = Fleet::on_aws();
    let said = doctor(&fleet).expect_code(0);
    failed_only(&said, &[]);
    assert_eq!(checks(&said, "endpoint", "ok").len(), 3, "{said:?}");
    for check in ["region", "credentials", "identity", "table", "bucket", "clock"] {
        assert_eq!(checks(&said, check, "ok").len(), 1, "{check}: {said:?}");
    }
    let queues = checks(&said, "queue", "ok").len();
    assert!(
        queues > 20 && checks(&said, "permission", "ok").len() == 12,
        "{said:?}"
    );
    let text = fleet.producer(&["doctor"]).expect_code(0);
    println!("{}{}", text.stdout, text.stderr);

    let name = fleet.name();
    fleet.block_on(async {
        let sqs = aws_sdk_sqs::Client::new(&Emulator::shared().config().await);
        let url = async |queue: String| {
            let answer = sqs
                .get_queue_url()
                .queue_name(queue)
                .send()
                .await
                .expect("it is there");
            answer.queue_url.expect("it has an address")
        };
        let train = url(format!("{name}-train")).await;
        sqs.delete_queue()
            .queue_url(train)
            .send()
            .await
            .expect("can be deleted");
        let other = serde_json::json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:000000000000:{name}-explain-dead"),
            "maxReceiveCount": 5,
        });
        let policy = aws_sdk_sqs::types::QueueAttributeName::RedrivePolicy;
        let set = sqs
            .set_queue_attributes()
            .queue_url(url(format!("{name}-extract")).await);
        set.attributes(policy, other.to_string())
            .send()
            .await
            .expect("can be set");
        let period = aws_sdk_sqs::types::QueueAttributeName::MessageRetentionPeriod;
        let set = sqs
            .set_queue_attributes()
            .queue_url(url(format!("{name}-deploy")).await);
        set.attributes(period, "60").send().await.expect("can be set");
    });
    let said = doctor(&fleet).expect_code(1);
    failed_only(&said, &["queue"]);
    let failed = checks(&said, "queue", "failed");
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(
        failed
            .iter()
            .any(|one| one.starts_with(&format!("{name}-train: is not there > run `producer setup`"))),
        "{failed:?}"
    );
    assert!(
        failed
            .iter()
            .any(|one| one.contains("-extract: leaves its dead letters in")),
        "{failed:?}"
    );
    let warned = checks(&said, "queue", "warning");
    assert!(
        warned.len() == 1 && warned[0].contains("MessageRetentionPeriod is 60"),
        "{warned:?}"
    );
    assert_eq!(
        checks(&said, "queue", "ok").len(),
        queues - 3,
        "the others are looked at"
    );

    fleet.producer(&["setup"]).expect_code(0);
    failed_only(&doctor(&fleet).expect_code(0), &[]);
}

#[test]
fn what_is_not_on_aws_at_all() {
    let fleet = Fleet::on_aws();
    let said = fleet
        .producer(&["doctor", "--json", "--backend", "aws:no-such-fleet"])
        .expect_code(1);
    failed_only(&said, &["bucket", "queue", "table"]);
    assert!(
        checks(&said, "table", "failed")[0].contains("producer setup"),
        "{said:?}"
    );
}

/// The doctor through a proxy that does that to these operations.
fn through(fleet: &Fleet, operation: Option<&'static str>, trouble: Trouble) -> Said {
    let rule = Rule {
        operation,
        pass: 0,
        every: 1,
        times: usize::MAX,
        trouble,
    };
    let proxy = Proxy::before(Emulator::shared().address(), vec![rule]);
    fleet.producer_through(&proxy.endpoint(), &["doctor", "--json"])
}

#[test]
fn permissions_clocks_and_endpoints_that_are_wrong() {
    let fleet = Fleet::on_aws();
    for (operation, code, action) in [
        ("PutItem", "AccessDeniedException", "dynamodb:PutItem"),
        ("CreateMultipartUpload", "AccessDenied", "s3:PutObject"),
    ] {
        let said = through(&fleet, Some(operation), Trouble::Refusal(403, code)).expect_code(1);
        failed_only(&said, &["permission"]);
        let failed = checks(&said, "permission", "failed");
        assert!(
            failed.len() == 1 && failed[0].contains(&format!("> allow {action} on ")),
            "{failed:?}"
        );
    }
    let said = through(
        &fleet,
        Some("GetItem"),
        Trouble::Date("Sun, 01 Nov 2026 00:00:00 GMT"),
    )
    .expect_code(1);
    failed_only(&said, &["clock"]);
    assert!(
        checks(&said, "clock", "failed")[0].contains("at most 7s 500ms"),
        "{said:?}"
    );

    // STS alone asks by a form.
    let refusal = Trouble::Refusal(403, "InvalidClientTokenId");
    let said = through(&fleet, Some("other"), refusal).expect_code(1);
    failed_only(&said, &["identity"]);
    assert_eq!(checks(&said, "endpoint", "skipped").len(), 1, "{said:?}");

    let time = Stopwatch::start();
    let said = fleet
        .producer_through("http://127.0.0.1:1", &["doctor", "--json"])
        .expect_code(1);
    failed_only(&said, &["endpoint", "identity"]);
    assert_eq!(checks(&said, "queue", "skipped").len(), 1, "{said:?}");
    println!("nobody listens: {time}");
    assert!(time.elapsed().as_secs() < 30, "{time}");
    let time = Stopwatch::start();
    let said = through(&fleet, None, Trouble::BlackHole).expect_code(1);
    failed_only(&said, &["endpoint", "identity"]);
    println!("nobody answers: {time}");
    assert!(time.elapsed().as_secs() < 40, "{time}");
    let said = fleet.producer_with(
        &[
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_SECRET_ACCESS_KEY", ""),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ],
        &["doctor", "--json"],
    );
    failed_only(&said, &["credentials"]);
    let skipped = checks(&said, "queue", "skipped");
    assert!(skipped[0].contains("no credentials"), "{said:?}");
    assert_eq!(
        checks(&said, "disk", "failed").len(),
        0,
        "the rest is looked at: {said:?}"
    );
}
