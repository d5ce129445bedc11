//! How large a component's tasks are, as far as `deploy/components.toml` says it; and what Fargate has.

use pipeline::MemoryClass;
use toml::{Table, Value};

use crate::prices::Architecture;

/// The list that this producer was built with.
const BUILT_IN: &str = include_str!("../../deploy/components.toml");

/// What is known of one component in one memory class. Only the memory is always there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sizing {
    /// Memory of a task, in GB as Fargate counts them (GiB).
    pub memory_gb: f64,
    /// Virtual processors of a task.
    pub vcpu: Option<f64>,
    /// Of its processors.
    pub architecture: Option<Architecture>,
    /// The part of its tasks on Fargate Spot.
    pub spot_share: Option<f64>,
    /// The fewest tasks.
    pub min: Option<u32>,
    /// The most tasks.
    pub max: Option<u32>,
    /// How long a message may wait.
    pub acceptable_latency_seconds: Option<f64>,
    /// How long one message takes.
    pub stage_seconds: Option<f64>,
}

impl Sizing {
    /// Of the list that this producer was built with. Keys that are not there stay unknown.
    pub fn of(component: &str, class: MemoryClass) -> Result<Self, String> {
        Self::read(BUILT_IN, component, class)
    }

    fn read(text: &str, component: &str, class: MemoryClass) -> Result<Self, String> {
        let list: Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
        let one = list
            .get(component)
            .and_then(Value::as_table)
            .ok_or_else(|| format!("deploy/components.toml has no component {component:?}"))?;
        let memory = one
            .get("classes")
            .and_then(|classes| classes.get(class.as_str()))
            .ok_or_else(|| format!("{component} is not deployed in the class {class}"))?;
        // The most particular place wins: the class, the component's tasks, the component. A key may be a table by class.
        let places = [Some(memory), one.get("fargate")];
        let key = |names: &[&str]| {
            let places = places
                .iter()
                .flatten()
                .copied()
                .filter_map(Value::as_table)
                .chain([one]);
            let found = places.flat_map(|place| names.iter().filter_map(move |name| place.get(*name)));
            let of_class = |value: &'_ Value| {
                value
                    .get(class.as_str())
                    .cloned()
                    .or_else(|| (!value.is_table()).then(|| value.clone()))
            };
            found.filter_map(of_class).next()
        };
        let memory = memory.as_str().map(str::to_owned);
        let memory = memory.or_else(|| key(&["memory"])?.as_str().map(str::to_owned));
        let memory_gb = memory
            .as_deref()
            .and_then(gigabytes)
            .ok_or_else(|| format!("{component} has no memory in the class {class}"))?;
        let whole = |names: &[&str]| key(names)?.as_integer().and_then(|n| u32::try_from(n).ok());
        let percent = || {
            key(&["spot_percent"])
                .as_ref()
                .and_then(number)
                .map(|percent| percent / 100.0)
        };
        Ok(Self {
            memory_gb,
            vcpu: key(&["cpu", "vcpus"]).as_ref().and_then(vcpu),
            architecture: key(&["architecture"]).and_then(|value| value.try_into().ok()),
            spot_share: key(&["spot_share"]).as_ref().and_then(number).or_else(percent),
            min: whole(&["min", "min_tasks"]),
            max: whole(&["max", "max_tasks"]),
            acceptable_latency_seconds: key(&["acceptable_latency", "acceptable_latency_seconds"])
                .as_ref()
                .and_then(in_seconds),
            stage_seconds: key(&["stage_seconds"]).as_ref().and_then(in_seconds),
        })
    }

    /// Its processors; without a word on them the fewest, from one on, that Fargate has with its memory.
    pub fn vcpu_or_least(&self) -> f64 {
        self.vcpu.unwrap_or_else(|| {
            let fitting = FARGATE.iter().find(|(vcpu, least, most)| {
                *vcpu >= least_vcpu(self.memory_gb) && (*least..=*most).contains(&self.memory_gb)
            });
            fitting.map_or(16.0, |(vcpu, _, _)| *vcpu)
        })
    }
}

/// One processor, but for what is too small for one.
fn least_vcpu(memory_gb: f64) -> f64 {
    if memory_gb < 2.0 { 0.25 } else { 1.0 }
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

fn number(value: &Value) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    value.as_float().or_else(|| value.as_integer().map(|n| n as f64))
}

/// `2`, `0.5`, or as ECS counts them: 1024 are one.
fn vcpu(value: &Value) -> Option<f64> {
    let text = value
        .as_str()
        .map(|text| text.trim_end_matches("vCPU").trim().parse::<f64>());
    let count = match text {
        Some(parsed) => parsed.ok()?,
        None => number(value)?,
    };
    Some(if count >= 128.0 { count / 1024.0 } else { count })
}

fn in_seconds(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some(text) => humantime::parse_duration(text).ok().map(|d| d.as_secs_f64()),
        None => number(value),
    }
}

/// `4GiB`, `512MiB`.
pub fn gigabytes(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let number: f64 = number.parse().ok()?;
    match unit.trim() {
        "GiB" | "GB" => Some(number),
        "MiB" | "MB" => Some(number / 1024.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_is_a_task_that_fargate_has() {
        let list: Table = BUILT_IN.parse().expect("the list can be read");
        for component in list.keys() {
            let sizing = Sizing::of(component, MemoryClass::Standard).expect(component);
            let vcpu = sizing.vcpu_or_least();
            assert_eq!(check_task(vcpu, sizing.memory_gb), Ok(()), "{component}");
        }
    }

    #[test]
    fn keys_that_are_there_are_read_in_their_forms() {
        let text = "[train]\nclasses = { standard = \"4GiB\", large = { memory = \"16GiB\", cpu = 4 } }\ncpu = 2048\n\
                    spot_share = 0.5\nmin = 0\nmax = 8\nacceptable_latency = \"2m\"\nstage_seconds = 12\n\
                    architecture = \"arm64\"\n[intake]\nclasses = { standard = \"512MiB\" }\ncpu = \"0.25\"\n";
        let train = Sizing::read(text, "train", MemoryClass::Standard).expect("it is there");
        assert_eq!(
            train,
            Sizing {
                memory_gb: 4.0,
                vcpu: Some(2.0),
                architecture: Some(Architecture::Arm),
                spot_share: Some(0.5),
                min: Some(0),
                max: Some(8),
                acceptable_latency_seconds: Some(120.0),
                stage_seconds: Some(12.0),
            }
        );
        let large = Sizing::read(text, "train", MemoryClass::Large).expect("it is there");
        assert_eq!((large.vcpu, large.memory_gb), (Some(4.0), 16.0));
        let intake = Sizing::read(text, "intake", MemoryClass::Standard).expect("it is there");
        assert_eq!(
            (intake.vcpu, intake.memory_gb, intake.max),
            (Some(0.25), 0.5, None)
        );
        assert!(Sizing::read(text, "train", MemoryClass::Xlarge).is_err());
        assert!(Sizing::read(text, "trian", MemoryClass::Standard).is_err());
    }

    #[test]
    fn the_form_of_the_deployment_is_read_too() {
        let text = "[train]\nclasses = { standard = \"4GiB\", large = \"16GiB\" }\n[train.fargate]\n\
                    vcpus = { standard = 2, large = 4 }\nmin_tasks = { standard = 1, large = 0 }\n\
                    max_tasks = { standard = 10, large = 4 }\narchitecture = \"arm64\"\nspot_percent = 75\n\
                    acceptable_latency_seconds = 600\nstage_seconds = 2.06\n";
        let train = Sizing::read(text, "train", MemoryClass::Standard).expect("it is there");
        let wanted = Sizing {
            memory_gb: 4.0,
            vcpu: Some(2.0),
            architecture: Some(Architecture::Arm),
            spot_share: Some(0.75),
            min: Some(1),
            max: Some(10),
            acceptable_latency_seconds: Some(600.0),
            stage_seconds: Some(2.06),
        };
        assert_eq!(train, wanted);
        let large = Sizing::read(text, "train", MemoryClass::Large).expect("it is there");
        assert_eq!((large.vcpu, large.min, large.max), (Some(4.0), Some(0), Some(4)));
    }

    #[test]
    fn tasks_that_fargate_has_not_are_explained() {
        assert_eq!(check_task(1.0, 4.0), Ok(()));
        assert!(check_task(1.0, 16.0).expect_err("too much").contains("2 to 8 GB"));
        assert!(check_task(3.0, 8.0).is_err());
        let sixteen = Sizing {
            memory_gb: 16.0,
            ..Sizing::default()
        };
        assert!((sixteen.vcpu_or_least() - 2.0).abs() < 1e-9);
    }
}
