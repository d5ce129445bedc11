//! What must be true of a run that ended, whatever happened to its workers.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::{ArtifactKey, Manifest, RunId, RunItem, RunStatus, Sha256Digest, StepState};

use super::Fleet;

/// The digests of everything that a run committed, by step, branch and name. Equal specifications give equal results.
pub type Results = BTreeMap<(String, u32, String), Sha256Digest>;

impl Fleet {
    /// Fails unless nothing of a succeeded run is lost: all steps are committed, each with one manifest, and every
    /// artifact of it is there with its digest. The results are handed back, for comparison with another run's.
    pub fn assert_whole(&self, run: &RunId) -> Results {
        let item = self.run(run);
        assert_eq!(item.status, RunStatus::Succeeded, "{:?}", item.reason);
        let branches = self.branches(run);
        let mut manifests: Vec<&Manifest> = Vec::new();
        for (name, step) in item.steps_in_order() {
            assert_eq!(step.state, StepState::Committed, "step {name}");
            assert!(
                step.owner.is_none() && step.lease_until.is_none(),
                "step {name} is still held"
            );
            let spent = step.spent;
            let max = item.max;
            assert!(
                spent.crash <= max.crash && spent.transient <= max.transient && spent.memory <= max.memory
            );
            match step.branches {
                None => manifests.push(step.manifest.as_ref().expect("a committed step has a manifest")),
                Some(n) => {
                    assert_eq!(item.done_count(name), n, "branches of step {name}");
                    let of_step = branches.iter().filter(|b| b.step == *name);
                    let ordinals: BTreeSet<u32> = of_step.clone().map(|b| b.ordinal).collect();
                    assert_eq!(ordinals, (0..n).collect(), "branches of step {name}");
                    for branch in of_step {
                        let is_lost = item
                            .lost
                            .get(name)
                            .is_some_and(|lost| lost.contains(&branch.ordinal));
                        let state = if is_lost {
                            StepState::Failed
                        } else {
                            StepState::Committed
                        };
                        assert_eq!(branch.work.state, state, "branch {name}/{}", branch.ordinal);
                        manifests.extend(&branch.work.manifest);
                    }
                }
            }
        }
        self.assert_artifacts(&item, &manifests)
    }

    fn assert_artifacts(&self, item: &RunItem, manifests: &[&Manifest]) -> Results {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (mut results, mut committed) = (Results::new(), BTreeSet::new());
        for (nth, artifact) in manifests.iter().flat_map(|m| m.references()).enumerate() {
            let ArtifactKey::Attempt(origin, name) = &artifact.key else {
                panic!("{} is no artifact of a step", artifact.key)
            };
            let copy = folder.path().join(nth.to_string());
            self.block_on(self.backend().artifacts.fetch(&artifact, &copy))
                .unwrap_or_else(|e| panic!("a committed artifact is lost: {e}"));
            let place = (origin.step.to_string(), origin.ordinal, name.to_string());
            let twice = results.insert(place, artifact.sha256);
            assert!(twice.is_none(), "{} was committed twice", artifact.key);
            committed.insert(artifact.key.clone());
        }
        let stored = self
            .block_on(self.backend().artifacts.list(&item.id))
            .expect("artifacts can be listed");
        let orphans = stored.iter().filter(|key| !committed.contains(key)).count();
        println!(
            "  run {}: {} artifacts committed and intact, {orphans} of attempts that came to nothing",
            item.id,
            committed.len()
        );
        results
    }

    /// Fails if workers say of any step or branch that it was committed more than once. (Of the last one that a killed
    /// worker committed nobody may say it at all.)
    pub fn assert_committed_once(&self, run: &RunId) {
        let mut commits = BTreeMap::new();
        for line in self.logs(run) {
            let entry: serde_json::Value = serde_json::from_str(&line).expect("logs are JSON");
            if entry["outcome"] == "committed" {
                let work = format!("{} {}", entry["step"], entry["branch"]);
                *commits.entry(work).or_insert(0) += 1;
            }
        }
        assert!(
            !commits.is_empty() && commits.values().all(|n| *n == 1),
            "commits of run {run}: {commits:?}"
        );
    }
}
