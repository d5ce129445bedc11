//! 2, 3 and 10: names and addresses that lead elsewhere.

use std::net::TcpListener;
use std::os::unix::fs::symlink;

use e2e::harness::Fleet;
use pipeline::artifact::Origin;
use pipeline::intake::RunRequest;
use pipeline::ports::ErrorKind;
use pipeline::spec::{Overrides, load};
use pipeline::{ArtifactKey, ArtifactName, Envelope, PipelineName, RunId, RunStatus, StageName, StepName};

use super::run_there;

/// What leads elsewhere in some system or other.
const TRAVERSALS: &[&str] = &[
    "",
    ".",
    "..",
    "../..",
    "../../etc/passwd",
    "/etc/passwd",
    "a/../b",
    "a/b",
    "a\\b",
    "..\\..\\a",
    "C:\\a",
    "a\0",
    "\0",
    "a\n",
    "a b",
    "%2e%2e%2f",
    "..%2f",
    "a%00",
    "~",
    "$HOME",
    "${jndi:x}",
    "A",
    "é",
    "e\u{301}",
    "\u{2024}\u{2024}",
    "\u{ff0e}\u{ff0e}\u{ff0f}",
    "\u{202e}a",
    "a\u{200b}",
    "а",
    "con:",
    "*",
    "a?",
    "-",
];

#[test]
fn t02_traversal_in_ids_and_keys() {
    let long = "a".repeat(65);
    for text in TRAVERSALS.iter().copied().chain([long.as_str()]) {
        // One hyphen is an odd name and leads nowhere; a single point is one of an artifact's characters.
        let harmless = |made: Option<String>| made.is_none_or(|id| id == "-");
        assert!(
            harmless(RunId::new(text).ok().map(|id| id.to_string())),
            "run {text:?}"
        );
        assert!(
            harmless(StepName::new(text).ok().map(|id| id.to_string())),
            "step {text:?}"
        );
        assert!(
            harmless(StageName::new(text).ok().map(|id| id.to_string())),
            "stage {text:?}"
        );
        assert!(
            harmless(PipelineName::new(text).ok().map(|id| id.to_string())),
            "{text:?}"
        );
        assert!(
            harmless(ArtifactName::new(text).ok().map(|id| id.to_string())),
            "artifact {text:?}"
        );
        // The same by the ways on which texts of others come in.
        let quoted = serde_json::to_string(text).expect("a text");
        for body in [
            format!(r#"{{"version":"1","run":{quoted},"step":"s"}}"#),
            format!(r#"{{"version":"1","run":"r","step":{quoted}}}"#),
            format!(r#"{{"version":"1","run":"r","step":"s","after":{quoted}}}"#),
        ] {
            assert!(text == "-" || Envelope::parse(&body).is_err(), "{body}");
        }
        let asked = format!(r#"{{"pipeline":"p","key":{quoted}}}"#);
        assert!(
            text == "-" || serde_json::from_str::<RunRequest>(&asked).is_err(),
            "{asked}"
        );
        let spec = format!("pipeline = {quoted}\n[[steps]]\nstage = \"noop\"\n");
        assert!(text == "-" || load(&spec, &Overrides::new()).is_err(), "{spec}");
    }
}

/// Whatever the parts are: a key is below its run, and its parts stand where they belong.
#[test]
fn t02_every_key_is_below_its_run() {
    let parts = [
        "a",
        "-",
        "_",
        "0",
        "r",
        "s",
        "a1",
        "model.bin",
        "..a",
        "a..b",
        &"z".repeat(64),
    ];
    let mut keys = 0;
    for run in parts {
        for step in parts {
            for name in parts {
                let (Ok(run), Ok(step), Ok(name)) =
                    (RunId::new(run), StepName::new(step), ArtifactName::new(name))
                else {
                    continue;
                };
                for ordinal in [0, 255, u32::MAX] {
                    let below = format!("r/{run}/{step}/{ordinal}/a{}/", u32::MAX);
                    let origin = Origin {
                        run: run.clone(),
                        step: step.clone(),
                        ordinal,
                        attempt: u32::MAX,
                    };
                    let key = ArtifactKey::Attempt(origin, name.clone()).to_string();
                    assert_eq!(key.strip_prefix(&below), Some(name.as_str()), "{key}");
                    assert_eq!(key.split('/').count(), 6, "{key}");
                    assert!(
                        key.split('/').all(|part| !matches!(part, "" | "." | "..")),
                        "{key}"
                    );
                    keys += 1;
                }
            }
        }
    }
    assert!(keys > 500, "only {keys} keys were made");
}

/// Somebody put a link where a run's artifacts would be: its worker writes nothing on the other side.
#[test]
fn t02_a_link_among_the_artifacts_is_not_followed() {
    let (fleet, outside) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    let spec = "pipeline = \"linked\"\n[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 100 }\n";
    fleet.submit_with(spec, &["--key", "linked"]).expect_code(0);
    let artifacts = fleet.folder().join("artifacts/r");
    std::fs::create_dir_all(&artifacts).expect("makes folders");
    symlink(outside.path(), artifacts.join("linked")).expect("links");
    let _pool = fleet.pool("noop").start();
    let run = RunId::new("linked").expect("valid");
    let ended = fleet.wait_for_end(&run, RunStatus::Failed);
    let reason = ended.reason.unwrap_or_default();
    println!("{reason}");
    assert!(reason.contains("symbolic link"), "{reason}");
    let written = std::fs::read_dir(outside.path()).expect("lists").count();
    assert_eq!(written, 0, "something was written outside");
}

/// Addresses of this machine and of its metadata services, in the ways in which filters are passed by.
fn addresses(port: u16) -> Vec<String> {
    let mut hosts: Vec<String> = [
        "169.254.169.254",
        "169.254.170.2",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "metadata.google.internal",
        "metadata",
        "instance-data",
        "user:hunter2@169.254.169.254",
        "example.org@169.254.169.254",
        "example.org#@169.254.169.254",
        "169.254.169.254.nip.io",
    ]
    .map(str::to_owned)
    .to_vec();
    let own = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "[::ffff:127.0.0.1]",
    ];
    hosts.extend(own.map(|host| format!("{host}:{port}")));
    hosts
}

#[test]
fn t03_sources_that_are_addresses() {
    // Whoever would ask is seen: nobody connects to it.
    let ear = TcpListener::bind("127.0.0.1:0").expect("listens");
    ear.set_nonblocking(true).expect("may be asked");
    let port = ear.local_addr().expect("listens").port();
    let fleet = Fleet::new();
    let schemes = [
        "http://",
        "https://",
        "HTTP://",
        "//",
        "ftp://",
        "gopher://",
        "file://",
        "s3://",
        "s3a://",
        "abfs://",
        "hf://",
    ];
    let (mut at_once, mut later) = (0, 0);
    for host in addresses(port) {
        for scheme in schemes {
            for path in ["/latest/meta-data/iam/a.csv", "/*.parquet", ""] {
                let uri = format!("{scheme}{host}{path}");
                let quoted = toml::Value::String(uri.clone());
                let spec = format!("pipeline = \"p\"\n[data]\nsource = {quoted}\nlabel = \"y\"\n");
                match load(&spec, &Overrides::new()) {
                    Err(problems) => {
                        assert!(!problems.to_string().contains("hunter2"), "{problems}");
                        at_once += 1;
                    }
                    // Nobody knows yet which backend will read it; each refuses what is not on its list.
                    Ok(_) => later += 1,
                }
                let error = fleet
                    .block_on(fleet.backend().sources.find(&uri))
                    .expect_err("nothing is found there");
                assert!(
                    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Denied),
                    "{uri}: {error}"
                );
                // Without a scheme it is a path, and paths are told.
                assert!(
                    scheme == "//" || !error.to_string().contains("hunter2"),
                    "{error}"
                );
            }
        }
    }
    println!("{at_once} refused by the specification's check, {later} by the backend");
    assert!(at_once > 300, "{at_once}");
    // The whole way, as a run goes it.
    let folder = tempfile::tempdir().expect("makes a folder");
    for source in [
        format!("\"http://127.0.0.1:{port}/in.csv\""),
        format!("{{ path = \"s3://127.0.0.1:{port}/in.csv\", format = \"csv\" }}"),
    ] {
        let said = run_there(&fleet, folder.path(), &source, "");
        assert!(matches!(said.code, 2 | 5), "{said:?}");
    }
    // Nor does a query open anything.
    std::fs::write(folder.path().join("in.csv"), "x,y\n1,2\n").expect("writes");
    for function in ["read_csv", "read_parquet", "read_json", "read_ipc"] {
        let sql = format!("sql = \"SELECT * FROM {function}('http://127.0.0.1:{port}/in.csv')\"");
        let said = run_there(&fleet, folder.path(), "\"in.csv\"", &sql);
        assert!(matches!(said.code, 2 | 5), "{said:?}");
        assert!(
            said.stdout.contains("cannot be used") || said.stderr.contains("cannot be used"),
            "{said:?}"
        );
    }
    let heard = ear.accept().map(|(_, from)| from);
    assert!(heard.is_err(), "somebody connected: {heard:?}");
}

/// What one run wrote is no source of another's, wherever it is named from.
#[test]
fn t10_one_pipelines_artifacts_are_no_source_of_anothers() {
    let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    let spec = "pipeline = \"theirs\"\n[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 100 }\n";
    fleet.submit_with(spec, &["--key", "theirs"]).expect_code(0);
    let pool = fleet.pool("noop").start();
    fleet.wait_for_end(&RunId::new("theirs").expect("valid"), RunStatus::Succeeded);
    drop(pool);
    let file = fleet.folder().join("artifacts/r/theirs/noop/0/a1");
    let file = std::fs::read_dir(file)
        .expect("it wrote")
        .next()
        .expect("something")
        .expect("lists");
    let there = file.path();
    let link = folder.path().join("mine.csv");
    symlink(&there, &link).expect("links");
    let up = format!("{}/../{}", folder.path().display(), there.display());
    for path in [there.display().to_string(), link.display().to_string(), up] {
        let source = format!("{{ path = \"{path}\", format = \"csv\" }}");
        let report = run_there(&fleet, folder.path(), &source, "")
            .expect_code(5)
            .report();
        assert!(report.text("reason").contains("may not be read"), "{report:?}");
    }
}

/// A key belongs to the pipeline whose run has it: another pipeline's request under it is refused, and changes nothing.
#[test]
fn t10_one_pipelines_key_is_not_anothers() {
    let fleet = Fleet::new();
    for (name, ms) in [("ours", 10), ("theirs", 20)] {
        let spec = format!("pipeline = \"{name}\"\n[[steps]]\nstage = \"sleep\"\nparams = {{ ms = {ms} }}\n");
        let spec = fleet.write_spec(&spec);
        fleet
            .producer(&["pipelines", "apply", &spec.to_string_lossy()])
            .expect_code(0);
    }
    let _intake = fleet.intake().start();
    let request = |name: &str| format!(r#"{{"version":"1","pipeline":"{name}","key":"order"}}"#);
    fleet.send("intake", &request("theirs"));
    let run = RunId::new("order").expect("valid");
    fleet.wait_for_run(&run);
    let before = fleet.run(&run);
    fleet.send("intake", &request("ours"));
    fleet.wait_until_empty("intake");
    let letters = fleet.dead_letters("intake");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].reason.contains("another specification"), "{letters:?}");
    assert_eq!(fleet.run(&run), before);
}
