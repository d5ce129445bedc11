//! Searches the protocol's model.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use serde_json::json;
use sim::model::Protocol;
use sim::model::invariant::{Event, Invariant};
use sim::model::mutant::Mutant;
use sim::model::scenario::{Delivery, Scenario, Size, scenarios};
use sim::model::search::{Found, Progress, search};

/// Searches every state that the protocol can reach in small runs, whatever goes wrong.
///
/// Workers die at any point, leases are stolen, messages come twice, late, in any order or not at all, answers are
/// lost, requests take effect long after they were sent. Each scenario is a small plan with some of that. In every
/// state every invariant is judged (ARCHITECTURE.md lists them), and from every state a run must be able to end.
#[derive(Parser)]
#[command(
    name = "model-check",
    version,
    after_long_help = "Examples:\n  \
        model-check                                        every small scenario, in seconds\n  \
        model-check --size medium                          after a change to pipeline/src/protocol\n  \
        model-check --scenario fan                         one scenario only\n  \
        model-check --scenario zombies --mutant attempt-refunded   what goes wrong if attempts are counted down\n\n\
        Ends with 0 if every invariant holds, with 1 if one is broken (the shortest way to it is shown), with 2 if the\n\
        arguments are wrong, and with 3 if --max-states cut the search short, so that nothing is proven."
)]
struct Arguments {
    /// How much to search.
    #[arg(long, value_enum, default_value = "small")]
    size: SizeName,
    /// Search this scenario only, of whatever size. `--list` names them.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Put a mistake into the protocol, to see it caught.
    #[arg(long, value_name = "NAME")]
    mutant: Option<Mutant>,
    /// Stop a scenario after this many states. Ten million states take about 2 GB.
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    max_states: usize,
    /// Write one line of JSON for each scenario instead of a table.
    #[arg(long)]
    json: bool,
    /// Name the scenarios and the mutants, and search nothing.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SizeName {
    /// Seconds: what the tests search.
    Small,
    /// Minutes.
    Medium,
    /// Hours, and many gigabytes of memory: see --max-states.
    Large,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        return list();
    }
    let size = match arguments.size {
        SizeName::Small => Size::Small,
        SizeName::Medium => Size::Medium,
        SizeName::Large => Size::Large,
    };
    let chosen = match &arguments.scenario {
        None => scenarios(size),
        Some(name) => scenarios(Size::Large)
            .into_iter()
            .filter(|s| s.name == name)
            .collect(),
    };
    if chosen.is_empty() {
        let names: Vec<&str> = scenarios(Size::Large).iter().map(|s| s.name).collect();
        eprintln!(
            "error: there is no such scenario; use one of {}",
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    let mut code = 0;
    for scenario in chosen {
        let protocol = Protocol::new(scenario, arguments.mutant);
        let (found, took) = timed(&protocol, arguments.max_states);
        if arguments.json {
            println!("{}", as_json(&protocol, &found, took));
        } else {
            show(&protocol, &found, took);
        }
        code = match (&found.broken, found.is_complete) {
            (Some(_), _) => 1,
            (None, false) if code == 0 => 3,
            (None, _) => code,
        };
    }
    ExitCode::from(code)
}

#[allow(
    clippy::disallowed_methods,
    reason = "the edge of a binary: how long a search took is for people"
)]
fn timed(protocol: &Protocol, max_states: usize) -> (Found, Duration) {
    let started = Instant::now();
    let mut told = Duration::ZERO;
    let found = search(
        protocol,
        max_states,
        |Progress {
             states,
             waiting,
             depth,
         }| {
            if started.elapsed() >= told + Duration::from_secs(5) {
                told = started.elapsed();
                let name = protocol.scenario.name;
                // Nobody has to read it.
                let _ = writeln!(
                    std::io::stderr(),
                    "{name}: {states} states after {} s, {waiting} of them to be looked at, depth {depth}",
                    told.as_secs()
                );
            }
        },
    );
    (found, started.elapsed())
}

fn list() -> ExitCode {
    for scenario in scenarios(Size::Large) {
        println!("{:16} {}", scenario.name, scenario.about);
    }
    println!("\nmutants:");
    for mutant in Mutant::ALL {
        println!("  {mutant}");
    }
    ExitCode::SUCCESS
}

/// What became of an invariant: it holds, is broken, or was not judged to the end.
fn verdict(scenario: &Scenario, found: &Found, invariant: Invariant) -> &'static str {
    match &found.broken {
        Some(example) if example.invariant == invariant => "broken",
        _ if invariant == Invariant::L2 && scenario.delivery == Delivery::Anything => "not asked",
        _ if found.is_complete => "holds",
        // Everything was searched for safety before L2 was judged.
        Some(example) if example.invariant == Invariant::L2 => "holds",
        Some(_) | None => "open",
    }
}

fn invariants() -> impl Iterator<Item = Invariant> {
    Invariant::SAFETY.into_iter().chain([Invariant::L2])
}

fn show(protocol: &Protocol, found: &Found, took: Duration) {
    let Scenario { name, about, .. } = protocol.scenario;
    println!("{name}: {about}");
    println!(
        "  {} states, {} transitions, depth {}, {:.1} s{}",
        found.states,
        found.transitions,
        found.depth,
        took.as_secs_f64(),
        if found.is_complete || found.broken.is_some() {
            ""
        } else {
            "; CUT SHORT, nothing is proven"
        }
    );
    let verdicts: Vec<String> = invariants()
        .map(|i| format!("{i} {}", verdict(&protocol.scenario, found, i)))
        .collect();
    println!("  {}", verdicts.join(", "));
    let seen: Vec<String> = Event::ALL
        .into_iter()
        .filter(|event| found.events.has(*event))
        .map(|event| format!("{event:?}"))
        .collect();
    println!("  seen: {}", seen.join(", "));
    if let Some(example) = &found.broken {
        println!("  BROKEN: {}", example.invariant.title());
        for (n, line) in protocol.narrate(&example.actions).iter().enumerate() {
            println!("  {:>3}. {line}", n + 1);
        }
        if example.invariant == Invariant::L2 {
            println!("       and from here no terminal state can be reached");
        }
    }
}

fn as_json(protocol: &Protocol, found: &Found, took: Duration) -> serde_json::Value {
    let verdicts: serde_json::Map<String, serde_json::Value> = invariants()
        .map(|i| (i.to_string(), verdict(&protocol.scenario, found, i).into()))
        .collect();
    let seen: Vec<String> = Event::ALL
        .into_iter()
        .filter(|event| found.events.has(*event))
        .map(|event| format!("{event:?}"))
        .collect();
    json!({
        "scenario": protocol.scenario.name,
        "mutant": protocol.mutant.map(|mutant| mutant.to_string()),
        "states": found.states,
        "transitions": found.transitions,
        "depth": found.depth,
        "duration_ms": pipeline::time::millis(took),
        "complete": found.is_complete,
        "invariants": verdicts,
        "seen": seen,
        "counterexample": found.broken.as_ref().map(|example| protocol.narrate(&example.actions)),
    })
}
