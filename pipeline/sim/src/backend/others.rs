//! Workers, pauses, logs, and named pipelines.

use async_trait::async_trait;
use pipeline::Timestamp;
use pipeline::id::{PipelineName, RunId, StageName, StepName, WorkerId};
use pipeline::intake::Definition;
use pipeline::log_line;
use pipeline::ports::{Entered, Fleet, Pause, Pipelines, PortResult, Presence};

use crate::fault::Call;
use crate::world::{Link, done};

#[async_trait]
impl Fleet for Link {
    async fn announce(&self, presence: &Presence) -> PortResult<()> {
        let (presence, detail) = (presence.clone(), presence.worker.to_string());
        self.call(Call::Announce, detail, done, move |stores, _| {
            stores.workers.insert(presence.worker.clone(), presence);
            Ok(())
        })
        .await
    }

    async fn leave(&self, worker: &WorkerId) -> PortResult<()> {
        let (worker, detail) = (worker.clone(), worker.to_string());
        self.call(Call::LeaveFleet, detail, done, move |stores, _| {
            stores.workers.remove(&worker);
            Ok(())
        })
        .await
    }

    async fn workers(&self, now: Timestamp) -> PortResult<Vec<Presence>> {
        self.call(Call::Rare, "workers".to_owned(), done, move |stores, _| {
            let present = stores
                .workers
                .values()
                .filter(|presence| presence.expires_at > now);
            Ok(present.cloned().collect())
        })
        .await
    }

    async fn pause(&self, pause: &Pause) -> PortResult<()> {
        let pause = pause.clone();
        self.call(
            Call::Rare,
            format!("pause {}", pause.stage),
            done,
            move |stores, _| {
                stores.pauses.insert(pause.stage.clone(), pause);
                Ok(())
            },
        )
        .await
    }

    async fn unpause(&self, stage: &StageName) -> PortResult<bool> {
        let stage = stage.clone();
        self.call(Call::Rare, format!("unpause {stage}"), done, move |stores, _| {
            Ok(stores.pauses.remove(&stage).is_some())
        })
        .await
    }

    async fn pauses(&self) -> PortResult<Vec<Pause>> {
        self.call(Call::Pauses, String::new(), done, |stores, _| {
            Ok(stores.pauses.values().cloned().collect())
        })
        .await
    }

    async fn store_logs(&self, _: &WorkerId, run: &RunId, lines: &str, _: Timestamp) -> PortResult<()> {
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        self.call(Call::Rare, format!("store-logs {run}"), done, move |stores, _| {
            stores.logs.extend(lines);
            Ok(())
        })
        .await
    }

    async fn read_logs(&self, run: &RunId, step: Option<&StepName>, max: usize) -> PortResult<Vec<String>> {
        let (run, step) = (run.clone(), step.cloned());
        self.call(Call::Rare, format!("read-logs {run}"), done, move |stores, _| {
            let mut lines: Vec<(String, &String)> = stores
                .logs
                .iter()
                .filter_map(|line| Some((log_line::about(line, &run, step.as_ref())?, line)))
                .collect();
            lines.sort_by(|a, b| a.0.cmp(&b.0));
            let older = lines.len().saturating_sub(max);
            Ok(lines
                .into_iter()
                .skip(older)
                .map(|(_, line)| line.clone())
                .collect())
        })
        .await
    }
}

#[async_trait]
impl Pipelines for Link {
    async fn put(&self, definition: &Definition) -> PortResult<()> {
        let definition = definition.clone();
        self.call(
            Call::Rare,
            format!("put {}", definition.name),
            done,
            move |stores, _| {
                stores.pipelines.insert(definition.name.clone(), definition);
                Ok(())
            },
        )
        .await
    }

    async fn get(&self, name: &PipelineName) -> PortResult<Option<Definition>> {
        let name = name.clone();
        self.call(Call::GetPipeline, name.to_string(), done, move |stores, _| {
            Ok(stores.pipelines.get(&name).cloned())
        })
        .await
    }

    async fn list(&self) -> PortResult<Vec<Definition>> {
        self.call(Call::ListPipelines, String::new(), done, |stores, _| {
            Ok(stores.pipelines.values().cloned().collect())
        })
        .await
    }

    async fn remove(&self, name: &PipelineName) -> PortResult<bool> {
        let name = name.clone();
        self.call(Call::Rare, format!("remove {name}"), done, move |stores, _| {
            Ok(stores.pipelines.remove(&name).is_some())
        })
        .await
    }

    async fn enter(&self, name: &PipelineName, run: &RunId, max: u32) -> PortResult<Entered> {
        let (name, run, detail) = (name.clone(), run.clone(), format!("{name} {run}"));
        let tell = |entered: &Entered| match entered {
            Entered::In => "in".to_owned(),
            Entered::Full(_) => "full".to_owned(),
        };
        self.call(Call::Enter, detail, tell, move |stores, _| {
            let taken = stores.places.entry(name).or_default();
            if taken.contains(&run) {
                return Ok(Entered::In);
            }
            if taken.len() >= max as usize {
                return Ok(Entered::Full(taken.iter().cloned().collect()));
            }
            taken.insert(run);
            Ok(Entered::In)
        })
        .await
    }

    async fn leave(&self, name: &PipelineName, run: &RunId) -> PortResult<()> {
        let (name, run, detail) = (name.clone(), run.clone(), format!("{name} {run}"));
        self.call(Call::LeavePlace, detail, done, move |stores, _| {
            if let Some(taken) = stores.places.get_mut(&name) {
                taken.remove(&run);
            }
            Ok(())
        })
        .await
    }
}
