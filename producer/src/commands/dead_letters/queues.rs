//! The queues that have dead letters.

use std::str::FromStr;

use pipeline::StageName;
use pipeline::intake;
use pipeline::item::{MemoryClass, QueueName};
use pipeline::spec::{CATALOGUE, kind};

/// A queue of a stage in the catalogue: `train`, `train-large`.
#[derive(Debug, Clone)]
pub struct KnownQueue(pub(super) QueueName);

impl FromStr for KnownQueue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let queue: QueueName = text.parse().map_err(|e: pipeline::id::InvalidId| e.to_string())?;
        if kind(queue.stage.as_str()).is_some() || queue == intake::queue() {
            return Ok(Self(queue));
        }
        let stages: Vec<&str> = CATALOGUE.iter().map(|kind| kind.name).collect();
        Err(format!(
            "{text:?} is no queue: queues are called as their stages are, in larger memory classes with -large or -xlarge; \
             stages are {}; and there is {}",
            stages.join(", "),
            intake::QUEUE
        ))
    }
}

/// The queue that was named, or the intake's and those of every stage in each class that it is deployed in.
pub(super) fn queues(named: Option<KnownQueue>) -> Vec<QueueName> {
    if let Some(KnownQueue(queue)) = named {
        return vec![queue];
    }
    let of = |kind: &pipeline::spec::Kind| {
        let stage = StageName::new(kind.name).expect("names in the catalogue are ids; a test there holds it");
        let classes = MemoryClass::ALL
            .into_iter()
            .filter(|class| *class <= kind.largest);
        classes
            .map(|class| QueueName {
                stage: stage.clone(),
                class,
            })
            .collect::<Vec<_>>()
    };
    std::iter::once(intake::queue())
        .chain(CATALOGUE.iter().flat_map(of))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_those_of_the_catalogue() {
        let all = queues(None);
        assert!(all.len() >= CATALOGUE.len());
        for queue in &all {
            let known: KnownQueue = queue.to_string().parse().expect("a queue of the catalogue");
            assert_eq!(known.0, *queue);
        }
        assert!(
            "nope"
                .parse::<KnownQueue>()
                .expect_err("unknown")
                .contains("noop")
        );
        assert!("A/b".parse::<KnownQueue>().is_err());
    }
}
