//! Folders that cannot be used, or can no longer be: each with an error that says what to do, and none with a panic.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_local::{Local, Options};
use pipeline::ports::{Clock, ErrorKind, Host, Outbound, PortError, PortResult};
use pipeline::time::Timestamp;
use rusqlite::Connection;

use crate::host;

fn try_open(folder: &Path, options: &Options) -> PortResult<Local> {
    backend_local::open(folder, options, &host::host())
}

fn impatient() -> Options {
    Options {
        busy_wait: Duration::from_millis(200),
        ..Options::default()
    }
}

#[track_caller]
fn refused(folder: &Path, options: &Options, kind: ErrorKind, text: &str) {
    match try_open(folder, options) {
        Ok(_) => panic!("it was opened"),
        Err(error) => is(&error, kind, text),
    }
}

#[track_caller]
fn is(error: &PortError, kind: ErrorKind, text: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

async fn send(local: &Local) -> PortResult<()> {
    let queue = "one".parse().expect("a valid name");
    local
        .backend
        .queue
        .send(&queue, vec![Outbound::now("x")])
        .await
        .map(|_| ())
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let folder = host::folder();
    fs::write(
        folder.path().join("fleetline.db"),
        "this is no database".repeat(100),
    )
    .expect("written");
    refused(
        folder.path(),
        &Options::default(),
        ErrorKind::Corrupt,
        "restore fleetline.db from a copy",
    );
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let folder = host::folder();
    let path = folder.path().join("fleetline.db");
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("CREATE TABLE theirs (x)").expect("made");
    drop(other);
    refused(
        folder.path(),
        &Options::default(),
        ErrorKind::Corrupt,
        "another program",
    );
    let other = Connection::open(&path).expect("opened");
    let tables: i64 = other
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .expect("counted");
    assert_eq!(tables, 1);
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let folder = host::folder();
    drop(host::open(folder.path()));
    let db = Connection::open(folder.path().join("fleetline.db")).expect("opened");
    db.pragma_update(None, "user_version", 1_000).expect("set");
    refused(
        folder.path(),
        &Options::default(),
        ErrorKind::Denied,
        "use the newer fleetline",
    );
}

#[test]
fn a_folder_that_is_a_file_is_refused() {
    let folder = host::folder();
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    match try_open(&file, &Options::default()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => assert!(
            matches!(error.kind(), ErrorKind::Denied | ErrorKind::Conflict),
            "{error}"
        ),
    }
}

#[test]
fn reading_only_makes_nothing() {
    let folder = host::folder();
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let absent = folder.path().join("absent");
    refused(&absent, &options, ErrorKind::NotFound, "there is no database");
    assert!(!absent.exists());
    host::block_on(async {
        let writing = host::open(folder.path());
        send(&writing).await.expect("sent");
        let reading = try_open(folder.path(), &options).expect("opened");
        let queue = "one".parse().expect("a valid name");
        assert_eq!(
            reading
                .backend
                .queue
                .depth(&queue)
                .await
                .expect("counted")
                .visible,
            1
        );
        is(
            &send(&reading).await.expect_err("denied"),
            ErrorKind::Denied,
            "for reading only",
        );
    });
}

/// Another program that keeps the database to itself.
#[test]
fn a_database_that_is_locked_is_unavailable() {
    let folder = host::folder();
    drop(host::open(folder.path()));
    let db = Connection::open(folder.path().join("fleetline.db")).expect("opened");
    db.pragma_update(None, "locking_mode", "exclusive").expect("set");
    db.execute_batch("BEGIN EXCLUSIVE; DELETE FROM cache; COMMIT")
        .expect("locked");
    refused(
        folder.path(),
        &impatient(),
        ErrorKind::Unavailable,
        "another program holds the database locked",
    );
}

/// And one that does so for a while: then it goes on.
#[test]
fn a_write_waits_for_another_program_for_a_while_only() {
    let folder = host::folder();
    host::block_on(async {
        let local = try_open(folder.path(), &impatient()).expect("opened");
        send(&local).await.expect("sent");
        let db = Connection::open(folder.path().join("fleetline.db")).expect("opened");
        db.execute_batch("BEGIN IMMEDIATE").expect("locked");
        is(
            &send(&local).await.expect_err("locked"),
            ErrorKind::Unavailable,
            "another program",
        );
        let queue = "one".parse().expect("a valid name");
        assert_eq!(
            local
                .backend
                .queue
                .depth(&queue)
                .await
                .expect("reading goes on")
                .visible,
            1
        );
        db.execute_batch("ROLLBACK").expect("unlocked");
        send(&local).await.expect("sent");
    });
}

/// A clock whose half minutes are short.
struct Hurried(Arc<dyn Clock>);

#[async_trait]
impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration / 60).await;
    }
}

/// A process of ours that was stopped while it held the lock: the lock has no time limit, the caller's patience has.
#[test]
fn a_stopped_writer_elsewhere_keeps_nobody_for_ever() {
    let folder = host::folder();
    host::block_on(async {
        let real = host::host();
        let hurried = Host {
            clock: Arc::new(Hurried(Arc::clone(&real.clock))),
            ..real
        };
        let local = backend_local::open(folder.path(), &Options::default(), &hurried).expect("opened");
        send(&local).await.expect("sent");
        let held = fs::File::open(folder.path().join("writer.lock")).expect("there");
        held.lock().expect("locked");
        is(
            &send(&local).await.expect_err("no turn"),
            ErrorKind::Unavailable,
            "no turn to write within 30 s",
        );
        held.unlock().expect("unlocked");
        // The jobs that nobody waits for any more are done too: an `Unavailable` may have been applied.
        send(&local).await.expect("sent");
    });
}

/// Pages overwritten while the folder is in use.
#[test]
fn damage_while_in_use_is_an_error_of_its_own() {
    let folder = host::folder();
    host::block_on(async {
        {
            let local = host::open(folder.path());
            for _ in 0..50 {
                send(&local).await.expect("sent");
            }
        }
        let path = folder.path().join("fleetline.db");
        let db = Connection::open(&path).expect("opened");
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .expect("checkpointed");
        drop(db);
        let mut bytes = fs::read(&path).expect("read");
        assert!(bytes.len() > 8192, "{} bytes", bytes.len());
        bytes[4096..].fill(0x5a);
        fs::write(&path, bytes).expect("damaged");
        let error = match try_open(folder.path(), &Options::default()) {
            Err(error) => error,
            Ok(local) => send(&local).await.expect_err("damaged"),
        };
        is(&error, ErrorKind::Corrupt, "damaged");
    });
}

/// What stands in a row is not what was written.
#[test]
fn an_item_that_is_no_item_is_corrupt() {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let world = host::world(&local);
        let run = world.run_item();
        let item = pipeline::Item::Run(Box::new(run.clone()));
        local.backend.runs.create(&item).await.expect("created");
        let db = Connection::open(folder.path().join("fleetline.db")).expect("opened");
        db.execute("UPDATE run SET item = x'7b7d'", []).expect("damaged");
        let error = local.backend.runs.load(&run.id).await.expect_err("damaged");
        is(&error, ErrorKind::Corrupt, "load a run");
        let cancel = pipeline::protocol::cancel(&run.id, "x", world.host.clock.now());
        is(
            &local.backend.runs.apply(&cancel).await.expect_err("damaged"),
            ErrorKind::Corrupt,
            "update an item",
        );
    });
}

/// Somebody removed it all.
#[test]
fn a_folder_that_vanished_is_an_error() {
    let folder = host::folder();
    host::block_on(async {
        let data = folder.path().join("data");
        let local = host::open(&data);
        send(&local).await.expect("sent");
        fs::remove_dir_all(&data).expect("removed");
        is(
            &send(&local).await.expect_err("gone"),
            ErrorKind::NotFound,
            "moved or deleted",
        );
        let queue = "one".parse().expect("a valid name");
        let error = local.backend.queue.depth(&queue).await.expect_err("gone");
        is(&error, ErrorKind::NotFound, "moved or deleted");
        // Somebody made it anew: it is found again.
        send(&host::open(&data)).await.expect("sent");
        send(&local).await.expect("sent to the new one");
        assert_eq!(
            local.backend.queue.depth(&queue).await.expect("counted").visible,
            2
        );
    });
}
