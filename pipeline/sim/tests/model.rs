//! The protocol as it is keeps every invariant, in every reachable state of the small scenarios; and the search saw
//! what it must have seen to prove anything.

use sim::model::Protocol;
use sim::model::invariant::{Event, Events};
use sim::model::scenario::{Scenario, Size, scenarios};
use sim::model::search::{Found, search};
use stateright::{Checker, Model};

fn holds(scenario: Scenario) -> Found {
    let protocol = Protocol::new(scenario, None);
    let found = search(&protocol, usize::MAX, |_| ());
    if let Some(example) = &found.broken {
        let trace = protocol.narrate(&example.actions).join("\n  ");
        panic!(
            "{}: {}\n  {trace}",
            protocol.scenario.name,
            example.invariant.title()
        );
    }
    assert!(
        found.is_complete,
        "{}: not every state was seen",
        protocol.scenario.name
    );
    println!(
        "{}: {} states, {} transitions, depth {}",
        protocol.scenario.name, found.states, found.transitions, found.depth
    );
    found
}

#[test]
fn every_invariant_holds_and_everything_happens() {
    let mut seen = Events::default();
    for scenario in scenarios(Size::Small) {
        let promotes = scenario.promotes;
        let found = holds(scenario);
        assert!(
            found.events.has(Event::Succeeded),
            "a scenario in which nothing succeeds proves nothing"
        );
        assert_eq!(found.events.has(Event::Promoted), promotes);
        seen.add(found.events);
    }
    for event in Event::ALL {
        assert!(seen.has(event), "no scenario shows {event:?}");
    }
}

/// Two searches that share no code but the model come to the same states and the same verdict.
#[test]
fn stateright_agrees() {
    for scenario in [Scenario::redelivery(), Scenario::promotion()] {
        let found = holds(scenario.clone());
        let checker = Protocol::new(scenario, None).checker().spawn_bfs().join();
        checker.assert_properties();
        assert_eq!(checker.unique_state_count(), found.states);
    }
}

/// A limit that is met is told: what was not searched is not called safe.
#[test]
fn a_search_that_was_cut_short_says_so() {
    let search_of = |max_states| {
        let protocol = Protocol::new(Scenario::redelivery(), None);
        search(&protocol, max_states, |_| ())
    };
    let found = search_of(1_000);
    assert!(
        !found.is_complete && !found.checked_l2 && found.broken.is_none(),
        "{found:?}"
    );
}
