//! An AWS endpoint for tests: an emulator on loopback, or what the environment names.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use backend_aws::{Aws, Options};
use pipeline::ports::Host;

/// Names another endpoint: its address, with which any credentials must do.
const ENDPOINT: &str = "FLEETLINE_TEST_ENDPOINT";

/// An AWS endpoint.
#[derive(Debug)]
pub struct Emulator {
    address: String,
}

impl Emulator {
    /// The one that all tests of this process share. It ends with the process: it watches a pipe that nobody else holds.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Emulator> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var(ENDPOINT) {
            Ok(address) => Self { address },
            Err(_) => Self::start(),
        })
    }

    fn start() -> Self {
        let script = crate::repository().join("tests/scripts/emulator");
        let mut child = Command::new(&script)
            .arg(target_folder().join("emulator"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", script.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is a pipe"))
            .read_line(&mut line)
            .expect("it says something, or ends");
        let port: u16 = line
            .trim()
            .strip_prefix("ready ")
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| {
                panic!("the emulator did not start: it said {line:?}, and more on standard error")
            });
        // Its standard input must stay open, and nobody waits for it.
        std::mem::forget(child);
        Self {
            address: format!("http://127.0.0.1:{port}"),
        }
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

/// Cargo's, in which the test's own executable is: `target/PROFILE/deps/test`.
fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a file");
    let target = test.ancestors().nth(3);
    target
        .expect("cargo puts tests three folders below its target folder")
        .to_owned()
}
