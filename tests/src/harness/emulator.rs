//! An AWS endpoint for tests: an emulator on loopback, or what the environment names.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use backend_aws::{Aws, Options};
use pipeline::ports::Host;

/// Names another endpoint: its address, with which any credentials must do.
const ENDPOINT: &str = "FLEETLINE_TEST_ENDPOINT";

/// An AWS endpoint.
#[derive(Debug)]
pub struct Emulator {
    address: String,
    /// What its script reads, and what it says; none for an endpoint that was there before.
    script: Option<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Emulator {
    /// The one that all tests of this process share. It ends with the process: it watches a pipe that nobody else holds.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Emulator> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var(ENDPOINT) {
            Ok(address) => Self {
                address,
                script: None,
            },
            Err(_) => Self::start(&[]),
        })
    }

    /// One that keeps its state when it is restarted, and ends with the process.
    pub fn lasting() -> Self {
        Self::start(&["--keep-state"])
    }

    fn start(more: &[&str]) -> Self {
        let script = crate::repository().join("tests/scripts/emulator");
        let profile = super::binaries::profile_folder();
        let target = profile.parent().expect("cargo puts it below its target folder");
        let mut child = Command::new(&script)
            .arg(target.join("emulator"))
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", script.display()));
        let (stdin, stdout) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .expect("they are pipes");
        let mut stdout = BufReader::new(stdout);
        let port = port(&mut stdout);
        // Its standard input stays open, and nobody waits for it.
        std::mem::forget(child);
        Self {
            address: format!("http://127.0.0.1:{port}"),
            script: Some(Mutex::new((stdin, stdout))),
        }
    }

    /// Ends it in good order and starts it again, at the same address and with the state that it had.
    pub fn restart(&self) {
        let script = self.script.as_ref().expect("it is ours");
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(script.0, "restart").expect("it listens");
        port(&mut script.1);
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What processes need in their environment to find it.
    pub fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", &self.address),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }

    /// For clients of its services.
    pub async fn config(&self) -> aws_config::SdkConfig {
        aws_config::defaults(aws_config::BehaviorVersion::latest())
            .endpoint_url(&self.address)
            .region("us-east-1")
            .test_credentials()
            .load()
            .await
    }

    /// A client of its S3, which has no names of hosts for buckets.
    pub async fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config().await).force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// A fleet's things at this endpoint.
    pub async fn open(&self, options: Options, host: &Host) -> Aws {
        let options = Options {
            emulator: Some(self.address.clone()),
            ..options
        };
        backend_aws::open(&options, host)
            .await
            .unwrap_or_else(|e| panic!("cannot open {}: {e}", self.address))
    }
}

/// Waits until it is ready; its port.
fn port(said: &mut impl BufRead) -> u16 {
    let mut line = String::new();
    said.read_line(&mut line).expect("it says something, or ends");
    line.trim()
        .strip_prefix("ready ")
        .and_then(|port| port.parse().ok())
        .unwrap_or_else(|| panic!("the emulator did not start: it said {line:?}, and more on standard error"))
}
