use super::*;

use tempfile::TempDir;

type Answer<T> = oneshot::Receiver<PortResult<T>>;

fn thread() -> (TempDir, Thread) {
    let folder = TempDir::new().expect("a temporary folder");
    let database = Database {
        path: folder.path().join("fleetline.db"),
        read_only: false,
        busy_wait: Duration::from_secs(1),
    };
    database.prepare(folder.path()).expect("made");
    let mut thread = Thread {
        database,
        folder: folder.path().to_owned(),
        durability: Durability::Full,
        opened: None,
    };
    thread.opened = Some((
        thread.connect().expect("opened"),
        TurnLock::open(folder.path()).expect("made"),
    ));
    (folder, thread)
}

fn job<T: Send + 'static>(
    writes: Writes,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
) -> (Box<dyn Job>, Answer<T>) {
    let (caller, answer) = oneshot::channel();
    let job = Pending {
        action: "test",
        writes,
        work: Some(work),
        result: None,
        caller,
    };
    (Box::new(job), answer)
}

fn put(tx: &mut Tx<'_>, key: &str, size: usize) -> Result<(), Fault> {
    tx.execute(
        "INSERT INTO cache (key, entry) VALUES (?1, ?2)",
        rusqlite::params![key, vec![0u8; size]],
    )?;
    tx.wake(Topic::queue(&key.parse().expect("a valid name")));
    Ok(())
}

fn keys(thread: &Thread) -> Vec<String> {
    let opened = thread.database.connect().expect("opened");
    let mut select = opened
        .connection
        .prepare("SELECT key FROM cache ORDER BY key")
        .expect("prepared");
    let rows = select.query_map([], |row| row.get(0)).expect("queried");
    rows.collect::<Result<_, _>>().expect("read")
}

/// Serves these jobs, in one group unless it fails half-way; who is woken.
fn serve(thread: &mut Thread, jobs: Vec<Box<dyn Job>>) -> Vec<Topic> {
    let (sender, receiver) = channel();
    for job in jobs {
        sender.send(job).expect("open");
    }
    drop(sender);
    let mut woken = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut topics = Vec::new();
        thread.serve_group(&mut vec![first], &receiver, &mut topics);
        woken.extend(topics);
    }
    woken
}

fn answer<T>(mut answer: Answer<T>) -> PortResult<T> {
    answer.try_recv().expect("every job is answered")
}

#[test]
fn a_job_that_fails_leaves_no_trace_and_spoils_no_other() {
    let (_folder, mut thread) = thread();
    let (one, one_answer) = job(Writes::One, |tx| put(tx, "one", 1));
    let (bad, bad_answer) = job(Writes::Several, |tx| {
        put(tx, "bad", 1)?;
        put(tx, "worse", 1)?;
        Err::<(), _>(Fault::Port(PortError::new(
            ErrorKind::LeaseLost,
            "changed its mind",
        )))
    });
    let (twice, twice_answer) = job(Writes::One, |tx| put(tx, "one", 1));
    let (two, two_answer) = job(Writes::Several, |tx| {
        put(tx, "two", 1)?;
        put(tx, "three", 1)
    });
    let woken = serve(&mut thread, vec![one, bad, twice, two]);
    answer(one_answer).expect("done");
    answer(two_answer).expect("done");
    assert_eq!(
        answer(bad_answer).expect_err("failed").kind(),
        ErrorKind::LeaseLost
    );
    answer(twice_answer).expect_err("the key is taken");
    assert_eq!(keys(&thread), ["one", "three", "two"]);
    let names = ["one", "two", "three"].map(|name| Topic::queue(&name.parse().expect("a valid name")));
    assert_eq!(woken, names);
}

/// A deferred constraint is the one way to have the commit itself fail on demand.
#[test]
fn a_commit_that_fails_is_told_to_all() {
    let (_folder, mut thread) = thread();
    let (opened, _) = thread.opened.as_ref().expect("opened");
    let made = opened.connection.execute_batch(
        "PRAGMA foreign_keys = on;
         CREATE TABLE parent (id INTEGER PRIMARY KEY);
         CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
    );
    made.expect("made");
    let (one, one_answer) = job(Writes::One, |tx| put(tx, "one", 1));
    let (orphan, orphan_answer) = job(Writes::One, |tx| {
        Ok(tx.execute("INSERT INTO child VALUES (1)", [])?)
    });
    let woken = serve(&mut thread, vec![one, orphan]);
    answer(one_answer).expect_err("nothing was committed");
    answer(orphan_answer).expect_err("nothing was committed");
    assert_eq!(woken, []);
    assert_eq!(keys(&thread), Vec::<String>::new());

    let (again, again_answer) = job(Writes::One, |tx| put(tx, "again", 1));
    serve(&mut thread, vec![again]);
    answer(again_answer).expect("the next group is another matter");
    assert_eq!(keys(&thread), ["again"]);
}

#[test]
fn on_a_full_disk_only_what_is_stored_is_acknowledged() {
    let (_folder, mut thread) = thread();
    let (opened, _) = thread.opened.as_ref().expect("opened");
    let pages: i64 = opened
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .expect("counted");
    let limit = format!("PRAGMA max_page_count = {}", pages + 20);
    opened
        .connection
        .query_row(&limit, [], |_| Ok(()))
        .expect("limited");
    let names: Vec<String> = (0..20).map(|nth| format!("key-{nth:02}")).collect();
    let (jobs, answers): (Vec<_>, Vec<_>) = names
        .iter()
        .cloned()
        .map(|name| job(Writes::One, move |tx| put(tx, &name, 10_000)))
        .unzip();
    serve(&mut thread, jobs);
    let (mut stored, mut refused) = (Vec::new(), 0);
    for (name, result) in names.into_iter().zip(answers.into_iter().map(answer)) {
        match result {
            Ok(()) => stored.push(name),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(error.to_string().contains("the disk is full"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the limit was not met");
    assert_eq!(keys(&thread), stored);

    // Space was freed: a new connection has no limit.
    thread.opened = None;
    let (again, again_answer) = job(Writes::One, |tx| put(tx, "again", 10_000));
    serve(&mut thread, vec![again]);
    answer(again_answer).expect("there is space");
}
