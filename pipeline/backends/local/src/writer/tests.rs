mod asked;

use super::thread::{Connected, MOST_UNSYNCED};
use super::*;

use std::fs::File;

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
    let mut thread = Thread::new(database, folder.path().to_owned(), Durability::Full);
    thread.opened = Some(Connected::new(&thread.database, folder.path()).expect("opened"));
    (folder, thread)
}

fn job<T: Send + 'static>(
    writes: Writes,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
) -> (Box<dyn Job>, Answer<T>) {
    job_of(OnDisk::BeforeSeen, writes, work)
}

fn job_of<T: Send + 'static>(
    on_disk: OnDisk,
    writes: Writes,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
) -> (Box<dyn Job>, Answer<T>) {
    let (caller, answer) = oneshot::channel();
    let job = Pending {
        action: "test",
        on_disk,
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
    thread.serve(&receiver, |topics| woken.append(topics));
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
    let opened = &thread.opened.as_ref().expect("opened").opened;
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
    let opened = &thread.opened.as_ref().expect("opened").opened;
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

/// Writes, and says whether SQLite commits that before others see it: `PRAGMA synchronous` as its transaction has it.
fn put_and_look(key: &'static str, on_disk: OnDisk) -> (Box<dyn Job>, Answer<i64>) {
    job_of(on_disk, Writes::One, move |tx| {
        put(tx, key, 1)?;
        Ok(tx.pragma_query_value(None, "synchronous", |row| row.get(0))?)
    })
}

const FULL: i64 = 2;
const NORMAL: i64 = 1;

/// Serves one group of what is in the channel.
fn serve_one(thread: &mut Thread, jobs: Vec<Box<dyn Job>>) {
    let (sender, receiver) = channel();
    jobs.into_iter().for_each(|job| sender.send(job).expect("open"));
    let first = thread.next_job(&receiver).expect("there is one");
    thread.serve_group(first, &receiver, &mut Vec::new());
}

#[test]
fn a_group_with_anything_that_must_not_be_seen_too_early_is_on_disk_first() {
    use OnDisk::{BeforeAnswered, BeforeSeen, Later};
    let groups: [(&[OnDisk], i64); 7] = [
        (&[BeforeSeen], FULL),
        (&[BeforeSeen, Later, BeforeAnswered], FULL),
        (&[Later, Later, BeforeSeen], FULL),
        (&[BeforeAnswered, BeforeSeen], FULL),
        (&[Later, BeforeAnswered], NORMAL),
        (&[BeforeAnswered], NORMAL),
        (&[Later], NORMAL),
    ];
    for (kinds, expected) in groups {
        let (_folder, mut thread) = thread();
        let keys = ["one", "two", "three"];
        let jobs = kinds.iter().zip(keys).map(|(kind, key)| put_and_look(key, *kind));
        let (jobs, answers): (Vec<_>, Vec<_>) = jobs.unzip();
        serve_one(&mut thread, jobs);
        thread.sync();
        for found in answers {
            assert_eq!(answer(found).expect("done"), expected, "{kinds:?}");
        }
    }
}

#[test]
fn what_comes_in_too_late_for_a_group_is_on_disk_first_in_the_next() {
    let (_folder, mut thread) = thread();
    let (sender, receiver) = channel();
    let (late, late_answer) = put_and_look("late", OnDisk::BeforeSeen);
    let send = sender.clone();
    let (early, early_answer) = job_of(OnDisk::Later, Writes::One, move |tx| {
        // While the transaction runs.
        send.send(late).expect("open");
        put(tx, "early", 1)
    });
    sender.send(early).expect("open");
    drop(sender);
    thread.serve(&receiver, |_| {});
    answer(early_answer).expect("done");
    assert_eq!(answer(late_answer).expect("done"), FULL);
    assert_eq!(keys(&thread), ["early", "late"]);
}

#[test]
fn a_sender_is_answered_when_its_message_is_on_disk_and_not_before() {
    let (_folder, mut thread) = thread();
    let is_open =
        |answer: &mut Answer<i64>| matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    let (send, mut sent) = put_and_look("message", OnDisk::BeforeAnswered);
    let (ack, acked) = put_and_look("acknowledgement", OnDisk::Later);
    serve_one(&mut thread, vec![send, ack]);
    assert_eq!(answer(acked).expect("done"), NORMAL);
    assert_eq!(keys(&thread), ["acknowledgement", "message"], "seen already");
    assert!(is_open(&mut sent), "not on disk yet");

    // A transaction that writes nothing waits for nothing.
    let (idle, idle_answer) = job(Writes::One, |tx| {
        Ok(tx.execute("DELETE FROM cache WHERE key = 'none'", [])?)
    });
    serve_one(&mut thread, vec![idle]);
    assert_eq!(answer(idle_answer).expect("done"), 0);
    assert!(is_open(&mut sent), "not on disk yet");

    let (claim, claimed) = put_and_look("claim", OnDisk::BeforeSeen);
    serve_one(&mut thread, vec![claim]);
    assert_eq!(answer(claimed).expect("done"), FULL);
    assert_eq!(answer(sent).expect("the log is on disk up to the claim"), NORMAL);

    // With nobody to share the wait with, it is waited for all the same.
    let (sender, receiver) = channel();
    let (send, alone) = put_and_look("alone", OnDisk::BeforeAnswered);
    sender.send(send).expect("open");
    drop(sender);
    thread.serve(&receiver, |_| {});
    answer(alone).expect("on disk");
}

#[test]
fn a_sender_is_answered_also_while_others_come_and_go_who_need_no_disk() {
    let (_folder, mut thread) = thread();
    let (sender, receiver) = channel();
    let mut sender = Some(sender);
    let put_later = |n: u32| {
        job_of(OnDisk::Later, Writes::One, move |tx| {
            put(tx, &format!("other-{n}"), 1)
        })
        .0
    };
    let (send, mut sent) = put_and_look("message", OnDisk::BeforeAnswered);
    sender.as_ref().expect("open").send(send).expect("open");
    let mut open_after = Vec::new();
    thread.serve(&receiver, |_| {
        open_after.push(sent.try_recv().is_err());
        let n = u32::try_from(open_after.len()).expect("few");
        if n > 2 * MOST_UNSYNCED {
            sender = None;
        }
        if let Some(sender) = &sender {
            sender.send(put_later(n)).expect("open");
        }
    });
    let waited = open_after.iter().take_while(|is_open| **is_open).count();
    assert_eq!(waited, MOST_UNSYNCED as usize, "{open_after:?}");
}

#[test]
fn a_sender_is_told_if_its_message_does_not_get_to_the_disk() {
    let (folder, mut thread) = thread();
    let (send, sent) = put_and_look("message", OnDisk::BeforeAnswered);
    let (ack, acked) = put_and_look("acknowledgement", OnDisk::Later);
    serve_one(&mut thread, vec![send, ack]);
    answer(acked).expect("nobody waits for the disk for it");
    let log = folder.path().join("fleetline.db-wal");
    std::fs::rename(&log, folder.path().join("elsewhere")).expect("renamed");
    thread.sync();
    answer(sent).expect_err("the log cannot be waited for");
}

#[test]
fn without_durability_nobody_waits_for_the_disk() {
    for kind in [OnDisk::BeforeSeen, OnDisk::BeforeAnswered, OnDisk::Later] {
        let (_folder, mut thread) = thread();
        thread.durability = Durability::Normal;
        let (job, done) = put_and_look("one", kind);
        serve_one(&mut thread, vec![job]);
        assert_eq!(answer(done).expect("at once"), NORMAL, "{kind:?}");
    }
}

/// How often the log began anew, as its header counts it.
fn restarts(folder: &TempDir) -> u32 {
    use std::os::unix::fs::FileExt;
    let log = File::open(folder.path().join("fleetline.db-wal")).expect("opened");
    let mut count = [0; 4];
    log.read_exact_at(&mut count, 12).expect("a header");
    u32::from_be_bytes(count)
}

#[test]
fn a_log_begins_anew_also_while_it_is_written_to_without_a_pause() {
    let (folder, mut thread) = thread();
    let (mut began, mut writes) = (0, 0u32);
    while began < 3 {
        let key = format!("key-{}", writes % 8);
        let (job, done) = job_of(OnDisk::Later, Writes::One, move |tx| {
            let sql = "INSERT OR REPLACE INTO cache (key, entry) VALUES (?1, ?2)";
            Ok(tx.execute(sql, rusqlite::params![key, vec![0u8; 400_000]])?)
        });
        serve_one(&mut thread, vec![job]);
        answer(done).expect("done");
        writes += 1;
        assert!(
            writes < 10_000,
            "4 GB are in the log, which began anew {began} times"
        );
        if writes.is_multiple_of(20) {
            began = restarts(&folder);
        }
    }
}
