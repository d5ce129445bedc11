//! What people share with workers may be done twice, whatever became of the first time.

use std::sync::Arc;
use std::time::Duration;

use pipeline::item::Budget;
use pipeline::operate::{self, Resumption};
use pipeline::plan::{Birth, Plan, PlanStep};
use pipeline::{MemoryClass, PipelineName, RunId, RunItem, Sha256Digest, StageName, StepName, protocol};
use sim::host::EPOCH;
use sim::{SCRIPT, Simulation, Trace, World};

fn run() -> RunItem {
    let step = PlanStep {
        step: StepName::new("only").expect("valid"),
        stage: StageName::new("noop").expect("valid"),
        largest: MemoryClass::Standard,
        branches: None,
        min_succeeded: 1,
    };
    let birth = Birth {
        id: RunId::new("parent").expect("valid"),
        pipeline: PipelineName::new("p").expect("valid"),
        spec: Sha256Digest::of(b"spec"),
        max: Budget::DEFAULT_MAX,
        now: EPOCH,
        deadline: Duration::from_secs(3600),
    };
    birth.item(&Plan::new(vec![step]).expect("a plan"))
}

/// How many messages about the run there are.
fn messages(world: &Arc<World>, run: &RunId) -> usize {
    let stores = world.stores();
    stores
        .queues
        .all()
        .filter(|(_, message)| message.body.contains(run.as_str()))
        .count()
}

/// Found by simulation: whoever resumed died before it sent, and only the sweeper drove the run on.
#[test]
fn a_resumption_asked_for_again_sends_again_until_its_work_is_claimed() {
    let simulation = Simulation::new(1, Trace::hashing());
    let world = World::new(simulation.clone(), 1, Duration::from_secs(30), true);
    let backend = world.link(SCRIPT).backend();
    simulation.block_on(async {
        let parent = run().id;
        operate::submit(&backend, run()).await.expect("submitted");
        let cancel = protocol::cancel(&parent, "for the test", world.now());
        backend.runs.apply(&cancel).await.expect("cancelled");
        let resume = async || {
            operate::resume(&backend, &parent, world.now())
                .await
                .expect("answered")
        };
        let Resumption::New(resumed) = resume().await else {
            panic!("it was not resumed before");
        };
        assert_eq!(messages(&world, &resumed.id), 1);
        // As if the first one had died before it sent.
        assert!(matches!(resume().await, Resumption::Already(again) if again.id == resumed.id));
        assert_eq!(messages(&world, &resumed.id), 2, "it is sent again");
        let who = protocol::Claimant {
            queue: "noop".parse().expect("valid"),
            owner: pipeline::Nonce::new("claim").expect("valid"),
            version: "1".to_owned(),
        };
        let work = protocol::Work {
            run: resumed.id.clone(),
            step: StepName::new("only").expect("valid"),
            branch: None,
        };
        let claim = protocol::claim(&work, None, &who, world.now(), Duration::from_secs(30));
        let claimed = backend.runs.apply(&claim).await.expect("answered");
        assert!(
            matches!(claimed, pipeline::update::Applied::Done(_)),
            "{claimed:?}"
        );
        resume().await;
        assert_eq!(messages(&world, &resumed.id), 2, "somebody is at it");
    });
    simulation.end();
}
