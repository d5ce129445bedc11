//! What was acknowledged is there, whenever the writer dies.

use std::collections::BTreeSet;
use std::time::Duration;

use pipeline::id::RunId;

use crate::children::{Role, start};
use crate::host;

/// A process is killed in the middle of its writes, again and again; another one goes on in the same folder.
#[test]
fn nothing_acknowledged_is_lost_when_a_writer_is_killed() {
    const ROUNDS: usize = 5;
    let folder = host::folder();
    let (mut bodies, mut runs) = (BTreeSet::new(), Vec::new());
    for round in 1..=ROUNDS {
        let mut child = start(Role::Write, folder.path());
        for _ in 0..40 * round {
            let line = child.line();
            let (body, run) = line.split_once(' ').expect("two names");
            bodies.insert(body.to_owned());
            runs.push(RunId::new(run).expect("valid"));
        }
        child.child.kill().expect("killed");
        child.child.wait().expect("ended");
    }
    host::block_on(async {
        let local = host::open(folder.path());
        let queue = host::world(&local).queues[0].clone();
        for run in &runs {
            assert!(
                local.backend.runs.load(run).await.expect("loaded").is_some(),
                "{run} is lost"
            );
        }
        let minute = Duration::from_secs(60);
        let received = local
            .backend
            .queue
            .receive(&queue, usize::MAX, minute, Duration::ZERO)
            .await;
        let received: BTreeSet<String> = received.expect("received").into_iter().map(|d| d.body).collect();
        let lost: Vec<&String> = bodies.difference(&received).collect();
        assert!(lost.is_empty(), "{lost:?}");
        // What was under way when the writer died may be there too, but no more than that.
        assert!(
            received.len() <= bodies.len() + ROUNDS * 70,
            "{} messages",
            received.len()
        );
    });
}
