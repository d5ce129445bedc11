//! A disk that is full, or read-only: it is said clearly, and what was begun goes on once there is room.

use e2e::harness::{Fleet, SmallDisk, Stopwatch};
use pipeline::RunStatus;

const SPEC: &str = r#"
pipeline = "large"
[[steps]]
step = "nap"
stage = "sleep"
params = { ms = 1500 }
[[steps]]
step = "first"
stage = "noop"
params = { write_bytes = 2000000 }
[[steps]]
step = "second"
stage = "noop"
params = { write_bytes = 2000000 }
"#;

/// A small disk with a fleet on it; none where this process may not mount one.
fn fleet_on_a_small_disk() -> Option<(SmallDisk, Fleet)> {
    match SmallDisk::mount(16) {
        Ok(disk) => {
            let fleet = Fleet::at(&disk.path().join("fleet"));
            Some((disk, fleet))
        }
        Err(why) => {
            println!("SKIPPED full and read-only disks: cannot mount one: {why}");
            None
        }
    }
}

#[test]
fn t14_a_full_disk_is_told_and_nothing_is_lost() {
    let Some((disk, fleet)) = fleet_on_a_small_disk() else {
        return;
    };
    let run = fleet.submit(SPEC);
    let mut pool = fleet.pool("noop,sleep").start();
    fleet.wait_until_running(&run, "nap");
    let filler = disk.fill();
    println!("full: {}", pool.output().wait_for("the disk is full"));
    let refused = fleet.submit_with(SPEC, &[]);
    println!(
        "a submission meanwhile: exit code {}: {}",
        refused.code,
        refused.stderr.trim()
    );
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("the disk is full: free some space"),
        "{refused:?}"
    );

    std::fs::remove_file(filler).expect("it is ours");
    let freed_at = Stopwatch::start();
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    println!("done {} after there was room again", freed_at);
    fleet.assert_whole(&run);
    assert_eq!(pool.ended(), None);
    assert!(!pool.output().has("panicked"), "{}", fleet.told());
    drop(pool);
}

/// Where it has to make files of its own (the database's log is there or not, as its last user left it), it cannot start;
/// where it need not, it starts and tries until there is room.
#[test]
fn a_pool_that_starts_on_a_full_disk_says_so() {
    let Some((disk, fleet)) = fleet_on_a_small_disk() else {
        return;
    };
    let run = fleet.submit(SPEC);
    let filler = disk.fill();
    let pool = fleet.pool("noop,sleep").launch();
    let said = pool.output().wait_for("the disk is full: free some space");
    println!("pool: {said}");
    std::fs::remove_file(filler).expect("it is ours");
    let cannot_start = said.contains("cannot open the folder");
    let another = cannot_start.then(|| fleet.pool("noop,sleep").start());
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    assert!(!pool.output().has("panicked"), "{}", fleet.told());
    drop(another);
}

#[test]
fn t14_a_read_only_disk_is_told() {
    let Some((disk, fleet)) = fleet_on_a_small_disk() else {
        return;
    };
    let run = fleet.submit(SPEC);
    disk.set_read_only(true);
    let submit = fleet.submit_with(SPEC, &[]).expect_code(1);
    println!("submit: {}", submit.stderr.trim());
    let pool = fleet
        .worker(&[
            "pool",
            "--test-stages",
            "--stages",
            "noop",
            "--metrics-addr",
            "off",
        ])
        .expect_code(1);
    println!("pool: {}", pool.stderr.trim());
    for said in [submit, pool] {
        assert!(
            said.stderr.contains("read-only: make it writable for this user"),
            "{said:?}"
        );
    }
    // Looking is allowed.
    fleet.producer(&["list"]).expect_code(0);

    disk.set_read_only(false);
    let pool = fleet.pool("noop,sleep").start();
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    drop(pool);
}
