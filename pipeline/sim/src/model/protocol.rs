//! The model itself: a scenario made concrete, with everything that no state changes.

use std::sync::Arc;

use pipeline::artifact::{Artifact, Origin};
use pipeline::plan::{Birth, Branches, Plan, PlanStep};
use pipeline::protocol::{Claimant, Held, Outgoing, Work, drive};
use pipeline::registry::{Alias, Promotion, Registration};
use pipeline::{
    ArtifactName, GuardedUpdate, Item, Manifest, Nonce, PipelineName, QueueName, RunId, RunItem,
    Sha256Digest, StageName, StepName,
};

use super::ask::{Answer, Question};
use super::invariant::Broken;
use super::items::{DEADLINE, ItemId, Items, NOW};
use super::judge::{Facts, broken_between};
use super::letter::{Letter, letters};
use super::memo::Memo;
use super::mutant::Mutant;
use super::scenario::{Delivery, Scenario};
use super::state::{
    Lease, MAX_BRANCHES, MAX_PLACES, MAX_UNDER_WAY, MAX_WORKERS, Messages, Msg, Objects, Place, State, Worker,
};
use super::sweep::Swept;

/// A scenario made concrete, with or without a mistake in it.
pub struct Protocol {
    /// What may happen.
    pub scenario: Scenario,
    /// The mistake, if there is one.
    pub mutant: Option<Mutant>,
    pub(super) places: Vec<Work>,
    pub(super) letters: Vec<Letter>,
    pub(super) birth: RunItem,
    pub(super) items: Items,
    pub(super) answers: Memo<Question, Answer>,
    pub(super) sweeps: Memo<(ItemId, [ItemId; MAX_BRANCHES]), Arc<Swept>>,
    pub(super) facts: Memo<ItemId, Arc<Facts>>,
    first: ItemId,
}

/// What the steps are called, and their stages too.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl Protocol {
    /// Makes a scenario concrete.
    ///
    /// # Panics
    ///
    /// If the scenario is larger than the bounds in [`super::state`], or its steps make no plan: scenarios are a part of this program.
    pub fn new(scenario: Scenario, mutant: Option<Mutant>) -> Self {
        assert!(scenario.workers <= MAX_WORKERS && scenario.under_way <= MAX_UNDER_WAY);
        let name = |i: usize| StepName::new(NAMES[i]).expect("a letter is a name");
        let stage = |i: usize| StageName::new(NAMES[i]).expect("a letter is a name");
        let plan = Plan::new(
            scenario
                .steps
                .iter()
                .enumerate()
                .map(|(i, shape)| PlanStep {
                    step: name(i),
                    stage: stage(i),
                    largest: scenario.largest,
                    branches: shape.branches,
                    min_succeeded: shape.min_succeeded,
                })
                .collect(),
        )
        .expect("a scenario's steps make a plan");
        let birth = Birth {
            id: RunId::new("run").expect("valid"),
            pipeline: PipelineName::new("model").expect("valid"),
            spec: Sha256Digest::of(b"spec"),
            max: scenario.max,
            now: NOW,
            deadline: DEADLINE.since(NOW),
        }
        .item(&plan);
        let mut places = Vec::new();
        for (i, shape) in scenario.steps.iter().enumerate() {
            let work = |branch| Work {
                run: birth.id.clone(),
                step: name(i),
                branch,
            };
            match shape.branches {
                None => places.push(work(None)),
                Some(Branches::Known(n)) => places.extend((0..n).map(|o| work(Some(o)))),
                Some(Branches::FromPredecessor) => {
                    places.extend((0..scenario.fan_out).map(|o| work(Some(o))))
                }
            }
        }
        assert!(places.len() <= MAX_PLACES);
        let letters = letters(&scenario, &birth, &places);
        let sent = letters.iter().filter(|letter| letter.place.is_some()).count();
        assert!(scenario.delivery == Delivery::Anything || sent <= u32::BITS as usize);
        let items = Items::default();
        let first = items.intern(Item::Run(Box::new(birth.clone())));
        Self {
            scenario,
            mutant,
            places,
            letters,
            birth,
            items,
            answers: Memo::default(),
            sweeps: Memo::default(),
            facts: Memo::default(),
            first,
        }
    }

    /// True if that is the mistake.
    pub(super) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The run was just made and its first message sent.
    pub(super) fn first_state(&self) -> State {
        let queue = match (self.scenario.delivery, drive(&self.birth)) {
            (Delivery::AtLeastOnce { .. }, pipeline::protocol::Drive::Send(messages)) => {
                self.numbers(&messages)
            }
            _ => Messages::default(),
        };
        State {
            run: self.first,
            branches: [ItemId::NONE; MAX_BRANCHES],
            objects: Objects::default(),
            queue,
            alias: 0,
            workers: [Worker::Idle; MAX_WORKERS],
            under_way: [Worker::Idle; MAX_UNDER_WAY],
            left: self.scenario.left(),
            claims: [0; MAX_PLACES],
            evaluated: 0,
            promotions: 0,
            broken: Broken::default(),
        }
    }

    pub(super) fn work(&self, place: Place) -> &Work {
        &self.places[place.0 as usize]
    }

    pub(super) fn letter(&self, msg: Msg) -> &Letter {
        &self.letters[msg.0 as usize]
    }

    /// The place of a message that a worker claimed, and which therefore names one.
    pub(super) fn place(&self, msg: Msg) -> Place {
        self.letter(msg)
            .place
            .expect("only messages that name existing work get past the claim")
    }

    /// True if this is the place of the last step.
    pub(super) fn is_last(&self, place: Place) -> bool {
        self.birth.successor(&self.work(place).step).is_none()
    }

    /// The numbers of messages that the protocol wants sent.
    pub(super) fn numbers(&self, messages: &[Outgoing]) -> Messages {
        messages
            .iter()
            .fold(Messages::default(), |set, Outgoing { queue, envelope }| {
                let pipeline::Envelope::V1(hint) = envelope;
                let work = Work::of(hint);
                let at = self
                    .letters
                    .iter()
                    .position(|l| l.work == work && l.after == hint.after && l.queue == *queue)
                    .expect("the list of letters holds whatever the protocol may send");
                set.with(Msg(at as u8))
            })
    }

    /// Who asks: the claim's number makes its nonce, so that a fresh nonce is one that lies nowhere yet.
    pub(super) fn claimant(&self, queue: &QueueName, claim: u8) -> Claimant {
        Claimant {
            queue: queue.clone(),
            owner: nonce(claim),
            version: "1".into(),
        }
    }

    /// What the protocol knows of a lease.
    pub(super) fn held(&self, lease: Lease) -> Held {
        Held {
            work: self.work(lease.place).clone(),
            owner: nonce(lease.claim),
            attempt: self.attempt(lease),
        }
    }

    /// Which attempt a lease is for.
    pub(super) fn attempt(&self, lease: Lease) -> u32 {
        let item = self.items.get(lease.item).expect("a lease holds its item");
        item.slot(&self.work(lease.place).slot())
            .map_or(0, |work| work.attempt)
    }

    /// What an attempt's result is. Its bytes are those of the claim: two attempts need not write the same.
    pub(super) fn manifest(&self, lease: Lease) -> Manifest {
        let work = self.work(lease.place);
        Manifest {
            origin: Origin {
                run: work.run.clone(),
                step: work.step.clone(),
                ordinal: work.branch.unwrap_or(0),
                attempt: self.attempt(lease),
            },
            artifacts: vec![Artifact {
                name: ArtifactName::new("out").expect("valid"),
                sha256: digest(lease.place, lease.claim),
                size_bytes: 1,
                table: None,
            }],
        }
    }

    /// Under which attempt's key an attempt's bytes lie.
    pub(super) fn key_of(&self, attempt: u32) -> u32 {
        if self.is(Mutant::KeySharedByAttempts) {
            0
        } else {
            attempt
        }
    }

    /// What the last step declares if the evaluation saw the alias at that revision.
    pub(super) fn registration(&self, saw: u8) -> Registration {
        Registration {
            model: pipeline::id::ModelName::new("model").expect("valid"),
            promote: Some(Promotion {
                alias: pipeline::id::AliasName::new("champion").expect("valid"),
                expected_revision: u64::from(saw),
            }),
            reason: "better".into(),
        }
    }

    /// The alias at a revision, none at 0.
    pub(super) fn alias(&self, revision: u8) -> Option<Alias> {
        (revision > 0).then(|| Alias {
            model: pipeline::id::ModelName::new("model").expect("valid"),
            name: pipeline::id::AliasName::new("champion").expect("valid"),
            version: RunId::new("other").expect("valid"),
            revision: u64::from(revision),
            moved_at: NOW,
            reason: String::new(),
        })
    }

    /// Evaluates an update, with the mistake if there is one, and says what it broke by itself.
    pub(super) fn evaluate(
        &self,
        mut update: GuardedUpdate,
        stored: Option<&Item>,
    ) -> (
        Result<ItemId, Option<Item>>,
        Option<Box<pipeline::update::Declared>>,
        Broken,
    ) {
        if let Some(mutant) = self.mutant {
            mutant.alter(&mut update, stored);
        }
        let mut broken = Broken::default();
        let answer = update.evaluate(stored.cloned()).map(|mut item| {
            if let Some(mutant) = self.mutant {
                mutant.spoil(&update, &mut item);
            }
            if let Some(before) = stored {
                broken = broken_between(before, &item);
            }
            self.items.intern(item)
        });
        (answer, update.register, broken)
    }
}

fn nonce(claim: u8) -> Nonce {
    Nonce::new(format!("c{claim}")).expect("a letter and digits are a nonce")
}

pub(super) fn digest(place: Place, claim: u8) -> Sha256Digest {
    Sha256Digest::of(&[place.0, claim])
}
