//! `worker pool` as a process.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::endpoint::try_get;
use super::process::Hears;
use super::{Answer, Fleet, Process, get};

/// A pool that is to be started. Its lease is short, so that what a killed worker held is free soon.
pub struct PoolBuilder<'a> {
    fleet: &'a Fleet,
    name: String,
    command: Command,
    has_own_port: bool,
    environment: Vec<(&'static str, String)>,
    hears: Option<Hears>,
    scratch: PathBuf,
}

impl<'a> PoolBuilder<'a> {
    pub(super) fn new(fleet: &'a Fleet, stages: &str) -> Self {
        let mut command = Command::new(super::worker());
        command.args([
            "pool",
            "--test-stages",
            "--stages",
            stages,
            "--backend",
            &fleet.address(),
        ]);
        Self {
            fleet,
            name: format!("pool of {stages}"),
            command,
            has_own_port: true,
            environment: Vec::new(),
            hears: None,
            scratch: fleet.scratch(),
        }
    }

    pub(super) fn intake(fleet: &'a Fleet) -> Self {
        let mut command = Command::new(super::worker());
        command.args(["intake", "--backend", &fleet.address()]);
        Self {
            fleet,
            name: "intake".into(),
            command,
            has_own_port: true,
            environment: Vec::new(),
            hears: None,
            scratch: fleet.scratch(),
        }
    }

    /// With its metrics where they are unless somebody says otherwise.
    #[must_use]
    pub fn with_metrics_at_the_usual_port(mut self) -> Self {
        self.has_own_port = false;
        self
    }

    /// With another way to its AWS endpoint.
    #[must_use]
    pub fn through(self, endpoint: &str) -> Self {
        self.env("AWS_ENDPOINT_URL", endpoint)
    }

    /// With a variable of its environment, which wins over what all processes of its fleet get.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// What it is called when a test fails.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// By another program than the worker under test.
    #[must_use]
    pub fn program(mut self, program: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(self.command.get_args());
        self.command = command;
        self
    }

    /// What it says is told there, line by line, and not kept with the fleet. Nobody can then wait for what it says.
    #[must_use]
    pub fn heard_by(mut self, hears: Hears) -> Self {
        self.hears = Some(hears);
        self
    }

    /// With another place for scratch folders.
    #[must_use]
    pub fn scratch_at(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.scratch);
        self
    }

    /// More arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Starts it, and does not wait until it is ready.
    pub fn launch(mut self) -> Pool {
        if !self.command.get_args().any(|argument| argument == "--lease") {
            self.command.args(["--lease", SHORT_LEASE]);
        }
        self.command.args(["--log-format", "json"]);
        if self.has_own_port {
            self.command.args(["--metrics-addr", "127.0.0.1:0"]);
        }
        // Killed workers leave their folders behind; these go with the fleet's.
        self.command.arg("--scratch").arg(&self.scratch);
        Pool {
            process: self
                .fleet
                .start(&self.name, &mut self.command, &self.environment, self.hears),
        }
    }

    /// Starts it, and waits until it takes work.
    pub fn start(self) -> Pool {
        let pool = self.launch();
        pool.output().wait_for(READY);
        pool
    }
}

/// A lease as most tests want it.
const SHORT_LEASE: &str = "1500ms";

/// What a pool says as soon as it takes work.
const READY: &str = "\"serves ";

/// What it says before the address of its metrics.
const ENDPOINT: &str = "metrics and health on http://";

/// A started pool.
pub struct Pool {
    process: Process,
}

impl Pool {
    /// Where its metrics and health are.
    pub fn address(&self) -> SocketAddr {
        let line = self.output().wait_for(ENDPOINT);
        let (_, after) = line.split_once(ENDPOINT).expect("it was waited for");
        let text: String = after.chars().take_while(|c| *c != '"').collect();
        text.parse()
            .unwrap_or_else(|e| panic!("{text:?} is no address ({e}) in {line}"))
    }

    /// Whether it says that it takes work: what a deployment waits for. Of a process that has ended, or shows no metrics
    /// yet, it is false.
    pub fn is_ready(&self) -> bool {
        self.output().has(ENDPOINT)
            && try_get(self.address(), "/readyz").is_ok_and(|answer| answer.status == 200)
    }

    /// What it answers to monitoring.
    pub fn get(&self, path: &str) -> Answer {
        get(self.address(), path)
    }
}

impl Deref for Pool {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Pool {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
