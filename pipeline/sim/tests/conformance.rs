//! The simulated backend keeps what every backend promises, while nothing goes wrong.

use std::sync::Arc;
use std::time::Duration;

use pipeline::conformance::World as Conformance;
use sim::host::{Surroundings, Toil};
use sim::{SCRIPT, Seeded, Simulation, Trace, World};

/// Runs the case in a world of its own, in which time is virtual.
fn with_world(case: impl AsyncFnOnce(&Conformance)) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let simulation = Simulation::new(7, Trace::hashing());
    let world = World::new(simulation.clone(), 7, Duration::from_secs(30), true);
    let work = Arc::new(|| Toil::Takes(Duration::ZERO));
    let surroundings = Surroundings::new(simulation.clone(), SCRIPT, work);
    let conformance = Conformance {
        backend: world.link(SCRIPT).backend(),
        host: surroundings.host(Seeded::new(7, 3)),
        queues: ["one", "two-large"].map(|name| name.parse().expect("a valid name")),
        scratch: scratch.path().to_owned(),
        refuses_stale_receipts: true,
        put_source: Box::new({
            let world = world.clone();
            move |_, name, bytes| {
                let uri = format!("sim://sources/{name}");
                world.stores().sources.put(&uri, bytes.to_vec());
                Box::pin(async move { uri })
            }
        }),
    };
    simulation.block_on(async { case(&conformance).await });
}

pipeline::conformance_tests!(crate::with_world);
