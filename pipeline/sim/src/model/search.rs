//! The search: every reachable state once, breadth first, and the graph between them.
//!
//! It goes over the same [`stateright::Model`] as stateright's own checkers. It exists because L2 asks whether a
//! terminal state is *reachable from every* state (EF in temporal logic), which none of those can say: their
//! `eventually` speaks of every path, and forgets cycles. So the search keeps the edges that are progress, and goes
//! back along them from the terminal states.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use stateright::Model;

use super::action::Action;
use super::invariant::{Events, Invariant};
use super::protocol::Protocol;
use super::scenario::Delivery;
use super::state::State;

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// Transitions, those included that lead to a known state.
    pub transitions: usize,
    /// The longest of the shortest ways to a state, in actions.
    pub depth: usize,
    /// What was seen.
    pub events: Events,
    /// The first counterexample.
    pub broken: Option<Counterexample>,
    /// True if every reachable state was seen: there is no counterexample and no limit was met.
    pub is_complete: bool,
    /// True if L2 was checked.
    pub checked_l2: bool,
}

/// A shortest way to a state that breaks an invariant.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// What is broken.
    pub invariant: Invariant,
    /// What happened, from the first state on.
    pub actions: Vec<Action>,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Different states so far.
    pub states: usize,
    /// States whose successors are not known yet.
    pub waiting: usize,
    /// Actions from the first state.
    pub depth: usize,
}

/// A number that is a hash already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("fingerprints are written as one number");
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// States are told apart by 64 bits: among ten million, two differ in nothing of that with a probability of 3 in a million.
fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

struct Graph {
    ids: HashMap<u64, u32, BuildHasherDefault<Same>>,
    /// For each state, the state that it was first reached from, and by which of its actions.
    from: Vec<(u32, u16)>,
    /// Edges that are progress.
    progress: Vec<(u32, u32)>,
    terminal: Vec<u32>,
}

/// Searches every reachable state, breadth first, and stops at the first that breaks an invariant, or after
/// `max_states`. `tell` hears of the progress now and then.
pub fn search(protocol: &Protocol, max_states: usize, mut tell: impl FnMut(Progress)) -> Found {
    let mut found = Found {
        states: 0,
        transitions: 0,
        depth: 0,
        events: Events::default(),
        broken: None,
        is_complete: false,
        checked_l2: false,
    };
    let mut graph = Graph {
        ids: HashMap::default(),
        from: Vec::new(),
        progress: Vec::new(),
        terminal: Vec::new(),
    };
    let keeps_edges = protocol.scenario.delivery != Delivery::Anything;
    let mut waiting = VecDeque::new();
    for state in protocol.init_states() {
        graph.ids.insert(fingerprint(&state), 0);
        graph.from.push((0, u16::MAX));
        waiting.push_back((0u32, 0usize, state));
    }
    let mut actions = Vec::new();
    while let Some((id, depth, state)) = waiting.pop_front() {
        found.depth = depth;
        if id % 65_536 == 0 && id > 0 {
            tell(Progress {
                states: graph.from.len(),
                waiting: waiting.len(),
                depth,
            });
        }
        let broken = protocol.broken(&state);
        if let Some(invariant) = Invariant::SAFETY.into_iter().find(|i| broken.has(*i)) {
            found.states = graph.from.len();
            found.broken = Some(Counterexample {
                invariant,
                actions: graph.way_to(protocol, id),
            });
            return found;
        }
        if protocol.is_terminal(&state) {
            graph.terminal.push(id);
        }
        protocol.actions(&state, &mut actions);
        for (at, action) in actions.drain(..).enumerate() {
            let Some(step) = protocol.step(&state, action) else {
                continue;
            };
            found.transitions += 1;
            found.events.add(step.events);
            let new = u32::try_from(graph.from.len()).expect("memory ends long before 2^32 states");
            let to = match graph.ids.entry(fingerprint(&step.state)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(place) => {
                    place.insert(new);
                    graph.from.push((id, at as u16));
                    waiting.push_back((new, depth + 1, step.state));
                    new
                }
            };
            if keeps_edges && action.is_progress() {
                graph.progress.push((id, to));
            }
        }
        if graph.from.len() >= max_states {
            found.states = graph.from.len();
            return found;
        }
    }
    found.states = graph.from.len();
    if keeps_edges {
        found.checked_l2 = true;
        if let Some(stuck) = graph.first_stuck() {
            found.broken = Some(Counterexample {
                invariant: Invariant::L2,
                actions: graph.way_to(protocol, stuck),
            });
            return found;
        }
    }
    found.is_complete = true;
    found
}

impl Graph {
    /// The actions that lead to a state.
    fn way_to(&self, protocol: &Protocol, id: u32) -> Vec<Action> {
        let mut choices = Vec::new();
        let mut at = id;
        while at != 0 {
            let (from, action) = self.from[at as usize];
            choices.push(usize::from(action));
            at = from;
        }
        let mut state = protocol.first_state();
        let mut way = Vec::new();
        for choice in choices.into_iter().rev() {
            let mut actions = Vec::new();
            protocol.actions(&state, &mut actions);
            let action = actions[choice];
            state = protocol
                .step(&state, action)
                .expect("this action was taken before")
                .state;
            way.push(action);
        }
        way
    }

    /// The first state from which no terminal one can be reached by progress.
    fn first_stuck(&self) -> Option<u32> {
        let n = self.from.len();
        // The edges by their target: those of `to` are in `sources[starts[to]..starts[to + 1]]`.
        let mut starts = vec![0u32; n + 1];
        for (_, to) in &self.progress {
            starts[*to as usize + 1] += 1;
        }
        for i in 0..n {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut sources = vec![0u32; self.progress.len()];
        for (from, to) in &self.progress {
            let at = &mut next[*to as usize];
            sources[*at as usize] = *from;
            *at += 1;
        }
        let mut is_live = vec![false; n];
        let mut todo = self.terminal.clone();
        todo.iter().for_each(|id| is_live[*id as usize] = true);
        while let Some(to) = todo.pop() {
            let range = starts[to as usize] as usize..starts[to as usize + 1] as usize;
            for from in &sources[range] {
                if !std::mem::replace(&mut is_live[*from as usize], true) {
                    todo.push(*from);
                }
            }
        }
        is_live
            .iter()
            .position(|live| !live)
            .and_then(|id| u32::try_from(id).ok())
    }
}
