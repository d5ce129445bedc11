//! The messages that there can be.

use pipeline::protocol::Work;
use pipeline::{MemoryClass, QueueName, RunId, RunItem, StageName, StepName};

use super::scenario::{Delivery, Scenario};
use super::state::Place;

/// What a message says and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Letter {
    pub(super) work: Work,
    pub(super) after: Option<StepName>,
    pub(super) queue: QueueName,
    /// Whose work it names; none if it names what does not exist.
    pub(super) place: Option<Place>,
}

/// Every message that there can be: for each place and class; and, if anything may come, some that are wrong.
pub(super) fn letters(scenario: &Scenario, birth: &RunItem, places: &[Work]) -> Vec<Letter> {
    let mut letters = Vec::new();
    let queue = |step: &StepName, class| QueueName {
        stage: birth.steps[step].stage.clone(),
        class,
    };
    for class in MemoryClass::ALL
        .into_iter()
        .filter(|class| *class <= scenario.largest)
    {
        for (i, work) in places.iter().enumerate() {
            letters.push(Letter {
                work: work.clone(),
                after: birth.steps[&work.step].after.clone(),
                queue: queue(&work.step, class),
                place: Some(Place(i as u8)),
            });
        }
    }
    if scenario.delivery == Delivery::Anything {
        let mut wrong = Vec::new();
        for letter in &letters {
            // A branch that there is not, or a branch of what has none, or none of what has some.
            let branch = match letter.work.branch {
                Some(0) => None,
                Some(_) => Some(200),
                None => Some(0),
            };
            wrong.push(Letter {
                work: Work {
                    branch,
                    ..letter.work.clone()
                },
                place: None,
                ..letter.clone()
            });
            let lost = StepName::new("lost").expect("valid");
            wrong.push(Letter {
                after: Some(lost),
                ..letter.clone()
            });
        }
        let first = letters[0].clone();
        let work = Work {
            run: RunId::new("nobody").expect("valid"),
            ..first.work.clone()
        };
        wrong.push(Letter {
            work,
            place: None,
            ..first.clone()
        });
        let work = Work {
            step: StepName::new("nothing").expect("valid"),
            ..first.work.clone()
        };
        wrong.push(Letter {
            work,
            place: None,
            ..first.clone()
        });
        let stage = StageName::new("other").expect("valid");
        wrong.push(Letter {
            queue: QueueName {
                stage,
                class: MemoryClass::Standard,
            },
            ..first
        });
        letters.append(&mut wrong);
        // Of the last place in a class that its stage is not deployed in.
        if let Some(class) = MemoryClass::ALL
            .into_iter()
            .find(|class| *class > scenario.largest)
        {
            let tail: Vec<Letter> = letters
                .iter()
                .filter(|l| {
                    l.place.is_some()
                        && l.queue.class == MemoryClass::Standard
                        && l.queue.stage.as_str() != "other"
                })
                .take(places.len())
                .cloned()
                .collect();
            letters.extend(tail.into_iter().map(|l| Letter {
                queue: QueueName {
                    stage: l.queue.stage.clone(),
                    class,
                },
                ..l
            }));
        }
    }
    letters
}
