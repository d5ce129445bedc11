//! How large a component's tasks are, as `deploy/components.toml` says it; and what Fargate has.

use pipeline::components::{self, Architecture, BUILT_IN, Components};
use pipeline::{MemoryClass, StageName};

/// What is said of one component in one memory class.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizing {
    /// Memory of a task, in GB as Fargate counts them (GiB).
    pub memory_gb: f64,
    /// Virtual processors of a task.
    pub vcpu: f64,
    /// Of its processors.
    pub architecture: Architecture,
    /// The part of its tasks on Fargate Spot.
    pub spot_share: f64,
    /// The fewest tasks.
    pub min: u32,
    /// The most tasks.
    pub max: u32,
    /// How long a message may wait.
    pub acceptable_latency_seconds: f64,
    /// How long one message takes.
    pub stage_seconds: f64,
}

impl Sizing {
    /// Of the list that this producer was built with.
    pub fn of(component: &str, class: MemoryClass) -> Result<Self, String> {
        Self::find(&components::read(BUILT_IN)?, component, class)
    }

    fn find(list: &Components, component: &str, class: MemoryClass) -> Result<Self, String> {
        let unknown = || format!("deploy/components.toml has no component {component:?}");
        let name = StageName::new(component).map_err(|_| unknown())?;
        let one = list.get(&name).ok_or_else(unknown)?;
        let memory = one.classes.get(&class);
        let memory = memory.ok_or_else(|| format!("{component} is not deployed in the class {class}"))?;
        let tasks = one
            .fargate
            .as_ref()
            .ok_or_else(|| format!("deploy/components.toml has no section {component}.fargate"))?;
        let missing = |key| format!("deploy/components.toml: {component}.fargate.{key} has no class {class}");
        Ok(Self {
            memory_gb: gigabytes(memory)
                .ok_or_else(|| format!("deploy/components.toml: {component}: {memory:?} is no memory"))?,
            vcpu: *tasks.vcpus.get(&class).ok_or_else(|| missing("vcpus"))?,
            architecture: tasks.architecture,
            spot_share: f64::from(tasks.spot_percent) / 100.0,
            min: *tasks.min_tasks.get(&class).ok_or_else(|| missing("min_tasks"))?,
            max: *tasks.max_tasks.get(&class).ok_or_else(|| missing("max_tasks"))?,
            acceptable_latency_seconds: f64::from(tasks.acceptable_latency_seconds),
            stage_seconds: tasks.stage_seconds,
        })
    }
}

/// Virtual processors, and the memory in GB that Fargate has with them.
const FARGATE: [(f64, f64, f64); 7] = [
    (0.25, 0.5, 2.0),
    (0.5, 1.0, 4.0),
    (1.0, 2.0, 8.0),
    (2.0, 4.0, 16.0),
    (4.0, 8.0, 30.0),
    (8.0, 16.0, 60.0),
    (16.0, 32.0, 120.0),
];

/// Says what is wrong with a task that Fargate has not.
pub fn check_task(vcpu: f64, memory_gb: f64) -> Result<(), String> {
    let with = FARGATE.iter().find(|(has, _, _)| (has - vcpu).abs() < 1e-9);
    match with {
        Some((_, least, most)) if (*least..=*most).contains(&memory_gb) => Ok(()),
        Some((_, least, most)) => Err(format!(
            "Fargate has no task of {vcpu} vCPU and {memory_gb} GB: with {vcpu} vCPU it has {least} to {most} GB"
        )),
        None => Err(format!(
            "Fargate has no task of {vcpu} vCPU: it has 0.25, 0.5, 1, 2, 4, 8 and 16"
        )),
    }
}

/// `4GiB`, `512MiB`.
pub fn gigabytes(text: &str) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a task's memory is far below 2^53 bytes"
    )]
    components::memory_bytes(text).map(|bytes| bytes as f64 / f64::from(1u32 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_is_a_task_that_fargate_has() {
        for (name, component) in components::read(BUILT_IN).expect("the list can be read") {
            for class in component.classes.keys() {
                let sizing = Sizing::of(name.as_str(), *class).expect("all is said");
                assert_eq!(
                    check_task(sizing.vcpu, sizing.memory_gb),
                    Ok(()),
                    "{name} {class}"
                );
            }
        }
    }

    #[test]
    fn what_is_said_of_a_class_is_found() {
        let text = "[train]\nclasses = { standard = \"4GiB\", large = \"16GiB\" }\n[train.fargate]\n\
                    vcpus = { standard = 2, large = 4 }\nmin_tasks = { standard = 1, large = 0 }\n\
                    max_tasks = { standard = 10, large = 4 }\narchitecture = \"arm64\"\nspot_percent = 75\n\
                    acceptable_latency_seconds = 600\nstage_seconds = 2.06\n[other]\nclasses = { standard = \"1GiB\" }\n";
        let list = components::read(text).expect("it can be read");
        let train = Sizing::find(&list, "train", MemoryClass::Standard).expect("it is there");
        let wanted = Sizing {
            memory_gb: 4.0,
            vcpu: 2.0,
            architecture: Architecture::Arm,
            spot_share: 0.75,
            min: 1,
            max: 10,
            acceptable_latency_seconds: 600.0,
            stage_seconds: 2.06,
        };
        assert_eq!(train, wanted);
        let large = Sizing::find(&list, "train", MemoryClass::Large).expect("it is there");
        assert_eq!((large.vcpu, large.min, large.max), (4.0, 0, 4));
        for (component, class, told) in [
            (
                "train",
                MemoryClass::Xlarge,
                "is not deployed in the class xlarge",
            ),
            ("trian", MemoryClass::Standard, "no component \"trian\""),
            ("Trian?", MemoryClass::Standard, "no component \"Trian?\""),
            ("other", MemoryClass::Standard, "no section other.fargate"),
        ] {
            let error = Sizing::find(&list, component, class).expect_err(component);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn tasks_that_fargate_has_not_are_explained() {
        assert_eq!(check_task(1.0, 4.0), Ok(()));
        assert!(check_task(1.0, 16.0).expect_err("too much").contains("2 to 8 GB"));
        assert!(check_task(3.0, 8.0).is_err());
    }
}
