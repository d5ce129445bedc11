//! A paused intake takes nothing, and loses nothing.

use e2e::harness::Fleet;
use pipeline::{RunId, RunStatus};

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "that nothing happens can only be waited for"
)]
fn what_is_posted_to_a_paused_intake_waits() {
    let fleet = Fleet::new();
    let spec = fleet.write_spec("pipeline = \"posted\"\n[[steps]]\nstage = \"noop\"\n");
    fleet
        .producer(&["pipelines", "apply", &spec.to_string_lossy()])
        .expect_code(0);
    let _pool = fleet.pool("noop").start();
    let intake = fleet.intake().start();
    let post = |key: &str| {
        fleet.send(
            "intake",
            &format!(r#"{{"version":"1","pipeline":"posted","key":"{key}"}}"#),
        )
    };
    let run = |key: &str| RunId::new(key).expect("a run's id");
    post("before");
    fleet.wait_for_run(&run("before"));

    fleet
        .producer(&["pause", "intake", "--reason", "a test"])
        .expect_code(0);
    intake.output().wait_for("paused stages changed");
    post("meanwhile");
    // Longer than the poll that was under way.
    std::thread::sleep(std::time::Duration::from_secs(3));
    fleet.producer(&["show", "meanwhile"]).expect_code(3);
    assert_eq!(fleet.depth("intake").dead, 0);

    fleet.producer(&["unpause", "intake"]).expect_code(0);
    fleet.wait_for_run(&run("meanwhile"));
    fleet.wait_for_end(&run("meanwhile"), RunStatus::Succeeded);
    fleet.wait_until_empty("intake");
}
