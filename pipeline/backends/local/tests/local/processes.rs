//! Several handles and several processes on one folder.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use pipeline::item::Item;
use pipeline::ports::{Created, Outbound, PortResult};
use pipeline::protocol;

use crate::children::{Role, claim_each, command, racer, racing_claim, start};
use crate::host;

/// As many as there are: every one of them finds the same database, made once. Often, since who looks at the database
/// while another is making it must see all of it or nothing.
#[test]
fn a_new_folder_may_be_opened_by_many_at_once() {
    for _ in 0..25 {
        let folder = host::folder();
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    host::open(folder.path())
                });
            }
        });
        host::open(folder.path());
    }
}

#[test]
fn what_one_handle_wrote_another_reads_at_once() {
    let folder = host::folder();
    host::block_on(async {
        let (one, two) = (host::open(folder.path()), host::open(folder.path()));
        let world = host::world(&one);
        let run = world.run_item();
        let item = Item::Run(Box::new(run.clone()));
        assert_eq!(
            one.backend.runs.create(&item).await.expect("created"),
            Created::New
        );
        assert_eq!(two.backend.runs.load(&run.id).await.expect("loaded"), Some(run));
        let again = two.backend.runs.create(&item).await.expect("answered");
        assert_eq!(again, Created::Exists(Box::new(item)));
    });
}

/// Three processes claim the same runs: each run has one winner, and the winners are who they say.
#[test]
fn of_racing_processes_one_wins_each_run() {
    const RUNS: usize = 300;
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        let world = &host::world(&local);
        let created = (0..RUNS).map(|nth| {
            let run = pipeline::RunItem {
                id: racer(nth),
                ..world.run_item()
            };
            async move { world.backend.runs.create(&Item::Run(Box::new(run))).await }
        });
        join_all(created)
            .await
            .into_iter()
            .collect::<PortResult<Vec<_>>>()
            .expect("created");

        let children = [
            start(Role::Claim, folder.path()),
            start(Role::Claim, folder.path()),
        ];
        let mut winners: BTreeMap<String, usize> = BTreeMap::new();
        for run in claim_each(&local, "parent").await {
            *winners.entry(run).or_default() += 1;
        }
        for mut child in children {
            loop {
                match child.line().as_str() {
                    "end" => break,
                    run => *winners.entry(run.to_owned()).or_default() += 1,
                }
            }
        }
        assert_eq!(winners.len(), RUNS, "runs without a winner");
        assert!(
            winners.values().all(|n| *n == 1),
            "runs with several winners: {winners:?}"
        );
    });
}

/// A receiver that waits in another process is woken by a send here, well before it would have looked by itself.
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "measures real time between real processes"
)]
fn a_send_wakes_a_receiver_in_another_process() {
    let folder = host::folder();
    let mut child = start(Role::Receive, folder.path());
    host::block_on(async {
        let local = host::open(folder.path());
        let world = host::world(&local);
        let mut took = Vec::new();
        for nth in 0..5 {
            assert_eq!(child.line(), "ready");
            // It looks by itself a second after it began to wait; be far from that.
            world.host.clock.sleep(Duration::from_millis(200)).await;
            let sent_at = Instant::now();
            let body = format!("message {nth}");
            let sent = local
                .backend
                .queue
                .send(&world.queues[0], vec![Outbound::now(body.as_str())]);
            sent.await.expect("sent");
            assert_eq!(child.line(), body);
            took.push(sent_at.elapsed());
        }
        let fastest = took.iter().min().expect("five");
        assert!(*fastest < Duration::from_millis(300), "{took:?}");
    });
}

/// The same where the folder's path does not fit into a socket's address.
#[test]
fn a_long_path_keeps_nobody_asleep() {
    let folder = host::folder();
    let deep = folder.path().join("d".repeat(100)).join("e".repeat(100));
    host::block_on(async {
        let (one, two) = (host::open(&deep), host::open(&deep));
        let world = host::world(&one);
        let queue = &world.queues[0];
        let waiting = two
            .backend
            .queue
            .receive(queue, 1, Duration::from_secs(9), Duration::from_secs(9));
        let sending = async {
            world.host.clock.sleep(Duration::from_millis(200)).await;
            one.backend
                .queue
                .send(queue, vec![Outbound::now("hello")])
                .await
                .expect("sent")
        };
        let ((received, _), took) = world.timed(join(waiting, sending)).await;
        assert_eq!(received.expect("received").len(), 1);
        assert!(took < Duration::from_millis(700), "{took:?}");
    });
}

#[test]
fn the_end_of_a_run_wakes_who_waits_for_it_elsewhere() {
    let folder = host::folder();
    host::block_on(async {
        let (one, two) = (host::open(folder.path()), host::open(folder.path()));
        let world = host::world(&one);
        let run = world.run_item();
        one.backend
            .runs
            .create(&Item::Run(Box::new(run.clone())))
            .await
            .expect("created");
        let ending = async {
            world.host.clock.sleep(Duration::from_millis(200)).await;
            // An update that ends nothing wakes nobody for good.
            one.backend
                .runs
                .apply(&racing_claim(&run.id, "x"))
                .await
                .expect("answered");
            let cancel = protocol::cancel(&run.id, "for the test", world.host.clock.now());
            one.backend.runs.apply(&cancel).await.expect("answered");
        };
        let waiting = two.backend.runs.wait_for_end(&run.id, Duration::from_secs(30));
        let (_, took) = world.timed(join(waiting, ending)).await;
        assert!(took < Duration::from_millis(700), "{took:?}");
    });
}

/// A process that was killed leaves its socket; the first that writes to it clears it away.
#[test]
fn sockets_of_the_dead_are_removed() {
    let folder = host::folder();
    let sockets = || {
        std::fs::read_dir(folder.path().join("wake"))
            .expect("there")
            .count()
    };
    let mut child = start(Role::Receive, folder.path());
    assert_eq!(child.line(), "ready");
    host::block_on(async {
        let local = host::open(folder.path());
        let world = host::world(&local);
        while sockets() == 0 {
            world.host.clock.sleep(Duration::from_millis(10)).await;
        }
        child.child.kill().expect("killed");
        child.child.wait().expect("ended");
        assert_eq!(sockets(), 1, "a killed process removes nothing");
        local
            .backend
            .queue
            .send(&world.queues[1], vec![Outbound::now("x")])
            .await
            .expect("sent");
        // Others are told after the sender got its answer.
        for _ in 0..500 {
            if sockets() == 0 {
                return;
            }
            world.host.clock.sleep(Duration::from_millis(10)).await;
        }
        panic!("the socket is still there");
    });
}

/// A user who may not write is told so, and may read.
#[test]
fn a_folder_of_somebody_else_is_denied_and_can_be_read() {
    const NOBODY: u32 = 65_534;
    let folder = host::folder();
    let data = folder.path().join("data");
    host::block_on(async {
        let local = host::open(&data);
        let world = host::world(&local);
        let item = Item::Run(Box::new(world.run_item()));
        local.backend.runs.create(&item).await.expect("created");
    });
    // The last connection of this process may take a moment to close, after which the database is one file.
    let modes = |folder_mode, file_mode| {
        let set = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
        };
        set(folder.path(), folder_mode);
        set(&data, folder_mode);
        for entry in std::fs::read_dir(&data).expect("there").flatten() {
            let is_folder = entry.path().is_dir();
            set(&entry.path(), if is_folder { folder_mode } else { file_mode });
        }
    };
    modes(0o555, 0o444);
    // Permissions do not hold root back, so root becomes nobody; and nobody may not be able to reach this binary.
    let copy = host::folder();
    let program = copy.path().join("test");
    std::fs::copy(std::env::current_exe().expect("this binary"), &program).expect("copied");
    for path in [copy.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    }
    let mut command = command(&program, Role::Open, &data);
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = command.spawn().expect("started");
    let lines: Vec<String> = BufReader::new(child.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
        .collect();
    assert!(child.wait().expect("ended").success(), "{lines:?}");
    modes(0o755, 0o644);
    let said = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(said("Denied") && said("read-only: make it writable"), "{lines:?}");
    assert!(said("1 runs"), "{lines:?}");
}
