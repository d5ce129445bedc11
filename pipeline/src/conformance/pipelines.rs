//! What [`Pipelines`](crate::ports::Pipelines) promises.

use futures::future::join_all;

use super::World;
use crate::id::PipelineName;
use crate::intake::Definition;
use crate::ports::Entered;
use crate::time::Timestamp;

fn definition(world: &World) -> Definition {
    Definition {
        name: PipelineName::new(world.unique("pipeline")).expect("made of valid parts"),
        text: "pipeline = \"p\"\n# Käse\n".into(),
        folder: "/pipelines".into(),
        sources: [("/pipelines/a.csv".to_owned(), "s3://own/a.csv".to_owned())].into(),
        applied_at: Timestamp(1),
    }
}

/// Under its name, until it is replaced or removed.
pub async fn a_pipeline_is_kept_under_its_name(world: &World) {
    let pipelines = &world.backend.pipelines;
    let mut kept = definition(world);
    assert_eq!(pipelines.get(&kept.name).await.expect("answered"), None);
    for at in [1, 2] {
        kept.applied_at = Timestamp(at);
        pipelines.put(&kept).await.expect("kept");
        assert_eq!(
            pipelines.get(&kept.name).await.expect("answered"),
            Some(kept.clone())
        );
    }
    let all = pipelines.list().await.expect("listed");
    assert_eq!(all.iter().filter(|one| **one == kept).count(), 1);
    assert!(all.is_sorted_by(|a, b| a.name <= b.name), "{all:?}");
    assert!(pipelines.remove(&kept.name).await.expect("removed"));
    assert!(
        !pipelines.remove(&kept.name).await.expect("answered"),
        "it was gone"
    );
    assert_eq!(pipelines.get(&kept.name).await.expect("answered"), None);
}

/// And are given back.
pub async fn places_are_taken_once(world: &World) {
    let (pipelines, name) = (&world.backend.pipelines, definition(world).name);
    let runs = [world.run_id(), world.run_id(), world.run_id()];
    let enter = async |n: usize| pipelines.enter(&name, &runs[n], 2).await.expect("answered");
    assert_eq!(enter(0).await, Entered::In);
    assert_eq!(enter(0).await, Entered::In, "it has it already");
    assert_eq!(enter(1).await, Entered::In);
    let Entered::Full(mut taken) = enter(2).await else {
        panic!("a third place");
    };
    let mut want = runs[..2].to_vec();
    taken.sort();
    want.sort();
    assert_eq!(taken, want);
    assert_eq!(enter(1).await, Entered::In, "it has it still");
    for _ in 0..2 {
        pipelines.leave(&name, &runs[0]).await.expect("given back");
    }
    assert_eq!(enter(2).await, Entered::In);
}

/// However many ask at the same moment.
pub async fn of_racing_runs_no_more_enter_than_there_are_places(world: &World) {
    let (pipelines, name) = (&world.backend.pipelines, definition(world).name);
    let runs: Vec<_> = (0..20).map(|_| world.run_id()).collect();
    let answers = join_all(runs.iter().map(|run| pipelines.enter(&name, run, 3))).await;
    let entered = answers
        .into_iter()
        .filter(|answer| matches!(answer, Ok(Entered::In)));
    assert_eq!(entered.count(), 3);
}
