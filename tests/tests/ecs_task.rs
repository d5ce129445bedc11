//! A worker as a task of ECS: protected while it is busy, gone when a deployment waits for it, and asked for its health.

use e2e::harness::{AgentMood, EcsAgent, Fleet, wait_for};
use pipeline::{RunStatus, StepName};

const NAP: &str = "pipeline = \"nap\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 500 }\n";

#[test]
fn a_busy_task_is_protected_and_an_idle_one_is_not() {
    let fleet = Fleet::new();
    let agent = EcsAgent::start(AgentMood::Obeys);
    let mut pool = fleet.pool("sleep").env("ECS_AGENT_URI", &agent.uri()).start();
    let runs: Vec<_> = (0..3).map(|_| fleet.submit(NAP)).collect();
    fleet.wait_until_running(&runs[0], "sleep");
    assert_eq!(agent.asked(), [true], "before anything is claimed, and once");
    for run in &runs {
        fleet.wait_for_end(run, RunStatus::Succeeded);
    }
    let given_back = || (agent.asked().len() > 1).then_some(());
    wait_for(
        "protection is given back",
        || format!("{:?}", agent.asked()),
        given_back,
    );
    assert_eq!(agent.asked(), [true, false], "not for each of the runs");
    // And again; a process that ends gives it back at once.
    let next = fleet.submit(NAP);
    fleet.wait_for_end(&next, RunStatus::Succeeded);
    pool.signal(rustix::process::Signal::TERM);
    assert!(pool.wait().0.success());
    assert_eq!(agent.asked(), [true, false, true, false]);
}

/// It begins nothing, gives back what it received, and leaves.
#[test]
fn a_task_that_a_deployment_waits_for_leaves() {
    let fleet = Fleet::new();
    let agent = EcsAgent::start(AgentMood::Blocks);
    let mut old = fleet
        .pool("sleep")
        .called("old")
        .env("ECS_AGENT_URI", &agent.uri())
        .start();
    let run = fleet.submit(NAP);
    assert!(old.wait().0.success(), "{}", fleet.told());
    assert_eq!(agent.asked(), [true]);
    assert!(old.output().has("a deployment waits for this task"));
    let _new = fleet.pool("sleep").called("new").start();
    let ended = fleet.wait_for_end(&run, RunStatus::Succeeded);
    let sleep = &ended.steps[&StepName::new("sleep").expect("a step's name")];
    assert_eq!(sleep.attempt, 1, "the old one did not begin it");
}

#[test]
fn an_agent_that_fails_fails_no_work() {
    let babbling = EcsAgent::start(AgentMood::Babbles);
    // Port 9 of loopback: nobody is there.
    for uri in [babbling.uri(), "http://127.0.0.1:9".to_owned()] {
        let fleet = Fleet::new();
        let pool = fleet.pool("sleep").env("ECS_AGENT_URI", &uri).start();
        let runs: Vec<_> = (0..2).map(|_| fleet.submit(NAP)).collect();
        for run in &runs {
            fleet.wait_for_end(run, RunStatus::Succeeded);
        }
        assert_eq!(
            pool.output().count("no scale-in protection, working without"),
            1,
            "{}",
            fleet.told()
        );
    }
    assert_eq!(babbling.asked(), [true], "it is left alone for a while");
    let fleet = Fleet::new();
    let mut pool = fleet.pool("sleep").env("ECS_AGENT_URI", "ftp://agent").launch();
    assert_eq!(pool.wait().0.code(), Some(1));
    assert!(
        pool.output().has("ECS_AGENT_URI: \"ftp://agent\""),
        "{}",
        fleet.told()
    );
}

#[test]
fn health_is_asked_by_a_command() {
    let fleet = Fleet::new();
    let skewed = fleet
        .pool("noop")
        .with(&["--test-clock-offset-ms", "3600000"])
        .launch();
    let health = |address: &str| fleet.worker(&["health", "--metrics-addr", address]);
    let said = health(&skewed.address().to_string()).expect_code(1);
    assert!(said.stderr.contains("clock"), "{said:?}");
    let mut pool = fleet.pool("noop,sleep").start();
    let address = pool.address();
    health(&address.to_string()).expect_code(0);
    health(&format!("0.0.0.0:{}", address.port())).expect_code(0);
    // It drains, and is well.
    let run = fleet.submit("pipeline = \"nap\"\n[[steps]]\nstage = \"sleep\"\nparams = { ms = 3000 }\n");
    fleet.wait_until_running(&run, "sleep");
    pool.signal(rustix::process::Signal::TERM);
    pool.output().wait_for("draining: nothing new is taken");
    assert_eq!(pool.get("/readyz").status, 503);
    health(&address.to_string()).expect_code(0);
    assert!(pool.wait().0.success());
    let said = health(&address.to_string()).expect_code(1);
    assert!(said.stderr.contains("does not answer"), "{said:?}");
}
