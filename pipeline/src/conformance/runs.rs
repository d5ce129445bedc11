//! What [`RunStore`](crate::ports::RunStore) promises of whole items, lists and the cache. Conditional updates are in
//! [`super::updates`].

use std::time::Duration;

use futures::future::join;

use super::{World, step};
use crate::artifact::{Artifact, Manifest, Origin};
use crate::change::Change;
use crate::digest::Sha256Digest;
use crate::guard::Guard;
use crate::id::{ArtifactName, PipelineName, RunId};
use crate::item::{BranchItem, Item, MemoryClass, RunItem, RunStatus, StepItem};
use crate::ports::{CacheEntry, Created, ErrorKind, ListFilter};
use crate::protocol;
use crate::stage::Outcome;
use crate::time::Timestamp;
use crate::update::{Applied, GuardedUpdate};

pub(super) async fn create(world: &World, item: &Item) {
    let created = world.backend.runs.create(item).await.expect("created");
    assert_eq!(created, Created::New);
}

pub(super) async fn create_run(world: &World, run: &RunItem) {
    create(world, &Item::Run(Box::new(run.clone()))).await;
}

async fn apply(world: &World, update: &GuardedUpdate) -> RunItem {
    match world.backend.runs.apply(update).await.expect("applied") {
        Applied::Done(item) => item.into_run().expect("a run"),
        other => panic!("{update:?} was not done: {other:?}"),
    }
}

pub(super) fn branch(run: &RunItem, step_name: &str, ordinal: u32) -> BranchItem {
    let fan = &run.steps[&step("fan")];
    BranchItem {
        run: run.id.clone(),
        step: step(step_name),
        ordinal,
        max: run.max,
        work: StepItem::new(fan.stage.clone(), fan.after.clone(), MemoryClass::Large),
    }
}

pub(super) fn manifest(run: &RunId) -> Manifest {
    Manifest {
        origin: Origin {
            run: run.clone(),
            step: step("first"),
            ordinal: 0,
            attempt: 1,
        },
        artifacts: vec![Artifact {
            name: ArtifactName::new("model.bin").expect("a valid name"),
            sha256: Sha256Digest::of(b"model"),
            size_bytes: 5,
            table: None,
        }],
    }
}

/// The second attempt gets what the first one stored.
pub async fn an_item_is_created_once(world: &World) {
    let run = world.run_item();
    create_run(world, &run).await;
    let other = RunItem {
        spec: Sha256Digest::of(b"another"),
        ..run.clone()
    };
    let again = world.backend.runs.create(&Item::Run(Box::new(other))).await;
    let Created::Exists(existing) = again.expect("answered") else {
        panic!("created twice");
    };
    assert_eq!(*existing, Item::Run(Box::new(run.clone())));
    assert_eq!(
        world.backend.runs.load(&run.id).await.expect("loaded"),
        Some(run.clone())
    );

    let branch = Item::Branch(Box::new(branch(&run, "fan", 0)));
    create(world, &branch).await;
    let again = world.backend.runs.create(&branch).await.expect("answered");
    assert_eq!(again, Created::Exists(Box::new(branch)));
}

/// None, and no error.
pub async fn an_unknown_run_is_none(world: &World) {
    let id = world.run_id();
    assert_eq!(world.backend.runs.load(&id).await.expect("answered"), None);
    let branches = world.backend.runs.load_branches(&id, None).await;
    assert!(branches.expect("answered").is_empty());
    world
        .backend
        .runs
        .remove(&id)
        .await
        .expect("removing what is gone is success");
}

/// In the order of their numbers, not of their digits.
pub async fn branches_are_loaded_by_step_and_ordinal(world: &World) {
    let run = world.run_item();
    for ordinal in [10, 2, 0, 255] {
        create(world, &Item::Branch(Box::new(branch(&run, "fan", ordinal)))).await;
    }
    create(world, &Item::Branch(Box::new(branch(&run, "fan-too", 1)))).await;
    let ordinals = async |of: Option<&str>| {
        let of = of.map(step);
        let branches = world.backend.runs.load_branches(&run.id, of.as_ref()).await;
        branches
            .expect("loaded")
            .into_iter()
            .map(|b| b.ordinal)
            .collect::<Vec<_>>()
    };
    assert_eq!(ordinals(Some("fan")).await, [0, 2, 10, 255]);
    assert_eq!(ordinals(Some("fan-too")).await, [1]);
    assert!(ordinals(Some("none")).await.is_empty());
    assert_eq!(ordinals(None).await.len(), 5);
}

/// And no other run's.
pub async fn removing_a_run_removes_its_branches(world: &World) {
    let (run, other) = (world.run_item(), world.run_item());
    for run in [&run, &other] {
        create_run(world, run).await;
        create(world, &Item::Branch(Box::new(branch(run, "fan", 0)))).await;
    }
    world.backend.runs.remove(&run.id).await.expect("removed");
    assert_eq!(world.backend.runs.load(&run.id).await.expect("answered"), None);
    let left = async |run: &RunItem| {
        world
            .backend
            .runs
            .load_branches(&run.id, None)
            .await
            .expect("loaded")
            .len()
    };
    assert_eq!(left(&run).await, 0);
    assert_eq!(left(&other).await, 1);
    assert_eq!(
        world.backend.runs.load(&other.id).await.expect("answered"),
        Some(other)
    );
}

/// Runs of one pipeline, of which nobody else has any, made at these times.
async fn runs_made_at(world: &World, times: &[u64]) -> (ListFilter, Vec<RunItem>) {
    let pipeline = PipelineName::new(world.unique("listed")).expect("made of valid parts");
    let mut runs = Vec::new();
    for at in times {
        let run = RunItem {
            created_at: Timestamp(*at),
            ..world.run_item_of(pipeline.clone())
        };
        create_run(world, &run).await;
        runs.push(run);
    }
    let filter = ListFilter {
        pipeline: Some(pipeline),
        status: None,
    };
    (filter, runs)
}

async fn listed(world: &World, filter: &ListFilter) -> Vec<RunId> {
    let page = world.backend.runs.list(filter, None, 100).await.expect("listed");
    assert_eq!(page.next, None);
    page.runs.into_iter().map(|run| run.id).collect()
}

/// By pipeline, by status, by both.
pub async fn runs_are_listed_newest_first(world: &World) {
    let (of_pipeline, runs) = runs_made_at(world, &[3_000, 1_000, 2_000]).await;
    let id = |i: usize| runs[i].id.clone();
    world
        .eventually(vec![id(0), id(2), id(1)], async || {
            listed(world, &of_pipeline).await
        })
        .await;

    apply(world, &protocol::cancel(&id(2), "for the test", Timestamp(4_000))).await;
    let cancelled = ListFilter {
        status: Some(RunStatus::Cancelled),
        ..of_pipeline.clone()
    };
    let open = ListFilter {
        status: Some(RunStatus::Open),
        ..of_pipeline.clone()
    };
    world
        .eventually(vec![id(2)], async || listed(world, &cancelled).await)
        .await;
    world
        .eventually(vec![id(0), id(1)], async || listed(world, &open).await)
        .await;

    // Of all pipelines: others may be among them.
    let any = ListFilter {
        pipeline: None,
        status: Some(RunStatus::Cancelled),
    };
    let mut page = world.backend.runs.list(&any, None, 100).await.expect("listed");
    while !page.runs.iter().any(|run| run.id == id(2)) {
        let next = page.next.expect("the run is on some page");
        page = world
            .backend
            .runs
            .list(&any, Some(&next), 100)
            .await
            .expect("listed");
    }
    assert!(page.runs.iter().all(|run| run.status == RunStatus::Cancelled));
    let mut all = world
        .backend
        .runs
        .list(&ListFilter::default(), None, 100)
        .await
        .expect("listed");
    while !all.runs.iter().any(|run| run.id == id(0)) {
        let next = all.next.expect("the run is on some page");
        all = world
            .backend
            .runs
            .list(&ListFilter::default(), Some(&next), 100)
            .await
            .expect("listed");
    }
}

/// No run is left out and none shown twice, also where several were made at the same moment.
pub async fn lists_come_in_pages(world: &World) {
    let (filter, runs) = runs_made_at(world, &[1_000, 2_000, 2_000, 2_000, 3_000]).await;
    world
        .eventually(5, async || listed(world, &filter).await.len())
        .await;
    let (mut seen, mut page, mut sizes) = (Vec::new(), None, Vec::new());
    loop {
        let part = world
            .backend
            .runs
            .list(&filter, page.as_deref(), 2)
            .await
            .expect("listed");
        sizes.push(part.runs.len());
        seen.extend(part.runs.into_iter().map(|run| (run.created_at, run.id)));
        page = part.next;
        if page.is_none() || sizes.len() > 5 {
            break;
        }
    }
    // A service may answer with an empty last page.
    assert!(sizes.iter().all(|n| *n <= 2) && sizes.len() <= 4, "{sizes:?}");
    assert!(seen.is_sorted_by(|a, b| a.0 >= b.0), "{seen:?}");
    let mut ids: Vec<_> = seen.into_iter().map(|(_, id)| id).collect();
    let mut want: Vec<_> = runs.into_iter().map(|run| run.id).collect();
    ids.sort();
    want.sort();
    assert_eq!(ids, want);
}

/// It came from somewhere else than an answer.
pub async fn a_page_that_is_none_is_refused(world: &World) {
    let filter = ListFilter::default();
    let error = world
        .backend
        .runs
        .list(&filter, Some("no page"), 10)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

/// The sweeper's index: what is due, in the order in which it is due; moved by updates, left by runs that end.
pub async fn open_runs_come_earliest_check_first(world: &World) {
    let mut runs = Vec::new();
    for at in [3_000, 1_000, 2_000, 9_000] {
        let run = RunItem {
            next_check: Some(Timestamp(at)),
            ..world.run_item()
        };
        create_run(world, &run).await;
        runs.push(run);
    }
    let id = |i: usize| runs[i].id.clone();
    let ours = [id(0), id(1), id(2), id(3)];
    let due = async |at| {
        let due = world
            .backend
            .runs
            .open_runs(Timestamp(at), 10_000)
            .await
            .expect("listed");
        due.into_iter().filter(|id| ours.contains(id)).collect::<Vec<_>>()
    };
    world
        .eventually(vec![id(1), id(2), id(0)], async || due(3_000).await)
        .await;
    assert_eq!(due(999).await, []);

    let moved = GuardedUpdate::run(
        &id(1),
        vec![Guard::NextCheckIs(Timestamp(1_000))],
        vec![Change::NextCheck(Timestamp(8_000))],
    );
    apply(world, &moved).await;
    let ended = apply(world, &protocol::cancel(&id(2), "for the test", Timestamp(4_000))).await;
    assert_eq!(ended.next_check, None);
    world
        .eventually(vec![id(0), id(1)], async || due(8_000).await)
        .await;
    let first = world
        .backend
        .runs
        .open_runs(Timestamp(u64::MAX), 1)
        .await
        .expect("listed");
    assert_eq!(first.len(), 1);
}

/// At once for a run that has ended, and never later than asked.
pub async fn waiting_for_an_end_ends(world: &World) {
    let run = world.run_item();
    create_run(world, &run).await;
    let runs = &world.backend.runs;
    let ((), took) = world
        .timed(runs.wait_for_end(&run.id, Duration::from_secs(1)))
        .await;
    assert!(
        took >= Duration::from_millis(900),
        "an open run was waited for {took:?} only"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");

    let cancel = async {
        world.pass(1).await;
        apply(
            world,
            &protocol::cancel(&run.id, "for the test", world.host.clock.now()),
        )
        .await;
    };
    let wait = world.timed(runs.wait_for_end(&run.id, Duration::from_secs(4)));
    let (((), took), ()) = join(wait, cancel).await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    let ((), took) = world
        .timed(runs.wait_for_end(&world.run_id(), Duration::from_secs(1)))
        .await;
    assert!(
        took < Duration::from_secs(5),
        "an unknown run was waited for {took:?}"
    );
}

/// Absent, there, replaced.
pub async fn the_cache_keeps_the_last_entry(world: &World) {
    let key = Sha256Digest::of(world.unique("key").as_bytes());
    assert_eq!(world.backend.runs.cache_get(&key).await.expect("answered"), None);
    for at in [1, 2] {
        let entry = CacheEntry {
            manifest: manifest(&world.run_id()),
            outcome: Outcome::FanOut { branches: 3 },
            parts: [("params".to_owned(), key)].into(),
            cached_at: Timestamp(at),
        };
        world.backend.runs.cache_put(&key, &entry).await.expect("stored");
        assert_eq!(
            world.backend.runs.cache_get(&key).await.expect("answered"),
            Some(entry)
        );
    }
}

/// The one by which workers judge their clocks.
pub async fn the_server_has_a_time(world: &World) {
    let server = world.backend.runs.server_time().await.expect("answered");
    let ours = world.host.clock.now();
    let off = ours.since(server).max(server.since(ours));
    assert!(
        off < Duration::from_secs(5),
        "the server's clock is {off:?} off ours"
    );
    world.pass(2).await;
    let later = world.backend.runs.server_time().await.expect("answered");
    assert!(later > server, "the server's clock stands still");
}
