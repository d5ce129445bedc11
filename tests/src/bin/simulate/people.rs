//! What people and upstream systems do, by the code that the producer runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{BoxFuture, Either, select};
use pipeline::envelope::Hint;
use pipeline::intake::{self, Definition};
use pipeline::ports::{Backend, Host, Outbound, Pause, PortResult};
use pipeline::{Envelope, QueueName, RunId, Spec, StageName, operate, protocol};
use sim::{SCRIPT, Seeded, World};

use crate::fleet::Fleet;
use crate::plan::{alias, declaration, model};
use crate::scenario::{Scenario, Wish};

/// People, and what they are at.
#[derive(Clone)]
pub(crate) struct People {
    fleet: Arc<Fleet>,
    world: Arc<World>,
    seeded: Arc<Seeded>,
    /// How many errands are not done.
    busy: Arc<AtomicUsize>,
    scratch: std::path::PathBuf,
}

impl People {
    /// People of that world.
    pub(crate) fn new(fleet: Arc<Fleet>, seed: u64, scratch: &std::path::Path) -> Self {
        Self {
            world: fleet.world.clone(),
            fleet,
            seeded: Arc::new(Seeded::new(seed, 11)),
            busy: Arc::default(),
            scratch: scratch.to_owned(),
        }
    }

    /// True once everything is done that they wanted.
    pub(crate) fn are_done(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    /// Does something at a later time, until it is done.
    fn errand(&self, at: Duration, errand: impl Future<Output = ()> + Send + 'static) {
        let (simulation, busy) = (self.world.simulation.clone(), self.busy.clone());
        busy.fetch_add(1, Ordering::Relaxed);
        let sleep = simulation.sleep(at);
        simulation.spawn(
            SCRIPT,
            Box::pin(async move {
                sleep.await;
                errand.await;
                busy.fetch_sub(1, Ordering::Relaxed);
            }),
        );
    }

    /// Tries until it works, each time in a process of its own, which may die of it.
    async fn insist<T: Send + 'static>(
        &self,
        work: impl Fn(Backend, Host) -> BoxFuture<'static, PortResult<T>>,
    ) -> T {
        let simulation = &self.world.simulation;
        loop {
            let (process, surroundings, seeded) = self.fleet.process(0);
            let (tell, told) = oneshot::channel();
            let attempt = work(self.world.link(process).backend(), surroundings.host(seeded));
            simulation.spawn(
                process,
                Box::pin(async move {
                    // Nobody has given up waiting while this process lives.
                    let _ = tell.send(attempt.await);
                }),
            );
            let died = std::pin::pin!(simulation.died(process));
            if let Either::Left((Ok(Ok(done)), _)) = select(told, died).await {
                return done;
            }
            let pause = Duration::from_millis(self.seeded.below(20_000));
            simulation.sleep(pause).await;
        }
    }

    /// Everything of the scenario that people do. What is accepted, and what is bad, is told the world.
    pub(crate) fn set_out(&self, scenario: &Scenario, notes: &Notes) {
        for wish in &scenario.runs {
            self.submit(wish, notes);
        }
        if let Some(spec) = &scenario.posts.spec {
            self.post(spec, scenario, notes);
        }
        for (stage, at, lasts) in &scenario.pauses {
            self.pause(stage, *at, *lasts);
        }
        for at in &scenario.hands {
            self.move_champion(*at);
        }
        for at in &scenario.losses {
            self.lose_messages(*at);
        }
        for at in &scenario.strays {
            self.stray(*at, notes);
        }
    }

    fn declare(&self, spec: &Spec) {
        if let Some(declaration) = declaration(spec) {
            self.world.stores().ledger.declares(spec.digest(), declaration);
        }
    }

    fn submit(&self, wish: &Wish, notes: &Notes) {
        self.declare(&wish.spec);
        let (people, id, spec) = (self.clone(), wish.id.clone(), Arc::new(wish.spec.clone()));
        let file = self.scratch.join(format!("{id}.json"));
        std::fs::write(&file, spec.canonical()).expect("the scratch folder takes it");
        let accepted = notes.clone();
        self.errand(wish.at, async move {
            people
                .insist(|backend, host| {
                    let (spec, id, file) = (spec.clone(), id.clone(), file.clone());
                    Box::pin(async move {
                        operate::submit_spec(&backend, &spec, id, host.clock.now(), &file, None).await
                    })
                })
                .await;
            accepted.accept(id);
        });
        if let Some(at) = wish.cancel {
            let (people, id) = (self.clone(), wish.id.clone());
            self.errand(at, async move {
                people
                    .insist(|backend, host| {
                        let update = protocol::cancel(&id, "somebody wants it", host.clock.now());
                        Box::pin(async move { backend.runs.apply(&update).await })
                    })
                    .await;
            });
        }
        if let Some(at) = wish.extend {
            let (people, id) = (self.clone(), wish.id.clone());
            self.errand(at, async move {
                people
                    .insist(|backend, host| {
                        let until = host.clock.now().plus(Duration::from_secs(3_600));
                        let update = protocol::extend(&id, until);
                        Box::pin(async move { backend.runs.apply(&update).await })
                    })
                    .await;
            });
        }
        for at in &wish.resumes {
            let (people, id) = (self.clone(), wish.id.clone());
            self.errand(*at, async move {
                people
                    .insist(|backend, host| {
                        let id = id.clone();
                        Box::pin(async move { operate::resume(&backend, &id, host.clock.now()).await })
                    })
                    .await;
            });
        }
    }

    fn post(&self, spec: &Spec, scenario: &Scenario, notes: &Notes) {
        let posts = &scenario.posts;
        let mut text = written(spec);
        text.push_str("\n[intake]\n");
        if let Some(max) = posts.max_open {
            text.push_str(&format!("max_open = {max}\n"));
        }
        text.push_str("[[intake.objects]]\nbucket = \"lake\"\nprefix = \"in/\"\n");
        let definition = Definition {
            name: spec.pipeline.clone(),
            text,
            folder: "/".to_owned(),
            sources: std::collections::BTreeMap::new(),
            applied_at: self.world.now(),
        };
        let request = intake::RunRequest {
            pipeline: definition.name.clone(),
            key: RunId::new("any").expect("a valid id"),
            set: std::collections::BTreeMap::new(),
            traceparent: None,
        };
        let wanted = definition
            .requested(&request)
            .expect("the text is a specification");
        self.declare(&wanted.spec);
        let name = definition.name.clone();
        self.world.stores().pipelines.insert(name.clone(), definition);
        for (key, at) in &posts.requests {
            let body = format!(r#"{{"version":"1","pipeline":"{name}","key":"{key}"}}"#);
            self.send(intake::queue(), body, *at);
            notes.accept(key.clone());
        }
        for (object, at) in &posts.objects {
            let created = intake::Created {
                bucket: "lake".to_owned(),
                key: object.clone(),
                version: None,
                e_tag: "tag".to_owned(),
                sequencer: "1".to_owned(),
            };
            notes.accept(created.run_of(&name));
            let detail = format!(
                r#"{{"bucket":{{"name":"lake"}},"object":{{"key":"{object}","etag":"tag","sequencer":"1"}}}}"#
            );
            let event = r#""source":"aws.s3","detail-type":"Object Created""#;
            self.send(intake::queue(), format!(r#"{{{event},"detail":{detail}}}"#), *at);
        }
        for at in &posts.garbage {
            let set = r#""set":{"rows":1}"#;
            let body = match self.seeded.below(3) {
                0 => "no request".to_owned(),
                1 => r#"{"version":"1","pipeline":"nobody","key":"k-1"}"#.to_owned(),
                _ => format!(r#"{{"version":"1","pipeline":"{name}","key":"k-2",{set}}}"#),
            };
            notes.is_bad(&body);
            self.send(intake::queue(), body, *at);
        }
    }

    fn send(&self, queue: QueueName, body: String, at: Duration) {
        let backend = self.world.link(SCRIPT).backend();
        self.errand(at, async move {
            let sent = backend.queue.send(&queue, vec![Outbound::now(body)]).await;
            assert!(sent.is_ok(), "nothing goes wrong with what the script does");
        });
    }

    fn pause(&self, stage: &str, at: Duration, lasts: Duration) {
        let (world, backend) = (self.world.clone(), self.world.link(SCRIPT).backend());
        let stage = StageName::new(stage).expect("a valid name");
        self.errand(at, async move {
            let pause = Pause {
                stage: stage.clone(),
                since: world.now(),
                reason: "somebody wants it".to_owned(),
            };
            let paused = backend.fleet.pause(&pause).await;
            world.simulation.sleep(lasts).await;
            let unpaused = backend.fleet.unpause(&stage).await;
            assert!(
                paused.is_ok() && unpaused.is_ok(),
                "nothing goes wrong with what the script does"
            );
        });
    }

    /// Moves the champion to another version, or back.
    fn move_champion(&self, at: Duration) {
        let (world, seeded) = (self.world.clone(), self.seeded.clone());
        let backend = self.world.link(SCRIPT).backend();
        self.errand(at, async move {
            let (model, alias, registry) = (model(), alias(), &backend.registry);
            let versions = registry.list(&model).await.unwrap_or_default();
            let present = registry.resolve(&model, &alias).await.ok().flatten();
            let expected = present.map_or(0, |present| present.revision);
            if versions.is_empty() {
                return;
            }
            let now = world.now();
            let answered = match seeded.chance(1, 3) {
                true => registry
                    .roll_back(&model, &alias, expected, "by hand", now)
                    .await
                    .map(drop),
                false => {
                    let run = &seeded.pick(&versions).run;
                    registry
                        .move_to(&model, &alias, expected, run, "by hand", now)
                        .await
                        .map(drop)
                }
            };
            assert!(answered.is_ok(), "nothing goes wrong with what the script does");
        });
    }

    /// Loses some of the messages between stages. What upstream systems posted is theirs to send again, if it is lost.
    fn lose_messages(&self, at: Duration) {
        let (world, seeded) = (self.world.clone(), self.seeded.clone());
        self.errand(at, async move {
            let (intake, most) = (intake::queue(), seeded.between(1, 3));
            let is_lost = |queue: &QueueName| *queue != intake && seeded.chance(most, 3);
            world.stores().queues.lose(|queue, _| is_lost(queue));
            world
                .simulation
                .trace()
                .event(world.simulation.now(), SCRIPT, "messages are lost");
        });
    }

    /// A message that nobody of the fleet sends: forged, early, doubled, or nonsense.
    fn stray(&self, at: Duration, notes: &Notes) {
        let (people, notes) = (self.clone(), notes.clone());
        self.errand(at, async move {
            let Some((queue, body, is_bad)) = people.forged() else {
                return;
            };
            if is_bad {
                notes.is_bad(&body);
            }
            people.send(queue, body, Duration::ZERO);
        });
    }

    fn forged(&self) -> Option<(QueueName, String, bool)> {
        let seeded = &self.seeded;
        let noop: QueueName = "noop".parse().expect("a valid name");
        let kind = seeded.below(5);
        if kind == 0 {
            return Some((noop, "hello".to_owned(), true));
        }
        let stores = self.world.stores();
        if kind == 1 {
            let all: Vec<_> = stores
                .queues
                .all()
                .map(|(q, m)| (q.clone(), m.body.clone()))
                .collect();
            let intake = intake::queue();
            let all: Vec<_> = all.into_iter().filter(|(queue, _)| *queue != intake).collect();
            let (queue, body) = (!all.is_empty()).then(|| seeded.pick(&all).clone())?;
            // Somebody else's queue, now and then. What is bad in its own is bad there.
            let queue = if seeded.chance(1, 3) { noop } else { queue };
            return Some((queue, body, false));
        }
        let runs: Vec<_> = stores.items.runs.values().collect();
        let run = *(!runs.is_empty()).then(|| seeded.pick(&runs))?;
        let step = seeded.pick(&run.order);
        let work = run.steps.get(step)?;
        let (run, step) = match kind {
            2 => (RunId::new("nobody").expect("a valid id"), step.clone()),
            _ => (run.id.clone(), step.clone()),
        };
        // Early for most steps; without a branch where one is needed, or with one that is not there.
        let branch = seeded
            .chance(1, 2)
            .then(|| u32::try_from(seeded.below(6)).unwrap_or(0));
        let is_whole = match (branch, work.branches) {
            (None, _) => !work.is_fanned(),
            (Some(ordinal), Some(n)) => ordinal < n,
            (Some(_), None) => false,
        };
        let hint = Hint {
            run,
            step,
            after: work.after.clone(),
            branch,
            traceparent: None,
        };
        Some((work.queue(), Envelope::V1(hint).to_body(), kind == 2 || !is_whole))
    }
}

/// The specification as a person writes it.
fn written(spec: &Spec) -> String {
    let mut value = serde_json::to_value(spec).expect("names, numbers and texts always serialise");
    without_nothing(&mut value);
    toml::to_string(&value).expect("what is left is TOML")
}

/// TOML has no word for what is not there.
fn without_nothing(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nothing);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(without_nothing),
        _ => {}
    }
}

/// What is to be expected of the world's end.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<std::sync::Mutex<sim::ledger::Expected>>);

impl Notes {
    /// What was noted.
    pub(crate) fn expected(&self) -> sim::ledger::Expected {
        self.0.lock().expect("nobody panics while it is locked").clone()
    }

    fn accept(&self, run: RunId) {
        let mut expected = self.0.lock().expect("nobody panics while it is locked");
        expected.accepted.insert(run);
    }

    fn is_bad(&self, body: &str) {
        let mut expected = self.0.lock().expect("nobody panics while it is locked");
        expected.bad_messages.insert(body.to_owned());
    }
}
