//! A database that is damaged, somebody else's, newer than we are, or locked: what is wrong is said, with what to do,
//! and nobody panics.

use std::path::PathBuf;

use e2e::harness::{Fleet, Said, Stopwatch};
use pipeline::RunStatus;
use rusqlite::Connection;

const SPEC: &str = "pipeline = \"short\"\n[[steps]]\nstage = \"noop\"\nparams = { write_bytes = 10 }\n";

fn database(fleet: &Fleet) -> PathBuf {
    fleet.folder().join("fleetline.db")
}

/// Has every binary use the folder: each must say this, and end with an exit code that is not zero.
fn everybody_says(fleet: &Fleet, what: &str) {
    let spec = fleet.write_spec(SPEC);
    let spec = spec.to_string_lossy();
    let pool = fleet.worker(&[
        "pool",
        "--test-stages",
        "--stages",
        "noop",
        "--metrics-addr",
        "off",
    ]);
    let run = fleet.worker(&["run", "--test-stages", &spec]);
    let submit = fleet.producer(&["submit", &spec]);
    let list = fleet.producer(&["list"]);
    for (name, said) in [
        ("worker pool", pool),
        ("worker run", run),
        ("producer submit", submit),
        ("producer list", list),
    ] {
        println!("{name}: exit code {}: {}", said.code, said.stderr.trim());
        let Said { code, stderr, .. } = said.expect_code(1);
        assert!(stderr.contains(what), "{name} ({code}): {stderr}");
        assert!(
            stderr.contains("fleetline.db"),
            "{name} does not say which file: {stderr}"
        );
    }
}

/// A folder with a run in it, whose database no process has open.
fn closed_fleet() -> Fleet {
    let fleet = Fleet::new();
    fleet.submit(SPEC);
    fleet
}

/// Removes what the write-ahead log still holds, so that the file alone is the database.
fn checkpoint(fleet: &Fleet) {
    let db = Connection::open(database(fleet)).expect("it is a database");
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("nobody else writes");
}

#[test]
fn a_database_that_is_none_is_refused() {
    let fleet = Fleet::new();
    std::fs::create_dir_all(fleet.folder()).expect("can be made");
    std::fs::write(database(&fleet), "this is no database ".repeat(1000)).expect("can be written");
    everybody_says(
        &fleet,
        "the database is damaged, or is no database: restore fleetline.db from a copy",
    );
}

#[test]
fn the_database_of_another_program_is_refused_and_left_alone() {
    let fleet = Fleet::new();
    std::fs::create_dir_all(fleet.folder()).expect("can be made");
    let db = Connection::open(database(&fleet)).expect("can be made");
    db.execute_batch("CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('Ada')")
        .expect("is SQL");
    drop(db);
    let before = std::fs::read(database(&fleet)).expect("is there");
    everybody_says(
        &fleet,
        "is the database of another program: choose another folder",
    );
    assert_eq!(std::fs::read(database(&fleet)).expect("is there"), before);
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let fleet = closed_fleet();
    let db = Connection::open(database(&fleet)).expect("it is a database");
    db.pragma_update(None, "user_version", 99).expect("a pragma");
    drop(db);
    everybody_says(
        &fleet,
        "is of form 99, and this version of fleetline knows forms up to",
    );
    let db = Connection::open(database(&fleet)).expect("it is a database");
    let version: i32 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("a pragma");
    assert_eq!(version, 99);
}

#[test]
fn damaged_pages_are_told_while_a_pool_runs() {
    let fleet = closed_fleet();
    checkpoint(&fleet);
    let mut bytes = std::fs::read(database(&fleet)).expect("is there");
    // Its header stays, so that it opens; the tables do not.
    bytes[4096..].fill(0xab);
    std::fs::write(database(&fleet), bytes).expect("can be written");
    let pool = fleet.pool("noop").launch();
    println!("{}", pool.output().wait_for("the database is damaged"));
    let list = fleet.producer(&["list"]).expect_code(1);
    println!("producer list: {}", list.stderr.trim());
    assert!(list.stderr.contains("the database is damaged"), "{list:?}");
    assert!(!pool.output().has("panicked"), "{}", pool.output().text());
}

#[test]
fn a_locked_database_is_told_and_waited_for() {
    let fleet = Fleet::new();
    let run = fleet.submit(SPEC);
    let other = Connection::open(database(&fleet)).expect("it is a database");
    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("nobody else writes");
    let mut pool = fleet.pool("noop").launch();
    let asked_at = Stopwatch::start();
    let submit = fleet.submit_with(SPEC, &[]).expect_code(1);
    println!("submit, after {}: {}", asked_at, submit.stderr.trim());
    assert!(
        submit
            .stderr
            .contains("another program holds the database locked: end that program"),
        "{submit:?}"
    );
    println!(
        "pool: {}",
        pool.output()
            .wait_for("another program holds the database locked")
    );
    assert_eq!(pool.ended(), None, "it waits");

    other.execute_batch("ROLLBACK").expect("it is ours");
    let unlocked_at = Stopwatch::start();
    fleet.wait_for_end(&run, RunStatus::Succeeded);
    println!("done {} after the other program let go", unlocked_at);
    fleet.assert_whole(&run);
}
