//! 11 and 13: what we ask others in somebody's name, and what we are built of.

use e2e::repository::files;

fn text_of(path: &str) -> String {
    let found = files().into_iter().find(|(name, _)| name == path);
    found
        .and_then(|(_, text)| text)
        .unwrap_or_else(|| panic!("there is no {path}"))
}

/// Operations of S3, as the SDK names them.
const OPERATIONS: [&str; 15] = [
    "abort_multipart_upload",
    "complete_multipart_upload",
    "create_multipart_upload",
    "delete_object",
    "delete_objects",
    "get_object",
    "get_bucket_location",
    "head_bucket",
    "head_object",
    "list_objects_v2",
    "list_object_versions",
    "put_bucket_lifecycle_configuration",
    "put_object",
    "put_public_access_block",
    "upload_part",
];

/// Each request to S3 names the account that the bucket must belong to. Making a bucket is the exception: there is no
/// owner yet.
#[test]
fn t11_every_request_to_s3_names_the_buckets_owner() {
    let mut requests = 0;
    for (path, text) in files() {
        if !path.starts_with("pipeline/backends/aws/src/") {
            continue;
        }
        let text = text.unwrap_or_default();
        for operation in OPERATIONS {
            for (at, call) in text.match_indices(&format!(".{operation}()")) {
                let rest = &text[at + call.len()..];
                let end = rest.find(".send()").unwrap_or(rest.len());
                assert!(
                    rest[..end].contains(".expected_bucket_owner("),
                    "{path}: {operation} does not say whose bucket it must be"
                );
                requests += 1;
            }
        }
    }
    println!("{requests} requests");
    assert!(
        requests >= 15,
        "only {requests} were looked at: this test would hold nothing"
    );
}

/// Who may tell a queue of objects and events is held to the account's own: a service asks in anybody's name.
#[test]
fn t11_services_are_let_in_for_our_own_resources_only() {
    let mut grants = 0;
    for template in ["deploy/component.yaml", "deploy/foundation.yaml"] {
        let text = text_of(template);
        for statement in text.split("- Sid: ").skip(1) {
            let statement: Vec<&str> = statement.lines().take(12).collect();
            let statement = statement.join("\n");
            let lets_a_service_send =
                statement.contains("Principal: {Service:") && statement.contains("Action: sqs:");
            if lets_a_service_send {
                let sid = statement.lines().next().unwrap_or_default();
                assert!(
                    statement.contains("aws:SourceArn"),
                    "{template}, {sid}: in anybody's name"
                );
                let is_of_s3 = statement.contains("Service: s3.");
                // A bucket's ARN does not say whose it is.
                assert!(
                    !is_of_s3 || statement.contains("aws:SourceAccount"),
                    "{template}, {sid}: whose bucket?"
                );
                grants += 1;
            }
        }
    }
    assert!(
        grants >= 2,
        "only {grants} grants were looked at: this test would hold nothing"
    );
}

/// The gates stand, and stand in the way: each build is of the locked versions, and each is looked at before it goes in.
#[test]
fn t13_the_gates_of_the_supply_chain_stand() {
    let mut builds = 0;
    for (path, text) in files() {
        let is_recipe = path == "Makefile"
            || path == ".ci/run"
            || path == "deploy/Dockerfile"
            || path.starts_with("deploy/bin/")
            || path.starts_with("tests/scripts/");
        if !is_recipe {
            continue;
        }
        let text = text.unwrap_or_default().replace("\\\n", " ");
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            for verb in [
                "build",
                "test",
                "run",
                "clippy",
                "doc",
                "install",
                "fuzz build",
                "fuzz run",
            ] {
                if line.contains(&format!("cargo {verb} ")) {
                    let is_locked = line.contains("--locked")
                        || line.contains("--version \"=")
                        || verb.starts_with("fuzz");
                    assert!(is_locked, "{path}: {line}");
                    builds += 1;
                }
            }
        }
    }
    assert!(
        builds >= 15,
        "only {builds} builds were looked at: this test would hold nothing"
    );

    let (make, ci) = (text_of("Makefile"), text_of(".ci/run"));
    assert!(ci.contains("make check") && ci.contains("make test"));
    let check = make
        .lines()
        .find(|line| line.starts_with("check:"))
        .unwrap_or_default();
    assert!(check.contains("check-dependencies"), "{check}");
    let gate = text_of("tests/scripts/check-dependencies.sh");
    for part in ["bans licenses sources", "advisories"] {
        assert!(gate.contains(part), "the gate does not ask for {part}");
    }
    let rules: toml::Table = text_of("deny.toml").parse().expect("TOML");
    for (part, key, wanted) in [
        ("sources", "unknown-registry", "deny"),
        ("sources", "unknown-git", "deny"),
        ("advisories", "yanked", "deny"),
        ("advisories", "unsound", "all"),
        ("bans", "wildcards", "deny"),
    ] {
        assert_eq!(rules[part][key].as_str(), Some(wanted), "[{part}] {key}");
    }
    // What is locked names the one registry, and a digest for everything of it.
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lock: toml::Table = text_of(lock).parse().expect("TOML");
        for package in lock["package"].as_array().expect("packages") {
            if let Some(source) = package.get("source").and_then(toml::Value::as_str) {
                assert!(source.starts_with("registry+"), "{package}");
                assert!(package.get("checksum").is_some(), "{package}");
            }
        }
    }
    // The image runs as nobody in particular; that its root is read-only is held where it is started.
    let image = text_of("deploy/Dockerfile");
    let user = image
        .lines()
        .find(|line| line.starts_with("USER "))
        .unwrap_or_default();
    assert!(
        user.trim_start_matches("USER ")
            .starts_with(|c: char| c.is_ascii_digit())
            && !user.contains("USER 0"),
        "{user}"
    );
    assert!(text_of("deploy/component.yaml").contains("ReadonlyRootFilesystem: true"));
    assert!(text_of("docker-compose.yml").contains("read_only: true"));
    for tool in ["deploy/bin/sbom", "deploy/bin/image"] {
        assert!(!text_of(tool).is_empty());
    }
}
