//! Real second processes: this test binary again, told by a variable what to do.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use backend_local::{Local, Options};
use pipeline::id::{Nonce, RunId, StageName, StepName};
use pipeline::item::{Item, MemoryClass, QueueName};
use pipeline::ports::{ErrorKind, Outbound};
use pipeline::protocol::{Claimant, Work, claim};
use pipeline::update::{Applied, GuardedUpdate};

use crate::host;

const ROLE: &str = "FLEETLINE_TEST_ROLE";

/// What a child does in the folder, until it is done or killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// Claims every run `race-…`, and writes a line for each that it won.
    Claim,
    /// Sends messages and creates runs without end, and writes a line for each that was acknowledged.
    Write,
    /// Receives one message after the other, and writes `ready` before it waits and the body when it came.
    Receive,
    /// Opens the folder and tries to write, and writes down what kind of error it got.
    Open,
}

/// A child, and what it says, line by line.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Its next line; fails if it ended.
    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("the child goes on").expect("text")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that starts a child.
pub(crate) fn command(program: &Path, role: Role, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "children::role", "--nocapture", "--quiet"])
        .env(ROLE, format!("{role:?} {}", folder.display()))
        .stdout(Stdio::piped());
    command
}

/// Starts a child.
pub(crate) fn start(role: Role, folder: &Path) -> Running {
    let program = std::env::current_exe().expect("this test's own binary");
    let mut child = command(&program, role, folder).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut running = Running { child, lines };
    // The harness says something first.
    while running.line() != "begin" {}
    running
}

/// Not a test of its own: what a child runs. Without the variable there is nothing to do.
#[test]
fn role() {
    #[allow(clippy::disallowed_methods, reason = "how a child of a test is told its role")]
    let Ok(told) = std::env::var(ROLE) else { return };
    let (role, folder) = told.split_once(' ').expect("a role and a folder");
    say("\nbegin");
    let folder = Path::new(folder);
    host::block_on(async {
        match role {
            "Claim" => claim_all(&host::open(folder)).await,
            "Write" => write_on(&host::open(folder)).await,
            "Receive" => receive_on(&host::open(folder)).await,
            "Open" => open(folder).await,
            other => panic!("no such role: {other}"),
        }
    });
    say("end");
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("the parent listens");
    out.flush().expect("the parent listens");
}

/// The name of the nth run of a race.
pub(crate) fn racer(nth: usize) -> RunId {
    RunId::new(format!("race-{nth}")).expect("valid")
}

/// A claim of its first step by somebody.
pub(crate) fn racing_claim(run: &RunId, owner: &str) -> GuardedUpdate {
    let work = Work {
        run: run.clone(),
        step: StepName::new("first").expect("valid"),
        branch: None,
    };
    let who = Claimant {
        queue: QueueName {
            stage: StageName::new("noop").expect("valid"),
            class: MemoryClass::Standard,
        },
        owner: Nonce::new(owner).expect("valid"),
        version: "1".into(),
    };
    claim(
        &work,
        None,
        &who,
        host::host().clock.now(),
        Duration::from_secs(600),
    )
}

/// Claims `race-0`, `race-1`, … until one is missing; the names of those that were won.
pub(crate) async fn claim_each(local: &Local, owner: &str) -> Vec<String> {
    let mut won = Vec::new();
    for nth in 0.. {
        let run = racer(nth);
        match local
            .backend
            .runs
            .apply(&racing_claim(&run, owner))
            .await
            .expect("answered")
        {
            Applied::Done(_) => won.push(run.to_string()),
            Applied::Refused(Some(_)) => {}
            Applied::Refused(None) => break,
            Applied::AliasMoved(_) => panic!("a claim moves no alias"),
        }
    }
    won
}

async fn claim_all(local: &Local) {
    for run in claim_each(local, &format!("child-{}", std::process::id())).await {
        say(&run);
    }
}

async fn write_on(local: &Local) {
    let world = host::world(local);
    loop {
        let body = world.unique("message");
        let sent = local
            .backend
            .queue
            .send(&world.queues[0], vec![Outbound::now(body.as_str())]);
        let run = world.run_item();
        let item = Item::Run(Box::new(run.clone()));
        let (sent, created) = futures::join!(sent, local.backend.runs.create(&item));
        sent.expect("sent").pop().expect("one answer").expect("sent");
        created.expect("created");
        say(&format!("{body} {}", run.id));
    }
}

async fn receive_on(local: &Local) {
    let world = host::world(local);
    let (queue, wait) = (&world.queues[0], Duration::from_secs(30));
    loop {
        say("ready");
        let received = local
            .backend
            .queue
            .receive(queue, 1, wait, wait)
            .await
            .expect("received");
        for delivery in received {
            say(&delivery.body);
            local
                .backend
                .queue
                .ack(delivery.receipt)
                .await
                .expect("acknowledged");
        }
    }
}

async fn open(folder: &Path) {
    let opened = backend_local::open(folder, &Options::default(), &host::host());
    say(&format!("{:?}", opened.err().map(|e| (e.kind(), e.to_string()))));
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let local = backend_local::open(folder, &options, &host::host());
    let local = local.unwrap_or_else(|e| panic!("opened for reading: {e}"));
    let page = local.backend.runs.list(&Default::default(), None, 10).await;
    say(&format!("{} runs", page.expect("listed").runs.len()));
    let queue = "one".parse().expect("a valid name");
    let error = local
        .backend
        .queue
        .send(&queue, vec![Outbound::now("x")])
        .await
        .expect_err("denied");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}
