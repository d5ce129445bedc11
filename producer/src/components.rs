//! The components of the fleet, as `deploy/components.toml` lists them.

use std::collections::BTreeMap;
use std::path::Path;

use pipeline::spec::CATALOGUE;
use pipeline::{MemoryClass, QueueName, StageName};
use serde::Deserialize;

use crate::exit::Failure;
use crate::prices::Architecture;

/// The list that this producer was built with.
pub const BUILT_IN: &str = include_str!("../../deploy/components.toml");

/// One component.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The memory of one of its workers, in each class that it is deployed in.
    pub classes: BTreeMap<MemoryClass, String>,
    /// How its tasks run on AWS. A list that is only there to make queues of need not say it.
    pub fargate: Option<Fargate>,
}

/// How a component's tasks run on AWS: `deploy/bin/deploy` makes parameters of it. Read here too, so that a list with a word
/// that means nothing is refused by whoever reads it first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fargate {
    /// The processors of a task, in each class.
    pub vcpus: BTreeMap<MemoryClass, f64>,
    /// The fewest tasks, in each class.
    pub min_tasks: BTreeMap<MemoryClass, u32>,
    /// The most tasks, in each class.
    pub max_tasks: BTreeMap<MemoryClass, u32>,
    /// What its processors understand.
    pub architecture: Architecture,
    /// The share of tasks on Fargate Spot.
    pub spot_percent: u8,
    /// How long a message may wait.
    pub acceptable_latency_seconds: u32,
    /// How long a message takes, as measured.
    pub stage_seconds: f64,
}

/// All of them, by the name of their stage.
pub type Components = BTreeMap<StageName, Component>;

/// Reads the list.
pub fn read(text: &str) -> Result<Components, String> {
    toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())
}

/// The queues of the components in a file, or of those that this producer was built with.
pub fn queues_of(file: Option<&Path>, with_test_stages: bool) -> Result<Vec<QueueName>, Failure> {
    let list = match file {
        None => BUILT_IN.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| Failure::Usage(format!("cannot read {}: {e}", path.display())))?,
    };
    let mut queues = queues(&read(&list).map_err(Failure::Usage)?);
    if with_test_stages {
        queues.extend(test_queues());
    }
    Ok(queues)
}

/// The queues of these components.
pub fn queues(components: &Components) -> Vec<QueueName> {
    let of = |(stage, component): (&StageName, &Component)| {
        let stage = stage.clone();
        let classes: Vec<MemoryClass> = component.classes.keys().copied().collect();
        classes.into_iter().map(move |class| QueueName {
            stage: stage.clone(),
            class,
        })
    };
    components.iter().flat_map(of).collect()
}

/// The queues of the stages that only tests and benches use, which are in no list.
pub fn test_queues() -> Vec<QueueName> {
    let kinds = CATALOGUE.iter().filter(|kind| kind.for_tests);
    kinds
        .flat_map(|kind| {
            let stage = StageName::new(kind.name).expect("names in the catalogue are ids; a test holds it");
            let classes = MemoryClass::ALL
                .into_iter()
                .filter(|class| *class <= kind.largest);
            classes.map(move |class| QueueName {
                stage: stage.clone(),
                class,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_the_intake_and_every_stage_in_all_of_its_classes() {
        let components = read(BUILT_IN).expect("the list can be read");
        let kinds: Vec<_> = CATALOGUE.iter().filter(|kind| !kind.for_tests).collect();
        let mut names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        names.push(pipeline::intake::QUEUE);
        names.sort_unstable();
        let listed: Vec<&str> = components.keys().map(StageName::as_str).collect();
        assert_eq!(listed, names);
        for kind in kinds {
            let stage = StageName::new(kind.name).expect("valid");
            let classes: Vec<MemoryClass> = components[&stage].classes.keys().copied().collect();
            let wanted = MemoryClass::ALL
                .into_iter()
                .filter(|class| *class <= kind.largest);
            assert_eq!(classes, wanted.collect::<Vec<_>>(), "{}", kind.name);
        }
    }

    #[test]
    fn the_list_says_of_every_component_how_its_tasks_run() {
        for (name, component) in read(BUILT_IN).expect("the list can be read") {
            let fargate = component.fargate.expect("a component that can be deployed");
            let classes: Vec<_> = component.classes.keys().collect();
            assert_eq!(fargate.vcpus.keys().collect::<Vec<_>>(), classes, "{name}: vcpus");
            assert_eq!(
                fargate.min_tasks.keys().collect::<Vec<_>>(),
                classes,
                "{name}: min_tasks"
            );
            assert_eq!(
                fargate.max_tasks.keys().collect::<Vec<_>>(),
                classes,
                "{name}: max_tasks"
            );
            assert!(fargate.vcpus.values().all(|n| *n > 0.0), "{name}");
            for (class, max) in &fargate.max_tasks {
                assert!(*max > 0 && fargate.min_tasks[class] <= *max, "{name}: {class}");
            }
            assert!(fargate.spot_percent <= 100, "{name}");
            // How many messages may wait for a task: at least one, or the fleet grows for every single one.
            assert!(
                fargate.stage_seconds > 0.0
                    && f64::from(fargate.acceptable_latency_seconds) >= fargate.stage_seconds,
                "{name}"
            );
        }
    }

    #[test]
    fn other_lists_are_explained() {
        for (text, part) in [
            ("[train]\nclass = 1", "class"),
            ("[train]\nclasses = { huge = \"1GiB\" }", "huge"),
            ("[Train]\nclasses = {}", "Train"),
            ("[train]\nclasses = {}\n[train.fargate]\ncpus = {}", "cpus"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
    }
}
