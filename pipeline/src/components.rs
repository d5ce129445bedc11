//! The components of the fleet, as `deploy/components.toml` lists them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::StageName;
use crate::item::{MemoryClass, QueueName};
use crate::spec::CATALOGUE;

/// The list that this program was built with.
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

/// What processors a task has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Architecture {
    /// Intel and AMD.
    #[default]
    #[serde(rename = "x86_64", alias = "X86_64", alias = "x86-64", alias = "amd64")]
    X86,
    /// Graviton.
    #[serde(rename = "arm64", alias = "ARM64", alias = "aarch64")]
    Arm,
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

impl Component {
    /// The memory of one of its workers in that class, if it is deployed in it and that is a size.
    pub fn memory_bytes(&self, class: MemoryClass) -> Option<u64> {
        memory_bytes(self.classes.get(&class)?)
    }
}

/// Reads `4GiB`, `512MiB`, `0.5GiB`; `GB` and `MB` are read as AWS means them, which is GiB and MiB.
pub fn memory_bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let shift = match unit.trim() {
        "GiB" | "GB" => 30,
        "MiB" | "MB" => 20,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * f64::from(1u32 << shift);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "digits and a point make no negative number, and what is too large is cut to the largest"
    )]
    Some(bytes as u64)
}

/// All of them, by the name of their stage.
pub type Components = BTreeMap<StageName, Component>;

/// Reads the list.
pub fn read(text: &str) -> Result<Components, String> {
    toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())
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
        names.push(crate::intake::QUEUE);
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
